//! Points that stay in their files: the same bits as of the points in memory, however they are cut, read and kept, and
//! errors that name the file.

use super::{
    ENGINE,
    any_engine::{everything, find, save_npy},
    data::{Table, blobs, integers},
    fit, fit_on,
    nodes::{Faults, Nodes},
};
use kmeans_job::{
    Algorithm, DataError, Distance, DistancesError, FitError, KMeans, KMeansBuilder, PredictError, Start,
    WeightsError,
    data::{self, Dtype, LoadError, LoadOptions, PointFiles, Points, ShareError},
    distances,
};
use mapreduce_core::{Error, FailureKind, Local, Memory};
use proptest::prelude::*;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// A table in several files, which begin at the given rows.
pub(super) fn save(table: &Table, dtype: Dtype, folder: &TempDir, starts: &[usize]) -> Vec<PathBuf> {
    let ends = starts.iter().skip(1).copied().chain([table.rows()]);
    let parts = starts.iter().zip(ends).enumerate();
    let save = |(i, (&start, end)): (usize, (&usize, usize))| {
        let path = folder.path().join(format!("{i}.npy"));
        save_npy(&table.pick(start..end), dtype, &path);
        path
    };
    parts.map(save).collect()
}

pub(super) fn open(paths: &[PathBuf]) -> Points {
    PointFiles::open(paths, &[]).unwrap().into()
}

