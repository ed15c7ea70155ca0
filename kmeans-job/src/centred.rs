//! [`Centred`]: rows with the middle of each column moved to zero, or scaled to unit length, and what the other jobs need
//! to know of them.
//!
//! Distances do not change when all rows move together, but their rounding does: far from the origin the kernel's
//! `|c|^2 - 2 c.x` would cancel to nothing. A column is shifted by its mean, rounded to a multiple of an eighth of
//! the power of two below its range: integers then stay integers and ties stay ties.
//!
//! Where only directions count, rows are scaled to unit length instead. Half their squared Euclidean distance is one less
//! the cosine of the angle between them: all else is the same.

use crate::{
    data::{Dtype, FileRows, Matrix},
    distance::Distance,
    error::DataError,
    jobs::{
        rows::{Preparation, centre_in_place, scale_in_place, weight_of},
        statistics::{AddColumns, AddSquares, FindRanges, Range, Ranges},
    },
    numeric::{
        exact::ExactSum,
        grid::Grid,
        scalar::{FixedSum, Scalar, all_finite},
        unit::scale_to_unit,
    },
    session::{Data, Session},
    source::Source,
    weighing::{Weighed, Weighing},
};
use mapreduce_core::{Block, Engine, Error, SplitInfo};

/// Centred rows.
pub(crate) struct Centred<T: Scalar> {
    /// In memory they are centred; in files they are as they were, and each block is centred as it is read. Weights are
    /// behind the rows, if there are any.
    source: Source<T>,
    d: usize,
    pub(crate) weighing: Weighing,
    pub(crate) distance: Distance,
    /// What was subtracted from each column: zeros where rows are of unit length.
    pub(crate) shift: Vec<f64>,
    /// What was done to the rows.
    preparation: Preparation<T>,
}

/// What is known of the columns of centred rows.
pub(crate) struct Columns<T> {
    /// The scales that rows are summed with.
    pub(crate) grid: Grid<T>,
    /// What rounding the shift has left of their means.
    means: Vec<f64>,
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

impl<T: Scalar> Centred<T> {
    /// Centres the rows by their own means, or scales them to unit length. Rows of weight 0 have no part in that.
    pub(crate) fn new<E: Engine>(
        rows: Weighed<T>,
        distance: Distance,
        session: &mut Session<'_, E>,
    ) -> Result<(Self, Columns<T>), Failed> {
        let Weighed { source, d, weighing } = rows;
        let data = session.dataset(&source, &Preparation::Done)?;
        let ranges = find_ranges(d, &data, session)?;
        if let Some((row, column)) = ranges.not_finite {
            return Err(Failed::Data(DataError::NotFinite { row, column }));
        }
        let rows = source.rows();
        if distance == Distance::Cosine {
            check_directions(&ranges)?;
            drop(data);
            let scaled = session.install(|| Self::scaled(source, d, weighing));
            let columns = scaled.columns_of_units(session)?;
            return Ok((scaled, columns));
        }
        let counted = &ranges.counted;
        let grid = weighing.grid::<T>(&counted.magnitudes(), rows);
        let sums = add_columns(&grid, &data, session)?;
        let mean = |j: usize| grid.mean(sums[j], weighing.units(), j);
        let shift: Vec<f64> = (0..d).map(|j| shift::<T>(counted.min[j], counted.max[j], mean(j))).collect();
        drop(data);

        let total = weighing.total();
        let mean = |j: usize| sum_less(sums[j], grid.unit(j), total, shift[j]) / total;
        let means = (0..d).map(mean).collect();
        let centred = session.install(|| Self::shifted(source, d, weighing, &shift));
        let magnitudes = centred.magnitudes_of(counted);
        let heaviest = rows.max(total.ceil() as usize);
        check_magnitudes::<T>(&magnitudes, heaviest)?;
        check_reach::<T>(&centred.magnitudes_of(&ranges.idle), heaviest)?;
        Ok((centred, Columns { grid: weighing.grid(&magnitudes, rows), means }))
    }

