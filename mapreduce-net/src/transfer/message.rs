//! What the two sides of a transfer say to each other, besides the request and the body.
//!
//! A change here is one of the protocol: see the end of `docs/protocol.md`.

use mapreduce_core::TaskFailure;
use serde::{Deserialize, Serialize};

/// The first words of a server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The body follows.
    Offer(Offer),
    /// It follows in blocks, compressed as far as that makes them smaller.
    Compressed(Offer),
    /// It does not.
    Refused(Refusal),
}

/// What a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Offer {
    /// The blobs.
    pub(super) blobs: u64,
    /// Bytes of the body: of the blobs and what is in front of each.
    pub(super) bytes: u64,
}

/// Allows the server to send more of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Credit {
    /// How much more. 0 says that the requester is there and waits.
    pub(super) bytes: u64,
}

/// Why a request is not served.
#[derive(Clone, Debug, Serialize, Deserialize, thiserror::Error)]
pub(crate) enum Refusal {
    /// It is not there, or no longer.
    #[error("{what} is not there, or no longer")]
    Unknown {
        /// What was asked for.
        what: String,
    },
    /// The split could not be read.
    #[error("the input cannot be read: {failure}")]
    Read {
        /// What went wrong.
        failure: TaskFailure,
        /// Another attempt would fail in the same way.
        permanent: bool,
    },
}
