//! [`Round`]: one round over the rows of one split.

use super::{
    assign::Assign,
    known::Known,
    leaves::{IN_LEAVES, LEAF, Leaves},
    lloyd::Step,
};
use crate::{
    kernel::{
        assign::{assign, assign_with_bounds},
        bounds::BoundsMut,
        boxes::{RivalLists, Rivals},
        pack::Packed,
    },
    numeric::{
        grid::{accumulate, transfer},
        scalar::Scalar,
    },
};
use mapreduce_core::RowBlock;
use std::ops::Range;

/// A multiple of the rows of a tile, which are 8 to 48: rows of a tile that is not full cost what others do.
const TILES: usize = 192;

/// Rows that are gathered before they are assigned.
const GATHERED: usize = 5 * TILES;

/// Rows whose bounds are widened at once.
const WIDENED: usize = 4096;

/// What bounds cost, in multiply-adds of the kernel: a look at those of a row, and beyond that a row that they leave
/// uncertain. Where they leave so many uncertain that they cost more than they save, a few rounds do without.
const LOOK: usize = 75;
const UNCERTAIN: usize = 700;
const BOUNDS_PAUSE: u32 = 3;

/// Multiply-adds of a row from which on bounds can cost less than they save.
const WORTH_BOUNDS: usize = 128;

/// Leaves that leave more than this many in a hundred centroids in question, over all rows, are dropped: to assign rows by
/// the leaf costs more than to assign them all.
const RIVALS_PERCENT_MAX: usize = 60;

/// A round over the rows of one split.
pub(super) struct Round<'a, T: Scalar> {
    mapper: &'a Assign<T>,
    /// Labels of the rows that were seen, and bounds if they are kept.
    known: Known<T>,
    /// Whether the labels were known from the round before, and the bounds.
    has_labels: bool,
    has_bounds: bool,
    /// Whether rows get bounds.
    keeps_bounds: bool,
    /// The number of rows that were seen.
    rows: usize,
    moved: u64,
    /// Rows that bounds said nothing of.
    uncertain: usize,
    /// Whether leaves are made, rather than known from the round before, if there are any.
    makes_leaves: bool,
    /// The number of leaves that were seen, and of the centroids in question, over all rows of those
    /// that leave several.
    leaves: usize,
    rivals: usize,
    sums: Vec<T::Sum>,
    counts: Vec<i64>,
    /// Rows that bounds say nothing of, by their position in the split.
    gathered: Vec<usize>,
    values: Vec<T>,
    width: usize,
    scratch: Scratch<T>,
}

/// What a round over a split has found.
pub(super) struct Found<T: Scalar> {
    pub(super) known: Known<T>,
    pub(super) moved: u64,
    /// Sums and counts of the clusters, or their changes.
    pub(super) sums: Vec<T::Sum>,
    pub(super) counts: Vec<i64>,
}

/// Memory that is used over and over.
struct Scratch<T> {
    labels: Vec<u32>,
    before: Vec<u32>,
    upper: Vec<T>,
    lower: Vec<T>,
    uncertain: Vec<u32>,
    lists: RivalLists,
    /// Some centroids, by their indices, and packed.
    chosen: Vec<u32>,
    among: Option<Packed<T>>,
}

