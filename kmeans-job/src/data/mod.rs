//! Points to cluster: the matrix in memory, and reading one from files whose format their extension names.
//!
//! | extension | read as | type of the values |
//! |---|---|---|
//! | `.npy` | a two-dimensional numpy array, see [`npy`] | its own: f32 or f64 |
//! | `.csv`, `.tsv` | a table of numbers, with or without a header line, see [`csv`] | f64 |
//! | `.parquet` | columns of numbers, all or some (feature `parquet`, on by default), see [`parquet`] | f32 if that holds them all, else f64 |
//! | `.png`, `.jpg`, `.jpeg`, `.bmp`, `.gif`, `.tif`, `.tiff`, `.webp`, `.ppm`, `.pgm`, `.pbm`, `.pnm` | an image, one point a pixel: red, green, blue, see [`image`] | f32 |
//!
//! [`load`] reads one file, [`load_all`] several and folders of them. What is loaded is finite: a NaN or an infinity in a file is an error that names its row and column.
//!
//! Points that are larger than memory stay in their files if these are `.npy` or Parquet ([`PointFiles`]); the values of
//! tables and images can go to a temporary file ([`LoadOptions::overflow`]).

use crate::numeric::scalar::Scalar;
use mapreduce_core::rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fmt;
use values::Values;

pub mod csv;
mod error;
mod files;
pub mod image;
mod load;
pub mod npy;
#[cfg(feature = "parquet")]
pub mod parquet;
mod sink;
mod stored;
mod temporary;
mod values;
mod watch;
mod weighed;
mod weights;

pub use error::{Difference, FileError, LoadError};
pub use files::PointFiles;
pub(crate) use files::{FileRows, RowsOfDtype};
pub(crate) use load::read;
pub use load::{LoadOptions, check, list, load, load_all};
pub use stored::{ShareError, StoredRows};
pub(crate) use temporary::{TemporaryFile, TemporaryRows};
pub use watch::Progress;
pub(crate) use weighed::WeighedRows;
pub use weights::load_weights;

/// A dense matrix, stored row by row: one row a point, one column a coordinate. Never empty.
///
/// ```
/// use kmeans_job::data::Matrix;
///
/// let points = Matrix::new(2, 3, vec![0.0_f32, 0.1, 0.2, 1.0, 1.1, 1.2])?;
/// assert_eq!((points.rows(), points.d()), (2, 3));
/// assert_eq!(points.row(1), Some(&[1.0, 1.1, 1.2][..]));
/// # Ok::<(), kmeans_job::data::ShapeError>(())
/// ```
///
/// Two matrices are equal if their values are, wherever they were read.
pub struct Matrix<T> {
    rows: usize,
    d: usize,
    values: Values<T>,
    stored: Option<StoredRows>,
}

impl<T: Scalar> Matrix<T> {
    /// Makes a matrix of `rows` rows and `d` columns from its values, row by row.
    ///
    /// # Errors
    /// [`ShapeError`] if there is no row or no column, or if `values` does not hold `rows * d` values.
    pub fn new(rows: usize, d: usize, values: Vec<T>) -> Result<Self, ShapeError> {
        if rows == 0 {
            return Err(ShapeError::NoRows);
        }
        if d == 0 {
            return Err(ShapeError::NoColumns);
        }
        if rows.checked_mul(d) != Some(values.len()) {
            return Err(ShapeError::Length { rows, d, found: values.len() });
        }
        Ok(Self { rows, d, values: Values::Given(values), stored: None })
    }

    /// A matrix of zeros, of at least one row and column; nothing if there is no room for it.
    pub(crate) fn zeros(rows: usize, d: usize) -> Option<Self> {
        Some(Self { rows, d, values: Values::zeros(rows.checked_mul(d)?)?, stored: None })
    }

    /// A copy of values row by row, made by the threads of the rayon pool that this is called in if they are many.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn copy_of(rows: usize, d: usize, values: &[T]) -> Result<Self, ShapeError> {
        /// Values that are copied by one thread.
        const PART: usize = 1 << 16;

