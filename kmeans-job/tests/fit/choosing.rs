//! The choice among several runs and several numbers of clusters.

use super::{
    data::{Table, blobs, integers, iris},
    fit, fit_on, observed_fit,
    oracle::squared_distance,
};
use kmeans_job::{Fit, FitError, KMeans, KMeansBuilder, Start};
use mapreduce_core::Local;

const CHOSEN: [Start; 3] = [Start::Parallel, Start::PlusPlus, Start::Random];

#[test]
fn of_several_runs_the_best_is_kept_and_a_run_alone_gives_the_same() {
    let table = blobs(300, 2, 12, 0.2, 3);
    for start in CHOSEN {
        let options = || KMeans::builder().k(12).start(start.clone()).seed(9);
        let one = fit(table.f64(), &options()).unwrap();
        let (best, iterations) = observed_fit(table.f64(), &options().n_init(6));
        assert!(best.model.inertia <= one.model.inertia);
        assert_eq!(best.trials.len(), 1);
        assert_eq!((best.trials[0].inertia, best.trials[0].silhouette), (best.model.inertia, None));

        let first: Vec<f64> = iterations.iter().filter(|it| it.run == 1).map(|it| it.cost).collect();
        assert_eq!(
            first, one.model.cost_per_iteration,
            "the first run is the only one of those who ask for one"
        );
        let runs: Vec<u32> = iterations.iter().filter(|it| it.number == 1).map(|it| it.run).collect();
        assert_eq!(runs, [1, 2, 3, 4, 5, 6]);
        let kept = best.trials[0].run;
        let kept: Vec<f64> = iterations.iter().filter(|it| it.run == kept).map(|it| it.cost).collect();
        assert_eq!(kept, best.model.cost_per_iteration);

        let again = fit(table.f64(), &options().seed(best.model.seed)).unwrap();
        assert_eq!((again.model, again.labels), (best.model, best.labels));
    }
}

#[test]
fn more_runs_are_never_worse_and_ties_go_to_the_first() {
    let table = blobs(200, 3, 9, 0.4, 5);
    let inertias = (1..=8).map(|n_init| {
        let fit = fit(table.f64(), &KMeans::builder().k(9).start(Start::Random).n_init(n_init)).unwrap();
        fit.model.inertia
    });
    let inertias: Vec<f64> = inertias.collect();
    assert!(inertias.is_sorted_by(|a, b| a >= b), "{inertias:?}");
    assert!(inertias[7] < inertias[0], "some run was better than the first");
    // One cluster is the mean, wherever it begins.
    let same = fit(table.f64(), &KMeans::builder().k(1).start(Start::Random).n_init(5)).unwrap();
    assert_eq!((same.trials[0].run, same.model.seed), (1, 0));
}

#[test]
fn as_many_clusters_as_there_are_blobs_are_chosen() {
    for (clusters, seed) in [(3, 1), (5, 2), (7, 2)] {
        let table = Table::new(
            2,
            blobs(420, 2, clusters, 0.2, seed)
                .values
                .iter()
                .enumerate()
                .map(|(i, noise)| {
                    let turn = std::f64::consts::TAU * (i / 2 % clusters) as f64 / clusters as f64;
                    noise + 20.0 * if i % 2 == 0 { turn.cos() } else { turn.sin() }
                })
                .collect::<Vec<_>>(),
        );
        let fit = fit(table.f64(), &KMeans::builder().k(1..=9).n_init(3)).unwrap();
        assert_eq!(fit.model.k(), clusters, "{:?}", fit.trials);
        assert_eq!(fit.trials[0].silhouette, None, "one cluster has none");
        assert!(fit.trials[clusters - 1].silhouette > Some(0.8));
    }
}

#[test]
fn the_silhouettes_of_iris_are_the_known_ones() {
    let fit = fit(iris().f64(), &KMeans::builder().k(2..=5).n_init(5).tol(0.0)).unwrap();
    let silhouette = |k: usize| fit.trials[k - 2].silhouette.unwrap();
    assert!((silhouette(2) - 0.681046).abs() < 1e-6, "{}", silhouette(2));
    assert!((silhouette(3) - 0.552819).abs() < 1e-6, "{}", silhouette(3));
    assert_eq!(fit.model.k(), 2);
    assert!((fit.trials[1].inertia - 78.851441426146).abs() < 1e-9);
}