impl<'a, T: Scalar> Round<'a, T> {
    /// Begins with what is known of the rows from the round before.
    pub(super) fn new(mapper: &'a Assign<T>, cached: Option<Known<T>>) -> Self {
        let (k, d) = (mapper.packed.k(), mapper.grid.columns());
        let has_labels = cached.is_some();
        let mut known = cached.unwrap_or_default();
        known.leaves = known.leaves.take().filter(|_| mapper.rivals.is_some());
        let wants_leaves = mapper.rivals.is_some() && !known.does_without_leaves;
        let wants_bounds = mapper.step == Step::Change && known.wants_bounds();
        let keeps_bounds = wants_bounds
            && match wants_leaves {
                // Where they leave much, bounds save more.
                true => known.left_by_leaves.is_some_and(|left| left >= WORTH_BOUNDS),
                false => k * d >= WORTH_BOUNDS,
            };
        if keeps_bounds {
            known.leaves = None;
        }
        // Not in a first round: where nothing is kept, all are first rounds.
        let makes_leaves = wants_leaves && !keeps_bounds && has_labels && known.leaves.is_none();
        if makes_leaves {
            known.leaves = Some(Leaves::new(d));
        }
        if !keeps_bounds {
            known.drop_bounds();
        }
        Self {
            mapper,
            has_labels,
            has_bounds: known.has_bounds(),
            keeps_bounds,
            makes_leaves,
            leaves: 0,
            rivals: 0,
            known,
            rows: 0,
            moved: 0,
            uncertain: 0,
            sums: vec![T::Sum::default(); k * d],
            counts: vec![0; k],
            gathered: Vec::new(),
            values: Vec::new(),
            width: d,
            scratch: Scratch {
                labels: Vec::new(),
                before: Vec::new(),
                upper: Vec::new(),
                lower: Vec::new(),
                uncertain: Vec::new(),
                lists: RivalLists::default(),
                chosen: Vec::new(),
                among: None,
            },
        }
    }

    /// Goes through the next rows.
    pub(super) fn add(&mut self, block: RowBlock<'_, T>) {
        self.width = block.width;
        let mut rest = block.values;
        while !rest.is_empty() {
            let at_once = match (self.has_bounds, &self.known.leaves) {
                (true, _) => WIDENED,
                (false, Some(_)) => IN_LEAVES,
                // Stays in the first-level cache for all that is done with it.
                (false, None) => rows_at_once::<T>(block.width),
            };
            let (values, others) = rest.split_at(rest.len().min(at_once * block.width));
            let rows = RowBlock { width: block.width, values };
            match self.has_bounds {
                true => self.gather(rows),
                false => self.add_leaves(rows),
            }
            self.rows += rows.len();
            rest = others;
        }
    }

    /// What was found, after the last rows.
    pub(super) fn finish(mut self) -> Found<T> {
        self.settle();
        let (k, d) = (self.mapper.packed.k(), self.mapper.packed.d());
        let with_bounds = self.rows * LOOK + self.uncertain * (k * d + UNCERTAIN);
        if self.uncertain > 0 && with_bounds > self.rows * self.known.left_by_leaves.unwrap_or(k * d) {
            self.known.pause_bounds(BOUNDS_PAUSE);
        }
        if self.known.leaves.is_some() && self.rows > 0 {
            self.known.left_by_leaves = Some(self.rivals * d / self.rows);
        }
        if self.leaves_are_idle(self.rows) {
            self.known.do_without_leaves();
        }
        if let (true, Some(leaves)) = (self.makes_leaves, &mut self.known.leaves) {
            leaves.shrink_to_fit();
        }
        let Self { known, moved, sums, counts, .. } = self;
        Found { known, moved, sums, counts }
    }

    /// Whether leaves have ruled little out for so many rows.
    fn leaves_are_idle(&self, rows: usize) -> bool {
        self.rivals * 100 > rows * self.mapper.packed.k() * RIVALS_PERCENT_MAX
    }

    /// Assigns consecutive rows by their leaves, if those are wanted and known, or all of them.
    fn add_leaves(&mut self, rows: RowBlock<'_, T>) {
        let (Some(rivals), Some(mut leaves)) = (&self.mapper.rivals, self.known.leaves.take()) else {
            return self.assign(rows);
        };
        if self.makes_leaves {
            leaves.extend(rows);
        } else if !leaves.are_of(self.leaves, rows) {
            // The rows come in other blocks than before.
            return self.assign(rows);
        }
        self.assign_leaves(rows, &mut leaves, rivals);
        self.leaves += rows.len().div_ceil(LEAF);
        match self.makes_leaves && self.leaves_are_idle(self.rows + rows.len()) {
            // Before more of them are made.
            true => self.known.do_without_leaves(),
            false => self.known.leaves = Some(leaves),
        }
    }

