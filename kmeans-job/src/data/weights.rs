//! Weights of points, from a file of their own.

use super::{LoadError, Points, load, npy};
use std::path::Path;

/// Loads one number a point: a file that [`load`](super::load()) reads, with one column, or a one-dimensional `.npy` array.
/// That they are not negative, and as many as there are points, is looked at by a
/// [fit](crate::KMeans::fit_weighted).
///
/// `interrupted` is asked before each half megabyte.
///
/// ```
/// use kmeans_job::data::load_weights;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("weights.csv");
/// std::fs::write(&path, "weight\n3\n0.5\n")?;
/// assert_eq!(load_weights(&path, &|| false)?, [3.0, 0.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of `load`, and [`LoadError::SeveralWeights`] if there are several columns.
pub fn load_weights(path: &Path, interrupted: &dyn Fn() -> bool) -> Result<Vec<f64>, LoadError> {
    let is_npy = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy"));
    let points = if is_npy { npy::load_column(path, interrupted)? } else { load(path, interrupted)? };
    match (points.d(), points) {
        (1, Points::F32(matrix)) => Ok(matrix.into_values().into_iter().map(f64::from).collect()),
        (1, Points::F64(matrix)) => Ok(matrix.into_values()),
        (columns, _) => Err(LoadError::SeveralWeights { path: path.to_owned(), columns }),
    }
}
