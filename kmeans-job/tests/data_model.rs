//! The model file: it comes back bit for bit, reads well, and contradictions are named by field.

use std::fs;
use std::path::PathBuf;

use kmeans_job::Distance;
use kmeans_job::data::{Dtype, FileError};
use kmeans_job::model::{Model, ModelError};
use kmeans_job::output::OutputError;
use proptest::prelude::*;
use tempfile::TempDir;

fn model() -> Model {
    Model {
        version: "0.1.0".to_owned(),
        distance: Distance::Euclidean,
        dtype: Dtype::F32,
        n: 5,
        seed: u64::MAX,
        iterations: 2,
        converged: true,
        inertia: 0.30000000000000004,
        shift: vec![1.5, -0.0],
        centroids: vec![vec![0.1, 2.0], vec![-1e-300, 1e300]],
        counts: vec![3, 2],
        weights: None,
        cost_per_iteration: vec![10.0, 0.5],
    }
}

const TEXT: &str = r#"{
  "format": "kmeans-job model",
  "format_version": 1,
  "version": "0.1.0",
  "metric": "euclidean",
  "dtype": "f32",
  "k": 2,
  "d": 2,
  "n": 5,
  "seed": 18446744073709551615,
  "iterations": 2,
  "converged": true,
  "inertia": 0.30000000000000004,
  "shift": [1.5,-0.0],
  "centroids": [
    [0.1,2.0],
    [-1e-300,1e+300]
  ],
  "counts": [3,2],
  "cost_per_iteration": [10.0,0.5]
}
"#;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.json");
    (folder, path)
}

fn load(text: &[u8]) -> Result<Model, ModelError> {
    let (_folder, path) = place();
    fs::write(&path, text).expect("a file");
    Model::load(&path)
}

/// The error for a file that is refused; its message names the file.
fn refused(text: &str) -> ModelError {
    let error = load(text.as_bytes()).expect_err("a file that is refused");
    assert!(error.to_string().contains("model.json: "), "{error}");
    error
}

/// The field and the message for the text of the sample with one piece replaced.
fn refused_field(from: &str, to: &str) -> (&'static str, String) {
    assert_eq!(TEXT.matches(from).count(), 1, "{from}");
    let error = refused(&TEXT.replace(from, to));
    let message = error.to_string();
    match error {
        ModelError::Field { field, .. } => {
            assert!(message.contains(field) && message.contains("run `kmeans-job fit` again"), "{message}");
            (field, message)
        }
        other => panic!("{from} -> {to}: {other:?}"),
    }
}

#[test]
fn the_file_has_one_field_and_one_centroid_a_line() {
    let (_folder, path) = place();
    model().save(&path).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), TEXT);
    assert_eq!(Model::load(&path).unwrap(), model());
}

#[test]
fn fields_that_are_not_known_are_ignored() {
    let text = TEXT.replace("\"k\": 2,", "\"k\": 2, \"colour\": {\"deep\": [1]},");
    assert_eq!(load(text.as_bytes()).unwrap(), model());
}

#[test]
fn a_missing_field_is_named() {
    for field in [
        "format_version",
        "version",
        "metric",
        "dtype",
        "k",
        "d",
        "n",
        "seed",
        "iterations",
        "converged",
        "inertia",
        "shift",
        "centroids",
        "counts",
        "cost_per_iteration",
    ] {
        let (named, _) = refused_field(&format!("\"{field}\": "), &format!("\"not_{field}\": "));
        assert_eq!(named, field);
    }
}