    /// Assigns consecutive rows, which are those of the next leaves.
    fn assign_leaves(&mut self, rows: RowBlock<'_, T>, leaves: &mut Leaves<T>, rivals: &Rivals<T>) {
        let next = self.leaves..self.leaves + rows.len().div_ceil(LEAF);
        let mut lists = std::mem::take(&mut self.scratch.lists);
        rivals.find(self.mapper.isa, &self.mapper.packed, &leaves.boxes, next.clone(), &mut lists);
        let (mut start, mut rest) = (self.rows, rows.values);
        let mut leaf = next.start;
        let mut of_leaves = lists.iter().peekable();
        while let Some(rivals) = of_leaves.next() {
            // Those with the same rivals together.
            let first = leaf;
            leaf += 1;
            while of_leaves.next_if(|next| *next == rivals).is_some() {
                leaf += 1;
            }
            let (values, others) = rest.split_at(rest.len().min((leaf - first) * LEAF * rows.width));
            rest = others;
            let rows = RowBlock { width: rows.width, values };
            let range = start..start + rows.len();
            start = range.end;
            let owners = leaves.owners(first..leaf);
            match *rivals {
                [owner] => {
                    let is_known = owners.iter().all(|known| *known == Some(owner));
                    owners.fill(Some(owner));
                    self.give(rows, range, owner, is_known);
                }
                _ => {
                    self.rivals += rows.len() * rivals.len();
                    owners.fill(None);
                    self.assign_among(rivals, rows, range);
                }
            }
        }
        drop(of_leaves);
        self.scratch.lists = lists;
    }

    /// Gives consecutive rows to one cluster, which may be known to have them.
    fn give(&mut self, rows: RowBlock<'_, T>, range: Range<usize>, to: u32, has_them: bool) {
        if has_them && self.mapper.step == Step::Change {
            return;
        }
        let mut labels = std::mem::take(&mut self.scratch.labels);
        labels.clear();
        labels.resize(rows.len(), to);
        self.relabel(rows, range, &labels);
        self.scratch.labels = labels;
    }

    /// Assigns consecutive rows among some centroids.
    fn assign_among(&mut self, rivals: &[u32], rows: RowBlock<'_, T>, range: Range<usize>) {
        let Assign { isa, packed, .. } = self.mapper;
        let Scratch { labels, chosen, among, .. } = &mut self.scratch;
        let among = among.get_or_insert_with(|| packed.clone());
        if chosen[..] != *rivals {
            packed.choose(rivals, among);
            rivals.clone_into(chosen);
        }
        let mut labels = std::mem::take(labels);
        labels.resize(rows.len(), 0);
        assign(*isa, among, rows, &mut labels, None);
        self.relabel(rows, range, &labels);
        self.scratch.labels = labels;
    }

    /// Gives consecutive rows, which have labels, other ones.
    fn relabel(&mut self, rows: RowBlock<'_, T>, range: Range<usize>, labels: &[u32]) {
        let Assign { isa, grid, step, .. } = self.mapper;
        let before = &mut self.known.labels[range];
        let has_changed = before != labels;
        match step {
            Step::Change if !has_changed => {}
            Step::Change => transfer(*isa, rows, [before, labels], grid, &mut self.sums, &mut self.counts),
            _ => accumulate(*isa, rows, labels, grid, &mut self.sums, &mut self.counts),
        }
        if has_changed {
            self.moved += self.mapper.different(rows, before, labels);
            before.copy_from_slice(labels);
        }
    }

