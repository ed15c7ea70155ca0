//! [`Index`]: where in a list the entry of a hash is.
//!
//! Open addressing with linear probing. A slot holds 32 bits of the hash beside the number of the entry, so that an entry
//! is looked at only if it is most likely the one that is sought, and the index grows without looking at any.

/// Finds entries by 32 bits of the hash of their key. What the entries are it does not know.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// `hash << 32 | entry + 1`, or 0. As many as a power of two, or none.
    slots: Vec<u64>,
    /// A hash shifted right by this is the slot where the search begins.
    shift: u32,
    len: usize,
}

/// The slots of the smallest index.
const SLOTS_MIN: usize = 64;
/// The most slots that a core's second-level cache holds beside the entries.
const SLOTS_CACHED: usize = 1 << 15;

impl Index {
    /// The entry with that hash for which `is` is true.
    #[inline]
    pub(super) fn find(&self, hash: u32, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = self.home(hash);
        loop {
            // Only an index without slots has none here.
            let slot = *self.slots.get(at)?;
            if slot == 0 {
                return None;
            }
            let entry = slot as u32 - 1;
            if (slot >> 32) as u32 == hash && is(entry) {
                return Some(entry);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds an entry that is not there.
    pub(super) fn insert(&mut self, hash: u32, entry: u32) {
        // A search that goes on behind its first slot costs a branch that nobody could predict: where slots lie in a
        // cache they may be four times the entries. Larger indexes are as full as leaves most searches in one line of it.
        let full = match self.slots.len() {
            small @ ..=SLOTS_CACHED => small / 4,
            large => large / 8 * 5,
        };
        if self.len >= full {
            self.grow();
        }
        self.len += 1;
        self.put(u64::from(hash) << 32 | u64::from(entry + 1));
    }

    /// Forgets all entries.
    pub(super) fn clear(&mut self) {
        self.slots.fill(0);
        self.len = 0;
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        // Without slots the shift is by nothing; there is nothing to find then.
        (hash >> self.shift) as usize
    }

    fn put(&mut self, slot: u64) {
        let mask = self.slots.len() - 1;
        let mut at = self.home((slot >> 32) as u32);
        while self.slots[at] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }

    #[cold]
    fn grow(&mut self) {
        let slots = (self.slots.len() * 2).max(SLOTS_MIN);
        let old = std::mem::replace(&mut self.slots, vec![0; slots]);
        self.shift = u32::BITS.saturating_sub(slots.trailing_zeros());
        old.into_iter().filter(|slot| *slot != 0).for_each(|slot| self.put(slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};
    use std::collections::BTreeMap;

    proptest! {
        /// Few hashes, so that many entries share one.
        #[test]
        fn entries_are_found_by_hash_and_key(
            keys in vec((prop_oneof![0..4u32, u32::MAX - 3..=u32::MAX, any::<u32>()], 0..6u8), 0..300),
        ) {
            let mut index = Index::default();
            for _ in 0..2 {
                let (mut entries, mut oracle) = (Vec::new(), BTreeMap::new());
                for key in &keys {
                    let found = index.find(key.0, |entry| entries[entry as usize] == *key);
                    prop_assert_eq!(found, oracle.get(key).copied());
                    if found.is_none() {
                        index.insert(key.0, entries.len() as u32);
                        oracle.insert(*key, entries.len() as u32);
                        entries.push(*key);
                    }
                }
                index.clear();
            }
        }
    }
}
