//! Pool files: what a machine needs to join or use a pool.
//!
//! A **member file** holds the secret of the pool: a process that has it can be a member, and make client files. A
//! **client file** can submit jobs but cannot be a member: it holds the key of the client authority and, to recognize
//! members, the public key of the member authority. Both hold the addresses through which the pool can be joined.
//!
//! ```
//! use mapreduce_net::pool_file::{MemberFile, PoolFile};
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("lab.pool");
//! # let client_path = folder.path().join("lab.pool.client");
//! let (member, client) = PoolFile::create(vec!["10.0.0.1".parse()?, "10.0.0.2".parse()?])?;
//! member.save(&path)?;
//! client.save(&client_path)?;
//!
//! let member = MemberFile::load(&path)?;
//! assert_eq!(member.addresses()[0].to_string(), "10.0.0.1:7077");
//! assert!(MemberFile::load(&client_path).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod error;
mod storage;
mod text;

pub use address::{AddressError, DEFAULT_PORT, PoolAddress};
pub use error::PoolFileError;

use crate::{
    Role,
    authority::{Authority, PublicKey},
    ids::PoolId,
    secret::Secret,
};
use std::{fmt, path::Path};
use text::{Content, Keys, TextError};

/// The most addresses a pool file holds.
pub const ADDRESSES_MAX: usize = 64;

/// The two kinds of pool files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Holds the secret of the pool.
    Member,
    /// Can submit, but cannot be a member.
    Client,
}

/// A pool file of either kind, for programs that only submit jobs.
#[derive(Clone, Debug)]
pub enum PoolFile {
    /// A member file.
    Member(MemberFile),
    /// A client file.
    Client(ClientFile),
}

/// The file that makes a process a member of a pool.
#[derive(Clone)]
pub struct MemberFile {
    pool: PoolId,
    addresses: Vec<PoolAddress>,
    secret: Secret,
}

/// The file that lets a process submit jobs to a pool.
#[derive(Clone)]
pub struct ClientFile {
    pool: PoolId,
    addresses: Vec<PoolAddress>,
    client_key: Secret,
    member_authority: PublicKey,
}

impl PoolFile {
    /// Makes the two files of a new pool, with a new random secret. Nothing is written yet.
    ///
    /// # Errors
    /// [`PoolFileError::Addresses`] without addresses or with more than [`ADDRESSES_MAX`], and
    /// [`PoolFileError::NoRandomness`].
    pub fn create(addresses: Vec<PoolAddress>) -> Result<(MemberFile, ClientFile), PoolFileError> {
        if addresses.is_empty() || addresses.len() > ADDRESSES_MAX {
            return Err(PoolFileError::Addresses { found: addresses.len() });
        }
        let secret = Secret::random().ok_or(PoolFileError::NoRandomness)?;
        let member = MemberFile { pool: member_authority(&secret).pool(), addresses, secret };
        let client = member.client_file();
        Ok((member, client))
    }

    /// Reads a file of either kind.
    ///
    /// # Errors
    /// See [`MemberFile::load`]; either kind will do.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, PoolFileError> {
        let path = path.as_ref();
        let bytes = storage::read(path)?;
        Self::from_text(path, &bytes)
    }

    /// Which pool the file is of.
    pub fn pool(&self) -> PoolId {
        match self {
            Self::Member(file) => file.pool,
            Self::Client(file) => file.pool,
        }
    }

    /// Where the pool can be joined.
    pub fn addresses(&self) -> &[PoolAddress] {
        match self {
            Self::Member(file) => &file.addresses,
            Self::Client(file) => &file.addresses,
        }
    }

    /// Which kind of file this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Member(_) => Kind::Member,
            Self::Client(_) => Kind::Client,
        }
    }

    fn from_text(path: &Path, bytes: &[u8]) -> Result<Self, PoolFileError> {
        let path = || path.to_owned();
        let Content { pool, pool_line, addresses, keys } =
            text::parse(bytes).map_err(|error| match error {
                TextError::Foreign => PoolFileError::Foreign { path: path() },
                TextError::Version(found) => {
                    PoolFileError::Version { path: path(), found, expected: text::VERSION }
                }
                TextError::Damaged { line, reason } => PoolFileError::Damaged { path: path(), line, reason },
            })?;
        let (derived, file) = match keys {
            Keys::Member { secret } => {
                (member_authority(&secret).pool(), Self::Member(MemberFile { pool, addresses, secret }))
            }
            Keys::Client { client_key, member_authority } => (
                PoolId::of_member_authority(&member_authority),
                Self::Client(ClientFile { pool, addresses, client_key, member_authority }),
            ),
        };
        if derived == pool {
            return Ok(file);
        }
        let reason = format!("the keys are those of pool {derived}");
        Err(PoolFileError::Damaged { path: path(), line: pool_line, reason })
    }
}

