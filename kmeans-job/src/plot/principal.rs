//! [`principal_axes`]: the plane in which rows differ most.

use crate::numeric::random::uniform;
use std::array;

/// Vectors that are iterated: the two that are wanted, and more of them, by which the two are found sooner.
const VECTORS: usize = 8;
/// Rounds at the most. Where the variances of very many directions are alike, no plane is better than others.
const ROUNDS_MAX: usize = 20;
/// Rounds end when the share of the variance that the plane has grows by less.
const GAIN_MIN: f64 = 1e-6;
/// Sweeps of Jacobi's method; it converges quadratically, and fewer than ten do for such small matrices.
const SWEEPS_MAX: usize = 30;
/// What is left of a vector that depends on others is rounding.
const DEPENDENT: f64 = 1e-10;
/// Random numbers for the vectors to begin with.
const STREAM_AXES: u64 = 0x6178_6573; // "axes"

/// The first two principal axes.
#[derive(Debug)]
pub(super) struct PrincipalAxes {
    /// Unit vectors, orthogonal to each other; zero if the rows do not differ in so many directions.
    pub(super) axes: [Vec<f64>; 2],
    /// The shares of the variance, from 0 to 1.
    pub(super) shares: [f64; 2],
}

/// The axes of centred rows of `d` numbers, which should be of about the size of 1. The element of an axis that is largest
/// in magnitude is positive.
///
/// Rows of few numbers are a matrix whose eigenvectors Jacobi's method finds. Of others the eigenvectors are those of the
/// subspace that is left when a few vectors are multiplied by the covariance again and again, which is never made: it
/// would have d² numbers. All of it runs in one order, without functions of the platform: the bits are always the same.
///
/// Sources: Golub and Van Loan, "Matrix Computations", sections 8.2.4 (orthogonal iteration) and 8.5 (Jacobi's method);
/// more vectors than are wanted: Halko, Martinsson and Tropp, "Finding structure with randomness", SIAM Review 53(2), 2011.
pub(super) fn principal_axes(rows: &[f64], d: usize) -> PrincipalAxes {
    let total: f64 = rows.iter().map(|x| x * x).sum();
    let mut vectors: Vec<Vec<f64>> = if d <= VECTORS {
        (0..d).map(|i| (0..d).map(|j| f64::from(u8::from(i == j))).collect()).collect()
    } else {
        let random = |i: usize| uniform(0, STREAM_AXES, i as u64) - 0.5;
        orthonormal((0..VECTORS).map(|i| (0..d).map(|j| random(i * d + j)).collect()).collect())
    };
    let mut variances = align(&mut vectors, rows);
    if d > VECTORS && total > 0.0 {
        for _ in 0..ROUNDS_MAX {
            let before = top(&variances);
            vectors = orthonormal(multiply(&vectors, rows));
            variances = align(&mut vectors, rows);
            if top(&variances) - before <= GAIN_MIN * total {
                break;
            }
        }
    }
    let share = |i: usize| variances.get(i).map_or(0.0, |variance| variance.max(0.0));
    let shares = array::from_fn(|i| if total > 0.0 { share(i) / total } else { 0.0 });
    let mut vectors = vectors.into_iter();
    let axes = array::from_fn(|_| directed(vectors.next().unwrap_or_else(|| vec![0.0; d])));
    PrincipalAxes { axes, shares }
}

/// The coordinate of a row on an axis.
pub(super) fn dot(row: &[f64], axis: &[f64]) -> f64 {
    row.iter().zip(axis).map(|(x, a)| x * a).sum()
}

fn top(variances: &[f64]) -> f64 {
    variances.iter().take(2).sum()
}

/// The vectors multiplied by the covariance (times the number of rows).
fn multiply(vectors: &[Vec<f64>], rows: &[f64]) -> Vec<Vec<f64>> {
    let d = vectors.first().map_or(1, Vec::len);
    let mut products = vec![vec![0.0; d]; vectors.len()];
    for row in rows.chunks_exact(d) {
        for (vector, product) in vectors.iter().zip(&mut products) {
            let coordinate = dot(row, vector);
            product.iter_mut().zip(row).for_each(|(sum, x)| *sum += coordinate * x);
        }
    }
    products
}

