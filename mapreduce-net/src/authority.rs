//! [`Authority`]: the keys that make certificates of a pool, derived from its secret.
//!
//! An authority is an Ed25519 key and a name. It has no certificate of its own: whoever verifies takes name and public
//! key as the trust anchor, so both follow from what the pool file says and nothing has to be stored or renewed.

use crate::{PoolId, Role, leaf::Validity, secret::Secret, trust::MEMBER_NAME};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyIdMethod,
    KeyUsagePurpose, PKCS_ED25519, PublicKeyData, SerialNumber, SignatureAlgorithm,
};
use ring::{
    rand::{SecureRandom, SystemRandom},
    signature::{Ed25519KeyPair, KeyPair},
};
use rustls::{
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, TrustAnchor, UnixTime},
    sign::SigningKey,
};
use std::{fmt, sync::Arc};
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// An Ed25519 public key.
pub(crate) type PublicKey = [u8; 32];

/// Makes the certificates of the members or of the clients of one pool.
pub(crate) struct Authority {
    role: Role,
    pool: PoolId,
    seed: Secret,
    public_key: PublicKey,
}

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssueError {
    #[error("the system gives no random numbers")]
    NoRandomness,
    #[error("the clock shows a time that no certificate can hold")]
    Clock,
    #[error("the certificate cannot be written: {0}")]
    Encoding(#[from] rcgen::Error),
}

impl Authority {
    /// The authority with this private key.
    pub(crate) fn new(role: Role, pool: PoolId, seed: Secret) -> Self {
        let public_key = public_key(&seed);
        Self { role, pool, seed, public_key }
    }

    /// The member authority with this private key, which gives its pool its id.
    pub(crate) fn founding(seed: Secret) -> Self {
        let public_key = public_key(&seed);
        Self { role: Role::Member, pool: PoolId::of_member_authority(&public_key), seed, public_key }
    }

    pub(crate) fn pool(&self) -> PoolId {
        self.pool
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    #[cfg(test)]
    pub(crate) fn seed(&self) -> &Secret {
        &self.seed
    }

    pub(crate) fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// What verifiers of this authority's certificates trust.
    pub(crate) fn anchor(&self) -> TrustAnchor<'static> {
        anchor(self.role, self.pool, &self.public_key)
    }

    /// A certificate for the process that holds the private key of `leaf`, valid around `now`.
    ///
    /// Members may be servers and clients of TLS, clients only clients.
    pub(crate) fn issue(
        &self,
        leaf: &PublicKey,
        validity: Validity,
        now: UnixTime,
    ) -> Result<CertificateDer<'static>, IssueError> {
        let mut serial = [0; 16];
        SystemRandom::new().fill(&mut serial).map_err(|_| IssueError::NoRandomness)?;
        // Serial numbers are positive and have at most 20 bytes (RFC 5280, section 4.1.2.2).
        serial[0] = serial[0] & 0x7f | 0x40;
        let now = i64::try_from(now.as_secs()).map_err(|_| IssueError::Clock)?;
        let moment = |seconds: Option<i64>| {
            seconds
                .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
                .filter(|moment| (1970..=9999).contains(&moment.year()))
                .ok_or(IssueError::Clock)
        };
        let (names, usages) = match self.role {
            Role::Member => (
                vec![MEMBER_NAME.to_owned()],
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            ),
            Role::Client => (Vec::new(), vec![ExtendedKeyUsagePurpose::ClientAuth]),
        };
        let mut params = CertificateParams::new(names)?;
        params.not_before = moment(now.checked_sub(validity.skew_s()))?;
        params.not_after = moment(now.checked_add(validity.lifetime_s()))?;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.distinguished_name = common_name(&format!("mapreduce {}", self.role));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = usages;
        let mut issuer = CertificateParams::default();
        issuer.distinguished_name = common_name(&authority_name(self.role, self.pool));
        issuer.key_identifier_method = KeyIdMethod::PreSpecified(self.public_key[..20].to_vec());
        let issuer = Issuer::new(issuer, Signer(key_pair(&self.seed)));
        Ok(params.signed_by(&LeafKey(leaf), &issuer)?.der().clone())
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("role", &self.role)
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}

/// What to trust of an authority of which only the public key is known.
pub(crate) fn anchor(role: Role, pool: PoolId, public_key: &PublicKey) -> TrustAnchor<'static> {
    TrustAnchor {
        subject: der_common_name(&authority_name(role, pool)).into(),
        subject_public_key_info: [&SPKI_ED25519[..], public_key].concat().into(),
        name_constraints: None,
    }
}

