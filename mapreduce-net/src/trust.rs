//! [`Trust`]: whom a process takes for a member and whom for a client.
//!
//! A member is whoever shows a certificate that a member authority signed, that is valid now, and that names
//! [`MEMBER_NAME`]. A client is whoever shows one that a client authority signed and that is valid now. The name is what
//! keeps the two apart when a user's own authority signs both.

use crate::{NodeId, Role};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime},
    server::{
        ParsedCertificate, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use std::sync::Arc;

/// The DNS name in the certificate of every member. It is never looked up: `internal` is reserved for private use.
pub(crate) const MEMBER_NAME: &str = "member.mapreduce.internal";

/// Verifies the certificates of others, as server and as client.
#[derive(Debug)]
pub(crate) struct Trust {
    members_as_servers: Arc<WebPkiServerVerifier>,
    members: Arc<dyn ClientCertVerifier>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

impl Trust {
    /// Trusts members by `members` and clients by `clients`; without anchors for clients there are none.
    ///
    /// # Errors
    /// There are no anchors for members.
    pub(crate) fn new(
        members: Vec<TrustAnchor<'static>>,
        clients: Vec<TrustAnchor<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, rustls::client::VerifierBuilderError> {
        let store = |roots| Arc::new(RootCertStore { roots });
        let as_client = |roots| {
            WebPkiClientVerifier::builder_with_provider(store(roots), provider.clone())
                .clear_root_hint_subjects()
                .build()
        };
        Ok(Self {
            members_as_servers: WebPkiServerVerifier::builder_with_provider(
                store(members.clone()),
                provider.clone(),
            )
            .build()?,
            members: as_client(members)?,
            clients: if clients.is_empty() { None } else { Some(as_client(clients)?) },
        })
    }

    /// The role of whoever proved to hold the key of the first certificate of `chain`, and its id.
    pub(crate) fn identify(
        &self,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(Role, NodeId), Error> {
        let (leaf, intermediates) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        Ok((self.role(leaf, intermediates, now)?, node_id(leaf)?))
    }

    fn role(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Role, Error> {
        let not_a_member = match self.members.verify_client_cert(leaf, intermediates, now) {
            Ok(_) => match verify_server_name(&ParsedCertificate::try_from(leaf)?, &member_name()) {
                Ok(()) => return Ok(Role::Member),
                Err(error) => error,
            },
            // Expired, forged or malformed, but by its name a member's: that is what to tell.
            Err(error) if !is_unknown_issuer(&error) => return Err(error),
            Err(error) => error,
        };
        match &self.clients {
            Some(clients) => clients.verify_client_cert(leaf, intermediates, now).map(|_| Role::Client),
            None => Err(not_a_member),
        }
    }
}

/// The id that belongs to a certificate.
pub(crate) fn node_id(leaf: &CertificateDer<'_>) -> Result<NodeId, Error> {
    Ok(NodeId::of_public_key(&ParsedCertificate::try_from(leaf)?.subject_public_key_info()))
}

/// [`MEMBER_NAME`] as TLS wants it.
fn member_name() -> ServerName<'static> {
    ServerName::try_from(MEMBER_NAME).expect("the constant is a DNS name")
}

fn is_unknown_issuer(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(CertificateError::UnknownIssuer))
}

/// The server's side: members and clients may connect.
impl ClientCertVerifier for Trust {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Everyone has one certificate, so there is nothing to choose by hints.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.role(end_entity, intermediates, now).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.members.verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.members.verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.members.supported_verify_schemes()
    }
}

/// The client's side: only members are servers.
impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.members_as_servers.verify_server_cert(
            end_entity,
            intermediates,
            &member_name(),
            ocsp_response,
            now,
        )
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.members_as_servers.verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.members_as_servers.verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.members_as_servers.supported_verify_schemes()
    }
}
