//! Fits without labels, which are else those with them; and predictions of files in pieces, which together are those in one.

use super::{
    ENGINE,
    any_engine::{everything, save_npy},
    data::{Table, blobs, integers},
    fit,
    nodes::{Faults, Nodes},
};
use kmeans_job::{
    Algorithm, Distance, DistancesError, Fit, KMeans, KMeansBuilder, Model, PredictError, PredictOptions,
    Trial,
    data::{Dtype, PointFiles, Points},
    distances,
};
use mapreduce_core::{Cancel, Engine, Error, Local};
use proptest::prelude::*;
use std::{fs, path::PathBuf};
use tempfile::TempDir;

fn save(table: &Table, dtype: Dtype, folder: &TempDir) -> PathBuf {
    let path = folder.path().join("points.npy");
    save_npy(table, dtype, &path);
    path
}

fn open(path: &PathBuf) -> PointFiles {
    PointFiles::open(&[path], &[]).unwrap()
}

/// What does not tell the time.
fn untimed(trials: &[Trial]) -> Vec<(usize, f64, Option<f64>, u32, u64)> {
    trials.iter().map(|t| (t.k, t.inertia, t.silhouette, t.run, t.iterations)).collect()
}

fn assert_same<L>(found: &Fit<L>, expected: &Fit) {
    assert_eq!(found.model, expected.model);
    assert_eq!(untimed(&found.trials), untimed(&expected.trials));
}

#[test]
fn a_fit_without_labels_is_else_the_fit_with_them() {
    let table = integers(400, 2, 6, 3).map(|_, x| x * 0.1 + 0.1);
    let folder = tempfile::tempdir().unwrap();
    let files = open(&save(&table, Dtype::F32, &folder));
    let options = [
        KMeans::builder().k(5),
        KMeans::builder().k(2..=5).n_init(3),
        KMeans::builder().k(5).distance(Distance::Cosine),
        KMeans::builder().k(5).algorithm(Algorithm::MiniBatch { batch: 100 }),
        KMeans::builder().k(5).algorithm(Algorithm::Bisecting),
    ];
    for options in options.map(|options| options.max_iter(8).split_bytes(300)) {
        let expected = fit(table.f32(), &options).unwrap();
        let kmeans = options.clone().without_labels().build().unwrap();
        let found: Fit<()> = kmeans.fit_on(&*ENGINE, table.f32()).unwrap();
        assert_same(&found, &expected);
        let nodes = Nodes::new(everything(), 3, Faults::Many, 5);
        assert_same(&kmeans.fit_on(&nodes, table.f32()).unwrap(), &expected);
        if !format!("{options:?}").contains("Bisecting") {
            assert_same(&kmeans.fit_on(&*ENGINE, &files).unwrap(), &expected);
            assert_same(&kmeans.fit_on(&nodes, &files).unwrap(), &expected);
        }
    }
}

#[test]
fn weights_of_clusters_are_told_without_labels() {
    let table = blobs(300, 3, 4, 0.3, 1);
    for weights in
        [(0..300).map(f64::from).collect::<Vec<_>>(), (0..300).map(|i| f64::from(i % 5) * 0.3).collect()]
    {
        let options = KMeans::builder().k(4).split_bytes(500);
        let expected = options.clone().build().unwrap().fit_weighted(table.f64(), &weights).unwrap();
        let found = options.without_labels().build().unwrap().fit_weighted(table.f64(), &weights).unwrap();
        assert!(found.model.weights.is_some());
        assert_same(&found, &expected);
    }
}

/// All pieces: labels and distances of all rows, and the number of pieces.
fn all_pieces(
    model: &Model,
    engine: &impl Engine,
    files: &PointFiles,
    options: &PredictOptions,
) -> (Vec<i32>, Vec<f64>, usize) {
    let (mut labels, mut distances, mut count) = (Vec::new(), Vec::new(), 0);
    let total = model
        .predict_pieces_on(engine, files, options, |piece| {
            assert_eq!(piece.first_row, labels.len() as u64);
            labels.extend_from_slice(piece.labels);
            distances.extend(piece.distances()?);
            count += 1;
            Ok::<(), Box<dyn std::error::Error>>(())
        })
        .unwrap();
    let whole = model.predict_on(engine, files, options).unwrap();
    assert_eq!((&whole.labels, whole.inertia), (&labels, total.inertia));
    let mut counts = vec![0; model.k()];
    labels.iter().for_each(|&label| counts[label as usize] += 1);
    assert_eq!(total.counts, counts);
    (labels, distances, count)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_are_the_whole(
        (n, d, k) in (8..300_usize, 2..6_usize, 1..6_usize),
        (f64, cosine, seed) in (any::<bool>(), any::<bool>(), 0..1000_u64),
        split_bytes in prop::sample::select(vec![1, 100, 1000, u64::MAX]),
    ) {
        let table = blobs(n, d, k, 0.4, seed).map(|_, x| x + 0.1);
        let folder = tempfile::tempdir().unwrap();
        let files = open(&save(&table, if f64 { Dtype::F64 } else { Dtype::F32 }, &folder));
        let distance = if cosine { Distance::Cosine } else { Distance::Euclidean };
        let fitted = fit(&files, &KMeans::builder().k(k).distance(distance).max_iter(5).seed(seed)).unwrap();
        let options = PredictOptions { split_bytes: Some(split_bytes), ..PredictOptions::default() };
        let (labels, found, _) = all_pieces(&fitted.model, &*ENGINE, &files, &options);
        prop_assert_eq!(&labels, &fitted.labels);
        prop_assert_eq!(&found, &distances(&Points::Files(files.clone()), &fitted.model, &labels).unwrap());
        for shared in [false, true] {
            let nodes = Nodes::new(everything(), 3, Faults::Many, seed);
            let split_bytes = Some(split_bytes.max(1000));
            let options = PredictOptions { split_bytes, shared, ..PredictOptions::default() };
            let on_nodes = all_pieces(&fitted.model, &nodes, &files, &options);
            prop_assert_eq!((&on_nodes.0, &on_nodes.1), (&labels, &found));
            let done = nodes.done();
            prop_assert_eq!((done.shipped == 0, done.opened == 0), (shared, !shared));
        }
    }
}

