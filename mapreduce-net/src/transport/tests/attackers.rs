//! Whoever does not belong to the pool is refused before any byte of theirs is seen, and told why.

use super::*;
use crate::{
    authority::{Authority, Signer, handshake_key},
    leaf::tests::TestClock,
    secret::Secret,
};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rcgen::{CertificateParams, DistinguishedName, DnType, Issuer, SerialNumber};
use ring::signature::Ed25519KeyPair;
use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        ResolvesClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::{CertifiedKey, SingleCertAndKey},
    time_provider::{DefaultTimeProvider, TimeProvider},
};
use std::sync::Arc;

/// Trusts every server, as attackers do.
#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// Shows a fixed certificate, or none.
#[derive(Debug)]
struct Shows(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

/// The TLS of `identity`, but trusting every server.
fn gullible(identity: &Identity) -> ClientConfig {
    let mut config = identity.client_config(Channel::Control);
    config.dangerous().set_certificate_verifier(Arc::new(Gullible));
    config
}

/// Connects with `tls`, sends bytes at once, and says how the connection ended.
async fn attack(tls: ClientConfig, address: SocketAddr) -> ConnectError {
    let endpoint = quinn::Endpoint::client(loopback()).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let connecting = endpoint.connect_with(config, address, "attacked").unwrap();
    let ended = async {
        match connecting.await {
            Err(error) => error,
            Ok(connection) => {
                if let Ok(mut stream) = connection.open_uni().await {
                    let _ = stream.write_all(b"run this").await;
                    let _ = stream.finish();
                }
                connection.closed().await
            }
        }
    };
    ConnectError::new(address, tokio::time::timeout(PATIENCE, ended).await.unwrap())
}

fn now() -> UnixTime {
    DefaultTimeProvider.current_time().unwrap()
}

fn shown(authority: &Authority) -> Arc<CertifiedKey> {
    let seed = Secret::random().unwrap();
    let leaf = authority.issue(&crate::authority::public_key(&seed), Validity::default(), now()).unwrap();
    Arc::new(CertifiedKey::new(vec![leaf], handshake_key(&seed)))
}

fn self_signed() -> Arc<CertifiedKey> {
    let seed = Secret::random().unwrap();
    let mut params = CertificateParams::new(vec![crate::trust::MEMBER_NAME.to_owned()]).unwrap();
    params.serial_number = Some(SerialNumber::from_slice(&[1]));
    let key = Signer(Ed25519KeyPair::from_seed_unchecked(seed.expose()).unwrap());
    let certificate = params.self_signed(&key).unwrap().der().clone();
    Arc::new(CertifiedKey::new(vec![certificate], handshake_key(&seed)))
}

/// `identity`'s TLS, but showing `certificate`.
fn showing(identity: &Identity, certificate: Option<Arc<CertifiedKey>>) -> ClientConfig {
    let mut config = gullible(identity);
    config.client_auth_cert_resolver = Arc::new(Shows(certificate));
    config
}

#[tokio::test]
async fn strangers_are_refused_with_the_reason_and_never_seen() {
    let (file, client_file) = pool();
    let (other_file, other_client_file) = pool();
    let good = member(&file);
    let mut listener = Listener::start(member(&file));
    let address = listener.address();

    let forged = |role| shown(&Authority::new(role, file.pool(), Secret::random().unwrap()));
    let stolen = CertifiedKey::new(
        shown(&file.member_authority()).cert.clone(),
        handshake_key(&Secret::random().unwrap()),
    );
    let garbage = CertifiedKey::new(
        vec![CertificateDer::from(b"no certificate".to_vec())],
        handshake_key(&Secret::random().unwrap()),
    );
    for (who, tls, reason) in [
        ("no certificate", showing(&good, None), Refusal::NoCertificate),
        ("a member of another pool", gullible(&member(&other_file)), Refusal::OtherPool),
        ("a client of another pool", gullible(&client(&other_client_file)), Refusal::OtherPool),
        ("self-signed", showing(&good, Some(self_signed())), Refusal::OtherPool),
        (
            "the pool's name, another secret",
            showing(&good, Some(forged(Role::Member))),
            Refusal::BadCertificate,
        ),
        ("the same as client", showing(&good, Some(forged(Role::Client))), Refusal::BadCertificate),
        ("a certificate without its key", showing(&good, Some(Arc::new(stolen))), Refusal::BadCertificate),
        ("garbage as certificate", showing(&good, Some(Arc::new(garbage))), Refusal::NotAMember),
    ] {
        match attack(tls, address).await {
            ConnectError::Refused { reason: found, .. } => assert_eq!(found, reason, "{who}"),
            error => panic!("{who}: {error}"),
        }
        listener.serves_only(&good).await;
    }
    listener.serves_only(&client(&client_file)).await;
}

#[tokio::test]
async fn peers_of_different_pools_tell_each_other_apart() {
    let (listener, stranger) = (Listener::start(member(&pool().0)), member(&pool().0));
    let error = dial(&stranger, listener.address(), Channel::Control).await.unwrap_err();
    let expected = format!(
        "{} is not trusted: the certificate is of another pool or of a secret that was replaced; use files of the same pool",
        listener.address()
    );
    assert_eq!(error.to_string(), expected);
}

/// A clock that is `hours` off.
fn clock(hours: i64) -> Arc<TestClock> {
    TestClock::at(now().as_secs().saturating_add_signed(hours * 3600))
}

#[tokio::test]
async fn expired_and_not_yet_valid_certificates_are_refused_and_clocks_may_differ_by_hours() {
    let (file, client_file) = pool();
    let mut listener = Listener::start(member(&file));
    let address = listener.address();
    let right = || clock(0);
    for (hours, fits) in [(-25, false), (-23, true), (11, true), (13, false)] {
        let guests = [
            Identity::member_at(&file, Validity::default(), clock(hours), right()).unwrap(),
            Identity::client_at(&client_file, Validity::default(), clock(hours), right()).unwrap(),
        ];
        for guest in guests {
            // The guest shows what its clock made long ago; nothing renews it, as that clock stands still.
            match dial(&guest, address, Channel::Control).await {
                Ok(_) if fits => assert_eq!(listener.next().await.peer_id(), guest.node_id()),
                Err(ConnectError::Refused { reason: Refusal::NotValidNow, .. }) if !fits => {}
                other => panic!("{hours}: {other:?}"),
            }
        }
        // A clock that is wrong altogether: both certificates have to be valid by both clocks.
        let wrong = Identity::member_at(&file, Validity::default(), clock(hours), clock(hours)).unwrap();
        match dial(&wrong, address, Channel::Control).await {
            Ok(_) if (-12..=12).contains(&hours) => {
                assert_eq!(listener.next().await.peer_id(), wrong.node_id())
            }
            Err(
                ConnectError::Refused { reason: Refusal::NotValidNow, .. }
                | ConnectError::Untrusted { reason: Refusal::NotValidNow, .. },
            ) if !(-12..=12).contains(&hours) => {}
            other => panic!("{hours}: {other:?}"),
        }
    }
    listener.serves_only(&member(&file)).await;
}

#[tokio::test]
async fn a_certificate_is_renewed_for_new_connections_and_existing_ones_go_on() {
    let (file, _) = pool();
    let clock = clock(0);
    let at = |hours: u64| clock.set(now().as_secs() + hours * 3600);
    let identity = || Identity::member_at(&file, Validity::default(), clock.clone(), clock.clone()).unwrap();
    let (host, guest) = (identity(), identity());
    let mut listener = Listener::start(host.clone());
    let first = dial(&guest, listener.address(), Channel::Control).await.unwrap();
    let accepted = listener.next().await;
    for days in [1, 2, 30, 400] {
        at(days * 24);
        let later = dial(&guest, listener.address(), Channel::Control).await.unwrap();
        assert_eq!(later.peer_id(), host.node_id());
        assert_eq!(listener.next().await.peer_id(), guest.node_id());
    }
    let mut stream = first.open_uni().await.unwrap();
    stream.write_all(b"old friend").await.unwrap();
    stream.finish().unwrap();
    assert_eq!(accepted.accept_uni().await.unwrap().read_to_end(100).await.unwrap(), b"old friend");
}

#[tokio::test]
async fn another_version_of_the_protocol_is_refused() {
    let (file, _) = pool();
    let good = member(&file);
    let mut listener = Listener::start(member(&file));
    for protocols in [vec![b"mapreduce-control/1".to_vec()], vec![b"h3".to_vec()], vec![]] {
        let mut tls = good.client_config(Channel::Control);
        tls.alpn_protocols = protocols.clone();
        match attack(tls, listener.address()).await {
            ConnectError::Refused { reason: Refusal::Protocol, .. } => {}
            // Who names no protocol at all gets through TLS, and is closed before a connection comes of it.
            ConnectError::Lost { .. } if protocols.is_empty() => {}
            error => panic!("{protocols:?}: {error}"),
        }
        listener.serves_only(&good).await;
    }
}

/// A server with any TLS that accepts everyone and says nothing.
fn impostor(mut tls: rustls::ServerConfig, asks: bool) -> quinn::Endpoint {
    if !asks {
        let resolver = tls.cert_resolver.clone();
        tls = rustls::ServerConfig::builder_with_provider(crate::tls::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        tls.alpn_protocols = vec![Channel::Control.alpn().as_bytes().to_vec()];
    }
    let config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()));
    let endpoint = quinn::Endpoint::server(config, loopback()).unwrap();
    let accepting = endpoint.clone();
    tokio::spawn(async move {
        while let Some(incoming) = accepting.accept().await {
            tokio::spawn(async move {
                if let Ok(connection) = incoming.await {
                    connection.closed().await;
                }
            });
        }
    });
    endpoint
}

