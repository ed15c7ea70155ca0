//! Boxes around rows, and which centroids may be the nearest of some row in a box: the others are not looked at for any row
//! in it.
//!
//! The score of a centroid less that of another is linear in the row, so over a box it is smallest in a corner, which each
//! column chooses for itself. A centroid that loses there to the one nearest to the middle of the box loses everywhere in
//! it. Source: Kanungo, Mount, Netanyahu, Piatko, Silverman and Wu, "An efficient k-means clustering algorithm: analysis and
//! implementation", IEEE TPAMI 24(7), 2002, whose test of a centroid against a cell of a tree this is.
//!
//! Labels come from rounded scores, so a centroid is ruled out only if it loses by more than rounding can make of it. With
//! `S` the largest `|c|^2`, `X` the largest `|x|^2` in the box and `u` the unit roundoff, the two scores are off by at most
//! `d u (4 S + 2 X)` together but for `|c|^2`, which is the same number here and there, and the difference that is computed
//! here by `u ((3 d + 3) S + (2 d + 2) X)`: less than 1.75 times what [`bounds`](super::bounds) takes for the error of one
//! score. A centroid has to lose by 3 times as much. Where a score may overflow, none is ruled out.

use super::{
    assign::assign,
    bounds::ScoreError,
    isa::{Isa, Kind},
    pack::Packed,
};
use crate::numeric::scalar::Scalar;
use mapreduce_core::RowBlock;
use std::ops::Range;

/// Boxes with sides along the axes, each around some rows.
#[derive(Clone, Debug)]
pub struct Boxes<T> {
    d: usize,
    /// Of each box the lowest values of its columns, then the highest.
    sides: Vec<T>,
    /// The middles of the boxes.
    middles: Vec<T>,
    /// The most that the squared length of a row in the box can be.
    squares: Vec<f64>,
    /// Of some rows at once, while a box is made.
    lows: Vec<T>,
    highs: Vec<T>,
}

/// Rows that are looked at together while a box is made.
const AT_ONCE: usize = 8;

impl<T: Scalar> Boxes<T> {
    /// None yet, in `d` dimensions.
    #[must_use]
    pub fn new(d: usize) -> Self {
        let (sides, middles, squares, lows, highs) = Default::default();
        Self { d, sides, middles, squares, lows, highs }
    }

    /// Adds the smallest box around rows, of which there is at least one.
    ///
    /// # Panics
    ///
    /// If there is no row, or it has fewer than `d` columns.
    pub fn push(&mut self, rows: RowBlock<'_, T>) {
        let (d, first) = (self.d, self.sides.len());
        self.sides.extend_from_slice(&rows.values[..d]);
        self.sides.extend_from_slice(&rows.values[..d]);
        let (low, high) = self.sides[first..].split_at_mut(d);
        // Several rows at once, which are whole vectors.
        let at_once = AT_ONCE * rows.width;
        let together = rows.values.chunks_exact(at_once);
        let rest = together.remainder();
        if rows.len() >= AT_ONCE {
            self.lows.clear();
            self.lows.extend_from_slice(&rows.values[..at_once]);
            self.highs.clone_from(&self.lows);
            together.for_each(|values| widen(&mut self.lows, &mut self.highs, values));
            let ends = self.lows.chunks_exact(rows.width).zip(self.highs.chunks_exact(rows.width));
            ends.for_each(|(lows, highs)| {
                widen(low, high, lows);
                widen(low, high, highs);
            });
        }
        rest.chunks_exact(rows.width).for_each(|row| widen(low, high, row));
        let sides = || low.iter().zip(&*high).map(|(low, high)| (low.to_f64(), high.to_f64()));
        self.middles.extend(sides().map(|(low, high)| T::from_f64((low + high) / 2.0)));
        self.squares.push(sides().map(|(low, high)| (low * low).max(high * high)).sum());
    }

    /// The number of boxes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.squares.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.squares.is_empty()
    }

    /// Gives back memory for boxes that do not come.
    pub fn shrink_to_fit(&mut self) {
        self.sides.shrink_to_fit();
        self.middles.shrink_to_fit();
        self.squares.shrink_to_fit();
    }

    /// The bytes that they take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.sides) + size_of_val(&*self.middles) + size_of_val(&*self.squares)
    }
}

/// Moves ends apart so that values are between them.
#[inline(always)]
fn widen<T: Scalar>(lows: &mut [T], highs: &mut [T], values: &[T]) {
    for ((&x, low), high) in values.iter().zip(lows).zip(highs) {
        *low = if x < *low { x } else { *low };
        *high = if x > *high { x } else { *high };
    }
}

/// Centroids that are tried against a box together: a register of AVX-512 of `f32`.
const LANES: usize = 16;

/// Centroids in the order in which boxes are tried against them: column by column.
#[derive(Clone, Debug)]
pub struct Rivals<T> {
    /// For each [`LANES`] centroids, `d` rows of `-2 c`.
    coordinates: Vec<[T; LANES]>,
    /// `|c|^2`; infinite where there is no centroid.
    norms: Vec<[T; LANES]>,
}

/// For each of some boxes the centroids that may be the nearest of a row in it.
#[derive(Clone, Debug, Default)]
pub struct RivalLists {
    centroids: Vec<u32>,
    ends: Vec<usize>,
    /// Of the middles of the boxes.
    nearest: Vec<u32>,
}

impl RivalLists {
    /// The centroids of each box, in ascending order; never none.
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.centroids[start..end])
    }
}

