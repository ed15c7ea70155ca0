//! [`StandIn`]: rows that stand in for those of the data in Lloyd's iterations, which come to the same sums with them in less
//! time.

use crate::{centred::Centred, distinct, near, numeric::scalar::Scalar, source::Source};

/// The rows of the data in another form.
pub(crate) struct StandIn<T: Scalar> {
    pub(crate) rows: Source<T>,
    /// Whether each row is there once, with the number of its copies behind it.
    pub(crate) weights_are_copies: bool,
    /// Whether rows that follow each other are near each other.
    pub(crate) are_near: bool,
}

impl<T: Scalar> StandIn<T> {
    /// Rows in memory for so many iterations with `k` centroids, unless they do best as they are, or `stop` asks for an end.
    pub(crate) fn find(
        rows: &Centred<T>,
        k: usize,
        iterations: u32,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Option<Self> {
        let all = rows.in_memory()?;
        let has_weights = rows.weighing.behind > 0;
        let distinct = (!has_weights).then(|| distinct::find(all, k, iterations, stop)).flatten();
        let near = near::arrange(distinct.as_ref().unwrap_or(all), rows.d(), k, iterations, stop);
        let (weights_are_copies, are_near) = (distinct.is_some(), near.is_some());
        Some(Self { rows: Source::Memory(near.or(distinct)?), weights_are_copies, are_near })
    }
}
