//! Sums of rows in fixed point: the same integers for any cut of the data, any order and any retry.
//!
//! Floating-point addition is not associative, so a sum of floats depends on who added what first. Here each column
//! has one power-of-two scale, an element is rounded once to an integer multiple of its inverse (ties to even), and
//! the rest is integer addition. `f32` rows are summed in `i64`, with as many of an element's bits as the number of
//! rows leaves room for, at most 50; `f64` rows in `i128`, with 62 bits an element.
//!
//! Rows may have weights. A weight is a multiple of a power of two as well, and a row of weight 3 adds what three rows
//! add: its element is rounded to the grid first and multiplied then.

use std::marker::PhantomData;

use mapreduce_core::RowBlock;
use serde::{Deserialize, Serialize};

use crate::kernel::isa::{Isa, Kind};
use crate::numeric::scalar::{FixedSum, Scalar};

/// The scales of the columns: an element `x` of column `j` counts as the integer nearest to `x * 2^exponents[j]`.
///
/// ```
/// use kmeans_job::kernel::isa::Isa;
/// use kmeans_job::numeric::grid::{Grid, accumulate};
/// use mapreduce_core::RowBlock;
///
/// let rows = RowBlock { width: 2, values: &[1.5_f32, -8.0, 0.25, 8.0, 0.25, 3.0] };
/// let grid = Grid::new(&[1.5, 8.0], 3);
/// let (mut sums, mut counts) = ([0; 4], [0; 2]);
/// accumulate(Isa::detect(), rows, &[0, 1, 1], &grid, &mut sums, &mut counts);
/// assert_eq!(counts, [1, 2]);
/// assert_eq!(grid.mean(sums[2], counts[1], 0), 0.25);
/// assert_eq!(grid.mean(sums[3], counts[1], 1), 5.5);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Exponents", into = "Exponents", bound(serialize = "T: Clone", deserialize = ""))]
pub struct Grid<T> {
    exponents: Exponents,
    scales: Vec<f64>,
    scalar: PhantomData<T>,
}

/// What makes a grid: scales as powers of two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Exponents {
    /// Of the columns.
    columns: Vec<i16>,
    /// Of the weights: the bits of a weight behind the point.
    weight: u8,
}

/// Scales stay within what `f64` holds as a normal number. It takes columns with no value above 2^-961 to get here;
/// they lose the bits below 2^-1024.
const EXPONENT_MAX: i32 = 1023;

impl<T: Scalar> Grid<T> {
    /// The most bits of a weight behind the point.
    pub const WEIGHT_BITS_MAX: u8 = 30;

    /// The finest grid on which the sum of any `n` rows fits, for columns with magnitudes of at most `max_abs`.
    ///
    /// A column of zeros gets the scale 1. A magnitude that is not finite counts as the largest there is.
    #[must_use]
    pub fn new(max_abs: &[f64], n: u64) -> Self {
        Self::weighted(max_abs, 0, n)
    }

    /// The same for rows with weights that are multiples of `2^-weight_bits`: `total` is at least their sum and, if
    /// there are bits behind the point, the number of rows beside it, for the rounding of each.
    #[must_use]
    pub fn weighted(max_abs: &[f64], weight_bits: u8, total: u64) -> Self {
        // ceil(log2 total): the bits by which a sum may exceed one of its elements.
        let growth = (u64::BITS - total.saturating_sub(1).leading_zeros()) as i32;
        let bits = T::ELEMENT_BITS.min(T::SUM_BITS - growth);
        let exponents = max_abs.iter().map(|&max| {
            if max == 0.0 {
                0
            } else {
                (bits - ceil_log2(max.abs())).clamp(1 - EXPONENT_MAX, EXPONENT_MAX) as i16
            }
        });
        Exponents { columns: exponents.collect(), weight: weight_bits }.into()
    }

    /// The number of columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.scales.len()
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

    /// A weight in units of `2^-weight_bits`, in which counts are: the weight itself if it has no bits behind the point.
    #[must_use]
    pub fn weight(&self, weight: T) -> i64 {
        (weight.to_f64() * f64::from(1 << self.exponents.weight)).round_ties_even() as i64
    }

