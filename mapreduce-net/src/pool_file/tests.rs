//! Pool files: what is written is read back, and everything else is told apart.

use super::*;
use crate::authority::public_key;
use proptest::prelude::*;
use std::{fs, path::PathBuf};

fn create() -> (MemberFile, ClientFile) {
    PoolFile::create(vec!["10.0.0.1".parse().unwrap(), "[fd7a::1]:99".parse().unwrap()]).unwrap()
}

fn member_text(member: &MemberFile) -> String {
    text::write(member.pool, &member.addresses, &Keys::Member { secret: member.secret.clone() }).to_string()
}

fn client_text(client: &ClientFile) -> String {
    let keys =
        Keys::Client { client_key: client.client_key.clone(), member_authority: client.member_authority };
    text::write(client.pool, &client.addresses, &keys).to_string()
}

fn load_text(text: &[u8]) -> Result<PoolFile, PoolFileError> {
    PoolFile::from_text(Path::new("lab.pool"), text)
}

fn error_of(text: &str) -> String {
    load_text(text.as_bytes()).unwrap_err().to_string()
}

/// A text with the checksum that fits it.
fn sealed(body: &str) -> String {
    let sum = ring::digest::digest(&ring::digest::SHA256, body.as_bytes());
    format!("{body}checksum: {}\n", data_encoding::HEXLOWER.encode(&sum.as_ref()[..8]))
}

/// The text of a file with `from` replaced by `to`, and the checksum that fits.
fn edited(text: &str, from: &str, to: &str) -> String {
    let body = &text[..text.find("checksum: ").unwrap()];
    assert!(body.contains(from));
    sealed(&body.replacen(from, to, 1))
}

#[test]
fn files_are_read_back_as_they_were_saved() {
    let folder = tempfile::tempdir().unwrap();
    let (member, client) = create();
    let (member_path, client_path) = (folder.path().join("lab.pool"), folder.path().join("lab.pool.client"));
    member.save(&member_path).unwrap();
    client.save(&client_path).unwrap();
    let read = MemberFile::load(&member_path).unwrap();
    assert_eq!((read.pool(), read.addresses()), (member.pool(), member.addresses()));
    assert_eq!(read.secret.expose(), member.secret.expose());
    let read = ClientFile::load(&client_path).unwrap();
    assert_eq!((read.pool(), read.addresses()), (member.pool(), member.addresses()));
    assert_eq!(read.client_key.expose(), client.client_key.expose());
    assert_eq!(read.member_authority, client.member_authority);
    let either = [PoolFile::load(&member_path).unwrap(), PoolFile::load(&client_path).unwrap()];
    assert_eq!(either.each_ref().map(PoolFile::kind), [Kind::Member, Kind::Client]);
    assert!(either.iter().all(|file| file.pool() == member.pool() && file.addresses() == member.addresses()));
}

#[test]
fn a_client_file_holds_neither_the_secret_nor_the_member_authority() {
    let (member, client) = create();
    let text = client_text(&client);
    assert!(!text.contains(&*member.secret.to_base64()));
    assert_ne!(client.client_key.expose(), member.secret.expose());
    assert_ne!(public_key(&client.client_key), client.member_authority);
    assert_eq!(&client.member_authority, member.member_authority().public_key());
}

#[test]
fn a_lost_client_file_can_be_made_again() {
    let (member, client) = create();
    assert_eq!(client_text(&member.client_file()), client_text(&client));
}

#[test]
fn addresses_can_be_replaced_without_a_new_secret() {
    let (member, _) = create();
    let moved = member.with_addresses(vec!["other".parse().unwrap()]).unwrap();
    assert_eq!(moved.pool(), member.pool());
    assert_eq!(moved.addresses()[0].host(), "other");
    for count in [0, ADDRESSES_MAX + 1] {
        let addresses = vec!["a".parse().unwrap(); count];
        assert!(
            matches!(member.with_addresses(addresses.clone()), Err(PoolFileError::Addresses { found }) if found == count)
        );
        assert!(matches!(PoolFile::create(addresses), Err(PoolFileError::Addresses { .. })));
    }
}

