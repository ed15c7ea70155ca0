//! [`Weighed`]: rows with their weights behind them, or without; [`WeightsError`]: why weights cannot be used.

use crate::{
    data::{FileRows, Matrix, WeighedRows},
    numeric::{grid::Grid, scalar::Scalar},
    source::Source,
};
use std::sync::Arc;

/// The largest sum up to which whole weights stay what they are. Beyond, elements would lose too many bits in sums.
const WHOLE_SUM_MAX: f64 = 4_294_967_296.0; // 2^32

/// Rows, each followed by its weight if there are weights.
pub(crate) struct Weighed<T> {
    /// Rows of `d` columns and the weight.
    pub(crate) source: Source<T>,
    pub(crate) d: usize,
    pub(crate) weighing: Weighing,
}

/// In which units rows are weighed, and what they weigh together.
///
/// Weights that are whole numbers, and add up to no more than 2^32, are kept as they are: then a row of weight 3 is three
/// rows. Others are multiplied by the power of two that takes the largest to between 1 and 2, and rounded to multiples of
/// 2^-30, or of what leaves room for the sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Weighing {
    /// The numbers behind the columns of a row: its weight, or nothing.
    pub(crate) behind: usize,
    /// The bits of weights behind the point.
    pub(crate) bits: u8,
    /// The sum of the weights, in units of `2^-bits`.
    units: i64,
    /// What a weight of 1 has become: a power of two.
    pub(crate) one: f64,
}

impl Weighing {
    /// The sum of the weights, as they lie behind the rows.
    pub(crate) fn total(&self) -> f64 {
        self.units as f64 * self.unit()
    }

    /// The sum of the weights in units.
    pub(crate) fn units(&self) -> i64 {
        self.units
    }

    /// What counts are in.
    pub(crate) fn unit(&self) -> f64 {
        1.0 / f64::from(1 << self.bits)
    }

    /// The grid for columns with magnitudes of at most `max_abs`.
    pub(crate) fn grid<T: Scalar>(&self, max_abs: &[f64], rows: usize) -> Grid<T> {
        let total = match self.bits {
            0 => self.units as u64,
            // Each rounding of an element counts as one more.
            _ => self.total().ceil() as u64 + rows as u64,
        };
        Grid::weighted(max_abs, self.bits, total)
    }

    /// Of some of the rows, with the sum of their weights in units.
    pub(crate) fn of_some(&self, units: i64) -> Self {
        Self { units, ..*self }
    }

    /// Sums of weights in units, as the weights were given.
    pub(crate) fn in_weights(&self, units: &[i64]) -> Vec<f64> {
        units.iter().map(|&units| units as f64 * self.unit() / self.one).collect()
    }

    /// A weight in units.
    pub(crate) fn in_units(&self, weight: f64) -> i64 {
        in_units(weight, self.bits)
    }
}

/// A weight in units of `2^-bits`.
pub(crate) fn in_units(weight: f64, bits: u8) -> i64 {
    (weight * f64::from(1_u32 << bits)).round_ties_even() as i64
}

impl<T: Scalar> From<Source<T>> for Weighed<T> {
    fn from(source: Source<T>) -> Self {
        let (rows, d) = (source.rows(), source.d());
        let weighing = Weighing { behind: 0, bits: 0, units: rows as i64, one: 1.0 };
        Self { source, d, weighing }
    }
}

#[cfg(test)]
impl<T: Scalar> From<Matrix<T>> for Weighed<T> {
    fn from(matrix: Matrix<T>) -> Self {
        Source::Memory(matrix).into()
    }
}

