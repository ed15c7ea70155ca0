//! A command line for programs with jobs, by the feature `cli`: `run`, `peer`, `pool create` and `pool status`, `map` and
//! `reduce`.
//!
//! [`Program`] is all of it in one line of `main`:
//!
//! ```no_run
//! use mapreduce_core::prelude::*;
//! # #[derive(Clone, Serialize, Deserialize)]
//! # struct WordCount;
//! # impl Mapper for WordCount {
//! #     type Input = Lines;
//! #     type Key = [u8];
//! #     type Value = u64;
//! #     fn map(&self, line: &[u8], out: &mut impl Emit<[u8], u64>) -> Result {
//! #         out.emit(line, &1)
//! #     }
//! # }
//! # impl SimpleJob for WordCount {
//! #     const NAME: &'static str = "word-count";
//! #     type Combiner = Sum;
//! #     type Reducer = Fold<Sum>;
//! # }
//!
//! fn main() -> std::process::ExitCode {
//!     mapreduce_net::cli::Program::new(WordCount).main() // `WordCount` is a job over lines of text
//! }
//! ```
//!
//! ```text
//! word_count run book.txt --output counts                    # on threads of this process
//! word_count pool create --address 10.0.0.1 --output lab.pool
//! word_count peer --pool lab.pool                            # on each machine
//! word_count run book.txt --output counts --pool lab.pool    # on all of them
//! word_count map < book.txt | LC_ALL=C sort | word_count reduce    # in another engine
//! ```
//!
//! A program with a command line of its own takes the pieces: [`PeerArgs`] and [`PoolCommand`] are commands,
//! [`PoolArgs`] the options that choose between threads and a pool, [`AnyEngine`] what comes of that choice. They
//! implement the traits of [`clap`], which is exported so that a program can name the same version.
//!
//! # What it does to the process
//!
//! The rest of the library leaves the process alone. A command line is the program's outer end, so this module alone
//! writes to standard output and standard error, takes Ctrl-C and SIGTERM ([`until_signalled`], [`PeerArgs::run`]),
//! and makes [`PeerArgs::run`] log with `tracing_subscriber` unless the program has a subscriber already. Nothing ends the
//! process but the return of `main`, and no environment variable is read.
//!
//! # Exit status
//!
//! 0 for success, 1 for errors, 2 for wrong usage, 130 for Ctrl-C and 143 for SIGTERM. An error is one line on standard
//! error that begins with `error: `.

mod engine;
mod error;
mod filter;
mod log;
mod memory;
mod peer;
mod pool;
mod program;
mod report;
mod resident;
mod run;
mod signals;

/// The clap whose traits the arguments implement.
pub use clap;

pub use engine::{AnyEngine, AnyRounds, PoolArgs};
pub use error::{CliError, one_line};
pub use filter::{LineArgs, MapArgs, ReduceArgs};
pub use memory::MemoryArgs;
pub use peer::PeerArgs;
pub use pool::{PoolCommand, PoolCreateArgs, PoolStatusArgs};
pub use program::{LineRecords, NoParams, Program};
pub use resident::peak_rss_bytes;
pub use run::{Run, RunArgs};
pub use signals::{signal_status, until_signalled};
