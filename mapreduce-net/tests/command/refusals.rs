//! Pool files, addresses and pools that cannot be used: each is said in one line, at once or when the time is up.

use super::{
    example, names,
    support::{Ended, Lab, Peer, Process, command},
};
use mapreduce_core::{Registry, prelude::*};
use mapreduce_net::{pool_file::PoolFile, testing::TestPool};
use std::{
    fs,
    net::UdpSocket,
    time::{Duration, Instant},
};
use tempfile::TempDir;

fn run(folder: &TempDir, args: &str) -> Ended {
    Process::start(&mut command(example("word_count"), folder.path(), args)).wait()
}

/// A folder with a text, and the files of a pool at that address.
fn folder(address: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text"), "a b a").unwrap();
    let (member, client) = PoolFile::create(vec![address.parse().unwrap()]).unwrap();
    member.save(folder.path().join("lab.pool")).unwrap();
    client.save(folder.path().join("lab.pool.client")).unwrap();
    folder
}

const NOWHERE: &str = "127.0.0.1:1";

/// What every command says of a pool file.
fn refused_by_all(folder: &TempDir, file: &str, expected: &str) {
    for args in ["run text --output out --pool", "peer --listen 127.0.0.1:0 --pool", "pool status --pool"] {
        let ended = run(folder, &format!("{args} {file}"));
        let error = ended.refused(1);
        assert!(error.contains(expected), "{args}: {error}");
    }
    assert!(!folder.path().join("out").exists());
}

#[test]
fn a_pool_file_that_is_missing() {
    refused_by_all(
        &folder(NOWHERE),
        "no.pool",
        "no.pool: no such pool file; make one with `pool create` or copy it",
    );
}

#[test]
#[cfg(unix)]
fn a_pool_file_that_others_can_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder(NOWHERE);
    fs::set_permissions(folder.path().join("lab.pool"), fs::Permissions::from_mode(0o644)).unwrap();
    refused_by_all(
        &folder,
        "lab.pool",
        "lab.pool: others can read this key (mode 0644); run `chmod 600` on it",
    );
}

#[test]
fn a_pool_file_that_was_cut_short() {
    let folder = folder(NOWHERE);
    let path = folder.path().join("lab.pool");
    let text = fs::read_to_string(&path).unwrap();
    let kept: String = text.split_inclusive('\n').take(2).collect();
    fs::write(&path, kept).unwrap();
    refused_by_all(&folder, "lab.pool", "; copy the file again");
}

#[test]
fn another_file_than_a_pool_file() {
    let folder = folder(NOWHERE);
    fs::write(folder.path().join("lab.pool"), "a b a").unwrap();
    refused_by_all(&folder, "lab.pool", "lab.pool: is not a pool file");
}

#[test]
fn a_peer_with_a_client_file() {
    let ended = run(&folder(NOWHERE), "peer --pool lab.pool.client --listen 127.0.0.1:0");
    assert_eq!(
        ended.refused(1),
        "error: lab.pool.client: is a client file, which can submit jobs but cannot be a member; give the member file"
    );
}

#[test]
fn a_new_pool_over_the_files_of_another() {
    let folder = folder(NOWHERE);
    let content = |name: &str| fs::read(folder.path().join(name)).unwrap();
    let (member, client) = (content("lab.pool"), content("lab.pool.client"));
    let create = |output: &str| run(&folder, &format!("pool create --address a --output {output}"));

    assert!(create("lab.pool").refused(1).contains("is already there; remove it or choose another name"));
    assert!((content("lab.pool"), content("lab.pool.client")) == (member, client.clone()));
    // One of the two is enough, and then the other one is not made.
    fs::remove_file(folder.path().join("lab.pool.client")).unwrap();
    assert!(create("lab.pool").refused(1).starts_with("error: lab.pool: is already there"));
    fs::rename(folder.path().join("lab.pool"), folder.path().join("new.pool.client")).unwrap();
    assert!(create("new.pool").refused(1).starts_with("error: new.pool.client: is already there"));
    assert!(create("no/new.pool").refused(1).starts_with("error: no/new.pool: cannot be written: "));
    assert_eq!(names(folder.path()), ["new.pool.client", "text"]);
}