/// The mean silhouette of all rows, in plain loops.
fn silhouette(table: &Table, labels: &[i32], k: usize) -> f64 {
    let n = table.rows();
    let scores = (0..n).map(|i| {
        let to = |c: i32| {
            let others = (0..n).filter(|&j| j != i && labels[j] == c);
            let distances: Vec<f64> =
                others.map(|j| squared_distance(table.row(i), table.row(j)).sqrt()).collect();
            distances.iter().sum::<f64>() / distances.len() as f64
        };
        let within = to(labels[i]);
        let nearest = (0..k as i32)
            .filter(|&c| c != labels[i])
            .map(to)
            .filter(|x| !x.is_nan())
            .fold(f64::INFINITY, f64::min);
        if within.is_nan() { 0.0 } else { (nearest - within) / within.max(nearest) }
    });
    scores.sum::<f64>() / n as f64
}

#[test]
fn each_number_of_clusters_is_fitted_as_if_it_were_alone() {
    let table = blobs(250, 3, 5, 0.7, 8);
    let options = |k| KMeans::builder().k(k).start(Start::PlusPlus).n_init(2).seed(3);
    let all =
        fit(table.f64(), &KMeans::builder().k(1..=30).start(Start::PlusPlus).n_init(2).seed(3)).unwrap();
    let alone: Vec<Fit> = (1..=30_usize).map(|k| fit(table.f64(), &options(k)).unwrap()).collect();
    for (trial, alone) in all.trials.iter().zip(&alone) {
        assert_eq!((trial.k, trial.inertia), (alone.model.k(), alone.model.inertia));
        assert_eq!((trial.iterations, trial.run), (alone.model.iterations, alone.trials[0].run));
        if trial.k > 1 {
            let expected = silhouette(&table, &alone.labels, trial.k);
            assert!((trial.silhouette.unwrap() - expected).abs() < 1e-12, "{trial:?} {expected}");
        }
    }
    let chosen = &alone[all.model.k() - 1];
    assert_eq!((&all.model, &all.labels), (&chosen.model, &chosen.labels));
}

#[test]
fn a_sampled_silhouette_is_close_to_that_of_all_rows() {
    let table = blobs(3000, 2, 4, 0.3, 2);
    let fit = fit(table.f32(), &KMeans::builder().k(3..=4)).unwrap();
    let score = fit.trials.iter().find(|trial| trial.k == fit.model.k()).unwrap().silhouette.unwrap();
    let expected = silhouette(&table, &fit.labels, fit.model.k());
    assert!((score - expected).abs() < 0.01 && score != expected, "{score} {expected}");
}

#[test]
fn the_choice_has_the_same_bits_on_any_number_of_threads_and_splits() {
    let table = blobs(2500, 2, 6, 0.5, 4);
    let options = || KMeans::builder().k(2..=7).n_init(2).max_iter(5);
    let result = |engine: &Local, options: KMeansBuilder| {
        let Fit { model, labels, trials, .. } = fit_on(engine, table.f32(), &options).unwrap();
        let scores: Vec<_> =
            trials.iter().map(|trial| (trial.k, trial.inertia, trial.silhouette, trial.run)).collect();
        (model, labels, scores)
    };
    let expected = result(&Local::new(1).unwrap(), options());
    for (threads, splits) in [(1, 64), (3, 1), (3, 2), (3, 7), (3, 64)] {
        let options = options().split_bytes((2500_u64 * 8).div_ceil(splits));
        assert_eq!(
            result(&Local::new(threads).unwrap(), options),
            expected,
            "{threads} threads, {splits} splits"
        );
    }
}

#[test]
fn a_range_with_more_clusters_than_distinct_points_is_refused_before_the_first_iteration() {
    let options = KMeans::builder().k(2..=9).observe(|_| panic!("began"));
    match fit(integers(50, 1, 4, 1).f64(), &options) {
        Err(FitError::TooFewDistinct { k: 9, distinct: 5 }) => {}
        other => panic!("{other:?}"),
    }
}
