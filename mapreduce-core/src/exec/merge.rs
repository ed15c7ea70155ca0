//! Merging sorted runs with a tree of losers.
//!
//! Source: D. E. Knuth, The Art of Computer Programming, volume 3, section 5.4.1: each inner node keeps the loser of
//! its match, so replacing the winner takes one comparison per level.

use super::{
    Attempt,
    reader::RunReader,
    run::{Run, wide_prefix},
    segment::SegmentWriter,
    spill::SpillError,
};
use crate::{Key, Result, job::Group};
use std::{cmp::Ordering, hint::select_unpredictable, marker::PhantomData};

/// All pairs of some runs in the order of their keys; pairs of one key in the order of the runs.
pub(super) struct Merge<'a> {
    sources: Vec<Source<'a>>,
    /// `tree[0]` is the source with the smallest pair; every other node the loser of the match played there.
    tree: Vec<Player>,
    /// Keys are equal if their prefixes are.
    exact: bool,
    /// The smallest pair was handed out. It is taken when the next one is asked for: until then its reader lends it.
    lent: bool,
    attempt: &'a Attempt,
    /// The pairs that were taken.
    taken: u32,
}

/// Pairs between two looks at whether the attempt is still wanted: a merge may go on for minutes and a key have all of
/// them.
const CHECK_EVERY: u32 = 1024;

struct Source<'a> {
    reader: RunReader<'a>,
    prefix: u128,
    /// Whether there is a pair, which the reader has advanced to.
    live: bool,
}

impl Source<'_> {
    #[inline]
    fn advance(&mut self) -> Result<(), SpillError> {
        self.live = self.reader.advance()?;
        self.prefix = if self.live { wide_prefix(self.reader.key()) } else { u128::MAX };
        Ok(())
    }
}

/// A source in the tree, with the two halves of its prefix: most matches are decided without a look at the source.
#[derive(Clone, Copy)]
struct Player {
    high: u64,
    /// The number of the source if the first half says all of a key, so that it also decides between equal keys.
    low: u64,
    source: usize,
}

/// Stands for a match that has not been played yet while the tree is built: it wins every match.
const UNPLAYED: Player = Player { high: 0, low: 0, source: usize::MAX };

impl Player {
    #[inline]
    fn has_prefix_of(&self, other: &Self) -> bool {
        (self.high == other.high) & (self.low == other.low)
    }

    /// Whether its prefix is less.
    #[inline]
    fn is_before(&self, other: &Self) -> bool {
        (self.high < other.high) | ((self.high == other.high) & (self.low < other.low))
    }

    /// One of two, without a branch. Of the prefix as one number the compiler would make one.
    #[inline]
    fn choose(first: bool, one: Self, two: Self) -> Self {
        Self {
            high: select_unpredictable(first, one.high, two.high),
            low: select_unpredictable(first, one.low, two.low),
            source: select_unpredictable(first, one.source, two.source),
        }
    }
}

impl<'a> Merge<'a> {
    pub(super) fn new(runs: impl IntoIterator<Item = &'a Run>, attempt: &'a Attempt) -> Result<Self> {
        Self::of(runs.into_iter().map(Run::reader), attempt, false)
    }

    /// With keys of type `K`: those of fixed width need not be compared beyond their prefixes.
    pub(super) fn by_key<K: ?Sized + Key>(
        runs: impl IntoIterator<Item = RunReader<'a>>,
        attempt: &'a Attempt,
    ) -> Result<Self> {
        Self::of(runs, attempt, K::WIDTH.is_some())
    }

    fn of(runs: impl IntoIterator<Item = RunReader<'a>>, attempt: &'a Attempt, exact: bool) -> Result<Self> {
        let mut sources = Vec::new();
        for reader in runs {
            let mut source = Source { reader, prefix: 0, live: false };
            source.advance()?;
            if source.live {
                sources.push(source);
            }
        }
        let tree = vec![UNPLAYED; sources.len()];
        let mut merge = Self { sources, tree, exact, lent: false, attempt, taken: 0 };
        for source in (0..merge.sources.len()).rev() {
            merge.play(source);
        }
        Ok(merge)
    }

    /// Adds all that is left to a run of `writer`.
    pub(super) fn drain(mut self, partition: u32, writer: &mut SegmentWriter) -> Result {
        while let Some(source) = self.winner() {
            let (key, value) = source.reader.pair();
            writer.push(partition, key, value)?;
            self.lent = true;
            self.settle()?;
        }
        Ok(())
    }

