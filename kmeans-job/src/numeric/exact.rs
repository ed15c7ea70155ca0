//! Exact sums of floating-point numbers: the same value for any order and any cut of the data.
//!
//! A superaccumulator: one long fixed-point number, wide enough for every `f64` and every product of two, to which
//! mantissas are added as integers (Kulisch's long accumulator; the limbs with room for carries follow Neal, "Fast
//! exact summation using small and large superaccumulators", arXiv:1505.05571, 2015). Integer addition is
//! associative, so the order cannot matter, and the value is rounded once, when it is asked for.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::numeric::scalar::Scalar;

/// The weight of the lowest bit is `2^-BIAS`: below the square of the smallest subnormal, `2^-2148`.
const BIAS: i32 = 2176;
/// 32-bit limbs: up to `2^2048` for a product, and 64 bits for as many of them as anyone can add.
const LIMBS: usize = (BIAS as usize + 2048 + 64) / 32;
/// Additions before carries have to move: a limb takes less than `2^32` from each, and two sums may be merged.
const PENDING_MAX: u32 = 1 << 29;

/// An exact sum of `f64` values and of products of two `f64` values.
///
/// The value is that of the infinitely precise sum, rounded once to nearest, ties to even; a sum beyond the largest
/// `f64` is infinite, and one of nothing or of zeros is `+0`. NaN, or infinities of both signs, make it NaN, and
/// infinities of one sign make it that infinity, in any order. A product that is NaN or involves an infinity counts
/// as IEEE 754 has it.
///
/// Two sums are equal if their exact values are. Serialized, a sum takes as many 32-bit words as lie between its
/// highest and its lowest bit: equal sums give equal bytes.
///
/// ```
/// use kmeans_job::numeric::exact::ExactSum;
///
/// let mut left = ExactSum::new();
/// left.add(1e300);
/// left.add(1.0);
/// let mut right = ExactSum::new();
/// right.add(-1e300);
/// right.add_product(0.5, 3.0);
/// left.merge(&right);
/// assert_eq!(left.value(), 2.5);
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Encoded", into = "Encoded")]
pub struct ExactSum {
    /// Limb `i` counts in units of `2^(32 i - BIAS)`; of either sign, and beyond 32 bits while carries are pending.
    limbs: [i64; LIMBS],
    pending: u32,
    special: Special,
}

/// Which values that are not finite have been added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Special {
    nan: bool,
    positive: bool,
    negative: bool,
}

impl ExactSum {
    /// The empty sum.
    #[must_use]
    pub fn new() -> Self {
        ExactSum { limbs: [0; LIMBS], pending: 0, special: Special::default() }
    }

    /// Adds a value.
    #[inline]
    pub fn add(&mut self, x: f64) {
        if !x.is_finite() {
            return self.add_special(x);
        }
        self.make_room();
        let (mantissa, exponent) = decompose(x);
        self.add_bits(mantissa, exponent + BIAS, x.is_sign_negative());
    }

    /// Adds the exact product of two values, not the rounded one.
    #[inline]
    pub fn add_product(&mut self, a: f64, b: f64) {
        if !(a.is_finite() && b.is_finite()) {
            return self.add_special(a * b);
        }
        self.make_room();
        let ((a_mantissa, a_exponent), (b_mantissa, b_exponent)) = (decompose(a), decompose(b));
        let product = u128::from(a_mantissa) * u128::from(b_mantissa);
        let position = a_exponent + b_exponent + BIAS;
        let negative = a.is_sign_negative() != b.is_sign_negative();
        self.add_bits(product as u64, position, negative);
        self.add_bits((product >> 64) as u64, position + 64, negative);
    }

    /// Adds the exact square of an element.
    #[inline]
    pub fn add_square<T: Scalar>(&mut self, x: T) {
        let x = x.to_f64();
        if T::SQUARE_IS_EXACT { self.add(x * x) } else { self.add_product(x, x) }
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &Self) {
        self.make_room();
        for (limb, other) in self.limbs.iter_mut().zip(&other.limbs) {
            *limb += other;
        }
        self.pending += other.pending + 1;
        self.special.nan |= other.special.nan;
        self.special.positive |= other.special.positive;
        self.special.negative |= other.special.negative;
    }

    /// The sum, correctly rounded.
    #[must_use]
    pub fn value(&self) -> f64 {
        let Special { nan, positive, negative } = self.special;
        if nan || (positive && negative) {
            return f64::NAN;
        }
        if positive || negative {
            return if positive { f64::INFINITY } else { f64::NEG_INFINITY };
        }
        let (negative, magnitude) = self.magnitude();
        let value = round(&magnitude);
        if negative { -value } else { value }
    }

    /// Adds `mantissa * 2^(position - BIAS)`.
    #[inline(always)]
    fn add_bits(&mut self, mantissa: u64, position: i32, negative: bool) {
        let (limb, shift) = (position as usize / 32, position as usize % 32);
        let bits = u128::from(mantissa) << shift;
        let parts = [bits as u32, (bits >> 32) as u32, (bits >> 64) as u32];
        for (limb, part) in self.limbs[limb..limb + 3].iter_mut().zip(parts) {
            let part = i64::from(part);
            *limb += if negative { -part } else { part };
        }
    }

