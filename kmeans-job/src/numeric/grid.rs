//! Sums of rows in fixed point: the same integers for any cut of the data, any order and any retry.
//!
//! Floating-point addition is not associative, so a sum of floats depends on who added what first. Here each column
//! has one power-of-two scale, an element is rounded once to an integer multiple of its inverse (ties to even), and
//! the rest is integer addition. `f32` rows are summed in `i64`, with as many of an element's bits as the number of
//! rows leaves room for, at most 50; `f64` rows in `i128`, with 62 bits an element.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::kernel::isa::{Isa, Kind};
use crate::numeric::scalar::Scalar;

/// The scales of the columns: an element `x` of column `j` counts as the integer nearest to `x * 2^exponents[j]`.
///
/// ```
/// use kmeans_job::kernel::isa::Isa;
/// use kmeans_job::numeric::grid::{Grid, accumulate};
///
/// let rows = [1.5_f32, -8.0, 0.25, 8.0, 0.25, 3.0];
/// let grid = Grid::new(&[1.5, 8.0], 3);
/// let (mut sums, mut counts) = ([0; 4], [0; 2]);
/// accumulate(Isa::detect(), &rows, &[0, 1, 1], &grid, &mut sums, &mut counts);
/// assert_eq!(counts, [1, 2]);
/// assert_eq!(grid.mean(sums[2], counts[1], 0), 0.25);
/// assert_eq!(grid.mean(sums[3], counts[1], 1), 5.5);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<i16>", into = "Vec<i16>", bound(serialize = "T: Clone", deserialize = ""))]
pub struct Grid<T> {
    exponents: Vec<i16>,
    scales: Vec<f64>,
    scalar: PhantomData<T>,
}

/// Scales stay within what `f64` holds as a normal number. It takes columns with no value above 2^-961 to get here;
/// they lose the bits below 2^-1024.
const EXPONENT_MAX: i32 = 1023;

impl<T: Scalar> Grid<T> {
    /// The finest grid on which the sum of any `n` rows fits, for columns with magnitudes of at most `max_abs`.
    ///
    /// A column of zeros gets the scale 1. A magnitude that is not finite counts as the largest there is.
    #[must_use]
    pub fn new(max_abs: &[f64], n: u64) -> Self {
        // ceil(log2 n): the bits by which a sum of n elements may exceed one of them.
        let growth = (u64::BITS - n.saturating_sub(1).leading_zeros()) as i32;
        let bits = T::ELEMENT_BITS.min(T::SUM_BITS - growth);
        let exponents = max_abs.iter().map(|&max| {
            if max == 0.0 {
                0
            } else {
                (bits - ceil_log2(max.abs())).clamp(1 - EXPONENT_MAX, EXPONENT_MAX) as i16
            }
        });
        exponents.collect::<Vec<_>>().into()
    }

    /// The number of columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.exponents.len()
    }

    /// The scale of a column: a power of two.
    #[must_use]
    pub fn scale(&self, column: usize) -> f64 {
        self.scales[column]
    }

    /// The width of the grid in a column, the inverse of its scale. A single element is off by at most half of it.
    #[must_use]
    pub fn unit(&self, column: usize) -> f64 {
        1.0 / self.scales[column]
    }

    /// The mean of `count` elements of a column that add up to `sum` on the grid, correctly rounded; NaN if there are
    /// none. Of elements that are all the same and lie on the grid it is that element.
    #[must_use]
    pub fn mean(&self, sum: T::Sum, count: u64, column: usize) -> f64 {
        quotient(sum.into(), count) * self.unit(column)
    }
}

/// `sum / count`, rounded once.
fn quotient(sum: i128, count: u64) -> f64 {
    let magnitude = sum.unsigned_abs();
    if count == 0 || magnitude.max(count.into()) <= 1 << f64::MANTISSA_DIGITS {
        // Both are exact in f64, so the division is the only rounding.
        return sum as f64 / count as f64;
    }
    // At least 64 bits of quotient: more than f64 keeps, so the last one can stand for all that follow.
    let shift = magnitude.leading_zeros();
    let (dividend, divisor) = (magnitude << shift, u128::from(count));
    let sticky = u128::from(dividend % divisor != 0);
    let rounded = ((dividend / divisor) | sticky) as f64;
    // 2^-shift, exactly; the quotient is far from where f64 ends.
    let quotient = rounded * f64::from_bits((1023 - u64::from(shift)) << 52);
    if sum < 0 { -quotient } else { quotient }
}

