//! What a user writes: a [`Job`] and the [`Mapper`], [`Combiner`], [`Reducer`] and [`Partitioner`] it is made of,
//! and [`Iterative`] for a job that repeats in rounds.
//!
//! One file per trait; the types of a job follow from its mapper, see [`KeyOf`] and its neighbours.

mod cached_file;
mod combiner;
mod definition;
mod emit;
mod iterative;
mod join;
mod mapper;
mod partitioner;
mod reducer;
mod side;
mod simple;

pub use cached_file::CachedFile;
pub use combiner::{Combiner, Max, Min, NoCombiner, Sum};
pub use definition::{InputOf, Job, JobId, KeyOf, OutputKeyOf, OutputValueOf, ValueOf};
pub use emit::Emit;
pub use iterative::Iterative;
pub use join::{FullJoin, InnerJoin, JoinError, LeftJoin};
pub use mapper::Mapper;
pub use partitioner::{HashPartitioner, Partitioner, RangePartitioner};
pub use reducer::{Fold, Group, Identity, NoReducer, Reducer, Values};
pub use side::SideOutputError;
pub(crate) use side::check_side_outputs;
pub use simple::SimpleJob;