#[tokio::test]
async fn whoever_is_not_a_member_is_not_trusted_as_a_server() {
    let (file, client_file) = pool();
    let old = Identity::member_at(&file, Validity::default(), clock(-25), clock(0)).unwrap();
    let other = member(&pool().0);
    for (who, identity, expected) in [
        ("a client", client(&client_file), Refusal::NotAMember),
        ("a member of another pool", other, Refusal::OtherPool),
        ("an expired member", old, Refusal::NotValidNow),
    ] {
        let server = impostor(identity.server_config(), false);
        let address = server.local_addr().unwrap();
        for guest in [member(&file), client(&client_file)] {
            match dial(&guest, address, Channel::Control).await {
                Err(ConnectError::Untrusted { reason, .. }) => assert_eq!(reason, expected, "{who}"),
                other => panic!("{who}: {other:?}"),
            }
        }
    }
}

/// What whoever holds a client file can make at worst: a certificate that says everything a member's says.
fn boastful(client_file: &ClientFile) -> Arc<CertifiedKey> {
    let authority = client_file.client_authority();
    let seed = Secret::random().unwrap();
    let mut leaf = CertificateParams::new(vec![crate::trust::MEMBER_NAME.to_owned()]).unwrap();
    leaf.serial_number = Some(SerialNumber::from_slice(&[1]));
    let mut issuer = CertificateParams::default();
    issuer.distinguished_name = DistinguishedName::new();
    issuer.distinguished_name.push(DnType::CommonName, format!("mapreduce clients {}", authority.pool()));
    let sign = |seed: &Secret| Signer(Ed25519KeyPair::from_seed_unchecked(seed.expose()).unwrap());
    let certificate = leaf.signed_by(&sign(&seed), &Issuer::new(issuer, sign(authority.seed()))).unwrap();
    Arc::new(CertifiedKey::new(vec![certificate.der().clone()], handshake_key(&seed)))
}

