//! [`Arena`]: encoded pairs in the order in which they were emitted, until they are sorted.

use super::{
    lengths,
    run::prefix,
    sort::{Slot, sort},
};
use crate::{Datum, Key, Result, error::Misuse};
use std::{hint::black_box, marker::PhantomData};

/// Encoded pairs, one after the other: key, value, and behind them their lengths, which are known last. Of a key of fixed
/// width there is only what its slot holds: its prefix.
#[derive(Debug)]
pub(super) struct Arena<K: ?Sized> {
    bytes: Vec<u8>,
    /// `at` is where the lengths of the pair begin.
    slots: Vec<Slot>,
    /// What all of it is meant to take at most, in bytes.
    held_max: usize,
    /// The capacity of `bytes` that is known of.
    capacity: usize,
    of: PhantomData<fn(&K)>,
}

/// An arena that outgrows this gets all of its memory at once. Doubling it would leave holes of half the size, of a
/// quarter and so on, which nothing else fits into.
pub(super) const DOUBLED_BYTES_MAX: usize = 256 << 10;

/// So many pairs or entries are loaded together.
pub(super) const TOGETHER: usize = 32;

/// Pairs begin below this, so that 32 bits say where they end.
pub(super) const ARENA_BYTES_MAX: usize = 1 << 31;

impl<K: ?Sized + Key> Arena<K> {
    /// An arena that is to hold so many bytes, or one pair if that has more.
    pub(super) fn new(held_max: usize) -> Self {
        Self { bytes: Vec::new(), slots: Vec::new(), held_max, capacity: 0, of: PhantomData }
    }

    /// What is held, in bytes.
    #[inline]
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.len() + size_of_val(&*self.slots)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many bytes the pairs take, each with its lengths.
    pub(super) fn pair_bytes(&self) -> usize {
        self.bytes.len() + K::WIDTH.map_or(0, |width| (width + 1) * self.slots.len())
    }

    /// Adds a pair. `partition` chooses where its encoded key belongs.
    #[inline]
    pub(super) fn push<V: ?Sized + Datum>(
        &mut self,
        key: &K,
        value: &V,
        partition: impl FnOnce(&[u8]) -> Result<u32>,
    ) -> Result {
        if let Some(width) = K::WIDTH {
            let prefix = key.word();
            let partition = partition(&prefix.to_be_bytes()[..width])?;
            return self.push_encoded((prefix, &[]), value, partition);
        }
        let begin = self.bytes.len();
        key.encode(&mut self.bytes);
        let key = &self.bytes[begin..];
        let (prefix, partition) = (prefix(key), partition(key)?);
        self.push_value(begin, prefix, value, partition)
    }

    /// Adds a pair of which the key is encoded: prefix, and bytes unless there is a width.
    pub(super) fn push_encoded<V: ?Sized + Datum>(
        &mut self,
        (prefix, key): (u64, &[u8]),
        value: &V,
        partition: u32,
    ) -> Result {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.push_value(begin, prefix, value, partition)
    }

    /// Adds the rest of a pair, the key of which is there from `begin` on.
    #[inline]
    fn push_value<V: ?Sized + Datum>(
        &mut self,
        begin: usize,
        prefix: u64,
        value: &V,
        partition: u32,
    ) -> Result {
        let split = self.bytes.len();
        value.encode(&mut self.bytes)?;
        let end = self.bytes.len();
        let at = place(begin, end, "pair")?;
        lengths::put(end - split, |byte| self.bytes.push(byte));
        if K::WIDTH.is_none() {
            lengths::put(split - begin, |byte| self.bytes.push(byte));
        }
        self.slots.push(Slot { prefix, partition, at });
        if self.bytes.capacity() != self.capacity {
            self.grown();
        }
        Ok(())
    }

    /// Once it is clear that it will be a large arena, takes as much memory as that will need if all pairs are like those
    /// so far.
    #[cold]
    fn grown(&mut self) {
        if self.bytes.capacity() > DOUBLED_BYTES_MAX && self.held_bytes() < self.held_max {
            // With the one that it ends with.
            let pairs = self.held_max / (self.held_bytes() / self.slots.len()).max(1) + 1;
            let pair = self.bytes.len().div_ceil(self.slots.len());
            // One in sixteen more: the next pairs may be a bit longer, or shorter and more of them.
            let room = |all: usize, len: usize| (all + all / 16).saturating_sub(len);
            self.bytes.reserve_exact(room(pairs.saturating_mul(pair), self.bytes.len()));
            self.slots.reserve_exact(room(pairs, self.slots.len()));
        }
        self.capacity = self.bytes.capacity();
    }

    /// Sorts the pairs by partition and key, those of a key in the order in which they were emitted.
    pub(super) fn sort(&mut self, partitions: u32) {
        let bytes = &self.bytes;
        let key = |at| pair::<K>(bytes, at).0;
        sort(&mut self.slots, partitions, if K::WIDTH.is_some() { None } else { Some(&key) });
    }

