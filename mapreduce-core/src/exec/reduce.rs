//! A reduce task: calls the reducer for every key and writes what it emits.

use super::{Attempt, map::TaskContext, merge::Merge, run::Run};
use crate::{Counters, Datum, Emit, Key, Reducer, Result, Values};
use std::{borrow::Borrow, cell::Cell};

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

/// Calls the reducer for every key of `runs`, which are in the order of the splits. `at` is the key being
/// reduced, for messages.
pub(super) fn reduce<'a, K, V, R>(
    reducer: &R,
    runs: impl IntoIterator<Item = &'a Run>,
    attempt: &Attempt,
    at: &Cell<Option<&'a [u8]>>,
    writer: &mut impl PairWriter<R::Key, R::Value>,
) -> Result<ReduceOutput>
where
    K: ?Sized + Key,
    V: ?Sized + Datum,
    R: Reducer<K, V>,
{
    let mut keys = 0;
    let mut merge = Merge::new(runs);
    let mut out = Out { task: TaskContext::new(attempt), writer };
    while let Some(encoded) = merge.key() {
        attempt.check()?;
        at.set(Some(encoded));
        keys += 1;
        let key = K::decode(encoded)?;
        let mut group = merge.group(encoded);
        reducer.reduce(key.borrow(), &mut Values::new(&mut group), &mut out)?;
        group.finish();
    }
    Ok(ReduceOutput { counters: out.task.finish()?, keys })
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

/// Keeps the output encoded, for the driver to decode.
#[derive(Default)]
pub(crate) struct Pairs {
    pub(crate) run: Run,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl<K: ?Sized + Datum, V: ?Sized + Datum> PairWriter<K, V> for Pairs {
    #[inline]
    fn write(&mut self, key: &K, value: &V) -> Result {
        self.key.clear();
        self.value.clear();
        key.encode(&mut self.key)?;
        value.encode(&mut self.value)?;
        self.run.push(&self.key, &self.value);
        Ok(())
    }
}
