//! Identities from the user's own certificates.

use super::*;
use crate::{
    authority::{Signer, pkcs8},
    transport::{ConnectError, Endpoint, Limits, Refusal},
    trust::MEMBER_NAME,
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose, SerialNumber,
};
use ring::signature::Ed25519KeyPair;

/// An authority as a user might have one.
struct Own {
    params: CertificateParams,
    seed: Secret,
}

fn signer(seed: &Secret) -> Signer {
    Signer(Ed25519KeyPair::from_seed_unchecked(seed.expose()).unwrap())
}

fn params(name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from_slice(&[1]));
    params.key_identifier_method = KeyIdMethod::PreSpecified(name.as_bytes().to_vec());
    params
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", data_encoding::BASE64.encode(der))
}

impl Own {
    fn new(name: &str) -> Self {
        let mut params = params(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self { params, seed: Secret::random().unwrap() }
    }

    fn root(&self) -> String {
        pem("CERTIFICATE", self.params.self_signed(&signer(&self.seed)).unwrap().der())
    }

    /// Certificate and key for a process, with these DNS names.
    fn leaf(&self, names: &[&str], expired: bool) -> (String, String) {
        let seed = Secret::random().unwrap();
        let mut leaf = params("process", names);
        if expired {
            leaf.not_after = time::OffsetDateTime::UNIX_EPOCH + time::Duration::days(9_000);
        }
        let issuer = Issuer::from_params(&self.params, signer(&self.seed));
        let certificate = leaf.signed_by(&signer(&seed), &issuer).unwrap();
        (pem("CERTIFICATE", certificate.der()), pem("PRIVATE KEY", &pkcs8(&seed)))
    }
}

fn identity(leaf: &(String, String), members: &str, clients: &str) -> Result<Identity, IdentityError> {
    Identity::from_certificates(Certificates {
        chain_pem: leaf.0.as_bytes(),
        key_pem: leaf.1.as_bytes(),
        member_roots_pem: members.as_bytes(),
        client_roots_pem: clients.as_bytes(),
    })
}

#[tokio::test]
async fn own_certificates_take_the_place_of_pool_files() {
    let (members, clients) = (Own::new("machines"), Own::new("people"));
    // With two authorities, and with one where only the name tells members.
    for (members, clients) in [(&members, &clients), (&members, &members)] {
        let (member_root, client_root) = (members.root(), clients.root());
        let make = |authority: &Own, names: &[&str]| {
            identity(&authority.leaf(names, false), &member_root, &client_root).unwrap()
        };
        let host = make(members, &[MEMBER_NAME, "host.example"]);
        let guests = [make(members, &[MEMBER_NAME]), make(clients, &["person.example"])];
        assert_eq!(guests.each_ref().map(Identity::role), [Role::Member, Role::Client]);
        assert_eq!(host.pool(), None);
        let (endpoint, mut acceptor) =
            Endpoint::listen(([127, 0, 0, 1], 0).into(), host.clone(), &Limits::default()).unwrap();
        for guest in guests {
            let dialler = Endpoint::dial_only(guest.clone(), &Limits::default()).unwrap();
            let connected = dialler.connect(endpoint.local_address(), Channel::Control);
            let (connection, accepted) = tokio::join!(connected, acceptor.accept());
            let (connection, accepted) = (connection.unwrap(), accepted.unwrap());
            assert_eq!((connection.peer_role(), connection.peer_id()), (Role::Member, host.node_id()));
            assert_eq!((accepted.peer_role(), accepted.peer_id()), (guest.role(), guest.node_id()));
        }
    }
}

#[tokio::test]
async fn own_certificates_of_strangers_are_refused() {
    let (own, other) = (Own::new("machines"), Own::new("others"));
    let host = identity(&own.leaf(&[MEMBER_NAME], false), &own.root(), "").unwrap();
    let (endpoint, mut acceptor) =
        Endpoint::listen(([127, 0, 0, 1], 0).into(), host, &Limits::default()).unwrap();
    let both = own.root() + &other.root();
    let strangers = [
        identity(&other.leaf(&[MEMBER_NAME], false), &both, "").unwrap(),
        identity(&own.leaf(&["person.example"], false), &own.root(), &own.root()).unwrap(),
    ];
    for (stranger, expected) in strangers.into_iter().zip([Refusal::OtherPool, Refusal::NotAMember]) {
        let dialler = Endpoint::dial_only(stranger, &Limits::default()).unwrap();
        tokio::select! {
            accepted = acceptor.accept() => panic!("{accepted:?}"),
            refused = dialler.connect(endpoint.local_address(), Channel::Control) => match refused {
                Err(ConnectError::Refused { reason, .. }) => assert_eq!(reason, expected),
                other => panic!("{other:?}"),
            },
        }
    }
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let (own, other) = (Own::new("machines"), Own::new("others"));
    let (root, leaf) = (own.root(), own.leaf(&[MEMBER_NAME], false));
    let nothing = (String::new(), leaf.1.clone());
    let no_key = (leaf.0.clone(), "no key".to_owned());
    let foreign_key = (leaf.0.clone(), other.leaf(&[], false).1);
    let broken = (pem("CERTIFICATE", b"no certificate"), leaf.1.clone());
    let of_other = other.leaf(&[MEMBER_NAME], false);
    let expired = own.leaf(&[MEMBER_NAME], true);
    let nameless = own.leaf(&[], false);
    for (leaf, members, clients, what) in [
        (&nothing, &*root, "", "certificate"),
        (&no_key, &*root, "", "key"),
        (&foreign_key, &*root, "", "key"),
        (&broken, &*root, "", "certificate"),
        (&of_other, &*root, "", "certificate"),
        (&expired, &*root, "", "certificate"),
        (&nameless, &*root, "", "certificate"),
        (&leaf, "", "", "member roots"),
        (&leaf, &*broken.0, "", "member roots"),
        (&leaf, &*root, "no roots", "client roots"),
    ] {
        match identity(leaf, members, clients) {
            Err(IdentityError::Certificates { what: found, .. }) => assert_eq!(found, what),
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn own_keys_do_not_appear_in_debug_output() {
    let own = Own::new("machines");
    let (root, leaf) = (own.root(), own.leaf(&[MEMBER_NAME], false));
    let key = leaf.1.lines().nth(1).unwrap();
    let certificates = Certificates {
        chain_pem: leaf.0.as_bytes(),
        key_pem: leaf.1.as_bytes(),
        member_roots_pem: root.as_bytes(),
        client_roots_pem: b"",
    };
    assert_eq!(format!("{certificates:?}"), "Certificates { .. }");
    assert!(!format!("{:?}", Identity::from_certificates(certificates).unwrap()).contains(key));
}

#[test]
fn a_validity_out_of_range_is_refused() {
    let (file, _) = PoolFile::create(vec!["a".parse().unwrap()]).unwrap();
    let validity = Validity { lifetime: std::time::Duration::ZERO, ..Validity::default() };
    assert!(matches!(Identity::member(&file, validity), Err(IdentityError::Validity)));
}

#[test]
fn a_reset_key_is_the_same_after_a_restart_and_differs_by_address_and_pool() {
    let create = || PoolFile::create(vec!["a".parse().unwrap()]).unwrap();
    let ((file, client), (other, _)) = (create(), create());
    let key = |file: &MemberFile, address: &str| {
        let identity = Identity::member(file, Validity::default()).unwrap();
        *identity.reset_key(address.parse().unwrap()).unwrap().expose()
    };
    assert_eq!(key(&file, "10.0.0.1:7077"), key(&file, "10.0.0.1:7077"));
    assert_ne!(key(&file, "10.0.0.1:7077"), key(&file, "10.0.0.1:7078"));
    assert_ne!(key(&file, "10.0.0.1:7077"), key(&other, "10.0.0.1:7077"));
    let client = Identity::client(&client, Validity::default()).unwrap();
    assert!(client.reset_key("10.0.0.1:7077".parse().unwrap()).is_none());
}