    /// The magnitudes of rows that had these ranges.
    fn magnitudes_of(&self, Range { min, max }: &Range) -> Vec<f64> {
        // Rounding keeps the order, so the ends of a column's range go to the ends of the centred range.
        let moved = |ends: &[f64]| -> Vec<f64> {
            let shift = self.shift.iter().map(|&shift| T::from_f64(shift));
            ends.iter().zip(shift).map(|(&x, shift)| (T::from_f64(x) - shift).to_f64()).collect()
        };
        Range { min: moved(min), max: moved(max) }.magnitudes()
    }

    /// What is known of the columns of rows of unit length: no element exceeds 1.
    fn columns_of_units<E: Engine>(&self, session: &mut Session<'_, E>) -> Result<Columns<T>, Error> {
        let grid = self.weighing.grid::<T>(&vec![1.0; self.d], self.rows());
        let sums = add_columns(&grid, &self.dataset(session)?, session)?;
        let means = (0..self.d).map(|j| grid.mean(sums[j], self.weighing.units(), j)).collect();
        Ok(Columns { grid, means })
    }

    /// Centres the rows as those of a model were, or scales them to unit length. They are to be
    /// [checked](Self::check).
    pub(crate) fn like(source: Source<T>, distance: Distance, shift: &[f64]) -> Result<Self, DataError> {
        // Looked for ahead: the shift makes infinities as well.
        if let Source::Memory(matrix) = &source
            && !all_finite(matrix.values())
            && let Some(at) = matrix.values().iter().position(|x| !x.is_finite())
        {
            let d = matrix.d();
            return Err(DataError::NotFinite { row: (at / d) as u64, column: (at % d) as u64 });
        }
        let Weighed { source, d, weighing } = source.into();
        Ok(match distance {
            Distance::Euclidean => Self::shifted(source, d, weighing, shift),
            Distance::Cosine => Self::scaled(source, d, weighing),
        })
    }

    /// Refuses rows of which squared distances would overflow or vanish, or that have no direction where that counts.
    pub(crate) fn check<E: Engine>(
        &self,
        data: &Data<'_, T>,
        session: &mut Session<'_, E>,
    ) -> Result<(), Failed> {
        let ranges = match self.source {
            Source::Memory(_) => find_ranges(self.d, data, session)?,
            // As they are there: the shift makes infinities as well.
            Source::Files(_) => {
                let raw = find_ranges(self.d, &session.dataset(&self.source, &Preparation::Done)?, session)?;
                if let Some((row, column)) = raw.not_finite {
                    return Err(Failed::Data(DataError::NotFinite { row, column }));
                }
                match self.distance {
                    Distance::Euclidean => {
                        check_magnitudes::<T>(&self.magnitudes_of(&raw.counted), self.rows())?
                    }
                    Distance::Cosine => check_directions(&raw)?,
                }
                return Ok(());
            }
        };
        if let Some((_, column)) = ranges.not_finite {
            let (column, magnitude, dtype) = (column as usize, f64::INFINITY, dtype::<T>());
            return Err(Failed::Data(DataError::TooLarge { column, magnitude, dtype }));
        }
        match self.distance {
            Distance::Euclidean => check_magnitudes::<T>(&ranges.counted.magnitudes(), self.rows()),
            Distance::Cosine => check_directions(&ranges),
        }
    }

    /// How far the rows are spread.
    pub(crate) fn spread<E: Engine>(
        &self,
        columns: &Columns<T>,
        data: &Data<'_, T>,
        session: &mut Session<'_, E>,
    ) -> Result<Spread, Error> {
        let squares = session.run(&AddSquares::<T>::new(self.d), &(), data)?.pairs;
        let squares = squares.into_iter().next().map(|((), squares)| squares).unwrap_or_default();
        let squared_means: f64 = columns.means.iter().map(|mean| mean * mean).sum();
        let mean_square = squares.value() / self.weighing.total();
        let mean_variance = ((mean_square - squared_means) / self.d as f64).max(0.0);
        Ok(Spread { squares, mean_variance })
    }

