//! Bounds on the distances of rows to centroids, by which rows whose label cannot change are passed over.
//!
//! Of each row two numbers are kept: the distance to its nearest centroid is at most `upper`, that to every other at
//! least `lower`. When centroids move, the bounds give way by how far they moved, and as long as there is a gap between
//! them the label stays. Source: Hamerly, "Making k-means even faster", SDM 2010.
//!
//! Labels come from rounded scores, and bounds are about true distances. A row is passed over only if the gap is wider
//! than what rounding can make of the scores, so that the label is the one that [`assign`](super::assign::assign) would
//! find, ties included. With `u` the unit roundoff, a score of `d` columns is off by less than
//! `4 (d + 4) u (|c|^2 + |x|^2)`: two chains of `d` fused multiply-adds over terms that add up to at most
//! `3 |c|^2 + |x|^2` (Higham, "Accuracy and stability of numerical algorithms", 2002, section 3.1).

use super::{
    isa::{Isa, Kind},
    pack::Packed,
};
use crate::numeric::scalar::Scalar;

/// The bounds of some rows.
pub struct BoundsMut<'a, T> {
    /// The nearest centroid is no farther than this.
    pub upper: &'a mut [T],
    /// Every other centroid is at least this far.
    pub lower: &'a mut [T],
}

/// How far rounding may put a score off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScoreError {
    /// Of the sum of the squared lengths of centroid and row.
    relative: f64,
    /// Beside that, where squares are so small that they underflow.
    absolute: f64,
    /// The largest squared length of a centroid.
    square_max: f64,
}

impl ScoreError {
    pub(crate) fn new<T: Scalar>(d: usize, square_max: f64) -> Self {
        let operations = (d + 4) as f64;
        Self {
            relative: 4.0 * operations * T::UNIT_ROUNDOFF,
            absolute: 8.0 * operations * T::SMALLEST,
            square_max,
        }
    }

    /// Of a score of a row with that squared length.
    #[inline(always)]
    pub(crate) fn of(&self, square: f64) -> f64 {
        self.relative * (self.square_max + square) + self.absolute
    }

    /// Whether a score of a row with that squared length may be beyond all finite numbers.
    #[inline(always)]
    pub(crate) fn may_overflow<T: Scalar>(&self, square: f64) -> bool {
        4.0 * (self.square_max + square) >= T::MAX.to_f64()
    }

    /// The bounds of a row of which the squared length, the smallest score and the second smallest were computed.
    #[inline(always)]
    pub(crate) fn bounds<T: Scalar>(&self, square: T, best: T, second: T) -> (T, T) {
        let (square, best, second) = (square.to_f64(), best.to_f64(), second.to_f64());
        let error = self.of(square);
        let root = |x: f64| if x > 0.0 { x.sqrt() } else { 0.0 };
        (rounded_up(root(square + best + error)), rounded_down(root(square + second - error)))
    }

    /// Whether the nearest centroid by computed scores is the one that `upper` belongs to.
    #[inline(always)]
    fn tells_apart(&self, upper: f64, lower: f64) -> bool {
        // The row is no longer than its centroid and the way to it: |x|^2 <= 2 |c|^2 + 2 upper^2.
        let squares = 3.0 * self.square_max + 2.0 * upper * upper;
        (lower - upper) * (lower + upper) > 2.01 * (self.relative * squares + self.absolute)
    }
}

/// No less than `x`, which is not negative.
#[inline(always)]
fn rounded_up<T: Scalar>(x: f64) -> T {
    T::from_f64(x * (1.0 + 4.0 * T::UNIT_ROUNDOFF))
}

/// No more than `x`, and not negative.
#[inline(always)]
fn rounded_down<T: Scalar>(x: f64) -> T {
    let x = x * (1.0 - 4.0 * T::UNIT_ROUNDOFF);
    T::from_f64(if x > 0.0 { x } else { 0.0 })
}

/// Rows whose bounds are widened together.
const AT_ONCE: usize = 256;

/// How far centroids moved, and how finely scores tell them apart now.
#[derive(Clone, Debug)]
pub struct Drift {
    /// Of each centroid.
    moved: Vec<f64>,
    /// Of the centroid that moved farthest.
    max: f64,
    farthest: u32,
    /// Of all others, the farthest.
    max_of_others: f64,
    error: ScoreError,
}