    /// Makes `key` the smallest key that is left. False if none is.
    #[inline]
    pub(super) fn next_key(&mut self, key: &mut CurrentKey<'a>) -> Result<bool> {
        self.settle()?;
        match self.winner() {
            Some(source) => key.set(&source.reader),
            None => *key = CurrentKey::None,
        }
        Ok(key.get().is_some())
    }

    /// The values of the keys that are in one group with `key`, which is the smallest that is left.
    pub(super) fn group<'k, K>(&mut self, key: &'k [u8]) -> Result<MergeGroup<'_, 'a, 'k, K>>
    where
        K: ?Sized + Key,
    {
        let group = K::group(key)?;
        let mask = match group.len() {
            0 => 0,
            len => u128::MAX << (128 - 8 * len.min(16)),
        };
        Ok(MergeGroup { prefix: wide_prefix(group), mask, merge: self, group, of: PhantomData })
    }

    #[inline]
    fn winner(&self) -> Option<&Source<'a>> {
        let winner = self.tree.first()?;
        Some(&self.sources[winner.source]).filter(|source| source.live)
    }

    /// Takes the pair that was handed out.
    #[inline]
    fn settle(&mut self) -> Result {
        if std::mem::take(&mut self.lent) {
            self.taken = self.taken.wrapping_add(1);
            if self.taken.is_multiple_of(CHECK_EVERY) {
                self.attempt.check()?;
            }
            let winner = self.tree[0].source;
            self.sources[winner].advance()?;
            self.play(winner);
        }
        Ok(())
    }

    /// Plays the matches of `source` from its leaf to the root.
    #[inline]
    fn play(&mut self, source: usize) {
        let Source { prefix, live, .. } = self.sources[source];
        let low = if self.exact && live { source as u64 } else { prefix as u64 };
        let mut winner = Player { high: (prefix >> 64) as u64, low, source };
        let mut node = (source + self.sources.len()) / 2;
        while node > 0 {
            let other = self.tree[node];
            let beaten = match other.has_prefix_of(&winner) {
                true => self.beats(other.source, winner.source),
                false => other.is_before(&winner),
            };
            // Nobody can predict who wins.
            self.tree[node] = Player::choose(beaten, winner, other);
            winner = Player::choose(beaten, other, winner);
            node /= 2;
        }
        self.tree[0] = winner;
    }

    /// Whether the next pair of source `a` comes before that of `b`, if they have the same prefix.
    fn beats(&self, a: usize, b: usize) -> bool {
        if a == UNPLAYED.source || b == UNPLAYED.source {
            return a == UNPLAYED.source;
        }
        let (left, right) = (&self.sources[a], &self.sources[b]);
        if !left.live || !right.live {
            return left.live;
        }
        compare_behind_prefix(left.reader.key(), right.reader.key()).then(a.cmp(&b)).is_lt()
    }
}

/// The bytes of a key that its prefix has.
const PREFIX_BYTES: usize = size_of::<u128>();

/// Compares keys with the same prefix.
#[inline]
fn compare_behind_prefix(a: &[u8], b: &[u8]) -> Ordering {
    match (a.get(PREFIX_BYTES..), b.get(PREFIX_BYTES..)) {
        (Some(a), Some(b)) => a.cmp(b),
        // One ends within the prefix, and the other has only zeros behind that until its own ends.
        _ => a.len().cmp(&b.len()),
    }
}

/// The key that a merge has come to. It outlives the merge, so that what fails can say where.
#[derive(Debug, Default)]
pub(super) enum CurrentKey<'a> {
    /// Before the first and behind the last.
    #[default]
    None,
    /// Of a run in memory.
    Lent(&'a [u8]),
    /// Of a run in a file, whose reader goes on.
    Copied(Vec<u8>),
}

impl<'a> CurrentKey<'a> {
    #[inline]
    pub(super) fn set(&mut self, reader: &RunReader<'a>) {
        match (reader.lasting_key(), &mut *self) {
            (Some(key), _) => *self = Self::Lent(key),
            (None, Self::Copied(copy)) => {
                copy.clear();
                copy.shrink_to(KEY_KEPT);
                copy.extend_from_slice(reader.key());
            }
            (None, _) => *self = Self::Copied(reader.key().to_vec()),
        }
    }

