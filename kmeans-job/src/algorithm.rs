//! [`Algorithm`]: how clusters are found.

/// How clusters are found, from start centroids or by splitting.
///
/// ```
/// use kmeans_job::{Algorithm, KMeans};
///
/// let points = [[0.0], [1.0], [10.0], [11.0], [100.0]];
/// let fit = KMeans::builder().k(3).algorithm(Algorithm::Bisecting).build()?.fit(&points)?;
/// assert_eq!(fit.model.inertia, 1.0);
/// assert_eq!(fit.model.iterations, 2); // splits
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Algorithm {
    /// Lloyd's: every row goes to its nearest centroid, every centroid to the mean of its rows, until nothing moves.
    #[default]
    Lloyd,
    /// Bisecting: all rows are one cluster first; then the cluster with the largest inertia is split in two, by Lloyd's
    /// algorithm on its rows alone, until there are `k`. Needs no start centroids for all clusters at once, and gives
    /// clusters of more even inertia.
    ///
    /// The result is the flat [model](crate::Model) of `k` centroids: labels, and so sizes and inertia, are by the nearest
    /// of them all, for the rows of the fit as for new ones, not by the way down the splits.
    ///
    /// An [iteration](crate::Iteration) is a split: its cost is the sum of the inertias of the clusters it began with, its
    /// moved rows are those of the new cluster. The [start](crate::KMeansBuilder::start), `max_iter` and `tol` are for each
    /// split, and empty clusters always [relocate](crate::EmptyClusters::Relocate). It takes 4 bytes a row, and
    /// the memory of the rows of the second largest cluster once more, or [a temporary file](crate::KMeansBuilder::overflow).
    ///
    /// Source: Steinbach, Karypis and Kumar, "A comparison of document clustering techniques", KDD workshop on text mining,
    /// 2000; the choice of the cluster is that of scikit-learn.
    Bisecting,
    /// Mini-batches: **an approximation**, for many rows. A round draws rows at random, assigns them to their nearest
    /// centroids and moves each centroid towards the mean of its rows, by a step that shrinks with the rows it has seen.
    /// When the rounds are over, one pass over all rows labels them and finds sizes and inertia.
    ///
    /// An [iteration](crate::Iteration) is a round: its cost is an estimate from the rows drawn, its moved rows are those
    /// that were drawn. Rounds end when the smoothed sum of the squared shifts is at most what `tol` says, or at
    /// `max_iter`. A centroid that wins no rows stays where it is.
    ///
    /// Source: Sculley, "Web-scale k-means clustering", WWW 2010.
    MiniBatch {
        /// How many rows a round draws on average: each one with the same probability, decided by the seed, the round and
        /// its index.
        batch: u64,
    },
}

impl Algorithm {
    /// Mini-batches of 10 240 rows.
    pub const MINI_BATCH: Self = Self::MiniBatch { batch: 10_240 };
}
