//! [`Identity`]: who a process is, what it shows, and whom it trusts.

use crate::{
    NodeId, PoolId,
    authority::anchor,
    leaf::{Clock, LeafStore, Validity},
    pool_file::{ClientFile, MemberFile, PoolFile},
    secret::{Secret, derive},
    tls,
    transport::Channel,
    trust::{Trust, node_id},
};
use rustls::{
    crypto::ring::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor, pem::PemObject},
    sign::CertifiedKey,
    time_provider::DefaultTimeProvider,
};
use std::{fmt, net::SocketAddr, sync::Arc};

/// What a party of a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Serves tasks, is connected to, tells of other members, and may submit jobs.
    Member,
    /// Submits jobs.
    Client,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Member => "member",
            Self::Client => "client",
        })
    }
}

/// Who a process is: its certificate and key, and whom it trusts. Cheap to clone.
///
/// ```
/// use mapreduce_net::{Identity, Role, Validity, pool_file::PoolFile};
/// let (member, client) = PoolFile::create(vec!["10.0.0.1".parse()?])?;
/// let peer = Identity::member(&member, Validity::default())?;
/// let driver = Identity::client(&client, Validity::default())?;
/// assert_eq!((peer.role(), driver.role()), (Role::Member, Role::Client));
/// assert_ne!(peer.node_id(), driver.node_id());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    role: Role,
    node_id: NodeId,
    pool: Option<PoolId>,
    leaf: Arc<LeafStore>,
    trust: Arc<Trust>,
    clock: Clock,
    /// What stateless-reset keys are derived from; none where they are of no use.
    reset: Option<Secret>,
}

/// The certificates of users with their own authorities, all in PEM.
///
/// Every member needs a certificate with the DNS name `member.mapreduce.internal` and, if usages are limited, both TLS
/// server and TLS client authentication. Whoever has such a certificate by one of the member roots is a member; whoever
/// has any other certificate by one of the client roots is a client. The two may be the same. Give every process a key
/// of its own, as its [`NodeId`] follows from it, and replace the process before its certificate expires.
#[derive(Clone, Copy)]
pub struct Certificates<'a> {
    /// The certificate of this process, followed by intermediate ones up to a root (which may be left out).
    pub chain_pem: &'a [u8],
    /// The private key of this process (PKCS #8, PKCS #1 or SEC1): Ed25519, ECDSA with P-256 or P-384, or RSA.
    pub key_pem: &'a [u8],
    /// The authorities that make members.
    pub member_roots_pem: &'a [u8],
    /// The authorities that make clients; empty if only members submit.
    pub client_roots_pem: &'a [u8],
}

/// Why an [`Identity`] could not be made. No message holds anything of a key.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The [`Validity`] is out of range.
    #[error("certificates must live from a minute to a year, and start at most a year back")]
    Validity,
    /// The process could not issue its certificate.
    #[error("cannot make a certificate for this process: {message}")]
    Issue {
        /// Why.
        message: String,
    },
    /// Something in the user's [`Certificates`] cannot be used.
    #[error("the {what} cannot be used: {message}")]
    Certificates {
        /// Which of them.
        what: &'static str,
        /// Why.
        message: String,
    },
}

impl Identity {
    /// A member of the pool of `file`, with a new key.
    ///
    /// # Errors
    /// [`IdentityError::Validity`], and [`IdentityError::Issue`] if the system has no random numbers or its clock shows
    /// a time before 1970 or after 9999.
    pub fn member(file: &MemberFile, validity: Validity) -> Result<Self, IdentityError> {
        Self::member_at(file, validity, system_clock(), system_clock())
    }

    /// A client of the pool of `file`, with a new key.
    ///
    /// # Errors
    /// Those of [`Identity::member`].
    pub fn client(file: &ClientFile, validity: Validity) -> Result<Self, IdentityError> {
        Self::client_at(file, validity, system_clock(), system_clock())
    }

    /// What `file` allows: a member with a member file, a client with a client file.
    ///
    /// # Errors
    /// Those of [`Identity::member`].
    pub fn from_pool_file(file: &PoolFile, validity: Validity) -> Result<Self, IdentityError> {
        match file {
            PoolFile::Member(file) => Self::member(file, validity),
            PoolFile::Client(file) => Self::client(file, validity),
        }
    }

