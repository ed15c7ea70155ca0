//! The element types of a dataset: `f32` and `f64`.

use std::fmt::{Debug, Display};
use std::ops::{Add, AddAssign, Sub, SubAssign};

use bytemuck::Pod;
use mapreduce_core::block::Number;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::kernel::assign::Assign;

/// An element of a row: `f32` or `f64`, and nothing else (the trait is sealed).
///
/// The kernels are written once over this trait. It has only what they need: a fused multiply-add, which is what
/// gives every instruction set the same bits, and the way into the fixed-point sums of
/// [`Grid`](crate::numeric::grid::Grid).
pub trait Scalar:
    sealed::Sealed
    + Assign
    + Number
    + Pod
    + PartialOrd
    + Sub<Output = Self>
    + Default
    + Debug
    + Display
    + Send
    + Sync
    + Serialize
    + DeserializeOwned
{
    /// The integer that holds a column sum: `i64` for `f32`, `i128` for `f64`.
    type Sum: FixedSum;

    /// The name in files and messages, as NumPy spells it: `"f32"` or `"f64"`.
    const DTYPE: &'static str;
    /// Zero.
    const ZERO: Self;
    /// The largest finite value.
    const MAX: Self;
    /// Positive infinity: the score of a centroid that must never win.
    const INFINITY: Self;
    /// The most bits an element occupies on the grid, sign apart: `|x| * scale <= 2^ELEMENT_BITS`.
    const ELEMENT_BITS: i32;
    /// The most bits a sum of elements may occupy, sign apart.
    const SUM_BITS: i32;
    /// Whether the square of any value is exact in `f64`.
    const SQUARE_IS_EXACT: bool;
    /// Half the distance from 1 to the next number: how far, relatively, rounding puts a number off.
    const UNIT_ROUNDOFF: f64;
    /// The smallest positive number.
    const SMALLEST: f64;

    /// `self * a + b` with one rounding.
    #[must_use]
    fn mul_add(self, a: Self, b: Self) -> Self;

    /// The nearest value of this type, ties to even.
    #[must_use]
    fn from_f64(value: f64) -> Self;

    /// The same value as `f64`; exact.
    #[must_use]
    fn to_f64(self) -> f64;

    /// `-2 * self`; exact unless it overflows.
    #[must_use]
    fn minus_twice(self) -> Self;

    /// A number that holds `index` in its bits, so that a vector of scores and one of indices have the same lanes.
    #[doc(hidden)]
    fn from_index(index: u32) -> Self;

    /// The index that [`from_index`](Self::from_index) was given.
    #[doc(hidden)]
    fn to_index(self) -> u32;

    /// Whether the value is neither infinite nor NaN.
    #[must_use]
    fn is_finite(self) -> bool;

    /// `self * scale` rounded to an integer, ties to even.
    ///
    /// `scale` is a power of two with `|self| * scale <= 2^ELEMENT_BITS`, as a grid guarantees for data within the
    /// magnitudes it was made for. Beyond them, and for NaN, the result is some integer without meaning.
    #[must_use]
    fn quantize(self, scale: f64) -> Self::Sum;
}

/// Whether no value is infinite or NaN.
pub(crate) fn all_finite<T: Scalar>(values: &[T]) -> bool {
    // By parts, of which all is looked at: loops of vectors, at the speed of memory.
    values.chunks(4096).all(|part| part.iter().fold(true, |finite, x| finite & x.is_finite()))
}

/// The integer type of a fixed-point column sum.
pub trait FixedSum:
    sealed::Sealed
    + Number
    + Pod
    + Ord
    + Default
    + Debug
    + Add<Output = Self>
    + AddAssign
    + Into<i128>
    + Sub<Output = Self>
    + SubAssign
    + Send
    + Sync
    + Serialize
    + DeserializeOwned
{
    /// Splits the integer into `f64` parts that add up to it exactly, largest first.
    #[must_use]
    fn parts(self) -> [f64; 3];

    /// `self * weight / 2^bits`, rounded to an integer. The product has at most 126 bits.
    #[must_use]
    fn times(self, weight: i64, bits: u32) -> Self;
}

