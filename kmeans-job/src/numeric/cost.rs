//! The cost of an iteration from its sums, without another pass over the rows.

use crate::numeric::exact::ExactSum;
use crate::numeric::grid::Grid;
use crate::numeric::scalar::{FixedSum, Scalar};

/// The sum of squared distances of all rows to the centroids of their clusters.
///
/// `squares` is the sum of the squares of all elements; `sums` (row-major `k x d`, on the grid) and `counts` (`k`,
/// in units of its weights) are the clusters' sums and sizes; `centroids` (row-major `k x d`) are any points, usually those the rows were
/// assigned to. All of it is in the same coordinates, normally centred.
///
/// With `S` a cluster's sum, `n` its size and `c` its centroid, the cost is
/// `sum |x|^2 + sum over clusters of (n |c|^2 - 2 c.S)`. Where clusters are tight those terms nearly cancel, so they
/// are added exactly and rounded once. What is left is the rounding of elements to the grid: none for integers, else
/// at most `n |c| unit` a column. The result is not negative. The centroid of an empty cluster is not looked at; any
/// other centroid that is not finite makes the cost NaN or infinite.
#[must_use]
pub fn cost_from_sums<T: Scalar>(
    squares: &ExactSum,
    sums: &[T::Sum],
    counts: &[i64],
    grid: &Grid<T>,
    centroids: &[f64],
) -> f64 {
    let d = grid.columns();
    let mut cost = squares.clone();
    for ((sums, centroid), &count) in sums.chunks_exact(d).zip(centroids.chunks_exact(d)).zip(counts) {
        if count == 0 {
            continue;
        }
        for (j, (&sum, &c)) in sums.iter().zip(centroid).enumerate() {
            let unit = grid.unit(j);
            for part in sum.parts() {
                cost.add_product(-2.0 * c, part * unit);
            }
            let square = c * c;
            let error = c.mul_add(c, -square);
            cost.add_product(count as f64 * grid.weight_unit(), square);
            cost.add_product(count as f64 * grid.weight_unit(), error);
        }
    }
    let cost = cost.value();
    if cost < 0.0 { 0.0 } else { cost }
}