    fn shifted(mut source: Source<T>, d: usize, weighing: Weighing, shift: &[f64]) -> Self {
        let in_t: Vec<T> = shift.iter().map(|&x| T::from_f64(x)).collect();
        // The shift of a model made from f64 data is rounded for f32 rows. Centroids are to be moved by the same.
        let shift = in_t.iter().map(|x| x.to_f64()).collect();
        // Weights stay.
        let of_rows: Vec<T> = in_t.into_iter().chain(std::iter::repeat_n(T::ZERO, weighing.behind)).collect();
        if let Source::Memory(matrix) = &mut source {
            centre_in_place(matrix.values_mut(), &of_rows);
        }
        let preparation = Preparation::Shift(of_rows.into());
        Self { source, d, weighing, distance: Distance::Euclidean, shift, preparation }
    }

    fn scaled(mut source: Source<T>, d: usize, weighing: Weighing) -> Self {
        if let Source::Memory(matrix) = &mut source {
            scale_in_place(matrix.values_mut(), d + weighing.behind, d);
        }
        let (distance, preparation) = (Distance::Cosine, Preparation::Unit(d as u64));
        Self { source, d, weighing, distance, shift: vec![0.0; d], preparation }
    }

    /// The rows, as input for the jobs.
    pub(crate) fn dataset<E: Engine>(&self, session: &Session<'_, E>) -> Result<Data<'_, T>, Error> {
        session.dataset(&self.source, &self.preparation)
    }

    /// Some of the rows, if they are in files: those of splits that were planned by [`FileRows`].
    pub(crate) fn dataset_of<'a, E: Engine>(
        &'a self,
        splits: &'a [SplitInfo],
        session: &Session<'_, E>,
    ) -> Result<Data<'a, T>, Error> {
        session.dataset_of(&self.source, Some(splits), &self.preparation)
    }

    /// The part in cost and inertia of rows whose squared Euclidean distances, as they are computed with and weighed, add
    /// up to `squared`.
    pub(crate) fn cost(&self, squared: f64) -> f64 {
        self.distance.cost(squared) / self.weighing.one
    }

    /// What the rows of each of `k` clusters weigh; nothing if they have no weights.
    pub(crate) fn weigh(&self, labels: &[i32], k: usize) -> Option<Vec<f64>> {
        let mut units = vec![0; k];
        let mut add = |label: i32, weight: f64| units[label as usize] += self.weighing.in_units(weight);
        match &self.source {
            Source::Memory(rows) if self.weighing.behind > 0 => {
                let rows = rows.values().chunks_exact(rows.d());
                rows.zip(labels).for_each(|(row, &label)| add(label, weight_of(row, self.d)));
            }
            Source::Files(FileRows::Weighed(rows)) => {
                rows.weights().iter().zip(labels).for_each(|(weight, &label)| add(label, weight.to_f64()));
            }
            _ => return None,
        }
        Some(self.weighing.in_weights(&units))
    }

    /// The rows themselves, if they are in memory: `d` columns, and their weights behind them.
    pub(crate) fn in_memory(&self) -> Option<&Matrix<T>> {
        match &self.source {
            Source::Memory(matrix) => Some(matrix),
            Source::Files(_) => None,
        }
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.source.rows()
    }

    /// The number of columns.
    pub(crate) fn d(&self) -> usize {
        self.d
    }

    /// Points (row-major) moved to the coordinates of the centred rows.
    pub(crate) fn centre(&self, points: &[f64]) -> Vec<f64> {
        points.iter().zip(self.shift.iter().cycle()).map(|(x, shift)| x - shift).collect()
    }

    /// Points (row-major) in the coordinates of the data, made what the rows were made: centred, or of unit length.
    pub(crate) fn place(&self, points: &[f64]) -> Vec<f64> {
        let mut placed = self.centre(points);
        if self.distance == Distance::Cosine {
            scale_in_place(&mut placed, self.d, self.d);
        }
        placed
    }

    /// Points (row-major) moved back to the coordinates of the data.
    pub(crate) fn restore(&self, points: &[f64]) -> Vec<f64> {
        points.iter().zip(self.shift.iter().cycle()).map(|(x, shift)| x + shift).collect()
    }

