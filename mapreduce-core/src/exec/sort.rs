//! Sorting what an emitter has collected, by partition and key.
//!
//! What is moved are [`Slot`]s of 16 bytes, which hold the beginning of the key as a number; the keys themselves are
//! looked at only where these are equal. Partitions, and the numbers of many slots, are told apart by counting rather than
//! by comparing: a radix sort from the most significant digit, which ends in comparisons when few are left.
//!
//! Source: P. M. McIlroy, K. Bostic, M. D. McIlroy, Engineering Radix Sort, Computing Systems 6 (1), 1993.

use super::run::prefix;
use std::ops::Range;

/// Stands for an entry while it is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    /// The [`prefix`] of the key.
    pub(super) prefix: u64,
    pub(super) partition: u32,
    /// What the entry is known by. Of equal keys the one with the smaller number comes first.
    pub(super) at: u32,
}

/// Sorts by partition, key and `at`. `key` gives the key of an entry; `None` if equal prefixes mean equal keys.
pub(super) fn sort<'k>(slots: &mut [Slot], partitions: u32, key: Option<&dyn Fn(u32) -> &'k [u8]>) {
    if slots.len() < RADIX_MIN || partitions as usize > slots.len() {
        slots.sort_unstable_by_key(|slot| (slot.partition, slot.prefix, slot.at));
    } else {
        let mut other = vec![Slot::default(); slots.len()];
        let ends = scatter(slots, &mut other, partitions as usize, |slot| slot.partition as usize);
        for group in ranges(&ends) {
            let (from, to) = (&mut other[group.clone()], &mut slots[group]);
            sort_prefixes(from, to);
        }
    }
    if let Some(key) = key {
        let equal = |a: &Slot, b: &Slot| a.prefix == b.prefix && a.partition == b.partition;
        let more_than_one = |slots: &&mut [Slot]| slots.len() > 1;
        slots.chunk_by_mut(equal).filter(more_than_one).for_each(|slots| sort_tails(slots, 8, key));
    }
}

/// Fewer slots than this are compared rather than counted.
const RADIX_MIN: usize = 1 << 10;
/// The bits of a digit, by which slots are counted.
const DIGIT_BITS: std::ops::RangeInclusive<u32> = 8..=12;
/// A digit has as many values as leave each about this many slots, as a power of two.
const LEFT_BITS: u32 = 3;

/// Sorts what is in `from` by prefix and `at` into `to`.
fn sort_prefixes(from: &mut [Slot], to: &mut [Slot]) {
    let by_prefix = |slots: &mut [Slot]| slots.sort_unstable_by_key(|slot| (slot.prefix, slot.at));
    if from.len() < RADIX_MIN {
        to.copy_from_slice(from);
        return by_prefix(to);
    }
    let (all, any) =
        from.iter().fold((u64::MAX, 0), |(all, any), slot| (all & slot.prefix, any | slot.prefix));
    let bits = (from.len().ilog2() - LEFT_BITS).clamp(*DIGIT_BITS.start(), *DIGIT_BITS.end());
    // The first bits that are not the same in all of them.
    let shift = (u64::BITS - bits).saturating_sub((all ^ any).leading_zeros());
    let ends = scatter(from, to, 1 << bits, |slot| (slot.prefix >> shift) as usize & ((1 << bits) - 1));
    ranges(&ends).for_each(|digit| by_prefix(&mut to[digit]));
}

/// Puts slots of the same digit together, in the order of the digits. Gives where each digit's slots end.
fn scatter(from: &[Slot], to: &mut [Slot], digits: usize, digit: impl Fn(&Slot) -> usize) -> Vec<usize> {
    let mut places = vec![0; digits];
    from.iter().for_each(|slot| places[digit(slot)] += 1);
    let mut begin = 0;
    for place in &mut places {
        begin += std::mem::replace(place, begin);
    }
    for slot in from {
        let place = &mut places[digit(slot)];
        to[*place] = *slot;
        *place += 1;
    }
    places
}

/// The ranges that end at `ends`, the first of which begins at 0.
fn ranges(ends: &[usize]) -> impl Iterator<Item = Range<usize>> {
    let begins = std::iter::once(&0).chain(ends);
    begins.zip(ends).map(|(begin, end)| *begin..*end)
}