/// Orthonormal vectors of the same span, by Gram and Schmidt's method, each done twice for its rounding. Those that depend
/// on others are left out.
fn orthonormal(vectors: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for mut vector in vectors {
        let length = dot(&vector, &vector).sqrt();
        for other in basis.iter().chain(&basis) {
            let along = dot(&vector, other);
            vector.iter_mut().zip(other).for_each(|(x, other)| *x -= along * other);
        }
        let left = dot(&vector, &vector).sqrt();
        if left > DEPENDENT * length {
            vector.iter_mut().for_each(|x| *x /= left);
            basis.push(vector);
        }
    }
    basis
}

/// Turns orthonormal vectors within their span to the principal axes of the rows in it, and gives the variances along
/// them (times the number of rows), the largest first.
fn align(vectors: &mut Vec<Vec<f64>>, rows: &[f64]) -> Vec<f64> {
    let m = vectors.len();
    let mut matrix = vec![vec![0.0; m]; m];
    for row in rows.chunks_exact(vectors.first().map_or(1, Vec::len)) {
        let coordinates: Vec<f64> = vectors.iter().map(|vector| dot(row, vector)).collect();
        for (i, x) in coordinates.iter().enumerate() {
            for (sum, y) in matrix[i].iter_mut().zip(&coordinates) {
                *sum += x * y;
            }
        }
    }
    diagonalize(&mut matrix, vectors);
    let variances: Vec<f64> = (0..m).map(|i| matrix[i][i]).collect();
    let mut order: Vec<usize> = (0..m).collect();
    // Stable: of equal variances the first direction stays the first.
    order.sort_by(|&i, &j| variances[j].total_cmp(&variances[i]));
    *vectors = order.iter().map(|&i| vectors[i].clone()).collect();
    order.into_iter().map(|i| variances[i]).collect()
}

