//! [`Silhouette`]: how well clusters are apart, to compare numbers of clusters by.

use crate::{
    centred::Centred,
    distance::Distance,
    jobs::pick::FetchRows,
    kernel::distance::squared_distance,
    labelling::label_some,
    numeric::{random::sample, scalar::Scalar},
    session::{Data, Session},
};
use mapreduce_core::{Engine, Error};

/// The mean silhouette needs the distance of every two rows, so it is taken of a sample: 2000 rows give two digits.
const ROWS_MAX: usize = 2000;
/// Random numbers for the rows of the sample.
const STREAM_SAMPLE: u64 = 0x73_696c_686f; // "silho"

/// A sample of rows and the distances between them.
///
/// Source: Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster analysis", Journal
/// of Computational and Applied Mathematics 20, 1987.
pub(crate) struct Silhouette<T> {
    /// Row-major: centred rows of `d` columns.
    values: Vec<T>,
    d: usize,
    /// Row-major, each row of the sample to each.
    distances: Vec<f64>,
}

impl<T: Scalar> Silhouette<T> {
    /// Draws the sample: all rows, or as many as there may be.
    pub(crate) fn new<E: Engine>(
        centred: &Centred<T>,
        seed: u64,
        data: &Data<'_, T>,
        session: &mut Session<'_, E>,
    ) -> Result<Self, Error> {
        let rows = sample(centred.rows(), ROWS_MAX, seed, STREAM_SAMPLE);
        let fetch = FetchRows::<T>::new(rows.iter().map(|&row| row as u64).collect(), centred.d());
        let points: Vec<Vec<f64>> =
            session.run(&fetch, &(), data)?.pairs.into_iter().map(|(_, point)| point).collect();
        // They were elements before.
        let values = points.iter().flatten().map(|&x| T::from_f64(x)).collect();
        Ok(Self { values, d: centred.d(), distances: distances(&points, centred.distance) })
    }

    /// The mean silhouette of the sample when each of its rows belongs to the nearest of these centroids, which are in the
    /// coordinates of the centred rows. `None` if fewer than two of them have rows in the sample.
    pub(crate) fn score(&self, centroids: &[f64]) -> Option<f64> {
        let &Self { ref values, d, ref distances } = self;
        mean_silhouette(distances, &label_some(values, d, centroids), centroids.len() / d)
    }
}

/// The distance of each point to each, row-major.
fn distances(points: &[Vec<f64>], distance: Distance) -> Vec<f64> {
    let m = points.len();
    let mut distances = vec![0.0; m * m];
    for i in 0..m {
        for j in 0..i {
            let found = distance.of_squared(squared_distance(&points[i], &points[j]));
            distances[i * m + j] = found;
            distances[j * m + i] = found;
        }
    }
    distances
}

fn mean_silhouette(distances: &[f64], labels: &[usize], k: usize) -> Option<f64> {
    let mut sizes = vec![0_usize; k];
    labels.iter().for_each(|&label| sizes[label] += 1);
    if sizes.iter().filter(|&&size| size > 0).count() < 2 {
        return None;
    }
    let mut sums = vec![0.0; k];
    let mut total = 0.0;
    for (distances, &own) in distances.chunks_exact(labels.len()).zip(labels) {
        if sizes[own] == 1 {
            continue; // 0 by definition
        }
        sums.fill(0.0);
        for (distance, &label) in distances.iter().zip(labels) {
            sums[label] += distance;
        }
        let within = sums[own] / (sizes[own] - 1) as f64;
        let others = (0..k).filter(|&other| other != own && sizes[other] > 0);
        let nearest = others.map(|other| sums[other] / sizes[other] as f64).fold(f64::INFINITY, f64::min);
        let larger = within.max(nearest);
        if larger > 0.0 {
            total += (nearest - within) / larger;
        }
    }
    Some(total / labels.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(points: &[f64], labels: &[usize], k: usize) -> Option<f64> {
        let points: Vec<Vec<f64>> = points.iter().map(|&x| vec![x]).collect();
        mean_silhouette(&distances(&points, Distance::Euclidean), labels, k)
    }

    #[test]
    fn the_mean_is_that_of_the_definition() {
        // Within 1, to the others 9.5 and 10.5, for each pair; the single row counts as 0.
        let expected = 2.0 * ((10.5 - 1.0) / 10.5 + (9.5 - 1.0) / 9.5);
        assert_eq!(score(&[0.0, 1.0, 10.0, 11.0], &[0, 0, 1, 1], 2), Some(expected / 4.0));
        assert_eq!(score(&[0.0, 1.0, 10.0, 11.0, 500.0], &[0, 0, 2, 2, 1], 4), Some(expected / 5.0));
    }

    #[test]
    fn rows_in_the_wrong_cluster_score_below_zero() {
        assert!(score(&[0.0, 10.0, 1.0, 11.0], &[0, 0, 1, 1], 2) < Some(0.0));
    }

    #[test]
    fn one_cluster_has_no_silhouette_and_coinciding_rows_have_none_to_speak_of() {
        assert_eq!(score(&[0.0, 1.0], &[1, 1], 3), None);
        assert_eq!(score(&[4.0; 4], &[0, 0, 1, 1], 2), Some(0.0));
    }
}
