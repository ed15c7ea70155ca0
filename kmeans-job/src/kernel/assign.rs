//! The nearest centroid of every row: the inner loop of K-means.
//!
//! The score of a centroid `c` for a row `x` is `|c|^2 - 2 c.x`, the squared distance less `|x|^2`, computed as one
//! chain of fused multiply-adds over the columns in order, starting from `|c|^2`. A chain has one order, so every
//! instruction set gives the same bits, and equal scores are equal everywhere: the lowest index wins a tie.
//!
//! The lanes of a vector are rows. A tile of rows is turned column by column once, then every centroid passes over
//! it with its coordinates broadcast; the running minimum stays in registers and no row of scores is ever written.
//! The body is written once over a few vector operations; `vector.rs` says what they are where.

use bytemuck::Pod;
use mapreduce_core::RowBlock;

use crate::kernel::bounds::BoundsMut;
use crate::kernel::isa::Isa;
use crate::kernel::pack::{GROUP, Packed};
use crate::numeric::scalar::Scalar;

/// Writes the index of the nearest centroid of each of `rows` to `labels`, and its score to `scores` if asked for. The
/// lowest index wins a tie. Rows may be wider than the `d` columns of the centroids; what is behind those is not
/// looked at.
///
/// A score is the squared distance less the row's `|x|^2`, rounded in `T`: good for comparing centroids, not for
/// distances. Magnitudes whose squares overflow `T` have no meaningful score; where no score is below infinity the
/// label is 0 and the score infinite.
///
/// ```
/// use kmeans_job::kernel::{assign::assign, isa::Isa, pack::Packed};
/// use mapreduce_core::RowBlock;
///
/// let centroids = [0.0_f32, 0.0, 10.0, 0.0];
/// let rows = RowBlock { width: 2, values: &[1.0, 1.0, 9.0, -1.0, 5.0, 3.0] };
/// let mut labels = [0; 3];
/// assign(Isa::detect(), &Packed::new(&centroids, 2), rows, &mut labels, None);
/// assert_eq!(labels, [0, 1, 0]); // the last row is as near to both
/// ```
///
/// # Panics
///
/// If `rows`, `labels` and `scores` disagree about the number of rows, or rows have fewer columns than centroids.
pub fn assign<T: Scalar>(
    isa: Isa,
    packed: &Packed<T>,
    rows: RowBlock<'_, T>,
    labels: &mut [u32],
    scores: Option<&mut [T]>,
) {
    check(packed, rows, labels.len());
    assert!(scores.as_ref().is_none_or(|scores| scores.len() == labels.len()), "one score for each row");
    T::assign(isa, Pass { packed, rows, labels, scores, bounds: None });
}

/// [`assign`], which also finds how far the nearest centroid is at most and every other one at least.
///
/// # Panics
///
/// If `rows`, `labels` and `bounds` disagree about the number of rows, or rows have fewer columns than centroids.
pub fn assign_with_bounds<T: Scalar>(
    isa: Isa,
    packed: &Packed<T>,
    rows: RowBlock<'_, T>,
    labels: &mut [u32],
    bounds: BoundsMut<'_, T>,
) {
    check(packed, rows, labels.len());
    assert_eq!((bounds.upper.len(), bounds.lower.len()), (labels.len(), labels.len()), "bounds for each row");
    T::assign(isa, Pass { packed, rows, labels, scores: None, bounds: Some(bounds) });
}

fn check<T: Scalar>(packed: &Packed<T>, rows: RowBlock<'_, T>, labels: usize) {
    assert!(rows.width >= packed.d(), "rows have the columns of the centroids");
    assert_eq!(rows.values.len(), labels * rows.width, "one label for each row");
}

/// The nearest centroid of one row and its score: the textbook's loop, with the bits of [`assign`].
///
/// ```
/// use kmeans_job::kernel::{assign::nearest, pack::Packed};
///
/// assert_eq!(nearest(&Packed::new(&[0.0_f64, 3.0, 4.0], 1), &[3.4]), (1, 9.0 - 6.0 * 3.4));
/// ```
#[must_use]
pub fn nearest<T: Scalar>(packed: &Packed<T>, row: &[T]) -> (u32, T) {
    let mut best = (0, T::INFINITY);
    let groups = packed.coordinates.chunks_exact(packed.d());
    for (group, (norms, columns)) in packed.norms.iter().zip(groups).enumerate() {
        for (c, &norm) in norms.iter().enumerate() {
            let score = columns.iter().zip(row).fold(norm, |score, (column, &x)| column[c].mul_add(x, score));
            if score < best.1 {
                best = ((group * GROUP + c) as u32, score);
            }
        }
    }
    best
}

/// Vectors of a tile that is kept on the stack: a few rows are assigned in less time than it takes to ask for memory.
const NARROW: usize = 32;

/// [`assign`] on an instruction set: what `f32` and `f64` add to [`Scalar`] so that it can be dispatched.
pub trait Assign: Sized {
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "called by this crate alone")]
    fn assign(isa: Isa, pass: Pass<'_, Self>);
}

/// The arguments of one call of [`assign`] or [`assign_with_bounds`].
pub(crate) struct Pass<'a, T> {
    pub(crate) packed: &'a Packed<T>,
    pub(crate) rows: RowBlock<'a, T>,
    pub(crate) labels: &'a mut [u32],
    pub(crate) scores: Option<&'a mut [T]>,
    pub(crate) bounds: Option<BoundsMut<'a, T>>,
}

