//! [`Centred`]: rows with the middle of each column moved to zero, and what the other jobs need to know of them.
//!
//! Distances do not change when all rows move together, but their rounding does: far from the origin the kernel's
//! `|c|^2 - 2 c.x` would cancel to nothing. A column is shifted by its mean, rounded to a multiple of an eighth of
//! the power of two below its range: integers then stay integers and ties stay ties.

use crate::{
    data::{Dtype, Matrix},
    error::DataError,
    jobs::statistics::{AddColumns, AddSquares, FindRanges, Ranges},
    numeric::{exact::ExactSum, grid::Grid, scalar::Scalar},
    session::Session,
};
use mapreduce_core::{Dataset, Error, RowSlice};

/// Centred rows.
pub(crate) struct Centred<T: Scalar> {
    values: Vec<T>,
    d: usize,
    /// What was subtracted from each column.
    pub(crate) shift: Vec<f64>,
    /// The scales that rows are summed with.
    pub(crate) grid: Grid<T>,
}

/// What convergence and cost are judged by.
pub(crate) struct Spread {
    /// The sum of the squares of all centred elements.
    pub(crate) squares: ExactSum,
    /// The mean of the columns' variances.
    pub(crate) mean_variance: f64,
}

/// Why rows were not centred.
pub(crate) enum Failed {
    Data(DataError),
    Job(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Job(error)
    }
}

/// Rows in memory as the jobs read them.
pub(crate) type Rows<'a, T> = Dataset<RowSlice<T, &'a [T]>>;

impl<T: Scalar> Centred<T> {
    /// Centres the rows by their own means.
    pub(crate) fn new(matrix: Matrix<T>, session: &mut Session<'_>) -> Result<(Self, Spread), Failed> {
        let (rows, d) = (matrix.rows(), matrix.d());
        let values = matrix.into_values();
        let data = session.dataset(&values, d)?;
        let ranges = find_ranges(&data, session)?;
        let magnitudes: Vec<f64> =
            ranges.min.iter().zip(&ranges.max).map(|(a, b)| a.abs().max(b.abs())).collect();
        let grid = Grid::<T>::new(&magnitudes, rows as u64);
        let sums = session.run(&AddColumns { grid: grid.clone() }, &(), &data)?.pairs;
        let sums = sums.into_iter().next().map(|((), sums)| sums).unwrap_or_default();
        let means: Vec<f64> = (0..d).map(|j| grid.mean(sums[j], rows as u64, j)).collect();
        drop(data);

        let shift = (0..d).map(|j| shift::<T>(ranges.min[j], ranges.max[j], means[j])).collect();
        let centred = Self::shifted(values, d, shift, &ranges)?;
        let data = centred.dataset(session)?;
        let squares = session.run(&AddSquares::<T>::default(), &(), &data)?.pairs;
        let squares = squares.into_iter().next().map(|((), squares)| squares).unwrap_or_default();
        let means_squared: f64 =
            means.iter().zip(&centred.shift).map(|(mean, shift)| (mean - shift).powi(2)).sum();
        let mean_variance = ((squares.value() / rows as f64 - means_squared) / d as f64).max(0.0);
        drop(data);
        Ok((centred, Spread { squares, mean_variance }))
    }

    /// Centres the rows as those of a model were.
    pub(crate) fn like(matrix: Matrix<T>, shift: &[f64], session: &mut Session<'_>) -> Result<Self, Failed> {
        let d = matrix.d();
        let values = matrix.into_values();
        let ranges = find_ranges(&session.dataset(&values, d)?, session)?;
        Self::shifted(values, d, shift.to_vec(), &ranges)
    }

    fn shifted(mut values: Vec<T>, d: usize, shift: Vec<f64>, ranges: &Ranges) -> Result<Self, Failed> {
        let in_t: Vec<T> = shift.iter().map(|&x| T::from_f64(x)).collect();
        for row in values.chunks_exact_mut(d) {
            for (x, &shift) in row.iter_mut().zip(&in_t) {
                *x = *x - shift;
            }
        }
        // Rounding keeps the order, so the ends of a column's range go to the ends of the centred range.
        let centred = |x: f64, j: usize| (T::from_f64(x) - in_t[j]).to_f64().abs();
        let magnitudes: Vec<f64> =
            (0..d).map(|j| centred(ranges.min[j], j).max(centred(ranges.max[j], j))).collect();
        check_magnitudes::<T>(&magnitudes)?;
        let grid = Grid::new(&magnitudes, (values.len() / d) as u64);
        Ok(Self { values, d, shift, grid })
    }

    /// The rows, as input for the jobs.
    pub(crate) fn dataset(&self, session: &Session<'_>) -> Result<Rows<'_, T>, Error> {
        session.dataset(&self.values, self.d)
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.values.len() / self.d
    }

    /// The number of columns.
    pub(crate) fn d(&self) -> usize {
        self.d
    }

    /// Points (row-major) moved to the coordinates of the centred rows.
    pub(crate) fn centre(&self, points: &[f64]) -> Vec<f64> {
        points.iter().zip(self.shift.iter().cycle()).map(|(x, shift)| x - shift).collect()
    }

    /// Points (row-major) moved back to the coordinates of the data.
    pub(crate) fn restore(&self, points: &[f64]) -> Vec<f64> {
        points.iter().zip(self.shift.iter().cycle()).map(|(x, shift)| x + shift).collect()
    }
}

fn find_ranges<T: Scalar>(data: &Rows<'_, T>, session: &mut Session<'_>) -> Result<Ranges, Failed> {
    let ranges = session.run(&FindRanges::<T>::default(), &(), data)?.pairs;
    let ranges = ranges.into_iter().next().map(|((), ranges)| ranges).unwrap_or_default();
    match ranges.not_finite {
        Some((row, column)) => Err(Failed::Data(DataError::NotFinite { row, column })),
        None => Ok(ranges),
    }
}

/// What to subtract from a column.
fn shift<T: Scalar>(min: f64, max: f64, mean: f64) -> f64 {
    let range = max - min;
    if range == 0.0 {
        return min;
    }
    if !range.is_finite() {
        return 0.0; // refused as too large
    }
    // The exponent of the range's leading bit; subnormal ranges are shifted in steps of the smallest normal number.
    let step = f64::from_bits((range.to_bits() >> 52).max(1) << 52) / 8.0;
    let shift = if step > 0.0 { (mean / step).round_ties_even() * step } else { mean };
    let shift = if shift.is_finite() { shift } else { mean };
    T::from_f64(shift).to_f64()
}

/// Refuses data of which squared distances, summed over the columns, would overflow.
fn check_magnitudes<T: Scalar>(magnitudes: &[f64]) -> Result<(), Failed> {
    // Two points differ by at most twice the magnitude in a column.
    let limit = (T::MAX.to_f64() / magnitudes.len() as f64).sqrt() / 4.0;
    match magnitudes.iter().enumerate().find(|(_, magnitude)| !(**magnitude <= limit)) {
        Some((column, &magnitude)) => {
            let dtype = if size_of::<T>() == 4 { Dtype::F32 } else { Dtype::F64 };
            Err(Failed::Data(DataError::TooLarge { column, magnitude, dtype }))
        }
        None => Ok(()),
    }
}
