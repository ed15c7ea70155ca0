//! [`Sample`]: the points that are drawn.

use super::PlotError;
use crate::{
    data::{FileRows, Matrix, Points, RowsOfDtype},
    numeric::{random::sample, scalar::Scalar, unit::scale_to_unit},
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
    /// [`PlotError::NotFinite`] if a row that is drawn has a NaN or an infinity, [`PlotError::Read`] if points that stay in
    /// their files cannot be read. All of those are read for it.
    pub fn new(points: &Points, seed: u64) -> Result<Self, PlotError> {
        match points {
            Points::F32(matrix) => Self::of(matrix, seed),
            Points::F64(matrix) => Self::of(matrix, seed),
            Points::Files(files) => match &files.rows {
                RowsOfDtype::F32(rows) => Self::of_files(rows, seed),
                RowsOfDtype::F64(rows) => Self::of_files(rows, seed),
            },
        }
    }

    /// Which rows of the points these are, counted from 0, ascending.
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    fn of<T: Scalar>(matrix: &Matrix<T>, seed: u64) -> Result<Self, PlotError> {
        let mut drawn = Self::none(matrix.rows(), matrix.d(), seed);
        for row in drawn.rows.clone() {
            drawn.add(row, &matrix.values()[row * drawn.d..][..drawn.d])?;
        }
        Ok(drawn)
    }

    fn of_files<T: Scalar>(files: &FileRows<T>, seed: u64) -> Result<Self, PlotError> {
        let mut drawn = Self::none(files.rows(), files.d(), seed);
        let wanted = drawn.rows.clone();
        let (mut wanted, mut seen) = (wanted.into_iter().peekable(), 0);
        let failed = |error: &dyn std::fmt::Display| PlotError::Read { problem: error.to_string() };
        for split in files.input().splits(None).map_err(|error| failed(&error))? {
            let mut blocks = files.input().open(&split).map_err(|error| failed(&error))?;
            while let Some(block) = blocks.next_block().map_err(|error| failed(&error))? {
                let end = seen + block.len();
                while let Some(row) = wanted.next_if(|&row| row < end) {
                    drawn.add(row, &block.values[(row - seen) * block.width..][..block.width])?;
                }
                seen = end;
            }
        }
        Ok(drawn)
    }

    /// Which rows are drawn, without their values.
    fn none(n: usize, d: usize, seed: u64) -> Self {
        let rows = sample(n, ROWS_MAX.min(VALUES_MAX / d).max(1), seed, STREAM_PLOT);
        Self { n, d, values: Vec::with_capacity(rows.len() * d), rows }
    }

    /// The same rows scaled to unit length, as where only directions count.
    pub(super) fn of_unit_length(&self) -> Self {
        let mut scaled = self.clone();
        for row in scaled.values.chunks_exact_mut(self.d) {
            // Rows of zeros were refused by the fit.
            let _has_direction = scale_to_unit(row);
        }
        scaled
    }

    fn add<T: Scalar>(&mut self, row: usize, values: &[T]) -> Result<(), PlotError> {
        if let Some(column) = values.iter().position(|x| !x.is_finite()) {
            return Err(PlotError::NotFinite { row: row + 1, column: column + 1 });
        }
        self.values.extend(values.iter().map(|x| x.to_f64()));
        Ok(())
    }
}