/// More rows than a piece has.
fn many_rows() -> (TempDir, PathBuf, Model) {
    let table = blobs(2_500_000, 1, 3, 0.2, 4);
    let folder = tempfile::tempdir().unwrap();
    let path = save(&table, Dtype::F32, &folder);
    let model = fit(table.pick((0..2000).map(|i| i * 7)).f32(), &KMeans::builder().k(3)).unwrap().model;
    (folder, path, model)
}

#[test]
fn a_piece_has_a_million_rows_and_a_failure_ends_the_rest() {
    let (_folder, path, model) = many_rows();
    let files = open(&path);
    let (labels, found, count) = all_pieces(&model, &*ENGINE, &files, &PredictOptions::default());
    assert_eq!((labels.len(), count), (2_500_000, 3));
    assert_eq!(found, distances(&Points::Files(files.clone()), &model, &labels).unwrap());

    // Of the one who is handed them.
    #[derive(Debug)]
    struct Full;
    impl From<PredictError> for Full {
        fn from(error: PredictError) -> Self {
            unreachable!("{error}")
        }
    }
    let mut count = 0;
    let refuse = |_: kmeans_job::Piece<'_>| {
        count += 1;
        if count == 2 { Err(Full) } else { Ok(()) }
    };
    let Full = model.predict_pieces(&files, refuse).unwrap_err();
    assert_eq!(count, 2);

    // Of the one who waits.
    let cancel = Cancel::new();
    let options = PredictOptions { cancel: cancel.clone(), ..PredictOptions::default() };
    let stop = |_: kmeans_job::Piece<'_>| {
        cancel.cancel();
        Ok::<(), PredictError>(())
    };
    let error = model.predict_pieces_on(&*ENGINE, &files, &options, stop).unwrap_err();
    assert!(matches!(error, PredictError::Job(Error::Cancelled)), "{error}");

    // Of the file, for distances and for labels.
    let mut found = None;
    let cut = |piece: kmeans_job::Piece<'_>| {
        fs::write(&path, b"other").unwrap();
        found = Some(piece.distances());
        Ok::<(), PredictError>(())
    };
    let error = model.predict_pieces(&files, cut).unwrap_err();
    assert!(matches!(&error, PredictError::Job(_)) && error.to_string().contains("points.npy"), "{error}");
    let Some(Err(DistancesError::Read { problem })) = found else { panic!("{found:?}") };
    assert!(problem.contains("points.npy"), "{problem}");
}

#[test]
fn files_that_do_not_fit_the_model_are_refused_as_by_a_prediction_in_one() {
    let mut table = blobs(500, 3, 4, 0.5, 1);
    let folder = tempfile::tempdir().unwrap();
    let engine = Local::new(1).unwrap();
    let refused = |files: &PointFiles, model: &Model| {
        let options = PredictOptions::default();
        let sink = |_: kmeans_job::Piece<'_>| panic!("nothing is right");
        let error = model.predict_pieces_on::<PredictError>(&engine, files, &options, sink).unwrap_err();
        assert_eq!(error.to_string(), model.predict_on(&engine, files, &options).unwrap_err().to_string());
        error
    };
    let options: KMeansBuilder = KMeans::builder().k(2);
    let narrow = fit(blobs(50, 2, 4, 0.5, 1).f32(), &options).unwrap().model;
    let files = open(&save(&table, Dtype::F32, &folder));
    assert!(matches!(refused(&files, &narrow), PredictError::Columns { expected: 2, found: 3 }));
    let model = fit(table.f32(), &options).unwrap().model;
    table.values[3 * 321 + 2] = f64::NAN;
    let files = open(&save(&table, Dtype::F32, &folder));
    assert!(matches!(refused(&files, &model), PredictError::Data(_)));
}