        let copy = match rows.checked_mul(d) == Some(values.len()) && values.len() > PART {
            true => Self::zeros(rows, d),
            false => None,
        };
        let Some(mut matrix) = copy else { return Self::new(rows, d, values.to_vec()) };
        let parts = matrix.values.par_chunks_mut(PART).zip(values.par_chunks(PART));
        parts.for_each(|(copy, values)| copy.copy_from_slice(values));
        Ok(matrix)
    }

    /// Says where the same rows lie in a file.
    pub(crate) fn stored_in(self, file: StoredRows) -> Self {
        Self { stored: Some(file), ..self }
    }

    /// The file that these rows lie in, byte for byte: the `.npy` file they were [loaded](load) from. `None` for rows
    /// that were made here or converted.
    pub fn stored(&self) -> Option<&StoredRows> {
        self.stored.as_ref()
    }

    /// The number of rows (points), at least 1.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns (coordinates of a point), at least 1.
    pub fn d(&self) -> usize {
        self.d
    }

    /// All values, row by row: `rows * d` of them.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// The values of one row, counted from 0: `d` of them. `None` past the last row.
    pub fn row(&self, index: usize) -> Option<&[T]> {
        self.values.chunks_exact(self.d).nth(index)
    }

    pub(crate) fn values_mut(&mut self) -> &mut [T] {
        &mut self.values
    }

    /// Gives the values away, row by row. A large matrix may have to copy them for that.
    pub fn into_values(self) -> Vec<T> {
        self.values.into_vec()
    }
}

impl<T: Scalar> Clone for Matrix<T> {
    fn clone(&self) -> Self {
        let Self { rows, d, values, stored } = self;
        Self { rows: *rows, d: *d, values: values.clone(), stored: stored.clone() }
    }
}

impl<T: Scalar> fmt::Debug for Matrix<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, d, values, stored } = self;
        let mut matrix = f.debug_struct("Matrix");
        matrix.field("rows", rows).field("d", d).field("values", values).field("stored", stored).finish()
    }
}

impl<T: Scalar> PartialEq for Matrix<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.rows, self.d, self.values()) == (other.rows, other.d, other.values())
    }
}

/// Why values cannot be a [`Matrix`] of the given shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// No rows.
    #[error("there are no rows; give at least one point")]
    NoRows,
    /// No columns.
    #[error("there are no columns; give at least one coordinate a point")]
    NoColumns,
    /// Another number of values than the shape asks for.
    #[error("{rows} rows of {d} columns do not hold {found} values; give rows x columns of them")]
    Length {
        /// The rows asked for.
        rows: usize,
        /// The columns asked for.
        d: usize,
        /// The number of values given.
        found: usize,
    },
}

/// The type of the values of a matrix, written `f32` or `f64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// Single precision, 4 bytes.
    F32,
    /// Double precision, 8 bytes.
    F64,
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        })
    }
}

/// Points as they were loaded, in the precision of their file; or those that stay there.
#[derive(Clone, Debug, PartialEq)]
pub enum Points {
    /// Single precision.
    F32(Matrix<f32>),
    /// Double precision.
    F64(Matrix<f64>),
    /// Not loaded, of either precision.
    Files(PointFiles),
}

impl Points {
    /// The number of points, at least 1.
    pub fn rows(&self) -> usize {
        match self {
            Self::F32(matrix) => matrix.rows(),
            Self::F64(matrix) => matrix.rows(),
            Self::Files(files) => files.rows(),
        }
    }

    /// The number of coordinates of a point, at least 1.
    pub fn d(&self) -> usize {
        match self {
            Self::F32(matrix) => matrix.d(),
            Self::F64(matrix) => matrix.d(),
            Self::Files(files) => files.d(),
        }
    }

    /// The file that these loaded points lie in as well, byte for byte; see [`Matrix::stored`].
    pub fn stored(&self) -> Option<&StoredRows> {
        match self {
            Self::F32(matrix) => matrix.stored(),
            Self::F64(matrix) => matrix.stored(),
            Self::Files(_) => None,
        }
    }

    /// The type of the values.
    pub fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::F64(_) => Dtype::F64,
            Self::Files(files) => files.dtype(),
        }
    }
}
