//! [`Leaves`]: boxes around runs of rows that are near each other, by which most centroids are passed over.
//!
//! A run of rows is small beside a cluster. Where one centroid is the nearest in all of its box, nothing has to be found out
//! for its rows; elsewhere they are assigned among the few centroids that come into question. See
//! [`boxes`](crate::kernel::boxes) for the test.

use crate::{kernel::boxes::Boxes, numeric::scalar::Scalar};
use mapreduce_core::RowBlock;
use std::ops::Range;

/// Rows of a leaf, but at the end of a block: whole tiles of the kernel on every instruction set.
pub(super) const LEAF: usize = 96;

/// Rows whose leaves are tried at once: so many that the middles of the boxes fill tiles.
pub(super) const IN_LEAVES: usize = 48 * LEAF;

/// The leaves of the rows of a split, in their order.
#[derive(Debug)]
pub(super) struct Leaves<T: Scalar> {
    pub(super) boxes: Boxes<T>,
    /// How many rows each has.
    rows: Vec<u8>,
    /// The label that all rows of each have, if that is known.
    owners: Vec<Option<u32>>,
}

impl<T: Scalar> Leaves<T> {
    /// None yet, of rows with `d` coordinates.
    pub(super) fn new(d: usize) -> Self {
        Self { boxes: Boxes::new(d), rows: Vec::new(), owners: Vec::new() }
    }

    /// Adds leaves of the next rows, all in one block.
    pub(super) fn extend(&mut self, rows: RowBlock<'_, T>) {
        for values in rows.values.chunks(LEAF * rows.width) {
            let rows = RowBlock { width: rows.width, values };
            self.boxes.push(rows);
            self.rows.push(rows.len() as u8);
            self.owners.push(None);
        }
    }

    /// Gives back memory for leaves that do not come.
    pub(super) fn shrink_to_fit(&mut self) {
        self.boxes.shrink_to_fit();
        self.rows.shrink_to_fit();
        self.owners.shrink_to_fit();
    }

    /// The bytes that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.boxes.bytes() + size_of_val(&*self.rows) + size_of_val(&*self.owners)
    }

    /// The labels that all rows of some leaves have.
    pub(super) fn owners(&mut self, leaves: Range<usize>) -> &mut [Option<u32>] {
        &mut self.owners[leaves]
    }

    /// Whether the leaves from `first` on are those of `rows`, which are all in one block.
    pub(super) fn are_of(&self, first: usize, rows: RowBlock<'_, T>) -> bool {
        let lens = rows.values.chunks(LEAF * rows.width).map(|values| (values.len() / rows.width) as u8);
        let leaves = rows.len().div_ceil(LEAF);
        self.rows.get(first..first + leaves).is_some_and(|known| lens.eq(known.iter().copied()))
    }
}
