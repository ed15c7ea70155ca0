//! The emitter of a map task without a combiner: encoded pairs in an arena, sorted when there are enough or no more.

use super::{
    arena::{ARENA_BYTES_MAX, Arena},
    map::{self, Collect, TaskContext},
    run::Run,
    segment::Segments,
};
use crate::{Datum, Emit, Key, Partitioner, Result};

/// Keys and values lie encoded in an arena, in the order in which they were emitted.
pub(super) struct Buffer<'a, K: ?Sized> {
    task: TaskContext<'a>,
    partitioner: &'a dyn Partitioner<K>,
    segments: Segments<'a>,
    segment_bytes: usize,
    arena: Arena,
}

impl<'a, K: ?Sized + Key> Buffer<'a, K> {
    pub(super) fn new(
        task: TaskContext<'a>,
        partitioner: &'a dyn Partitioner<K>,
        segments: Segments<'a>,
    ) -> Self {
        let segment_bytes = segments.segment_bytes().min(ARENA_BYTES_MAX);
        Self { task, partitioner, segments, segment_bytes, arena: Arena::default() }
    }

    #[inline]
    fn take<V: ?Sized + Datum>(&mut self, key: &K, value: &V) -> Result {
        let (partitioner, partitions) = (self.partitioner, self.segments.partitions());
        let partition = |encoded: &[u8]| map::partition(partitioner, key, encoded, partitions);
        self.arena.push(|bytes| key.encode(bytes), value, partition)?;
        if self.arena.held_bytes() >= self.segment_bytes {
            self.cut()?;
        }
        Ok(())
    }

    /// Ends the segment.
    #[cold]
    fn cut(&mut self) -> Result {
        self.arena.sort(self.segments.partitions(), K::WIDTH.is_some());
        let mut writer = self.segments.begin(self.arena.pair_bytes())?;
        for (partition, key, value) in self.arena.pairs() {
            writer.push(partition, key, value)?;
        }
        self.segments.end(writer)?;
        self.arena.clear(self.segment_bytes);
        Ok(())
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

impl<'a, K: ?Sized + Key> Collect<'a> for Buffer<'a, K> {
    fn finish(mut self) -> Result<(Vec<Run>, TaskContext<'a>)> {
        if !self.arena.is_empty() {
            self.cut()?;
        }
        Ok((self.segments.finish()?, self.task))
    }
}
