//! What a map task leaves, and what its two emitters have in common.

use super::{
    Attempt,
    failure::kind,
    run::Run,
    segment::{Segment, Segments},
    sides::{self, SideLines},
};
use crate::{Counters, Key, Memory, Partitioner, Result, counters::TaskCounters, error::Misuse};

/// What a map task leaves: one sorted run per partition, and its counters.
#[derive(Clone, Debug, Default)]
pub struct MapOutput {
    /// Sorted pairs, one run for each partition; the last has the lines for side outputs, if the job has such.
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
#[derive(Default)]
pub(crate) struct MapSegments {
    pub(crate) segments: Vec<Segment>,
    /// The lines for side outputs, which make up a partition of their own behind those of the keys, `partitions`.
    pub(crate) sides: Option<Run>,
    pub(crate) partitions: u32,
    pub(crate) counters: Counters,
    pub(crate) records: u64,
}

impl MapSegments {
    /// The runs of a partition, in order.
    pub(crate) fn runs(&self, partition: u32) -> impl Iterator<Item = Run> {
        let sides = self.sides.iter().filter(move |_| partition == self.partitions).cloned();
        self.segments.iter().filter_map(move |segment| segment.run(partition)).chain(sides)
    }

    /// What the coordinator hears of it.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for (partition, run) in self.segments.iter().flat_map(Segment::runs) {
            totals.add(&run);
            // Those without pairs are not there, so which one it is counts.
            totals.checksum ^= u64::from(partition);
        }
        self.sides.iter().for_each(|run| totals.add(run));
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
    /// A pair could not be emitted, and whether another attempt could not either.
    failed: Option<bool>,
    pub(super) counters: TaskCounters,
    /// Of a map attempt, if the job has side outputs.
    sides: Option<SideLines<'a>>,
    lines: u64,
}

/// Pairs between two looks at whether the attempt is still wanted.
const CHECK_EVERY: u64 = 1024;

impl<'a> TaskContext<'a> {
    pub(super) fn new(attempt: &'a Attempt) -> Self {
        let counters = TaskCounters::default();
        Self { attempt, emitted: 0, failed: None, counters, sides: None, lines: 0 }
    }

    /// The same for a mapper with side outputs, if there are any.
    pub(super) fn with_sides(self, outputs: &'static [&'static str], memory: &'a Memory) -> Self {
        let sides = (!outputs.is_empty()).then(|| SideLines::new(outputs, memory));
        Self { sides, ..self }
    }

    /// The pairs so far.
    pub(super) fn pairs(&self) -> u64 {
        self.emitted
    }

    /// Called for every pair, with whether it could be taken.
    #[inline]
    pub(super) fn emitted(&mut self, taken: Result) -> Result {
        self.emitted += 1;
        self.taken(taken, self.emitted)
    }

    /// Takes a line of a mapper for a side output.
    pub(super) fn side(&mut self, output: &'static str, line: &[u8]) -> Result {
        let taken = match &mut self.sides {
            Some(sides) => sides.push(output, line),
            None => sides::index_of(&[], output).map(drop),
        };
        self.side_taken(taken)
    }

    /// Called for every line for a side output, with whether it could be taken.
    pub(super) fn side_taken(&mut self, taken: Result) -> Result {
        self.lines += 1;
        self.taken(taken, self.lines)
    }

    #[inline]
    fn taken(&mut self, taken: Result, nth: u64) -> Result {
        if taken.is_ok() && !nth.is_multiple_of(CHECK_EVERY) {
            return Ok(());
        }
        let result = taken.and_then(|()| self.attempt.check());
        if let Err(error) = &result {
            self.failed = Some(kind(&**error).1);
        }
        result
    }

    /// The lines for side outputs; `None` if the job has no such outputs.
    pub(super) fn take_sides(&mut self) -> Result<Option<Run>> {
        self.sides.take().map(SideLines::finish).transpose()
    }

    /// The counters of an attempt that has emitted everything. An error if a pair was lost and nobody said so.
    pub(super) fn finish(self) -> Result<Counters> {
        match self.failed {
            None => Ok(self.counters.into()),
            Some(permanent) => Err(Misuse::PassedOver { permanent }.into()),
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
    Err(Misuse::Partition { partition, partitions }.into())
}