/// 1.5 * 2^52: added to a value of at most 2^51 in magnitude it leaves the value's nearest integer in the low bits.
pub(super) const ROUNDER: f64 = 6_755_399_441_055_744.0;

impl Scalar for f32 {
    type Sum = i64;
    const DTYPE: &'static str = "f32";
    const ZERO: Self = 0.0;
    const MAX: Self = f32::MAX;
    const INFINITY: Self = f32::INFINITY;
    const ELEMENT_BITS: i32 = 50;
    const SUM_BITS: i32 = 62;
    const SQUARE_IS_EXACT: bool = true;
    const UNIT_ROUNDOFF: f64 = f32::EPSILON as f64 / 2.0;
    const SMALLEST: f64 = f32::from_bits(1) as f64;

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        f32::mul_add(self, a, b)
    }

    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn minus_twice(self) -> Self {
        -2.0 * self
    }

    #[inline(always)]
    fn from_index(index: u32) -> Self {
        f32::from_bits(index)
    }

    #[inline(always)]
    fn to_index(self) -> u32 {
        self.to_bits()
    }

    #[inline(always)]
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }

    #[inline(always)]
    fn quantize(self, scale: f64) -> i64 {
        // The product is exact (a power of two, far from both ends of the f64 range), so the only rounding is that
        // of the addition. There is no vector conversion f64 -> i64 below AVX-512; this needs none.
        let shifted = f64::from(self) * scale + ROUNDER;
        shifted.to_bits().wrapping_sub(ROUNDER.to_bits()) as i64
    }
}

impl Scalar for f64 {
    type Sum = i128;
    const DTYPE: &'static str = "f64";
    const ZERO: Self = 0.0;
    const MAX: Self = f64::MAX;
    const INFINITY: Self = f64::INFINITY;
    const ELEMENT_BITS: i32 = 62;
    const SUM_BITS: i32 = 126;
    const SQUARE_IS_EXACT: bool = false;
    const UNIT_ROUNDOFF: f64 = f64::EPSILON / 2.0;
    const SMALLEST: f64 = f64::from_bits(1);

    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        f64::mul_add(self, a, b)
    }

    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }

    #[inline(always)]
    fn minus_twice(self) -> Self {
        -2.0 * self
    }

    #[inline(always)]
    fn from_index(index: u32) -> Self {
        f64::from_bits(u64::from(index))
    }

    #[inline(always)]
    fn to_index(self) -> u32 {
        self.to_bits() as u32
    }

    #[inline(always)]
    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }

    #[inline(always)]
    fn quantize(self, scale: f64) -> i128 {
        i128::from((self * scale).round_ties_even() as i64)
    }
}

impl FixedSum for i64 {
    fn parts(self) -> [f64; 3] {
        i128::from(self).parts()
    }

    #[inline(always)]
    fn times(self, weight: i64, bits: u32) -> Self {
        match bits {
            0 => self.wrapping_mul(weight),
            _ => i128::from(self).times(weight, bits) as i64,
        }
    }
}

impl FixedSum for i128 {
    fn parts(self) -> [f64; 3] {
        // Three fields of at most 48 bits each; the arithmetic shift keeps the sign in the highest.
        const MASK: i128 = (1 << 48) - 1;
        let low = self & MASK;
        let middle = (self >> 48) & MASK;
        let high = self >> 96;
        let unit = 281_474_976_710_656.0; // 2^48
        [high as f64 * unit * unit, middle as f64 * unit, low as f64]
    }

    #[inline(always)]
    fn times(self, weight: i64, bits: u32) -> Self {
        (self.wrapping_mul(i128::from(weight)) + ((1 << bits) >> 1)) >> bits
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    impl Sealed for i64 {}
    impl Sealed for i128 {}
}
