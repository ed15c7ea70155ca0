//! The same bits for any number of threads and any split size.

use super::{
    data::{Table, blobs, integers},
    fit_on,
};
use kmeans_job::{Fit, KMeans, KMeansBuilder, Start, data::Points};
use mapreduce_core::Local;

/// The model file and the labels of a fit.
fn bytes(fit: &Fit) -> (Vec<u8>, &[i32]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.json");
    fit.model.save(&path).unwrap();
    (std::fs::read(&path).unwrap(), &fit.labels)
}

fn assert_same_bits(points: &Points, options: &KMeansBuilder) {
    let engines = [1, 2, 7].map(|threads| Local::new(threads).unwrap());
    let expected = fit_on(&engines[0], points, options).unwrap();
    for engine in &engines {
        for split_bytes in [1, 64, 1000, u64::MAX] {
            let options = options.clone().split_bytes(split_bytes);
            let found = fit_on(engine, points, &options).unwrap();
            let how = format!("{} threads, splits of {split_bytes} bytes", engine.threads());
            assert_eq!(bytes(&found), bytes(&expected), "{how}");
        }
    }
}

fn assert_same_bits_for_every_start(table: &Table, given: &Table) {
    for start in [Start::Parallel, Start::PlusPlus, Start::Random, Start::Given(given.matrix())] {
        let options = KMeans::builder().k(given.rows()).start(start).tol(0.0).max_iter(5);
        assert_same_bits(&table.f64(), &options);
        assert_same_bits(&table.f32(), &options);
    }
}

#[test]
fn blobs_with_nothing_special() {
    let table = blobs(60, 3, 5, 0.6, 1);
    assert_same_bits_for_every_start(&table, &table.pick(0..5));
}

#[test]
fn integers_with_ties() {
    let table = integers(60, 2, 4, 2);
    assert_same_bits_for_every_start(&table, &Table::new(2, [0.0, 0.0, 4.0, 4.0, 0.0, 4.0, 4.0, 0.0]));
}

#[test]
fn clusters_that_become_empty() {
    let table = integers(60, 2, 5, 3).map(|_, x| x * 0.1);
    let start = Table::new(2, [9.0, 9.0, 0.1, 0.2, 0.1, 0.2, -7.0, 0.0, 8.0, -8.0]);
    assert_same_bits_for_every_start(&table, &start);
}

#[test]
fn fewer_candidates_than_clusters() {
    // 30 places, 29 of them hard to tell apart in f32.
    let table = Table::new(
        1,
        (0..90).map(|i| if i == 0 { 1e4 } else { f64::from(i % 29) * 1e-3 }).collect::<Vec<_>>(),
    );
    assert_same_bits_for_every_start(&table, &table.pick(0..28));
}
