//! Bisecting points that are larger than memory: the bits of memory, wherever points and the copies of clusters are.

use super::{
    ENGINE,
    any_engine::{everything, find},
    data::{Table, blobs},
    files::{load, open, save},
    fit,
    nodes::{Faults, Nodes},
};
use kmeans_job::{
    Algorithm, Distance, Fit, FitError, KMeans, KMeansBuilder,
    data::{self, Dtype, LoadOptions, Points},
};
use mapreduce_core::{Cancel, Error};
use proptest::prelude::*;
use std::{fs, path::Path};

fn bisecting(k: usize) -> KMeansBuilder {
    KMeans::builder().k(k).algorithm(Algorithm::Bisecting)
}

/// Four rows of one column: two pairs, far apart, the first of which is split next.
fn pairs() -> Table {
    Table::new(1, [0.0, 1000.0, 8.0, 1001.0])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn splits_of_files_give_the_bits_of_memory(
        (n, d, k) in (12..300_usize, 1..12_usize, 1..9_usize),
        (f64, offset, seed) in (any::<bool>(), 1.0..1e4_f64, 0..1000_u64),
        cosine in any::<bool>(),
        weights in prop::option::of(prop::sample::select(vec![1.0, 0.3])),
        cuts in prop::collection::btree_set(1..300_usize, 0..4),
        (bytes_max, split_bytes) in (0..6000_u64, prop::sample::select(vec![1, 100, 1000, u64::MAX])),
    ) {
        let table = blobs(n, d, k + 2, 0.7, seed).map(|_, x| x + offset);
        let dtype = if f64 { Dtype::F64 } else { Dtype::F32 };
        let (folder, spill) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let starts: Vec<usize> = [0].into_iter().chain(cuts.into_iter().filter(|&cut| cut < n)).collect();
        let paths = save(&table, dtype, &folder, &starts);
        let (loaded, files) = (load(&paths), open(&paths));
        let distance = if cosine { Distance::Cosine } else { Distance::Euclidean };
        let options = bisecting(k).distance(distance).max_iter(5).seed(seed);
        let weights: Option<Vec<f64>> =
            weights.map(|unit| (0..n).map(|i| f64::from(i as u32 % 5) * unit).collect());
        let fit = |points: &Points, options: KMeansBuilder| {
            let kmeans = options.build().unwrap();
            match &weights {
                None => kmeans.fit_on(&*ENGINE, points),
                Some(weights) => kmeans.fit_weighted_on(&*ENGINE, points, weights),
            }
        };
        let expected = match fit(&loaded, options.clone()) {
            // Of the points that have weights there may be fewer than clusters.
            Err(FitError::TooFewDistinct { .. }) => return Ok(()),
            found => found.unwrap(),
        };
        for bytes_max in [0, bytes_max, u64::MAX] {
            let options = options.clone().overflow(bytes_max, spill.path());
            for points in [&loaded, &files] {
                let found = fit(points, options.clone().split_bytes(split_bytes)).unwrap();
                prop_assert_eq!((&found.model, &found.labels), (&expected.model, &expected.labels));
            }
        }
        prop_assert_eq!(fs::read_dir(spill.path()).unwrap().count(), 0, "the files have no names");
    }
}

#[test]
fn splits_of_files_give_the_bits_of_memory_on_nodes() {
    let table = blobs(150, 3, 9, 0.7, 1).map(|j, x| x + [1000.1, -77.7, 0.3][j]);
    for (dtype, distance) in [(Dtype::F32, Distance::Euclidean), (Dtype::F64, Distance::Cosine)] {
        let (folder, spill) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let paths = save(&table, dtype, &folder, &[0, 70]);
        let options = bisecting(7).distance(distance).max_iter(6).tol(0.0);
        let expected = find(&*ENGINE, &load(&paths), &options, (200, false));
        for (shared, bytes_max) in [(false, 0), (true, 0), (true, u64::MAX)] {
            let nodes = Nodes::new(everything(), 3, Faults::Many, 5);
            let options = options.clone().overflow(bytes_max, spill.path());
            assert_eq!(find(&nodes, &open(&paths), &options, (200, shared)), expected, "shared {shared}");
            let done = nodes.done();
            // Copies of clusters are sent, also if nodes read the files.
            assert!(done.shipped > 0 && (done.opened > 0) == shared);
        }
    }
}

