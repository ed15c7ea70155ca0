//! The map-reduce jobs that K-means consists of, all over one dataset of rows.
//!
//! | job | a mapper sees | and emits | reduced to |
//! |---|---|---|---|
//! | [`statistics`] | rows as they came | ranges, then sums of the columns | what the data is centred by |
//! | [`pick`] | centred rows | a few rows with the smallest random keys | random start centroids |
//! | [`sample`] | centred rows | rows far from the candidates so far, what candidates come to | start centroids of k-means\|\| and k-means++ |
//! | [`lloyd`] | centred rows | sums and counts by nearest centroid | the next centroids |
//! | [`batch`] | centred rows | sums and counts of some rows by nearest centroid | the next centroids of mini-batches |
//! | [`label`] | centred rows | labels and the inertia | labels, in the order of the rows |
//! | [`tally`] | centred rows | sizes of the clusters and the inertia | their sums |
//! | [`halves`] | centred rows | which of two centroids is nearest, the inertia of either | the rows of two clusters, in their order |
//! | [`distances`] | centred rows | distances to all centroids | distances, in the order of the rows |
//!
//! Everything that is added up is an integer or an exact sum, every random number depends on the seed and the row's
//! index: no result depends on how the rows are split or who works on them.
//!
//! [`rows`] is what all of them read. A program that is to work on these jobs for others has them in its registry, see
//! [`register`].

pub mod assign;
pub mod batch;
pub mod distances;
pub mod halves;
pub(crate) mod input;
mod known;
pub mod label;
mod leaves;
pub mod lloyd;
pub mod pick;
mod round;
pub mod rows;
pub mod sample;
pub mod statistics;
pub mod tally;
mod top_rows;

pub use top_rows::{Candidate, TopRows};

use crate::numeric::scalar::Scalar;
use mapreduce_core::{Registry, RegistryError};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Adds every job that a [`KMeans`](crate::KMeans) or a [`Model`](crate::Model) may run, for rows of `f32` and of `f64`: what
/// a peer needs to work on them.
///
/// ```
/// use mapreduce_core::Registry;
///
/// let registry = kmeans_job::register(Registry::new())?;
/// assert!(registry.jobs().any(|job| job.name == "k-means/lloyd/f32"));
/// # Ok::<(), mapreduce_core::RegistryError>(())
/// ```
///
/// # Errors
/// When another job has the name of one of these, which all begin with `k-means/`.
pub fn register(registry: Registry) -> Result<Registry, RegistryError> {
    register_for::<f64>(register_for::<f32>(registry)?)
}

fn register_for<T: Scalar>(registry: Registry) -> Result<Registry, RegistryError> {
    registry
        .with::<statistics::FindRanges<T>>()?
        .with::<statistics::AddColumns<T>>()?
        .with::<statistics::AddSquares<T>>()?
        .with::<pick::PickRows<T>>()?
        .with::<pick::FetchRows<T>>()?
        .with::<sample::Sample<T>>()?
        .with::<lloyd::Lloyd<T>>()?
        .with::<batch::Batch<T>>()?
        .with::<label::Label<T>>()?
        .with::<tally::Tally<T>>()?
        .with::<halves::Halve<T>>()?
        .with::<distances::Distances<T>>()
}

/// The name of a job for elements of type `T`.
const fn name_for<T: Scalar>(f32: &'static str, f64: &'static str) -> &'static str {
    if size_of::<T>() == size_of::<f32>() { f32 } else { f64 }
}

/// Tells sets of points apart, so that what was cached for one is not taken for another. Stays in the process.
fn fingerprint(points: &[f64]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytemuck::cast_slice::<f64, u8>(points).hash(&mut hasher);
    hasher.finish()
}

/// The global index of a split's first row.
fn first_row<T: Scalar>(
    split: &mapreduce_core::Split<'_, rows::CentredRows<T>>,
) -> mapreduce_core::Result<u64> {
    split.first_record().ok_or_else(|| "the input does not number its rows, which K-means needs".into())
}

/// `f64` points in the element type of the data.
fn rounded<T: Scalar>(points: &[f64]) -> Vec<T> {
    points.iter().map(|&x| T::from_f64(x)).collect()
}
