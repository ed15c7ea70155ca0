//! [`Index`]: where keys are in a list, by their hashes.

/// A hash table of open addressing with linear probing. It holds numbers alone: whether a key is the one that is looked for,
/// the list knows.
///
/// What is looked up is mostly in no cache near a processor. Here it is one load away, with what tells most keys apart. A
/// table with a directory of its own, as hash maps have it, takes two.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// A power of two of them, or none. They are in the order of the hashes, as far as there is room.
    places: Vec<Place>,
    used: usize,
}

/// A hash and a number, from 1 on. 0 where there is none.
type Place = u64;

const PLACES_MIN: usize = 16;

/// What a number takes, in bytes, in the middle between a table that is full and one that has just grown.
pub(super) const INDEX_BYTES: usize = 2 * size_of::<Place>();

/// At most three of four places are used: beyond that, ways to a place that is free become long.
const USED: usize = 3;
const OF: usize = 4;

fn place(hash: u32, at: u32) -> Place {
    u64::from(hash) << 32 | (u64::from(at) + 1)
}

impl Index {
    /// The number with this hash that `is` the right one.
    #[inline]
    pub(super) fn find(&self, hash: u32, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let mask = self.places.len().wrapping_sub(1);
        let mut position = self.position(hash);
        loop {
            let place = *self.places.get(position)?;
            if place == 0 {
                return None;
            }
            let at = (place as u32).wrapping_sub(1);
            if (place >> 32) as u32 == hash && is(at) {
                return Some(at);
            }
            position = (position + 1) & mask;
        }
    }

    /// Adds a number below 2^32 - 1.
    #[inline]
    pub(super) fn insert(&mut self, hash: u32, at: u32) {
        if (self.used + 1) * OF > self.places.len() * USED {
            self.grow();
        }
        self.put(place(hash, at));
        self.used += 1;
    }

    /// Forgets all. Keeps the memory.
    pub(super) fn clear(&mut self) {
        if self.used > 0 {
            self.places.fill(0);
            self.used = 0;
        }
    }

    /// What all of it takes, in bytes.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        size_of_val(&*self.places)
    }

    /// Where to begin: the highest bits of the hash.
    #[inline]
    fn position(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.places.len() as u64) >> 32) as usize
    }

    fn put(&mut self, place: Place) {
        let mask = self.places.len() - 1;
        let mut position = self.position((place >> 32) as u32);
        while self.places[position] != 0 {
            position = (position + 1) & mask;
        }
        self.places[position] = place;
    }

    #[cold]
    fn grow(&mut self) {
        let places = (self.places.len() * 2).max(PLACES_MIN);
        let old = std::mem::replace(&mut self.places, vec![0; places]);
        old.into_iter().filter(|&place| place != 0).for_each(|place| self.put(place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash;
    use proptest::{collection::vec, prelude::*};

    /// The places that are looked at to find each of some numbers, on average.
    fn steps(hashes: impl Iterator<Item = u32> + Clone) -> f64 {
        let mut index = Index::default();
        (0..).zip(hashes.clone()).for_each(|(at, hash)| index.insert(hash, at));
        let steps = (1..).zip(hashes).map(|(at, hash)| {
            let sought = place(hash, at - 1);
            let ring = index.places.iter().cycle().skip(index.position(hash));
            1 + ring.take_while(|&&place| place != sought).count()
        });
        steps.sum::<usize>() as f64 / index.used as f64
    }

    /// On average 2.5 of hashes without a pattern (Knuth, The Art of Computer Programming 3, 6.4).
    const STEPS: f64 = 3.2;

    #[test]
    fn keys_with_a_pattern_are_found_as_soon_as_others() {
        // As full as a table gets.
        for keys in [13, 17, 19].map(|bits| 0..3_u64 << (bits - 2)) {
            let of_words = |word: fn(u64, u64) -> u64, by: u64| {
                let found = steps(keys.clone().map(|key| hash::word(word(key, by))));
                assert!(found < STEPS, "{} keys at distances of {by}: {found}", keys.end);
            };
            (0..=44).step_by(4).for_each(|shift| of_words(|key, by| key << by, shift));
            [3, 10, 1000, 2591, 18864].into_iter().for_each(|by| of_words(|key, by| key * by, by));
            of_words(|key, by| (key as f64 * by as f64).to_bits(), 1);
            let found = steps(keys.clone().map(|key| hash::table(format!("user-{key:08}").as_bytes())));
            assert!(found < STEPS, "{} names: {found}", keys.end);
        }
    }

    proptest! {
        /// Hashes that are alike, next to each other, or at the end of the table.
        #[test]
        fn numbers_are_found_by_their_hashes(
            hashes in vec(prop_oneof![0..3u32, u32::MAX - 3.., any::<u32>()], 0..300),
            other in any::<u32>(),
        ) {
            let mut index = Index::default();
            for _ in 0..2 {
                for (at, &hash) in (0..).zip(&hashes) {
                    prop_assert_eq!(index.find(hash, |found| found == at), None);
                    index.insert(hash, at);
                }
                for (at, &hash) in (0..).zip(&hashes) {
                    prop_assert_eq!(index.find(hash, |found| found == at), Some(at));
                    let first = index.find(hash, |_| true).unwrap();
                    prop_assert_eq!(hashes[first as usize], hash);
                }
                prop_assert_eq!(index.find(other, |_| true).is_some(), hashes.contains(&other));
                index.clear();
                prop_assert_eq!(index.find(other, |_| true), None);
            }
        }
    }
}