#[test]
fn runs_and_choices_of_k_and_fits_without_labels_are_those_of_memory() {
    let table = blobs(400, 2, 5, 0.4, 3);
    let (folder, spill) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let paths = save(&table, Dtype::F32, &folder, &[0, 150]);
    let weights: Vec<f64> = (0..400).map(|i| f64::from(i % 3)).collect();
    for options in [bisecting(6).n_init(3), bisecting(0).k(2..=6)] {
        let expected = options.clone().build().unwrap();
        let expected = expected.fit_weighted_on(&*ENGINE, load(&paths), &weights).unwrap();
        let options = options.overflow(300, spill.path()).split_bytes(500);
        let found = options.clone().build().unwrap();
        let found = found.fit_weighted_on(&*ENGINE, open(&paths), &weights).unwrap();
        assert_eq!((&found.model, found.labels), (&expected.model, expected.labels));
        assert_eq!(found.trials.len(), expected.trials.len());
        let without = options.without_labels().build().unwrap();
        let without: Fit<()> = without.fit_weighted_on(&*ENGINE, open(&paths), &weights).unwrap();
        assert_eq!(without.model, expected.model);
    }
}

#[test]
fn tables_in_a_temporary_file_are_split_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("points.csv");
    let table = blobs(300, 2, 4, 0.5, 1);
    let lines = table.values.chunks(2).map(|row| format!("{},{}\n", row[0], row[1]));
    fs::write(&path, lines.collect::<String>()).unwrap();
    let load = |bytes_max| {
        let options = LoadOptions { bytes_max, overflow: Some(folder.path()), ..LoadOptions::default() };
        data::load_all(&[&path], options).unwrap()
    };
    let (loaded, kept) = (load(u64::MAX), load(100));
    assert!(matches!(kept, Points::Files(_)));
    let expected = fit(loaded, &bisecting(6)).unwrap();
    let found = fit(kept, &bisecting(6).overflow(1000, folder.path())).unwrap();
    assert_eq!((found.model, found.labels), (expected.model, expected.labels));
}

#[test]
fn a_copy_goes_to_the_folder_if_it_is_larger_than_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let paths = save(&pairs(), Dtype::F64, &folder, &[0]);
    let nowhere = folder.path().join("nowhere");
    let split = |points: Points, k, bytes_max| fit(points, &bisecting(k).overflow(bytes_max, &nowhere));
    for points in [open(&paths), load(&paths)] {
        // All points are not copied, and a pair has 16 bytes.
        assert!(split(points.clone(), 2, 0).is_ok());
        assert_eq!(split(points.clone(), 3, 16).unwrap().model.counts.len(), 3);
        let error = split(points, 3, 15).unwrap_err();
        let FitError::Overflow { folder, bytes_max: 15, problem } = &error else { panic!("{error}") };
        assert_eq!((folder, problem.kind()), (&nowhere, std::io::ErrorKind::NotFound));
        let said = error.to_string();
        let start = format!("{}: copies of the points do not fit into 15 bytes of memory", nowhere.display());
        assert!(said.starts_with(&start) && said.ends_with("(`KMeansBuilder::overflow`)"), "{said}");
    }
}

/// A fit of files to three clusters during which, after its first split, something happens.
fn interfere(table: &Table, change: impl Fn(&Path) + Send + Sync + 'static, cancel: &Cancel) -> Error {
    let (folder, spill) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let paths = save(table, Dtype::F32, &folder, &[0]);
    let files = open(&paths);
    let options = bisecting(3).overflow(0, spill.path()).cancel(cancel.clone());
    let options = options.observe(move |split| {
        assert_eq!(split.number, 1, "it ends with the first");
        change(&paths[0]);
    });
    let Err(FitError::Job(error)) = fit(files, &options) else { panic!("it was interfered with") };
    assert_eq!(fs::read_dir(spill.path()).unwrap().count(), 0);
    #[cfg(target_os = "linux")]
    assert_eq!(super::overflow::open_in(spill.path()), 0);
    error
}

#[test]
fn a_file_that_changes_between_splits_is_an_error_that_names_it() {
    let table = blobs(3000, 2, 4, 0.9, 1);
    let error = interfere(&table, |path| fs::remove_file(path).unwrap(), &Cancel::new());
    assert!(error.to_string().contains("0.npy"), "{error}");
    let error = interfere(&table, |path| fs::write(path, "other").unwrap(), &Cancel::new());
    assert!(error.to_string().contains("0.npy"), "{error}");
}

#[test]
fn a_fit_can_be_cancelled_between_splits() {
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let error = interfere(&blobs(3000, 2, 4, 0.9, 1), move |_| stop.cancel(), &cancel);
    assert!(matches!(error, Error::Cancelled), "{error}");
}
