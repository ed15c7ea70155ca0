//! Fits of rows that are near those that follow them as they are: most centroids are passed over, and nothing changes.

use super::{
    ENGINE,
    data::{Table, blobs},
    fit_on, observed_fit,
    oracle::lloyd,
};
use kmeans_job::{Fit, KMeans, KMeansBuilder, Start, data::Points};

/// Rows of `clusters` that touch, one after the other; the last leaf of each split is a short one.
fn in_order(n: usize, d: usize, clusters: usize) -> Table {
    let mixed = blobs(n, d, clusters, 0.3, 21);
    mixed.pick((0..clusters).flat_map(|cluster| (cluster..n).step_by(clusters)))
}

/// Each row once, far from those that were beside it.
fn mixed(n: usize) -> Vec<usize> {
    // A prime that does not divide the numbers of rows here.
    (0..n).map(|i| i * 7919 % n).collect()
}

fn given(start: &Table, iterations: u32) -> KMeansBuilder {
    let start_rows = start.rows();
    KMeans::builder().k(start_rows).start(Start::Given(start.matrix())).tol(0.0).max_iter(iterations)
}

const ROWS: usize = (1 << 15) + 41;

#[test]
fn each_iteration_is_that_of_plain_loops() {
    for (d, clusters, k) in [(10, 3, 5), (2, 4, 3)] {
        let table = in_order(ROWS, d, clusters);
        let start = table.pick((0..k).map(|c| c * (ROWS / k) + 77));
        let (most, oracle) = lloyd(&table, &start.values, 0.0, 9).unwrap();
        assert!(k < clusters || most > 3, "leaves are there from the second iteration on");
        let (fit, iterations) = observed_fit(table.f64(), &given(&start, most));
        assert_eq!(fit.labels, oracle.labels);
        let moved = |iterations: &[kmeans_job::Iteration]| -> Vec<u64> {
            iterations.iter().map(|iteration| iteration.moved).collect()
        };
        assert_eq!(moved(&iterations), moved(&oracle.iterations));
        assert!(k < clusters || iterations[2].moved > 0, "rows move when there are leaves");
        for number in 1..most {
            let (until, oracle) = lloyd(&table, &start.values, 0.0, number).unwrap();
            let fit = fit_on(&*ENGINE, table.f64(), &given(&start, until)).unwrap();
            assert_eq!(fit.labels, oracle.labels, "after {number} iterations");
        }
    }
}

#[test]
fn the_order_does_not_show_in_any_bit() {
    for (d, clusters, k) in [(12, 5, 12), (20, 5, 3), (3, 6, 7), (9, 4, 40)] {
        let table = in_order(ROWS, d, clusters);
        let order = mixed(ROWS);
        let other = table.pick(order.iter().copied());
        let options = given(&table.pick((0..k).map(|c| c * (ROWS / k) + 9)), 8);
        for (near, far) in [(table.f64(), other.f64()), (table.f32(), other.f32())] {
            let (near, far) = (observed_fit(near, &options), observed_fit(far, &options));
            assert_same(&near.0, &far.0, &order);
            assert_eq!(near.1, far.1);
        }
    }
}

#[test]
fn nor_does_it_with_weights() {
    let (table, order) = (in_order(ROWS, 11, 4), mixed(ROWS));
    let weights: Vec<f64> = (0..ROWS).map(|row| (row % 9) as f64 / 4.0).collect();
    let moved: Vec<f64> = order.iter().map(|&row| weights[row]).collect();
    let other = table.pick(order.iter().copied());
    let kmeans = given(&table.pick((0..10).map(|c| c * 3000)), 8).build().unwrap();
    let fit = |points: Points, weights: &[f64]| kmeans.fit_weighted_on(&*ENGINE, points, weights).unwrap();
    for (near, far) in [(table.f64(), other.f64()), (table.f32(), other.f32())] {
        assert_same(&fit(near, &weights), &fit(far, &moved), &order);
    }
}

fn assert_same(near: &Fit, far: &Fit, order: &[usize]) {
    assert_eq!(near.model, far.model);
    assert!(order.iter().zip(&far.labels).all(|(&row, label)| near.labels[row] == *label));
}