    /// A party with certificates of the user's own authorities, instead of a pool file. The role is what others will
    /// see in the certificate.
    ///
    /// # Errors
    /// [`IdentityError::Certificates`] says which of them is empty, malformed, not fitting the key, expired, or not by
    /// the given roots.
    pub fn from_certificates(certificates: Certificates<'_>) -> Result<Self, IdentityError> {
        let clock = system_clock();
        let chain = certificates_of("certificate", certificates.chain_pem)?;
        let failed =
            |what, error: &dyn fmt::Display| IdentityError::Certificates { what, message: error.to_string() };
        let key =
            PrivateKeyDer::from_pem_slice(certificates.key_pem).map_err(|error| failed("key", &error))?;
        let reset = derive(key.secret_der(), &[b"reset"]);
        let key = any_supported_type(&key).map_err(|error| failed("key", &error))?;
        let members = anchors("member roots", certificates.member_roots_pem)?;
        let clients = match certificates.client_roots_pem {
            [] => Vec::new(),
            pem => anchors("client roots", pem)?,
        };
        let trust =
            Trust::new(members, clients, &tls::provider()).map_err(|error| failed("member roots", &error))?;
        let now = clock.current_time().ok_or_else(|| failed("certificate", &"the clock is before 1970"))?;
        let (role, node_id) = trust.identify(&chain, now).map_err(|error| failed("certificate", &error))?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|_| failed("key", &"it does not belong to the certificate"))?;
        Ok(Self(Arc::new(Inner {
            role,
            node_id,
            pool: None,
            leaf: Arc::new(LeafStore::Given(Arc::new(certified))),
            trust: Arc::new(trust),
            clock,
            reset: (role == Role::Member).then_some(reset),
        })))
    }

    /// The role others see.
    pub fn role(&self) -> Role {
        self.0.role
    }

    /// The id others see.
    pub fn node_id(&self) -> NodeId {
        self.0.node_id
    }

    /// The pool whose file this was made from; `None` with the user's own [`Certificates`].
    pub fn pool(&self) -> Option<PoolId> {
        self.0.pool
    }

    /// As [`Identity::member`], with clocks to issue and to verify by.
    pub(crate) fn member_at(
        file: &MemberFile,
        validity: Validity,
        issue: Clock,
        verify: Clock,
    ) -> Result<Self, IdentityError> {
        let (members, clients) = (file.member_authority(), file.client_authority());
        let trust = Trust::new(vec![members.anchor()], vec![clients.anchor()], &tls::provider());
        let trust = trust.expect("there is a member authority");
        Self::issuing(members, trust, validity, issue, verify, Some(file.reset_secret()))
    }

    /// As [`Identity::client`], with clocks to issue and to verify by.
    pub(crate) fn client_at(
        file: &ClientFile,
        validity: Validity,
        issue: Clock,
        verify: Clock,
    ) -> Result<Self, IdentityError> {
        let members = anchor(Role::Member, file.pool(), file.member_authority());
        let trust = Trust::new(vec![members], Vec::new(), &tls::provider());
        let trust = trust.expect("there is a member authority");
        Self::issuing(file.client_authority(), trust, validity, issue, verify, None)
    }

    fn issuing(
        authority: crate::authority::Authority,
        trust: Trust,
        validity: Validity,
        issue: Clock,
        verify: Clock,
        reset: Option<Secret>,
    ) -> Result<Self, IdentityError> {
        if !validity.is_valid() {
            return Err(IdentityError::Validity);
        }
        let (role, pool) = (authority.role(), authority.pool());
        let failed = |message: String| IdentityError::Issue { message };
        let leaf =
            LeafStore::issuing(authority, validity, issue).map_err(|error| failed(error.to_string()))?;
        let node_id = node_id(&leaf.current().cert[0]).map_err(|error| failed(error.to_string()))?;
        Ok(Self(Arc::new(Inner {
            role,
            node_id,
            pool: Some(pool),
            leaf: Arc::new(leaf),
            trust: Arc::new(trust),
            clock: verify,
            reset,
        })))
    }

    /// What TLS does when this process is connected to.
    pub(crate) fn server_config(&self) -> rustls::ServerConfig {
        tls::server_config(self.0.leaf.clone(), self.0.trust.clone(), self.0.clock.clone())
    }

    /// What TLS does when this process connects.
    pub(crate) fn client_config(&self, channel: Channel) -> rustls::ClientConfig {
        tls::client_config(self.0.leaf.clone(), self.0.trust.clone(), self.0.clock.clone(), channel)
    }

    /// Role and id of the other side of a connection whose handshake is over.
    pub(crate) fn identify(&self, chain: &[CertificateDer<'_>]) -> Result<(Role, NodeId), rustls::Error> {
        let now = self.0.clock.current_time().ok_or(rustls::Error::FailedToGetCurrentTime)?;
        self.0.trust.identify(chain, now)
    }

    /// The key for stateless resets of what listens on `address`: the same after a restart, so that peers learn at once
    /// that the connections of the process before are gone. `None` for clients, who listen nowhere.
    pub(crate) fn reset_key(&self, address: SocketAddr) -> Option<Secret> {
        self.0.reset.as_ref().map(|secret| secret.derive(&[address.to_string().as_bytes()]))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("role", &self.0.role)
            .field("node_id", &self.0.node_id)
            .field("pool", &self.0.pool)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Certificates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

fn system_clock() -> Clock {
    Arc::new(DefaultTimeProvider)
}

fn certificates_of(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let failed = |message: String| IdentityError::Certificates { what, message };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(failed("there is no certificate in the PEM text".to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(failed(error.to_string())),
    }
}

fn anchors(what: &'static str, pem: &[u8]) -> Result<Vec<TrustAnchor<'static>>, IdentityError> {
    let mut store = rustls::RootCertStore::empty();
    for certificate in certificates_of(what, pem)? {
        let failed = |error: rustls::Error| IdentityError::Certificates { what, message: error.to_string() };
        store.add(certificate).map_err(failed)?;
    }
    Ok(store.roots)
}

#[cfg(test)]
mod tests;
