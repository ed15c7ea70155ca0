//! [`PoolFileError`]: why a pool file could not be made, written or read.

use super::Kind;
use std::{io, path::PathBuf};

/// Why a pool file could not be made, written or read. No message holds anything of a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolFileError {
    /// There is no such file.
    #[error("{}: no such pool file; make one with `pool create` or copy it from a machine that has it", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Other users of the machine may read the file (checked where there are Unix permissions).
    #[error("{}: others can read this key (mode {mode:04o}); run `chmod 600` on it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file does not begin like a pool file.
    #[error("{}: is not a pool file; give one that `pool create` has made", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file is of another version of the format.
    #[error("{}: is a pool file of version {found}, and this program reads version {expected}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
        /// The version this program reads and writes.
        expected: u32,
    },
    /// The file was cut short or changed.
    #[error("{}: line {line}: {reason}; copy the file again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A client file was given where a member file is needed, or the other way round.
    #[error("{}: is a {found} file, which {}; give the {expected} file", path.display(), found.can())]
    Kind {
        /// The file.
        path: PathBuf,
        /// What is needed.
        expected: Kind,
        /// What the file is.
        found: Kind,
    },
    /// There is a file with this name, which may be the only copy of a key.
    #[error("{}: is already there; remove it or choose another name", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be written. Nothing has appeared under its name.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A pool needs addresses through which it can be joined, and not more than [`ADDRESSES_MAX`](super::ADDRESSES_MAX).
    #[error("a pool file holds 1 to {max} addresses, not {found}", max = super::ADDRESSES_MAX)]
    Addresses {
        /// How many there were.
        found: usize,
    },
    /// The system has no random numbers to give.
    #[error("the system gives no random numbers, so no secret can be made")]
    NoRandomness,
}
