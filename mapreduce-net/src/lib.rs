//! The network side of a pool of peers: who belongs to it, and connections between those that do.
//!
//! Running jobs on a pool is not here yet. Jobs run on the threads of one process, by `mapreduce_core::Local`; the
//! coordinator for many peers, `mapreduce_core::schedule`, drives those runs too.
//!
//! # Layout
//!
//! * [`pool_file`]: the two files a pool is joined and used with, and the addresses in them;
//! * [`Identity`]: who a process is, which certificates it shows and whom it trusts;
//! * [`transport`]: authenticated, encrypted and bounded connections between processes, and their streams.
//!
//! Nothing crosses the network in clear or from a party that has not proved that it belongs to the pool. The threat
//! model, what is derived from what and what is verified when are in `docs/security.md`.

#![warn(clippy::exit, clippy::print_stderr, clippy::print_stdout)]

mod authority;
pub mod blocking;
#[cfg(feature = "cli")]
pub mod cli;
mod identity;
mod ids;
mod leaf;
mod mesh;
mod peer;
mod pool;
pub mod pool_file;
mod secret;
pub mod testing;
mod timing;
mod tls;
mod transfer;
pub mod transport;
mod trust;
mod wire;

pub use identity::{Certificates, Identity, IdentityError, Role};
pub use ids::{IdError, NodeId, PoolId};
pub use leaf::Validity;
pub use mesh::{Dialled, Member, MemberEvent, MemberEvents};
pub use peer::{Peer, PeerError, PeerOptions};
pub use pool::{Driving, JobHandle, Pool, PoolError, PoolOptions};
pub use timing::Timing;
