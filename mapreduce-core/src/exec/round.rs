//! [`Round`]: the user's parts of a job, made once per node and round and used by all its tasks.

use super::{
    Attempt, AttemptError, MapOutput,
    arena::Arena,
    buffer::Buffer,
    failure::guard,
    map::{Collect, MapSegments, TaskContext},
    merge::CurrentKey,
    narrow::narrow,
    pool::Pool,
    reduce::{ReduceOutput, Reduction, WholeWriter},
    run::Run,
    segment::Segments,
    sides,
    table::{Kept, Table},
    through::Through,
};
use crate::{
    Combiner, Counters, Emit, Error, FailureKind, InputOf, Job, KeyOf, Mapper, Memory, OutputKeyOf,
    OutputValueOf, Partitioner, Progress, Reducer, Result, Split, SplitInfo, ValueOf,
    error::Misuse,
    input::{Blocks, SplitCache},
};
use std::{
    borrow::Borrow,
    cell::{OnceCell, RefCell},
    fmt::Write,
};

/// A job's mapper, combiner, reducer and partitioner for one round.
pub(crate) struct Round<J: Job> {
    mapper: J::Mapper,
    combiner: J::Combiner,
    reducer: J::Reducer,
    partitioner: Box<dyn Partitioner<KeyOf<J>>>,
    /// Those of the keys. Behind them is the one for side outputs, if the job has such.
    partitions: u32,
    /// What emitters work with.
    arenas: Pool<Arena<KeyOf<J>>>,
    tables: Pool<Kept<<ValueOf<J> as ToOwned>::Owned>>,
}

/// What a map attempt works on, besides the blocks.
pub(crate) struct MapTask<'a> {
    /// Which split of how many.
    pub(crate) index: u32,
    pub(crate) splits: u32,
    pub(crate) split: &'a SplitInfo,
    pub(crate) cache: &'a mut SplitCache,
    pub(crate) attempt: &'a Attempt,
    pub(crate) segment_bytes: usize,
    pub(crate) memory: &'a Memory,
}

/// What a reduce attempt works on.
pub(crate) struct ReduceTask<'a> {
    pub(crate) partition: u32,
    pub(crate) attempt: &'a Attempt,
    pub(crate) memory: &'a Memory,
    /// If threads of the rayon pool that this runs on have nothing else to do: the bytes of a range of keys that is worth
    /// one's while.
    pub(crate) range_bytes: Option<usize>,
}

impl<J: Job> Round<J> {
    const SIDES: bool = !J::SIDE_OUTPUTS.is_empty();

    /// Makes the parts. A panic in user code is an error. `partitions` are [all](crate::engine::partitions) that the
    /// round has.
    pub(crate) fn new(job: &J, shared: &J::Shared, partitions: u32) -> Result<Self, Error> {
        const {
            assert!(
                J::Reducer::ENABLED || !J::Combiner::ENABLED,
                "a job without a reducer has nothing to combine: give it `NoCombiner`"
            )
        };
        let of_keys = partitions.saturating_sub(u32::from(Self::SIDES));
        let partitions = match of_keys {
            // The number may have come over a network.
            0 if Self::SIDES => set_up::<J, _>("partitions", || Err(Misuse::TooFewPartitions.into()))?,
            of_keys => of_keys,
        };
        Ok(Self {
            mapper: set_up::<J, _>("mapper", || job.mapper(shared))?,
            combiner: set_up::<J, _>("combiner", || Ok(job.combiner()))?,
            reducer: set_up::<J, _>("reducer", || job.reducer(shared))?,
            partitioner: set_up::<J, _>("partitioner", || job.partitioner(shared))?,
            partitions,
            arenas: Pool::new(),
            tables: Pool::new(),
        })
    }

