//! The cosine distance, checked against spherical k-means in plain loops.

use super::{
    ENGINE,
    data::{Table, blobs},
    fit, observed_fit,
};
use kmeans_job::{
    DataError, Distance, DistancesError, Fit, FitError, KMeans, KMeansBuilder, Model, PredictError,
    PredictOptions, Start, data::Points, distances, numeric::random::uniform,
};
use proptest::prelude::*;

fn cosine(k: usize) -> KMeansBuilder {
    KMeans::builder().k(k).distance(Distance::Cosine)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn cos(a: &[f64], b: &[f64]) -> f64 {
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// The rows at lengths from 1/1000 to 1000.
fn at_any_length(table: &Table) -> Table {
    let length = |row: usize| 10_f64.powf(6.0 * uniform(9, 0, row as u64) - 3.0);
    let values = table.values.iter().enumerate().map(|(i, x)| x * length(i / table.d));
    Table::new(table.d, values.collect::<Vec<_>>())
}

/// `n` rows around `k` directions.
fn directions(n: usize, d: usize, k: usize) -> Table {
    at_any_length(&blobs(n, d, k, 0.08, 5).map(|_, x| x - 0.5))
}

/// Spherical k-means from `start`: labels, centroids, the cost of each iteration, the inertia.
fn spherical(table: &Table, start: &[f64], max_iter: usize) -> (Vec<i32>, Vec<f64>, Vec<f64>, f64) {
    let d = table.d;
    let label = |centroids: &[f64]| -> (Vec<i32>, f64) {
        let nearest = (0..table.rows()).map(|row| {
            let cosines = centroids.chunks(d).map(|c| cos(table.row(row), c));
            cosines.enumerate().fold((0, -2.0), |best, other| if other.1 > best.1 { other } else { best })
        });
        let nearest: Vec<(usize, f64)> = nearest.collect();
        (nearest.iter().map(|n| n.0 as i32).collect(), nearest.iter().map(|n| 1.0 - n.1).sum())
    };
    let (mut centroids, mut costs) = (start.to_vec(), Vec::new());
    for _ in 0..max_iter {
        let (labels, cost) = label(&centroids);
        costs.push(cost);
        let before = centroids.clone();
        for (c, centroid) in centroids.chunks_mut(d).enumerate() {
            let mut sum = vec![0.0; d];
            for row in (0..table.rows()).filter(|&row| labels[row] == c as i32).map(|row| table.row(row)) {
                sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x / dot(row, row).sqrt());
            }
            let length = dot(&sum, &sum).sqrt();
            centroid.iter_mut().zip(&sum).for_each(|(c, sum)| *c = sum / length);
        }
        if centroids.iter().zip(&before).all(|(a, b)| (a - b).abs() < 1e-14) {
            break;
        }
    }
    let (labels, inertia) = label(&centroids);
    (labels, centroids, costs, inertia)
}

fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let off = found.iter().zip(expected).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
    assert!(off <= tolerance, "{off:e}");
}

#[test]
fn it_is_spherical_k_means() {
    for (n, d, k) in [(200, 2, 3), (400, 5, 6), (300, 20, 4)] {
        let table = directions(n, d, k);
        let start = table.pick(k..2 * k);
        let (labels, centroids, costs, inertia) = spherical(&table, &start.values, 20);
        let options = cosine(k).start(Start::Given(start.matrix())).tol(0.0);
        for (points, tolerance) in [(table.f64(), 1e-12), (table.f32(), 1e-5)] {
            let (fit, iterations) = observed_fit(points, &options);
            assert_eq!(fit.labels, labels);
            assert_near(&fit.model.centroids.concat(), &centroids, tolerance);
            assert_near(&[fit.model.inertia], &[inertia], tolerance * n as f64);
            assert_eq!(fit.model.distance, Distance::Cosine);
            // The last iterations may differ in what rounding moves.
            let shared = costs.len().min(iterations.len());
            assert!(shared > 1 && fit.model.converged);
            assert_near(&fit.model.cost_per_iteration[..shared], &costs[..shared], tolerance * n as f64);
        }
    }
}

#[test]
fn costs_never_rise_and_centroids_have_length_one() {
    let table = at_any_length(&blobs(500, 6, 40, 0.9, 2).map(|_, x| x - 0.5));
    for start in [Start::Parallel, Start::PlusPlus, Start::Random] {
        let fit = fit(table.f64(), &cosine(9).start(start).tol(0.0)).unwrap();
        assert!(fit.model.cost_per_iteration.windows(2).all(|pair| pair[1] <= pair[0] * (1.0 + 1e-12)));
        assert!(fit.model.centroids.iter().all(|c| (dot(c, c) - 1.0).abs() < 1e-14));
        assert_eq!(fit.model.shift, [0.0; 6]);
    }
}

#[test]
fn new_rows_are_labelled_and_measured_by_the_angle() {
    let table = directions(200, 4, 5);
    let model = fit(table.f64(), &cosine(5)).unwrap().model;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.json");
    model.save(&path).unwrap();
    let model = Model::load(&path).unwrap();

    let new = at_any_length(&blobs(100, 4, 7, 0.9, 3).map(|_, x| x - 0.4));
    let prediction = model.predict_on(&*ENGINE, new.f64(), &PredictOptions::default()).unwrap();
    let all = model.transform_on(&*ENGINE, new.f64(), &PredictOptions::default()).unwrap();
    let own = distances(&new.f64(), &model, &prediction.labels).unwrap();
    for (row, &label) in prediction.labels.iter().enumerate() {
        let expected: Vec<f64> = model.centroids.iter().map(|c| 1.0 - cos(new.row(row), c)).collect();
        assert_near(all.row(row).unwrap(), &expected, 1e-12);
        assert_near(&[own[row]], &[expected[label as usize]], 1e-12);
        assert!(expected.iter().all(|&other| other >= expected[label as usize] - 1e-12));
    }
    assert_near(&[own.iter().sum()], &[prediction.inertia], 1e-12);
}