/// Makes a symmetric matrix diagonal by rotations, and rotates the vectors that its rows stand for along.
fn diagonalize(matrix: &mut [Vec<f64>], vectors: &mut [Vec<f64>]) {
    let m = matrix.len();
    for _ in 0..SWEEPS_MAX {
        let mut is_diagonal = true;
        for p in 0..m {
            for q in p + 1..m {
                let off = matrix[p][q];
                // Nothing is left of it beside the elements that it would change.
                if off.abs() <= f64::EPSILON * 1e-3 * (matrix[p][p] * matrix[q][q]).abs().sqrt() {
                    continue;
                }
                is_diagonal = false;
                let tau = (matrix[q][q] - matrix[p][p]) / (2.0 * off);
                let t = tau.signum() / (tau.abs() + (1.0 + tau * tau).sqrt());
                let c = 1.0 / (1.0 + t * t).sqrt();
                let s = t * c;
                for row in matrix.iter_mut() {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                rotate(matrix, p, q, c, s);
                rotate(vectors, p, q, c, s);
            }
        }
        if is_diagonal {
            break;
        }
    }
}

fn rotate(rows: &mut [Vec<f64>], p: usize, q: usize, c: f64, s: f64) {
    let (head, tail) = rows.split_at_mut(q);
    for (x, y) in head[p].iter_mut().zip(&mut tail[0]) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
}

/// Of the two directions of an axis, the one that is told by the sign of its largest element.
fn directed(mut axis: Vec<f64>) -> Vec<f64> {
    let largest = axis.iter().fold(0.0_f64, |largest, &x| if x.abs() > largest.abs() { x } else { largest });
    if largest < 0.0 {
        axis.iter_mut().for_each(|x| *x = -*x);
    }
    axis
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Centred rows of `d` numbers whose differences lie in the plane of two orthonormal vectors, with their coordinates.
    fn in_a_plane(coordinates: &[[f64; 2]], d: usize, seed: u64) -> (Vec<f64>, Vec<[f64; 2]>) {
        let random = |i: usize| uniform(seed, 1, i as u64) - 0.5;
        let plane = orthonormal((0..2).map(|i| (0..d).map(|j| random(i * d + j)).collect()).collect());
        let n = coordinates.len() as f64;
        let mean: [f64; 2] = array::from_fn(|i| coordinates.iter().map(|point| point[i]).sum::<f64>() / n);
        let centred: Vec<[f64; 2]> =
            coordinates.iter().map(|point| array::from_fn(|i| point[i] - mean[i])).collect();
        let row = |point: &[f64; 2]| -> Vec<f64> {
            (0..d).map(|j| point[0] * plane[0][j] + point[1] * plane[1][j]).collect()
        };
        (centred.iter().flat_map(row).collect(), centred)
    }

    proptest! {
        #[test]
        fn a_plane_that_was_turned_into_more_dimensions_is_found(
            points in prop::collection::vec(prop::array::uniform2(-1.0..1.0_f64), 3..40),
            d in prop_oneof![2..7_usize, 9..40_usize],
            seed in 0..1000_u64,
        ) {
            let (rows, centred) = in_a_plane(&points, d, seed);
            let found = principal_axes(&rows, d);
            let project = |row: &[f64]| [dot(row, &found.axes[0]), dot(row, &found.axes[1])];
            let projected: Vec<[f64; 2]> = rows.chunks_exact(d).map(project).collect();
            let distance = |a: [f64; 2], b: [f64; 2]| ((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)).sqrt();
            for i in 0..points.len() {
                for j in 0..i {
                    let (expected, kept) = (distance(centred[i], centred[j]), distance(projected[i], projected[j]));
                    prop_assert!((expected - kept).abs() < 1e-6, "{expected} {kept}");
                }
            }
            prop_assert!((found.shares[0] + found.shares[1] - 1.0).abs() < 1e-6);
            prop_assert!(found.shares[0] >= found.shares[1]);
            let uncorrelated: f64 = projected.iter().map(|[x, y]| x * y).sum();
            prop_assert!(uncorrelated.abs() < 1e-4, "{uncorrelated}");
        }

        #[test]
        fn the_axes_are_those_of_the_closed_form_in_two_dimensions(
            points in prop::collection::vec(prop::array::uniform2(-1.0..1.0_f64), 3..40),
        ) {
            let n = points.len() as f64;
            let mean: [f64; 2] = array::from_fn(|i| points.iter().map(|point| point[i]).sum::<f64>() / n);
            let rows: Vec<f64> = points.iter().flat_map(|point| [point[0] - mean[0], point[1] - mean[1]]).collect();
            let sum = |i: usize, j: usize| rows.chunks_exact(2).map(|row| row[i] * row[j]).sum::<f64>();
            let (a, b, c) = (sum(0, 0), sum(0, 1), sum(1, 1));
            let largest = (a + c) / 2.0 + (((a - c) / 2.0).powi(2) + b * b).sqrt();
            let found = principal_axes(&rows, 2);
            prop_assert!((found.shares[0] - largest / (a + c)).abs() < 1e-9);
            // An eigenvector: the matrix does not turn it.
            let [x, y] = [found.axes[0][0], found.axes[0][1]];
            prop_assert!((a * x + b * y - largest * x).abs() < 1e-9 * (1.0 + largest));
            prop_assert!((b * x + c * y - largest * y).abs() < 1e-9 * (1.0 + largest));
        }
    }

    #[test]
    fn many_columns_have_the_axes_of_their_variances() {
        // Independent columns of falling deviations: the axes are the first two columns.
        let d = 60;
        let rows: Vec<f64> = (0..400 * d)
            .map(|i| (uniform(5, 2, i as u64) - 0.5) * [9.0, 5.0].get(i % d).copied().unwrap_or(1.0))
            .collect();
        let found = principal_axes(&rows, d);
        assert!(found.axes[0][0] > 0.99 && found.axes[1][1] > 0.99, "{:?}", found.axes);
        assert!(dot(&found.axes[0], &found.axes[1]).abs() < 1e-12);
    }

    #[test]
    fn directions_that_are_not_there_are_zero() {
        let line: Vec<f64> = (-5..=5).flat_map(|i| (0..12).map(move |j| f64::from(i * j) / 60.0)).collect();
        let found = principal_axes(&line, 12);
        assert!((found.shares[0] - 1.0).abs() < 1e-12 && found.shares[1].abs() < 1e-12, "{:?}", found.shares);
        for d in [3, 12] {
            let found = principal_axes(&vec![0.0; 4 * d], d);
            assert_eq!(found.shares, [0.0, 0.0]);
            assert!(found.axes.iter().flatten().all(|x| x.is_finite()));
        }
    }
}