    /// The unit of weights and counts: 1 for rows without weights.
    #[must_use]
    pub fn weight_unit(&self) -> f64 {
        1.0 / f64::from(1 << self.exponents.weight)
    }

    /// The mean of elements of a column that add up to `sum` on the grid and weigh `count` units; NaN if they weigh
    /// nothing. Correctly rounded; of elements that are all the same and lie on the grid it is that element.
    #[must_use]
    pub fn mean(&self, sum: T::Sum, count: i64, column: usize) -> f64 {
        quotient(sum.into(), count.max(0).unsigned_abs()) / self.weight_unit() * self.unit(column)
    }

    /// A row, of which the columns are followed by its weight if it has one, on the grid; and what it weighs.
    pub fn of_row<'a>(&'a self, row: &'a [T]) -> (impl Iterator<Item = T::Sum> + 'a, i64) {
        let weight =
            row.get(self.columns()).map_or(1 << self.exponents.weight, |&weight| self.weight(weight));
        let bits = u32::from(self.exponents.weight);
        (row.iter().zip(&self.scales).map(move |(x, &scale)| x.quantize(scale).times(weight, bits)), weight)
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

impl<T> From<Exponents> for Grid<T> {
    fn from(Exponents { columns, weight }: Exponents) -> Self {
        let in_range = |e: i16| e.clamp(1 - EXPONENT_MAX as i16, EXPONENT_MAX as i16);
        let columns: Vec<i16> = columns.into_iter().map(in_range).collect();
        let scales = columns.iter().map(|&e| power_of_two(e.into())).collect();
        let exponents = Exponents { columns, weight: weight.min(Grid::<f32>::WEIGHT_BITS_MAX) };
        Grid { exponents, scales, scalar: PhantomData }
    }
}

impl<T> From<Grid<T>> for Exponents {
    fn from(grid: Grid<T>) -> Self {
        grid.exponents
    }
}

/// Adds each of `rows` to the sum of its label, and counts it.
///
/// Rows have the `d` columns of `grid`, or one more, which is the row's weight: finite and not negative. `sums` is
/// row-major `k x d`, in units of the grid, and `counts` has `k` elements, in units of its weights; both are added to,
/// so that a caller may go through its rows in blocks: of a size that stays in cache (32 KiB, say) between assignment
/// and this, the rows are read from memory once. With the rows and the magnitudes the grid was made for no sum
/// overflows.
///
/// # Panics
///
/// If the lengths disagree, there are no columns, or a label is not below `k`.
pub fn accumulate<T: Scalar>(
    isa: Isa,
    rows: RowBlock<'_, T>,
    labels: &[u32],
    grid: &Grid<T>,
    sums: &mut [T::Sum],
    counts: &mut [i64],
) {
    Addition::new(rows, None, labels, grid, sums, counts).run_on(isa);
}

/// Moves those of `rows` whose labels differ from the sum of the label `before` to that of the one `after`, as by
/// [`accumulate`]: what is added to sums and counts is what they are after less what they were before. The cost is that
/// of two rows for each that moves, and next to nothing for others.
///
/// # Panics
///
/// As `accumulate`.
pub fn transfer<T: Scalar>(
    isa: Isa,
    rows: RowBlock<'_, T>,
    [before, after]: [&[u32]; 2],
    grid: &Grid<T>,
    sums: &mut [T::Sum],
    counts: &mut [i64],
) {
    assert_eq!(before.len(), after.len(), "two labels for each row");
    Addition::new(rows, Some(before), after, grid, sums, counts).run_on(isa);
}

/// The arguments of one call of [`accumulate`] or [`transfer`].
struct Addition<'a, T: Scalar> {
    rows: RowBlock<'a, T>,
    /// Where rows are to be taken off, if their labels are others now; all rows are new if there is nothing.
    before: Option<&'a [u32]>,
    labels: &'a [u32],
    grid: &'a Grid<T>,
    sums: &'a mut [T::Sum],
    counts: &'a mut [i64],
}

