//! [`narrow`]: merges some of very many runs ahead of others, so that what a merge reads of them at once fits.

use super::{Attempt, merge::Merge, run::Run, segment::SegmentWriter, spill::BLOCK_BYTES};
use crate::{Memory, Result};
use std::ops::Range;

/// The most runs in files that a merge reads at once, however much memory there is.
const FILES_MAX: usize = 256;

/// The same pairs in the same order, in fewer runs: those in files fit together into what a task may take for
/// [merging](Memory::merge_bytes). Neighbours are merged, those first of which the fewest bytes have to be written for what
/// is gained, and no more of them than it takes.
pub(super) fn narrow(memory: &Memory, runs: Vec<Run>, attempt: &Attempt) -> Result<Vec<Run>> {
    narrow_to(Limits { bytes: memory.merge_bytes(), files: FILES_MAX }, memory, runs, attempt)
}

/// What a merge may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    bytes: u64,
    files: usize,
}

impl Limits {
    /// Whether so many runs, which cost so many bytes, can be merged at once. Two always can: a record may be as large as it
    /// likes.
    fn allow(&self, runs: usize, bytes: u64) -> bool {
        runs <= 2 || (runs <= self.files && bytes <= self.bytes)
    }
}

/// What a merge takes for a run in a file: a block of it, and a pair that spans blocks.
fn cost(run: &Run) -> u64 {
    cost_of(run.longest_pair())
}

fn cost_of(longest_pair: u64) -> u64 {
    BLOCK_BYTES as u64 + longest_pair
}

fn narrow_to(limits: Limits, memory: &Memory, mut runs: Vec<Run>, attempt: &Attempt) -> Result<Vec<Run>> {
    while let Some(range) = next(limits, &runs) {
        let bytes: u64 = runs[range.clone()].iter().map(Run::byte_len).sum();
        let mut writer = SegmentWriter::new(memory, 1, bytes as usize)?;
        Merge::new(&runs[range.clone()], attempt)?.drain(0, &mut writer)?;
        runs.splice(range, [writer.finish()?.into_run()]);
    }
    Ok(runs)
}

