//! Labels, distances and centroids as files: `.npy` arrays, or Parquet files of one column.

use std::io::{self, Write};
use std::path::Path;

use bytemuck::Pod;
use npyz::{DType, WriterBuilder};

use super::{AtomicFile, ColumnFile, ColumnValue, OutputError, stage_file};

/// Writes labels as a one-dimensional `.npy` array of int32: `numpy.load(path)` reads them.
///
/// # Errors
/// [`OutputError`]; the target is as it was.
pub fn write_labels_npy(path: &Path, labels: &[i32]) -> Result<(), OutputError> {
    stage_labels_npy(path, labels)?.commit()
}

/// As [`write_labels_npy`], up to the point where the file would take its place.
///
/// # Errors
/// [`OutputError`]; the target is as it was.
pub fn stage_labels_npy(path: &Path, labels: &[i32]) -> Result<AtomicFile, OutputError> {
    stage(ColumnFile::create_npy(path, labels.len() as u64)?, labels)
}

/// Writes the cluster of each point, up to where the file would take its place: as a one-dimensional `.npy` array of
/// int32, or as a Parquet file with one `INT32` column `label`, by the extension.
///
/// # Errors
/// [`OutputError`], also for another extension; the target is as it was.
///
/// ```
/// use kmeans_job::output::stage_labels;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("labels.npy");
/// stage_labels(&path, &[0, 2, 1])?.commit()?;
/// assert!(std::fs::read(&path)?.ends_with(&[0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn stage_labels(path: &Path, labels: &[i32]) -> Result<AtomicFile, OutputError> {
    stage(ColumnFile::create(path, labels.len() as u64)?, labels)
}

/// Writes a distance for each point, up to where the file would take its place: as a one-dimensional `.npy` array of
/// f64, or as a Parquet file with one `DOUBLE` column `distance`, by the extension.
///
/// # Errors
/// [`OutputError`], also for another extension; the target is as it was.
pub fn stage_distances(path: &Path, distances: &[f64]) -> Result<AtomicFile, OutputError> {
    stage(ColumnFile::create(path, distances.len() as u64)?, distances)
}

fn stage<V: ColumnValue>(mut file: ColumnFile<V>, values: &[V]) -> Result<AtomicFile, OutputError> {
    file.write(values)?;
    file.finish()
}

/// Writes centroids as a two-dimensional `.npy` array of f64, one row a centroid, up to where the file would take its
/// place: what [`Start::Given`](crate::Start::Given) takes, and `numpy.load(path)`.
///
/// # Errors
/// [`OutputError`]; the target is as it was.
pub fn stage_centroids_npy(path: &Path, centroids: &[Vec<f64>]) -> Result<AtomicFile, OutputError> {
    let shape = [centroids.len(), centroids.first().map_or(0, Vec::len)].map(|side| side as u64);
    stage_file(path, |file| {
        write_npy_header(file, "<f8", &shape)?;
        centroids.iter().try_for_each(|row| file.write_all(little_endian(&mut row.clone())))
    })
}

/// The formats in which arrays are written.
pub(super) enum ArrayFormat {
    Npy,
    #[cfg(feature = "parquet")]
    Parquet,
}

impl ArrayFormat {
    pub(super) fn of(path: &Path) -> Result<Self, OutputError> {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        match extension.to_str() {
            Some("npy") => Ok(Self::Npy),
            #[cfg(feature = "parquet")]
            Some("parquet") => Ok(Self::Parquet),
            #[cfg(not(feature = "parquet"))]
            Some("parquet") => Err(OutputError::NoParquet { path: path.to_owned() }),
            _ => Err(OutputError::Extension { path: path.to_owned() }),
        }
    }
}

/// Writes the header of an `.npy` file, behind which its values follow.
pub(crate) fn write_npy_header(file: &mut impl Write, descr: &str, shape: &[u64]) -> io::Result<()> {
    let dtype = descr.parse().expect("the type of a little-endian number");
    npyz::WriteOptions::new_header_only()
        .dtype(DType::new_scalar(dtype))
        .shape(shape)
        .writer(file)
        .write_header_only()
        .map(drop)
}

/// The bytes of numbers, which are no numbers any more after that.
pub(crate) fn little_endian<T: Pod>(values: &mut [T]) -> &[u8] {
    let bytes = bytemuck::cast_slice_mut(values);
    if cfg!(target_endian = "big") {
        bytes.chunks_exact_mut(size_of::<T>()).for_each(<[u8]>::reverse);
    }
    bytes
}