    /// The means of clusters, as the centroids that a model would have of them: what is gone on with is what will be read
    /// back. Where only directions count, a mean of zero leaves the centroid where it was `before`. All row-major, in the
    /// coordinates of the centred rows.
    pub(crate) fn settle(&self, mut means: Vec<f64>, before: &[f64]) -> Vec<f64> {
        match self.distance {
            Distance::Euclidean => self.centre(&self.restore(&means)),
            Distance::Cosine => {
                for (mean, before) in means.chunks_exact_mut(self.d).zip(before.chunks_exact(self.d)) {
                    if !scale_to_unit(mean) {
                        mean.copy_from_slice(before);
                    }
                }
                means
            }
        }
    }

    /// The position of the first coordinate of centred points that is NaN or so large that distances would overflow.
    pub(crate) fn out_of_reach(&self, points: &[f64]) -> Option<usize> {
        let limit = magnitude_max::<T>(self.d(), self.rows());
        points.iter().position(|x| x.is_nan() || x.abs() > limit)
    }
}

/// The element type of `T`.
pub(crate) fn dtype<T: Scalar>() -> Dtype {
    if size_of::<T>() == size_of::<f32>() { Dtype::F32 } else { Dtype::F64 }
}

/// The sums of the columns, on the grid.
fn add_columns<T: Scalar, E: Engine>(
    grid: &Grid<T>,
    data: &Data<'_, T>,
    session: &mut Session<'_, E>,
) -> Result<Block<T::Sum>, Error> {
    let sums = session.run(&AddColumns { grid: grid.clone() }, &(), data)?.pairs;
    Ok(sums.into_iter().next().map(|((), sums)| sums).unwrap_or_default())
}

fn find_ranges<T: Scalar, E: Engine>(
    d: usize,
    data: &Data<'_, T>,
    session: &mut Session<'_, E>,
) -> Result<Ranges, Error> {
    let ranges = session.run(&FindRanges::<T>::new(d), &(), data)?.pairs;
    Ok(ranges.into_iter().next().map(|((), ranges)| ranges).unwrap_or_default())
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
    let shift = (mean / step).round_ties_even() * step;
    // At the end of what `T` holds, rounding up would make it infinite.
    T::from_f64(shift.clamp(min, max)).to_f64()
}

/// `sum * unit - n * shift`, rounded once: the sum of a column after a shift that nearly cancels it.
fn sum_less<S: FixedSum>(sum: S, unit: f64, n: f64, shift: f64) -> f64 {
    let mut difference = ExactSum::new();
    sum.parts().into_iter().for_each(|part| difference.add_product(part, unit));
    difference.add_product(-n, shift);
    difference.value()
}

/// The largest magnitude of centred values of which neither the scores of the kernel, in `T`, nor the sum of the
/// squared distances of all rows, in `f64`, overflow.
fn magnitude_max<T: Scalar>(d: usize, rows: usize) -> f64 {
    let (score, cost) = (T::MAX.to_f64() / d as f64, f64::MAX / d as f64 / rows as f64);
    // Two values differ by at most twice the magnitude.
    score.min(cost).sqrt() / 4.0
}

/// Refuses rows of zeros.
fn check_directions(ranges: &Ranges) -> Result<(), Failed> {
    match ranges.zero_row {
        Some(row) => Err(Failed::Data(DataError::NoDirection { row })),
        None => Ok(()),
    }
}

/// Refuses data of which squared distances would overflow.
fn check_reach<T: Scalar>(magnitudes: &[f64], rows: usize) -> Result<(), Failed> {
    let limit = magnitude_max::<T>(magnitudes.len(), rows);
    match magnitudes.iter().enumerate().find(|(_, x)| **x > limit) {
        Some((column, &magnitude)) => {
            Err(Failed::Data(DataError::TooLarge { column, magnitude, dtype: dtype::<T>() }))
        }
        None => Ok(()),
    }
}

