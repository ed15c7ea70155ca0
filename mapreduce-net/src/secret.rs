//! [`Secret`]: 32 bytes that are wiped from memory after use and never shown.

use ring::{
    hkdf,
    rand::{SecureRandom, SystemRandom},
};
use std::fmt;
use zeroize::Zeroizing;

/// How many bytes a secret has.
const BYTES: usize = 32;
/// Separates the keys of this library from those of anything else that might be fed the same secret.
const SALT: &[u8] = b"mapreduce pool 1";

/// A secret of 256 bits: the secret of a pool, or the seed of a key derived from it.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<[u8; BYTES]>);

impl Secret {
    /// A secret from the random numbers of the system, or `None` if it has none to give.
    pub(crate) fn random() -> Option<Self> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        SystemRandom::new().fill(bytes.as_mut()).ok()?;
        Some(Self(bytes))
    }

    /// Reads what [`Secret::to_base64`] wrote; `None` if it is anything else.
    pub(crate) fn from_base64(text: &str) -> Option<Self> {
        base64_key(text).map(Self)
    }

    /// The secret as a person or a file sees it.
    pub(crate) fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(data_encoding::BASE64.encode(self.expose()))
    }

    /// The bytes, for the one place that needs them.
    pub(crate) fn expose(&self) -> &[u8; BYTES] {
        &self.0
    }

    /// The secret for `purpose` that follows from this one (HKDF-SHA256, RFC 5869), independent of all others.
    pub(crate) fn derive(&self, purpose: &[&[u8]]) -> Self {
        derive(self.expose(), purpose)
    }
}

/// Derives a secret for `purpose` from key material of any length.
pub(crate) fn derive(material: &[u8], purpose: &[&[u8]]) -> Secret {
    let key = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(material);
    let mut bytes = Zeroizing::new([0; BYTES]);
    key.expand(purpose, hkdf::HKDF_SHA256)
        .and_then(|output| output.fill(bytes.as_mut()))
        .expect("one block of HKDF-SHA256 is 32 bytes");
    Secret(bytes)
}

/// Decodes 32 bytes of base64 without leaving a copy behind.
pub(crate) fn base64_key(text: &str) -> Option<Zeroizing<[u8; BYTES]>> {
    // Decoding 44 characters may touch 33 bytes before the padding is taken off.
    let mut buffer = Zeroizing::new([0; BYTES + 1]);
    if data_encoding::BASE64.decode_len(text.len()).ok()? != buffer.len() {
        return None;
    }
    let length = data_encoding::BASE64.decode_mut(text.as_bytes(), buffer.as_mut()).ok()?;
    let mut bytes = Zeroizing::new([0; BYTES]);
    bytes.copy_from_slice(buffer.get(..length).filter(|bytes| bytes.len() == BYTES)?);
    Some(bytes)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_back_from_their_text() {
        let secret = Secret::random().unwrap();
        let read = Secret::from_base64(&secret.to_base64()).unwrap();
        assert_eq!(secret.expose(), read.expose());
        for wrong in ["", "AAAA", &secret.to_base64()[1..], &format!("{}AAAA", *secret.to_base64())] {
            assert!(Secret::from_base64(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn every_purpose_has_its_own_secret_and_always_the_same() {
        let secret = Secret::random().unwrap();
        let member = secret.derive(&[b"member"]);
        assert_eq!(member.expose(), secret.derive(&[b"member"]).expose());
        assert_ne!(member.expose(), secret.derive(&[b"client"]).expose());
        assert_ne!(member.expose(), Secret::random().unwrap().derive(&[b"member"]).expose());
    }

    #[test]
    fn derivation_is_hkdf_sha256() {
        // Computed with Python's hmac and hashlib from RFC 5869: extract with the salt, expand with the purpose.
        let expected = "42e157e1fcb34f6b7706957724a406c11f0dcec60b43ca214429b8f463a87e73";
        let derived = derive(&[7; 32], &[b"purpose"]);
        assert_eq!(data_encoding::HEXLOWER.encode(derived.expose()), expected);
    }

    #[test]
    fn debug_output_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::random().unwrap()), "Secret(..)");
    }
}
