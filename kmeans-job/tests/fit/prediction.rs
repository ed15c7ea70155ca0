//! Labels for rows, old and new.

use super::{
    ENGINE,
    data::{Table, blobs, integers, iris},
    fit,
    oracle::squared_distance,
};
use kmeans_job::{KMeans, Model, PredictError, PredictOptions, Prediction, data::Points};

fn labels(model: &Model, points: Points) -> Prediction {
    model.predict_on(&*ENGINE, points, &PredictOptions::default()).unwrap()
}

#[test]
fn the_rows_of_the_fit_get_the_labels_of_the_fit() {
    let far = blobs(400, 3, 6, 0.8, 2).map(|j, x| x * 10_f64.powi(j as i32 * 3) + 12345.678);
    let pixels = integers(700, 3, 255, 3);
    let folder = tempfile::tempdir().unwrap();
    for table in [iris(), blobs(500, 7, 5, 0.9, 1), far, pixels] {
        for points in [table.f32(), table.f64()] {
            for (k, max_iter) in [(1, 300), (3, 300), (17, 2), (30, 300)] {
                let options = KMeans::builder().k(k).max_iter(max_iter);
                let fit = fit(points.clone(), &options).unwrap();
                let path = folder.path().join("model.json");
                fit.model.save(&path).unwrap();
                for model in [&fit.model, &Model::load(&path).unwrap()] {
                    let prediction = labels(model, points.clone());
                    assert_eq!(prediction.labels, fit.labels);
                    assert_eq!(prediction.inertia, fit.model.inertia);
                }
            }
        }
    }
}

#[test]
fn new_rows_go_to_their_nearest_centroid() {
    let model = fit(blobs(300, 4, 6, 0.5, 1).f64(), &KMeans::builder().k(6)).unwrap().model;
    let table = blobs(200, 4, 3, 3.0, 2);
    let prediction = labels(&model, table.f64());
    let mut inertia = 0.0;
    for (i, &label) in prediction.labels.iter().enumerate() {
        let distances: Vec<f64> = model.centroids.iter().map(|c| squared_distance(table.row(i), c)).collect();
        let least = distances.iter().copied().fold(f64::INFINITY, f64::min);
        assert_eq!(distances[label as usize], least);
        inertia += least;
    }
    assert!((prediction.inertia / inertia - 1.0).abs() < 1e-12);
    assert!(prediction.report.records >= 200);
}

#[test]
fn a_single_row_and_rows_far_from_the_model_are_labelled_too() {
    let model = fit(Table::new(1, [0.0, 1.0, 10.0, 11.0]).f32(), &KMeans::builder().k(2));
    let model = model.unwrap().model;
    let nearest = |x: f64| model.centroids[labels(&model, Table::new(1, [x]).f32()).labels[0] as usize][0];
    assert_eq!([-1e10, 0.2, 9.0, 1e10].map(nearest), [0.5, 0.5, 10.5, 10.5]);
}

#[test]
fn a_model_made_from_one_type_labels_rows_of_the_other() {
    // At a million f32 holds multiples of 1/16, and the middle of narrow f64 columns is none.
    let table = integers(300, 2, 3, 4).map(|_, x| 1e6 + x / 16.0);
    let narrow = blobs(300, 2, 5, 0.1, 1).map(|_, x| 1e6 + 0.17 * x);
    let model = fit(narrow.f64(), &KMeans::builder().k(5)).unwrap().model;
    let prediction = labels(&model, table.f32());
    let mut inertia = 0.0;
    for i in 0..table.rows() {
        let distances = model.centroids.iter().map(|c| squared_distance(table.row(i), c));
        inertia += distances.fold(f64::INFINITY, f64::min);
    }
    assert!((prediction.inertia / inertia - 1.0).abs() < 1e-6, "{} {inertia}", prediction.inertia);
    let model = fit(table.f32(), &KMeans::builder().k(5)).unwrap().model;
    assert_eq!(labels(&model, table.f64()).labels, labels(&model, table.f32()).labels);
}

#[test]
fn a_model_that_contradicts_itself_is_refused() {
    let table = Table::new(2, [0.0, 1.0, 10.0, 11.0]);
    let model = fit(table.f64(), &KMeans::builder().k(2)).unwrap().model;
    for (field, model) in [
        ("centroids", Model { centroids: vec![], ..model.clone() }),
        ("centroids", Model { centroids: vec![vec![1.0, 2.0], vec![3.0]], ..model.clone() }),
        ("centroids", Model { centroids: vec![vec![1.0, f64::NAN]], ..model.clone() }),
        ("shift", Model { shift: vec![0.0, f64::INFINITY], ..model.clone() }),
        ("shift", Model { shift: vec![], ..model.clone() }),
    ] {
        let error = model.predict_on(&*ENGINE, table.f64(), &PredictOptions::default()).unwrap_err();
        assert!(matches!(&error, PredictError::Model { field: found, .. } if *found == field), "{error}");
    }
}

#[test]
fn a_model_out_of_reach_of_the_type_of_the_rows_is_refused() {
    let model = fit(Table::new(1, [1e25, -1e25]).f64(), &KMeans::builder().k(2)).unwrap().model;
    let error =
        model.predict_on(&*ENGINE, Table::new(1, [1.0, 2.0]).f32(), &PredictOptions::default()).unwrap_err();
    assert!(error.to_string().starts_with("column 0 spans values up to 1e25, whose squared"), "{error}");
}
