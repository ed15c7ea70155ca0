//! The emitter of a map task without a combiner: encoded pairs in an arena, sorted when there are enough or no more.

use super::{
    arena::{ARENA_BYTES_MAX, Arena},
    map::{self, Collect, TaskContext},
    pool::Pool,
    segment::Segments,
};
use crate::{Datum, Emit, Key, Partitioner, Result};

/// Keys and values lie encoded in an arena, in the order in which they were emitted.
pub(super) struct Buffer<'a, K: ?Sized> {
    task: TaskContext<'a>,
    partitioner: &'a dyn Partitioner<K>,
    segments: Segments<'a>,
    segment_bytes: usize,
    arena: Arena<K>,
    /// Where the arena comes from and goes.
    arenas: &'a Pool<Arena<K>>,
}

impl<'a, K: ?Sized + Key> Buffer<'a, K> {
    pub(super) fn new(
        task: TaskContext<'a>,
        partitioner: &'a dyn Partitioner<K>,
        segments: Segments<'a>,
        arenas: &'a Pool<Arena<K>>,
    ) -> Self {
        let segment_bytes = segments.segment_bytes().clamp(1, ARENA_BYTES_MAX);
        let arena = arenas.take_or(|| Arena::new(segment_bytes));
        Self { task, partitioner, segments, segment_bytes, arena, arenas }
    }

    #[inline]
    fn take<V: ?Sized + Datum>(&mut self, key: &K, value: &V) -> Result {
        let (partitioner, partitions) = (self.partitioner, self.segments.partitions());
        let partition = |encoded: &[u8]| map::partition(partitioner, key, encoded, partitions);
        self.arena.push(key, value, partition)?;
        if self.arena.held_bytes() >= self.segment_bytes {
            self.cut()?;
        }
        Ok(())
    }

    /// Ends the segment.
    #[cold]
    fn cut(&mut self) -> Result {
        self.arena.sort(self.segments.partitions());
        let mut writer = self.segments.begin(self.arena.pair_bytes())?;
        let mut word = [0; 8];
        for pair in self.arena.pairs() {
            writer.push(pair.partition, pair.key(&mut word), pair.value)?;
        }
        self.segments.end(writer)?;
        self.arena.clear();
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

    fn side(&mut self, output: &'static str, line: &[u8]) -> Result {
        self.task.side(output, line)
    }
}

impl<'a, K: ?Sized + Key> Collect<'a> for Buffer<'a, K> {
    fn finish(mut self) -> Result<(Segments<'a>, TaskContext<'a>)> {
        if !self.arena.is_empty() {
            self.cut()?;
        }
        self.arenas.put_back(self.arena);
        Ok((self.segments, self.task))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        HashPartitioner, Memory,
        exec::{Attempt, Run},
    };
    use proptest::{collection::vec, prelude::*};
    use std::borrow::Borrow;

    type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

    fn encoded<K: ?Sized + Key, V: ?Sized + Datum>(key: &K, value: &V) -> (Vec<u8>, Vec<u8>) {
        let (mut bytes, mut scratch) = (Vec::new(), Vec::new());
        value.encode(&mut bytes).unwrap();
        (key.encoded(&mut scratch).to_vec(), bytes)
    }

    /// What the emitter makes of the pairs, and what sorting them makes.
    fn check<K, V>(pairs: &[(K::Owned, V::Owned)], partitions: u32, segment_bytes: usize)
    where
        K: ?Sized + Key,
        V: ?Sized + Datum,
    {
        let (attempt, memory) = (Attempt::default(), Memory::limited(1 << 30));
        let segments = Segments::new(&memory, partitions, segment_bytes);
        let arenas = Pool::new();
        let mut buffer = Buffer::<K>::new(TaskContext::new(&attempt), &HashPartitioner, segments, &arenas);
        let mut expected = vec![Pairs::new(); partitions as usize];
        for (key, value) in pairs {
            let (key, value): (&K, &V) = (key.borrow(), value.borrow());
            Emit::<K, V>::emit(&mut buffer, key, value).unwrap();
            let pair = encoded(key, value);
            expected[HashPartitioner.partition(key, &pair.0, partitions) as usize].push(pair);
        }
        expected.iter_mut().for_each(|pairs| pairs.sort_by(|a, b| a.0.cmp(&b.0)));
        let found: Vec<Pairs> =
            buffer.finish().unwrap().0.finish(&attempt).unwrap().iter().map(read).collect();
        assert_eq!(found, expected);
    }

    fn read(run: &Run) -> Pairs {
        let (mut reader, mut pairs) = (run.reader(), Pairs::new());
        while let Some((key, value)) = reader.next_pair().unwrap() {
            pairs.push((key.to_vec(), value.to_vec()));
        }
        pairs
    }

    /// Some of them empty, some that differ in trailing zeros, some that share their first bytes.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![vec(0..2u8, 0..12), vec(Just(7), 0..4), vec(any::<u8>(), 120..140)]
    }

    fn segment_bytes() -> impl Strategy<Value = usize> {
        prop_oneof![Just(1), 20..600usize, Just(usize::MAX)]
    }

    proptest! {
        #[test]
        fn pairs_come_sorted_those_of_a_key_as_they_were_emitted(
            pairs in vec((bytes(), bytes()), 0..80),
            partitions in 1..5u32,
            segment_bytes in segment_bytes(),
        ) {
            check::<[u8], [u8]>(&pairs, partitions, segment_bytes);
        }

        #[test]
        fn pairs_with_keys_of_fixed_width_come_sorted(
            pairs in vec((-3..3i16, any::<u64>()), 0..80),
            partitions in 1..5u32,
            segment_bytes in segment_bytes(),
        ) {
            check::<i16, u64>(&pairs, partitions, segment_bytes);
        }
    }

    #[test]
    fn pairs_without_a_byte_are_kept() {
        check::<(), ()>(&[((), ()); 40], 3, 100);
    }

    #[test]
    fn a_record_larger_than_a_segment_is_a_segment() {
        let large = |byte: u8| vec![byte; 100_000];
        check::<[u8], [u8]>(&[(large(2), vec![]), (vec![1], large(3)), (vec![], vec![9])], 2, 1_000);
    }
}
