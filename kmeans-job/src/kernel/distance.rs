//! Squared distances by direct differences, in `f64`.
//!
//! The scores of the assignment kernel cancel where a row lies on its centroid; these do not. They are what inertia,
//! the farthest rows and the choice of start centroids are made of: exactly 0 for identical points, never negative.
//! The distance to the nearest of many points is that to the one [`assign`](crate::kernel::assign::assign) names.

use crate::kernel::isa::{Isa, Kind};
use crate::numeric::scalar::Scalar;
use mapreduce_core::RowBlock;

/// The squared Euclidean distance of a row and a point: one chain of fused multiply-adds over the columns in order.
///
/// ```
/// use kmeans_job::kernel::distance::squared_distance;
///
/// assert_eq!(squared_distance(&[1.0_f32, 2.0], &[4.0, 6.0]), 25.0);
/// assert_eq!(squared_distance(&[0.1_f32, 0.7], &[f64::from(0.1_f32), f64::from(0.7_f32)]), 0.0);
/// ```
#[inline(always)]
#[must_use]
pub fn squared_distance<T: Scalar>(x: &[T], c: &[f64]) -> f64 {
    x.iter().zip(c).fold(0.0, |sum, (x, c)| {
        let difference = x.to_f64() - c;
        difference.mul_add(difference, sum)
    })
}

/// The squared distance of each row to the centroid its label names (row-major `k x d`), with the bits of
/// [`squared_distance`]. What rows have behind the `d` columns is not looked at.
///
/// # Panics
///
/// If the lengths disagree, rows have fewer than `d` columns, or a label is not below `k`.
pub fn squared_distances<T: Scalar>(
    isa: Isa,
    rows: RowBlock<'_, T>,
    d: usize,
    labels: &[u32],
    centroids: &[f64],
    distances: &mut [f64],
) {
    assert!(rows.width >= d, "rows have the columns of the centroids");
    assert_eq!(rows.values.len(), labels.len() * rows.width, "one label for each row");
    assert_eq!(labels.len(), distances.len(), "one distance for each row");
    match isa.0 {
        Kind::Portable => each(rows, d, labels, centroids, distances),
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "enters code compiled for more than the baseline")]
        // SAFETY: an `Isa` of these kinds exists only on a machine that has the features.
        Kind::Avx2 | Kind::Avx512 => unsafe { each_fma(rows, d, labels, centroids, distances) },
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => each(rows, d, labels, centroids, distances),
    }
}

#[inline(always)]
fn each<T: Scalar>(
    rows: RowBlock<'_, T>,
    d: usize,
    labels: &[u32],
    centroids: &[f64],
    distances: &mut [f64],
) {
    for ((row, &label), distance) in rows.into_iter().zip(labels).zip(distances) {
        *distance = squared_distance(&row[..d], &centroids[label as usize * d..][..d]);
    }
}

/// Scalar code with the instruction: neighbouring rows overlap, and no vector would change the order of the chain.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn each_fma<T: Scalar>(
    rows: RowBlock<'_, T>,
    d: usize,
    labels: &[u32],
    centroids: &[f64],
    distances: &mut [f64],
) {
    each(rows, d, labels, centroids, distances);
}
