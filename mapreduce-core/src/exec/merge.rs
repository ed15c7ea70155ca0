//! Merging sorted runs with a tree of losers.
//!
//! Source: D. E. Knuth, The Art of Computer Programming, volume 3, section 5.4.1: each inner node keeps the loser of
//! its match, so replacing the winner takes one comparison per level.

use super::run::{Run, RunCursor, compare, prefix};
use crate::{Group, Result};

/// All pairs of some runs in the order of their keys; pairs of one key in the order of the runs.
pub(super) struct Merge<'a> {
    sources: Vec<Source<'a>>,
    /// `tree[0]` is the source with the smallest pair; every other node the loser of the match played there.
    tree: Vec<usize>,
}

struct Source<'a> {
    cursor: RunCursor<'a>,
    prefix: u64,
    /// The next pair; `None` behind the last.
    pair: Option<(&'a [u8], &'a [u8])>,
}

impl<'a> Source<'a> {
    #[inline]
    fn advance(&mut self) {
        self.pair = self.cursor.next();
        self.prefix = self.pair.map_or(u64::MAX, |(key, _)| prefix(key));
    }
}

/// Stands for a match that has not been played yet while the tree is built: it wins every match.
const UNPLAYED: usize = usize::MAX;

impl<'a> Merge<'a> {
    pub(super) fn new(runs: impl IntoIterator<Item = &'a Run>) -> Self {
        let sources: Vec<_> = runs
            .into_iter()
            .map(|run| {
                let mut source = Source { cursor: run.cursor(), prefix: 0, pair: None };
                source.advance();
                source
            })
            .filter(|source| source.pair.is_some())
            .collect();
        let tree = vec![UNPLAYED; sources.len()];
        let mut merge = Self { sources, tree };
        for source in (0..merge.sources.len()).rev() {
            merge.play(source);
        }
        merge
    }

    /// The smallest key that is left.
    #[inline]
    pub(super) fn key(&self) -> Option<&'a [u8]> {
        let winner = *self.tree.first()?;
        self.sources[winner].pair.map(|(key, _)| key)
    }

    /// Takes the pair of the smallest key.
    #[inline]
    fn take(&mut self) {
        let winner = self.tree[0];
        self.sources[winner].advance();
        self.play(winner);
    }

    /// Plays the matches of `source` from its leaf to the root.
    #[inline]
    fn play(&mut self, source: usize) {
        let mut winner = source;
        let mut node = (source + self.sources.len()) / 2;
        while node > 0 {
            if self.beats(self.tree[node], winner) {
                std::mem::swap(&mut self.tree[node], &mut winner);
            }
            node /= 2;
        }
        self.tree[0] = winner;
    }

    #[inline]
    fn beats(&self, a: usize, b: usize) -> bool {
        if a == UNPLAYED || b == UNPLAYED {
            return a == UNPLAYED;
        }
        let (left, right) = (&self.sources[a], &self.sources[b]);
        match (left.pair, right.pair) {
            (Some(x), Some(y)) => compare((left.prefix, x.0), (right.prefix, y.0)).then(a.cmp(&b)).is_lt(),
            (left, right) => left.is_some() && right.is_none(),
        }
    }

    /// The values of `key`, which is the smallest key that is left.
    pub(super) fn group(&mut self, key: &'a [u8]) -> MergeGroup<'_, 'a> {
        MergeGroup { prefix: prefix(key), key, merge: self }
    }
}

/// The values of one key in a merge.
pub(super) struct MergeGroup<'m, 'a> {
    merge: &'m mut Merge<'a>,
    key: &'a [u8],
    prefix: u64,
}

impl MergeGroup<'_, '_> {
    /// Passes over the values that were not asked for.
    pub(super) fn finish(mut self) {
        while self.next().is_some() {}
    }

    #[inline]
    fn next(&mut self) -> Option<&[u8]> {
        let source = &self.merge.sources[self.merge.tree[0]];
        let (key, value) = source.pair?;
        if source.prefix != self.prefix || key != self.key {
            return None;
        }
        self.merge.take();
        Some(value)
    }
}

impl Group for MergeGroup<'_, '_> {
    fn next_value(&mut self) -> Result<Option<&[u8]>> {
        Ok(self.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn run(pairs: &[(Vec<u8>, Vec<u8>)]) -> Run {
        let mut run = Run::default();
        pairs.iter().for_each(|(key, value)| run.push(key, value));
        run
    }

    /// All that is left of a merge.
    fn drain(mut merge: Merge<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut pairs = Vec::new();
        while let Some(key) = merge.key() {
            let mut group = merge.group(key);
            while let Some(value) = group.next_value().unwrap() {
                pairs.push((key.to_vec(), value.to_vec()));
            }
        }
        pairs
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        vec(prop_oneof![Just(0), Just(0xff), 0..3u8], 0..11)
    }

    proptest! {
        #[test]
        fn merging_sorted_runs_is_a_stable_sort(
            keys in vec(vec(key(), 0..12), 0..10),
        ) {
            let mut all = Vec::new();
            let mut runs = Vec::new();
            for (i, mut keys) in keys.into_iter().enumerate() {
                keys.sort();
                let value = |j| format!("run {i} pair {j}").into_bytes();
                let pairs: Vec<_> = keys.into_iter().enumerate().map(|(j, key)| (key, value(j))).collect();
                runs.push(run(&pairs));
                all.extend(pairs);
            }
            all.sort_by(|(a, _), (b, _)| a.cmp(b));
            prop_assert_eq!(drain(Merge::new(&runs)), all);
        }
    }

    #[test]
    fn values_that_are_not_asked_for_are_passed_over() {
        let pair = |key: u8, value: u8| (vec![key], vec![value]);
        let runs = [run(&[pair(1, 1), pair(1, 2), pair(2, 3)]), run(&[]), run(&[pair(1, 4), pair(3, 5)])];
        let mut merge = Merge::new(&runs);
        let mut firsts = Vec::new();
        while let Some(key) = merge.key() {
            let mut group = merge.group(key);
            firsts.extend(group.next_value().unwrap().map(<[u8]>::to_vec));
            group.finish();
        }
        assert_eq!(firsts, [[1], [3], [5]]);
        assert_eq!(merge.group(&[9]).next_value().unwrap(), None);
    }

    #[test]
    fn a_merge_of_nothing_is_empty() {
        assert_eq!(Merge::new([]).key(), None);
        assert_eq!(Merge::new(&[Run::default(), Run::default()]).key(), None);
    }
}
