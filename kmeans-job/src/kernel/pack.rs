//! Centroids in the order the assignment kernel reads them.

use super::bounds::ScoreError;
use crate::numeric::scalar::Scalar;

/// Centroids that are worked on together. Four of them times three vectors of rows is twelve accumulators, which is
/// what the sixteen registers of AVX2 hold and enough to hide the latency of the multiply-adds.
pub(crate) const GROUP: usize = 4;

/// `k` centroids of `d` columns, packed once per iteration for [`assign`](crate::kernel::assign::assign).
///
/// Groups of four centroids; a group is `d` rows of four values `-2 c`, and four values `|c|^2` beside it. The
/// last group is filled up with centroids of infinite norm, which never win.
#[derive(Clone, Debug)]
pub struct Packed<T> {
    k: usize,
    d: usize,
    /// `groups * d` rows of `-2 c`.
    pub(crate) coordinates: Vec<[T; GROUP]>,
    /// `|c|^2`, one row a group.
    pub(crate) norms: Vec<[T; GROUP]>,
    /// What rows are labelled with, one row a group.
    pub(crate) ids: Vec<[T; GROUP]>,
    /// How far rounding may put a score off.
    pub(crate) error: ScoreError,
}

impl<T: Scalar> Packed<T> {
    /// Packs `centroids`, row-major `k x d`. `|c|^2` is one chain of fused multiply-adds over the columns in order.
    ///
    /// # Panics
    ///
    /// If `d` is 0 or `centroids` is not a whole number of rows.
    #[must_use]
    pub fn new(centroids: &[T], d: usize) -> Self {
        assert!(d > 0 && centroids.len().is_multiple_of(d), "centroids are rows of d > 0 columns");
        let k = centroids.len() / d;
        let groups = k.div_ceil(GROUP);
        let mut coordinates = vec![[T::ZERO; GROUP]; groups * d];
        let mut norms = vec![[T::INFINITY; GROUP]; groups];
        for (c, row) in centroids.chunks_exact(d).enumerate() {
            let (group, member) = (c / GROUP, c % GROUP);
            let mut norm = T::ZERO;
            for (packed, &x) in coordinates[group * d..].iter_mut().zip(row) {
                packed[member] = x.minus_twice();
                norm = x.mul_add(x, norm);
            }
            norms[group][member] = norm;
        }
        let id = |group, member| T::from_index((group * GROUP + member) as u32);
        let ids = (0..groups).map(|group| std::array::from_fn(|member| id(group, member))).collect();
        let squares = norms.as_flattened().iter().take(k).map(|norm| norm.to_f64());
        let error = ScoreError::new::<T>(d, squares.fold(0.0, f64::max));
        Packed { k, d, coordinates, norms, ids, error }
    }

    /// Replaces `some` with those of the centroids that are named by `ids`, in that order. Rows are labelled as by `self`.
    pub(crate) fn choose(&self, ids: &[u32], some: &mut Self) {
        let (d, groups) = (self.d, ids.len().div_ceil(GROUP));
        (some.k, some.d, some.error) = (ids.len(), d, self.error);
        some.coordinates.resize(groups * d, [T::ZERO; GROUP]);
        some.norms.clear();
        some.norms.resize(groups, [T::INFINITY; GROUP]);
        some.ids.resize(groups, [T::ZERO; GROUP]);
        for (i, &id) in ids.iter().enumerate() {
            let (group, member) = (i / GROUP, i % GROUP);
            some.norms[group][member] = self.norm(id as usize);
            some.ids[group][member] = T::from_index(id);
            for (j, packed) in some.coordinates[group * d..][..d].iter_mut().enumerate() {
                packed[member] = self.coordinate(id as usize, j);
            }
        }
    }

    /// `|c|^2` of a centroid.
    pub(crate) fn norm(&self, centroid: usize) -> T {
        self.norms[centroid / GROUP][centroid % GROUP]
    }

    /// `-2 c` of a centroid in a column.
    pub(crate) fn coordinate(&self, centroid: usize, column: usize) -> T {
        self.coordinates[centroid / GROUP * self.d + column][centroid % GROUP]
    }

    /// The number of centroids.
    #[must_use]
    pub fn k(&self) -> usize {
        self.k
    }

    /// The number of columns.
    #[must_use]
    pub fn d(&self) -> usize {
        self.d
    }
}
