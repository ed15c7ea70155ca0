//! [`Source`]: the rows of a fit or a prediction, in memory or in files.

use crate::{
    data::{FileRows, Matrix, Points, RowsOfDtype},
    numeric::scalar::Scalar,
};

/// Rows of one type of values.
pub(crate) enum Source<T> {
    Memory(Matrix<T>),
    Files(FileRows<T>),
}

/// Rows of either type.
pub(crate) enum AnySource {
    F32(Source<f32>),
    F64(Source<f64>),
}

impl From<Points> for AnySource {
    fn from(points: Points) -> Self {
        match points {
            Points::F32(matrix) => Self::F32(Source::Memory(matrix)),
            Points::F64(matrix) => Self::F64(Source::Memory(matrix)),
            Points::Files(files) => match files.rows {
                RowsOfDtype::F32(rows) => Self::F32(Source::Files(rows)),
                RowsOfDtype::F64(rows) => Self::F64(Source::Files(rows)),
            },
        }
    }
}

impl<T: Scalar> Source<T> {
    /// The number of rows.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Memory(matrix) => matrix.rows(),
            Self::Files(rows) => rows.rows(),
        }
    }

    /// The number of columns.
    pub(crate) fn d(&self) -> usize {
        match self {
            Self::Memory(matrix) => matrix.d(),
            Self::Files(rows) => rows.d(),
        }
    }
}
