//! A reduce task: calls the reducer for every key and writes what it emits.

use super::{
    Attempt,
    map::TaskContext,
    merge::{CurrentKey, Merge},
    ranges::Ranges,
    reader::RunReader,
    run::Run,
    segment::SegmentWriter,
    sides::{self, PAIR_TAG, line_tag},
};
use crate::{Counters, Datum, Emit, Group, Job, Key, Memory, Reducer, Result, Values};
use rayon::prelude::*;
use std::{
    any::Any,
    borrow::Borrow,
    cell::RefCell,
    error::Error,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

/// Where the output of a reduce task goes.
pub(crate) trait PairWriter<K: ?Sized, V: ?Sized> {
    /// Writes one pair.
    fn write(&mut self, key: &K, value: &V) -> Result;

    /// Writes a line for the side output of that number.
    fn side(&mut self, output: u8, line: &[u8]) -> Result;
}

/// What a reduce task has done.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReduceOutput {
    pub(crate) counters: Counters,
    /// The number of keys.
    pub(crate) keys: u64,
}

/// The same, for a whole task, whose pairs may be written in pieces at the same time.
pub(crate) trait WholeWriter<K: ?Sized, V: ?Sized>: PairWriter<K, V> {
    /// What a piece is written to.
    type Piece: PairWriter<K, V> + Send;

    /// Begins a piece. `None` if pairs can only be written one after the other.
    fn piece(&self, memory: &Memory) -> Result<Option<Self::Piece>>;

    /// Adds what was written to a piece.
    fn append(&mut self, piece: Self::Piece) -> Result;
}

/// What is reduced, and by whom.
pub(super) struct Reduction<'a, R> {
    pub(super) reducer: &'a R,
    pub(super) attempt: &'a Attempt,
    pub(super) memory: &'a Memory,
    /// The job's side outputs.
    pub(super) outputs: &'static [&'static str],
    /// If other threads have nothing to do: the bytes of a range that one of them may reduce.
    pub(super) range_bytes: Option<usize>,
}

impl<'a, R> Reduction<'a, R> {
    /// Calls the reducer for every group of keys of `runs`, which are in the order of the splits; for a job that is map-only,
    /// for every pair. `at` is the key being reduced, for messages.
    pub(super) fn run<K, V>(
        &self,
        runs: &'a [Run],
        at: &RefCell<CurrentKey<'a>>,
        writer: &mut impl WholeWriter<R::Key, R::Value>,
    ) -> Result<ReduceOutput>
    where
        K: ?Sized + Key,
        V: ?Sized + Datum,
        R: Reducer<K, V>,
    {
        if !R::ENABLED {
            return self.write(at, writer, |out| pass_pairs(self.reducer, runs, at, out));
        }
        if let Some(range_bytes) = self.range_bytes
            && writer.piece(self.memory)?.is_some()
            && let Some(ranges) = Ranges::cut::<K>(runs, range_bytes)?
        {
            return self.run_ranges::<K, V, _>(&ranges, at, writer);
        }
        self.write(at, writer, |out| {
            let merge = Merge::by_key::<K>(runs.iter().map(Run::reader), self.attempt)?;
            reduce_groups(self.reducer, merge, self.attempt, at, out)
        })
    }

    /// Reduces ranges on as many threads as are there, some at a time, so that not much is held that is not written.
    fn run_ranges<K, V, W>(
        &self,
        ranges: &Ranges<'a>,
        at: &RefCell<CurrentKey<'a>>,
        writer: &mut W,
    ) -> Result<ReduceOutput>
    where
        K: ?Sized + Key,
        V: ?Sized + Datum,
        R: Reducer<K, V>,
        W: WholeWriter<R::Key, R::Value>,
    {
        let mut all = ReduceOutput::default();
        for some in ranges.as_slice().chunks(TOGETHER_OF_THREAD * rayon::current_num_threads()) {
            let begin = |range| -> Result<_> {
                Ok((
                    range,
                    writer.piece(self.memory)?.expect("a writer that has begun a piece begins others"),
                ))
            };
            let some = some.iter().map(begin).collect::<Result<Vec<_>>>()?;
            let done: Vec<_> = some
                .into_par_iter()
                .with_max_len(1)
                .map(|(range, piece)| self.run_range::<K, V, _>(range, piece))
                .collect();
            for done in done {
                let (output, piece) = done.map_err(|Failed { key, cause }| {
                    *at.borrow_mut() = key;
                    cause.unwrap_or_else(|panic| resume_unwind(panic))
                })?;
                writer.append(piece)?;
                all.keys += output.keys;
                all.counters.merge(&output.counters);
            }
        }
        Ok(all)
    }

    /// Reduces one range.
    fn run_range<K, V, W>(&self, range: &[&'a [u8]], mut piece: W) -> Result<(ReduceOutput, W), Failed<'a>>
    where
        K: ?Sized + Key,
        V: ?Sized + Datum,
        R: Reducer<K, V>,
        W: PairWriter<R::Key, R::Value>,
    {
        let at = RefCell::new(CurrentKey::default());
        let run = || {
            self.write(&at, &mut piece, |out| {
                let readers = range.iter().map(|part| RunReader::of_memory(part));
                let merge = Merge::by_key::<K>(readers, self.attempt)?;
                reduce_groups(self.reducer, merge, self.attempt, &at, out)
            })
        };
        // What is left half-done is dropped with the attempt.
        let cause = match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(output)) => return Ok((output, piece)),
            Ok(Err(error)) => Ok(error),
            Err(panic) => Err(panic),
        };
        Err(Failed { key: at.into_inner(), cause })
    }