    /// Assigns all of consecutive rows.
    fn assign(&mut self, rows: RowBlock<'_, T>) {
        let Assign { isa, packed, grid, previous, step, .. } = self.mapper;
        let range = self.rows..self.rows + rows.len();
        if !self.has_labels {
            self.known.labels.truncate(range.start);
            self.known.labels.resize(range.end, 0);
            if let Some(previous) = previous {
                assign(*isa, &previous.packed, rows, &mut self.known.labels[range.clone()], None);
            }
        }
        let fresh = &mut self.scratch.labels;
        fresh.resize(rows.len(), 0);
        let before = match self.keeps_bounds {
            true => {
                self.known.add_bounds();
                let (before, bounds) = self.known.with_bounds(range);
                assign_with_bounds(*isa, packed, rows, fresh, bounds);
                before
            }
            false => {
                assign(*isa, packed, rows, fresh, None);
                &mut self.known.labels[range]
            }
        };
        self.moved += match previous {
            Some(_) => self.mapper.different(rows, before, fresh),
            None => rows.into_iter().map(|row| self.mapper.copies(row)).sum(),
        };
        match (step, previous) {
            (Step::Change, Some(_)) => {
                transfer(*isa, rows, [before, fresh], grid, &mut self.sums, &mut self.counts);
            }
            _ => accumulate(*isa, rows, fresh, grid, &mut self.sums, &mut self.counts),
        }
        before.copy_from_slice(fresh);
    }

    /// Gathers those of consecutive rows whose labels may change.
    fn gather(&mut self, rows: RowBlock<'_, T>) {
        let mapper = self.mapper;
        let Some(previous) = &mapper.previous else {
            return; // bounds are those of the centroids before
        };
        let (labels, bounds) = self.known.with_bounds(self.rows..self.rows + rows.len());
        let mut uncertain = std::mem::take(&mut self.scratch.uncertain);
        previous.drift.widen(mapper.isa, labels, bounds, &mut uncertain);
        self.uncertain += uncertain.len();
        for &row in &uncertain {
            let row = row as usize;
            self.values.extend_from_slice(&rows.values[row * rows.width..][..rows.width]);
            self.gathered.push(self.rows + row);
            if self.gathered.len() == GATHERED {
                self.settle();
            }
        }
        self.scratch.uncertain = uncertain;
    }

    /// Assigns the rows that were gathered.
    fn settle(&mut self) {
        let Assign { isa, packed, grid, .. } = self.mapper;
        let rows = RowBlock { width: self.width, values: &self.values };
        let Scratch { labels, before, upper, lower, .. } = &mut self.scratch;
        labels.resize(rows.len(), 0);
        upper.resize(rows.len(), T::ZERO);
        lower.resize(rows.len(), T::ZERO);
        assign_with_bounds(*isa, packed, rows, labels, BoundsMut { upper, lower });
        before.clear();
        before.extend(self.gathered.iter().map(|&row| self.known.labels[row]));
        self.moved += self.mapper.different(rows, before, labels);
        transfer(*isa, rows, [before, labels], grid, &mut self.sums, &mut self.counts);
        for (i, &row) in self.gathered.iter().enumerate() {
            self.known.set(row, labels[i], upper[i], lower[i]);
        }
        self.gathered.clear();
        self.values.clear();
    }
}