impl<'a, T: Scalar> Addition<'a, T> {
    fn new(
        rows: RowBlock<'a, T>,
        before: Option<&'a [u32]>,
        labels: &'a [u32],
        grid: &'a Grid<T>,
        sums: &'a mut [T::Sum],
        counts: &'a mut [i64],
    ) -> Self {
        let d = grid.columns();
        assert!(d > 0 && (rows.width == d || rows.width == d + 1), "rows of d > 0 columns, and a weight");
        assert_eq!(rows.values.len(), labels.len() * rows.width, "one label for each row");
        assert_eq!(sums.len(), counts.len() * d, "k counts and k rows of sums");
        Self { rows, before, labels, grid, sums, counts }
    }

    fn run_on(self, isa: Isa) {
        match isa.0 {
            Kind::Portable => self.run(),
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "enters code compiled for more than the baseline")]
            // SAFETY: an `Isa` of this kind exists only on a machine that has the features.
            Kind::Avx2 => unsafe { run_avx2(self) },
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "enters code compiled for more than the baseline")]
            // SAFETY: an `Isa` of this kind exists only on a machine that has the features.
            Kind::Avx512 => unsafe { run_avx512(self) },
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => self.run(),
        }
    }

    #[inline(always)]
    fn run(self) {
        let (values, grid) = (self.rows.values, self.grid);
        let scales = &*grid.scales;
        // A known number of columns is worth it where the loop over them is shorter than a vector.
        match (self.rows.width == self.grid.columns(), self.grid.columns()) {
            (true, 1) => self.each(Narrow::<T, 1>::new(values, scales)),
            (true, 2) => self.each(Narrow::<T, 2>::new(values, scales)),
            (true, 3) => self.each(Narrow::<T, 3>::new(values, scales)),
            (true, 4) => self.each(Narrow::<T, 4>::new(values, scales)),
            (true, _) => self.each(Wide { values, scales }),
            (false, _) => self.each(Weighted { values, grid }),
        }
    }

    /// Adds and takes off everything that is to be.
    #[inline(always)]
    fn each(self, rows: impl AddRow<T>) {
        let Self { sums, counts, .. } = self;
        match self.before {
            None => {
                for (i, &label) in self.labels.iter().enumerate() {
                    rows.add::<true>(i, label as usize, sums, counts);
                }
            }
            Some(before) => {
                let mut add = |first: usize, before: &[u32], after: &[u32]| {
                    for (i, (&before, &after)) in (first..).zip(before.iter().zip(after)) {
                        if before != after {
                            rows.add::<false>(i, before as usize, sums, counts);
                            rows.add::<true>(i, after as usize, sums, counts);
                        }
                    }
                };
                // Most rows stay: they are passed over a vector at a time.
                let (before, last_before) = before.as_chunks::<LABELS>();
                let (after, last_after) = self.labels.as_chunks::<LABELS>();
                let vectors = before.iter().zip(after).enumerate();
                for (vector, (before, after)) in vectors.filter(|(_, (before, after))| before != after) {
                    add(vector * LABELS, before, after);
                }
                add(after.len() * LABELS, last_before, last_after);
            }
        }
    }
}

/// Labels that are compared at once.
pub(crate) const LABELS: usize = 16;

/// Rows that can be added to sums. Not closures: those would be calls, of functions compiled for the baseline.
trait AddRow<T: Scalar> {
    /// Adds row `i` to the sum of a label and counts it, or takes it off.
    fn add<const ADD: bool>(&self, i: usize, label: usize, sums: &mut [T::Sum], counts: &mut [i64]);
}

/// Rows of a known number of columns.
struct Narrow<'a, T, const D: usize> {
    rows: &'a [[T; D]],
    scales: [f64; D],
}

impl<'a, T: Scalar, const D: usize> Narrow<'a, T, D> {
    #[inline(always)]
    fn new(values: &'a [T], scales: &[f64]) -> Self {
        let mut of_columns = [0.0; D];
        of_columns.copy_from_slice(scales);
        Self { rows: values.as_chunks().0, scales: of_columns }
    }
}

