//! Rows with weights: as if they were there as often, and what is refused.

use super::{
    ENGINE,
    data::{Table, blobs, integers},
    fit,
    nodes::{Faults, Nodes},
    oracle::squared_distance,
};
use kmeans_job::{
    Algorithm, Distance, Fit, FitError, KMeans, KMeansBuilder, Model, Start, WeightsError,
    data::{Points, ShareError},
    numeric::random::uniform,
    register,
};
use mapreduce_core::Registry;
use proptest::prelude::*;

fn fit_weighted(points: Points, weights: &[f64], options: &KMeansBuilder) -> Result<Fit, FitError> {
    options.clone().build().unwrap().fit_weighted_on(&*ENGINE, points, weights)
}

fn given(start: &Table) -> KMeansBuilder {
    KMeans::builder().k(start.rows()).start(Start::Given(start.matrix()))
}

/// Each row as often as it weighs.
fn repeated(table: &Table, weights: &[f64]) -> Table {
    table.pick((0..table.rows()).flat_map(|row| std::iter::repeat_n(row, weights[row] as usize)))
}

/// The same, but for the number of rows.
fn of_rows(model: &Model) -> Model {
    Model { n: 0, counts: Vec::new(), weights: None, ..model.clone() }
}

fn both(table: &Table) -> [Points; 2] {
    [table.f32(), table.f64()]
}