    /// The pairs in order.
    pub(super) fn pairs(&self) -> impl Iterator<Item = ArenaPair<'_, K>> {
        self.slots.iter().enumerate().map(|(i, slot)| {
            if i.is_multiple_of(TOGETHER) {
                self.touch(&self.slots[i..self.slots.len().min(i + TOGETHER)]);
            }
            let (key, value) = pair::<K>(&self.bytes, slot.at);
            ArenaPair { prefix: slot.prefix, partition: slot.partition, key, value, of: PhantomData }
        })
    }

    /// Loads pairs that lie all over the memory, all at once: nothing here waits for another load, while work on each of
    /// them would.
    fn touch(&self, slots: &[Slot]) {
        black_box(
            slots
                .iter()
                .fold(0, |all, slot| all ^ self.bytes.get(slot.at as usize).copied().unwrap_or_default()),
        );
    }

    /// Forgets all pairs. Keeps the memory for others, unless it is far more than they need: one record may have been
    /// larger than all others.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.bytes.clear();
        shrink(&mut self.bytes, self.held_max);
        self.capacity = self.bytes.capacity();
    }
}

/// Gives memory back that is more than twice as much as `bytes_max`. To that much, not to less: what is given back and taken
/// again moves about, and the allocator keeps a hole for each of its places.
pub(super) fn shrink(bytes: &mut Vec<u8>, bytes_max: usize) {
    if bytes.capacity() / 2 > bytes_max {
        bytes.shrink_to(bytes_max);
    }
}

/// A pair in an [`Arena`].
pub(super) struct ArenaPair<'a, K: ?Sized> {
    pub(super) partition: u32,
    pub(super) value: &'a [u8],
    prefix: u64,
    key: &'a [u8],
    of: PhantomData<fn(&K)>,
}

impl<'a, K: ?Sized + Key> ArenaPair<'a, K> {
    /// The encoded key. `word` is where it is put if it has to be made.
    #[inline]
    pub(super) fn key<'k>(&'k self, word: &'k mut [u8; 8]) -> &'k [u8] {
        encoded::<K>(self.prefix, self.key, word)
    }

    #[inline]
    pub(super) fn has_key_of(&self, other: &Self) -> bool {
        // Sorting may have left other prefixes in keys without a width.
        match K::WIDTH {
            Some(_) => self.prefix == other.prefix,
            None => self.key == other.key,
        }
    }
}

/// The encoding of a key: `bytes`, or what its prefix says if there is a width.
#[inline]
pub(super) fn encoded<'a, K: ?Sized + Key>(prefix: u64, bytes: &'a [u8], word: &'a mut [u8; 8]) -> &'a [u8] {
    match K::WIDTH {
        Some(width) => {
            *word = prefix.to_be_bytes();
            &word[..width]
        }
        None => bytes,
    }
}

/// What begins below [`ARENA_BYTES_MAX`] and is as long at most always has a place, which is to be found in 32 bits.
#[inline]
pub(super) fn place(begin: usize, end: usize, what: &'static str) -> Result<u32, Misuse> {
    let bytes = end - begin;
    let too_long = || Misuse::TooLong { what, bytes };
    if bytes > ARENA_BYTES_MAX { Err(too_long()) } else { u32::try_from(end).map_err(|_| too_long()) }
}

/// The pair whose lengths begin at `at`. No key if there is a width.
#[inline]
fn pair<K: ?Sized + Key>(bytes: &[u8], at: u32) -> (&[u8], &[u8]) {
    let (before, mut behind) = bytes.split_at(at as usize);
    let mut length = || lengths::take(&mut behind).expect("they stand behind every pair");
    let value = length();
    let key = if K::WIDTH.is_some() { 0 } else { length() };
    before[before.len() - value - key..].split_at(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_may_have_two_gib_wherever_it_begins() {
        let max = ARENA_BYTES_MAX;
        for begin in [0, 5, max - 1] {
            assert_eq!(place(begin, begin + max, "pair").unwrap() as usize, begin + max);
            let error = place(begin, begin + max + 1, "pair").unwrap_err();
            assert!(error.is_permanent());
            assert_eq!(error.to_string(), "a pair of 2147483649 bytes is too long; the limit is 2 GiB");
        }
    }

    fn fill(arena: &mut Arena<[u8]>, value: usize) {
        while arena.held_bytes() < arena.held_max {
            arena.push::<[u8]>(b"key", &vec![1; value][..], |_| Ok(0)).unwrap();
        }
    }

    /// A large buffer that is taken, moved and given back again and again costs a multiple of what is in it.
    #[test]
    fn a_large_arena_is_taken_once_and_kept() {
        for value in [10, 1_000, 100_000, 1 << 20, 3 << 20] {
            let mut arena = Arena::<[u8]>::new(16 << 20);
            fill(&mut arena, value);
            let (capacity, at) = (arena.bytes.capacity(), arena.bytes.as_ptr());
            let all = capacity + arena.slots.capacity() * size_of::<Slot>();
            assert!(all <= arena.held_bytes() * 5 / 4, "{all} bytes for values of {value}");
            for _ in 0..3 {
                arena.clear();
                fill(&mut arena, value);
                assert_eq!(
                    (arena.bytes.capacity(), arena.bytes.as_ptr()),
                    (capacity, at),
                    "values of {value}"
                );
            }
        }
    }

    #[test]
    fn what_one_long_record_took_is_given_back() {
        let mut arena = Arena::<[u8]>::new(1_000_000);
        fill(&mut arena, 5_000_000);
        assert!(arena.bytes.capacity() >= 5_000_000);
        arena.clear();
        assert!(arena.bytes.capacity() <= 1_000_000);
        fill(&mut arena, 10);
        assert!(arena.bytes.capacity() <= 1_100_000);
    }
}
