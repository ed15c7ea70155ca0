//! [`Assign`]: the mapper of [`Lloyd`](super::lloyd::Lloyd), which finds the nearest centroid of every row.
//!
//! The labels of a round are those that the kernel finds for every row. How they are found depends on what is worth it:
//!
//! * In the first rounds, when many rows change their cluster, all rows are assigned and added up.
//! * Once few do ([`Step::Change`]), what is added up is what changes: rows that move are taken off one cluster and added
//!   to another. Sums are integers, so the result is the same.
//! * From then on bounds tell of most rows that their label stays, without a look at the row. The others are gathered
//!   and assigned by the same kernel.

use super::{
    Candidate, TopRows, first_row,
    known::Known,
    lloyd::{Cluster, MOVED, Step},
    rows::{CentredRows, weight_of},
};
use crate::{
    kernel::{
        assign::{assign, assign_with_bounds, nearest},
        bounds::{BoundsMut, Drift},
        distance::squared_distances,
        isa::Isa,
        pack::Packed,
    },
    numeric::{
        grid::{Grid, accumulate, transfer},
        scalar::Scalar,
    },
};
use mapreduce_core::{Block, RowBlock, prelude::*};

/// The mapper of [`Lloyd`](super::lloyd::Lloyd): the centroids, packed for the kernel.
pub struct Assign<T: Scalar> {
    pub(super) isa: Isa,
    pub(super) grid: Grid<T>,
    pub(super) weights_are_copies: bool,
    pub(super) step: Step,
    pub(super) centroids: Vec<f64>,
    pub(super) packed: Packed<T>,
    pub(super) fingerprint: u64,
    pub(super) previous: Option<Previous<T>>,
}

/// The centroids of the round before.
pub(super) struct Previous<T> {
    pub(super) packed: Packed<T>,
    pub(super) fingerprint: u64,
    /// From those to the ones of this round.
    pub(super) drift: Drift,
}

/// A multiple of the rows of a tile, which are 8 to 48: rows of a tile that is not full cost what others do.
const TILES: usize = 192;

/// Rows that are gathered before they are assigned.
const GATHERED: usize = 5 * TILES;

/// Rows whose bounds are widened at once.
const WIDENED: usize = 4096;

/// Multiply-adds of a row from which on bounds can cost less than they save.
const WORTH_BOUNDS: usize = 128;

/// Bounds that leave more than this many in a hundred rows uncertain cost more than they save, and a few rounds do
/// without. Where centroids settle, bounds that were useless in one round serve in the next: the bar is high.
const UNCERTAIN_PERCENT_MAX: usize = 95;
const BOUNDS_PAUSE: u32 = 3;

impl<T: Scalar> Mapper for Assign<T> {
    type Input = CentredRows<T>;
    type Key = u32;
    type Value = Cluster<T>;

    /// The textbook's step: a row and a count of one, under the nearest centroid. In a round of changes, if that is
    /// another than before; the one before loses them.
    fn map(&self, row: &[T], out: &mut impl Emit<u32, Cluster<T>>) -> Result {
        if let Step::Farthest { .. } = self.step {
            return Err(
                "a row's index, which decides between equal distances, is known to its split only".into()
            );
        }
        let label = nearest(&self.packed, row).0;
        let before = self.previous.as_ref().map(|previous| nearest(&previous.packed, row).0);
        let has_moved = before != Some(label);
        out.count(MOVED, if has_moved { self.copies(row) } else { 0 });
        let (sums, count) = self.grid.of_row(row);
        let sums: Block<T::Sum> = sums.collect();
        match (self.step, before) {
            (Step::Change, Some(_)) if !has_moved => return Ok(()),
            (Step::Change, Some(before)) => {
                let minus = sums.iter().map(|&sum| T::Sum::default() - sum).collect();
                out.emit(&before, &Cluster { count: -count, sums: minus, farthest: None })?;
            }
            _ => {}
        }
        out.emit(&label, &Cluster { count, sums, farthest: None })
    }

    /// The same for a split, with the kernel and k pairs instead of n.
    fn map_split(
        &self,
        split: &mut Split<'_, CentredRows<T>>,
        out: &mut impl Emit<u32, Cluster<T>>,
    ) -> Result {
        match self.step {
            Step::Assign | Step::Change => self.assign_split(split, out),
            Step::Farthest { count } => self.farthest_in_split(split, out, count),
        }
    }
}