impl<T: Scalar> Rivals<T> {
    /// The centroids that are `packed`.
    #[must_use]
    pub fn new(packed: &Packed<T>) -> Self {
        let (k, d) = (packed.k(), packed.d());
        let groups = k.div_ceil(LANES);
        let mut coordinates = vec![[T::ZERO; LANES]; groups * d];
        let mut norms = vec![[T::INFINITY; LANES]; groups];
        for c in 0..k {
            let (group, lane) = (c / LANES, c % LANES);
            norms[group][lane] = packed.norm(c);
            for j in 0..d {
                coordinates[group * d + j][lane] = packed.coordinate(c, j);
            }
        }
        Self { coordinates, norms }
    }

    /// Replaces `lists` with those of some of the boxes. The centroids are those that this was made of.
    ///
    /// ```
    /// use kmeans_job::kernel::{boxes::{Boxes, RivalLists, Rivals}, isa::Isa, pack::Packed};
    /// use mapreduce_core::RowBlock;
    ///
    /// let mut boxes = Boxes::new(1);
    /// boxes.push(RowBlock { width: 1, values: &[-1.0_f32, 2.0, 0.5] });
    /// boxes.push(RowBlock { width: 1, values: &[4.0, 9.0] });
    /// let packed = Packed::new(&[0.0, 5.0, 10.0], 1);
    /// let mut lists = RivalLists::default();
    /// Rivals::new(&packed).find(Isa::detect(), &packed, &boxes, 0..2, &mut lists);
    /// assert_eq!(lists.iter().collect::<Vec<_>>(), [&[0][..], &[1, 2]]);
    /// ```
    ///
    /// # Panics
    ///
    /// If there are no such boxes, or they have another number of dimensions, or the centroids are others.
    pub fn find(
        &self,
        isa: Isa,
        packed: &Packed<T>,
        boxes: &Boxes<T>,
        range: Range<usize>,
        lists: &mut RivalLists,
    ) {
        let d = packed.d();
        assert_eq!(
            self.coordinates.len(),
            packed.k().div_ceil(LANES) * d,
            "the centroids that this was made of"
        );
        assert_eq!(boxes.d, d, "boxes and centroids have the same number of dimensions");
        lists.nearest.resize(range.len(), 0);
        let middles = RowBlock { width: d, values: &boxes.middles[range.start * d..range.end * d] };
        assign(isa, packed, middles, &mut lists.nearest, None);
        match isa.0 {
            Kind::Portable => self.find_body(packed, boxes, range, lists),
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "enters code compiled for more than the baseline")]
            // SAFETY: an `Isa` of this kind exists only on a machine that has the features.
            Kind::Avx2 => unsafe { self.find_avx2(packed, boxes, range, lists) },
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "enters code compiled for more than the baseline")]
            // SAFETY: as above.
            Kind::Avx512 => unsafe { self.find_avx512(packed, boxes, range, lists) },
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => self.find_body(packed, boxes, range, lists),
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn find_avx2(&self, packed: &Packed<T>, boxes: &Boxes<T>, range: Range<usize>, lists: &mut RivalLists) {
        self.find_body(packed, boxes, range, lists);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn find_avx512(&self, packed: &Packed<T>, boxes: &Boxes<T>, range: Range<usize>, lists: &mut RivalLists) {
        self.find_body(packed, boxes, range, lists);
    }

    #[inline(always)]
    fn find_body(&self, packed: &Packed<T>, boxes: &Boxes<T>, range: Range<usize>, lists: &mut RivalLists) {
        let RivalLists { centroids, ends, nearest } = lists;
        centroids.clear();
        ends.clear();
        let (d, k) = (packed.d(), packed.k());
        let sides = boxes.sides[range.start * 2 * d..range.end * 2 * d].chunks_exact(2 * d);
        for ((sides, &square), &nearest) in sides.zip(&boxes.squares[range]).zip(&*nearest) {
            let (low, high) = sides.split_at(d);
            let margin = margin::<T>(&packed.error, square);
            let (group, lane) = (nearest as usize / LANES, nearest as usize % LANES);
            let (norm, own) = (self.norms[group][lane], &self.coordinates[group * d..][..d]);
            let groups = self.norms.iter().zip(self.coordinates.chunks_exact(d));
            for (group, (norms, columns)) in groups.enumerate() {
                // By how much a centroid's score is above that of the nearest one, at the least.
                let mut above = [T::ZERO; LANES];
                for (above, &other) in above.iter_mut().zip(norms) {
                    *above = other - norm;
                }
                for (((column, own), &low), &high) in columns.iter().zip(own).zip(low).zip(high) {
                    for (above, &x) in above.iter_mut().zip(column) {
                        let slope = x - own[lane];
                        let (at_low, at_high) = (slope.mul_add(low, *above), slope.mul_add(high, *above));
                        *above = if at_low < at_high { at_low } else { at_high };
                    }
                }
                let mut rivals = 0_u32;
                for (lane, &above) in above.iter().enumerate() {
                    // What is not a number rules nothing out.
                    let is_out = above > margin;
                    rivals |= u32::from(!is_out) << lane;
                }
                while rivals != 0 {
                    let id = group * LANES + rivals.trailing_zeros() as usize;
                    if id < k {
                        centroids.push(id as u32);
                    }
                    rivals &= rivals - 1;
                }
            }
            ends.push(centroids.len());
        }
    }
}

/// By how much a centroid has to lose against another for a row of at most that squared length.
#[inline(always)]
fn margin<T: Scalar>(error: &ScoreError, square: f64) -> T {
    match error.may_overflow::<T>(square) {
        true => T::INFINITY,
        false => T::from_f64(3.0 * error.of(square)),
    }
}
