//! Map-reduce jobs on a pool of peers that are connected by QUIC.
//!
//! A **peer** is a process that works on tasks. A program that has a job connects to a pool and is its **driver**. Jobs are
//! those of [`mapreduce_core`]: what ran on [`Local`](mapreduce_core::Local) runs on a pool unchanged, and gives the same
//! bits, whoever is lost on the way.
//!
//! ```
//! use mapreduce_core::{Registry, prelude::*};
//! use mapreduce_net::testing::TestPool;
//!
//! #[derive(Clone, Serialize, Deserialize)]
//! struct WordCount;
//!
//! impl Mapper for WordCount {
//!     type Input = Items<String>;
//!     type Key = str;
//!     type Value = u64;
//!     fn map(&self, line: &String, out: &mut impl Emit<str, u64>) -> Result {
//!         line.split_ascii_whitespace().try_for_each(|word| out.emit(word, &1))
//!     }
//! }
//!
//! impl SimpleJob for WordCount {
//!     const NAME: &'static str = "word-count";
//!     type Combiner = Sum;
//!     type Reducer = Fold<Sum>;
//! }
//!
//! let peers = TestPool::start(2, Registry::new().with::<WordCount>()?)?; // in this process, to try it out
//! let pool = peers.connect()?; // elsewhere: `blocking::Pool::connect(&PoolFile::load("lab.pool.client")?, ..)`
//! let lines = ["to be or", "not to be"].map(String::from);
//! let counts = pool.run(&WordCount, &(), &Dataset::new(ItemSlice::new(&lines))?)?;
//! assert_eq!(counts.pairs[0], ("be".to_string(), 2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layout
//!
//! What a program uses:
//!
//! * [`pool_file`]: the two files a pool is joined and used with, and the addresses in them;
//! * [`Peer`]: a node that works;
//! * [`Pool`] for programs with a tokio runtime, [`blocking::Pool`] for those without, which is an
//!   [`Engine`](mapreduce_core::Engine);
//! * [`PeerOptions`], [`PoolOptions`], [`Timing`] and [`transport::Limits`]: what can be set, and what it costs;
//! * [`Member`], [`MemberEvents`]: who is there;
//! * [`testing`]: a pool within one process;
//! * `cli`, a feature: a command line for programs with jobs.
//!
//! What is below:
//!
//! * [`Identity`]: who a process is, which certificates it shows and whom it trusts;
//! * [`transport`]: authenticated, encrypted and bounded connections between processes, and their streams.
//!
//! Nothing crosses the network in clear or from a party that has not proved that it belongs to the pool. In the
//! repository, `docs/pool.md` is the guide to running a pool, `docs/security.md` has the threat model, `docs/protocol.md`
//! the messages, and `docs/architecture.md` a map of the code.

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
pub use transfer::Compression;

/// The guide to running a pool, whose programs are tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/pool.md")]
struct PoolGuide;

/// The comparison with Spark, whose program is a test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/spark.md")]
struct SparkGuide;

/// Jobs in other engines, whose programs are tests.
#[cfg(all(doctest, feature = "cli"))]
#[doc = include_str!("../../docs/filters.md")]
struct FiltersGuide;