impl<T: Scalar> Assign<T> {
    /// Assigns the rows of a split and adds them up by label.
    fn assign_split(
        &self,
        split: &mut Split<'_, CentredRows<T>>,
        out: &mut impl Emit<u32, Cluster<T>>,
    ) -> Result {
        let cached = split.take_cache::<Known<T>>();
        let cached = cached.filter(|cached| self.is_of_previous(cached.fingerprint));
        let mut round = Round::new(self, cached.map(|cached| *cached));
        let progress = split.progress();
        while let Some(block) = split.next_block()? {
            progress.records(block.len() as u64);
            round.add(block);
        }
        round.settle();
        out.count(MOVED, round.moved);
        let Round { mut known, sums, counts, rows, uncertain, .. } = round;
        if uncertain * 100 > rows * UNCERTAIN_PERCENT_MAX {
            known.pause_bounds(BOUNDS_PAUSE);
        }
        known.fingerprint = self.fingerprint;
        Box::new(known).keep(split);
        let d = self.grid.columns();
        for (cluster, (&count, sums)) in (0..).zip(counts.iter().zip(sums.chunks_exact(d))) {
            if count != 0 || sums.iter().any(|&sum| sum != T::Sum::default()) {
                let sums = Block::from(sums.to_vec());
                out.emit(&cluster, &Cluster { count, sums, farthest: None })?;
            }
        }
        Ok(())
    }

    fn is_of_previous(&self, fingerprint: u64) -> bool {
        self.previous.as_ref().is_some_and(|previous| previous.fingerprint == fingerprint)
    }

    /// How many rows a row stands for.
    fn copies(&self, row: &[T]) -> u64 {
        let weight = row.get(self.grid.columns()).filter(|_| self.weights_are_copies);
        weight.map_or(1, |&weight| self.grid.weight(weight).unsigned_abs())
    }

    /// How many rows have another label than before.
    fn different(&self, rows: RowBlock<'_, T>, before: &[u32], after: &[u32]) -> u64 {
        if !self.weights_are_copies {
            return before.iter().zip(after).filter(|(before, after)| before != after).count() as u64;
        }
        let labels = rows.into_iter().zip(before.iter().zip(after));
        labels.filter(|(_, (before, after))| before != after).map(|(row, _)| self.copies(row)).sum()
    }

    /// Whether bounds may be worth it.
    fn keeps_bounds(&self) -> bool {
        self.step == Step::Change && self.packed.k() * self.packed.d() >= WORTH_BOUNDS
    }

    /// Finds the rows of a split that are farthest from their centroids.
    fn farthest_in_split(
        &self,
        split: &mut Split<'_, CentredRows<T>>,
        out: &mut impl Emit<u32, Cluster<T>>,
        count: u64,
    ) -> Result {
        let d = self.grid.columns();
        let (progress, mut row) = (split.progress(), first_row(split)?);
        let mut farthest = TopRows::new(count as usize);
        let (mut labels, mut distances) = (Vec::new(), Vec::new());
        while let Some(block) = split.next_block()? {
            progress.records(block.len() as u64);
            labels.resize(block.len(), 0);
            distances.resize(block.len(), 0.0);
            assign(self.isa, &self.packed, block, &mut labels, None);
            squared_distances(self.isa, block, d, &labels, &self.centroids, &mut distances);
            for ((values, &label), &distance) in block.into_iter().zip(&labels).zip(&distances) {
                let weight = weight_of(values, d);
                if distance > 0.0 && weight > 0.0 && farthest.admits(-distance) {
                    let point = values[..d].iter().map(|x| x.to_f64()).collect();
                    farthest.add(Candidate { key: -distance, row, label, weight, point });
                }
                row += 1;
            }
        }
        out.emit(&0, &Cluster { count: 0, sums: Block::default(), farthest: Some(farthest) })
    }
}

/// A round over the rows of one split.
struct Round<'a, T: Scalar> {
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
    sums: Vec<T::Sum>,
    counts: Vec<i64>,
    /// Rows that bounds say nothing of, by their position in the split.
    gathered: Vec<usize>,
    values: Vec<T>,
    width: usize,
    scratch: Scratch<T>,
}

/// Memory that is used over and over.
struct Scratch<T> {
    labels: Vec<u32>,
    before: Vec<u32>,
    upper: Vec<T>,
    lower: Vec<T>,
    uncertain: Vec<u32>,
}

impl<'a, T: Scalar> Round<'a, T> {
    fn new(mapper: &'a Assign<T>, cached: Option<Known<T>>) -> Self {
        let (k, d) = (mapper.packed.k(), mapper.grid.columns());
        let has_labels = cached.is_some();
        let mut known = cached.unwrap_or_default();
        let keeps_bounds = mapper.keeps_bounds() && known.wants_bounds();
        if !keeps_bounds {
            known.drop_bounds();
        }
        Self {
            mapper,
            has_labels,
            has_bounds: known.has_bounds(),
            keeps_bounds,
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
            },
        }
    }

    /// Goes through the next rows.
    fn add(&mut self, block: RowBlock<'_, T>) {
        self.width = block.width;
        let at_once = match self.has_bounds {
            true => WIDENED,
            // Stays in the first-level cache for all that is done with it.
            false => rows_at_once::<T>(block.width),
        };
        for values in block.values.chunks(at_once * block.width) {
            let rows = RowBlock { width: block.width, values };
            match self.has_bounds {
                true => self.gather(rows),
                false => self.assign(rows),
            }
            self.rows += rows.len();
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