pub(super) fn load(paths: &[PathBuf]) -> Points {
    data::load_all(paths, LoadOptions::default()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn files_give_the_bits_of_memory(
        (n, d, k) in (8..300_usize, 1..20_usize, 1..8_usize),
        (f64, offset, seed) in (any::<bool>(), -1e4..1e4_f64, 0..1000_u64),
        cuts in prop::collection::btree_set(1..300_usize, 0..4),
        split_bytes in prop::sample::select(vec![1, 100, 1000, u64::MAX]),
    ) {
        let table = blobs(n, d, k, 0.4, seed).map(|_, x| x + offset);
        let dtype = if f64 { Dtype::F64 } else { Dtype::F32 };
        let folder = tempfile::tempdir().unwrap();
        let starts: Vec<usize> = [0].into_iter().chain(cuts.into_iter().filter(|&cut| cut < n)).collect();
        let paths = save(&table, dtype, &folder, &starts);
        let (loaded, files) = (load(&paths), open(&paths));
        prop_assert_eq!((files.rows(), files.d(), files.dtype()), (loaded.rows(), loaded.d(), loaded.dtype()));
        let options = KMeans::builder().k(k).max_iter(5).seed(seed);
        let expected = find(&*ENGINE, &loaded, &options, (1 << 20, false));
        prop_assert_eq!(&find(&*ENGINE, &files, &options, (split_bytes, false)), &expected);
        // Splits of a value each take their time on nodes.
        for shared in [false, true] {
            let nodes = Nodes::new(everything(), 3, Faults::Many, seed);
            prop_assert_eq!(&find(&nodes, &files, &options, (split_bytes.max(1000), shared)), &expected);
            let done = nodes.done();
            prop_assert_eq!((done.shipped == 0, done.opened == 0), (shared, !shared));
        }
    }
}

#[test]
fn every_start_and_choice_of_k_gives_the_bits_of_memory() {
    let table = integers(400, 2, 6, 3).map(|_, x| x * 0.1);
    let folder = tempfile::tempdir().unwrap();
    let paths = save(&table, Dtype::F32, &folder, &[0, 150]);
    let given = Start::Given(table.pick([0, 1, 2, 0, 1]).matrix());
    let options = [Start::Parallel, Start::PlusPlus, Start::Random, given]
        .map(|start| KMeans::builder().k(5).start(start).split_bytes(300));
    let several = KMeans::builder().k(2..=4).n_init(2).split_bytes(300);
    for options in options.into_iter().chain([several]) {
        let (found, expected) = (fit(open(&paths), &options).unwrap(), fit(load(&paths), &options).unwrap());
        assert_eq!((found.model, found.labels), (expected.model, expected.labels));
        let silhouettes = |trials: &[kmeans_job::Trial]| -> Vec<_> {
            trials.iter().map(|trial| (trial.k, trial.silhouette, trial.run)).collect()
        };
        assert_eq!(silhouettes(&found.trials), silhouettes(&expected.trials));
    }
}

#[test]
fn a_tiny_budget_changes_no_bit() {
    // 200 000 rows remember 2.4 MB, and a task of the budget has 10 MiB.
    let table = blobs(200_000, 2, 5, 0.4, 7);
    let folder = tempfile::tempdir().unwrap();
    let paths = save(&table, Dtype::F32, &folder, &[0]);
    let options = KMeans::builder().k(5).max_iter(4).split_bytes(1 << 16);
    let expected = fit(load(&paths), &options).unwrap();
    for memory in [11 << 20, 13 << 20, 100 << 20] {
        let memory = Memory::limited(memory).spilling_to(folder.path());
        let engine = Local::new(2).unwrap().with_memory(memory.clone());
        let found = fit_on(&engine, open(&paths), &options).unwrap();
        assert_eq!((found.model, found.labels), (expected.model.clone(), expected.labels.clone()));
        assert!(memory.held_bytes_max() <= memory.budget_bytes(), "{memory:?}");
        assert_eq!(memory.held_bytes(), 0, "what was kept of splits is given back with them");
    }
}

/// A fit during which, after its first iteration, something happens.
fn interfere(points: Points, change: impl Fn() + Send + Sync + 'static) -> Error {
    let options = KMeans::builder().k(4).tol(0.0).split_bytes(1 << 10);
    let options = options.observe(move |iteration| {
        if iteration.number == 1 {
            change();
        }
    });
    match fit(points, &options) {
        Err(FitError::Job(error)) => error,
        other => panic!("expected an error of a job, got {other:?}"),
    }
}

#[test]
fn a_file_that_changes_between_rounds_is_an_error_that_names_it() {
    let table = blobs(3000, 2, 4, 0.9, 1);
    let other = blobs(3000, 2, 4, 0.9, 2);
    type Change = fn(&Path, &Table);
    let changes: [(&str, Change); 4] = [
        ("has changed since the job was planned: it has been written to", |path, other| {
            save_npy(other, Dtype::F32, path)
        }),
        ("bytes", |path, _| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("bytes", |path, _| fs::write(path, [&fs::read(path).unwrap()[..], &[0; 8]].concat()).unwrap()),
        ("", |path, _| fs::remove_file(path).unwrap()),
    ];
    for (words, change) in changes {
        let folder = tempfile::tempdir().unwrap();
        let paths = save(&table, Dtype::F32, &folder, &[0, 1000]);
        let (changed, other) = (paths[1].clone(), other.pick(1000..3000));
        let error = interfere(open(&paths), move || change(&changed, &other));
        let Error::Task(task) = &error else { panic!("{error}") };
        assert_eq!(task.failure.kind, FailureKind::Read);
        let message = error.to_string();
        assert!(message.contains("1.npy") && message.contains(words), "{message}");
    }
}

#[test]
fn what_is_not_finite_is_named_by_its_row() {
    let mut table = blobs(500, 3, 4, 0.5, 1).map(|_, x| x + 1e3);
    let folder = tempfile::tempdir().unwrap();
    let model = fit(table.f32(), &KMeans::builder().k(2)).unwrap().model;
    for value in [f64::NAN, f64::INFINITY] {
        table.values[3 * 321 + 2] = value;
        let files = open(&save(&table, Dtype::F32, &folder, &[0, 300]));
        let expected = DataError::NotFinite { row: 321, column: 2 };
        let options = KMeans::builder().k(2).split_bytes(100);
        assert!(matches!(fit(&files, &options), Err(FitError::Data(error)) if error == expected));
        assert!(matches!(model.predict(&files), Err(PredictError::Data(error)) if error == expected));
    }
    table.values[3 * 321 + 2] = 1e30;
    let files = open(&save(&table, Dtype::F32, &folder, &[0, 300]));
    let error = model.predict(&files).unwrap_err();
    assert!(matches!(error, PredictError::Data(DataError::TooLarge { column: 2, .. })), "{error}");
}

#[test]
fn what_cannot_stay_in_files_is_said_when_they_are_opened() {
    let iris = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/iris.csv");
    let error = PointFiles::open(&[iris], &[]).unwrap_err();
    assert!(matches!(error, LoadError::NotStoredAsRows { .. }));
    assert!(error.to_string().ends_with(
        "iris.csv: a table with commas has to be decoded, it cannot be read in each pass; load it with `load_all`, if it is \
         too large for memory with a folder for its values (`LoadOptions::overflow`)"
    ));
    let table = blobs(20, 2, 3, 0.5, 1);
    let folder = tempfile::tempdir().unwrap();
    let paths = save(&table, Dtype::F32, &folder, &[0]);
    let columns = ["x".to_owned()];
    assert!(matches!(PointFiles::open(&paths, &columns), Err(LoadError::NoColumnNames { .. })));
    save_npy(&table, Dtype::F64, &folder.path().join("1.npy"));
    assert!(matches!(PointFiles::open(&[folder.path()], &[]), Err(LoadError::Unlike { .. })));
    fs::write(&paths[0], b"nothing").unwrap();
    assert!(matches!(PointFiles::open(&paths, &[]), Err(LoadError::Npy { .. })));
}

#[test]
fn distances_of_files_are_those_of_memory() {
    let table = blobs(2000, 3, 4, 0.5, 1);
    let folder = tempfile::tempdir().unwrap();
    let paths = save(&table, Dtype::F64, &folder, &[0, 700, 701]);
    let found = fit(open(&paths), &KMeans::builder().k(4)).unwrap();
    let of = |points: &Points| distances(points, &found.model, &found.labels);
    let files = open(&paths);
    assert_eq!(of(&files).unwrap(), of(&load(&paths)).unwrap());
    fs::remove_file(&paths[1]).unwrap();
    let error = of(&files).unwrap_err();
    assert!(matches!(&error, DistancesError::Read { problem } if problem.contains("1.npy")), "{error}");
}

/// What a program that knows `KMeansBuilder` alone would write.
fn shared(points: &Points) -> Result<kmeans_job::Fit, FitError> {
    let options: KMeansBuilder = KMeans::builder().k(2).shared(true);
    fit(points, &options)
}

#[test]
fn several_files_can_be_shared_if_they_stay_where_they_are() {
    let table = blobs(200, 2, 2, 0.5, 1);
    let folder = tempfile::tempdir().unwrap();
    let paths = save(&table, Dtype::F64, &folder, &[0, 70]);
    assert!(shared(&open(&paths)).is_ok());
    assert!(matches!(shared(&load(&paths)), Err(FitError::NotShareable(ShareError::NotStored))));
}

#[test]
fn directions_and_mini_batches_of_files_are_those_of_memory() {
    let table = blobs(3000, 3, 4, 0.5, 1).map(|i, x| x + f64::from(i % 3 == 0));
    let folder = tempfile::tempdir().unwrap();
    let paths = save(&table, Dtype::F32, &folder, &[0, 1234]);
    let cosine = KMeans::builder().k(4).distance(Distance::Cosine).split_bytes(1000);
    let batches = KMeans::builder().k(4).algorithm(Algorithm::MiniBatch { batch: 500 }).max_iter(7);
    for options in [cosine, batches] {
        let (found, expected) = (fit(open(&paths), &options).unwrap(), fit(load(&paths), &options).unwrap());
        assert_eq!((&found.model, &found.labels), (&expected.model, &expected.labels));
        let predicted = found.model.predict(open(&paths)).unwrap();
        assert_eq!(predicted.labels, found.model.predict(load(&paths)).unwrap().labels);
        let of = |points: &Points| distances(points, &found.model, &found.labels).unwrap();
        assert_eq!(of(&open(&paths)), of(&load(&paths)));
    }
}

#[test]
fn weights_of_points_in_files_give_the_bits_of_memory() {
    let table = blobs(700, 3, 4, 0.5, 1).map(|_, x| x + 3.0);
    let whole: Vec<f64> = (0..700).map(|i| f64::from(i % 4)).collect();
    let parts: Vec<f64> = (0..700).map(|i| f64::from(i % 7) * 0.3).collect();
    for (dtype, weights, distance) in [
        (Dtype::F32, &whole, Distance::Euclidean),
        (Dtype::F32, &parts, Distance::Cosine),
        (Dtype::F64, &parts, Distance::Euclidean),
        (Dtype::F64, &whole, Distance::Cosine),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let paths = save(&table, dtype, &folder, &[0, 300, 301]);
        for algorithm in [Algorithm::Lloyd, Algorithm::MiniBatch { batch: 200 }] {
            let options = KMeans::builder().k(3..=4).distance(distance).algorithm(algorithm).max_iter(6);
            let kmeans = options.clone().split_bytes(1000).build().unwrap();
            let expected = kmeans.fit_weighted_on(&*ENGINE, load(&paths), weights).unwrap();
            let found = kmeans.fit_weighted_on(&*ENGINE, open(&paths), weights).unwrap();
            assert_eq!((&found.model, &found.labels), (&expected.model, &expected.labels));
            let nodes = Nodes::new(everything(), 3, Faults::Many, 9);
            let found = kmeans.fit_weighted_on(&nodes, open(&paths), weights).unwrap();
            assert_eq!((&found.model, &found.labels), (&expected.model, &expected.labels));
            let kmeans = options.split_bytes(1000).without_labels().build().unwrap();
            let found = kmeans.fit_weighted_on(&*ENGINE, open(&paths), weights).unwrap();
            assert_eq!(found.model, expected.model);
        }
        let refused = |weights: &[f64], shared| {
            let kmeans = KMeans::builder().k(2).shared(shared).build().unwrap();
            kmeans.fit_weighted_on(&*ENGINE, open(&paths), weights).unwrap_err()
        };
        let error = refused(&weights[1..], false);
        assert!(matches!(error, FitError::Weights(WeightsError::Number { rows: 700, weights: 699 })));
        assert!(matches!(refused(&[0.0; 700], false), FitError::Weights(WeightsError::AllZero)));
        assert!(matches!(refused(weights, true), FitError::NotShareable(ShareError::Weighted)));
    }
}

#[test]
fn a_row_without_a_direction_is_named_by_its_place_in_all_files() {
    let mut table = blobs(300, 2, 3, 0.5, 1);
    table.values[2 * 222..2 * 223].fill(0.0);
    let folder = tempfile::tempdir().unwrap();
    let files = open(&save(&table, Dtype::F32, &folder, &[0, 100]));
    let options = KMeans::builder().k(3).distance(Distance::Cosine).split_bytes(64);
    let error = fit(&files, &options).unwrap_err();
    assert!(matches!(error, FitError::Data(DataError::NoDirection { row: 222 })), "{error}");
}