#[test]
fn a_field_of_the_wrong_type_is_named() {
    for (from, to, field) in [
        ("\"k\": 2", "\"k\": \"two\"", "k"),
        ("\"k\": 2", "\"k\": -2", "k"),
        ("\"n\": 5", "\"n\": 5.5", "n"),
        ("\"converged\": true", "\"converged\": 1", "converged"),
        ("\"dtype\": \"f32\"", "\"dtype\": \"f16\"", "dtype"),
        ("[0.1,2.0]", "[0.1,null]", "centroids"),
        ("[0.1,2.0]", "3", "centroids"),
        ("[3,2]", "[3,-2]", "counts"),
        ("\"format_version\": 1", "\"format_version\": \"1\"", "format_version"),
        ("\"format_version\": 1", "\"format_version\": 0", "format_version"),
    ] {
        assert_eq!(refused_field(from, to).0, field, "{from} -> {to}");
    }
}

#[test]
fn contradictions_are_named() {
    for (from, to, field, words) in [
        ("\"k\": 2", "\"k\": 3", "k", "it is 3, and there are 2 centroids"),
        ("\"d\": 2", "\"d\": 3", "d", "it is 3, and shift has 2 numbers"),
        ("[0.1,2.0]", "[0.1,2.0,3.0]", "centroids", "centroid 0 (counted from 0) has 3 numbers, and d is 2"),
        ("[-1e-300,1e+300]", "[]", "centroids", "centroid 1 (counted from 0) has 0 numbers"),
        ("[10.0,0.5]", "[10.0]", "cost_per_iteration", "it has 1 numbers, and iterations is 2"),
        ("[3,2]", "[5]", "counts", "it has 1 numbers, and k is 2"),
        ("[3,2]", "[3,2],\"weights\":[1.5]", "weights", "it has 1 numbers, and k is 2"),
        ("[3,2]", "[3,2],\"weights\":[1.5,-1]", "weights", "a sum of weights cannot be -1"),
        ("[3,2]", "[3,3]", "counts", "their sum is 6, and n is 5"),
        ("[3,2]", "[18446744073709551615,6]", "counts", "their sum is 18446744073709551621"),
        ("0.30000000000000004", "-1.0", "inertia", "a sum of squares cannot be -1"),
        ("\"euclidean\"", "\"manhattan\"", "metric", "only \"euclidean\" and \"cosine\" are known"),
        ("\"euclidean\"", "\"cosine\"", "shift", "it has 1.5, and for the cosine distance is zeros"),
    ] {
        let (named, message) = refused_field(from, to);
        assert_eq!(named, field, "{from} -> {to}");
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_model_without_centroids_or_columns_is_refused() {
    let empty =
        TEXT.replace("\"k\": 2", "\"k\": 0").replace("[0.1,2.0],", "").replace("[-1e-300,1e+300]", "");
    assert!(matches!(refused(&empty), ModelError::Field { field: "centroids", .. }));
    let flat = TEXT.replace("\"d\": 2", "\"d\": 0").replace("[1.5,-0.0]", "[]");
    assert!(matches!(refused(&flat), ModelError::Field { field: "shift", .. }));
}

#[test]
fn a_newer_layout_asks_for_an_update() {
    let text = TEXT.replace("\"format_version\": 1", "\"format_version\": 7").replace("0.1.0", "9.9.9");
    // Whatever else a newer layout changes, the version is what to say.
    let error = refused(&text.replace("\"centroids\"", "\"means\""));
    assert!(
        matches!(&error, ModelError::NewerFormat { found: 7, version, .. } if version == "9.9.9"),
        "{error}"
    );
    assert!(error.to_string().contains("update kmeans-job"), "{error}");
}

#[test]
fn other_files_are_refused_for_what_they_are() {
    assert!(matches!(refused(""), ModelError::Empty { .. }));
    assert!(matches!(refused(" \n"), ModelError::Empty { .. }));
    assert!(matches!(refused("sepal_length,sepal_width\n"), ModelError::NotJson { .. }));
    assert!(matches!(refused(&format!("{TEXT}x")), ModelError::NotJson { .. }));
    assert!(matches!(refused(&TEXT.replace("1e+300", "1e+400")), ModelError::NotJson { .. }));
    assert!(matches!(refused(&"[".repeat(10_000)), ModelError::NotJson { .. }));
    for other in ["[1, 2]", "3", "null", "{}", "{\"format\": 1}", "{\"format\": \"something else\"}"] {
        let error = refused(other);
        assert!(matches!(error, ModelError::NotAModel { .. }), "{other}: {error}");
        assert!(error.to_string().contains("kmeans-job fit --model"), "{error}");
    }
    assert!(load(b"\xff\xfe{}").is_err());
}

#[test]
fn paths_that_cannot_be_read_or_written_are_named() {
    let (folder, path) = place();
    assert!(matches!(Model::load(&path), Err(ModelError::File(FileError::NotFound { .. }))));
    assert!(matches!(Model::load(folder.path()), Err(ModelError::File(FileError::Folder { .. }))));
    let error = model().save(folder.path().join("no/model.json")).unwrap_err();
    assert!(matches!(error, ModelError::Output(OutputError::NoFolder { .. })), "{error}");
}

#[test]
fn a_model_that_contradicts_itself_is_not_saved() {
    let (_folder, path) = place();
    let broken = [
        Model { centroids: vec![vec![f64::NAN, 0.0], vec![0.0, 0.0]], ..model() },
        Model { shift: vec![f64::INFINITY, 0.0], ..model() },
        Model { inertia: f64::NAN, ..model() },
        Model { cost_per_iteration: vec![1.0, f64::NEG_INFINITY], ..model() },
        Model { counts: vec![5], ..model() },
        Model { n: 4, ..model() },
        Model { shift: vec![0.0], ..model() },
        Model { centroids: vec![], counts: vec![], n: 0, ..model() },
    ];
    for model in broken {
        let error = model.save(&path).unwrap_err();
        assert!(matches!(error, ModelError::Field { .. }), "{error}");
        assert!(!path.exists());
    }
}

fn finite() -> impl Strategy<Value = f64> {
    prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_model_comes_back_bit_for_bit_and_equal_models_are_equal_bytes(
        (d, centroids) in (1_usize..5).prop_flat_map(|d| (
            Just(d), prop::collection::vec(prop::collection::vec(finite(), d), 1..8),
        )),
        numbers in prop::collection::vec(finite(), 0..9),
        seed: u64,
        double: bool,
    ) {
        let counts: Vec<u64> = (0..centroids.len() as u64).collect();
        let model = Model {
            version: Model::VERSION.to_owned(),
            distance: Distance::Euclidean,
            dtype: if double { Dtype::F64 } else { Dtype::F32 },
            n: counts.iter().sum(),
            seed,
            iterations: numbers.len() as u64,
            converged: double,
            inertia: numbers.first().copied().unwrap_or(0.0).abs(),
            shift: centroids[0].iter().rev().copied().collect(),
            weights: double.then(|| counts.iter().map(|&count| count as f64 / 4.0).collect()),
            counts,
            cost_per_iteration: numbers,
            centroids,
        };
        prop_assert_eq!(model.d(), d);
        let (_folder, path) = place();
        model.save(&path).unwrap();
        let first = fs::read(&path).unwrap();
        let read = Model::load(&path).unwrap();
        prop_assert_eq!(&read, &model);
        let bits = |model: &Model| model.centroids.concat().iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&read), bits(&model));
        read.save(&path).unwrap();
        prop_assert_eq!(fs::read(&path).unwrap(), first);
    }

    #[test]
    fn a_part_of_a_model_is_cut_off(length in 1_usize..TEXT.len() - 2) {
        let error = refused(&TEXT[..length]);
        prop_assert!(matches!(error, ModelError::Truncated { .. }), "{}", error);
    }

    #[test]
    fn a_damaged_model_is_an_error_or_consistent(at in 0..TEXT.len(), byte in any::<u8>()) {
        let mut bytes = TEXT.as_bytes().to_vec();
        bytes[at] = byte;
        if let Ok(model) = load(&bytes) {
            prop_assert_eq!((model.k(), model.d(), model.counts.len()), (2, 2, 2));
        }
    }
}