fn fractions(n: usize) -> Vec<f64> {
    (0..n as u64).map(|i| if i % 7 == 0 { 0.0 } else { uniform(4, 0, i) * 3.0 }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn whole_weights_are_repeated_rows(
        weights in prop::collection::vec(0..5_u8, 40),
        (d, k) in (1..4_usize, 1..7_usize),
        whole: bool, cosine: bool, seed in 0..500_u64,
        algorithm in prop_oneof![
            3 => Just(Algorithm::Lloyd), 1 => Just(Algorithm::MiniBatch { batch: 1000 }),
        ],
    ) {
        prop_assume!(weights.iter().filter(|&&weight| weight > 0).count() > 30);
        let weights: Vec<f64> = weights.into_iter().map(f64::from).collect();
        let table = match whole {
            true => integers(40, d, 6, seed).map(|_, x| x + 1.0),
            false => blobs(40, d, 5, 0.9, seed).map(|j, x| x * 3.0 + 100.0 * j as f64 + 1.0),
        };
        // Some start far off, and lose all their rows.
        let start = table.pick(0..k).map(|j, x| if j == 0 && seed % 3 == 0 { x * 4.0 } else { x });
        let distance = if cosine { Distance::Cosine } else { Distance::Euclidean };
        let options = given(&start).distance(distance).algorithm(algorithm).max_iter(8);
        let copies = repeated(&table, &weights);
        for (points, copies) in both(&table).into_iter().zip(both(&copies)) {
            let Ok(Fit { model: expected, .. }) = fit(copies, &options) else { return Ok(()) };
            let Fit { model, labels, .. } = fit_weighted(points.clone(), &weights, &options).unwrap();
            prop_assert_eq!(of_rows(&model), of_rows(&expected));
            let counts: Vec<f64> = expected.counts.iter().map(|&count| count as f64).collect();
            prop_assert_eq!(model.weights, Some(counts));
            prop_assert_eq!(expected.predict(points).unwrap().labels, labels);
        }
    }
}

#[test]
fn weights_of_one_change_nothing() {
    let table = blobs(300, 3, 8, 0.6, 2).map(|j, x| x + 50.0 * j as f64);
    let ones = vec![1.0; 300];
    for start in [Start::Parallel, Start::PlusPlus, Start::Random] {
        for algorithm in [Algorithm::Lloyd, Algorithm::Bisecting, Algorithm::MiniBatch { batch: 50 }] {
            let options = KMeans::builder().k(7).start(start.clone()).algorithm(algorithm).max_iter(9);
            for points in both(&table) {
                let expected = fit(points.clone(), &options).unwrap();
                let found = fit_weighted(points, &ones, &options).unwrap();
                assert_eq!(found.labels, expected.labels, "{options:?}");
                assert_eq!(Model { weights: None, ..found.model }, expected.model);
            }
        }
    }
}

/// Lloyd with weights in plain loops: centroids and the cost of the last labelling.
fn weighted_lloyd(table: &Table, weights: &[f64], start: &[f64]) -> (Vec<f64>, f64) {
    let (d, mut centroids) = (table.d, start.to_vec());
    loop {
        let (mut sums, mut totals, mut cost) = (vec![0.0; start.len()], vec![0.0; start.len() / d], 0.0);
        for (row, &weight) in weights.iter().enumerate() {
            let distance = |c: usize| squared_distance(table.row(row), &centroids[c * d..][..d]);
            let nearest = (0..totals.len()).min_by(|&a, &b| distance(a).total_cmp(&distance(b))).unwrap();
            cost += weight * distance(nearest);
            totals[nearest] += weight;
            sums[nearest * d..][..d].iter_mut().zip(table.row(row)).for_each(|(sum, x)| *sum += weight * x);
        }
        let means: Vec<f64> = sums.iter().enumerate().map(|(i, sum)| sum / totals[i / d]).collect();
        if means.iter().zip(&centroids).all(|(a, b)| (a - b).abs() < 1e-12) {
            return (centroids, cost);
        }
        centroids = means;
    }
}

#[test]
fn weights_of_any_size_are_those_of_the_means() {
    let table = blobs(400, 3, 4, 0.1, 6);
    let weights = fractions(400);
    let start = table.pick(0..4);
    let (centroids, inertia) = weighted_lloyd(&table, &weights, &start.values);
    for scale in [1e-9, 0.37, 1.0, 1e6, 1e20] {
        let weights: Vec<f64> = weights.iter().map(|weight| weight * scale).collect();
        for (points, tolerance) in both(&table).into_iter().zip([1e-5, 1e-8]) {
            let model = fit_weighted(points, &weights, &given(&start).tol(0.0)).unwrap().model;
            for (found, expected) in model.centroids.concat().iter().zip(&centroids) {
                assert!((found - expected).abs() < tolerance, "{scale} {found} {expected}");
            }
            assert!((model.inertia / (inertia * scale) - 1.0).abs() < tolerance);
            let total: f64 = weights.iter().sum();
            assert!((model.weights.unwrap().iter().sum::<f64>() / total - 1.0).abs() < tolerance);
        }
    }
    // Whole, but too heavy to be kept as they are.
    let heavy: Vec<f64> = weights.iter().map(|weight| (weight * 1e9).round()).collect();
    let model = fit_weighted(table.f32(), &heavy, &given(&start).tol(0.0)).unwrap().model;
    assert!((model.inertia / (inertia * 1e9) - 1.0).abs() < 1e-5);
}

#[test]
fn rows_without_weight_get_labels_and_nothing_else() {
    // Three rows that count, far from where most are.
    let table = blobs(200, 2, 6, 0.9, 3);
    let weights: Vec<f64> = (0..200).map(|row| if row % 70 == 9 { 2.5 } else { 0.0 }).collect();
    for start in [Start::Parallel, Start::PlusPlus, Start::Random] {
        for algorithm in [Algorithm::Lloyd, Algorithm::Bisecting] {
            let options = KMeans::builder().k(3).start(start.clone()).algorithm(algorithm);
            let Fit { model, labels, .. } = fit_weighted(table.f64(), &weights, &options).unwrap();
            assert!(model.inertia < 1e-28, "{options:?} {}", model.inertia);
            assert_eq!(model.weights, Some(vec![2.5; 3]));
            assert_eq!(model.predict(table.f64()).unwrap().labels, labels);
            let error = fit_weighted(table.f64(), &weights, &options.k(4)).unwrap_err();
            assert!(matches!(error, FitError::TooFewDistinct { k: 4, distinct: 3 }), "{error}");
        }
    }
}

#[test]
fn heavy_rows_are_drawn_more_often() {
    let table = Table::new(1, (0..100).map(f64::from).collect::<Vec<_>>());
    let weights: Vec<f64> = (0..100).map(|row| if row == 42 { 99.0 } else { 1.0 }).collect();
    let drawn = (0..400).filter(|&seed| {
        let options = KMeans::builder().k(1).start(Start::Random).seed(seed).max_iter(1);
        let model = fit_weighted(table.f64(), &weights, &options).unwrap().model;
        // The cost of the first iteration tells where it began.
        model.cost_per_iteration[0] == 88_950.0
    });
    // Half of the draws, give or take five standard deviations.
    let drawn = drawn.count();
    assert!((150..250).contains(&drawn), "{drawn}");
}

#[test]
fn the_same_bits_on_any_engine() {
    let table = blobs(150, 3, 9, 0.7, 1).map(|j, x| x + [1000.1, -77.7, 0.3][j]);
    for weights in [fractions(150), (0..150).map(|row| f64::from(row % 4)).collect()] {
        for (algorithm, distance) in [
            (Algorithm::Lloyd, Distance::Euclidean),
            (Algorithm::Lloyd, Distance::Cosine),
            (Algorithm::Bisecting, Distance::Euclidean),
            (Algorithm::MiniBatch { batch: 50 }, Distance::Euclidean),
        ] {
            for start in [Start::Parallel, Start::PlusPlus] {
                let options =
                    KMeans::builder().k(6).start(start).algorithm(algorithm).distance(distance).max_iter(6);
                for points in both(&table) {
                    let expected = fit_weighted(points.clone(), &weights, &options).unwrap();
                    for split_bytes in [1, 300] {
                        let kmeans = options.clone().split_bytes(split_bytes).build().unwrap();
                        let nodes = Nodes::new(register(Registry::new()).unwrap(), 3, Faults::Many, 5);
                        let found = kmeans.fit_weighted_on(&nodes, points.clone(), &weights).unwrap();
                        assert_eq!(
                            (found.model, found.labels),
                            (expected.model.clone(), expected.labels.clone())
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn weights_that_cannot_be_used_are_named() {
    let table = Table::new(1, [1.0, 2.0, 3.0]);
    let options = KMeans::builder().k(1);
    let refused = |weights: &[f64]| match fit_weighted(table.f64(), weights, &options).unwrap_err() {
        FitError::Weights(error) => error,
        error => panic!("{error}"),
    };
    assert_eq!(refused(&[1.0, 2.0]), WeightsError::Number { rows: 3, weights: 2 });
    assert_eq!(refused(&[1.0; 4]).to_string(), "3 rows do not have 4 weights; give one weight for each row");
    assert_eq!(refused(&[1.0, -2.0, f64::NAN]), WeightsError::Weight { row: 1, weight: -2.0 });
    for wrong in [f64::NAN, f64::INFINITY] {
        assert!(matches!(refused(&[1.0, 1.0, wrong]), WeightsError::Weight { row: 2, .. }));
    }
    assert_eq!(
        refused(&[0.0, 0.0, -0.5]).to_string(),
        "the weight of row 2 (counted from 0) is -0.5; give numbers that are 0 or more"
    );
    assert_eq!(refused(&[0.0; 3]), WeightsError::AllZero);
    let error = fit_weighted(table.f64(), &[1.0; 3], &options.clone().shared(true)).unwrap_err();
    assert!(matches!(error, FitError::NotShareable(ShareError::Weighted)), "{error}");
}

#[test]
fn rows_without_weight_have_to_be_numbers_within_reach_too() {
    let error =
        fit_weighted(Table::new(1, [1.0, 2.0, f64::NAN]).f64(), &[1.0, 1.0, 0.0], &KMeans::builder().k(1));
    assert!(error.unwrap_err().to_string().starts_with("row 2, column 0 (counted from 0) is NaN"));
    let error =
        fit_weighted(Table::new(1, [1.0, 2.0, 1e30]).f32(), &[1.0, 1.0, 0.0], &KMeans::builder().k(1));
    assert!(error.unwrap_err().to_string().starts_with("column 0 spans values up to 1.0"));
}
