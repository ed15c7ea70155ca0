//! [`PointFiles`]: points that stay in their files, and are read there each time they are needed.

use super::{Dtype, LoadError, Points, WeighedRows, load, temporary::TemporaryRows};
use crate::numeric::scalar::Scalar;
use mapreduce_core::{Input, RowFiles, Rows};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

#[cfg(feature = "parquet")]
use super::parquet::ParquetRows;

/// Points in `.npy` or Parquet files that are not loaded: every pass of a fit or a prediction reads them anew, a block at
/// a time. For data that is larger than memory.
///
/// Tables and images are decoded once instead: [`load_all`](super::load_all) puts the values of those that are too large
/// for memory into a temporary file if it is [given a folder](super::LoadOptions::overflow), and gives these points, too.
/// The file has no name, and its space is free again when the last clone is dropped or the process ends, however it ends.
/// What becomes of the tables and images after they were read does not matter.
///
/// Results are the same as of the points [loaded](super::load_all), to the bit. A file that is changed, replaced or
/// removed after it was opened is an error of the pass that meets it, which names the file. A NaN or an infinity is an
/// error of the first pass.
///
/// ```
/// use kmeans_job::{
///     KMeans,
///     data::{self, PointFiles},
///     generate::{Generator, Shape, WriteOptions},
/// };
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("points.npy");
/// # let shape = Shape::Blobs { clusters: 3, spread: 1.0 };
/// # Generator::new(shape, 1000, 2, 7)?.write(&path, WriteOptions::default())?;
/// let files = PointFiles::open(&[&path], &[])?;
/// assert_eq!((files.rows(), files.d(), files.bytes()), (1000, 2, 8000));
/// let kmeans = KMeans::builder().k(3).build()?;
/// assert_eq!(kmeans.fit(files)?.model, kmeans.fit(data::load(&path, &|| false)?)?.model);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct PointFiles {
    paths: Vec<PathBuf>,
    pub(crate) rows: RowsOfDtype,
}

/// The rows of files, by the type of their values.
#[derive(Clone, Debug)]
pub(crate) enum RowsOfDtype {
    F32(FileRows<f32>),
    F64(FileRows<f64>),
}

impl PointFiles {
    /// Opens files, and folders of them, one after the other: as [`load_all`](super::load_all) does, but for the values.
    /// `columns` chooses columns of Parquet files; empty for all.
    ///
    /// # Errors
    /// [`LoadError::NotStoredAsRows`] for tables and images, which have to be decoded; else those of `load_all`.
    pub fn open(paths: &[impl AsRef<Path>], columns: &[String]) -> Result<Self, LoadError> {
        load::open_all(&load::list(paths)?, columns)
    }

    pub(super) fn new(paths: Vec<PathBuf>, rows: RowsOfDtype) -> Self {
        Self { paths, rows }
    }

    /// The files that were named, in the order of their points.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// The number of points, at least 1.
    pub fn rows(&self) -> usize {
        match &self.rows {
            RowsOfDtype::F32(rows) => rows.rows(),
            RowsOfDtype::F64(rows) => rows.rows(),
        }
    }

    /// The number of coordinates of a point, at least 1.
    pub fn d(&self) -> usize {
        match &self.rows {
            RowsOfDtype::F32(rows) => rows.d(),
            RowsOfDtype::F64(rows) => rows.d(),
        }
    }

    /// The type of the values.
    pub fn dtype(&self) -> Dtype {
        match &self.rows {
            RowsOfDtype::F32(_) => Dtype::F32,
            RowsOfDtype::F64(_) => Dtype::F64,
        }
    }

    /// The bytes of all values, if they were loaded.
    pub fn bytes(&self) -> u64 {
        let value = match self.dtype() {
            Dtype::F32 => size_of::<f32>(),
            Dtype::F64 => size_of::<f64>(),
        };
        (self.rows() as u64).saturating_mul((self.d() * value) as u64)
    }
}

/// Equal are the same files in the same order, whatever is in them now. What was decoded counts by the files it came from.
impl PartialEq for PointFiles {
    fn eq(&self, other: &Self) -> bool {
        (&self.paths, self.rows(), self.d()) == (&other.paths, other.rows(), other.d())
    }
}

impl From<PointFiles> for Points {
    fn from(files: PointFiles) -> Self {
        Self::Files(files)
    }
}

/// Rows in files, as they are there.
#[derive(Clone, Debug)]
pub(crate) enum FileRows<T> {
    /// In `.npy` files, which other nodes can read as well.
    Npy(RowFiles<T>),
    #[cfg(feature = "parquet")]
    Parquet(ParquetRows<T>),
    /// In a temporary file, read from tables or images.
    Temporary(TemporaryRows<T>),
    /// In any of them, with weights behind them.
    Weighed(Arc<WeighedRows<T>>),
}

impl<T: Scalar> FileRows<T> {
    pub(crate) fn rows(&self) -> usize {
        // Files of more rows than can be counted were refused.
        match self {
            Self::Npy(rows) => rows.rows() as usize,
            #[cfg(feature = "parquet")]
            Self::Parquet(rows) => rows.rows() as usize,
            Self::Temporary(rows) => rows.rows(),
            Self::Weighed(rows) => rows.weights().len(),
        }
    }

    /// Columns, with that of the weights.
    pub(crate) fn d(&self) -> usize {
        self.input().shape() as usize
    }

    pub(crate) fn input(&self) -> &dyn Input<Records = Rows<T>> {
        match self {
            Self::Npy(rows) => rows,
            #[cfg(feature = "parquet")]
            Self::Parquet(rows) => rows,
            Self::Temporary(rows) => rows,
            Self::Weighed(rows) => &**rows,
        }
    }
}
