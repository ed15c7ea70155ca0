//! [`StandIn`]: rows that stand in for those of the data in Lloyd's iterations, which come to the same sums with them in less
//! time.

use crate::{centred::Centred, distinct, near, numeric::scalar::Scalar, source::Source};

/// The rows that Lloyd's iterations go through.
#[derive(Default)]
pub(crate) struct StandIn<T: Scalar> {
    /// The data in another form; nothing if it does best as it is.
    pub(crate) rows: Option<Source<T>>,
    /// Whether each row is there once, with the number of its copies behind it.
    pub(crate) weights_are_copies: bool,
    /// Whether rows that follow each other are near each other.
    pub(crate) are_near: bool,
}

impl<T: Scalar> StandIn<T> {
    /// What suits so many iterations with `k` centroids; the data itself if it is in files or `stop` asks for an end. If it
    /// `is_fixed`, it cannot be replaced.
    pub(crate) fn find(
        rows: &Centred<T>,
        k: usize,
        iterations: u32,
        is_fixed: bool,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Self {
        let Some(all) = rows.in_memory() else { return Self::default() };
        let d = rows.d();
        if is_fixed {
            return Self { are_near: near::are_near(all, d, k, iterations), ..Self::default() };
        }
        let has_weights = rows.weighing.behind > 0;
        let distinct = (!has_weights).then(|| distinct::find(all, k, iterations, stop)).flatten();
        let weights_are_copies = distinct.is_some();
        let found = distinct.as_ref().unwrap_or(all);
        let arranged = near::arrange(found, d, k, iterations, stop);
        let are_near = arranged.is_some() || near::are_near(found, d, k, iterations);
        Self { rows: arranged.or(distinct).map(Source::Memory), weights_are_copies, are_near }
    }
}
