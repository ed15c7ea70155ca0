//! The same clusters, costs and number of iterations as plain loops.

use super::{
    data::{Table, blobs, grid, integers, iris},
    fit, observed_fit,
    oracle::{Oracle, lloyd, squares},
};
use kmeans_job::{Fit, KMeans, Start};
use proptest::prelude::*;

/// Fits from `start` and compares with the oracle, as far as that is beyond doubt.
fn check(table: &Table, start: &Table, tol: f64, max_iter: u32) -> Option<Oracle> {
    let (max_iter, oracle) = lloyd(table, &start.values, tol, max_iter)?;
    let options =
        KMeans::builder().k(start.rows()).start(Start::Given(start.matrix())).tol(tol).max_iter(max_iter);
    let (fit, iterations) = observed_fit(table.f64(), &options);
    assert_agree(&fit, &oracle, table);

    let scale = squares(table) * table.rows() as f64;
    let costs: Vec<f64> = iterations.iter().map(|iteration| iteration.cost).collect();
    assert_eq!(costs, fit.model.cost_per_iteration);
    assert_eq!(iterations.len(), oracle.iterations.len());
    for (ours, theirs) in iterations.iter().zip(&oracle.iterations) {
        assert_eq!((ours.number, ours.moved), (theirs.number, theirs.moved));
        assert_close(ours.cost, theirs.cost, 1e-12 * scale);
        assert_close(ours.shift, theirs.shift, 1e-14 * scale);
    }
    assert_eq!(fit.model.converged, oracle.converged);
    Some(oracle)
}

fn assert_agree(fit: &Fit, oracle: &Oracle, table: &Table) {
    assert_eq!(fit.labels, oracle.labels);
    assert_close(fit.model.inertia, oracle.inertia, 1e-20 * squares(table));
    let scale = table.values.iter().fold(0.0_f64, |scale, x| scale.max(x.abs()));
    for (ours, theirs) in fit.model.centroids.concat().iter().zip(&oracle.centroids) {
        assert_close(*ours, *theirs, 1e-13 * scale);
    }
    for (c, &count) in fit.model.counts.iter().enumerate() {
        assert_eq!(count, fit.labels.iter().filter(|&&label| label == c as i32).count() as u64);
    }
}

fn assert_close(ours: f64, theirs: f64, absolute: f64) {
    let difference = (ours - theirs).abs();
    assert!(difference <= 1e-9 * theirs.abs() + absolute, "{ours:e} is not {theirs:e}");
}

#[test]
fn iris_from_given_starts() {
    for k in 1..=8 {
        for seed in 0..6 {
            // Rows themselves tie, and in tenths of a centimetre no tie is exact. In millimetres it is.
            let rows = iris().pick((0..k).map(|c| (c * 37 + seed * 11) % 150));
            let beside = rows.values.iter().enumerate().map(|(i, x)| x + 0.01 * ((i * i) as f64).sin());
            let beside = Table::new(4, beside.collect::<Vec<_>>());
            for tol in [0.0, 1e-4, 1e-2] {
                check(&iris(), &beside, tol, 300).unwrap();
                let in_mm = |table: &Table| table.map(|_, x| (x * 10.0).round());
                check(&in_mm(&iris()), &in_mm(&rows), tol, 300).unwrap();
            }
        }
    }
}

#[test]
fn iris_from_the_start_centroids_of_k_means_parallel_and_random() {
    let iris = iris();
    for start in [Start::Parallel, Start::Random] {
        for k in 2..=8 {
            let options = KMeans::builder().k(k).start(start.clone()).tol(0.0).seed(5);
            let first = fit(iris.f64(), &options.clone().max_iter(1)).unwrap();
            let all = fit(iris.f64(), &options).unwrap();
            let (_, oracle) = lloyd(&iris, &first.model.centroids.concat(), 0.0, 299).unwrap();
            assert_agree(&all, &oracle, &iris);
            assert_eq!(all.model.iterations as usize, oracle.iterations.len() + 1);
        }
    }
}