impl<T: Scalar> Weighed<T> {
    /// Puts a weight behind each row: in memory, or whenever it is read from its file.
    pub(crate) fn new(source: Source<T>, weights: &[f64]) -> Result<Self, WeightsError> {
        let (rows, d) = (source.rows(), source.d());
        if weights.len() != rows {
            return Err(WeightsError::Number { rows, weights: weights.len() });
        }
        if let Some(row) = weights.iter().position(|weight| !weight.is_finite() || *weight < 0.0) {
            return Err(WeightsError::Weight { row, weight: weights[row] });
        }
        let (one, bits) = scale_of::<T>(weights);
        let weighing = Weighing { behind: 1, bits, units: 0, one };
        let stored = weights.iter().map(|weight| {
            let in_t = T::from_f64(weight * one).to_f64();
            T::from_f64(weighing.in_units(in_t) as f64 * weighing.unit())
        });
        let units = stored.clone().map(|weight| weighing.in_units(weight.to_f64())).sum();
        if units == 0 {
            return Err(WeightsError::AllZero);
        }
        let source = match source {
            Source::Memory(matrix) => {
                let mut values = Vec::with_capacity(rows * (d + 1));
                for (row, weight) in matrix.values().chunks_exact(d).zip(stored) {
                    values.extend_from_slice(row);
                    values.push(weight);
                }
                let matrix = Matrix::new(rows, d + 1, values);
                Source::Memory(matrix.expect("a weight behind each row of a matrix"))
            }
            Source::Files(rows) => {
                let weighed = WeighedRows::new(rows, stored.collect());
                Source::Files(FileRows::Weighed(Arc::new(weighed)))
            }
        };
        Ok(Self { source, d, weighing: Weighing { units, ..weighing } })
    }
}

/// The power of two that weights are multiplied by, and the bits that they then have behind the point.
fn scale_of<T: Scalar>(weights: &[f64]) -> (f64, u8) {
    let is_whole = |weight: &f64| weight.fract() == 0.0;
    if weights.iter().all(is_whole) && weights.iter().sum::<f64>() <= WHOLE_SUM_MAX {
        return (1.0, 0);
    }
    let largest = weights.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let exponent = (largest.to_bits() >> (f64::MANTISSA_DIGITS - 1)) as i32 - 1023;
    // The sum of weights below 2 is to fit into 62 bits.
    let of_sum = (2 * weights.len() as u64).next_power_of_two().ilog2() as u8;
    (libm::exp2(f64::from(-exponent)), Grid::<T>::WEIGHT_BITS_MAX.min(62_u8.saturating_sub(of_sum)))
}

/// Why weights cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// Another number of weights than rows.
    #[error("{rows} rows do not have {weights} weights; give one weight for each row")]
    Number {
        /// The rows.
        rows: usize,
        /// The weights.
        weights: usize,
    },
    /// A weight is negative, infinite or not a number.
    #[error("the weight of row {row} (counted from 0) is {weight}; give numbers that are 0 or more")]
    Weight {
        /// The row, counted from 0.
        row: usize,
        /// Its weight.
        weight: f64,
    },
    /// No row counts.
    #[error("all weights are 0, so no row counts; give some of them a weight")]
    AllZero,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(weights: &[f64]) -> (Vec<f32>, Weighing) {
        let matrix = Matrix::new(weights.len(), 1, vec![7.0; weights.len()]).unwrap();
        let weighed = Weighed::<f32>::new(Source::Memory(matrix), weights).unwrap();
        let Source::Memory(rows) = weighed.source else { panic!("in memory") };
        (rows.into_values().into_iter().skip(1).step_by(2).collect(), weighed.weighing)
    }

    #[test]
    fn whole_weights_stay_as_they_are() {
        let expected = Weighing { behind: 1, bits: 0, units: 4, one: 1.0 };
        assert_eq!(stored(&[3.0, 0.0, 1.0]), (vec![3.0, 0.0, 1.0], expected));
    }

    #[test]
    fn other_weights_are_scaled_so_that_none_loses_its_digits() {
        for scale in [1e-30, 0.1, 1.0, 1e25, 1e300] {
            let (weights, weighing) = stored(&[0.5 * scale, 0.25 * scale, 3.0 * scale]);
            assert!((1.0..2.0).contains(&weights[2]), "{weights:?}");
            let ratio = |i: usize| weights[i] / weights[2] * 3.0;
            assert!((ratio(0) - 0.5).abs() < 1e-6 && (ratio(1) - 0.25).abs() < 1e-6, "{weights:?}");
            assert!((weighing.total() / weighing.one / (3.75 * scale) - 1.0).abs() < 1e-6);
        }
        let (weights, weighing) = stored(&[5e9, 10.0]);
        assert!(weighing.bits > 0 && weights[1] > 0.0);
    }
}
