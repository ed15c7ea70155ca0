//! What a map task leaves, and what its two emitters have in common.

use super::{
    Attempt,
    run::Run,
    segment::{Segment, Segments},
};
use crate::{Counters, Key, Partitioner, Result, counters::TaskCounters};

/// What a map task leaves: one sorted run per partition, and its counters.
#[derive(Clone, Debug, Default)]
pub struct MapOutput {
    /// Sorted pairs, one run for each partition.
    pub runs: Vec<Run>,
    /// What the mapper has counted.
    pub counters: Counters,
    /// Records begun, as noted in [`Progress`](crate::Progress).
    pub records: u64,
}

impl MapOutput {
    /// The pairs of all runs.
    pub fn pairs(&self) -> u64 {
        self.runs.iter().map(Run::pairs).sum()
    }

    /// The bytes of all runs.
    pub fn bytes(&self) -> u64 {
        self.runs.iter().map(Run::byte_len).sum()
    }

    /// A checksum over all runs: two attempts of a deterministic mapper have the same.
    pub fn checksum(&self) -> u64 {
        let mut totals = Totals::default();
        self.runs.iter().for_each(|run| totals.add(run));
        totals.checksum
    }
}

/// What a map task leaves whose output stays here: sorted segments, which nobody has to merge before it is reduced.
pub(crate) struct Mapped {
    pub(crate) segments: Vec<Segment>,
    pub(crate) counters: Counters,
    pub(crate) records: u64,
}

impl Mapped {
    /// The runs of a partition, in order.
    pub(crate) fn runs(&self, partition: u32) -> impl Iterator<Item = &Run> {
        self.segments.iter().map(move |segment| &segment.runs[partition as usize])
    }

    /// What the coordinator hears of it.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.segments.iter().flat_map(|segment| &segment.runs).for_each(|run| totals.add(run));
        totals
    }
}

/// What is in some runs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) pairs: u64,
    pub(crate) bytes: u64,
    /// Two attempts of a deterministic mapper have the same.
    pub(crate) checksum: u64,
}

impl Totals {
    fn add(&mut self, run: &Run) {
        self.pairs += run.pairs();
        self.bytes += run.byte_len();
        // Each run's own checksum depends on its content alone; multiplying makes the order count.
        self.checksum = self.checksum.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ run.checksum();
    }
}

/// An emitter that collects pairs and ends as sorted segments.
pub(super) trait Collect<'a>: Sized {
    fn finish(self) -> Result<(Segments<'a>, TaskContext<'a>)>;
}

/// What an emitter needs to know of its attempt.
pub(super) struct TaskContext<'a> {
    attempt: &'a Attempt,
    emitted: u64,
    /// A pair could not be emitted.
    failed: bool,
    pub(super) counters: TaskCounters,
}

/// Pairs between two looks at whether the attempt is still wanted.
const CHECK_EVERY: u64 = 1024;

impl<'a> TaskContext<'a> {
    pub(super) fn new(attempt: &'a Attempt) -> Self {
        Self { attempt, emitted: 0, failed: false, counters: TaskCounters::default() }
    }

    /// The pairs so far.
    pub(super) fn pairs(&self) -> u64 {
        self.emitted
    }

    /// Called for every pair, with whether it could be taken.
    #[inline]
    pub(super) fn emitted(&mut self, taken: Result) -> Result {
        self.emitted += 1;
        if taken.is_ok() && !self.emitted.is_multiple_of(CHECK_EVERY) {
            return Ok(());
        }
        let result = taken.and_then(|()| self.attempt.check());
        self.failed |= result.is_err();
        result
    }

    /// The counters of an attempt that has emitted everything. An error if a pair was lost and nobody said so.
    pub(super) fn finish(self) -> Result<Counters> {
        match self.failed {
            false => Ok(self.counters.into()),
            true => {
                Err("a pair could not be emitted and its error was passed over; pass it on with `?`".into())
            }
        }
    }
}

/// Asks the partitioner, and does not believe everything it says.
#[inline]
pub(super) fn partition<K: ?Sized + Key>(
    partitioner: &dyn Partitioner<K>,
    key: &K,
    encoded: &[u8],
    partitions: u32,
) -> Result<u32> {
    if partitions == 1 {
        return Ok(0);
    }
    let partition = partitioner.partition(key, K::group(encoded)?, partitions);
    if partition < partitions {
        return Ok(partition);
    }
    Err(format!("the partitioner chose partition {partition}, but there are {partitions}, counted from 0")
        .into())
}
