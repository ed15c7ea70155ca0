//! [`add_squares`]: an exact sum of squares at the speed of vectors.
//!
//! Of a few thousand numbers the largest square is found, and a grid laid under it: the multiples that the squares round to
//! are added as integers, what is left of each is rounded to a second grid, and only what is left of that, which takes a
//! number 2^27 times smaller than the largest, is added by itself. Splitting numbers at a common point, so that their parts
//! add up without rounding: Rump, Ogita and Oishi, "Accurate floating-point summation", SIAM J. Sci. Comput. 31, 2008.

use super::{
    exact::ExactSum,
    grid::{ceil_log2, power_of_two},
    scalar::{ROUNDER, Scalar},
};
use crate::kernel::isa::{Isa, Kind};

/// Numbers with a grid of their own. As many multiples of at most `2^PART_BITS` fit into 64 bits.
const AT_ONCE: usize = 1 << 11;
/// The bits of a square on one of the grids.
const PART_BITS: i32 = 51;

/// Adds the exact square of each of `values`, on any instruction set the same.
///
/// ```
/// use kmeans_job::{kernel::isa::Isa, numeric::{exact::ExactSum, squares::add_squares}};
///
/// let mut sum = ExactSum::new();
/// add_squares(Isa::detect(), &[3.0_f32, -4.0, 1e-30], &mut sum);
/// assert_eq!(sum.value(), 25.0);
/// ```
pub fn add_squares<T: Scalar>(isa: Isa, values: &[T], sum: &mut ExactSum) {
    match isa.0 {
        Kind::Portable => add(values, sum),
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "enters code compiled for more than the baseline")]
        // SAFETY: an `Isa` of these kinds exists only on a machine that has the features.
        Kind::Avx2 | Kind::Avx512 => unsafe { add_avx2(values, sum) },
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => add(values, sum),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn add_avx2<T: Scalar>(values: &[T], sum: &mut ExactSum) {
    add(values, sum);
}

#[inline(always)]
fn add<T: Scalar>(values: &[T], sum: &mut ExactSum) {
    for values in values.chunks(AT_ONCE) {
        match T::SQUARE_IS_EXACT.then(|| magnitude(values)).flatten() {
            Some(0.0) => {}
            Some(largest) => add_chunk(values, largest, sum),
            None => values.iter().for_each(|&x| sum.add_square(x)),
        }
    }
}

/// Numbers that are worked on side by side: loops over them become vectors.
const LANES: usize = 8;

/// Whole vectors, and what is left of the values, with zeros behind. Not two loops, which would make calls of their bodies.
#[inline(always)]
fn padded<T: Scalar>(values: &[T]) -> (&[[T; LANES]], [T; LANES]) {
    let (whole, last) = values.as_chunks();
    let mut padded = [T::ZERO; LANES];
    padded[..last.len()].copy_from_slice(last);
    (whole, padded)
}

/// The largest magnitude of some values, unless one is not finite.
#[inline(always)]
fn magnitude<T: Scalar>(values: &[T]) -> Option<f64> {
    // What is not finite makes NaN of the zeros.
    let (mut largest, mut zeros) = ([0.0_f64; LANES], [0.0_f64; LANES]);
    let (whole, last) = padded(values);
    for values in whole.iter().chain([&last]) {
        for lane in 0..LANES {
            let x = values[lane].to_f64().abs();
            largest[lane] = if x > largest[lane] { x } else { largest[lane] };
            zeros[lane] += x * 0.0;
        }
    }
    (zeros == [0.0; LANES]).then(|| largest.into_iter().fold(0.0, f64::max))
}

/// Adds the squares of finite values, which `f64` holds, of which the largest magnitude is not 0.
#[inline(always)]
fn add_chunk<T: Scalar>(values: &[T], largest: f64, sum: &mut ExactSum) {
    const FINER: f64 = (1_u64 << (PART_BITS + 1)) as f64;
    let exponent = PART_BITS - ceil_log2(largest * largest);
    let (scale, unit) = (power_of_two(exponent), power_of_two(-exponent));
    let (mut coarse, mut fine) = ([0_i64; LANES], [0_i64; LANES]);
    let (whole, last) = padded(values);
    for values in whole.iter().chain([&last]) {
        let mut rests = [0.0; LANES];
        for lane in 0..LANES {
            let x = values[lane].to_f64();
            let (multiple, rest) = split(x * x * scale);
            coarse[lane] += multiple;
            let (multiple, rest) = split(rest * FINER);
            fine[lane] += multiple;
            rests[lane] = rest;
        }
        if rests.iter().fold(false, |any, &rest| any | (rest != 0.0)) {
            rests.into_iter().for_each(|rest| sum.add(rest / FINER * unit));
        }
    }
    for (multiples, unit) in [(coarse, unit), (fine, unit / FINER)] {
        let multiple: i64 = multiples.iter().sum();
        // Two numbers of 32 bits each, which f64 holds.
        sum.add((multiple >> 32) as f64 * 4_294_967_296.0 * unit);
        sum.add((multiple & 0xffff_ffff) as f64 * unit);
    }
}

/// The nearest integer to a number of at most `2^PART_BITS`, and what is left of it.
#[inline(always)]
fn split(x: f64) -> (i64, f64) {
    let shifted = x + ROUNDER;
    (shifted.to_bits().wrapping_sub(ROUNDER.to_bits()) as i64, x - (shifted - ROUNDER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn assert_sum_is_exact<T: Scalar>(values: &[T]) {
        let mut expected = ExactSum::new();
        values.iter().for_each(|&x| expected.add_square(x));
        for isa in Isa::available() {
            let mut sum = ExactSum::new();
            add_squares(isa, values, &mut sum);
            assert_eq!(sum, expected, "on {isa}");
        }
    }

    proptest! {
        #[test]
        fn squares_add_up_exactly(
            near in prop::collection::vec(-1e3_f32..1e3, 0..5000),
            // So far from each other that no grid holds all of them, and what is not finite.
            far in prop::collection::vec(any::<f32>(), 0..60),
            wide in prop::collection::vec(any::<f64>(), 0..60),
            scale in prop_oneof![Just(1.0_f32), Just(1e-40), Just(1e34)],
            at in 0..5000_usize,
        ) {
            let mut values: Vec<f32> = near.iter().map(|x| x * scale).collect();
            assert_sum_is_exact(&values);
            let finite: Vec<f32> = far.iter().copied().filter(|x| x.is_finite()).collect();
            let at = at.min(values.len());
            values.splice(at..at, finite);
            assert_sum_is_exact(&values);
            values.splice(at..at, far);
            assert_sum_is_exact(&values);
            assert_sum_is_exact(&wide);
        }
    }

    #[test]
    fn the_ends_of_the_range_are_added_exactly() {
        let smallest = f32::from_bits(1);
        for values in [&[][..], &[0.0, -0.0], &[f32::MAX; 3000], &[smallest; 3000], &[f32::MAX, smallest]] {
            assert_sum_is_exact(values);
        }
        for special in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_sum_is_exact(&[1.0, special, smallest]);
        }
    }
}
