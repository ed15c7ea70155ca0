//! [`View`]: points of any number of columns in the plane of a picture.

use super::{
    principal::{dot, principal_axes},
    sample::Sample,
};
use crate::numeric::random::uniform;

/// Random numbers for the places of points of one column across it.
const STREAM_SPREAD: u64 = 0x7370_7265_6164; // "spread"
/// How far points of one column are spread around the number of their cluster.
const SPREAD: f64 = 0.6;

/// Points and centroids in two dimensions.
pub(super) struct View {
    pub(super) points: Vec<[f64; 2]>,
    pub(super) centroids: Vec<[f64; 2]>,
    /// What the two axes show.
    pub(super) names: [String; 2],
    /// Whether the second axis shows the numbers of clusters.
    pub(super) is_strip: bool,
}

impl View {
    /// Looks at the points, of which these are the labels, so that most is seen of them: one column beside the number of the cluster, two as they are, of
    /// more the plane of the first two principal components.
    pub(super) fn new(sample: &Sample, labels: &[usize], centroids: &[Vec<f64>], seed: u64) -> Self {
        match sample.d {
            1 => Self::strip(sample, labels, centroids, seed),
            2 => Self {
                points: sample.values.chunks_exact(2).map(|row| [row[0], row[1]]).collect(),
                centroids: centroids.iter().map(|row| [row[0], row[1]]).collect(),
                names: ["column 1".to_owned(), "column 2".to_owned()],
                is_strip: false,
            },
            _ => Self::principal(sample, centroids),
        }
    }

    fn strip(sample: &Sample, labels: &[usize], centroids: &[Vec<f64>], seed: u64) -> Self {
        // Points on one line would hide each other.
        let around = |row: usize| SPREAD * (uniform(seed, STREAM_SPREAD, row as u64) - 0.5);
        let place = |((&row, &x), &cluster): ((&usize, &f64), &usize)| [x, cluster as f64 + around(row)];
        Self {
            points: sample.rows.iter().zip(&sample.values).zip(labels).map(place).collect(),
            centroids: (0..).zip(centroids).map(|(cluster, row)| [row[0], f64::from(cluster)]).collect(),
            names: ["column 1".to_owned(), "cluster".to_owned()],
            is_strip: true,
        }
    }

    fn principal(sample: &Sample, centroids: &[Vec<f64>]) -> Self {
        let Sample { d, values, rows, .. } = sample;
        // Neither the squares of large numbers overflow nor those of small ones vanish.
        let largest = values.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
        let unit = if largest > 0.0 { largest } else { 1.0 };
        let mut mean = vec![0.0; *d];
        for row in values.chunks_exact(*d) {
            mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x / unit);
        }
        mean.iter_mut().for_each(|sum| *sum /= rows.len() as f64);
        let centre =
            |row: &[f64]| -> Vec<f64> { row.iter().zip(&mean).map(|(x, mean)| x / unit - mean).collect() };
        let mut centred: Vec<f64> = values.chunks_exact(*d).flat_map(centre).collect();
        // Data far from the origin differs by little of its size.
        let spread = centred.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
        let spread = if spread > 0.0 { spread } else { 1.0 };
        centred.iter_mut().for_each(|x| *x /= spread);

        let found = principal_axes(&centred, *d);
        let project = |row: &[f64]| found.axes.each_ref().map(|axis| dot(row, axis) * spread * unit);
        let name = |which: u8, share: f64| {
            format!("principal component {which} ({:.1} % of variance)", 100.0 * share)
        };
        let normalize =
            |row: &Vec<f64>| -> Vec<f64> { centre(row).into_iter().map(|x| x / spread).collect() };
        Self {
            points: centred.chunks_exact(*d).map(project).collect(),
            centroids: centroids.iter().map(|row| project(&normalize(row))).collect(),
            names: [name(1, found.shares[0]), name(2, found.shares[1])],
            is_strip: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Matrix, Points};

    fn view(d: usize, values: &[f64], labels: &[usize], centroids: &[Vec<f64>]) -> View {
        let points = Points::F64(Matrix::new(values.len() / d, d, values.to_vec()).unwrap());
        View::new(&Sample::new(&points, 0).unwrap(), labels, centroids, 0)
    }

    #[test]
    fn two_columns_are_shown_as_they_are() {
        let found = view(2, &[1.0, 2.0, 3.0, 4.0], &[0, 0], &[vec![2.0, 3.0]]);
        assert_eq!((found.points, found.centroids), (vec![[1.0, 2.0], [3.0, 4.0]], vec![[2.0, 3.0]]));
    }

    #[test]
    fn one_column_is_shown_near_the_number_of_its_cluster() {
        let found = view(1, &[5.0, 6.0, 9.0], &[1, 1, 0], &[vec![9.0], vec![5.5]]);
        assert_eq!(found.centroids, [[9.0, 0.0], [5.5, 1.0]]);
        for (point, (x, label)) in found.points.iter().zip([(5.0, 1.0), (6.0, 1.0), (9.0, 0.0)]) {
            assert!(point[0] == x && (point[1] - label).abs() <= SPREAD / 2.0, "{point:?}");
        }
    }

    #[test]
    fn distances_within_a_plane_are_kept_at_any_size_and_place() {
        // A square in a plane of three dimensions, and its middle.
        let square = [[0.0, 0.0, 0.0], [2.0, 1.0, 2.0], [2.0, -2.0, -1.0], [4.0, -1.0, 1.0]];
        for (unit, shift) in [(1.0, 0.0), (1.0, 1e9), (1e150, 0.0), (1e-150, 0.0)] {
            let place = |x: &f64| x * unit + shift;
            let values: Vec<f64> = square.as_flattened().iter().map(place).collect();
            let middle: Vec<f64> = [2.0, -0.5, 0.5].iter().map(place).collect();
            let found = view(3, &values, &[0; 4], &[middle]);
            let distance =
                |a: [f64; 2], b: [f64; 2]| (a[0] / unit - b[0] / unit).hypot(a[1] / unit - b[1] / unit);
            for (i, j, expected) in [(0, 1, 3.0), (0, 2, 3.0), (1, 3, 3.0), (0, 3, 18.0_f64.sqrt())] {
                let found = distance(found.points[i], found.points[j]);
                assert!((found - expected).abs() < 1e-5, "{unit} {shift}: {found} {expected}");
            }
            for point in &found.points {
                assert!((distance(*point, found.centroids[0]) - 4.5_f64.sqrt()).abs() < 1e-5);
            }
        }
    }
}