/// Refuses data of which squared distances would overflow or vanish.
fn check_magnitudes<T: Scalar>(magnitudes: &[f64], rows: usize) -> Result<(), Failed> {
    check_reach::<T>(magnitudes, rows)?;
    let dtype = dtype::<T>();
    // The smallest normal number is 4 / MAX, but for a rounding. Where the square of the largest magnitude is normal,
    // a square that is not is off by no more than the last place of that one.
    let magnitude = magnitudes.iter().copied().fold(0.0, f64::max);
    if magnitude > 0.0 && magnitude < (4.0 / T::MAX.to_f64()).sqrt() {
        return Err(Failed::Data(DataError::TooSmall { magnitude, dtype }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Matrix;
    use mapreduce_core::{Cancel, Local};
    use proptest::prelude::*;

    fn centred<T: Scalar>(d: usize, values: Vec<T>) -> (Centred<T>, Spread) {
        let engine = Local::new(1).unwrap();
        let matrix = Matrix::new(values.len() / d, d, values).unwrap();
        let mut session = Session::new(&engine, &Cancel::new(), None);
        let Ok((centred, columns)) = Centred::new(matrix.into(), Distance::Euclidean, &mut session) else {
            panic!("the values are ordinary")
        };
        let spread = centred.spread(&columns, &centred.dataset(&session).unwrap(), &mut session).unwrap();
        (centred, spread)
    }

    #[test]
    fn whole_numbers_stay_whole() {
        for offset in [0.0, 1e3, 1e6] {
            let (centred, _) =
                centred::<f32>(2, (0..300).map(|i| (i * 37 % 101) as f32 + offset as f32).collect());
            assert!(
                centred.shift.iter().all(|shift| shift.fract() == 0.0 && (shift - offset - 50.0).abs() < 8.0)
            );
            let Source::Memory(matrix) = &centred.source else { panic!("in memory") };
            assert!(matrix.values().iter().all(|x| x.fract() == 0.0 && x.abs() < 64.0));
        }
    }

    #[test]
    fn the_spread_is_that_of_the_rows() {
        // Columns 1, 2, 3, 6 and all 7: variances 3.5 and 0.
        let (_, spread) = centred(2, vec![1.0, 7.0, 2.0, 7.0, 3.0, 7.0, 6.0, 7.0]);
        assert_eq!(spread.mean_variance, 1.75);
        // At 1e15 a mean in f64 is a multiple of 1/8, which 2/3 is not.
        let (_, spread) = centred(1, vec![1e15, 1e15 + 1.0, 1e15 + 1.0]);
        assert!((spread.mean_variance - 2.0 / 9.0).abs() < 1e-15, "{}", spread.mean_variance);
    }

    #[test]
    fn ranges_of_any_width_can_be_centred() {
        for (min, max) in [(0.0, 5e-324), (-5e-324, 5e-324), (1e-310, 2e-310), (1.0, 1.0_f64.next_up())] {
            for mean in [min, min / 2.0 + max / 2.0, max] {
                let shift = shift::<f64>(min, max, mean);
                assert!((min..=max).contains(&shift), "{shift:e} for {min:e}..{max:e}");
            }
        }
        let (min, max) = (f64::from(f32::MAX.next_down()), f64::from(f32::MAX));
        assert!(shift::<f32>(min, max, max).is_finite());
        assert!(shift::<f64>(f64::MAX.next_down(), f64::MAX, f64::MAX).is_finite());
        assert_eq!(shift::<f64>(-f64::MAX, f64::MAX, 1.0), 0.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// What the labels of a prediction rest on: a model's centroids centre to those that the fit ended with.
        #[test]
        fn centroids_come_back_from_a_model_as_they_went_in(
            c in -1.0..1.0_f64, shift in -1.0..1.0_f64, exponents in (-60..60_i32, -60..60_i32),
        ) {
            let (c, shift) = (c * 2_f64.powi(exponents.0), shift * 2_f64.powi(exponents.1));
            let source = Source::Memory(Matrix::new(1, 1, vec![0.0_f64]).unwrap());
            let centred = Centred::like(source, Distance::Euclidean, &[shift]).unwrap();
            let in_model = centred.restore(&[c]);
            let kept = centred.centre(&in_model);
            prop_assert_eq!(centred.restore(&kept), in_model);
        }
    }
}