    #[cold]
    fn add_special(&mut self, x: f64) {
        self.special.nan |= x.is_nan();
        self.special.positive |= x == f64::INFINITY;
        self.special.negative |= x == f64::NEG_INFINITY;
    }

    /// Counts an addition, and moves the carries when they could fill a limb.
    #[inline(always)]
    fn make_room(&mut self) {
        // A product adds to a limb twice.
        self.pending += 2;
        if self.pending >= PENDING_MAX {
            self.carry();
        }
    }

    /// Brings every limb but the highest into `0..2^32`; the highest keeps the sign.
    #[cold]
    fn carry(&mut self) {
        let mut carry = 0;
        let (highest, lower) = self.limbs.split_last_mut().expect("there are limbs");
        for limb in lower {
            let sum = *limb + carry;
            *limb = sum & 0xffff_ffff;
            carry = sum >> 32;
        }
        *highest += carry;
        self.pending = 2;
    }

    /// The sign and the absolute value, as 32-bit words from the lowest.
    fn magnitude(&self) -> (bool, [u32; LIMBS]) {
        let mut sum = self.clone();
        sum.carry();
        let negative = sum.limbs[LIMBS - 1] < 0;
        if negative {
            for limb in &mut sum.limbs {
                *limb = -*limb;
            }
            sum.carry();
        }
        (negative, sum.limbs.map(|limb| limb as u32))
    }
}

impl Default for ExactSum {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for ExactSum {
    fn eq(&self, other: &Self) -> bool {
        self.special == other.special && self.magnitude() == other.magnitude()
    }
}

impl AddAssign<&ExactSum> for ExactSum {
    fn add_assign(&mut self, other: &ExactSum) {
        self.merge(other);
    }
}

impl Extend<f64> for ExactSum {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, values: I) {
        values.into_iter().for_each(|x| self.add(x));
    }
}

impl FromIterator<f64> for ExactSum {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut sum = ExactSum::new();
        sum.extend(values);
        sum
    }
}

/// `|x| = mantissa * 2^exponent`, for a finite `x`.
#[inline(always)]
fn decompose(x: f64) -> (u64, i32) {
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32;
    let fraction = bits & ((1 << 52) - 1);
    // Subnormal numbers have the exponent of the smallest normal ones and no implicit bit.
    if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) }
}

/// The `f64` nearest to a magnitude, ties to even.
fn round(words: &[u32; LIMBS]) -> f64 {
    /// The position of the lowest bit of a subnormal number.
    const LOWEST: usize = (BIAS - 1074) as usize;
    let Some(top) = words.iter().rposition(|&word| word != 0) else { return 0.0 };
    let highest = top * 32 + 31 - words[top].leading_zeros() as usize;
    // The 53 bits that stay, or those down to the lowest there is.
    let low = highest.saturating_sub(52).max(LOWEST);
    if low - LOWEST >= 2046 {
        return f64::INFINITY;
    }
    let bit = |position: usize| u64::from(words[position / 32] >> (position % 32) & 1);
    let kept = (low..=highest).rev().fold(0, |kept, position| kept << 1 | bit(position));
    let half = bit(low - 1) == 1;
    let rest = (0..low - 1).rev().any(|position| bit(position) == 1);
    let up = half && (rest || kept & 1 == 1);
    // The implicit bit of a normal number, and a carry out of the rounding, both count up the exponent.
    let bits = ((low - LOWEST) as u64) << 52;
    f64::from_bits(bits + kept + u64::from(up))
}

/// The serialized form.
#[derive(Serialize, Deserialize)]
struct Encoded {
    special: Special,
    negative: bool,
    /// The position of the first word.
    lowest: u16,
    /// From the lowest; neither the first nor the last is zero.
    words: Vec<u32>,
}

impl From<ExactSum> for Encoded {
    fn from(sum: ExactSum) -> Self {
        let (negative, words) = sum.magnitude();
        let lowest = words.iter().position(|&word| word != 0).unwrap_or(0);
        let end = words.iter().rposition(|&word| word != 0).map_or(0, |highest| highest + 1);
        Encoded { special: sum.special, negative, lowest: lowest as u16, words: words[lowest..end].to_vec() }
    }
}

/// The bytes of a sum name words that no sum has.
#[derive(Debug, thiserror::Error)]
#[error(
    "an exact sum has {LIMBS} words at most; these bytes place one at {0}: they are damaged or not a sum"
)]
struct WordOutOfRange(usize);

impl TryFrom<Encoded> for ExactSum {
    type Error = WordOutOfRange;

    fn try_from(encoded: Encoded) -> Result<Self, WordOutOfRange> {
        let mut sum = ExactSum { special: encoded.special, pending: 2, ..ExactSum::new() };
        let end = usize::from(encoded.lowest) + encoded.words.len();
        let limbs = sum.limbs.get_mut(usize::from(encoded.lowest)..end).ok_or(WordOutOfRange(end))?;
        for (limb, word) in limbs.iter_mut().zip(encoded.words) {
            *limb = if encoded.negative { -i64::from(word) } else { i64::from(word) };
        }
        Ok(sum)
    }
}