    /// Runs a map attempt: `open` gives the blocks of the split, `describe` says in words where it is.
    pub(crate) fn map<'b>(
        &self,
        task: MapTask<'_>,
        open: impl FnOnce() -> Result<Box<dyn Blocks<InputOf<J>> + 'b>>,
        describe: impl FnOnce() -> String,
    ) -> Result<MapOutput, AttemptError> {
        let attempt = task.attempt;
        let finish = |segments: Segments<'_>, sides| {
            let mut runs = segments.finish(attempt)?;
            runs.extend(sides);
            Ok(runs)
        };
        let (runs, counters, records) = self.map_to(task, open, describe, finish)?;
        Ok(MapOutput { runs, counters, records })
    }

    /// The same, but the output stays as it was cut.
    pub(crate) fn map_unmerged<'b>(
        &self,
        task: MapTask<'_>,
        open: impl FnOnce() -> Result<Box<dyn Blocks<InputOf<J>> + 'b>>,
        describe: impl FnOnce() -> String,
    ) -> Result<MapSegments, AttemptError> {
        let finish = |segments: Segments<'_>, sides| Ok((segments.into_segments(), sides));
        let ((segments, sides), counters, records) = self.map_to(task, open, describe, finish)?;
        Ok(MapSegments { segments, sides, partitions: self.partitions, counters, records })
    }

    fn map_to<'b, T>(
        &self,
        task: MapTask<'_>,
        open: impl FnOnce() -> Result<Box<dyn Blocks<InputOf<J>> + 'b>>,
        describe: impl FnOnce() -> String,
        finish: impl FnOnce(Segments<'_>, Option<Run>) -> Result<T>,
    ) -> Result<(T, Counters, u64), AttemptError> {
        let progress = Progress::default();
        let MapTask { index, splits, split, cache, attempt, segment_bytes, memory } = task;
        let run = || {
            let context = TaskContext::new(attempt).with_sides(J::SIDE_OUTPUTS, memory);
            let mut blocks = open()?;
            let split = &mut Split::new(&mut *blocks, split, cache, &progress, attempt);
            let segments = Segments::new(memory, self.partitions, segment_bytes);
            let (segments, mut context) = if !J::Reducer::ENABLED {
                self.map_into(split, Through::new(context, segments, index, splits)?)?
            } else if J::Combiner::ENABLED {
                self.map_into(
                    split,
                    Table::new(
                        context,
                        &self.combiner,
                        &*self.partitioner,
                        segments,
                        &self.arenas,
                        &self.tables,
                    ),
                )?
            } else {
                self.map_into(split, Buffer::new(context, &*self.partitioner, segments, &self.arenas))?
            };
            let sides = context.take_sides()?;
            let counters = context.finish()?;
            Ok((finish(segments, sides)?, counters, progress.begun()))
        };
        let record = || Some(progress.begun()).filter(|n| *n > 0);
        guard(run, describe, record)
    }

    fn map_into<'c, C>(
        &self,
        split: &mut Split<'_, InputOf<J>>,
        mut out: C,
    ) -> Result<(Segments<'c>, TaskContext<'c>)>
    where
        C: Emit<KeyOf<J>, ValueOf<J>> + Collect<'c>,
    {
        self.mapper.map_split(split, &mut out)?;
        out.finish()
    }

    /// Runs a reduce attempt over the runs of its partition, in the order of the splits. `open` gives what to write
    /// to, `close` what is left of that.
    pub(crate) fn reduce<W, P, R>(
        &self,
        task: ReduceTask<'_>,
        runs: impl IntoIterator<Item: Borrow<Run>>,
        open: impl FnOnce() -> Result<W>,
        close: impl FnOnce(W) -> Result<(P, R)>,
    ) -> Result<(ReduceOutput, P, R), AttemptError>
    where
        W: WholeWriter<OutputKeyOf<J>, OutputValueOf<J>>,
    {
        // Mappers are done.
        self.arenas.clear();
        self.tables.clear();
        let ReduceTask { attempt, memory, range_bytes, .. } = task;
        let reduction =
            Reduction { reducer: &self.reducer, attempt, memory, outputs: J::SIDE_OUTPUTS, range_bytes };
        let all: Vec<Run> = runs.into_iter().map(|run| run.borrow().clone()).collect();
        let runs = OnceCell::new();
        let key = RefCell::new(CurrentKey::default());
        let run = || {
            // Pairs of a map-only job are not sorted, and lines for side outputs are not: there is nothing to merge.
            let is_merged = J::Reducer::ENABLED && task.partition < self.partitions;
            let narrowed = if is_merged { narrow(task.memory, all, task.attempt)? } else { all };
            let mut writer = open()?;
            let runs = runs.get_or_init(|| narrowed);
            let output = if task.partition < self.partitions {
                reduction.run(runs, &key, &mut writer)?
            } else {
                sides::pass(runs, J::SIDE_OUTPUTS.len(), task.attempt, &mut writer)?;
                ReduceOutput::default()
            };
            let (part, report) = close(writer)?;
            Ok((output, part, report))
        };
        let place = || {
            let mut place = format!("partition {}", task.partition);
            if let Some(key) = key.borrow().get() {
                place.push_str(", key ");
                describe_key(key, &mut place);
            }
            place
        };
        guard(run, place, || None)
    }
}

/// Runs code of a job's on the thread that drives it: `step` says which, for the message.
///
/// # Errors
/// [`Error::Job`] when it fails or panics.
pub fn set_up<J: Job, T>(step: &'static str, make: impl FnOnce() -> Result<T>) -> Result<T, Error> {
    guard(make, String::new, || None).map_err(|AttemptError { failure, .. }| Error::Job {
        job: J::NAME.to_string(),
        step,
        message: match failure.kind {
            FailureKind::Panic => format!("panic: {}", failure.message),
            _ => failure.message,
        },
    })
}

/// Longest part of a key that is shown in a message.
const KEY_SHOWN: usize = 60;

/// A key for a message: printable text as it is, other bytes as escapes.
pub(crate) fn describe_key(encoded: &[u8], out: &mut String) {
    let shown = &encoded[..encoded.len().min(KEY_SHOWN)];
    let _ = write!(out, "\"{}\"", shown.escape_ascii());
    if shown.len() < encoded.len() {
        let _ = write!(out, "... ({} bytes)", encoded.len());
    }
}