impl Drift {
    /// From `previous` to `current` (row-major `k x d`, as they were packed), of which the latter are `packed`.
    ///
    /// # Panics
    ///
    /// If the centroids are not as many as those that are packed.
    #[must_use]
    pub fn new<T: Scalar>(previous: &[T], current: &[T], packed: &Packed<T>) -> Self {
        let d = packed.d();
        assert_eq!(
            (previous.len(), current.len()),
            (packed.k() * d, packed.k() * d),
            "k centroids of d columns"
        );
        let moved: Vec<f64> = previous
            .chunks_exact(d)
            .zip(current.chunks_exact(d))
            .map(|(a, b)| {
                let differences = a.iter().zip(b).map(|(a, b)| a.to_f64() - b.to_f64());
                let square: f64 = differences.map(|difference| difference * difference).sum();
                // Up, by more than the rounding of the sum.
                square.sqrt() * (1.0 + (d + 8) as f64 * f64::EPSILON)
            })
            .collect();
        let farthest = (0..moved.len()).reduce(|a, b| if moved[b] > moved[a] { b } else { a }).unwrap_or(0);
        let others = moved.iter().enumerate().filter(|&(c, _)| c != farthest);
        let max_of_others = others.map(|(_, &moved)| moved).fold(0.0, f64::max);
        let max = moved.get(farthest).copied().unwrap_or(0.0);
        Self { moved, max, farthest: farthest as u32, max_of_others, error: packed.error }
    }

    /// Widens the bounds of rows by what the centroids moved, and replaces `uncertain` with the positions of those whose
    /// labels may be others now. All other rows keep their labels.
    ///
    /// # Panics
    ///
    /// If there are not as many labels as bounds, or a label is that of no centroid.
    pub fn widen<T: Scalar>(
        &self,
        isa: Isa,
        labels: &[u32],
        bounds: BoundsMut<'_, T>,
        uncertain: &mut Vec<u32>,
    ) {
        assert_eq!(
            (bounds.upper.len(), bounds.lower.len()),
            (labels.len(), labels.len()),
            "bounds for each row"
        );
        match isa.0 {
            Kind::Portable => self.widen_body(labels, bounds, uncertain),
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "enters code compiled for more than the baseline")]
            // SAFETY: an `Isa` of this kind exists only on a machine that has the features.
            Kind::Avx2 => unsafe { self.widen_avx2(labels, bounds, uncertain) },
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "enters code compiled for more than the baseline")]
            // SAFETY: as above.
            Kind::Avx512 => unsafe { self.widen_avx512(labels, bounds, uncertain) },
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => self.widen_body(labels, bounds, uncertain),
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn widen_avx2<T: Scalar>(&self, labels: &[u32], bounds: BoundsMut<'_, T>, uncertain: &mut Vec<u32>) {
        self.widen_body(labels, bounds, uncertain);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn widen_avx512<T: Scalar>(&self, labels: &[u32], bounds: BoundsMut<'_, T>, uncertain: &mut Vec<u32>) {
        self.widen_body(labels, bounds, uncertain);
    }

    #[inline(always)]
    fn widen_body<T: Scalar>(&self, labels: &[u32], bounds: BoundsMut<'_, T>, uncertain: &mut Vec<u32>) {
        uncertain.clear();
        // Loops of one thing each over a few rows, which the compiler turns into vectors.
        let (mut own, mut others, mut doubt) = ([0.0; AT_ONCE], [0.0; AT_ONCE], [0_u8; AT_ONCE]);
        let parts = labels
            .chunks(AT_ONCE)
            .zip(bounds.upper.chunks_mut(AT_ONCE).zip(bounds.lower.chunks_mut(AT_ONCE)));
        for (part, (labels, (upper, lower))) in parts.enumerate() {
            for ((own, others), &label) in own.iter_mut().zip(&mut others).zip(labels) {
                *own = self.moved[label as usize];
                *others = if label == self.farthest { self.max_of_others } else { self.max };
            }
            for i in 0..labels.len() {
                let (above, below): (T, T) =
                    (rounded_up(upper[i].to_f64() + own[i]), rounded_down(lower[i].to_f64() - others[i]));
                (upper[i], lower[i]) = (above, below);
                doubt[i] = u8::from(!self.error.tells_apart(above.to_f64(), below.to_f64()));
            }
            doubt[labels.len()..].fill(0);
            for (eight, doubt) in doubt.as_chunks::<8>().0.iter().enumerate() {
                if u64::from_ne_bytes(*doubt) != 0 {
                    let first = part * AT_ONCE + eight * 8;
                    let rows = doubt.iter().enumerate().filter(|&(_, &doubt)| doubt != 0);
                    uncertain.extend(rows.map(|(row, _)| (first + row) as u32));
                }
            }
        }
    }
}
