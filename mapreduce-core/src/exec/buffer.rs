//! The emitter of a map task without a combiner: encoded pairs in an arena, sorted when the task ends.

use super::{
    map::{Collect, TaskContext},
    run::{Run, compare, pair_bytes, prefix},
    segment::Segments,
};
use crate::{Datum, Emit, Key, Partitioner, Result};

/// Keys and values lie encoded in an arena, in the order in which they were emitted.
pub(super) struct Buffer<'a, K: ?Sized> {
    task: TaskContext<'a>,
    partitioner: &'a dyn Partitioner<K>,
    segments: Segments<'a>,
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
    pub(super) fn new(
        task: TaskContext<'a>,
        partitioner: &'a dyn Partitioner<K>,
        segments: Segments<'a>,
    ) -> Self {
        let partitions = (0..segments.partitions()).map(|_| Vec::new()).collect();
        Self { task, partitioner, segments, partitions, arena: Vec::new() }
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
        let Self { task, mut segments, mut partitions, arena, .. } = self;
        let bytes = |pair: &Pair| pair_bytes(pair.key as usize, pair.value as usize);
        let mut writer = segments.begin(partitions.iter().flatten().map(bytes).sum())?;
        for (partition, pairs) in (0..).zip(&mut partitions) {
            // The offset makes the order total: pairs of one key stay in the order in which they were emitted. Pairs
            // without a single byte share the offset of the next pair and come before it.
            pairs.sort_unstable_by(|a, b| {
                let by_key = compare((a.prefix, a.key(&arena)), (b.prefix, b.key(&arena)));
                by_key.then_with(|| (a.offset, a.value).cmp(&(b.offset, b.value)))
            });
            for pair in pairs {
                writer.push(partition, pair.key(&arena), pair.value(&arena))?;
            }
        }
        segments.end(writer)?;
        Ok((segments.finish()?, task))
    }
}