#[test]
fn an_address_that_is_in_use() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let ended = run(&folder(NOWHERE), &format!("peer --pool lab.pool --listen {address}"));
    assert_eq!(
        ended.refused(1),
        format!("error: {address} is in use; stop the other program, or listen on another port")
    );
}

#[test]
fn an_address_that_is_not_of_this_machine() {
    // A block of addresses for documentation (RFC 5737).
    let ended = run(&folder(NOWHERE), "peer --pool lab.pool --listen 192.0.2.1:7077");
    let error = ended.refused(1);
    assert!(error.contains("192.0.2.1:7077"), "{error}");
}

#[test]
fn a_pool_that_nobody_answers_for() {
    // Somebody has the port, but says nothing.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let folder = folder(&address.to_string());
    let started = Instant::now();
    let ended = run(&folder, "run text --output out --pool lab.pool --wait 1");
    assert!(started.elapsed() >= Duration::from_secs(1), "it waits as long as it is asked to");
    let error = ended.refused(1);
    let start = format!("error: no peer of the pool was reached within 1 s: {address}: ");
    assert!(error.starts_with(&start), "{error}");
    assert!(
        error.ends_with("start a peer there, or use a pool file with the addresses of running ones"),
        "{error}"
    );
    assert_eq!(names(folder.path()), ["lab.pool", "lab.pool.client", "text"]);
}

#[test]
fn a_pool_file_of_another_pool() {
    let mut lab = Lab::start(example("word_count"), 1);
    let folder = folder(&lab.peer(0).address);
    let ended = run(&folder, "run text --output out --pool lab.pool --wait 2");
    let error = ended.refused(1);
    assert!(error.starts_with("error: no peer of the pool was reached within 2 s: "), "{error}");
    assert!(error.contains("pool") && error.contains(&lab.peer(0).address), "{error}");
}

#[test]
fn fewer_peers_than_are_asked_for() {
    let mut lab = Lab::start(example("word_count"), 2);
    fs::write(lab.path("text"), "a").unwrap();
    let ended = lab.run("run text --output out --pool lab.pool.client --min-peers 3 --wait 1");
    let error = ended.refused(1);
    assert!(error.starts_with("error: 2 of the 3 peers asked for were ready within 1 s"), "{error}");
    for number in 0..2 {
        let Peer { id, address, .. } = lab.peer(number);
        assert!(error.contains(&format!("node {id} at {address}")), "{error}");
    }
    assert!(error.ends_with("start more peers, lower --min-peers, or raise --wait"), "{error}");
    assert!(!lab.path("out").exists());
}

#[test]
fn a_pool_whose_peers_do_not_have_the_job() {
    let mut lab = Lab::start(example("word_count"), 1);
    fs::write(lab.path("text"), "a").unwrap();
    let mut sort = command(example("sort"), lab.folder(), "run text --output out --pool lab.pool.client");
    let ended = Process::start(&mut sort).wait();
    let error = ended.refused(1).to_owned();
    assert!(error.starts_with("error: no peer can run job sort version 1 "), "{error}");
    assert!(error.contains(&format!("peer {} has only word-count", lab.peer(0).id)), "{error}");
    assert!(!lab.path("out").exists());
}

#[test]
fn a_pool_whose_peers_have_another_version_of_the_job() {
    #[derive(Clone, Serialize, Deserialize)]
    struct WordCount;
    impl Mapper for WordCount {
        type Input = Utf8Lines;
        type Key = str;
        type Value = u64;
        fn map(&self, line: &str, out: &mut impl Emit<str, u64>) -> Result {
            out.emit(line, &1)
        }
    }
    impl SimpleJob for WordCount {
        const NAME: &'static str = "word-count";
        const VERSION: u32 = 2;
        type Combiner = Sum;
        type Reducer = Fold<Sum>;
    }
    let pool = TestPool::start(1, Registry::new().with::<WordCount>().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text"), "a").unwrap();
    pool.client_file().save(folder.path().join("lab.pool.client")).unwrap();
    let ended = run(&folder, "run text --output out --pool lab.pool.client");
    let error = ended.refused(1);
    assert!(error.starts_with("error: no peer can run job word-count version 1 "), "{error}");
    assert!(error.contains(&format!("peer {} has word-count version 2 ", pool.node_id(0))), "{error}");
}
