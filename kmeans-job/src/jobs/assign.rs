//! [`Assign`]: the mapper of [`Lloyd`](super::lloyd::Lloyd), which finds the nearest centroid of every row.
//!
//! The labels of a round are those that the kernel finds for every row. How they are found depends on what is worth it:
//!
//! * In the first rounds, when many rows change their cluster, all rows are assigned and added up.
//! * Once few do ([`Step::Change`]), what is added up is what changes: rows that move are taken off one cluster and added
//!   to another. Sums are integers, so the result is the same.
//! * From then on bounds tell of most rows that their label stays, without a look at the row. The others are gathered
//!   and assigned by the same kernel.
//! * Where rows are near those that follow them, few centroids come into question for a run of them, and often one. Such
//!   splits keep bounds only if that leaves more to be computed than bounds cost.

use super::{
    Candidate, TopRows, first_row,
    known::Known,
    lloyd::{Cluster, MOVED, Step},
    round::{Found, Round},
    rows::{CentredRows, weight_of},
};
use crate::{
    kernel::{
        assign::{assign, nearest},
        bounds::Drift,
        boxes::Rivals,
        distance::squared_distances,
        isa::Isa,
        pack::Packed,
    },
    numeric::{
        grid::{Grid, LABELS},
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
    /// The centroids again, for leaves, if rows are near those that follow them.
    pub(super) rivals: Option<Rivals<T>>,
}

/// The centroids of the round before.
pub(super) struct Previous<T> {
    pub(super) packed: Packed<T>,
    pub(super) fingerprint: u64,
    /// From those to the ones of this round.
    pub(super) drift: Drift,
}

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
        let Found { mut known, moved, sums, counts } = round.finish();
        out.count(MOVED, moved);
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
    pub(super) fn copies(&self, row: &[T]) -> u64 {
        let weight = row.get(self.grid.columns()).filter(|_| self.weights_are_copies);
        weight.map_or(1, |&weight| self.grid.weight(weight).unsigned_abs())
    }

    /// How many rows have another label than before.
    pub(super) fn different(&self, rows: RowBlock<'_, T>, before: &[u32], after: &[u32]) -> u64 {
        if !self.weights_are_copies {
            return before.iter().zip(after).filter(|(before, after)| before != after).count() as u64;
        }
        // Most rows stay: they are passed over a vector at a time.
        let labels = before.chunks(LABELS).zip(after.chunks(LABELS));
        let changed = rows.values.chunks(LABELS * rows.width).zip(labels).filter(|(_, (a, b))| a != b);
        let of_some = |(values, (before, after)): (&[T], (&[u32], &[u32]))| -> u64 {
            let rows = values.chunks_exact(rows.width).zip(before.iter().zip(after));
            rows.filter(|(_, (before, after))| before != after).map(|(row, _)| self.copies(row)).sum()
        };
        changed.map(of_some).sum()
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