/// The private key with this seed in the form that rustls reads (PKCS #8, RFC 8410).
pub(crate) fn pkcs8(seed: &Secret) -> Zeroizing<Vec<u8>> {
    const PREFIX: [u8; 16] =
        [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let mut der = Zeroizing::new(Vec::with_capacity(PREFIX.len() + 32));
    der.extend_from_slice(&PREFIX);
    der.extend_from_slice(seed.expose());
    der
}

/// The private key with this seed, for rustls to sign handshakes with.
pub(crate) fn handshake_key(seed: &Secret) -> Arc<dyn SigningKey> {
    let der = pkcs8(seed);
    rustls::crypto::ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(der.as_slice()))
        .expect("every 32 bytes are an Ed25519 private key")
}

/// The public key that belongs to a private key.
pub(crate) fn public_key(seed: &Secret) -> PublicKey {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(key_pair(seed).public_key().as_ref());
    bytes
}

/// The contents of a `SubjectPublicKeyInfo` up to the key: `SEQUENCE { OID id-Ed25519 }, BIT STRING ...` (RFC 8410).
const SPKI_ED25519: [u8; 10] = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

fn key_pair(seed: &Secret) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(seed.expose()).expect("every 32 bytes are an Ed25519 private key")
}

/// The name holds the pool, so that a certificate of another pool is told apart from a forged one.
fn authority_name(role: Role, pool: PoolId) -> String {
    format!("mapreduce {role}s {pool}")
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished_name = DistinguishedName::new();
    distinguished_name.push(DnType::CommonName, name);
    distinguished_name
}

/// The contents of a DER `Name` with one common name, as rcgen writes it: `SET { SEQUENCE { OID, UTF8String } }`.
fn der_common_name(name: &str) -> Vec<u8> {
    let length = |bytes: usize| u8::try_from(bytes).expect("the names of authorities are short");
    let mut der = vec![0x31, length(name.len() + 9), 0x30, length(name.len() + 7)];
    der.extend_from_slice(&[0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, length(name.len())]);
    der.extend_from_slice(name.as_bytes());
    der
}

/// Lets rcgen sign with ring.
pub(crate) struct Signer(pub(crate) Ed25519KeyPair);

impl PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

impl rcgen::SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

/// The key a certificate is for.
struct LeafKey<'a>(&'a PublicKey);

impl PublicKeyData for LeafKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_secret_makes_the_same_authority() {
        let seed = Secret::random().unwrap();
        let (one, two) = (Authority::founding(seed.clone()), Authority::founding(seed));
        assert_eq!(one.public_key(), two.public_key());
        assert_eq!(one.pool(), two.pool());
        assert_eq!(one.anchor().subject, two.anchor().subject);
        assert_ne!(Authority::founding(Secret::random().unwrap()).pool(), one.pool());
    }

    #[test]
    fn public_keys_are_those_of_rfc_8032() {
        // Section 7.1, test 1.
        let decode = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
        let seed = decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let secret = Secret::from_base64(&data_encoding::BASE64.encode(&seed)).unwrap();
        let expected = decode("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        assert_eq!(public_key(&secret).as_slice(), expected);
    }

    #[test]
    fn a_clock_outside_the_years_of_certificates_is_an_error() {
        let authority = Authority::founding(Secret::random().unwrap());
        for seconds in [0, 60 * 60, 400_000_000_000, u64::MAX] {
            let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
            let error = authority.issue(&[1; 32], Validity::default(), now).unwrap_err();
            assert!(matches!(error, IssueError::Clock), "{seconds}: {error}");
        }
    }

    #[test]
    fn debug_output_shows_no_key() {
        let authority = Authority::founding(Secret::random().unwrap());
        let expected = format!("Authority {{ role: Member, pool: {:?}, .. }}", authority.pool());
        assert_eq!(format!("{authority:?}"), expected);
    }
}