/// The neighbours to be merged next. `None` if all runs can be merged at once.
fn next(limits: Limits, runs: &[Run]) -> Option<Range<usize>> {
    let files: Vec<usize> = (0..runs.len()).filter(|i| runs[*i].in_memory().is_none()).collect();
    let all: u64 = files.iter().map(|i| cost(&runs[*i])).sum();
    if limits.allow(files.len(), all) {
        return None;
    }
    let mut best: Option<(f64, Range<usize>)> = None;
    for first in 0..files.len() - 1 {
        let (mut taken, mut taken_bytes, mut longest, mut written) = (0, 0, 0, 0);
        let mut begin = files[first];
        for &i in &files[first..] {
            let more = cost(&runs[i]);
            if !limits.allow(taken + 1, taken_bytes + more) {
                break;
            }
            (taken, taken_bytes) = (taken + 1, taken_bytes + more);
            longest = longest.max(runs[i].longest_pair());
            // What lies in memory between two files is merged with them.
            written += runs[begin..=i].iter().map(Run::byte_len).sum::<u64>();
            begin = i + 1;
            // It may be enough.
            let left = all - taken_bytes + cost_of(longest);
            if limits.allow(files.len() - taken + 1, left) {
                break;
            }
        }
        let saved = taken_bytes - cost_of(longest);
        let price = written as f64 / saved as f64;
        if taken > 1 && best.as_ref().is_none_or(|(least, _)| price < *least) {
            best = Some((price, files[first]..begin));
        }
    }
    best.map(|(_, range)| range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

    /// A run in memory, or in a file if there is no memory.
    fn run(memory: &Memory, pairs: &Pairs) -> Run {
        let mut writer = SegmentWriter::new(memory, 1, 1_000).unwrap();
        pairs.iter().for_each(|(key, value)| writer.push(0, key, value).unwrap());
        writer.finish().unwrap().into_run()
    }

    fn merged(runs: &[Run]) -> Pairs {
        let memory = Memory::limited(u64::MAX);
        let mut writer = SegmentWriter::new(&memory, 1, 0).unwrap();
        Merge::new(runs, &Attempt::default()).unwrap().drain(0, &mut writer).unwrap();
        let run = writer.finish().unwrap().into_run();
        let (mut reader, mut pairs) = (run.reader(), Pairs::new());
        while let Some((key, value)) = reader.next_pair().unwrap() {
            pairs.push((key.to_vec(), value.to_vec()));
        }
        pairs
    }

    /// How many runs lie in files, and what merging them takes.
    fn files(runs: &[Run]) -> (usize, u64) {
        let files = runs.iter().filter(|run| run.in_memory().is_none());
        (files.clone().count(), files.map(cost).sum())
    }

    /// Runs in files, each with a pair of so many bytes.
    fn spilled(lengths: impl IntoIterator<Item = usize>) -> Vec<Run> {
        let pairs = |length| vec![(vec![b'k'], vec![b'x'; length])];
        lengths.into_iter().map(|length| run(&Memory::limited(0), &pairs(length))).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn fewer_runs_have_the_same_pairs_in_the_same_order(
            keys in vec((vec((vec(0..3u8, 0..4), prop_oneof![9 => 0..9usize, 1 => 0..90_000usize]), 0..12), any::<bool>()), 0..12),
            files_max in 2..6usize,
            bytes_max in 0..700_000u64,
        ) {
            let (plenty, none) = (Memory::limited(u64::MAX), Memory::limited(0));
            let mut runs = Vec::new();
            for (i, (mut keys, is_spilled)) in (0..).zip(keys) {
                keys.sort();
                let pairs = (0..).zip(keys).map(|(j, (key, length))| (key, [&[i, j][..], &vec![7; length]].concat()));
                runs.push(run(if is_spilled { &none } else { &plenty }, &pairs.collect()));
            }
            let limits = Limits { bytes: bytes_max, files: files_max };
            let narrowed = narrow_to(limits, &none, runs.clone(), &Attempt::default()).unwrap();
            let (count, bytes) = files(&narrowed);
            prop_assert!(limits.allow(count, bytes), "{count} runs of {bytes}");
            prop_assert!(merged(&narrowed) == merged(&runs));
            if files(&runs).0 < 3 {
                prop_assert_eq!(narrowed.len(), runs.len());
            }
        }
    }

    /// A merge has a block of each run in memory, but also the longest pair.
    #[test]
    fn long_records_are_merged_fewer_at_once() {
        let memory = Memory::limited(0);
        let limits = Limits { bytes: 10 << 20, files: FILES_MAX };
        for (length, count_max) in [(10, 40), (1 << 20, 9), (4 << 20, 2), (20 << 20, 2)] {
            let runs = narrow_to(limits, &memory, spilled([length; 40]), &Attempt::default()).unwrap();
            assert!((2..=count_max).contains(&runs.len()), "{} runs of {length}", runs.len());
        }
        // A block each of 15 runs and a bit is what fits into a megabyte.
        assert_eq!(narrow(&memory, spilled([10; 300]), &Attempt::default()).unwrap().len(), 15);
    }

    /// The long ones cost most, and need not be written again.
    #[test]
    fn what_is_merged_ahead_is_what_costs_least() {
        let memory = Memory::limited(0);
        let limits = Limits { bytes: 3 << 20, files: FILES_MAX };
        let lengths = [vec![1 << 20], vec![10; 40], vec![1 << 20]].concat();
        let runs = narrow_to(limits, &memory, spilled(lengths), &Attempt::default()).unwrap();
        let lengths: Vec<_> = runs.iter().map(Run::longest_pair).collect();
        assert!(
            lengths.len() > 3 && lengths[0] > 1 << 20 && lengths[lengths.len() - 1] > 1 << 20,
            "{lengths:?}"
        );
        assert!(memory.spilled_bytes() < 10_000, "no more than small ones: {}", memory.spilled_bytes());
    }

    #[test]
    fn what_is_no_longer_wanted_is_not_merged() {
        let attempt = Attempt::default();
        attempt.cancel();
        let pairs: Pairs = (0..2_000u32).map(|i| (i.to_be_bytes().to_vec(), vec![])).collect();
        let runs: Vec<_> = (0..40).map(|_| run(&Memory::limited(0), &pairs)).collect();
        assert!(narrow(&Memory::limited(0), runs, &attempt).is_err());
    }
}
