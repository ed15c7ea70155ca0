//! What is refused, in which words, and how a fit is stopped.

use super::{
    ENGINE,
    data::{Table, blobs},
    fit,
};
use kmeans_job::{
    DataError, FitError, KMeans, KMeansBuilder, Model, OptionsError, PredictError, PredictOptions, Start,
    data::{Dtype, Matrix, Points, ShapeError},
};
use mapreduce_core::{Cancel, Error};

fn line(values: &[f64]) -> Table {
    Table::new(1, values)
}

fn message(points: Points, options: &KMeansBuilder) -> String {
    fit(points, options).unwrap_err().to_string()
}

fn refused(options: KMeansBuilder) -> (OptionsError, String) {
    let error = options.build().unwrap_err();
    let message = error.to_string();
    (error, message)
}

#[test]
fn k_has_to_be_between_one_and_the_number_of_rows() {
    for k in [4, usize::MAX] {
        let expected = format!("k is {k}, but the data has 3 rows; ask for 1 to 3 clusters");
        assert_eq!(message(line(&[1.0, 2.0, 3.0]).f64(), &KMeans::builder().k(k)), expected);
        assert_eq!(message(line(&[1.0, 2.0, 3.0]).f64(), &KMeans::builder().k(1..=k)), expected);
    }
    for none in [KMeans::builder().k(0), KMeans::builder().k(0..=3)] {
        assert_eq!(refused(none), (OptionsError::NoClusters, "k is 0; ask for 1 cluster or more".to_owned()));
    }
}

#[test]
fn a_range_of_k_begins_at_its_lower_end() {
    let (from, to) = (20, 2);
    let (error, message) = refused(KMeans::builder().k(from..=to));
    assert_eq!(error, OptionsError::UpsideDown { from: 20, to: 2 });
    assert_eq!(message, "the range 20..2 of k is upside down; give 2..20");
}

#[test]
fn given_start_centroids_are_for_one_k_and_one_run() {
    let given = || KMeans::builder().start(Start::Given(line(&[1.0, 2.0]).matrix()));
    assert_eq!(refused(given().k(2..=3)).0, OptionsError::RangeOfGiven { from: 2, to: 3 });
    assert_eq!(refused(given().k(2).n_init(2)).0, OptionsError::RunsOfGiven { n_init: 2 });
    assert!(given().k(2..=2).n_init(1).build().is_ok());
}

#[test]
fn there_has_to_be_a_run_and_an_iteration() {
    assert_eq!(refused(KMeans::builder().n_init(0)).1, "n-init is 0; allow at least 1 run");
    assert_eq!(refused(KMeans::builder().max_iter(0)).1, "max-iter is 0; allow at least 1 iteration");
}

#[test]
fn the_tolerance_is_a_number_and_not_negative() {
    for tol in [-1e-9, f64::NEG_INFINITY, f64::NAN] {
        assert_eq!(refused(KMeans::builder().tol(tol)).1, format!("tol is {tol}; it must be 0 or more"));
    }
    let endless = KMeans::builder().k(2).tol(f64::INFINITY);
    assert_eq!(fit(line(&[1.0, 2.0, 4.0, 9.0]).f64(), &endless).unwrap().model.iterations, 1);
}

