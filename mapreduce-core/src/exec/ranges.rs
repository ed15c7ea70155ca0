//! [`Ranges`]: the runs of one partition, cut by keys, so that several threads can reduce it at the same time.
//!
//! Where there are fewer partitions than threads, some threads would have nothing to do while others reduce. Runs that lie
//! in memory are cut at keys that a sample of them gives; each range is merged and reduced by itself, and what that emits
//! is put together in the order of the ranges. So the output is that of one thread, whatever the sample was.

use super::run::{Run, take_pair};
use crate::{Key, Result};
use rayon::prelude::*;

/// For each range, in the order of their keys, what each run has of it, in the order of the runs.
#[derive(Debug)]
pub(super) struct Ranges<'a>(Vec<Vec<&'a [u8]>>);

/// The keys that are looked at for each range: so many that ranges differ little in size.
const SAMPLED: usize = 16;

impl<'a> Ranges<'a> {
    /// Cuts runs into ranges of about so many bytes. A group of keys stays in one range, so one may have far more. `None` if
    /// there would be one range only, or not all runs are in memory.
    pub(super) fn cut<K: ?Sized + Key>(runs: &'a [Run], range_bytes: usize) -> Result<Option<Self>> {
        let Some(runs) = runs.iter().map(Run::in_memory).collect::<Option<Vec<_>>>() else { return Ok(None) };
        let bytes: usize = runs.iter().map(|run| run.len()).sum();
        let count = bytes / range_bytes.max(1);
        if count < 2 {
            return Ok(None);
        }
        let step = (range_bytes / SAMPLED).max(1);
        let sampled: Vec<Sampled<'_>> = {
            let mut behind: usize = 0;
            let placed: Vec<_> = runs
                .iter()
                .map(|run| {
                    let first = behind.next_multiple_of(step) - behind;
                    behind += run.len();
                    (*run, first)
                })
                .collect();
            placed.into_par_iter().map(|(run, first)| Sampled::new(run, first, step)).collect()
        };
        let mut keys: Vec<&[u8]> = sampled.iter().flat_map(|run| &run.places).map(|place| place.1).collect();
        keys.par_sort_unstable();
        let bounds = (1..count).filter_map(|i| keys.get(i * keys.len() / count)).map(|key| K::group(key));
        let mut bounds = bounds.collect::<Result<Vec<&[u8]>, _>>()?;
        bounds.dedup();
        let parts: Vec<Vec<&[u8]>> = sampled.par_iter().map(|run| run.cut(&bounds)).collect();
        let range = |i: usize| parts.iter().map(|parts| parts[i]).filter(|part| !part.is_empty()).collect();
        Ok(Some(Self((0..=bounds.len()).map(range).collect())))
    }

    /// The ranges.
    pub(super) fn as_slice(&self) -> &[Vec<&'a [u8]>] {
        &self.0
    }
}

/// A run, and where some of its pairs begin.
struct Sampled<'a> {
    run: &'a [u8],
    /// Each with its key.
    places: Vec<(usize, &'a [u8])>,
}

impl<'a> Sampled<'a> {
    /// Samples the first pair from byte `first` on, and the first in each `step` bytes behind that.
    fn new(run: &'a [u8], first: usize, step: usize) -> Self {
        let (mut places, mut next, mut rest) = (Vec::new(), first, run);
        loop {
            let at = run.len() - rest.len();
            let Some((key, _)) = take_pair(&mut rest) else { return Self { run, places } };
            if at >= next {
                places.push((at, key));
                next += (at - next) / step * step + step;
            }
        }
    }

