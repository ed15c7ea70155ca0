//! One round of Lloyd's algorithm: every row goes to its nearest centroid, and each cluster is summed up.

use super::{Candidate, TopRows, fingerprint, first_row, name_for, rounded, rows::CentredRows};
use crate::{
    kernel::{
        assign::{assign, nearest},
        distance::squared_distances,
        isa::Isa,
        pack::Packed,
    },
    numeric::{
        grid::{Grid, accumulate},
        scalar::Scalar,
    },
};
use mapreduce_core::{Block, prelude::*};
use std::ops::AddAssign;

/// The counter of rows whose label is another one than in the round before.
pub const MOVED: &str = "moved";

/// A round of Lloyd's algorithm.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub struct Lloyd<T> {
    /// The scales that rows are summed with; one for each column.
    pub grid: Grid<T>,
}

/// What is broadcast for a round. Centroids are row-major `k x d` and in the coordinates of the centred rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Centroids {
    /// Those to assign the rows to.
    pub current: Vec<f64>,
    /// Those of the round before; empty in the first. From them a node that has lost the labels of a split makes
    /// them again, so that the count of moved rows does not depend on what was lost.
    pub previous: Vec<f64>,
    /// What to find out.
    pub step: Step,
}

/// What a round finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// The sums of the clusters.
    Assign,
    /// The rows farthest from their centroids, for clusters that are empty.
    Farthest {
        /// How many rows, with distinct coordinates.
        count: u64,
    },
}

/// What is known of a cluster.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub struct Cluster<T: Scalar> {
    /// Its rows.
    pub count: u64,
    /// Their sum, on the grid.
    pub sums: Block<T::Sum>,
    /// The farthest rows, in a round that looks for them. Their keys are the negative squared distances.
    pub farthest: Option<TopRows>,
}

impl<T: Scalar> AddAssign<&Cluster<T>> for Cluster<T> {
    fn add_assign(&mut self, other: &Cluster<T>) {
        self.count += other.count;
        self.sums += &other.sums;
        if let Some(farthest) = &other.farthest {
            *self.farthest.get_or_insert_default() += farthest;
        }
    }
}

/// The mapper of [`Lloyd`]: the centroids, packed for the kernel.
pub struct Assign<T> {
    isa: Isa,
    grid: Grid<T>,
    step: Step,
    centroids: Vec<f64>,
    packed: Packed<T>,
    fingerprint: u64,
    previous: Option<(Packed<T>, u64)>,
}

/// What a split remembers between rounds: the labels of its rows.
pub(super) struct Labels {
    /// Of the centroids they belong to.
    pub(super) fingerprint: u64,
    pub(super) labels: Vec<u32>,
}

impl Labels {
    /// Leaves them to the next task, if there is room: 4 bytes a row.
    pub(super) fn keep<T: Scalar>(self, split: &mut Split<'_, CentredRows<T>>) {
        let bytes = size_of_val(&*self.labels) as u64;
        split.put_cache_of_bytes(Box::new(self), bytes);
    }
}