#[test]
fn rows_have_to_be_whole_and_there_have_to_be_some() {
    let shape = |values: &[f32], d| match fit((values, d), &KMeans::builder().k(1)) {
        Err(FitError::Shape(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(shape(&[], 2), ShapeError::NoRows);
    assert_eq!(shape(&[1.0], 0), ShapeError::NoColumns);
    assert_eq!(shape(&[1.0, 2.0, 3.0], 2), ShapeError::Length { rows: 1, d: 2, found: 3 });
    assert_eq!(shape(&[1.0], 2), ShapeError::Length { rows: 1, d: 2, found: 1 });
    let model = fit(&[[1.0], [2.0]], &KMeans::builder().k(1)).unwrap().model;
    let none: &[[f64; 1]] = &[];
    assert!(matches!(model.predict(none), Err(PredictError::Shape(ShapeError::NoRows))));
}

#[test]
fn start_centroids_are_k_rows_of_the_columns_of_the_data() {
    for (rows, d) in [(1, 2), (3, 2), (2, 1), (2, 3)] {
        let start = Start::Given(Matrix::new(rows, d, vec![0.5; rows * d]).unwrap());
        let error = fit(blobs(9, 2, 3, 0.1, 1).f32(), &KMeans::builder().k(2).start(start));
        let message = error.unwrap_err().to_string();
        assert!(message.starts_with(&format!("the start centroids are {rows} x {d}, but 2 x 2 are needed")));
    }
}

#[test]
fn a_start_centroid_that_cannot_be_computed_with_is_named() {
    for (value, f32, f64) in [
        (f64::NAN, false, false),
        (f64::INFINITY, false, false),
        (f64::NEG_INFINITY, false, false),
        (1e200, false, false),
        (1e30, false, true),
        (1e10, true, true),
    ] {
        let start = Start::Given(Matrix::new(2, 2, vec![0.1, 0.2, 0.3, value]).unwrap());
        let options = KMeans::builder().k(2).start(start);
        let table = blobs(9, 2, 3, 0.1, 1);
        for (points, works) in [(table.f32(), f32), (table.f64(), f64)] {
            match fit(points, &options) {
                Ok(fit) => assert!(works && fit.model.inertia < 1.0, "{value}"),
                Err(FitError::StartValue { row: 1, column: 1, .. }) => assert!(!works, "{value}"),
                Err(error) => panic!("{value}: {error}"),
            }
        }
    }
}

#[test]
fn the_first_value_that_is_not_finite_is_named() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for at in [0, 7, 1000, 2999] {
            let mut table = blobs(1000, 3, 3, 0.1, 1);
            for i in [at, 2999] {
                table.values[i] = value;
            }
            for points in [table.f32(), table.f64()] {
                let options = KMeans::builder().k(2).split_bytes(512);
                let error = fit(points, &options).unwrap_err();
                let FitError::Data(DataError::NotFinite { row, column }) = error else { panic!("{error}") };
                assert_eq!((row, column), (at as u64 / 3, at as u64 % 3));
                assert!(error.to_string().contains("is NaN or infinite; remove or replace it"));
            }
        }
    }
}

#[test]
fn values_too_large_for_their_type_are_named_by_column() {
    let refused = |points: Points| {
        let error = fit(points, &KMeans::builder().k(2)).unwrap_err();
        let FitError::Data(DataError::TooLarge { column, magnitude, dtype }) = error else {
            panic!("{error}")
        };
        (error.to_string(), column, magnitude, dtype)
    };
    for large in [1e19, 1e30, 3e38] {
        let table = Table::new(2, [0.0, -large, 1.0, 0.0, 2.0, large]);
        let (message, column, magnitude, dtype) = refused(table.f32());
        assert_eq!((column, dtype), (1, Dtype::F32));
        assert!((magnitude / large - 1.0).abs() < 0.1, "{magnitude:e}");
        assert!(message.ends_with("overflow f32; scale it down, or give it as f64"), "{message}");
        let f64 = fit(table.f64(), &KMeans::builder().k(2)).unwrap();
        assert!((f64.model.inertia / (large * large / 2.0) - 1.0).abs() < 1e-9);
    }
    for large in [1e200, f64::MAX] {
        let (message, column, magnitude, dtype) = refused(Table::new(2, [-large, 0.0, large, 1.0]).f64());
        assert_eq!((column, magnitude, dtype), (0, large, Dtype::F64));
        assert!(message.ends_with("overflow f64; scale it down"), "{message}");
    }
    // The ends of f32 themselves, where the middle must not be rounded away to infinity.
    let (_, column, magnitude, _) =
        refused(line(&[f64::from(f32::MAX), f64::from(f32::MAX.next_down())]).f32());
    assert!(column == 0 && magnitude.is_finite());
}

#[test]
fn the_inertia_of_many_large_rows_does_not_overflow() {
    let large = 4e153;
    let table = Table::new(1, (0..4000).map(|i| if i % 2 == 0 { large } else { -large }).collect::<Vec<_>>());
    let error = fit(table.f64(), &KMeans::builder().k(1)).unwrap_err();
    assert!(matches!(error, FitError::Data(DataError::TooLarge { column: 0, .. })), "{error}");
}

#[test]
fn values_too_small_for_their_type_are_refused_rather_than_confused() {
    let table = |small: f64| Table::new(1, [0.0, small, 8.0 * small, 9.0 * small]);
    let options = KMeans::builder().k(2);
    let small = |points| match fit(points, &options) {
        Err(FitError::Data(DataError::TooSmall { dtype, .. })) => dtype,
        other => panic!("{other:?}"),
    };
    for tiny in [1e-30, 1e-44] {
        assert_eq!(small(table(tiny).f32()), Dtype::F32);
        assert_eq!(fit(table(tiny).f64(), &options).unwrap().model.counts, [2, 2]);
    }
    for tiny in [1e-200, 1e-310, 5e-324] {
        assert_eq!(small(table(tiny).f64()), Dtype::F64);
    }
    assert!(message(table(1e-30).f32(), &options).ends_with("scale the data up, or give it as f64"));
    for (points, at_the_edge) in [(table(1e-19).f32(), 1e-38), (table(1e-153).f64(), 1e-306)] {
        let fit = fit(points, &options).unwrap();
        assert_eq!(fit.model.counts, [2, 2]);
        assert!((fit.model.inertia / at_the_edge - 1.0).abs() < 0.01, "{:e}", fit.model.inertia);
    }
}

#[test]
fn a_fit_that_is_cancelled_before_it_starts_does_nothing() {
    let options = KMeans::builder().k(2);
    let cancel = Cancel::new();
    cancel.cancel();
    let options = options.cancel(cancel).observe(|_| panic!("observed"));
    let error = fit(blobs(50, 2, 2, 0.1, 1).f64(), &options);
    assert!(matches!(error, Err(FitError::Job(Error::Cancelled))));
}

#[test]
fn a_fit_is_cancelled_from_its_own_callback() {
    let table = blobs(500, 2, 9, 2.0, 1);
    let options = || KMeans::builder().k(5).tol(0.0);
    let last = fit(table.f64(), &options()).unwrap().model.iterations as u32;
    assert!(last > 2);
    // In the last iteration only the labels are left to be computed.
    for at in [1, 2, last] {
        let cancel = Cancel::new();
        let options = options().cancel(cancel.clone()).observe(move |iteration| {
            assert!(iteration.number <= at, "went on");
            if iteration.number == at {
                cancel.cancel();
            }
        });
        let error = fit(table.f64(), &options);
        assert!(matches!(error, Err(FitError::Job(Error::Cancelled))), "{error:?}");
    }
}

#[test]
fn predictions_are_refused_and_cancelled_in_the_same_words() {
    let model = fit(blobs(50, 3, 2, 0.1, 1).f64(), &KMeans::builder().k(2)).unwrap().model;
    let predict = |points, cancel: &Cancel| {
        let options = PredictOptions { cancel: cancel.clone(), ..PredictOptions::default() };
        model.predict_on(&*ENGINE, points, &options).unwrap_err()
    };
    let go_on = Cancel::new();
    assert_eq!(
        predict(blobs(5, 2, 2, 0.1, 1).f64(), &go_on).to_string(),
        "the data has 2 columns, but the model was made from data with 3; give it data of the same kind"
    );
    let error = predict(Table::new(3, [0.0, 1.0, f64::NAN]).f32(), &go_on);
    assert!(matches!(error, PredictError::Data(DataError::NotFinite { row: 0, column: 2 })));
    let mut rows = vec![0.0; 3 * 5000];
    rows[3 * 4321 + 1] = f64::NEG_INFINITY;
    let error = predict(Table::new(3, rows).f32(), &go_on);
    assert!(matches!(error, PredictError::Data(DataError::NotFinite { row: 4321, column: 1 })), "{error}");
    let error = predict(Table::new(3, [0.0, 1e30, 0.0]).f32(), &go_on);
    assert!(matches!(error, PredictError::Data(DataError::TooLarge { column: 1, .. })));
    // Infinite only once it is shifted.
    let far = Model { shift: vec![0.0, 0.0, -1e308], ..model.clone() };
    let error = far.predict_on(&*ENGINE, Table::new(3, [0.0, 1.0, 1e308]).f64(), &PredictOptions::default());
    assert!(matches!(error, Err(PredictError::Data(DataError::TooLarge { column: 2, .. }))), "{error:?}");
    let stop = Cancel::new();
    stop.cancel();
    assert!(matches!(predict(blobs(5, 3, 2, 0.1, 1).f64(), &stop), PredictError::Job(Error::Cancelled)));
}
