//! The emitter of a map task without a combiner: encoded pairs in an arena, sorted when the task ends.

use super::{
    map::{Collect, TaskContext},
    run::{Run, compare, prefix},
};
use crate::{Datum, Emit, Key, Partitioner, Result};

/// Keys and values lie encoded in an arena, in the order in which they were emitted.
pub(super) struct Buffer<'a, K: ?Sized> {
    task: TaskContext<'a>,
    partitioner: &'a dyn Partitioner<K>,
    /// The pairs of each partition.
    partitions: Vec<Vec<Pair>>,
    arena: Vec<u8>,
}

struct Pair {
    prefix: u64,
    /// Where the key begins in the arena; the value lies behind it.
    offset: usize,
    key: u32,
    value: u32,
}

impl Pair {
    #[inline]
    fn key<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        &arena[self.offset..][..self.key as usize]
    }

    #[inline]
    fn value<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        &arena[self.offset + self.key as usize..][..self.value as usize]
    }
}

impl<'a, K: ?Sized> Buffer<'a, K> {
    pub(super) fn new(task: TaskContext<'a>, partitioner: &'a dyn Partitioner<K>, partitions: u32) -> Self {
        let partitions = (0..partitions).map(|_| Vec::new()).collect();
        Self { task, partitioner, partitions, arena: Vec::new() }
    }
}

impl<K: ?Sized + Key, V: ?Sized + Datum> Emit<K, V> for Buffer<'_, K> {
    #[inline]
    fn emit(&mut self, key: &K, value: &V) -> Result {
        let taken = self.take(key, value);
        self.task.emitted(taken)
    }

    fn count(&mut self, counter: &'static str, n: u64) {
        self.task.counters.add(counter, n);
    }
}

impl<K: ?Sized + Key> Buffer<'_, K> {
    #[inline]
    fn take<V: ?Sized + Datum>(&mut self, key: &K, value: &V) -> Result {
        let offset = self.arena.len();
        key.encode(&mut self.arena);
        let split = self.arena.len();
        value.encode(&mut self.arena)?;
        let encoded = &self.arena[offset..split];
        let partitions = self.partitions.len() as u32;
        let partition = super::map::partition(self.partitioner, key, encoded, partitions)?;
        self.partitions[partition as usize].push(Pair {
            prefix: prefix(encoded),
            offset,
            key: super::map::length("key", split - offset)?,
            value: super::map::length("value", self.arena.len() - split)?,
        });
        Ok(())
    }
}

impl<'a, K: ?Sized + Key> Collect<'a> for Buffer<'a, K> {
    fn finish(self) -> Result<(Vec<Run>, TaskContext<'a>)> {
        let Self { task, partitions, arena, .. } = self;
        let mut runs = Vec::with_capacity(partitions.len());
        for mut pairs in partitions {
            // The offset makes the order total: pairs of one key stay in the order in which they were emitted. Pairs
            // without a single byte share the offset of the next pair and come before it.
            pairs.sort_unstable_by(|a, b| {
                let by_key = compare((a.prefix, a.key(&arena)), (b.prefix, b.key(&arena)));
                by_key.then_with(|| (a.offset, a.value).cmp(&(b.offset, b.value)))
            });
            let bytes = pairs.iter().map(|pair| pair.key as usize + pair.value as usize + 4).sum();
            let mut run = Run::with_capacity(bytes);
            for pair in &pairs {
                run.push(pair.key(&arena), pair.value(&arena));
            }
            runs.push(run);
        }
        Ok((runs, task))
    }
}
