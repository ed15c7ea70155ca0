//! The same bits on nodes that are told everything in bytes as on threads, whether the rows are sent to them or they read
//! the file, and whatever they forget.

use super::{
    ENGINE,
    data::{Table, blobs, integers},
    fit_on,
    nodes::{Done, Faults, Nodes},
    observed_fit_on,
};
use kmeans_job::{
    Algorithm, Distance, Fit, FitError, Iteration, KMeans, KMeansBuilder, PredictError, PredictOptions,
    Prediction, Start,
    data::{self, Dtype, Matrix, Points, ShareError},
    register,
};
use mapreduce_core::{Engine, Error, Registry};
use std::{
    collections::BTreeSet,
    fs,
    hash::{BuildHasher, RandomState},
    path::Path,
    sync::{Arc, mpsc},
};

/// Writes a table as numpy does.
pub(super) fn save_npy(table: &Table, dtype: Dtype, path: &Path) {
    let (descr, body): (_, Vec<u8>) = match dtype {
        Dtype::F32 => ("<f4", table.values.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect()),
        Dtype::F64 => ("<f8", table.values.iter().flat_map(|x| x.to_le_bytes()).collect()),
    };
    let shape = (table.rows(), table.d);
    // Odd numbers of spaces: the values need not be aligned in the file.
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape:?}, }}   \n");
    let length = (header.len() as u16).to_le_bytes();
    fs::write(path, [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), &body].concat()).unwrap();
}

pub(super) fn everything() -> Registry {
    register(Registry::new()).unwrap()
}

/// All that a fit gives: the model file, labels, and iterations; and the labels and inertia of its rows.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    model: Vec<u8>,
    labels: Vec<i32>,
    iterations: Vec<Iteration>,
    predicted: Vec<i32>,
    inertia: f64,
    distances: Matrix<f64>,
}

/// How the rows get to the nodes: the bytes of a split, and whether nodes read the file themselves.
pub(super) type Plan = (u64, bool);

const SENT: Plan = (1 << 20, false);

pub(super) fn find(
    engine: &impl Engine,
    points: &Points,
    options: &KMeansBuilder,
    (bytes, shared): Plan,
) -> Found {
    let options = options.clone().split_bytes(bytes).shared(shared);
    let (Fit { model, labels, .. }, iterations) = observed_fit_on(engine, points, &options);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.json");
    model.save(&path).unwrap();
    let options = PredictOptions { split_bytes: Some(bytes), shared, ..PredictOptions::default() };
    let Prediction { labels: predicted, inertia, .. } = model.predict_on(engine, points, &options).unwrap();
    let distances = model.transform_on(engine, points, &options).unwrap();
    let model = fs::read(&path).unwrap();
    Found { model, labels, iterations, predicted, inertia, distances }
}

fn assert_same_on_nodes(table: &Table, given: &Table) {
    assert_same_on_nodes_with(&KMeans::builder(), table, given);
}