impl<T> From<Vec<i16>> for Grid<T> {
    fn from(exponents: Vec<i16>) -> Self {
        let exponents: Vec<i16> =
            exponents.into_iter().map(|e| e.clamp(1 - EXPONENT_MAX as i16, EXPONENT_MAX as i16)).collect();
        let scales =
            exponents.iter().map(|&e| f64::from_bits(((1023 + i64::from(e)) as u64) << 52)).collect();
        Grid { exponents, scales, scalar: PhantomData }
    }
}

impl<T> From<Grid<T>> for Vec<i16> {
    fn from(grid: Grid<T>) -> Self {
        grid.exponents
    }
}

/// Adds each of `rows` (row-major `n x d`, `d` the columns of `grid`) to the sum of its label, and counts it.
///
/// `sums` is row-major `k x d`, in units of the grid, and `counts` has `k` elements; both are added to, so that a
/// caller may go through its rows in blocks: of a size that stays in cache (256 KiB, say) between assignment and
/// this, the rows are read from memory once. With the rows and the magnitudes the grid was made for no sum overflows.
///
/// # Panics
///
/// If the lengths disagree, there are no columns, or a label is not below `k`.
pub fn accumulate<T: Scalar>(
    isa: Isa,
    rows: &[T],
    labels: &[u32],
    grid: &Grid<T>,
    sums: &mut [T::Sum],
    counts: &mut [u64],
) {
    assert_eq!(rows.len(), labels.len() * grid.columns(), "one label for each row of d columns");
    assert_eq!(sums.len(), counts.len() * grid.columns(), "k counts and k rows of sums");
    let addition = Addition { rows, labels, scales: &grid.scales, sums, counts };
    match isa.0 {
        Kind::Portable => addition.run(),
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "enters code compiled for more than the baseline")]
        // SAFETY: an `Isa` of this kind exists only on a machine that has the features.
        Kind::Avx2 => unsafe { accumulate_avx2(addition) },
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "enters code compiled for more than the baseline")]
        // SAFETY: as above.
        Kind::Avx512 => unsafe { accumulate_avx512(addition) },
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => addition.run(),
    }
}

/// The arguments of one call of [`accumulate`].
struct Addition<'a, T: Scalar> {
    rows: &'a [T],
    labels: &'a [u32],
    scales: &'a [f64],
    sums: &'a mut [T::Sum],
    counts: &'a mut [u64],
}

impl<T: Scalar> Addition<'_, T> {
    #[inline(always)]
    fn run(self) {
        // A known number of columns is worth it where the loop over them is shorter than a vector.
        match self.scales.len() {
            1 => self.run_narrow::<1>(),
            2 => self.run_narrow::<2>(),
            3 => self.run_narrow::<3>(),
            4 => self.run_narrow::<4>(),
            d => {
                for (row, &label) in self.rows.chunks_exact(d).zip(self.labels) {
                    let sums = &mut self.sums[label as usize * d..][..d];
                    for ((sum, &x), &scale) in sums.iter_mut().zip(row).zip(self.scales) {
                        *sum += x.quantize(scale);
                    }
                    self.counts[label as usize] += 1;
                }
            }
        }
    }

    #[inline(always)]
    fn run_narrow<const D: usize>(self) {
        let scales: [f64; D] = std::array::from_fn(|j| self.scales[j]);
        let sums = self.sums.as_chunks_mut::<D>().0;
        for (row, &label) in self.rows.as_chunks::<D>().0.iter().zip(self.labels) {
            let sums = &mut sums[label as usize];
            for j in 0..D {
                sums[j] += row[j].quantize(scales[j]);
            }
            self.counts[label as usize] += 1;
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn accumulate_avx2<T: Scalar>(addition: Addition<'_, T>) {
    addition.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn accumulate_avx512<T: Scalar>(addition: Addition<'_, T>) {
    addition.run();
}

/// The smallest `e` with `x <= 2^e`, for `x > 0`; 1024 if `x` is not finite.
fn ceil_log2(x: f64) -> i32 {
    const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
    if x < f64::MIN_POSITIVE {
        // Subnormal: an integer multiple of 2^-1074.
        return (u64::BITS - (x.to_bits() - 1).leading_zeros()) as i32 - 1074;
    }
    let exponent = ((x.to_bits() >> FRACTION_BITS) & 0x7ff) as i32 - 1023;
    let fraction = x.to_bits() & ((1 << FRACTION_BITS) - 1);
    if exponent == 1024 { 1024 } else { exponent + i32::from(fraction != 0) }
}
