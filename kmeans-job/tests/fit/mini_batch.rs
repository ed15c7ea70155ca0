//! Mini-batches: against plain loops where every row is drawn, and against Lloyd's algorithm where not.

use super::{
    data::{Table, blobs},
    fit, observed_fit,
    oracle::squared_distance,
};
use kmeans_job::{Algorithm, Distance, KMeans, KMeansBuilder, OptionsError, Start};

fn mini_batch(k: usize, batch: u64) -> KMeansBuilder {
    KMeans::builder().k(k).algorithm(Algorithm::MiniBatch { batch })
}

/// Sculley's rounds over all rows: centroids and the cost of each.
fn rounds(table: &Table, start: &[f64], count: u32) -> (Vec<f64>, Vec<f64>) {
    let (d, k) = (table.d, start.len() / table.d);
    let (mut centroids, mut seen, mut costs) = (start.to_vec(), vec![0.0; k], Vec::new());
    for _ in 0..count {
        let (before, mut cost) = (centroids.clone(), 0.0);
        for row in (0..table.rows()).map(|row| table.row(row)) {
            let distance = |c: usize| squared_distance(row, &before[c * d..][..d]);
            let nearest = (0..k).min_by(|&a, &b| distance(a).total_cmp(&distance(b))).unwrap();
            cost += distance(nearest);
            // One row after the other.
            seen[nearest] += 1.0;
            for (c, x) in centroids[nearest * d..][..d].iter_mut().zip(row) {
                *c += (x - *c) / seen[nearest];
            }
        }
        costs.push(cost);
    }
    (centroids, costs)
}

#[test]
fn rounds_over_all_rows_are_those_of_the_source() {
    for (d, k, count) in [(1, 3, 1), (2, 5, 4), (6, 7, 9)] {
        let table = blobs(300, d, k, 0.5, 8).map(|j, x| x + 10.0 * j as f64);
        let start = table.pick(0..k);
        let (centroids, costs) = rounds(&table, &start.values, count);
        for batch in [300, 1_000_000] {
            let options = mini_batch(k, batch).start(Start::Given(start.matrix())).tol(0.0).max_iter(count);
            let (found, iterations) = observed_fit(table.f64(), &options);
            for (found, expected) in found.model.centroids.concat().iter().zip(&centroids) {
                assert!((found - expected).abs() < 1e-10, "{found} {expected}");
            }
            for (found, expected) in found.model.cost_per_iteration.iter().zip(&costs) {
                assert!((found / expected - 1.0).abs() < 1e-10, "{found} {expected}");
            }
            assert!(iterations.iter().all(|iteration| iteration.moved == 300));
            assert_eq!(iterations.len() as u32, count);
        }
    }
}

#[test]
fn the_inertia_is_near_that_of_lloyd_from_the_same_start() {
    let table = blobs(4000, 3, 12, 0.25, 1);
    let directions = blobs(4000, 3, 12, 0.05, 1).map(|_, x| x - 0.5);
    for (distance, table) in [(Distance::Euclidean, table), (Distance::Cosine, directions)] {
        for seed in 0..5 {
            let lloyd = KMeans::builder().k(12).distance(distance).seed(seed);
            let exact = fit(table.f32(), &lloyd).unwrap().model;
            let options = lloyd.algorithm(Algorithm::MiniBatch { batch: 400 });
            let found = fit(table.f32(), &options).unwrap().model;
            assert!(found.inertia < 1.05 * exact.inertia, "{distance} {} {}", found.inertia, exact.inertia);
            assert!(found.converged && found.counts.iter().sum::<u64>() == 4000);
        }
    }
}

#[test]
fn rounds_draw_other_rows_each_and_as_many_as_asked_for() {
    let table = blobs(2000, 2, 4, 0.3, 2);
    let (_, iterations) = observed_fit(table.f64(), &mini_batch(4, 100).tol(0.0).max_iter(50));
    let drawn: Vec<u64> = iterations.iter().map(|iteration| iteration.moved).collect();
    // Each round five standard deviations, all together as well.
    assert!(drawn.iter().all(|&n| (51..149).contains(&n)), "{drawn:?}");
    assert!(drawn.iter().sum::<u64>().abs_diff(5000) < 350);
    assert!(iterations.windows(2).all(|pair| pair[0].cost != pair[1].cost));
    // Estimates of the cost of all rows: it begins to differ from the first by the sample only.
    let (exact, _) = observed_fit(table.f64(), &KMeans::builder().k(4).max_iter(1));
    assert!((iterations[0].cost / exact.model.cost_per_iteration[0] - 1.0).abs() < 0.5);
}

#[test]
fn rounds_that_draw_nothing_change_nothing() {
    let table = blobs(50, 2, 3, 0.3, 2);
    let (fit, iterations) = observed_fit(table.f64(), &mini_batch(3, 1).tol(0.0).max_iter(60));
    let none = iterations.iter().filter(|iteration| iteration.moved == 0);
    assert!(none.clone().count() > 5 && none.clone().count() < 50);
    assert!(none.clone().all(|iteration| iteration.shift == 0.0 && iteration.cost.is_finite()));
    assert!(!fit.model.converged && fit.model.iterations == 60);
}

#[test]
fn batches_have_rows() {
    let error = mini_batch(2, 0).build().unwrap_err();
    assert_eq!(error, OptionsError::EmptyBatch);
    assert_eq!(error.to_string(), "mini-batches are of 0 rows; let a batch have at least 1");
}