impl<T: Scalar> Assign<T> {
    /// Assigns the rows of a split and sums them up by label.
    fn assign_split(
        &self,
        split: &mut Split<'_, CentredRows<T>>,
        out: &mut impl Emit<u32, Cluster<T>>,
    ) -> Result {
        let (k, d) = (self.packed.k(), self.grid.columns());
        let mut sums = vec![T::Sum::default(); k * d];
        let mut counts = vec![0; k];
        let cached = split.take_cache::<Labels>();
        let known = cached.filter(|cached| {
            self.previous.as_ref().is_some_and(|(_, previous)| cached.fingerprint == *previous)
        });
        let has_known = known.is_some();
        let mut labels = known.map(|known| known.labels).unwrap_or_default();

        let progress = split.progress();
        let (mut done, mut moved) = (0, 0);
        let (mut fresh, mut made_again) = (Vec::new(), Vec::new());
        while let Some(block) = split.next_block()? {
            progress.records(block.len() as u64);
            // A part of a block at a time stays in the first-level cache for all that is done with it.
            for rows in block.values.chunks(rows_at_once::<T>(d) * d) {
                let range = done..done + rows.len() / d;
                done = range.end;
                fresh.resize(range.len(), 0);
                assign(self.isa, &self.packed, rows, &mut fresh, None);
                accumulate(self.isa, rows, &fresh, &self.grid, &mut sums, &mut counts);
                let before = match &self.previous {
                    None => None,
                    Some(_) if has_known => labels.get(range.clone()),
                    Some((previous, _)) => {
                        made_again.resize(range.len(), 0);
                        assign(self.isa, previous, rows, &mut made_again, None);
                        Some(&made_again[..])
                    }
                };
                moved += match before {
                    Some(before) => before.iter().zip(&fresh).filter(|(a, b)| a != b).count(),
                    None => range.len(),
                };
                match labels.get_mut(range.clone()) {
                    Some(labels) => labels.copy_from_slice(&fresh),
                    None => {
                        labels.truncate(range.start);
                        labels.extend_from_slice(&fresh);
                    }
                }
            }
        }
        Labels { fingerprint: self.fingerprint, labels }.keep(split);
        out.count(MOVED, moved as u64);
        for (cluster, (&count, sums)) in (0..).zip(counts.iter().zip(sums.chunks_exact(d))) {
            if count > 0 {
                let sums = Block::from(sums.to_vec());
                out.emit(&cluster, &Cluster { count, sums, farthest: None })?;
            }
        }
        Ok(())
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
            assign(self.isa, &self.packed, block.values, &mut labels, None);
            squared_distances(self.isa, block.values, d, &labels, &self.centroids, &mut distances);
            for ((values, &label), &distance) in block.into_iter().zip(&labels).zip(&distances) {
                if distance > 0.0 && farthest.admits(-distance) {
                    let point = values.iter().map(|x| x.to_f64()).collect();
                    farthest.add(Candidate { key: -distance, row, label, point });
                }
                row += 1;
            }
        }
        out.emit(&0, &Cluster { count: 0, sums: Block::default(), farthest: Some(farthest) })
    }
}

/// Rows of about 32 KiB.
fn rows_at_once<T>(d: usize) -> usize {
    ((32 << 10) / size_of::<T>()).div_ceil(d).next_multiple_of(64)
}

impl<T: Scalar> Mapper for Assign<T> {
    type Input = CentredRows<T>;
    type Key = u32;
    type Value = Cluster<T>;

    /// The textbook's step: a row and a count of one, under the nearest centroid.
    fn map(&self, row: &[T], out: &mut impl Emit<u32, Cluster<T>>) -> Result {
        if self.step != Step::Assign {
            return Err(
                "a row's index, which decides between equal distances, is known to its split only".into()
            );
        }
        let label = nearest(&self.packed, row).0;
        let moved = self.previous.as_ref().is_none_or(|(previous, _)| nearest(previous, row).0 != label);
        out.count(MOVED, moved.into());
        let sums = row.iter().enumerate().map(|(j, x)| x.quantize(self.grid.scale(j))).collect();
        out.emit(&label, &Cluster { count: 1, sums, farthest: None })
    }

    /// The same for a split, with the kernel and k pairs instead of n.
    fn map_split(
        &self,
        split: &mut Split<'_, CentredRows<T>>,
        out: &mut impl Emit<u32, Cluster<T>>,
    ) -> Result {
        match self.step {
            Step::Assign => self.assign_split(split, out),
            Step::Farthest { count } => self.farthest_in_split(split, out, count),
        }
    }
}

impl<T: Scalar> Job for Lloyd<T> {
    const NAME: &'static str = name_for::<T>("k-means/lloyd/f32", "k-means/lloyd/f64");
    type Shared = Centroids;
    type Mapper = Assign<T>;
    type Combiner = Sum;
    type Reducer = Fold<Sum>;

    fn mapper(&self, shared: &Centroids) -> Result<Assign<T>> {
        let pack = |centroids: &[f64]| Packed::new(&rounded::<T>(centroids), self.grid.columns());
        let Centroids { current, previous, step } = shared;
        Ok(Assign {
            isa: Isa::detect(),
            grid: self.grid.clone(),
            step: *step,
            centroids: current.clone(),
            packed: pack(current),
            fingerprint: fingerprint(current),
            previous: (!previous.is_empty()).then(|| (pack(previous), fingerprint(previous))),
        })
    }

    fn combiner(&self) -> Sum {
        Sum
    }

    fn reducer(&self, _: &Centroids) -> Result<Fold<Sum>> {
        Ok(Fold(Sum))
    }
}