#[test]
fn the_known_optimum_of_iris_is_found() {
    let inertias = (0..5).map(|seed| {
        let options = KMeans::builder().k(3).tol(0.0).seed(seed);
        fit(iris().f64(), &options).unwrap().model.inertia
    });
    let best = inertias.fold(f64::INFINITY, f64::min);
    assert!((best - 78.851441426146).abs() < 1e-9, "{best}");
}

#[test]
fn blobs_of_many_shapes() {
    for (n, d, k) in [(200, 1, 5), (300, 2, 7), (250, 3, 16), (120, 17, 4), (400, 9, 33), (90, 64, 2)] {
        for seed in 0..3 {
            let table = blobs(n, d, k, 0.3, seed);
            let start = table.pick((0..k).map(|c| c * (n / k)));
            check(&table, &start, 0.0, 300).unwrap();
            check(&table, &start, 1e-4, 3).unwrap();
        }
    }
}

#[test]
fn one_cluster_is_the_mean() {
    let table = blobs(57, 3, 2, 1.0, 3);
    let oracle = check(&table, &table.pick([4]), 0.0, 300).unwrap();
    assert_eq!(oracle.labels, [0; 57]);
}

#[test]
fn as_many_clusters_as_rows() {
    let table = blobs(23, 2, 5, 1.0, 3);
    let oracle = check(&table, &table, 0.0, 300).unwrap();
    assert_eq!((oracle.inertia, oracle.iterations.len()), (0.0, 1));
    assert_eq!(oracle.labels, (0..23).collect::<Vec<_>>());
}

#[test]
fn ties_go_to_the_lowest_index_on_a_whole_grid() {
    // Sides of a power of two and starts that divide them evenly: every mean of every iteration is exact.
    let table = grid(8, 2);
    for start in [
        vec![0.0, 0.0, 7.0, 7.0],
        vec![7.0, 7.0, 0.0, 0.0],
        vec![0.0, 0.0, 0.0, 7.0, 7.0, 0.0, 7.0, 7.0],
        vec![3.0, 3.0, 3.0, 5.0],
        vec![2.0, 0.0, 4.0, 0.0],
    ] {
        check(&table, &Table::new(2, start), 0.0, 300).unwrap();
    }
    let line = Table::new(1, [0.0, 1.0, 2.0]);
    let oracle = check(&line, &Table::new(1, [2.0, 0.0]), 0.0, 1).unwrap();
    assert_eq!(oracle.labels, [1, 0, 0]);
}

#[test]
fn duplicated_rows() {
    let table = blobs(40, 2, 5, 0.4, 8);
    let table = table.pick((0..160).map(|i| i * 7 % 40));
    for table in [table.clone(), table.map(|_, x| x.mul_add(0.01, 123.456))] {
        for start in [vec![0, 1, 2, 3, 4], (0..40).collect()] {
            check(&table, &table.pick(start), 0.0, 300).unwrap();
        }
    }
}

#[test]
fn constant_columns_change_nothing() {
    let table = blobs(150, 4, 3, 0.5, 6).map(|j, x| if j % 2 == 0 { 1e9 + 0.1 } else { x });
    check(&table, &table.pick([3, 77, 140]), 0.0, 300).unwrap();
    // Nor do they count as spread where the tolerance is measured.
    let with_tolerance = check(&table, &table.pick([3, 77, 140]), 1e-1, 300).unwrap();
    assert!(with_tolerance.iterations.len() > 1);
}

#[test]
fn a_duplicate_centroid_moves_to_the_farthest_row() {
    let table = blobs(100, 2, 4, 0.3, 2);
    let oracle = check(&table, &table.pick([0, 0, 1, 2]), 0.0, 300).unwrap();
    assert!(oracle.relocations > 0);
}

#[test]
fn clusters_far_from_the_data_move_to_the_farthest_rows_at_once() {
    let table = blobs(100, 2, 4, 0.3, 2);
    let start = [&table.pick([0]).values[..], &[1e3, 1e3, -1e3, 5e2, 7e2, -1e3, 2e3, 0.0]].concat();
    let oracle = check(&table, &Table::new(2, start), 0.0, 300).unwrap();
    assert!(oracle.relocations > 0);
}