impl<T: Scalar, const D: usize> AddRow<T> for Narrow<'_, T, D> {
    #[inline(always)]
    fn add<const ADD: bool>(&self, i: usize, label: usize, sums: &mut [T::Sum], counts: &mut [i64]) {
        let sums = &mut sums.as_chunks_mut::<D>().0[label];
        for ((sum, x), scale) in sums.iter_mut().zip(self.rows[i]).zip(self.scales) {
            put::<_, ADD>(sum, x.quantize(scale));
        }
        counts[label] += if ADD { 1 } else { -1 };
    }
}

/// Rows of any number of columns.
struct Wide<'a, T> {
    values: &'a [T],
    scales: &'a [f64],
}

impl<T: Scalar> AddRow<T> for Wide<'_, T> {
    /// In vectors of a fixed length: the loop over a row is too short to be worth the start of one that is unrolled.
    #[inline(always)]
    fn add<const ADD: bool>(&self, i: usize, label: usize, sums: &mut [T::Sum], counts: &mut [i64]) {
        let d = self.scales.len();
        let (scales, last_scales) = self.scales.as_chunks::<FOUR>();
        let (row, last_of_row) = self.values[i * d..][..d].as_chunks::<FOUR>();
        let (sums, last_sums) = sums[label * d..][..d].as_chunks_mut::<FOUR>();
        for ((sums, row), scales) in sums.iter_mut().zip(row).zip(scales) {
            // A copy, which cannot be where the row is.
            let mut added = *sums;
            for ((sum, x), &scale) in added.iter_mut().zip(row).zip(scales) {
                put::<_, ADD>(sum, x.quantize(scale));
            }
            *sums = added;
        }
        for ((sum, &x), &scale) in last_sums.iter_mut().zip(last_of_row).zip(last_scales) {
            put::<_, ADD>(sum, x.quantize(scale));
        }
        counts[label] += if ADD { 1 } else { -1 };
    }
}

/// Rows with a weight behind their columns.
struct Weighted<'a, T: Scalar> {
    values: &'a [T],
    grid: &'a Grid<T>,
}

impl<T: Scalar> AddRow<T> for Weighted<'_, T> {
    #[inline(always)]
    fn add<const ADD: bool>(&self, i: usize, label: usize, sums: &mut [T::Sum], counts: &mut [i64]) {
        let d = self.grid.columns();
        let (row, weight) = self.grid.of_row(&self.values[i * (d + 1)..][..d + 1]);
        for (sum, x) in sums[label * d..][..d].iter_mut().zip(row) {
            put::<_, ADD>(sum, x);
        }
        counts[label] += if ADD { weight } else { -weight };
    }
}

/// Elements of a row that are added together.
const FOUR: usize = 4;

#[inline(always)]
fn put<S: FixedSum, const ADD: bool>(sum: &mut S, x: S) {
    if ADD { *sum += x } else { *sum -= x }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<T: Scalar>(addition: Addition<'_, T>) {
    addition.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn run_avx512<T: Scalar>(addition: Addition<'_, T>) {
    addition.run();
}

/// `2^e`, which is to be a normal number.
pub(super) fn power_of_two(e: i32) -> f64 {
    f64::from_bits(((1023 + i64::from(e)) as u64) << 52)
}

/// The smallest `e` with `x <= 2^e`, for `x > 0`; 1024 if `x` is not finite.
pub(super) fn ceil_log2(x: f64) -> i32 {
    const FRACTION_BITS: u32 = f64::MANTISSA_DIGITS - 1;
    if x < f64::MIN_POSITIVE {
        // Subnormal: an integer multiple of 2^-1074.
        return (u64::BITS - (x.to_bits() - 1).leading_zeros()) as i32 - 1074;
    }
    let exponent = ((x.to_bits() >> FRACTION_BITS) & 0x7ff) as i32 - 1023;
    let fraction = x.to_bits() & ((1 << FRACTION_BITS) - 1);
    if exponent == 1024 { 1024 } else { exponent + i32::from(fraction != 0) }
}
