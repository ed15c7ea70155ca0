//! [`Partitioner`]: which reduce task a key goes to.

use crate::{Key, hash};

/// Chooses the partition of a key. All values of a key must go to the same partition, so the choice may depend on
/// the key alone.
pub trait Partitioner<K: ?Sized>: Send + Sync + 'static {
    /// The partition of `key`, below `partitions`. `encoded` is the [part it is grouped by](Key::group) of the key's
    /// order-preserving encoding, for those that hash or compare bytes: usually all of it. Keys of one group must go to
    /// one partition. A result of `partitions` or more fails the attempt.
    fn partition(&self, key: &K, encoded: &[u8], partitions: u32) -> u32;
}

/// Spreads keys evenly by xxh3 of their encoding, with a fixed seed: the same on every node and in every version.
#[derive(Clone, Copy, Debug, Default)]
pub struct HashPartitioner;

impl<K: ?Sized> Partitioner<K> for HashPartitioner {
    fn partition(&self, _: &K, encoded: &[u8], partitions: u32) -> u32 {
        // Multiply-shift maps the hash to the range without a division, using its high bits.
        ((u128::from(hash::partition(encoded)) * u128::from(partitions)) >> 64) as u32
    }
}

/// Gives each partition a range of keys, so that the partitions one after the other are sorted as a whole.
///
/// ```
/// use mapreduce_core::{Partitioner, RangePartitioner};
///
/// let sample = vec!["delta".to_string(), "alpha".into(), "bravo".into(), "charlie".into()];
/// let ranges = RangePartitioner::from_sample::<str>(&sample, 2);
/// let partition = |key: &str| ranges.partition(key, key.as_bytes(), 2);
/// assert_eq!((partition("aardvark"), partition("zulu")), (0, 1));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RangePartitioner {
    /// Encoded keys in ascending order; partition `i` holds the keys from bound `i - 1` on and below bound `i`.
    bounds: Vec<Vec<u8>>,
}

impl RangePartitioner {
    /// Ranges that hold about equally many of the sampled keys each. A key that makes up two shares of the sample or
    /// more gets a range of its own; then some of the other partitions may stay empty.
    pub fn from_sample<K: ?Sized + Key>(sample: &[K::Owned], partitions: u32) -> Self {
        use std::borrow::Borrow;
        let mut keys: Vec<Vec<u8>> = sample
            .iter()
            .map(|key| {
                let mut encoded = Vec::new();
                Borrow::<K>::borrow(key).encode(&mut encoded);
                // A key encodes to what begins with its group.
                let group = K::group(&encoded).map_or(encoded.len(), <[u8]>::len);
                encoded.truncate(group);
                encoded
            })
            .collect();
        keys.sort_unstable();
        let mut bounds: Vec<Vec<u8>> = Vec::new();
        for i in 1..partitions as usize {
            let Some(key) = keys.get(i * keys.len() / partitions as usize) else { break };
            let bound = match bounds.last() {
                // The range that begins with a heavy key ends with it: a zero makes the next larger byte string.
                Some(last) if last == key => [key, &[0][..]].concat(),
                Some(last) if last > key => continue,
                _ => key.clone(),
            };
            bounds.push(bound);
        }
        Self { bounds }
    }
}

impl<K: ?Sized> Partitioner<K> for RangePartitioner {
    fn partition(&self, _: &K, encoded: &[u8], partitions: u32) -> u32 {
        let range = self.bounds.partition_point(|bound| bound.as_slice() <= encoded) as u32;
        // More ranges than partitions (the job was run with fewer than it was sampled for): the last takes the rest.
        range.min(partitions.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn ranges(sample: &[u8], partitions: u32) -> impl Fn(u8) -> u32 + use<> {
        let ranges = RangePartitioner::from_sample::<u8>(sample, partitions);
        move |key| ranges.partition(&key, &[key], partitions)
    }

    proptest! {
        #[test]
        fn ranges_are_in_the_order_of_the_keys(sample in vec(any::<u8>(), 0..50), partitions in 1..9u32) {
            let partition = ranges(&sample, partitions);
            let chosen: Vec<u32> = (0..=255).map(partition).collect();
            prop_assert!(chosen.is_sorted() && chosen[255] < partitions);
        }

        #[test]
        fn ranges_of_distinct_keys_hold_about_as_many_each(len in 1..200u8, partitions in 1..9u32) {
            let sample: Vec<u8> = (0..len).rev().collect();
            let partition = ranges(&sample, partitions);
            let mut held = vec![0; partitions as usize];
            sample.iter().for_each(|key| held[partition(*key) as usize] += 1);
            let share = usize::from(len) / partitions as usize;
            prop_assert!(held.iter().all(|n| (share..=share + 1).contains(n)) || usize::from(len) < held.len());
        }

        #[test]
        fn hashed_partitions_are_there(key in vec(any::<u8>(), 0..20), partitions in 1..u32::MAX) {
            let partition = HashPartitioner.partition(&*key, &key, partitions);
            prop_assert!(partition < partitions);
        }
    }

    #[test]
    fn a_key_that_makes_up_two_shares_has_a_range_of_its_own() {
        let partition = ranges(b"abbbbc", 3);
        assert_eq!(b"abc".map(partition), [0, 1, 2]);
        let partition = ranges(b"bbbbbbbb", 4);
        assert!(partition(b'a') < partition(b'b') && partition(b'b') < partition(b'c'));
    }

    #[test]
    fn an_empty_sample_is_one_range() {
        let partition = ranges(&[], 4);
        assert_eq!([0, 255].map(partition), [0, 0]);
    }

    #[test]
    fn more_ranges_than_partitions_end_in_the_last() {
        let ranges = RangePartitioner::from_sample::<u8>(b"abcd", 4);
        assert_eq!(ranges.partition(b"z", b"z", 2), 1);
        assert_eq!(ranges.partition(b"z", b"z", 1), 0);
    }

    /// The hash is part of what nodes agree on: these numbers never change.
    #[test]
    fn hashes_are_the_same_in_every_version() {
        let partitions: Vec<u32> = ["", "a", "b", "word"]
            .iter()
            .map(|key| HashPartitioner.partition(*key, key.as_bytes(), 1_000))
            .collect();
        assert_eq!(partitions, [276, 167, 347, 635]);
    }

    #[test]
    fn hashed_keys_are_spread_evenly() {
        let mut held = [0; 7];
        (0..70_000u32)
            .for_each(|key| held[HashPartitioner.partition(&key, &key.to_be_bytes(), 7) as usize] += 1);
        assert!(held.iter().all(|n| (9_500..10_500).contains(n)), "{held:?}");
    }
}
