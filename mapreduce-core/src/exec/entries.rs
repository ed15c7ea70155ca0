//! [`Entries`]: the keys that a table holds, each with the value that its values were folded into.

use super::{
    arena::{DOUBLED_BYTES_MAX, TOGETHER, encoded, shrink},
    index::{INDEX_BYTES, Index},
    run::prefix,
    sort::{Slot, sort},
};
use crate::{Key, Result, hash};
use std::hint::black_box;

/// Keys in the order in which they first came, and the way to them. Values stay typed.
#[derive(Debug)]
pub(super) struct Entries<O> {
    entries: Vec<Entry<O>>,
    /// The partition of each, which is asked for once they are sorted.
    partitions: Vec<u32>,
    /// The bytes of the keys, but for those that are their own prefix.
    keys: Vec<u8>,
    /// Where in `entries` a key is.
    index: Index,
    /// What all of it is meant to take at most, in bytes.
    held_max: usize,
}

#[derive(Debug)]
struct Entry<O> {
    prefix: u64,
    suffix: u64,
    value: O,
    offset: u32,
    length: u32,
}

/// A key that is looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe<'k> {
    prefix: u64,
    /// The last eight bytes of a key that has more than eight.
    suffix: u64,
    hash: u32,
    /// Nothing of a key that is its own prefix.
    bytes: &'k [u8],
}

impl<'k> Probe<'k> {
    #[inline]
    pub(super) fn new<K: ?Sized + Key>(key: &'k K, scratch: &'k mut Vec<u8>) -> Self {
        if K::WIDTH.is_some() {
            let prefix = key.word();
            return Self { prefix, suffix: 0, hash: hash::word(prefix), bytes: &[] };
        }
        let bytes = key.encoded(scratch);
        let suffix =
            bytes.last_chunk().filter(|_| bytes.len() > 8).map_or(0, |last| u64::from_le_bytes(*last));
        Self { prefix: prefix(bytes), suffix, hash: hash::table(bytes), bytes }
    }

    /// The encoding of the key. `word` is where it is put if it has to be made.
    #[inline]
    pub(super) fn encoded<'a, K: ?Sized + Key>(&'a self, word: &'a mut [u8; 8]) -> &'a [u8] {
        encoded::<K>(self.prefix, self.bytes, word)
    }
}

impl<O> Entry<O> {
    #[inline]
    fn bytes<'a>(&self, keys: &'a [u8]) -> &'a [u8] {
        &keys[self.offset as usize..][..self.length as usize]
    }
}

