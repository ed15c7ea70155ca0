//! A reduce task: calls the reducer for every key and writes what it emits.

use super::{
    Attempt,
    map::TaskContext,
    merge::{CurrentKey, Merge},
    run::Run,
    segment::SegmentWriter,
    sides::{self, PAIR_TAG, line_tag},
};
use crate::{Counters, Datum, Emit, Group, Job, Key, Memory, Reducer, Result, Values};
use std::{borrow::Borrow, cell::RefCell};

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

/// Calls the reducer for every group of keys of `runs`, which are in the order of the splits; for a job that is map-only,
/// for every pair. `at` is the key being reduced, for messages; `outputs` are the job's side outputs.
pub(super) fn reduce<'a, K, V, R>(
    reducer: &R,
    runs: &'a [Run],
    attempt: &'a Attempt,
    at: &RefCell<CurrentKey<'a>>,
    outputs: &'static [&'static str],
    writer: &mut impl PairWriter<R::Key, R::Value>,
) -> Result<ReduceOutput>
where
    K: ?Sized + Key,
    V: ?Sized + Datum,
    R: Reducer<K, V>,
{
    let mut out = Out { task: TaskContext::new(attempt), outputs, writer };
    let keys = match R::ENABLED {
        true => reduce_groups(reducer, runs, attempt, at, &mut out)?,
        false => pass_pairs(reducer, runs, at, &mut out)?,
    };
    *at.borrow_mut() = CurrentKey::None;
    Ok(ReduceOutput { counters: out.task.finish()?, keys })
}

fn reduce_groups<'a, K, V, R>(
    reducer: &R,
    runs: &'a [Run],
    attempt: &'a Attempt,
    at: &RefCell<CurrentKey<'a>>,
    out: &mut Out<'_, impl PairWriter<R::Key, R::Value>>,
) -> Result<u64>
where
    K: ?Sized + Key,
    V: ?Sized + Datum,
    R: Reducer<K, V>,
{
    let mut keys = 0;
    let mut merge = Merge::by_key::<K>(runs, attempt)?;
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