/// Fewer keys than this are compared as they are.
const TAILS_MIN: usize = 32;

/// Sorts slots of keys that are the same up to byte `depth`, if those that have ended are filled up with zeros.
fn sort_tails<'k>(slots: &mut [Slot], depth: usize, key: &dyn Fn(u32) -> &'k [u8]) {
    // Not by recursion: it would be as deep as keys are long.
    let mut left = Vec::new();
    let mut next = Some((0..slots.len(), depth));
    while let Some((mut range, depth)) = next.take().or_else(|| left.pop()) {
        let rest = |slot: &Slot| key(slot.at).get(depth..).unwrap_or_default();
        if range.len() < TAILS_MIN {
            // Keys that have ended differ in their lengths alone.
            let of = |slot: &Slot| (rest(slot), key(slot.at).len(), slot.at);
            slots[range].sort_unstable_by(|a, b| of(a).cmp(&of(b)));
            continue;
        }
        let length = |slot: &Slot| key(slot.at).len().min(depth + 1);
        if slots[range.clone()].iter().any(|slot| length(slot) <= depth) {
            slots[range.clone()].sort_unstable_by_key(|slot| (length(slot), slot.at));
            range.start += slots[range.clone()].partition_point(|slot| length(slot) <= depth);
        }
        let part = &mut slots[range.clone()];
        part.iter_mut().for_each(|slot| slot.prefix = prefix(rest(slot)));
        part.sort_unstable_by_key(|slot| (slot.prefix, slot.at));
        let mut begin = range.start;
        for equal in part.chunk_by(|a, b| a.prefix == b.prefix) {
            let end = begin + equal.len();
            if equal.len() > 1 {
                left.extend(next.replace((begin..end, depth + 8)));
            }
            begin = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    /// Keys that share beginnings and differ in how many zeros they end with.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![8 => Just(0), 1 => Just(7), 1 => any::<u8>()];
        prop_oneof![vec(byte.clone(), 0..40), vec(byte, 8..=8), vec(0..3u8, 0..5)]
    }

    fn check(keys: &[(u32, Vec<u8>)], partitions: u32, repeat: usize) {
        let keys: Vec<_> = keys.iter().cycle().take(keys.len() * repeat).collect();
        let mut slots: Vec<_> = (0..)
            .zip(&keys)
            .map(|(at, (partition, key))| Slot { prefix: prefix(key), partition: partition % partitions, at })
            .collect();
        let mut expected: Vec<_> =
            slots.iter().map(|slot| (slot.partition, &keys[slot.at as usize].1, slot.at)).collect();
        expected.sort();
        sort(&mut slots, partitions, Some(&|at| &keys[at as usize].1));
        let sorted: Vec<_> =
            slots.iter().map(|slot| (slot.partition, &keys[slot.at as usize].1, slot.at)).collect();
        assert_eq!(sorted, expected);
    }

    proptest! {
        #[test]
        fn slots_are_sorted_by_partition_key_and_number(
            keys in vec((any::<u32>(), key()), 0..150),
            partitions in 1..6u32,
            repeat in prop_oneof![Just(1), Just(60)],
        ) {
            check(&keys, partitions, repeat);
        }

        #[test]
        fn without_keys_prefixes_decide(
            prefixes in vec(prop_oneof![0..300u64, any::<u64>()], 0..4_000),
            partitions in prop_oneof![1..4u32, Just(5_000)],
        ) {
            let slot = |(at, prefix): (u32, u64)| Slot { prefix, partition: (prefix % u64::from(partitions)) as u32, at };
            let mut slots: Vec<_> = (0..).zip(prefixes).map(slot).collect();
            let mut expected = slots.clone();
            expected.sort_by_key(|slot| (slot.partition, slot.prefix, slot.at));
            sort(&mut slots, partitions, None);
            prop_assert_eq!(slots, expected);
        }
    }

    #[test]
    fn long_keys_that_differ_at_their_ends_are_sorted() {
        let key = |i: u32| [&vec![b'x'; 5_000][..], format!("{:04}", i * 7919 % 2_000).as_bytes()].concat();
        let keys: Vec<_> = (0..2_000).map(|i| (0, key(i))).collect();
        check(&keys, 1, 1);
    }
}
