//! Data at the ends of what the types hold.

use super::{
    data::{Table, blobs},
    fit, observed_fit,
};
use kmeans_job::{KMeans, KMeansBuilder, Start};

fn two() -> KMeansBuilder {
    KMeans::builder().k(2).tol(0.0)
}

#[test]
fn a_huge_constant_column_is_no_obstacle() {
    for huge in [1e300, f64::MAX, -1e300] {
        let table = Table::new(2, [huge, 0.0, huge, 1.0, huge, 10.0, huge, 11.0]);
        let fit = fit(table.f64(), &two()).unwrap();
        assert_eq!(fit.model.inertia, 1.0);
        assert!(fit.model.centroids.iter().all(|centroid| centroid[0] == huge));
    }
    let max = f64::from(f32::MAX);
    let table = Table::new(2, [max, 0.0, max, 1.0, max, 10.0, max, 11.0]);
    assert_eq!(fit(table.f32(), &two()).unwrap().model.inertia, 1.0);
}

#[test]
fn a_huge_constant_column_does_not_hide_the_spread_that_the_tolerance_is_measured_by() {
    let iterations = |offset: f64| {
        let table = blobs(2000, 2, 9, 2.0, 1);
        let values = (0..2000).flat_map(|i| [offset, table.row(i)[0], table.row(i)[1]]).collect::<Vec<_>>();
        let table = Table::new(3, values);
        let options = KMeans::builder().k(6).tol(1e-2).start(Start::Given(table.pick(0..6).matrix()));
        observed_fit(table.f64(), &options).1
    };
    let expected = iterations(0.0);
    assert!(expected.last().unwrap().moved > 0, "ended by the tolerance");
    for offset in [0.1, 1e15 + 0.25, 1e100 / 3.0, 1e300 / 7.0] {
        assert_eq!(iterations(offset), expected, "{offset:e}");
    }
}

#[test]
fn a_huge_column_decides_beside_a_tiny_one() {
    let rows = [1e15, 1e-15, 1e15, 2e-15, -1e15, 1e-15, -1e15, 2e-15];
    for points in [Table::new(2, rows).f64(), Table::new(2, rows).f32()] {
        let fit = fit(points, &two()).unwrap();
        assert_eq!(fit.labels[0], fit.labels[1]);
        assert_eq!(fit.labels[2], fit.labels[3]);
        assert_ne!(fit.labels[0], fit.labels[2]);
        assert!(fit.model.inertia < 1e-28, "{:e}", fit.model.inertia);
    }
}

#[test]
fn a_column_of_subnormal_numbers_beside_others_is_no_obstacle() {
    let rows = [0.0, 5e-324, 1.0, 1e-310, 10.0, 0.0, 11.0, 2e-310];
    let fit = fit(Table::new(2, rows).f64(), &two()).unwrap();
    assert_eq!(fit.model.inertia, 1.0);
}

#[test]
fn one_iteration_moves_the_centroids_once_and_labels_by_where_they_went() {
    let start = Start::Given(Table::new(1, [0.0, 4.0]).matrix());
    let options = two().max_iter(1).start(start);
    let fit = fit(Table::new(1, [0.0, 1.0, 3.0, 20.0]).f64(), &options).unwrap();
    assert_eq!((fit.model.iterations, fit.model.converged), (1, false));
    assert_eq!(fit.model.centroids, [[0.5], [11.5]]);
    assert_eq!((fit.labels, fit.model.counts), (vec![0, 0, 0, 1], vec![3, 1]));
    assert_eq!(fit.model.cost_per_iteration, [1.0 + 1.0 + 256.0]);
    assert_eq!(fit.model.inertia, 0.25 + 0.25 + 6.25 + 72.25);
}

#[test]
fn rows_that_the_arithmetic_cannot_tell_apart_come_to_an_end() {
    // The two last differ in the last bit of f32, which the scores of the kernel do not resolve.
    let table = Table::new(1, [-1000.0, 1000.0, f64::from(1000_f32.next_up())]);
    for start in [Start::Parallel, Start::Random, Start::Given(table.matrix())] {
        let options = KMeans::builder().k(3).start(start).tol(0.0);
        let fit = fit(table.f32(), &options).unwrap();
        assert!(fit.model.converged && fit.model.iterations < 5, "{:?}", fit.model);
        assert!(fit.model.inertia < 1e-8);
        assert_ne!(fit.labels[0], fit.labels[1]);
    }
}

#[test]
fn noise_far_below_the_spread_comes_to_an_end() {
    let values = blobs(5000, 1, 1, 1e-5, 1).values;
    let table = Table::new(1, (0..5000).map(|i| f64::from(i % 3) + values[i as usize]).collect::<Vec<_>>());
    for start in [Start::Parallel, Start::Random] {
        let fit = fit(table.f32(), &KMeans::builder().k(40).start(start).max_iter(20)).unwrap();
        assert!(fit.model.inertia < 1e-3, "{}", fit.model.inertia);
    }
}
