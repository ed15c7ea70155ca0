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