impl MemberFile {
    /// Reads a member file.
    ///
    /// # Errors
    /// The file is missing or cannot be read; others than its owner may read it (where there are Unix permissions); it
    /// is no pool file, of another version, cut short or changed (with the line); or it is a client file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, PoolFileError> {
        match PoolFile::load(&path)? {
            PoolFile::Member(file) => Ok(file),
            PoolFile::Client(_) => Err(wrong_kind(path.as_ref(), Kind::Member, Kind::Client)),
        }
    }

    /// Writes the file with mode 0600: either whole or not at all, and never over another file.
    ///
    /// # Errors
    /// [`PoolFileError::Exists`] and [`PoolFileError::Write`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), PoolFileError> {
        let keys = Keys::Member { secret: self.secret.clone() };
        storage::write_new(path.as_ref(), text::write(self.pool, &self.addresses, &keys).as_bytes())
    }

    /// The client file of the pool: always the same keys, so a client file that was lost can be made again.
    pub fn client_file(&self) -> ClientFile {
        ClientFile {
            pool: self.pool,
            addresses: self.addresses.clone(),
            client_key: self.client_authority_seed(),
            member_authority: *self.member_authority().public_key(),
        }
    }

    /// The same pool with other addresses, for instance because the node it was founded on is gone.
    ///
    /// # Errors
    /// [`PoolFileError::Addresses`] as in [`PoolFile::create`].
    pub fn with_addresses(&self, addresses: Vec<PoolAddress>) -> Result<Self, PoolFileError> {
        if addresses.is_empty() || addresses.len() > ADDRESSES_MAX {
            return Err(PoolFileError::Addresses { found: addresses.len() });
        }
        Ok(Self { addresses, ..self.clone() })
    }

    /// Which pool the file is of.
    pub fn pool(&self) -> PoolId {
        self.pool
    }

    /// Where the pool can be joined.
    pub fn addresses(&self) -> &[PoolAddress] {
        &self.addresses
    }

    pub(crate) fn member_authority(&self) -> Authority {
        member_authority(&self.secret)
    }

    pub(crate) fn client_authority(&self) -> Authority {
        Authority::new(Role::Client, self.pool, self.client_authority_seed())
    }

    /// What stateless-reset keys are derived from.
    pub(crate) fn reset_secret(&self) -> Secret {
        self.secret.derive(&[b"reset"])
    }

    fn client_authority_seed(&self) -> Secret {
        self.secret.derive(&[b"client authority"])
    }
}

impl ClientFile {
    /// Reads a client file.
    ///
    /// # Errors
    /// Those of [`MemberFile::load`]. A member file is refused too: what only submits should not hold the secret. A
    /// program that takes either uses [`PoolFile::load`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, PoolFileError> {
        match PoolFile::load(&path)? {
            PoolFile::Client(file) => Ok(file),
            PoolFile::Member(_) => Err(wrong_kind(path.as_ref(), Kind::Client, Kind::Member)),
        }
    }

    /// Writes the file as [`MemberFile::save`] does.
    ///
    /// # Errors
    /// [`PoolFileError::Exists`] and [`PoolFileError::Write`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), PoolFileError> {
        let keys =
            Keys::Client { client_key: self.client_key.clone(), member_authority: self.member_authority };
        storage::write_new(path.as_ref(), text::write(self.pool, &self.addresses, &keys).as_bytes())
    }

    /// Which pool the file is of.
    pub fn pool(&self) -> PoolId {
        self.pool
    }

    /// Where the pool can be joined.
    pub fn addresses(&self) -> &[PoolAddress] {
        &self.addresses
    }

    pub(crate) fn member_authority(&self) -> &PublicKey {
        &self.member_authority
    }

    pub(crate) fn client_authority(&self) -> Authority {
        Authority::new(Role::Client, self.pool, self.client_key.clone())
    }
}

fn member_authority(secret: &Secret) -> Authority {
    Authority::founding(secret.derive(&[b"member authority"]))
}

fn wrong_kind(path: &Path, expected: Kind, found: Kind) -> PoolFileError {
    PoolFileError::Kind { path: path.to_owned(), expected, found }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Client => "client",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Member, Self::Client].into_iter().find(|kind| kind.name() == name)
    }

    /// What a file of this kind is for, for messages.
    fn can(self) -> &'static str {
        match self {
            Self::Member => "holds the secret of the pool",
            Self::Client => "can submit jobs but cannot be a member",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for MemberFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberFile")
            .field("pool", &self.pool)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientFile")
            .field("pool", &self.pool)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