#[test]
fn every_pool_has_its_own_secret() {
    let ((one, _), (two, _)) = (create(), create());
    assert_ne!(one.pool(), two.pool());
    assert_ne!(one.secret.expose(), two.secret.expose());
}

#[test]
fn the_wrong_kind_of_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (member, client) = create();
    let path = |name: &str| folder.path().join(name);
    member.save(path("m")).unwrap();
    client.save(path("c")).unwrap();
    let error = MemberFile::load(path("c")).unwrap_err().to_string();
    let expected = "c: is a client file, which can submit jobs but cannot be a member; give the member file";
    assert!(error.ends_with(expected), "{error}");
    let error = ClientFile::load(path("m")).unwrap_err().to_string();
    let expected = "m: is a member file, which holds the secret of the pool; give the client file";
    assert!(error.ends_with(expected), "{error}");
}

#[test]
fn a_file_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lab.pool");
    let (member, client) = create();
    member.save(&path).unwrap();
    assert!(matches!(client.save(&path), Err(PoolFileError::Exists { .. })));
    assert!(MemberFile::load(&path).is_ok());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays behind");
}

#[test]
fn files_that_cannot_be_read_or_written_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing: PathBuf = folder.path().join("no").join("lab.pool");
    assert!(matches!(PoolFile::load(&missing), Err(PoolFileError::Missing { path }) if path == missing));
    assert!(matches!(create().0.save(&missing), Err(PoolFileError::Write { path, .. }) if path == missing));
    assert!(matches!(PoolFile::load(folder.path()), Err(PoolFileError::Foreign { .. })), "a folder");
    let file = folder.path().join("file");
    create().0.save(&file).unwrap();
    assert!(matches!(PoolFile::load(file.join("below")), Err(PoolFileError::Read { .. })));
}

#[cfg(unix)]
#[test]
fn files_are_private_and_must_stay_so() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lab.pool");
    create().0.save(&path).unwrap();
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for exposed in [0o640, 0o604, 0o644, 0o620, 0o601] {
        mode(exposed);
        let error = MemberFile::load(&path).unwrap_err().to_string();
        let expected = format!("others can read this key (mode 0{exposed:o}); run `chmod 600` on it");
        assert!(error.ends_with(&expected), "{error}");
    }
    for private in [0o600, 0o400, 0o700] {
        mode(private);
        assert!(MemberFile::load(&path).is_ok());
    }
}

#[cfg(unix)]
#[test]
fn a_file_too_large_for_a_pool_file_is_not_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large");
    fs::write(&path, member_text(&create().0) + &"#\n".repeat(64 * 1024)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(PoolFile::load(&path), Err(PoolFileError::Foreign { .. })));
}

#[test]
fn every_truncation_and_every_changed_byte_is_an_error() {
    let (member, client) = create();
    for text in [member_text(&member), client_text(&client)] {
        assert!(load_text(text.as_bytes()).is_ok());
        for length in 0..text.len() {
            assert!(load_text(&text.as_bytes()[..length]).is_err(), "cut after {length} bytes");
        }
        for index in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[index] ^= 1;
            assert!(load_text(&changed).is_err(), "changed at {index}");
        }
    }
}

