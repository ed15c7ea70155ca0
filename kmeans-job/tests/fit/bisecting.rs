//! Bisecting: what is split, what comes of it, and when there is nothing left to split.

use super::{
    ENGINE,
    data::{Table, blobs, integers, iris},
    fit, observed_fit,
};
use kmeans_job::{Algorithm, Distance, FitError, KMeans, KMeansBuilder, OptionsError, PredictOptions, Start};

fn bisecting(k: usize) -> KMeansBuilder {
    KMeans::builder().k(k).algorithm(Algorithm::Bisecting)
}

fn line(values: &[f64]) -> Table {
    Table::new(1, values)
}

fn sorted(centroids: &[Vec<f64>]) -> Vec<f64> {
    let mut values = centroids.concat();
    values.sort_by(f64::total_cmp);
    values
}

#[test]
fn the_cluster_with_the_largest_inertia_is_split() {
    // Far apart, a wide and a narrow pair of pairs.
    let table = line(&[0.0, 1.0, 20.0, 21.0, 1000.0, 1001.0, 1008.0, 1009.0]);
    for (k, centroids, inertia) in [
        (1, vec![507.5], 1_976_538.0),
        (2, vec![10.5, 1004.5], 466.0),
        (3, vec![0.5, 20.5, 1004.5], 66.0),
        (4, vec![0.5, 20.5, 1000.5, 1008.5], 2.0),
    ] {
        for start in [Start::Parallel, Start::PlusPlus, Start::Random] {
            let fit = fit(table.f64(), &bisecting(k).start(start)).unwrap();
            assert_eq!((sorted(&fit.model.centroids), fit.model.inertia), (centroids.clone(), inertia));
            assert!(fit.model.converged && fit.model.iterations == k as u64 - 1);
        }
    }
    let fit = fit(table.f32(), &bisecting(4)).unwrap();
    assert_eq!(fit.model.cost_per_iteration, [1_976_538.0, 466.0, 66.0]);
}

#[test]
fn blobs_that_are_apart_are_found() {
    let table = blobs(300, 4, 6, 0.02, 7);
    let fit = fit(table.f64(), &bisecting(6)).unwrap();
    for row in 0..300 {
        assert_eq!(fit.labels[row], fit.labels[row % 6]);
    }
    assert_eq!(fit.model.counts, [50; 6]);
}

#[test]
fn labels_are_by_the_nearest_of_all_centroids() {
    for (table, k) in [(iris(), 5), (blobs(400, 3, 20, 0.7, 2), 13), (integers(300, 2, 9, 4), 30)] {
        for points in [table.f32(), table.f64()] {
            let fit = fit(points.clone(), &bisecting(k).tol(0.0)).unwrap();
            let prediction = fit.model.predict_on(&*ENGINE, points, &PredictOptions::default()).unwrap();
            assert_eq!((prediction.labels, prediction.inertia), (fit.labels, fit.model.inertia));
            assert!(fit.model.counts.iter().all(|&count| count > 0));
        }
    }
}

#[test]
fn splits_are_told_of_and_go_on_where_fewer_clusters_ended() {
    let table = blobs(400, 3, 20, 0.7, 2);
    let (few, _) = observed_fit(table.f64(), &bisecting(6));
    let (many, splits) = observed_fit(table.f64(), &bisecting(9));
    assert_eq!(many.model.cost_per_iteration[..5], few.model.cost_per_iteration);
    assert!(many.model.cost_per_iteration.windows(2).all(|pair| pair[1] < pair[0]));
    assert!(many.model.inertia < *many.model.cost_per_iteration.last().unwrap());
    let one = fit(table.f64(), &KMeans::builder().k(1)).unwrap();
    assert_eq!(many.model.cost_per_iteration[0], one.model.inertia);
    for (split, (number, &cost)) in splits.iter().zip((1..).zip(&many.model.cost_per_iteration)) {
        assert_eq!((split.k, split.number, split.cost), (9, number, cost));
        assert!(split.moved > 0 && split.moved < 400 && split.shift > 0.0);
    }
    assert_eq!(splits.len(), 8);
}

#[test]
fn of_several_runs_the_best_is_kept_and_k_can_be_chosen() {
    let table = blobs(200, 2, 8, 0.5, 3);
    let one = fit(table.f64(), &bisecting(8)).unwrap().model;
    let best = fit(table.f64(), &bisecting(8).n_init(5)).unwrap().model;
    assert!(best.inertia <= one.inertia);
    assert_eq!(fit(table.f64(), &bisecting(8).seed(best.seed)).unwrap().model, best);
    let groups = line(&(0..60).map(|i| f64::from(i % 3 * 100 + i % 7)).collect::<Vec<_>>());
    let chosen = fit(groups.f64(), &bisecting(0).k(2..=6)).unwrap();
    assert_eq!((chosen.model.k(), chosen.trials.len()), (3, 5));
}

#[test]
fn directions_are_split_too() {
    let table = blobs(240, 3, 4, 0.05, 11).map(|_, x| x - 0.5);
    let lengths = Table::new(
        3,
        table.values.iter().enumerate().map(|(i, x)| x * (1 + i / 3) as f64).collect::<Vec<_>>(),
    );
    let fit = fit(lengths.f64(), &bisecting(4).distance(Distance::Cosine)).unwrap();
    assert_eq!(fit.model.counts, [60; 4]);
    assert!(fit.model.centroids.iter().all(|c| (c.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-14));
}

#[test]
fn rows_that_coincide_are_not_split() {
    let table = line(&[1.0, 1.0, 1.0, 1.0, 5.0, 5.0, 5.0, 0.5, 0.5]);
    let found = fit(table.f64(), &bisecting(3)).unwrap().model;
    assert_eq!(sorted(&found.centroids), [0.5, 1.0, 5.0]);
    let error = fit(table.f64(), &bisecting(4)).unwrap_err();
    assert!(matches!(error, FitError::TooFewDistinct { k: 4, distinct: 3 }), "{error}");
    // Distinct, but by less than has a square in f32.
    let error = fit(line(&[0.0, 1e-22, 1.0]).f32(), &bisecting(3)).unwrap_err();
    assert!(matches!(error, FitError::TooFewDistinct { k: 3, distinct: 2 }), "{error}");
}

#[test]
fn every_row_can_be_a_cluster() {
    let table = blobs(40, 2, 40, 0.0, 5);
    let found = fit(table.f64(), &bisecting(40)).unwrap().model;
    assert_eq!((found.inertia, found.counts), (0.0, vec![1; 40]));
}

#[test]
fn given_start_centroids_are_refused() {
    let start = Start::Given(line(&[1.0, 2.0]).matrix());
    let error = bisecting(2).start(start).build().unwrap_err();
    assert_eq!(error, OptionsError::SplitOfGiven);
    assert!(error.to_string().ends_with("let the start be chosen, or use lloyd"), "{error}");
}
