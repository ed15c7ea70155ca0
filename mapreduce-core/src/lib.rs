//! Map-reduce as a library: a program writes a [`Mapper`] and a [`Reducer`], names its input, and runs the job on threads
//! of its own process.
//!
//! ```
//! use mapreduce_core::prelude::*;
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
//! let lines = ["to be or", "not to be"].map(String::from);
//! let counts = Local::new(2)?.run(&WordCount, &(), &Dataset::new(ItemSlice::new(&lines))?)?;
//! assert_eq!(counts.pairs[0], ("be".to_string(), 2));
//! # Ok::<(), mapreduce_core::Error>(())
//! ```
//!
//! The output depends on the job, its input and its options, to the bit, and never on the number of threads. The crate
//! starts no async runtime, installs no signal handler, log subscriber or global thread pool, reads no environment
//! variable, prints nothing and does not end the process.
//!
//! # Layout
//!
//! What a program uses; the [`prelude`] has most of it:
//!
//! * [`job`]: [`Job`] and [`SimpleJob`], and what they are made of: [`Mapper`], [`Combiner`], [`Reducer`],
//!   [`Partitioner`]. [`Iterative`] for a job that repeats. Start here.
//! * [`key`]: what can be grouped by, and its order-preserving encoding. [`datum`]: what can be a value. [`block`]:
//!   vectors of numbers as raw bytes.
//! * [`input`]: files, rows and items; splits and their caches. [`output`]: returned pairs or part files.
//! * [`Local`] is an [`Engine`], which runs jobs, and [`Handle`] a job in the background; [`Options`], [`Memory`],
//!   [`Cancel`], [`Counters`], [`Error`].
//!
//! * [`filter`]: the two parts of a job as filters, for other engines.
//!
//! What is below:
//!
//! * [`engine`]: what every [`Engine`] has in common, and what it takes to build one. [`local`]: the one on threads of
//!   this process.
//! * [`exec`]: one attempt of one task, from a split to sorted runs and from those to output.
//! * [`schedule`]: the coordinator, a state machine without I/O that decides what runs when.
//! * [`codec`] and [`schema`]: how values become bytes, and what a type looks like there. [`Registry`]: jobs by name.
//!
//! Types of other crates that stand in the interface on purpose: serde's traits, for what users define; `bytemuck::Pod`,
//! for the numbers in [`Rows`]; [`rayon::ThreadPool`], for a program that has a pool already ([`Local::on`]).
//!
//! `docs/jobs.md` in the repository is a guide to writing jobs, `docs/architecture.md` a map of the code.

#![warn(clippy::exit, clippy::print_stderr, clippy::print_stdout)]

pub mod block;
mod cancel;
pub mod codec;
mod counters;
pub mod datum;
pub mod engine;
mod error;
pub mod exec;
pub mod filter;
mod hash;
pub mod input;
pub mod job;
pub mod key;
pub mod local;
mod memory;
mod options;
pub mod output;
mod positioned;
pub mod prelude;
mod registry;
pub mod schedule;
pub mod schema;
mod words;

/// The rayon that [`Local::on`] takes a pool of, so that a program can name the same version.
pub use rayon;

pub use block::Block;
pub use cancel::Cancel;
pub use codec::CodecError;
pub use counters::Counters;
pub use datum::Datum;
pub use engine::{Engine, Handle};
pub use error::{Error, FailureKind, Result, TaskError, TaskFailure};
#[cfg(feature = "parquet")]
pub use input::ParquetFiles;
pub use input::{
    Both, Chained, Csv, CsvFiles, CsvOptions, Dataset, Either, Fixed, FixedFiles, Input, ItemSlice, Items,
    LineBlock, Lines, Pairs, Progress, ReadError, Records, RowBlock, RowFiles, RowSlice, Rows, Split,
    SplitInfo, TextFiles, Utf8Block, Utf8Lines,
};
pub use job::{
    CachedFile, Combiner, Emit, Fold, FullJoin, Group, HashPartitioner, Identity, InnerJoin, InputOf,
    Iterative, Job, JobId, JoinError, KeyOf, LeftJoin, Mapper, Max, Min, NoCombiner, NoReducer, OutputKeyOf,
    OutputValueOf, Partitioner, RangePartitioner, Reducer, SideOutputError, SimpleJob, Sum, ValueOf, Values,
};
pub use key::{Key, KeyPart, Sorted};
pub use local::Local;
pub use memory::{Held, HeldApart, Memory, TaskMemory};
pub use options::Options;
pub use output::{Format, Iterated, Output, PartFiles, Report, Written};
pub use registry::{Registry, RegistryError};
pub use schema::Schema;
pub use words::{Words, words};

/// The guide to writing jobs, whose programs are tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/jobs.md")]
struct JobsGuide;
