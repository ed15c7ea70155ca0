//! [`Known`]: what a split remembers of its rows from one round to the next.

use super::{leaves::Leaves, rows::CentredRows};
use crate::{kernel::bounds::BoundsMut, numeric::scalar::Scalar};
use mapreduce_core::Split;
use std::ops::Range;

/// The labels of a split's rows and, once few of them change, bounds on their distances. Whatever is lost is made again
/// from the centroids of the round before, so that no result depends on it.
#[derive(Debug)]
pub(super) struct Known<T: Scalar> {
    /// Of the centroids that the labels belong to.
    pub(super) fingerprint: u64,
    pub(super) labels: Vec<u32>,
    /// Empty, or as long as the labels; see [`BoundsMut`].
    upper: Vec<T>,
    lower: Vec<T>,
    /// Rounds to go without bounds.
    pause: u32,
    /// Boxes around the rows, if they lie near those that follow them.
    pub(super) leaves: Option<Leaves<T>>,
    /// Whether such boxes were of no use.
    pub(super) does_without_leaves: bool,
    /// Multiply-adds of a row that they leave, once there were some.
    pub(super) left_by_leaves: Option<usize>,
}

impl<T: Scalar> Default for Known<T> {
    fn default() -> Self {
        let (labels, upper, lower) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            fingerprint: 0,
            labels,
            upper,
            lower,
            pause: 0,
            leaves: None,
            does_without_leaves: false,
            left_by_leaves: None,
        }
    }
}

impl<T: Scalar> Known<T> {
    /// Leaves it to the next task on the split, if there is room for it: 4 bytes a row; with bounds two
    /// values more, with leaves about a twentieth of the row.
    pub(super) fn keep(self: Box<Self>, split: &mut Split<'_, CentredRows<T>>) {
        let bounds = size_of_val(&*self.upper) + size_of_val(&*self.lower);
        let leaves = self.leaves.as_ref().map_or(0, Leaves::bytes);
        let bytes = size_of_val(&*self.labels) + bounds + leaves;
        split.put_cache_of_bytes(self, bytes as u64);
    }

    /// Drops the leaves, and wants none any more.
    pub(super) fn do_without_leaves(&mut self) {
        (self.leaves, self.left_by_leaves, self.does_without_leaves) = (None, None, true);
    }

    /// Whether there are bounds.
    pub(super) fn has_bounds(&self) -> bool {
        !self.upper.is_empty()
    }

    /// Makes room for the bounds of as many rows as there are labels.
    pub(super) fn add_bounds(&mut self) {
        self.upper.resize(self.labels.len(), T::ZERO);
        self.lower.resize(self.labels.len(), T::ZERO);
    }

    /// Drops the bounds, and wants none for some rounds.
    pub(super) fn pause_bounds(&mut self, rounds: u32) {
        self.drop_bounds();
        self.pause = rounds;
    }

    pub(super) fn drop_bounds(&mut self) {
        (self.upper, self.lower) = (Vec::new(), Vec::new());
    }

    /// Whether bounds are wanted again. Asked once a round.
    pub(super) fn wants_bounds(&mut self) -> bool {
        let wanted = self.pause == 0;
        self.pause = self.pause.saturating_sub(1);
        wanted
    }

    /// Labels and bounds of some rows.
    pub(super) fn with_bounds(&mut self, range: Range<usize>) -> (&mut [u32], BoundsMut<'_, T>) {
        let bounds =
            BoundsMut { upper: &mut self.upper[range.clone()], lower: &mut self.lower[range.clone()] };
        (&mut self.labels[range], bounds)
    }

    /// Sets label and bounds of a row.
    pub(super) fn set(&mut self, row: usize, label: u32, upper: T, lower: T) {
        (self.labels[row], self.upper[row], self.lower[row]) = (label, upper, lower);
    }
}