/// The operations of an instruction set that the kernel is made of, over vectors `V`. They are inlined into a function
/// that is compiled for the instruction set; else they would be calls.
pub(crate) struct Operations<Splat, MulAdd, Keep, Min, Max, Turn> {
    /// Fills a vector.
    pub(crate) splat: Splat,
    /// `a * b + c` with one rounding.
    pub(crate) mul_add: MulAdd,
    /// `keep(score, id, best, index)` replaces best and index in those lanes where `score < best`.
    pub(crate) keep: Keep,
    /// The smaller of two in each lane.
    pub(crate) min: Min,
    /// The larger of two in each lane.
    pub(crate) max: Max,
    /// [`transpose`](super::transpose::transpose), or what does the same in less time.
    pub(crate) turn: Turn,
}

impl<T: Scalar> Pass<'_, T> {
    /// Runs the pass with the vectors `V` of an instruction set, `VECTORS` of them to a tile.
    #[inline(always)]
    pub(crate) fn run<V: Pod, const VECTORS: usize>(
        self,
        operations: Operations<
            impl Fn(T) -> V,
            impl Fn(V, V, V) -> V,
            impl Fn(V, V, &mut V, &mut V),
            impl Fn(V, V) -> V,
            impl Fn(V, V) -> V,
            impl Fn(RowBlock<'_, T>, usize, usize, &mut [T]),
        >,
    ) {
        match self.bounds {
            None => self.run_tiles::<V, VECTORS, false>(operations),
            Some(_) => self.run_tiles::<V, VECTORS, true>(operations),
        }
    }

    /// As [`run`](Self::run); with bounds or without.
    #[inline(always)]
    fn run_tiles<V: Pod, const VECTORS: usize, const BOUNDS: bool>(
        mut self,
        operations: Operations<
            impl Fn(T) -> V,
            impl Fn(V, V, V) -> V,
            impl Fn(V, V, &mut V, &mut V),
            impl Fn(V, V) -> V,
            impl Fn(V, V) -> V,
            impl Fn(RowBlock<'_, T>, usize, usize, &mut [T]),
        >,
    ) {
        let Operations { splat, mul_add, keep, min, max, turn } = operations;
        let (d, width) = (self.packed.d(), self.rows.width);
        let lanes = size_of::<V>() / size_of::<T>() * VECTORS;
        let (mut narrow, mut wide) = ([V::zeroed(); NARROW], Vec::new());
        let tile = match narrow.get_mut(..d * VECTORS) {
            Some(tile) => tile,
            None => {
                wide.resize(d * VECTORS, V::zeroed());
                &mut wide[..]
            }
        };
        let mut rest = self.rows;
        for t in 0..self.labels.len().div_ceil(lanes) {
            let rows = rest.len().min(lanes);
            // A last tile that is not full keeps old rows in its other lanes; nobody reads what comes of them.
            turn(rest, rows, d, bytemuck::cast_slice_mut(tile));
            rest.values = &rest.values[rows * width..];
            let mut best = [splat(T::INFINITY); VECTORS];
            let mut second = [splat(T::INFINITY); VECTORS];
            let mut index = [V::zeroed(); VECTORS];
            let groups = self.packed.ids.iter().zip(&self.packed.norms);
            for ((ids, norms), group) in groups.zip(self.packed.coordinates.chunks_exact(d)) {
                let mut scores = norms.map(|norm| [splat(norm); VECTORS]);
                for (factors, x) in group.iter().zip(tile.chunks_exact(VECTORS)) {
                    for (scores, &factor) in scores.iter_mut().zip(factors) {
                        let factor = splat(factor);
                        for (score, &x) in scores.iter_mut().zip(x) {
                            *score = mul_add(factor, x, *score);
                        }
                    }
                }
                for (scores, &id) in scores.iter().zip(ids) {
                    let id = splat(id);
                    for v in 0..VECTORS {
                        if BOUNDS {
                            second[v] = min(second[v], max(best[v], scores[v]));
                        }
                        keep(scores[v], id, &mut best[v], &mut index[v]);
                    }
                }
            }
            let range = t * lanes..t * lanes + rows;
            let index: &[T] = bytemuck::cast_slice(&index);
            for (label, &id) in self.labels[range.clone()].iter_mut().zip(index) {
                *label = id.to_index();
            }
            if let Some(scores) = &mut self.scores {
                let best: &[T] = bytemuck::cast_slice(&best);
                scores[range.clone()].copy_from_slice(&best[..range.len()]);
            }
            if BOUNDS && let Some(bounds) = &mut self.bounds {
                let mut squares = [splat(T::ZERO); VECTORS];
                for x in tile.chunks_exact(VECTORS) {
                    for (square, &x) in squares.iter_mut().zip(x) {
                        *square = mul_add(x, x, *square);
                    }
                }
                let (best, second): (&[T], &[T]) =
                    (bytemuck::cast_slice(&best), bytemuck::cast_slice(&second));
                let squares: &[T] = bytemuck::cast_slice(&squares);
                let (upper, lower) = (&mut bounds.upper[range.clone()], &mut bounds.lower[range]);
                let error = &self.packed.error;
                let scores = squares.iter().zip(best).zip(second);
                for ((upper, lower), ((&square, &best), &second)) in upper.iter_mut().zip(lower).zip(scores) {
                    (*upper, *lower) = error.bounds(square, best, second);
                }
            }
        }
    }
}
