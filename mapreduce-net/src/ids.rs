//! [`NodeId`] and [`PoolId`]: names that follow from public keys.

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Who a process in a pool is: the first 16 bytes of the SHA-256 of its public key (the DER of its certificate's
/// `SubjectPublicKeyInfo`).
///
/// With pool files every process makes its key when it starts, so a node that starts again is another node, and a
/// certificate that is renewed keeps the id. With [`Certificates`](crate::Certificates) the id follows from the user's
/// key: the same after a restart, and equal in two processes that are given the same key (so do not share keys).
///
/// ```
/// use mapreduce_net::NodeId;
/// let id = NodeId::from_bytes([0xab; 16]);
/// assert_eq!(id.to_string(), "abababababababababababababababab");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId([u8; 16]);

/// Which pool a pool file belongs to: the first 16 bytes of a SHA-256 of the public key of the pool's member authority.
///
/// It is no secret. A pool whose secret is replaced is another pool.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolId([u8; 16]);

impl NodeId {
    /// The id with these bytes, as read from a message.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The id of whoever holds the key with this `SubjectPublicKeyInfo`.
    pub(crate) fn of_public_key(public_key_info_der: &[u8]) -> Self {
        Self(hash(&[public_key_info_der]))
    }
}

impl PoolId {
    /// The bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The id of the pool whose member authority has this Ed25519 key.
    pub(crate) fn of_member_authority(public_key: &[u8; 32]) -> Self {
        Self(hash(&[b"mapreduce pool id", public_key]))
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 16] {
    let hash = digest(&SHA256, &parts.concat());
    let mut id = [0; 16];
    id.copy_from_slice(&hash.as_ref()[..16]);
    id
}

/// The text is not 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is 32 digits from 0 to 9 and a to f")]
pub struct IdError;

macro_rules! text {
    ($id:ident) => {
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($id), "({})"), self)
            }
        }

        impl FromStr for $id {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).map_err(|_| IdError)?;
                bytes.try_into().map(Self).map_err(|_| IdError)
            }
        }
    };
}
text!(NodeId);
text!(PoolId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back_from_their_text() {
        let id = NodeId::of_public_key(b"key");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(format!("{id:?}"), format!("NodeId({id})"));
        for wrong in
            ["", "ab", "zz", &id.to_string()[1..], &format!("{id}00"), &id.to_string().to_uppercase()]
        {
            assert!(wrong.parse::<PoolId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn ids_are_the_start_of_a_sha_256() {
        assert_eq!(NodeId::of_public_key(b"abc").to_string(), "ba7816bf8f01cfea414140de5dae2223");
    }
}