    #[inline]
    pub(super) fn get(&self) -> Option<&[u8]> {
        match self {
            Self::None => None,
            Self::Lent(key) => Some(key),
            Self::Copied(key) => Some(key),
        }
    }
}

/// The memory of a longer key is not kept for others.
const KEY_KEPT: usize = 1 << 20;

/// The values of one group of keys in a merge.
pub(super) struct MergeGroup<'m, 'a, 'k, K: ?Sized> {
    merge: &'m mut Merge<'a>,
    group: &'k [u8],
    prefix: u128,
    /// The bytes of the prefix that are the group's.
    mask: u128,
    of: PhantomData<fn(&K)>,
}

impl<K: ?Sized + Key> MergeGroup<'_, '_, '_, K> {
    /// Passes over the values that were not asked for.
    pub(super) fn finish(mut self) -> Result {
        while self.next()?.is_some() {}
        Ok(())
    }

    #[inline]
    fn next(&mut self) -> Result<Option<&[u8]>> {
        self.merge.settle()?;
        let Some(source) = self.merge.winner() else { return Ok(None) };
        // The group is a beginning of the key, and most keys of other groups differ in its first bytes.
        let differs = (source.prefix ^ self.prefix) & self.mask != 0;
        let same = |group: &[u8]| {
            group.len() == self.group.len() && group.get(PREFIX_BYTES..) == self.group.get(PREFIX_BYTES..)
        };
        if differs || (K::WIDTH.is_none() && !same(K::group(source.reader.key())?)) {
            return Ok(None);
        }
        self.merge.lent = true;
        Ok(self.merge.winner().map(|source| source.reader.pair().1))
    }
}

