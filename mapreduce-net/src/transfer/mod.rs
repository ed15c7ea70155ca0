//! Bulk data between nodes: splits, broadcast values, map output and reduce output, by one protocol.
//!
//! A transfer is one stream in both directions, opened by the **requester** with [`Open::Fetch`]. The **server** answers
//! with an [`Answer`], and if that is an offer, with the body and a trailer; the requester grants it bytes by [`Credit`]s.
//! Frames are those of [`frame`](crate::wire::frame), numbers are little-endian:
//!
//! | from | what | layout |
//! |---|---|---|
//! | requester | request | frame [`Open::Fetch`] |
//! | server | answer | frame [`Answer`]: an offer of `blobs` and `bytes` of body, compressed or not, or a refusal |
//! | requester | credits | frames [`Credit`], then the end of this half, as soon as all of the body is granted |
//! | server | body | for each blob: index `u32`, pairs `u64`, length `u64`, and as many bytes; in blocks, if compressed |
//! | server | trailer | blobs `u64`, bytes `u64`, xxh3 (64 bits) of the body `u64`, then the end |
//!
//! # Credits
//!
//! The server never sends more of the body than it was granted. The request itself grants [`FIRST_BYTES`], so a small
//! body comes with the answer. Beyond that the requester grants only what its [`Budget`] has room for, which it asks for
//! all the transfers of one [`fetch_runs`] in one go and once all offers are known. What was sent ahead until then stays
//! in the windows of the transport, which have bounds of their own. Then it keeps at most [`WINDOW_BYTES`] granted ahead
//! of what it has read.
//!
//! Nobody waits in a circle: whoever waits for the budget has nothing of it in hand, and whoever was let in asks for
//! no more of it. If all is more than the whole budget, it is let in alone. Splits and values then take what they take;
//! runs ([`fetch_runs`]) that do not fit into the budget count in the node's [`Memory`](mapreduce_core::Memory) if there
//! is room at that moment, and are spilled as they come if not. Neither waits for anybody, so a body of any size goes
//! through a budget of any size.
//!
//! Neither side waits for ever: whoever hears nothing for [`PATIENCE`] gives up. A requester that waits for its budget
//! says so by credits of no bytes.
//!
//! # Compression
//!
//! The server decides, for runs, whether the body is compressed ([`Compression`]) and says so in its answer. All lengths,
//! credits and the checksum are those of the body before compression.
//!
//! # Trust
//!
//! The requester checks every length and count against the offer, the checksum, and that nothing follows the trailer.
//! It reserves memory as bytes arrive: never for more than it has received once over, or has granted. A stream that is
//! reset or that ends early is an error of the stream ([`WireError`]), anything else [`FetchError::Corrupt`].

mod budget;
mod compression;
mod fetch;
mod join;
mod message;
mod receive;
mod runs;
mod serve;
#[cfg(test)]
mod tests;

pub(crate) use budget::{Budget, Portion};
pub use compression::Compression;
#[cfg(test)]
use fetch::fetch_all;
pub(crate) use fetch::{FetchError, Opener, fetch, fetch_output, fetch_runs};
pub(crate) use message::Refusal;
use message::{Answer, Credit, Offer};
pub(crate) use receive::{Blob, Fetched};
pub(crate) use runs::Arrived;
pub(crate) use serve::{Body, ServeError, refuse, serve, serve_compressed};

#[cfg(doc)]
use crate::wire::{WireError, message::Open};
use std::time::Duration;

/// Bytes of the body that a request grants.
const FIRST_BYTES: u64 = 64 << 10;

/// Bytes that the requester keeps granted ahead of what it has read: enough for 800 MB/s at a round trip of 10 ms.
const WINDOW_BYTES: u64 = 8 << 20;

/// The longest body: 256 GiB. A node that offers more has counted wrongly.
const BODY_BYTES_MAX: u64 = 1 << 38;

/// Bytes in front of each blob: index, pairs, length.
const BLOB_HEADER_BYTES: usize = 4 + 8 + 8;

/// Bytes behind the body: blobs, bytes, checksum.
const TRAILER_BYTES: usize = 8 + 8 + 8;

/// How long either side waits for the other to go on.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a requester that waits for its budget says that it is there.
const WAITING: Duration = Duration::from_secs(15);