#[test]
fn a_file_copied_with_carriage_returns_or_comments_is_read() {
    let text = member_text(&create().0);
    assert!(load_text(text.replace('\n', "\r\n").as_bytes()).is_ok());
    assert!(load_text(edited(&text, "kind:", "# of the lab\n\nkind:").as_bytes()).is_ok());
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let (member, client) = create();
    let (text, client_text) = (member_text(&member), client_text(&client));
    let address = "address: 10.0.0.1:7077\n";
    let secret = format!("secret: {}", *member.secret.to_base64());
    let other = create().0;
    for (text, expected) in [
        (String::new(), "line 1: the file is empty".to_owned()),
        ("\n".to_owned(), "is not a pool file; give one that `pool create` has made".to_owned()),
        ("[settings]\na = 1\n".to_owned(), "is not a pool file; give one that `pool create` has made".to_owned()),
        (text[..10].to_owned(), "line 1: the file is cut short".to_owned()),
        (text.replace("version 1", "version 2"), "is a pool file of version 2, and this program reads version 1".to_owned()),
        (text[..text.len() - 20].to_owned(), "line 8: the file is cut short; its last line must be a checksum".to_owned()),
        (text.replace("10.0.0.1", "10.0.0.2"), "line 8: the checksum does not fit; the lines above were changed".to_owned()),
        (edited(&text, "kind: member", "kind: guest"), "line 3: the kind is neither `member` nor `client`".to_owned()),
        (edited(&text, "kind: member\n", ""), "line 6: there is no `kind`".to_owned()),
        (edited(&text, "pool: ", "pool: 0"), "line 4: an id is 32 digits from 0 to 9 and a to f".to_owned()),
        (edited(&text, address, "address: a b\n"), "line 5: `a b` is not an address: a host has only letters, digits, dots and hyphens; write HOST, HOST:PORT, or [IPV6]:PORT".to_owned()),
        (edited(&text, address, &address.repeat(64)), "line 69: there are more than 64 addresses".to_owned()),
        (edited(&text, address, "address\n"), "line 5: there is no `name: value`".to_owned()),
        (edited(&text, address, "adress: a\n"), "line 5: the field is unknown".to_owned()),
        (edited(&text, &secret, "secret: AAAA"), "line 7: `secret` is not a key".to_owned()),
        (edited(&text, &secret, &format!("{secret}\n{secret}")), "line 8: `secret` stands here a second time".to_owned()),
        (edited(&text, "kind: member", "kind: client"), "line 7: the keys are not those of a client file".to_owned()),
        (edited(&client_text, "kind: client", "kind: member"), "line 8: the keys are not those of a member file".to_owned()),
        (
            edited(&text, &member.pool().to_string(), &other.pool().to_string()),
            format!("line 4: the keys are those of pool {}", member.pool()),
        ),
    ] {
        let error = error_of(&text);
        let expected = format!("lab.pool: {expected}");
        assert!(error == expected || error == format!("{expected}; copy the file again"), "{error} / {expected}");
        assert!(!error.contains(&*member.secret.to_base64()));
    }
    let mut bytes = text.into_bytes();
    bytes[60] = 0xff;
    assert_eq!(
        load_text(&bytes).unwrap_err().to_string(),
        "lab.pool: line 2: is not text; copy the file again"
    );
}

#[test]
fn debug_output_shows_no_key() {
    let (member, client) = create();
    let shown = format!("{member:?} {client:?} {:?}", PoolFile::Member(member.clone()));
    assert!(shown.contains(&member.pool().to_string()));
    assert!(shown.contains("10.0.0.1"));
    for secret in [&member.secret, &client.client_key] {
        assert!(!shown.contains(&*secret.to_base64()));
        assert!(!shown.contains(&data_encoding::HEXLOWER.encode(secret.expose())));
        assert!(!shown.contains(&format!("{:?}", secret.expose())));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = load_text(&bytes);
    }

    #[test]
    fn no_lines_make_the_reader_panic(
        lines in proptest::collection::vec("(kind|pool|address|secret|client-key|member-authority|x)?(: )?(member|client|[0-9a-f]{32}|[A-Za-z0-9+/]{43}=|\\PC{0,20})", 0..12)
    ) {
        let body = format!("mapreduce pool file, version 1\n{}\n", lines.join("\n"));
        // By chance no lines say the id that belongs to their keys.
        prop_assert!(load_text(sealed(&body).as_bytes()).is_err());
    }

    #[test]
    fn any_other_bytes_in_a_file_are_an_error(at in 0usize..300, put in proptest::collection::vec(any::<u8>(), 1..9)) {
        let mut text = member_text(&create().0).into_bytes();
        let at = at.min(text.len() - put.len());
        if text[at..at + put.len()] != put[..] {
            text[at..at + put.len()].copy_from_slice(&put);
            prop_assert!(load_text(&text).is_err());
        }
    }
}