#[tokio::test]
async fn a_client_that_says_it_is_a_member_remains_a_client() {
    let (file, client_file) = pool();
    let certificate = boastful(&client_file);
    let mut listener = Listener::start(member(&file));
    let mut tls = client(&client_file).client_config(Channel::Control);
    tls.client_auth_cert_resolver = Arc::new(Shows(Some(certificate.clone())));
    let endpoint = quinn::Endpoint::client(loopback()).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let _connection = endpoint.connect_with(config, listener.address(), "any").unwrap().await.unwrap();
    assert_eq!(listener.next().await.peer_role(), Role::Client);

    let mut tls = member(&file).server_config();
    tls.cert_resolver = Arc::new(SingleCertAndKey::from(CertifiedKey::clone(&certificate)));
    let server = impostor(tls, false);
    for guest in [member(&file), client(&client_file)] {
        let error = dial(&guest, server.local_addr().unwrap(), Channel::Control).await.unwrap_err();
        assert!(matches!(error, ConnectError::Untrusted { reason: Refusal::OtherPool, .. }), "{error}");
    }
}

#[tokio::test]
async fn a_member_that_gives_no_welcome_is_not_waited_for_longer_than_the_timeout() {
    let (file, _) = pool();
    let server = impostor(member(&file).server_config(), true);
    let limits = Limits { connect_timeout_ms: 200, ..Limits::default() };
    let (endpoint, _acceptor) = Endpoint::listen(loopback(), member(&file), &limits).unwrap();
    let error = endpoint.connect(server.local_addr().unwrap(), Channel::Control).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { waited, .. } if waited == Duration::from_millis(200)));
}

#[tokio::test]
async fn a_client_cannot_listen() {
    let error = Endpoint::listen(loopback(), client(&pool().1), &Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "only members can be connected to; use the member file of the pool");
}
