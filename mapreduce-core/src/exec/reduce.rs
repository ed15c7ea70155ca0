//! A reduce task: calls the reducer for every key and writes what it emits.

use super::{
    Attempt,
    map::TaskContext,
    merge::{CurrentKey, Merge},
    run::Run,
    segment::SegmentWriter,
};
use crate::{Counters, Datum, Emit, Group, Key, Memory, Reducer, Result, Values};
use std::{borrow::Borrow, cell::RefCell};

/// Where the output of a reduce task goes.
pub(crate) trait PairWriter<K: ?Sized, V: ?Sized> {
    /// Writes one pair.
    fn write(&mut self, key: &K, value: &V) -> Result;
}

/// What a reduce task has done.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReduceOutput {
    pub(crate) counters: Counters,
    /// The number of keys.
    pub(crate) keys: u64,
}

/// Calls the reducer for every group of keys of `runs`, which are in the order of the splits; for a job that is map-only,
/// for every pair. `at` is the key being reduced, for messages.
pub(super) fn reduce<'a, K, V, R>(
    reducer: &R,
    runs: &'a [Run],
    attempt: &Attempt,
    at: &RefCell<CurrentKey<'a>>,
    writer: &mut impl PairWriter<R::Key, R::Value>,
) -> Result<ReduceOutput>
where
    K: ?Sized + Key,
    V: ?Sized + Datum,
    R: Reducer<K, V>,
{
    let mut out = Out { task: TaskContext::new(attempt), writer };
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
    let mut merge = Merge::by_key::<K>(runs)?;
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
}

/// Keeps the output encoded, for the driver to decode: in memory if it fits.
pub(crate) struct Pairs {
    segment: SegmentWriter,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Pairs {
    pub(crate) fn new(memory: &Memory) -> Result<Self> {
        Ok(Self { segment: SegmentWriter::new(memory, 1, 0)?, key: Vec::new(), value: Vec::new() })
    }

    pub(crate) fn finish(self) -> Result<Run> {
        Ok(self.segment.finish()?.runs.remove(0))
    }
}

impl<K: ?Sized + Datum, V: ?Sized + Datum> PairWriter<K, V> for Pairs {
    #[inline]
    fn write(&mut self, key: &K, value: &V) -> Result {
        self.key.clear();
        self.value.clear();
        key.encode(&mut self.key)?;
        value.encode(&mut self.value)?;
        Ok(self.segment.push(0, &self.key, &self.value)?)
    }
}
