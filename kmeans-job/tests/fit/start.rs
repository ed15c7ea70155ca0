//! The choice of start centroids as a caller sees it.

use super::{
    data::{Table, blobs, integers},
    fit,
    oracle::squared_distance,
};
use kmeans_job::{FitError, KMeans, Start, numeric::random::uniform};
use std::collections::HashSet;

const CHOSEN: [Start; 3] = [Start::Parallel, Start::PlusPlus, Start::Random];

#[test]
fn a_seed_decides_and_seeds_differ() {
    let table = blobs(400, 2, 30, 1.0, 1);
    for start in CHOSEN {
        let fits = |seed| {
            let options = KMeans::builder().k(6).start(start.clone()).max_iter(1).seed(seed);
            fit(table.f64(), &options).unwrap().model
        };
        assert_eq!(fits(7), fits(7));
        let inertias: HashSet<u64> = (0..5).map(|seed| fits(seed).inertia.to_bits()).collect();
        assert_eq!(inertias.len(), 5);
    }
}

#[test]
fn as_many_clusters_as_distinct_points_leave_nothing() {
    let places = blobs(12, 2, 12, 1.0, 4);
    let table = places.pick((0..500).map(|i| if i < 480 { i % 4 } else { i % 12 }));
    for start in
        CHOSEN.into_iter().chain([Start::Given(places.matrix()), Start::Given(table.pick([0; 12]).matrix())])
    {
        let options = KMeans::builder().k(12).start(start);
        for points in [table.f64(), table.f32()] {
            let fit = fit(points, &options).unwrap();
            assert!(fit.model.inertia < 1e-28, "{options:?}: {:e}", fit.model.inertia);
            assert!(fit.model.counts.iter().all(|&count| count > 0));
        }
    }
}

#[test]
fn the_exact_number_of_distinct_points_is_told_when_it_is_too_small() {
    let cases = [
        (Table::new(1, [0.1; 9]), 1),
        (integers(3000, 1, 6, 1).map(|_, x| x * 0.1), 7),
        (
            blobs(3, 5, 3, 1.0, 2).pick((0..5000).map(|i| usize::from(i == 3000) + 2 * usize::from(i == 77))),
            3,
        ),
        (Table::new(1, [0.0, -0.0, 0.0, -0.0, 1.0]), 2),
        (Table::new(1, [-1000.0, 1000.0, f64::from(1000_f32.next_up()), 1000.0, 1000.0]), 3),
        (Table::new(1, [1.0, 1e-200, 0.0, -1.0, 0.0, 0.0]), 4),
    ];
    for (i, (table, expected)) in cases.into_iter().enumerate() {
        for k in [expected + 1, table.rows()] {
            let given = table.pick((0..k).map(|c| c % table.rows()));
            for start in CHOSEN.into_iter().chain([Start::Given(given.matrix())]) {
                let options = KMeans::builder().k(k).start(start);
                for points in [table.f64(), table.f32()] {
                    let expected = if i == 5 && points == table.f32() { 3 } else { expected };
                    match fit(points, &options) {
                        Err(FitError::TooFewDistinct { distinct, .. }) => assert_eq!(distinct, expected),
                        other => panic!("case {i}, k = {k}, {options:?}: {other:?}"),
                    }
                }
            }
        }
    }
}

#[test]
fn k_means_parallel_starts_as_well_as_greedy_k_means_plus_plus() {
    for (table, k) in [(blobs(600, 2, 12, 0.05, 1), 12), (blobs(800, 5, 20, 0.6, 2), 20)] {
        let options = |start, seed| KMeans::builder().k(k).start(start).seed(seed);
        let inertia = |start, seed| fit(table.f64(), &options(start, seed)).unwrap().model.inertia;
        let ours = median((0..9).map(|seed| inertia(Start::Parallel, seed)));
        let greedy = (0..9).map(|seed| inertia(Start::Given(greedy(&table, k, seed).matrix()), 0));
        let greedy = median(greedy);
        assert!(ours < 1.05 * greedy, "{ours} is worse than {greedy}");
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Greedy k-means++ over all rows, in plain loops.
fn greedy(table: &Table, k: usize, seed: u64) -> Table {
    let n = table.rows();
    let mut nearest = vec![1.0; n];
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < k {
        let total: f64 = nearest.iter().sum();
        let tries = (0..4_u64).map(|trial| {
            let mut rest = uniform(seed, 1000 + chosen.len() as u64, trial) * total;
            let drawn = nearest.iter().position(|distance| {
                rest -= distance;
                rest <= 0.0
            });
            let drawn = drawn.unwrap_or(n - 1);
            let after = |i: usize| {
                let distance = squared_distance(table.row(i), table.row(drawn));
                if chosen.is_empty() { distance } else { distance.min(nearest[i]) }
            };
            (drawn, (0..n).map(after).collect::<Vec<f64>>())
        });
        let potential = |after: &[f64]| after.iter().sum::<f64>();
        let best = tries.min_by(|a, b| potential(&a.1).total_cmp(&potential(&b.1))).unwrap();
        chosen.push(best.0);
        nearest = best.1;
    }
    table.pick(chosen)
}
