//! One attempt of one task: everything between a split and the output of a reduce task, on one thread unless others of its
//! pool have nothing to do.
//!
//! The way of a record: `map` opens a split and calls the mapper; what it emits goes to a `table` (with a
//! combiner) or a `buffer` (without), which are cut into sorted `segment`s and end as one sorted `run` per partition, in
//! memory or in a `spill` file; `merge` reads the runs of a partition from all splits in key order, after `fold` has made one of many small ones, and `narrow` fewer of very many; `reduce` calls the
//! reducer for each key and writes what that emits, of a large partition that threads wait for in `ranges` of keys. Of a map-only job, pairs go `through`. Lines for `sides` outputs have a run and a
//! partition of their own. `pool` keeps what emitters work with from one task to the next. `round` holds the user's typed parts for all tasks of a round, and `erased` the same behind an
//! interface that speaks bytes, for nodes that know a job only by name.
//!
//! Nothing here knows of peers, tasks' numbers or time.

mod arena;
mod arrive;
mod buffer;
mod entries;
pub(crate) mod erased;
mod failure;
mod fold;
mod index;
mod lengths;
mod map;
mod merge;
mod narrow;
mod pool;
mod ranges;
mod reader;
mod reduce;
mod round;
mod run;
mod segment;
mod sides;
mod sizes;
mod sort;
mod spill;
mod table;
mod through;

pub use crate::cancel::Attempt;
pub use arrive::RunSpiller;
pub use erased::{Chunks, ErasedJob, ErasedRound, MapInput, ReducedFile, ReducedPartition, erased_round};
pub use failure::AttemptError;
pub(crate) use failure::{contain, guard, panic_message};
pub(crate) use fold::fold;
pub use map::MapOutput;
pub(crate) use map::{MapSegments, Totals};
pub use reader::RunReader;
pub(crate) use reduce::{OutputRun, PairWriter, ReduceOutput, WholeWriter};
pub use round::set_up;
pub(crate) use round::{MapTask, ReduceTask, Round, describe_key};
pub use run::{Pair, Run, RunChunks};
pub(crate) use run::{pair_bytes, prefix, put_lengths, take_pair};
pub(crate) use segment::SegmentWriter;
pub(crate) use sides::Returned;
pub use spill::SpillError;
pub(crate) use spill::SpillFiles;