impl<K: ?Sized + Key> Group for MergeGroup<'_, '_, '_, K> {
    fn next_value(&mut self) -> Result<Option<&[u8]>> {
        self.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Memory, Sorted};
    use proptest::{collection::vec, prelude::*};

    type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

    /// A run in memory, or in a file if there is no memory.
    fn run(memory: &Memory, pairs: &[(Vec<u8>, Vec<u8>)]) -> Run {
        let mut writer = SegmentWriter::new(memory, 1, 1_000).unwrap();
        pairs.iter().for_each(|(key, value)| writer.push(0, key, value).unwrap());
        writer.finish().unwrap().into_run()
    }

    /// The values of each group that is left of a merge, with the group's first key.
    fn drain<K: ?Sized + Key>(mut merge: Merge<'_>) -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
        let (mut groups, mut at) = (Vec::new(), CurrentKey::default());
        while merge.next_key(&mut at).unwrap() {
            let (key, mut values) = (at.get().unwrap(), Vec::new());
            let mut group = merge.group::<K>(key).unwrap();
            while let Some(value) = group.next_value().unwrap() {
                values.push(value.to_vec());
            }
            assert!(!values.is_empty(), "a key comes with its value");
            groups.push((key.to_vec(), values));
        }
        groups
    }

    /// Compares what runs of these keys, in memory and in files, are merged to with sorting all of their pairs.
    fn check<K: ?Sized + Key>(keys: Vec<(Vec<Vec<u8>>, bool)>) {
        let (plenty, none) = (Memory::limited(u64::MAX), Memory::limited(0));
        let mut all = Vec::new();
        let mut runs = Vec::new();
        for (i, (mut keys, spilled)) in keys.into_iter().enumerate() {
            keys.sort();
            let value = |j| format!("run {i} pair {j}").into_bytes();
            let pairs: Pairs = keys.into_iter().enumerate().map(|(j, key)| (key, value(j))).collect();
            runs.push(run(if spilled { &none } else { &plenty }, &pairs));
            all.extend(pairs);
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        let groups = all.chunk_by(|(a, _), (b, _)| K::group(a).unwrap() == K::group(b).unwrap());
        let expected: Vec<_> = groups
            .map(|all| (all[0].0.clone(), all.iter().map(|(_, value)| value.clone()).collect()))
            .collect();
        assert_eq!(
            drain::<K>(Merge::by_key::<K>(runs.iter().map(Run::reader), &Attempt::default()).unwrap()),
            expected
        );
    }

    /// Keys that share few or many of their first bytes, as many as a prefix has, fewer or more, and differ in others or
    /// only in how many zeros they end with.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        let bytes = |len| vec(prop_oneof![3 => Just(0), 1 => Just(0xff), 2 => 0..3u8], len);
        let first = (prop_oneof![Just(0), Just(7)], 13..18_usize);
        let long = (first, bytes(0..4)).prop_map(|((byte, len), rest)| [vec![byte; len], rest].concat());
        prop_oneof![bytes(0..3), bytes(3..11), long, bytes(14..20)]
    }

    proptest! {
        #[test]
        fn merging_sorted_runs_is_a_stable_sort(keys in vec((vec(key(), 0..12), any::<bool>()), 0..10)) {
            check::<[u8]>(keys);
        }

        #[test]
        fn keys_of_a_group_come_together(
            keys in vec((vec((key(), 0..3u8), 0..12), any::<bool>()), 0..10),
        ) {
            let encoded = |(first, second)| {
                let mut bytes = Vec::new();
                Key::encode(&Sorted(first, second), &mut bytes);
                bytes
            };
            let keys = keys.into_iter().map(|(keys, spilled)| (keys.into_iter().map(encoded).collect(), spilled));
            check::<Sorted<Vec<u8>, u8>>(keys.collect());
        }

        /// Most of the runs have ended before the last key, which has the prefix of one that has.
        #[test]
        fn keys_of_fixed_width_are_merged_by_their_prefixes(
            keys in vec((vec(prop_oneof![0..3u64, Just(u64::MAX)], 0..12), any::<bool>()), 0..10),
        ) {
            let encoded = |key: u64| key.to_be_bytes().to_vec();
            let keys = keys.into_iter().map(|(keys, spilled)| (keys.into_iter().map(encoded).collect(), spilled));
            check::<u64>(keys.collect());
        }
    }

    #[test]
    fn a_merge_that_is_no_longer_wanted_ends() {
        let memory = Memory::limited(u64::MAX);
        let pairs: Pairs = (0..2 * CHECK_EVERY).map(|i| (vec![1], i.to_le_bytes().to_vec())).collect();
        let (runs, attempt) = ([run(&memory, &pairs)], Attempt::default());
        let cancelled =
            |error: Box<dyn std::error::Error>| error.to_string() == "the attempt has been cancelled";
        let mut merge = Merge::new(&runs, &attempt).unwrap();
        attempt.cancel();
        let mut writer = SegmentWriter::new(&memory, 1, 0).unwrap();
        assert!(cancelled(Merge::new(&runs, &attempt).unwrap().drain(0, &mut writer).unwrap_err()));
        // Within a key as well, whether or not its values are asked for.
        let mut at = CurrentKey::default();
        assert!(merge.next_key(&mut at).unwrap());
        assert!(cancelled(merge.group::<[u8]>(&[1]).unwrap().finish().unwrap_err()));
        let mut group = merge.group::<[u8]>(&[1]).unwrap();
        let mut left = 1;
        let error = loop {
            match group.next_value() {
                Ok(value) => left += u32::from(value.is_some()),
                Err(error) => break error,
            }
        };
        assert!(cancelled(error) && left <= CHECK_EVERY + 1);
    }

    #[test]
    fn values_that_are_not_asked_for_are_passed_over() {
        let pair = |key: u8, value: u8| (vec![key], vec![value]);
        for memory in [Memory::limited(u64::MAX), Memory::limited(0)] {
            let run = |pairs: &[_]| run(&memory, pairs);
            let runs = [run(&[pair(1, 1), pair(1, 2), pair(2, 3)]), run(&[]), run(&[pair(1, 4), pair(3, 5)])];
            let attempt = Attempt::default();
            let mut merge = Merge::new(&runs, &attempt).unwrap();
            let (mut firsts, mut at) = (Vec::new(), CurrentKey::default());
            while merge.next_key(&mut at).unwrap() {
                let mut group = merge.group::<[u8]>(at.get().unwrap()).unwrap();
                firsts.extend(group.next_value().unwrap().map(<[u8]>::to_vec));
                group.finish().unwrap();
            }
            assert_eq!(firsts, [[1], [3], [5]]);
            assert!(at.get().is_none());
            assert_eq!(merge.group::<[u8]>(&[9]).unwrap().next_value().unwrap(), None);
        }
    }

    #[test]
    fn a_merge_of_nothing_is_empty() {
        let attempt = Attempt::default();
        for runs in [vec![], vec![Run::default(), Run::default()]] {
            let mut at = CurrentKey::default();
            assert!(!Merge::new(&runs, &attempt).unwrap().next_key(&mut at).unwrap());
        }
    }
}