#[test]
fn of_equally_far_rows_the_lowest_place_is_taken_first_and_only_one_row_of_it() {
    // Four corners, each twice, around a centroid in the middle.
    let corners = Table::new(2, [1.0, 1.0, 1.0, -1.0, -1.0, 1.0, -1.0, -1.0]);
    let table = corners.pick([0, 0, 1, 2, 1, 3, 3, 2]);
    let start = Table::new(2, [0.0, 0.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0]);
    let oracle = check(&table, &start, 0.0, 1).unwrap();
    assert_eq!(oracle.centroids[2..], [-1.0, -1.0, -1.0, 1.0, 1.0, -1.0]);
    assert_eq!(oracle.labels, [0, 0, 3, 2, 3, 1, 1, 2]);
}

#[test]
fn a_cluster_may_lose_all_its_rows_to_empty_ones() {
    // The pair at +-10 is farthest from its mean, so both of it leave, and their cluster is the next to be empty.
    let table = Table::new(1, [-10.0, 10.0, 99.0, 101.0]);
    let oracle = check(&table, &Table::new(1, [0.0, 100.0, 1e3, 1e3]), 0.0, 300).unwrap();
    assert_eq!((oracle.relocations, oracle.inertia), (2, 0.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn integers_with_ties_and_empty_clusters(
        n in 8..60_usize, d in 1..4_usize, max in 1..9_u32, k in 1..7_usize, seed: u64, shift in -3..4_i32,
    ) {
        let table = integers(n, d, max, seed).map(|j, x| x + f64::from(shift * j as i32));
        let start = integers(k, d, max + 2, seed ^ 1);
        let mut distinct: Vec<String> = (0..n).map(|i| format!("{:?}", table.row(i))).collect();
        distinct.sort();
        distinct.dedup();
        prop_assume!(distinct.len() >= k);
        prop_assume!(check(&table, &start, 0.0, 40).is_some());
    }

    #[test]
    fn rows_of_any_kind(n in 2..80_usize, d in 1..12_usize, k in 1..9_usize, seed: u64, tol in 0.0..0.01) {
        prop_assume!(k <= n);
        let table = blobs(n, d, k, 1.0, seed).map(|j, x| (x - 0.5) * 10_f64.powi(j as i32 - 4));
        let start = table.pick((0..k).map(|c| (c * n / k + seed as usize % n) % n));
        check(&table, &start, tol, 100);
    }
}

#[test]
fn rows_of_which_many_are_equal() {
    // As many as make it worth while to look for equal ones. One start centroid is far from all of them: its cluster is
    // empty and moves to a row.
    let table = integers(40_000, 3, 12, 5);
    let mut start = table.pick((0..9).map(|c| c * 11));
    start.values[..3].copy_from_slice(&[500.0; 3]);
    let oracle = check(&table, &start, 0.0, 40).unwrap();
    assert!(oracle.iterations.len() > 5);
}

#[test]
fn rows_that_are_put_into_another_order() {
    // Enough rows and clusters for it; one start centroid is far from all of them.
    let table = blobs(33_000, 2, 32, 0.3, 5);
    let mut start = table.pick((0..32).map(|c| c * 1001));
    start.values[..2].copy_from_slice(&[5e3; 2]);
    let oracle = check(&table, &start, 0.0, 70).unwrap();
    assert!(oracle.relocations > 0 && oracle.iterations.len() > 5);
}

#[test]
fn distinct_rows_that_are_put_into_another_order() {
    // Every row three times, one behind the other, and enough that are distinct.
    let distinct = grid(33, 3);
    let table = distinct.pick((0..3 * distinct.rows()).map(|i| i / 3));
    let oracle = check(&table, &table.pick((0..40).map(|c| c * 2503)), 0.0, 40).unwrap();
    assert!(oracle.iterations.len() > 5);
}