#[test]
fn the_silhouette_is_that_of_the_angles() {
    // Two directions; at these lengths the Euclidean silhouette prefers other clusters.
    let rows = (0..40).map(|i| match i % 2 {
        0 => [f64::from(i + 1), 0.01 * f64::from(i)],
        _ => [0.01 * f64::from(i), f64::from(i + 1)],
    });
    let table = Table::new(2, rows.flatten().collect::<Vec<_>>());
    let fit = fit(table.f64(), &cosine(0).k(2..=5)).unwrap();
    assert_eq!(fit.model.k(), 2);
    assert!(fit.trials[0].silhouette > Some(0.99), "{:?}", fit.trials);
}

#[test]
fn a_centroid_whose_rows_cancel_stays_where_it_was() {
    let table = Table::new(2, [2.0, 0.0, -5.0, 0.0]);
    let start = Start::Given(Table::new(2, [0.0, 3.0]).matrix());
    let fit = fit(table.f64(), &cosine(1).start(start)).unwrap();
    assert_eq!((fit.model.centroids, fit.model.inertia), (vec![vec![0.0, 1.0]], 2.0));
    assert!(fit.model.converged);
}

#[test]
fn rows_of_zeros_are_named() {
    let table = Table::new(2, [1.0, 2.0, 3.0, 0.0, -0.0, 0.0, 5.0, 1.0, 0.0, 0.0]);
    let error = fit(table.f32(), &cosine(2).split_bytes(8)).unwrap_err();
    assert!(matches!(error, FitError::Data(DataError::NoDirection { row: 2 })), "{error}");
    assert_eq!(
        error.to_string(),
        "row 2 (counted from 0) is all zeros, which have no cosine distance; remove it, or use the euclidean distance"
    );

    let start = Start::Given(Table::new(2, [1.0, 1.0, 0.0, 0.0]).matrix());
    let good = table.pick([0, 1, 3]);
    let error = fit(good.f64(), &cosine(2).start(start)).unwrap_err();
    assert!(matches!(error, FitError::StartDirection { row: 1 }), "{error}");

    let Fit { model, labels, .. } = fit(good.f64(), &cosine(2)).unwrap();
    let options = PredictOptions::default();
    let refused =
        |error: PredictError| matches!(error, PredictError::Data(DataError::NoDirection { row: 2 }));
    assert!(refused(model.predict_on(&*ENGINE, table.f64(), &options).unwrap_err()));
    assert!(refused(model.transform_on(&*ENGINE, table.f64(), &options).unwrap_err()));
    let zero = table.pick([0, 1, 2]).f64();
    assert_eq!(distances(&zero, &model, &labels), Err(DistancesError::NoDirection { row: 2 }));
}

#[test]
fn a_start_centroid_that_is_not_finite_is_named() {
    let start = Table::new(2, [1.0, 1.0, 2.0, f64::INFINITY]).matrix();
    let error = fit(directions(20, 2, 2).f64(), &cosine(2).start(Start::Given(start))).unwrap_err();
    assert!(matches!(error, FitError::StartValue { row: 1, column: 1, value: f64::INFINITY }), "{error}");
}

#[test]
fn directions_are_what_has_to_be_distinct() {
    let table = Table::new(2, [1.0, 3.0, 2.0, 6.0, 0.5, 1.5, -4.0, -12.0]);
    let error = fit(table.f64(), &cosine(3)).unwrap_err();
    assert!(matches!(error, FitError::TooFewDistinct { k: 3, distinct: 2 }), "{error}");
}

#[test]
fn a_model_that_is_none_of_directions_is_refused() {
    let table = directions(50, 2, 2);
    let model = fit(table.f64(), &cosine(2)).unwrap().model;
    for (field, model) in [
        ("centroids", Model { centroids: vec![vec![1.0, 0.0], vec![0.0, 1.1]], ..model.clone() }),
        ("centroids", Model { centroids: vec![vec![1e300, 1e300]], ..model.clone() }),
        ("shift", Model { shift: vec![0.0, 0.5], ..model.clone() }),
    ] {
        let error = model.predict_on(&*ENGINE, table.f64(), &PredictOptions::default()).unwrap_err();
        assert!(matches!(&error, PredictError::Model { field: found, .. } if *found == field), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn scaling_rows_by_powers_of_two_changes_no_bit(
        seed in 0..1000_u64, d in 1..6_usize, k in 1..5_usize, exponents in prop::collection::vec(-20..20_i32, 60),
    ) {
        let table = blobs(60, d, 7, 0.9, seed).map(|_, x| x - 0.45);
        let values = table.values.iter().enumerate().map(|(i, x)| x * 2_f64.powi(exponents[i / d]));
        let scaled = Table::new(d, values.collect::<Vec<_>>());
        let found = |points: Points| {
            let options = cosine(k).seed(seed);
            let found = fit(points, &options).map(|Fit { model, labels, .. }| (model, labels));
            found.map_err(|error| error.to_string())
        };
        prop_assert_eq!(found(scaled.f64()), found(table.f64()));
        prop_assert_eq!(found(scaled.f32()), found(table.f32()));
    }
}
