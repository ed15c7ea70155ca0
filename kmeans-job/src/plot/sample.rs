//! [`Sample`]: the points that are drawn.

use super::PlotError;
use crate::{
    data::{Matrix, Points},
    numeric::{random::sample, scalar::Scalar},
};

/// Rows that are drawn: more would make a blot and a large file.
const ROWS_MAX: usize = 5000;
/// Numbers that are kept, 128 MB of them; this is less than so many rows of very many columns.
const VALUES_MAX: usize = 1 << 24;
/// Random numbers for the rows that are drawn.
const STREAM_PLOT: u64 = 0x706c_6f74; // "plot"

/// Points to draw: all of them if there are at most 5000, else 5000 that the seed draws, each set of rows as likely as
/// any other. Of rows of more than 3355 columns there are fewer, so that a sample never takes more than 128 MB.
///
/// It is taken ahead of a fit, which takes the points with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Of all the points.
    pub(super) n: usize,
    pub(super) d: usize,
    /// Which rows these are, ascending.
    pub(super) rows: Vec<usize>,
    /// Their values, row by row.
    pub(super) values: Vec<f64>,
}

impl Sample {
    /// Draws rows of points. The same points and seed give the same rows.
    ///
    /// ```
    /// use kmeans_job::{data::{Matrix, Points}, plot::Sample};
    ///
    /// let points = Points::F64(Matrix::new(20_000, 1, (0..20_000).map(f64::from).collect())?);
    /// let sample = Sample::new(&points, 42)?;
    /// assert_eq!(sample.rows().len(), 5000);
    /// assert_eq!(sample, Sample::new(&points, 42)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PlotError::NotFinite`] if a row that is drawn has a NaN or an infinity.
    pub fn new(points: &Points, seed: u64) -> Result<Self, PlotError> {
        match points {
            Points::F32(matrix) => Self::of(matrix, seed),
            Points::F64(matrix) => Self::of(matrix, seed),
        }
    }

    /// Which rows of the points these are, counted from 0, ascending.
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    fn of<T: Scalar>(matrix: &Matrix<T>, seed: u64) -> Result<Self, PlotError> {
        let (n, d) = (matrix.rows(), matrix.d());
        let rows = sample(n, ROWS_MAX.min(VALUES_MAX / d).max(1), seed, STREAM_PLOT);
        let mut values = Vec::with_capacity(rows.len() * d);
        for &row in &rows {
            for (column, x) in matrix.values()[row * d..][..d].iter().enumerate() {
                let x = x.to_f64();
                if !x.is_finite() {
                    return Err(PlotError::NotFinite { row: row + 1, column: column + 1 });
                }
                values.push(x);
            }
        }
        Ok(Self { n, d, rows, values })
    }
}
