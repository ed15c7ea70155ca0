//! [`Partitioner`]: which reduce task a key goes to.

use crate::{Dataset, Error, Input, Key, Records, hash};
use bounds::Bounds;
use std::borrow::Borrow;

mod bounds;

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
    /// Partition `i` holds the keys from bound `i - 1` on and below bound `i`.
    bounds: Bounds,
}

/// What is kept of a sampled key. Keys that differ only behind it share a range.
const SAMPLED_BYTES_MAX: usize = 256;

impl RangePartitioner {
    /// Ranges that hold about equally many of the sampled keys each. A key that makes up two shares of the sample or
    /// more gets a range of its own; then some of the other partitions may stay empty.
    ///
    /// Of a long key the first 256 bytes of its encoding count.
    pub fn from_sample<K: ?Sized + Key>(sample: &[K::Owned], partitions: u32) -> Self {
        Self::between(sample.iter().map(|key| sampled::<K>(key.borrow())).collect(), partitions)
    }

    /// The same for the keys of records that are [sampled](Dataset::sample), up to `per_split` of each split: of keys in no
    /// particular order a few hundred give ranges that are even to some percent. Takes no more memory than the beginnings
    /// of the keys do.
    ///
    /// ```
    /// use mapreduce_core::{Dataset, Partitioner, RangePartitioner, RowSlice};
    ///
    /// let rows: Vec<u64> = (0..1_000).collect();
    /// let data = Dataset::new(RowSlice::new(&rows, 1)?)?;
    /// let ranges = RangePartitioner::from_dataset::<u64, _>(&data, 100, 2, |row| row[0])?;
    /// let below = (0..1_000u64).filter(|key| ranges.partition(key, &key.to_be_bytes(), 2) == 0);
    /// assert!((400..600).contains(&below.count()));
    /// # Ok::<(), mapreduce_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the input cannot be read.
    pub fn from_dataset<K: ?Sized + Key, I: Input>(
        data: &Dataset<I>,
        per_split: usize,
        partitions: u32,
        mut key: impl FnMut(<I::Records as Records>::Record<'_>) -> K::Owned,
    ) -> Result<Self, Error> {
        let keys = data.sample(per_split, |record| sampled::<K>(key(record).borrow()))?;
        Ok(Self::between(keys, partitions))
    }

    /// Ranges between the beginnings of keys.
    fn between(mut keys: Vec<Vec<u8>>, partitions: u32) -> Self {
        keys.sort_unstable();
        let mut bounds: Vec<Vec<u8>> = Vec::new();
        let mut last: Option<&Vec<u8>> = None;
        for i in 1..partitions as usize {
            let Some(key) = keys.get(i * keys.len() / partitions as usize) else { break };
            let bound = match last {
                // The range that begins with a heavy key ends with it.
                Some(last) if last == key => match behind(key) {
                    Some(bound) => bound,
                    None => break,
                },
                _ => {
                    let before = keys.partition_point(|other| other < key).checked_sub(1);
                    before.map_or(&**key, |before| from_here(&keys[before], key)).to_vec()
                }
            };
            last = Some(key);
            if bounds.last().is_none_or(|last| *last < bound) {
                bounds.push(bound);
            }
        }
        bounds.shrink_to_fit();
        Self { bounds: bounds.into() }
    }
}

/// The beginning of the encoding of a key, or of its group: a key encodes to what begins with that.
fn sampled<K: ?Sized + Key>(key: &K) -> Vec<u8> {
    let mut scratch = Vec::new();
    let encoded = key.encoded(&mut scratch);
    let group = K::group(encoded).unwrap_or(encoded);
    group[..group.len().min(SAMPLED_BYTES_MAX)].to_vec()
}

/// The shortest beginning of a key that the key before, which is less, is still less than.
fn from_here<'k>(before: &[u8], key: &'k [u8]) -> &'k [u8] {
    let shared = before.iter().zip(key).take_while(|(a, b)| a == b).count();
    &key[..(shared + 1).min(key.len())]
}

/// The least of what is behind a key, and behind all that begin with it if it is only the beginning of some. `None` if
/// nothing is.
fn behind(key: &[u8]) -> Option<Vec<u8>> {
    if key.len() < SAMPLED_BYTES_MAX {
        return Some([key, &[0]].concat());
    }
    let kept = key.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut next = key[..=kept].to_vec();
    next[kept] += 1;
    Some(next)
}

impl<K: ?Sized> Partitioner<K> for RangePartitioner {
    fn partition(&self, _: &K, encoded: &[u8], partitions: u32) -> u32 {
        let range = self.bounds.up_to(encoded) as u32;
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
    fn bounds_are_as_short_as_keeps_the_keys_apart() {
        let long = |first: u8| [&[first][..], &vec![7; 1_000_000]].concat();
        let bounds = |sample: &[Vec<u8>], n| RangePartitioner::from_sample::<[u8]>(sample, n).bounds.to_vec();
        assert_eq!(bounds(&[long(1), long(2), long(3)], 3), [[2], [3]]);
        assert_eq!(bounds(&["barn", "bath", "bats"].map(|key| key.into()), 3), [&b"bat"[..], b"bats"]);
        // Nobody looks at what is far behind in a key: these are one, and a heavy one.
        let same = [[&long(1)[..], b"a"].concat(), [&long(1)[..], b"b"].concat()];
        let behind = bounds(&same, 3);
        assert!(behind.iter().all(|bound| bound.len() <= SAMPLED_BYTES_MAX), "{behind:?}");
        let ranges = RangePartitioner { bounds: behind.into() };
        let partition = |key: &[u8]| ranges.partition(key, key, 3);
        assert!(partition(&[1]) < partition(&same[0]) && partition(&same[1]) < partition(&[2]));
        assert_eq!(partition(&same[0]), partition(&same[1]));
        assert_eq!(bounds(&vec![vec![0xff; 300]; 3], 3), [vec![0xff; 256]]);
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