impl<O> Entries<O> {
    /// For so many bytes, or one key if that has more.
    pub(super) fn new(held_max: usize) -> Self {
        Self {
            entries: Vec::new(),
            partitions: Vec::new(),
            keys: Vec::new(),
            index: Index::default(),
            held_max,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What is held, in bytes, without what values hold elsewhere. Besides the entry itself a key has its part of the
    /// index, and later of what is sorted.
    #[inline]
    pub(super) fn held_bytes(&self) -> usize {
        self.keys.len()
            + self.entries.len()
                * (size_of::<Entry<O>>() + size_of::<u32>() + INDEX_BYTES + size_of::<Slot>())
    }

    /// About how many bytes the pairs take when they are encoded.
    pub(super) fn pair_bytes(&self, width: usize) -> usize {
        // Most values take no more bytes encoded than as they are.
        self.keys.len() + self.entries.len() * (width + size_of::<O>() + 3)
    }

    /// The place of a key, if it is there.
    #[inline]
    pub(super) fn find<K: ?Sized + Key>(&self, probe: Probe<'_>) -> Option<usize> {
        let Probe { prefix, suffix, hash, bytes } = probe;
        let found = self.index.find(
            hash,
            #[inline(always)]
            |at| {
                let entry = &self.entries[at as usize];
                let same = || {
                    entry.length as usize == bytes.len()
                        && entry.suffix == suffix
                        && (bytes.len() <= 16 || entry.bytes(&self.keys)[8..] == bytes[8..])
                };
                entry.prefix == prefix && (K::WIDTH.is_some() || same())
            },
        );
        found.map(|at| at as usize)
    }

    #[inline]
    pub(super) fn value(&mut self, at: usize) -> &mut O {
        &mut self.entries[at].value
    }

    /// Adds a key that is not there. Its bytes begin below 2^31, and there are fewer than 2^32 - 1 keys.
    #[inline]
    pub(super) fn insert(&mut self, probe: Probe<'_>, length: u32, partition: u32, value: O) {
        let Probe { prefix, suffix, hash, bytes } = probe;
        let room = self.keys.capacity() - self.keys.len();
        if self.entries.len() == self.entries.capacity() || room < bytes.len() {
            self.grow(bytes.len());
        }
        self.index.insert(hash, self.entries.len() as u32);
        let offset = self.keys.len() as u32;
        self.keys.extend_from_slice(bytes);
        self.entries.push(Entry { prefix, suffix, value, offset, length });
        self.partitions.push(partition);
    }

    /// Makes room for another key. Once it is clear that there will be many bytes, takes as much memory as they will need if
    /// all keys are like those so far: as an [arena](super::arena::Arena) does, and for the same reason.
    #[cold]
    fn grow(&mut self, key: usize) {
        let (keys, entries, held) = (self.keys.len(), self.entries.len(), self.held_bytes());
        if held + key > DOUBLED_BYTES_MAX {
            let all = self.held_max / held.div_ceil(entries.max(1)).max(1) + 1;
            // One in sixteen more than it seems, and never so few that there is soon another time.
            let room = |all: usize, len: usize, least: usize| {
                (all.saturating_add(all / 16)).saturating_sub(len).max(least + len / 8)
            };
            let key_bytes = match entries {
                0 => key,
                entries => all.saturating_mul(keys.div_ceil(entries)),
            };
            let more = if entries == 0 { 1 } else { room(all, entries, 1) };
            self.entries.reserve_exact(more);
            self.partitions.reserve_exact(more);
            self.keys.reserve_exact(room(key_bytes, keys, key));
        }
    }

    /// The entries in the order in which the keys came: prefix and bytes of the key, value, partition.
    pub(super) fn iter(&self) -> impl Iterator<Item = ((u64, &[u8]), &O, u32)> {
        let entries = self.entries.iter().zip(&self.partitions);
        entries.map(|(entry, &partition)| ((entry.prefix, entry.bytes(&self.keys)), &entry.value, partition))
    }

    /// Calls `visit` with partition, key and value of every entry in the order of partitions and keys.
    pub(super) fn each_sorted<K: ?Sized + Key>(
        &self,
        slots: &mut Vec<Slot>,
        partitions: u32,
        mut visit: impl FnMut(u32, &[u8], &O) -> Result,
    ) -> Result {
        slots.clear();
        let all = self.entries.iter().zip(&self.partitions);
        let slot = |(at, (entry, &partition)): (u32, (&Entry<O>, &u32))| Slot {
            prefix: entry.prefix,
            partition,
            at,
        };
        slots.extend((0..).zip(all).map(slot));
        let key = |at: u32| self.entries[at as usize].bytes(&self.keys);
        sort(slots, partitions, if K::WIDTH.is_some() { None } else { Some(&key) });
        let mut word = [0; 8];
        slots.chunks(TOGETHER).try_for_each(|slots| {
            self.touch(slots);
            slots.iter().try_for_each(|slot| {
                let entry = &self.entries[slot.at as usize];
                let key = encoded::<K>(entry.prefix, entry.bytes(&self.keys), &mut word);
                visit(slot.partition, key, &entry.value)
            })
        })
    }

    /// Loads entries and keys that lie all over the memory, all at once: nothing here waits for another load, while work
    /// on each of them would.
    fn touch(&self, slots: &[Slot]) {
        let entry = |slot: &Slot| &self.entries[slot.at as usize];
        let offsets = slots.iter().map(|slot| entry(slot).offset as usize);
        black_box(offsets.fold(0, |all, offset| all ^ self.keys.get(offset).copied().unwrap_or_default()));
    }

    /// Forgets all keys. Keeps the memory for others, unless it is far more than they need.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.partitions.clear();
        self.keys.clear();
        shrink(&mut self.keys, self.held_max);
        self.index.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};
    use std::borrow::Borrow;

    /// Looks keys up whose hashes are all the same: nothing but their bytes tells them apart.
    fn check<K: ?Sized + Key>(keys: &[K::Owned]) {
        let (mut entries, mut known) = (Entries::new(1 << 20), Vec::<Vec<u8>>::new());
        let (mut scratch, mut word) = (Vec::new(), [0; 8]);
        for key in keys {
            let probe = Probe { hash: 7, ..Probe::new::<K>(key.borrow(), &mut scratch) };
            let encoded = probe.encoded::<K>(&mut word).to_vec();
            assert_eq!(entries.find::<K>(probe), known.iter().position(|known| *known == encoded));
            if !known.contains(&encoded) {
                entries.insert(probe, encoded.len() as u32, 0, ());
                known.push(encoded);
            }
        }
    }

    proptest! {
        /// They share their first eight bytes, their last eight or both, as far as they are as long.
        #[test]
        fn keys_with_the_same_hash_are_told_apart(
            keys in vec(("(first 8 )?", "[\0a]{0,3}", "(last 8  )?", "[\0a]?"), 0..100),
        ) {
            let keys: Vec<_> = keys.into_iter().map(|(a, b, c, d)| [a, b, c, d].concat()).collect();
            check::<str>(&keys);
        }

        #[test]
        fn numbers_with_the_same_hash_are_told_apart(keys in vec(prop_oneof![0..9u64, any::<u64>()], 0..100)) {
            check::<u64>(&keys);
        }
    }

    fn fill(entries: &mut Entries<u64>, length: usize) {
        let mut scratch = Vec::new();
        let mut number: u64 = 0;
        while entries.held_bytes() < entries.held_max {
            let key = [&number.to_be_bytes()[..], &vec![b'x'; length - 8]].concat();
            entries.insert(Probe::new(&key[..], &mut scratch), length as u32, 0, 1);
            number += 1;
        }
    }

    #[test]
    fn memory_for_many_keys_is_taken_once_and_kept() {
        for length in [8, 100, 100_000, 1 << 20, 3 << 20] {
            let mut entries = Entries::new(16 << 20);
            fill(&mut entries, length);
            let of = |entries: &Entries<u64>| (entries.keys.capacity(), entries.entries.capacity());
            let (keys, places) = of(&entries);
            let of_key = size_of::<Entry<u64>>() + size_of::<u32>() + size_of::<Slot>();
            let all = keys + places * of_key + entries.index.held_bytes();
            assert!(all <= entries.held_bytes() * 5 / 4, "{all} bytes for keys of {length}");
            for _ in 0..3 {
                entries.clear();
                fill(&mut entries, length);
                assert_eq!(of(&entries), (keys, places), "keys of {length}");
            }
        }
    }
}