/// Rows of about 32 KiB, and a whole number of tiles on every instruction set.
fn rows_at_once<T>(width: usize) -> usize {
    ((32 << 10) / size_of::<T>()).div_ceil(width).next_multiple_of(TILES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        jobs::lloyd::{Centroids, Lloyd},
        numeric::grid::Grid,
    };
    use mapreduce_core::Job;

    /// A round of a few hundred rows in one column, in ascending order.
    struct Rows(Vec<f32>);

    const K: usize = 40;

    impl Rows {
        fn mapper(&self, step: Step, round: usize, are_near: bool) -> Assign<f32> {
            let grid = Grid::new(&[self.0.len() as f64], self.0.len() as u64);
            let centroids = |round: usize| -> Vec<f64> {
                let drift = |c: usize| (c * 7 % 5) as f64 / (round + 1) as f64;
                (0..K).map(|c| (c * self.0.len() / K) as f64 + drift(c)).collect()
            };
            let previous = round.checked_sub(1).map(centroids).unwrap_or_default();
            let shared = Centroids { current: centroids(round), previous, step };
            Lloyd { grid, weights_are_copies: false, are_near }.mapper(&shared).unwrap()
        }

        fn go_through(&self, round: &mut Round<'_, f32>, blocks: &[usize]) {
            let mut rest = &self.0[..];
            for &block in blocks {
                let (values, left) = rest.split_at(block);
                round.add(RowBlock { width: 1, values });
                rest = left;
            }
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn of_rows_near_each_other_few_centroids_come_into_question() {
        let rows = Rows((0..9000).map(|i| i as f32).collect());
        let mut known = None;
        for number in 0..4 {
            let mapper = rows.mapper(Step::Assign, number, true);
            let mut round = Round::new(&mapper, known.take());
            rows.go_through(&mut round, &[9000]);
            // They are made in a second round, which looks at them as well.
            assert_eq!((round.makes_leaves, round.rivals > 0), (number == 1, number > 0));
            let limit = if number > 0 { 9000 * K / 10 } else { 0 };
            assert!(round.rivals <= limit, "{} in {number}", round.rivals);
            known = Some(round.finish().known);
        }
        let mut leaves = known.unwrap().leaves.unwrap();
        let all = leaves.boxes.len();
        let owned = leaves.owners(0..all).iter().flatten().count();
        assert!(owned * 2 > all, "{owned} of {all}");
    }

    #[test]
    fn leaves_that_rule_little_out_are_dropped_for_good() {
        // From end to end and back: each leaf is as wide as all rows.
        let rows = Rows((0..600).map(|i| (i * 337 % 600) as f32).collect());
        let mut known = None;
        for number in 0..5 {
            let mapper = rows.mapper(Step::Assign, number, true);
            let mut round = Round::new(&mapper, known.take());
            rows.go_through(&mut round, &[600]);
            assert_eq!((round.makes_leaves, round.rivals > 0), (number == 1, number == 1));
            known = Some(round.finish().known);
        }
    }

    #[test]
    fn no_more_leaves_are_made_where_the_first_rule_little_out() {
        let n = 3 * IN_LEAVES;
        let rows = Rows((0..n).map(|i| (i * 337 % n) as f32).collect());
        let round = |number, known| {
            let mapper = rows.mapper(Step::Assign, number, true);
            let mut round = Round::new(&mapper, known);
            rows.go_through(&mut round, &[n]);
            (round.leaves, round.finish().known)
        };
        let (none, known) = round(0, None);
        let (made, known) = round(1, Some(known));
        assert_eq!((none, made), (0, IN_LEAVES / LEAF));
        assert!(known.does_without_leaves && known.leaves.is_none());
        assert_eq!(round(2, Some(known)).0, 0);
    }

    #[test]
    fn blocks_cut_otherwise_than_before_come_to_the_same() {
        let rows = Rows((0..375).map(|i| i as f32).collect());
        for step in [Step::Assign, Step::Change] {
            let mut known = [None, None];
            // The leaves of the third are those of the second; of the others only some are, or none.
            let rounds: [&[usize]; 7] =
                [&[200, 175], &[200, 175], &[200, 175], &[375], &[375], &[192, 183], &[10, 365]];
            for (number, blocks) in rounds.into_iter().enumerate() {
                let mut found = [true, false].map(|are_near| {
                    let mapper = rows.mapper(step, number, are_near);
                    let mut round = Round::new(&mapper, known[usize::from(are_near)].take());
                    rows.go_through(&mut round, blocks);
                    round.finish()
                });
                let of = |found: &Found<f32>| (found.moved, found.sums.clone(), found.counts.clone());
                assert_eq!(of(&found[0]), of(&found[1]), "{step:?} in round {number}");
                assert_eq!(found[0].known.labels, found[1].known.labels);
                let [near, plain] = &mut found;
                known = [Some(std::mem::take(&mut plain.known)), Some(std::mem::take(&mut near.known))];
            }
        }
    }
}
