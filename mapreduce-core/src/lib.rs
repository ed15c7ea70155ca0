//! Map-reduce as a library.

#![warn(clippy::exit, clippy::print_stderr, clippy::print_stdout)]

pub mod block;
mod cancel;
pub mod codec;
mod counters;
pub mod datum;
mod error;
pub mod exec;
mod hash;
pub mod input;
pub mod job;
pub mod key;
pub mod local;
mod options;
pub mod output;
pub mod prelude;
mod registry;
pub mod schedule;
pub mod schema;

pub use block::Block;
pub use cancel::Cancel;
pub use codec::CodecError;
pub use counters::Counters;
pub use datum::Datum;
pub use error::{Error, FailureKind, Result, TaskError, TaskFailure};
pub use input::{
    Dataset, Input, ItemSlice, Items, LineBlock, Lines, Progress, ReadError, Records, RowBlock, RowFile,
    RowSlice, Rows, Split, SplitInfo, TextFiles, Utf8Block, Utf8Lines,
};
pub use job::{
    Combiner, Emit, Fold, Group, HashPartitioner, Identity, InputOf, Iterative, Job, JobId, KeyOf, Mapper,
    Max, Min, NoCombiner, OutputKeyOf, OutputValueOf, Partitioner, RangePartitioner, Reducer, SimpleJob, Sum,
    ValueOf, Values,
};
pub use key::{Key, KeyPart};
pub use local::{Handle, Local};
pub use options::Options;
pub use output::{Iterated, Output, PartFiles, Report, Written};
pub use registry::{Registry, RegistryError};
pub use schema::Schema;