/// The same with options for all starts.
fn assert_same_on_nodes_with(options: &KMeansBuilder, table: &Table, given: &Table) {
    let base = options;
    let seed = RandomState::new().hash_one(0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("points.npy");
    let k = given.rows();
    for dtype in [Dtype::F32, Dtype::F64] {
        save_npy(table, dtype, &path);
        let points = data::load(&path, &|| false).unwrap();
        for start in [Start::Parallel, Start::PlusPlus, Start::Random, Start::Given(given.matrix())] {
            let options = base.clone().k(k).start(start).tol(0.0).max_iter(6);
            let expected = find(&*ENGINE, &points, &options, (200, false));
            assert_eq!(expected.predicted, expected.labels);
            for shared in [false, true] {
                for (count, faults) in [(1, Faults::None), (3, Faults::Many)] {
                    let nodes = Nodes::new(everything(), count, faults, seed);
                    let found = find(&nodes, &points, &options, (200, shared));
                    let done = nodes.done();
                    let how =
                        format!("{dtype}, {options:?}, shared {shared}, faults {faults:?}, seed {seed}");
                    assert_eq!(found, expected, "{how}");
                    assert!(done.cached > 0, "{how}");
                    assert_eq!((done.shipped == 0, done.opened == 0), (shared, !shared), "{how}");
                    assert_eq!(done.discarded > 0, faults == Faults::Many, "{how}");
                }
                assert_eq!(find(&*ENGINE, &points, &options, (200, shared)), expected);
            }
        }
    }
}

#[test]
fn blobs_far_from_the_origin() {
    // Means and values that no f32 holds exactly.
    let table = blobs(150, 3, 5, 0.6, 1).map(|j, x| x + [1000.1, -77.7, 0.3][j]);
    assert_same_on_nodes(&table, &table.pick(0..5));
}

#[test]
fn directions_at_any_length() {
    let lengths = blobs(150, 1, 1, 1e6, 3);
    let table = blobs(150, 3, 5, 0.6, 1);
    let values = table.values.iter().enumerate().map(|(i, x)| (x - 0.5) * lengths.values[i / 3]);
    let table = Table::new(3, values.collect::<Vec<_>>());
    assert_same_on_nodes_with(&KMeans::builder().distance(Distance::Cosine), &table, &table.pick(0..5));
}

/// From chosen starts, with faults and without, of rows that are sent and that are read.
fn assert_algorithm_is_same_on_nodes(algorithm: Algorithm) {
    let seed = RandomState::new().hash_one(0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("points.npy");
    let table = blobs(150, 3, 9, 0.7, 1).map(|j, x| x + [1000.1, -77.7, 0.3][j]);
    for (dtype, distance) in [(Dtype::F32, Distance::Euclidean), (Dtype::F64, Distance::Cosine)] {
        save_npy(&table, dtype, &path);
        let points = data::load(&path, &|| false).unwrap();
        let options = KMeans::builder().k(7).algorithm(algorithm).distance(distance).max_iter(6).tol(0.0);
        let expected = find(&*ENGINE, &points, &options, (200, false));
        assert_eq!(expected.predicted, expected.labels);
        for (bytes, shared) in [(200, false), (200, true), (1, false), (SENT.0, true)] {
            let plan = (bytes, shared);
            assert_eq!(find(&*ENGINE, &points, &options, plan), expected, "{algorithm:?} {plan:?}");
            let nodes = Nodes::new(everything(), 3, Faults::Many, seed);
            assert_eq!(find(&nodes, &points, &options, plan), expected, "{algorithm:?} {plan:?} seed {seed}");
        }
    }
}

#[test]
fn splits_of_clusters() {
    assert_algorithm_is_same_on_nodes(Algorithm::Bisecting);
}

#[test]
fn mini_batches() {
    assert_algorithm_is_same_on_nodes(Algorithm::MiniBatch { batch: 40 });
}

#[test]
fn integers_with_ties() {
    let table = integers(150, 2, 4, 2);
    assert_same_on_nodes(&table, &Table::new(2, [0.0, 0.0, 4.0, 4.0, 0.0, 4.0, 4.0, 0.0]));
}

#[test]
fn clusters_that_become_empty() {
    let table = integers(120, 2, 5, 3).map(|_, x| x * 0.1);
    let start = Table::new(2, [9.0, 9.0, 0.1, 0.2, 0.1, 0.2, -7.0, 0.0, 8.0, -8.0]);
    let options = KMeans::builder().k(5).start(Start::Given(start.matrix()));
    let nodes = Nodes::new(everything(), 2, Faults::None, 0);
    let iterations = find(&nodes, &table.f64(), &options, SENT).iterations.len() as u64;
    assert!(nodes.done().rounds["k-means/lloyd/f64"] > iterations, "no round looked for the farthest rows");
    assert_same_on_nodes(&table, &start);
}

#[test]
fn rows_wider_than_a_block_of_the_shift() {
    let table = blobs(40, 300, 3, 0.5, 4).map(|j, x| x + j as f64);
    assert_same_on_nodes(&table, &table.pick(0..3));
}

#[test]
fn many_blocks_in_a_split() {
    // 720 KB in one split: three blocks.
    let table = blobs(60_000, 3, 4, 0.5, 5).map(|_, x| x + 10.3);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("points.npy");
    save_npy(&table, Dtype::F32, &path);
    let points = data::load(&path, &|| false).unwrap();
    let options = KMeans::builder().k(4).max_iter(3);
    let expected = find(&*ENGINE, &points, &options, (u64::MAX, false));
    for shared in [false, true] {
        let nodes = Nodes::new(everything(), 2, Faults::None, 0);
        assert_eq!(find(&nodes, &points, &options, (u64::MAX, shared)), expected);
    }
}

#[test]
fn rows_are_sent_twice_for_a_fit_and_once_for_a_prediction() {
    // As they came for the statistics, and centred for all that follows. A model knows how to centre.
    let table = blobs(200, 3, 5, 0.6, 1);
    let nodes = Nodes::new(everything(), 3, Faults::None, 0);
    let options = KMeans::builder().k(5).split_bytes(100);
    let fit = fit_on(&nodes, table.f32(), &options).unwrap();
    assert!(fit.model.iterations > 2);
    let splits = 200_u64.div_ceil(8);
    assert_eq!(nodes.done().shipped, 2 * splits);
    let options = PredictOptions { split_bytes: Some(100), ..PredictOptions::default() };
    fit.model.predict_on(&nodes, table.f32(), &options).unwrap();
    assert_eq!(nodes.done().shipped, 3 * splits);
}

#[test]
fn what_is_registered_is_what_is_run() {
    let table = integers(120, 2, 5, 3);
    let nodes = Nodes::new(everything(), 2, Faults::None, 0);
    for points in [table.f32(), table.f64()] {
        for algorithm in [Algorithm::Lloyd, Algorithm::Bisecting, Algorithm::MINI_BATCH] {
            find(&nodes, &points, &KMeans::builder().k(5).algorithm(algorithm), SENT);
        }
        KMeans::builder().k(5).without_labels().build().unwrap().fit_on(&nodes, points).unwrap();
    }
    let registered: BTreeSet<String> = everything().jobs().map(|job| job.name.clone()).collect();
    let run: BTreeSet<String> = nodes.done().rounds.into_keys().collect();
    assert_eq!(run, registered);
    let twice = register(everything()).unwrap_err().to_string();
    assert!(twice.contains("k-means/") && twice.contains("is taken"), "{twice}");
}

#[test]
fn nodes_that_do_not_know_the_jobs_say_so() {
    let nodes = Nodes::new(Registry::new(), 1, Faults::None, 0);
    let error = fit_on(&nodes, integers(9, 1, 5, 3).f32(), &KMeans::builder()).unwrap_err();
    assert!(matches!(&error, FitError::Job(Error::Job { .. })), "{error}");
    assert!(error.to_string().contains("k-means/ranges/f32 version 1"), "{error}");
}

#[test]
fn only_the_rows_of_a_file_that_is_still_the_same_can_be_shared() {
    let table = blobs(50, 2, 3, 0.5, 1);
    let options = KMeans::builder().k(3).shared(true);
    let predicting = PredictOptions { shared: true, ..PredictOptions::default() };
    let model = fit_on(&*ENGINE, table.f64(), &options.clone().shared(false));
    let model = model.unwrap().model;

    let error = fit_on(&*ENGINE, table.f64(), &options).unwrap_err();
    assert!(matches!(error, FitError::NotShareable(ShareError::NotStored)));
    assert_eq!(
        error.to_string(),
        "peers can read points themselves from an .npy file only (f32 or f64, little-endian, C order), and these were \
         not loaded from one; convert them with `numpy.save(path, a)`, or leave `shared` away and they are sent"
    );
    let error = model.predict_on(&*ENGINE, table.f64(), &predicting).unwrap_err();
    assert!(matches!(error, PredictError::NotShareable(ShareError::NotStored)));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("points.npy");
    save_npy(&table, Dtype::F64, &path);
    let points = data::load(&path, &|| false).unwrap();
    let stored = points.stored().unwrap();
    assert_eq!((stored.path(), stored.check()), (path.as_path(), Ok(())));
    assert_eq!(points, table.f64(), "equal, though one of them lies in a file");
    save_npy(&blobs(51, 2, 3, 0.5, 1), Dtype::F64, &path);
    let error = fit_on(&*ENGINE, &points, &options).unwrap_err();
    assert!(matches!(error, FitError::NotShareable(ShareError::Changed { .. })));
    let error = model.predict_on(&*ENGINE, points.clone(), &predicting).unwrap_err().to_string();
    assert!(error.ends_with(
        "points.npy: was changed or removed after it was loaded; load it again, or leave `shared` away and the points \
         are sent"
    ));
    fs::remove_file(&path).unwrap();
    assert!(points.stored().unwrap().check().is_err());
    assert!(fit_on(&*ENGINE, points, &options.shared(false)).is_ok());
}

#[test]
fn tables_and_images_lie_in_no_file_that_can_be_shared() {
    let iris = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/iris.csv");
    assert!(data::load(iris.as_ref(), &|| false).unwrap().stored().is_none());
}

#[test]
fn a_round_of_lloyd_ships_little_more_than_its_sums() {
    let table = blobs(4096, 16, 64, 0.4, 9);
    for (points, sum_bytes) in [(table.f32(), 8), (table.f64(), 16)] {
        let nodes = Arc::new(Nodes::new(everything(), 1, Faults::None, 0));
        let start = Start::Given(table.pick(0..64).matrix());
        let options = KMeans::builder().k(64).start(start).max_iter(1).split_bytes(1 << 16);
        let (tell, told) = mpsc::channel();
        let watched = nodes.clone();
        let options = options.observe(move |_| tell.send(watched.done()).unwrap());
        fit_on(&*nodes, points, &options).unwrap();
        let Done { output_bytes: bytes, attempts, .. } = told.recv().unwrap();
        assert!(bytes <= attempts * 64 * (16 * sum_bytes + 10), "{bytes} bytes in {attempts} attempts");
    }
}
