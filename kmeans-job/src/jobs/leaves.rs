//! [`Leaves`]: boxes around runs of rows that are near each other, by which most centroids are passed over.
//!
//! A run of rows is small beside a cluster. Where one centroid is the nearest in all of its box, the run is added up as a
//! whole; elsewhere its rows are assigned among the few centroids that come into question. See
//! [`boxes`](crate::kernel::boxes) for the test.

use crate::{
    kernel::boxes::Boxes,
    numeric::{grid::Grid, scalar::Scalar},
};
use mapreduce_core::RowBlock;

/// Rows of a leaf, but at the end of a block: whole tiles of the kernel on every instruction set.
pub(super) const LEAF: usize = 96;

/// The leaves of the rows of a split, in their order.
#[derive(Debug)]
pub(super) struct Leaves<T: Scalar> {
    /// Of the sums: those of another one are no sums.
    grid: Grid<T>,
    /// How many rows each has.
    rows: Vec<u8>,
    pub(super) boxes: Boxes<T>,
    sums: Vec<T::Sum>,
    counts: Vec<i64>,
    owners: Vec<Option<u32>>,
}

/// What is known of a leaf.
pub(super) struct Leaf<'a, T: Scalar> {
    /// The sums of its rows.
    pub(super) sums: &'a [T::Sum],
    /// What they weigh.
    pub(super) count: i64,
    /// The label that all of them have, if that is known.
    pub(super) owner: &'a mut Option<u32>,
}

impl<T: Scalar> Leaves<T> {
    /// None yet.
    pub(super) fn new(grid: &Grid<T>) -> Self {
        let (boxes, sums) = (Boxes::new(grid.columns()), Vec::new());
        Self { grid: grid.clone(), rows: Vec::new(), boxes, sums, counts: Vec::new(), owners: Vec::new() }
    }

    /// Whether they are of use to a job that adds up on that grid.
    pub(super) fn are_on(&self, grid: &Grid<T>) -> bool {
        self.grid == *grid
    }

    /// Adds leaves of the next rows, all in one block.
    pub(super) fn extend(&mut self, rows: RowBlock<'_, T>) {
        let d = self.grid.columns();
        for values in rows.values.chunks(LEAF * rows.width) {
            let rows = RowBlock { width: rows.width, values };
            self.boxes.push(rows);
            let (first, mut count) = (self.sums.len(), 0);
            self.sums.resize(first + d, T::Sum::default());
            for row in rows {
                let (on_grid, weight) = self.grid.of_row(row);
                self.sums[first..].iter_mut().zip(on_grid).for_each(|(sum, x)| *sum += x);
                count += weight;
            }
            self.rows.push(rows.len() as u8);
            self.counts.push(count);
            self.owners.push(None);
        }
    }

    /// The bytes that are kept.
    pub(super) fn bytes(&self) -> usize {
        let Self { grid: _, rows, boxes, sums, counts, owners } = self;
        let small = size_of_val(&**rows) + size_of_val(&**counts) + size_of_val(&**owners);
        small + boxes.bytes() + size_of_val(&**sums)
    }

    /// What is known of a leaf.
    pub(super) fn of(&mut self, leaf: usize) -> Leaf<'_, T> {
        let d = self.grid.columns();
        let sums = &self.sums[leaf * d..][..d];
        Leaf { sums, count: self.counts[leaf], owner: &mut self.owners[leaf] }
    }

    /// Whether the leaves from `first` on are those of `rows`, which are all in one block.
    pub(super) fn are_of(&self, first: usize, rows: RowBlock<'_, T>) -> bool {
        let lens = rows.values.chunks(LEAF * rows.width).map(|values| (values.len() / rows.width) as u8);
        let leaves = rows.len().div_ceil(LEAF);
        self.rows.get(first..first + leaves).is_some_and(|known| lens.eq(known.iter().copied()))
    }
}
