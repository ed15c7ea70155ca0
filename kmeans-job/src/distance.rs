//! [`Distance`]: what being near means.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How the distance of rows and centroids is measured.
///
/// ```
/// use kmeans_job::{Distance, KMeans};
///
/// // Two directions, each at very different lengths.
/// let points = [[1.0, 0.1], [900.0, 80.0], [0.1, 1.0], [70.0, 900.0]];
/// let fit = KMeans::builder().k(2).distance(Distance::Cosine).build()?.fit(&points)?;
/// assert_eq!((fit.labels[0], fit.labels[2]), (fit.labels[1], fit.labels[3]));
/// assert_ne!(fit.labels[0], fit.labels[2]);
/// assert!(fit.model.inertia < 0.001); // the sum of 1 - cos
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Distance {
    /// The length of the difference. Cost and inertia are sums of its squares.
    #[default]
    Euclidean,
    /// One minus the cosine of the angle between them: only directions count, not lengths. Cost and inertia are sums of
    /// it. A row of zeros has no direction and is an error.
    ///
    /// Rows are scaled to unit length once; a centroid is the mean of its rows, scaled to unit length again, and stays
    /// where it was if that mean is zero.
    ///
    /// Source: Dhillon and Modha, "Concept decompositions for large sparse text data using clustering", Machine Learning
    /// 42, 2001 (spherical k-means).
    Cosine,
}

impl Distance {
    /// The part in cost and inertia of rows whose squared Euclidean distances, as they are computed with, add up to
    /// `squared`. For unit vectors those are twice as large as 1 - cos; and halved they are far closer to it than
    /// 1 less the product of two vectors whose lengths are rounded.
    pub(crate) fn cost(self, squared: f64) -> f64 {
        match self {
            Self::Euclidean => squared,
            Self::Cosine => squared / 2.0,
        }
    }

    /// The distance of a row and a point whose squared Euclidean distance, as they are computed with, is `squared`.
    pub(crate) fn of_squared(self, squared: f64) -> f64 {
        match self {
            Self::Euclidean => squared.sqrt(),
            Self::Cosine => squared / 2.0,
        }
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Euclidean => "euclidean",
            Self::Cosine => "cosine",
        })
    }
}
