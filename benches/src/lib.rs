//! What the measurements share: inputs made from a seed, alternating runs, and processes.
//!
//! # Layout
//!
//! * `compare/`: word count, sort, sums by key and K-means against other programs, see `docs/benchmarks.md`.
//! * `src/bin/emit.rs`: emitting, combining and sorting, by kind of key. `codec.rs`, `spill.rs` and `merge.rs` beside it: what
//!   comes before and behind, against the same by hand.
//! * `src/bin/peak_memory.rs`: what jobs with a budget take. `kmeans_memory.rs`: what fits take beside their points.
//!   `larger_than_memory.rs`: K-means over files, against reading them.
//! * `src/bin/rounds.rs`, `tasks.rs`: rounds that do no work, small ones and such of very many tasks.
//! * `src/bin/pool_*.rs`: pools of peers that are processes of their own, on loopback: small rounds, many tasks, K-means, a
//!   large shuffle, and peers that do nothing.
//! * [`text`]: text from a seed. [`runs`]: sorted runs. [`clusters`]: points from a seed. [`empty`]: rounds that do no work.
//! * [`on_demand`]: programs that `compare` asks for fits of K-means. [`limits`]: what the machine can do at most.
//! * [`alternate`]: contestants that take turns. [`distribution`]: distributions of times.
//! * [`processes`]: peers as processes. [`processor`]: what of the processors this one takes. [`bare`]: the transport of a pool without the pool.
//!
//! Machines are noisy and differ; what is measured is the ratio of two programs that take turns on the same input.

pub mod alternate;
pub mod bare;
pub mod clusters;
pub mod distribution;
pub mod empty;
pub mod limits;
pub mod on_demand;
pub mod processes;
pub mod processor;
pub mod runs;
pub mod text;

/// Whatever ends a measurement.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
