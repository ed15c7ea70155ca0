//! What holds for any data, start and way to cut the data up.

use super::{
    data::{Table, blobs, integers},
    fit, fit_on, observed_fit,
    oracle::squared_distance,
};
use kmeans_job::{EmptyClusters, Fit, KMeans, Model, PredictOptions, Start};
use mapreduce_core::Local;
use proptest::prelude::*;

fn starts() -> impl Strategy<Value = Start> {
    prop_oneof![Just(Start::Parallel), Just(Start::PlusPlus), Just(Start::Random)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_cost_never_rises(
        n in 20..200_usize, d in 1..6_usize, k in 1..12_usize, spread in 0.05..2.0, seed: u64, start in starts(),
        n_init in 1..3_u32,
    ) {
        let table = blobs(n, d, k, spread, seed);
        for points in [table.f64(), table.f32()] {
            let options = KMeans::builder().k(k).start(start.clone()).tol(0.0).seed(seed).n_init(n_init);
            let (fit, iterations) = observed_fit(points, &options);
            let slack = 1e-6 * iterations[0].cost;
            for pair in iterations.windows(2).filter(|pair| pair[0].run == pair[1].run) {
                prop_assert!(pair[1].cost <= pair[0].cost + slack, "{:?}", pair);
            }
            let costs = &fit.model.cost_per_iteration;
            prop_assert!(fit.model.inertia <= costs[costs.len() - 1] + slack);
            prop_assert!(fit.labels.iter().all(|&label| (0..k as i32).contains(&label)));
            prop_assert_eq!(fit.model.counts.iter().sum::<u64>(), n as u64);
        }
    }

    #[test]
    fn splits_and_threads_do_not_show(
        n in (1..5_usize).prop_map(|n| 64 * n), d in 1..5_usize, k in 1..9_usize, max in 1..200_u32, seed: u64,
        start in starts(),
    ) {
        let table = integers(n, d, max, seed).map(|_, x| x * 0.1);
        let options = KMeans::builder().start(start).seed(seed).n_init(2).max_iter(4);
        for (points, row_bytes) in [(table.f64(), 8 * d), (table.f32(), 4 * d)] {
            let found = |threads, splits: usize| {
                let split_bytes = (n.div_ceil(splits) * row_bytes) as u64;
                let options = options.clone().k(k).split_bytes(split_bytes);
                // So few distinct points may be a reason to refuse; then all do.
                let result = fit_on(&Local::new(threads).unwrap(), points.clone(), &options);
                result.map(|Fit { model, labels, .. }| (model, labels)).map_err(|error| error.to_string())
            };
            let expected = found(1, 1);
            for (threads, splits) in [(1, 2), (3, 7), (2, 64)] {
                prop_assert_eq!(&found(threads, splits), &expected, "{} threads, {} splits", threads, splits);
            }
        }
    }

    #[test]
    fn the_order_of_the_rows_does_not_show(
        (n, order) in (8..150_usize).prop_flat_map(|n| (Just(n), Just((0..n).collect::<Vec<_>>()).prop_shuffle())),
        d in 1..5_usize, k in 1..8_usize, seed: u64,
    ) {
        let table = blobs(n, d, k, 0.8, seed);
        // One start that may lose its rows: those move to the farthest, wherever that is.
        let start = table.pick(0..k).map(|j, x| if j == 0 && seed % 3 == 0 { x * 4.0 } else { x });
        let options = KMeans::builder().k(k).start(Start::Given(start.matrix())).max_iter(8);
        let permuted = table.pick(order.iter().copied());
        for (points, permuted) in [(table.f64(), permuted.f64()), (table.f32(), permuted.f32())] {
            let (expected, found) = (fit(points, &options).unwrap(), fit(permuted, &options).unwrap());
            prop_assert_eq!(found.model, expected.model);
            let labels: Vec<i32> = order.iter().map(|&row| expected.labels[row]).collect();
            prop_assert_eq!(found.labels, labels);
        }
    }

    #[test]
    fn powers_of_two_scale_without_a_trace(
        n in 8..150_usize, d in 1..5_usize, k in 1..8_usize, exponent in -30..30_i32, seed: u64, start in starts(),
    ) {
        let (table, scale) = (blobs(n, d, k, 0.8, seed), 2_f64.powi(exponent));
        let scaled = table.map(|_, x| x * scale);
        let options = KMeans::builder().k(k).start(start).seed(seed).max_iter(8);
        for (points, scaled) in [(table.f64(), scaled.f64()), (table.f32(), scaled.f32())] {
            let (expected, found) = (fit(points, &options).unwrap(), fit(scaled, &options).unwrap());
            prop_assert_eq!(found.labels, expected.labels);
            let costs = |model: &Model| [&model.cost_per_iteration[..], &[model.inertia]].concat();
            let of_scaled: Vec<f64> = costs(&expected.model).iter().map(|cost| cost * scale * scale).collect();
            prop_assert_eq!(costs(&found.model), of_scaled);
            let of_scaled: Vec<f64> = expected.model.centroids.concat().iter().map(|x| x * scale).collect();
            prop_assert_eq!(found.model.centroids.concat(), of_scaled);
        }
    }

    #[test]
    fn one_cluster_is_the_mean_and_as_many_as_points_are_the_points(
        n in 1..60_usize, d in 1..5_usize, seed: u64, start in starts(),
    ) {
        let table = blobs(n, d, 3, 0.8, seed);
        let options = KMeans::builder().start(start).seed(seed);
        let one = fit(table.f64(), &options.clone().k(1)).unwrap();
        let mean: Vec<f64> =
            (0..d).map(|j| (0..n).map(|i| table.row(i)[j]).sum::<f64>() / n as f64).collect();
        for (found, expected) in one.model.centroids[0].iter().zip(&mean) {
            prop_assert!((found - expected).abs() < 1e-12, "{} {}", found, expected);
        }
        let inertia: f64 = (0..n).map(|i| squared_distance(table.row(i), &mean)).sum();
        prop_assert!((one.model.inertia - inertia).abs() <= 1e-12 * inertia.max(1.0));
        prop_assert_eq!((one.labels, one.model.counts), (vec![0; n], vec![n as u64]));

        let all = fit(table.f64(), &options.k(n)).unwrap();
        prop_assert!(all.model.inertia < 1e-28, "{}", all.model.inertia);
        prop_assert_eq!(all.model.counts, vec![1; n]);
        for (row, &label) in all.labels.iter().enumerate() {
            let centroid = &all.model.centroids[label as usize];
            prop_assert!(squared_distance(table.row(row), centroid) < 1e-28);
        }
    }

    #[test]
    fn distances_are_those_to_the_centroids(n in 5..60_usize, d in 1..6_usize, k in 1..5_usize, seed: u64) {
        let table = blobs(n, d, k, 0.8, seed).map(|j, x| x * 7.0 + j as f64 * 100.0);
        let fit = fit(table.f64(), &KMeans::builder().k(k).seed(seed)).unwrap();
        let engine = Local::new(2).unwrap();
        let options = PredictOptions { split_bytes: Some(100), ..PredictOptions::default() };
        let distances = fit.model.transform_on(&engine, table.f64(), &options).unwrap();
        prop_assert_eq!((distances.rows(), distances.d()), (n, k));
        for (i, row) in distances.values().chunks_exact(k).enumerate() {
            for (distance, centroid) in row.iter().zip(&fit.model.centroids) {
                let expected = squared_distance(table.row(i), centroid).sqrt();
                prop_assert!((distance - expected).abs() < 1e-9, "{} {}", distance, expected);
            }
            let own = row[fit.labels[i] as usize];
            prop_assert!(row.iter().all(|&other| own <= other + 1e-9));
        }
    }

    #[test]
    fn a_shifted_table_has_the_same_clusters(n in 30..150_usize, k in 1..7_usize, max in 5..255_u32, seed: u64) {
        let table = integers(n, 2, max, seed);
        let moved = table.map(|_, x| x + 1e6);
        let start = table.pick((0..k).map(|c| c * n / k)).map(|j, x| x + 0.25 * (j + 1) as f64);
        let labels = |table: &Table, start: Table| {
            let options = KMeans::builder().k(k).start(Start::Given(start.matrix())).tol(0.0);
            fit(table.f64(), &options).map(|fit| fit.labels).map_err(|error| error.to_string())
        };
        prop_assert_eq!(labels(&moved, start.map(|_, x| x + 1e6)), labels(&table, start));
    }
}

#[test]
fn an_empty_cluster_that_is_kept_stays_where_it_is() {
    let table = Table::new(1, [0.0, 1.0, 2.0, 10.0, 11.0, 12.0]);
    let start = Start::Given(Table::new(1, [1.0, 11.0, 500.0]).matrix());
    let options = KMeans::builder().k(3).start(start);
    let kept = fit(table.f64(), &options.clone().empty_clusters(EmptyClusters::Keep)).unwrap();
    assert_eq!(kept.model.centroids, [[1.0], [11.0], [500.0]]);
    assert_eq!((kept.model.counts, kept.model.inertia), (vec![3, 3, 0], 4.0));
    let moved = fit(table.f64(), &options).unwrap();
    assert!(moved.model.counts.iter().all(|&count| count > 0) && moved.model.inertia < 4.0);
}
