//! The emitter of a map task with a combiner: a hash table that folds values in place.

use super::{
    map::{Collect, TaskContext},
    run::{Run, compare, pair_bytes, prefix},
    segment::Segments,
};
use crate::{Combiner, Datum, Emit, Key, Partitioner, Result, hash};
use hashbrown::HashTable;
use std::borrow::Borrow;

/// Keys lie encoded in an arena, once each; values stay typed until the task ends.
pub(super) struct Table<'a, K: ?Sized, V: ?Sized + ToOwned, C> {
    task: TaskContext<'a>,
    combiner: &'a C,
    partitioner: &'a dyn Partitioner<K>,
    segments: Segments<'a>,
    entries: HashTable<Entry<V::Owned>>,
    arena: Vec<u8>,
    scratch: Vec<u8>,
}

struct Entry<O> {
    prefix: u64,
    offset: usize,
    length: u32,
    partition: u32,
    value: O,
}

impl<O> Entry<O> {
    #[inline]
    fn key<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        &arena[self.offset..self.offset + self.length as usize]
    }
}

impl<'a, K: ?Sized, V: ?Sized + ToOwned, C> Table<'a, K, V, C> {
    pub(super) fn new(
        task: TaskContext<'a>,
        combiner: &'a C,
        partitioner: &'a dyn Partitioner<K>,
        segments: Segments<'a>,
    ) -> Self {
        let entries = HashTable::new();
        Self { task, combiner, partitioner, segments, entries, arena: Vec::new(), scratch: Vec::new() }
    }
}

impl<K, V, C> Emit<K, V> for Table<'_, K, V, C>
where
    K: ?Sized + Key,
    V: ?Sized + Datum,
    C: Combiner<K, V>,
{
    #[inline]
    fn emit(&mut self, key: &K, value: &V) -> Result {
        let taken = self.take(key, value);
        self.task.emitted(taken)
    }

    fn count(&mut self, counter: &'static str, n: u64) {
        self.task.counters.add(counter, n);
    }
}

impl<K, V, C> Table<'_, K, V, C>
where
    K: ?Sized + Key,
    V: ?Sized + Datum,
    C: Combiner<K, V>,
{
    #[inline]
    fn take(&mut self, key: &K, value: &V) -> Result {
        let encoded = key.encoded(&mut self.scratch);
        let hash = hash::table(encoded);
        let prefix = prefix(encoded);
        let arena = &self.arena;
        let found = self.entries.find_mut(hash, |entry| {
            entry.prefix == prefix
                && entry.length as usize == encoded.len()
                && (encoded.len() <= 8 || entry.key(arena)[8..] == encoded[8..])
        });
        if let Some(entry) = found {
            self.combiner.combine(key, &mut entry.value, value);
            return Ok(());
        }
        let partition = super::map::partition(self.partitioner, key, encoded, self.segments.partitions())?;
        let length = super::map::length("key", encoded.len())?;
        let offset = self.arena.len();
        self.arena.extend_from_slice(encoded);
        let entry = Entry { prefix, offset, length, partition, value: value.to_owned() };
        let arena = &self.arena;
        self.entries.insert_unique(hash, entry, |entry| hash::table(entry.key(arena)));
        Ok(())
    }
}

impl<'a, K, V, C> Collect<'a> for Table<'a, K, V, C>
where
    K: ?Sized + Key,
    V: ?Sized + Datum,
    C: Combiner<K, V>,
{
    fn finish(self) -> Result<(Vec<Run>, TaskContext<'a>)> {
        let Self { task, mut segments, entries, arena, mut scratch, .. } = self;
        let mut entries: Vec<_> = entries.into_iter().collect();
        entries.sort_unstable_by(|a, b| {
            let by_key = || compare((a.prefix, a.key(&arena)), (b.prefix, b.key(&arena)));
            a.partition.cmp(&b.partition).then_with(by_key)
        });
        // Most values take no more bytes encoded than as they are.
        let bytes = |entry: &Entry<_>| pair_bytes(entry.length as usize, size_of::<V::Owned>());
        let mut writer = segments.begin(entries.iter().map(bytes).sum())?;
        for entry in &entries {
            scratch.clear();
            Borrow::<V>::borrow(&entry.value).encode(&mut scratch)?;
            writer.push(entry.partition, entry.key(&arena), &scratch)?;
        }
        segments.end(writer)?;
        Ok((segments.finish()?, task))
    }
}