    /// Cuts the run in front of the first key that is not less than each bound.
    fn cut(&self, bounds: &[&[u8]]) -> Vec<&'a [u8]> {
        let mut begin = 0;
        let mut part = |end: usize| &self.run[std::mem::replace(&mut begin, end)..end];
        let mut at = 0;
        let mut parts: Vec<_> = bounds
            .iter()
            .map(|bound| {
                // The last of the places in front of the bound, unless it is known already that it is further on.
                let near = self.places.partition_point(|(_, key)| key < bound).checked_sub(1);
                at = near.map_or(at, |near| at.max(self.places[near].0));
                let mut rest = &self.run[at..];
                while let Some((key, _)) = take_pair(&mut rest)
                    && key < *bound
                {
                    at = self.run.len() - rest.len();
                }
                part(at)
            })
            .collect();
        parts.push(part(self.run.len()));
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Memory, Sorted, exec::segment::SegmentWriter};
    use proptest::{collection::vec, prelude::*};

    type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

    fn run(memory: &Memory, pairs: &Pairs) -> Run {
        let mut writer = SegmentWriter::new(memory, 1, 0).unwrap();
        pairs.iter().for_each(|(key, value)| writer.push(0, key, value).unwrap());
        writer.finish().unwrap().into_run()
    }

    fn pairs_of(mut bytes: &[u8]) -> Pairs {
        let pairs =
            std::iter::from_fn(|| take_pair(&mut bytes).map(|(key, value)| (key.to_vec(), value.to_vec())));
        pairs.collect()
    }

    /// Cuts runs of these keys. Each value says where its pair comes from.
    fn check<K: ?Sized + Key>(keys: Vec<Vec<Vec<u8>>>, range_bytes: usize) {
        let memory = Memory::limited(u64::MAX);
        let pairs: Vec<Pairs> = (0..)
            .zip(keys)
            .map(|(i, mut keys): (u8, _)| {
                keys.sort();
                (0..).zip(keys).map(|(j, key): (u8, _)| (key, vec![i, j])).collect()
            })
            .collect();
        let runs: Vec<Run> = pairs.iter().map(|pairs| run(&memory, pairs)).collect();
        let bytes: u64 = runs.iter().map(Run::byte_len).sum();
        let Some(ranges) = Ranges::cut::<K>(&runs, range_bytes).unwrap() else {
            return assert!(bytes < 2 * range_bytes as u64);
        };
        // One behind the other they are, in order, all that there is, and nothing of a group is in two of them.
        let merged = |mut pairs: Pairs| {
            pairs.sort_by(|a, b| (&a.0, a.1[0]).cmp(&(&b.0, b.1[0])));
            pairs
        };
        let ranges: Vec<Pairs> = ranges
            .as_slice()
            .iter()
            .map(|parts| merged(parts.iter().flat_map(|part| pairs_of(part)).collect()))
            .collect();
        assert_eq!(ranges.concat(), merged(pairs.concat()));
        let ranges: Vec<&Pairs> = ranges.iter().filter(|range| !range.is_empty()).collect();
        for two in ranges.windows(2) {
            let (last, first) = (&two[0][two[0].len() - 1].0, &two[1][0].0);
            assert!(K::group(last).unwrap() < K::group(first).unwrap());
        }
    }

    proptest! {
        /// Some empty, some the beginning of others, some that differ in trailing zeros, many of them equal.
        #[test]
        fn ranges_one_after_the_other_have_all_pairs_in_order(
            keys in vec(vec(prop_oneof![vec(0..2u8, 0..4), vec(any::<u8>(), 0..40), Just(vec![7; 20])], 0..40), 0..6),
            range_bytes in 1..300usize,
        ) {
            check::<[u8]>(keys, range_bytes);
        }

        #[test]
        fn a_group_of_keys_stays_in_one_range(
            keys in vec(vec(("[ab]{0,2}", 0..20u8), 0..40), 0..6),
            range_bytes in 1..100usize,
        ) {
            let mut scratch = Vec::new();
            let mut encoded = |(group, rest): (String, u8)| Sorted(group, rest).encoded(&mut scratch).to_vec();
            let keys = keys.into_iter().map(|keys| keys.into_iter().map(&mut encoded).collect());
            check::<Sorted<String, u8>>(keys.collect(), range_bytes);
        }
    }

    #[test]
    fn ranges_have_about_the_size_that_is_asked_for() {
        let memory = Memory::limited(u64::MAX);
        let pairs = |first: u32| -> Pairs {
            let mut keys: Vec<u32> = (0..20_000).map(|i| (first + 7 * i).wrapping_mul(0x9e37_79b1)).collect();
            keys.sort_unstable();
            keys.into_iter().map(|key| (key.to_be_bytes().to_vec(), vec![1; 4])).collect()
        };
        let runs: Vec<Run> = (0..7).map(|first| run(&memory, &pairs(first))).collect();
        let ranges = Ranges::cut::<u32>(&runs, 50_000).unwrap().unwrap();
        let sizes: Vec<usize> =
            ranges.as_slice().iter().map(|parts| parts.iter().map(|part| part.len()).sum()).collect();
        assert!(sizes.len() == 28 && sizes.iter().all(|size| (30_000..75_000).contains(size)), "{sizes:?}");
    }

    #[test]
    fn runs_in_files_are_not_cut() {
        let pairs = (0..100u8).map(|i| (vec![i], vec![])).collect();
        let runs = [run(&Memory::limited(u64::MAX), &pairs), run(&Memory::limited(0), &pairs)];
        assert!(Ranges::cut::<u8>(&runs[..1], 10).unwrap().is_some());
        assert!(Ranges::cut::<u8>(&runs, 10).unwrap().is_none());
    }
}