    /// Has `reduce` write.
    fn write<W>(
        &self,
        at: &RefCell<CurrentKey<'a>>,
        writer: &mut W,
        reduce: impl FnOnce(&mut Out<'_, W>) -> Result<u64>,
    ) -> Result<ReduceOutput> {
        let mut out = Out { task: TaskContext::new(self.attempt), outputs: self.outputs, writer };
        let keys = reduce(&mut out)?;
        *at.borrow_mut() = CurrentKey::None;
        Ok(ReduceOutput { counters: out.task.finish()?, keys })
    }
}

/// Ranges that are reduced for each thread before what they gave is written: enough that few threads have to wait for others.
const TOGETHER_OF_THREAD: usize = 4;

/// Why a range could not be reduced, by an error or a panic, and at which key.
struct Failed<'a> {
    key: CurrentKey<'a>,
    cause: Result<Box<dyn Error + Send + Sync>, Box<dyn Any + Send>>,
}

fn reduce_groups<'a, K, V, R>(
    reducer: &R,
    mut merge: Merge<'a>,
    attempt: &Attempt,
    at: &RefCell<CurrentKey<'a>>,
    out: &mut Out<'_, impl PairWriter<R::Key, R::Value>>,
) -> Result<u64>
where
    K: ?Sized + Key,
    V: ?Sized + Datum,
    R: Reducer<K, V>,
{
    let mut keys = 0;
    loop {
        let mut at = at.borrow_mut();
        merge.next_key(&mut at)?;
        let Some(encoded) = at.get() else { return Ok(keys) };
        attempt.check()?;
        keys += 1;
        let key = K::decode(encoded)?;
        let mut group = merge.group::<K>(encoded)?;
        reducer.reduce(key.borrow(), &mut Values::new(&mut group), out)?;
        group.finish()?;
    }
}

/// Gives each pair to the reducer by itself. No key counts as reduced.
fn pass_pairs<'a, K, V, R>(
    reducer: &R,
    runs: &'a [Run],
    at: &RefCell<CurrentKey<'a>>,
    out: &mut Out<'_, impl PairWriter<R::Key, R::Value>>,
) -> Result<u64>
where
    K: ?Sized + Key,
    V: ?Sized + Datum,
    R: Reducer<K, V>,
{
    for run in runs {
        let mut reader = run.reader();
        while reader.advance()? {
            at.borrow_mut().set(&reader);
            let (key, value) = reader.pair();
            let key = K::decode(key)?;
            reducer.reduce(key.borrow(), &mut Values::new(&mut Single(Some(value))), out)?;
        }
    }
    Ok(0)
}

/// A group of one value.
struct Single<'a>(Option<&'a [u8]>);

impl Group for Single<'_> {
    fn next_value(&mut self) -> Result<Option<&[u8]>> {
        Ok(self.0.take())
    }
}

struct Out<'a, W> {
    task: TaskContext<'a>,
    outputs: &'static [&'static str],
    writer: &'a mut W,
}

impl<K: ?Sized, V: ?Sized, W: PairWriter<K, V>> Emit<K, V> for Out<'_, W> {
    #[inline]
    fn emit(&mut self, key: &K, value: &V) -> Result {
        let written = self.writer.write(key, value);
        self.task.emitted(written)
    }

    fn count(&mut self, counter: &'static str, n: u64) {
        self.task.counters.add(counter, n);
    }

    fn side(&mut self, output: &'static str, line: &[u8]) -> Result {
        let written = sides::index_of(self.outputs, output).and_then(|output| self.writer.side(output, line));
        self.task.side_taken(written)
    }
}

/// Keeps the output encoded, for the driver to decode: in memory if it fits.
pub(crate) struct OutputRun {
    segment: SegmentWriter,
    /// Whether the job has side outputs: its pairs and their lines are told apart then.
    tagged: bool,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl OutputRun {
    pub(crate) fn new<J: Job>(memory: &Memory) -> Result<Self> {
        let (segment, tagged) = (SegmentWriter::new(memory, 1, 0)?, !J::SIDE_OUTPUTS.is_empty());
        Ok(Self { segment, tagged, key: Vec::new(), value: Vec::new() })
    }

    pub(crate) fn finish(self) -> Result<Run> {
        Ok(self.segment.finish()?.into_run())
    }
}

impl<K: ?Sized + Datum, V: ?Sized + Datum> PairWriter<K, V> for OutputRun {
    #[inline]
    fn write(&mut self, key: &K, value: &V) -> Result {
        self.key.clear();
        self.value.clear();
        if self.tagged {
            self.key.push(PAIR_TAG);
        }
        key.encode(&mut self.key)?;
        value.encode(&mut self.value)?;
        Ok(self.segment.push(0, &self.key, &self.value)?)
    }

    fn side(&mut self, output: u8, line: &[u8]) -> Result {
        Ok(self.segment.push(0, &[line_tag(output)], line)?)
    }
}

impl<K: ?Sized + Datum, V: ?Sized + Datum> WholeWriter<K, V> for OutputRun {
    type Piece = Self;

    fn piece(&self, memory: &Memory) -> Result<Option<Self>> {
        let segment = SegmentWriter::new(memory, 1, 0)?;
        Ok(Some(Self { segment, tagged: self.tagged, key: Vec::new(), value: Vec::new() }))
    }

    fn append(&mut self, piece: Self) -> Result {
        let run = piece.finish()?;
        let mut reader = run.reader();
        while let Some((key, value)) = reader.next_pair()? {
            self.segment.push(0, key, value)?;
        }
        Ok(())
    }
}
