//! Tables and images that are too large for memory: the same bits from a temporary file, of which nothing is left.

use super::{
    ENGINE,
    any_engine::{everything, find, save_npy},
    data::{Table, blobs},
    fit,
    nodes::{Faults, Nodes},
};
use kmeans_job::{
    Algorithm, FitError, KMeans,
    data::{self, Dtype, LoadError, LoadOptions, Points, ShareError},
};
use proptest::prelude::*;
use std::{
    cell::Cell,
    fmt::Write as _,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// How a table is written.
#[derive(Clone, Copy, Debug)]
struct Style {
    tabs: bool,
    header: bool,
    /// A blank line behind every so many.
    blank: Option<usize>,
    line_end: &'static str,
}

const PLAIN: Style = Style { tabs: false, header: false, blank: None, line_end: "\n" };

/// A table in several files, which begin at the given rows.
fn save(table: &Table, style: Style, folder: &TempDir, starts: &[usize]) -> Vec<PathBuf> {
    let (separator, extension) = if style.tabs { ("\t", "tsv") } else { (",", "csv") };
    let ends = starts.iter().skip(1).copied().chain([table.rows()]);
    let save = |(i, (&start, end)): (usize, (&usize, usize))| {
        let mut text = String::new();
        if style.header {
            text += &(0..table.d).map(|column| format!("c{column}")).collect::<Vec<_>>().join(separator);
            text += style.line_end;
        }
        for row in start..end {
            // As Rust writes numbers they are read back to the bit.
            let fields: Vec<String> = table.row(row).iter().map(f64::to_string).collect();
            write!(text, "{}{}", fields.join(separator), style.line_end).unwrap();
            if style.blank.is_some_and(|every| row % every == 0) {
                text += style.line_end;
            }
        }
        let path = folder.path().join(format!("{i}.{extension}"));
        fs::write(&path, text).unwrap();
        path
    };
    starts.iter().zip(ends).enumerate().map(save).collect()
}

fn load(paths: &[PathBuf]) -> Points {
    data::load_all(paths, LoadOptions::default()).unwrap()
}

/// With so many bytes of memory, and a folder for the rest.
fn load_within(bytes_max: u64, paths: &[PathBuf], overflow: &Path) -> Result<Points, LoadError> {
    let options = LoadOptions { bytes_max, overflow: Some(overflow), ..LoadOptions::default() };
    data::load_all(paths, options)
}

/// The names in a folder.
fn names(folder: &TempDir) -> Vec<PathBuf> {
    fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tables_in_a_temporary_file_give_the_bits_of_memory(
        (n, d, k) in (8..300_usize, 1..12_usize, 1..8_usize),
        (offset, seed) in (-1e4..1e4_f64, 0..1000_u64),
        (tabs, header) in any::<(bool, bool)>(),
        blank in prop::option::of(1..20_usize),
        line_end in prop::sample::select(vec!["\n", "\r\n"]),
        cuts in prop::collection::btree_set(1..300_usize, 0..4),
        part in 0.0..1.3_f64,
        split_bytes in prop::sample::select(vec![1, 100, 1000, u64::MAX]),
    ) {
        let table = blobs(n, d, k, 0.4, seed).map(|_, x| x + offset);
        let (folder, overflow) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let starts: Vec<usize> = [0].into_iter().chain(cuts.into_iter().filter(|&cut| cut < n)).collect();
        let paths = save(&table, Style { tabs, header, blank, line_end }, &folder, &starts);
        let bytes = (n * d * 8) as u64;
        let bytes_max = (bytes as f64 * part) as u64;
        let (loaded, kept) = (load(&paths), load_within(bytes_max, &paths, overflow.path()).unwrap());
        prop_assert_eq!((kept.rows(), kept.d(), kept.dtype()), (n, d, Dtype::F64));
        match &kept {
            Points::Files(files) => {
                prop_assert!(bytes > bytes_max);
                prop_assert_eq!((files.paths(), files.bytes()), (&paths[..], bytes));
            }
            _ => prop_assert!(bytes <= bytes_max && kept == loaded),
        }
        // They were read once.
        paths.iter().for_each(|path| fs::remove_file(path).unwrap());
        let options = KMeans::builder().k(k).max_iter(5).seed(seed);
        let expected = find(&*ENGINE, &loaded, &options, (1 << 20, false));
        prop_assert_eq!(&find(&*ENGINE, &kept, &options, (split_bytes, false)), &expected);
        let nodes = Nodes::new(everything(), 3, Faults::Many, seed);
        prop_assert_eq!(&find(&nodes, &kept, &options, (split_bytes.max(1000), false)), &expected);
        prop_assert_eq!(names(&overflow), Vec::<PathBuf>::new());
    }
}

#[test]
fn images_in_a_temporary_file_give_the_bits_of_memory() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["a.ppm", "b.ppm"].map(|name| folder.path().join(name));
    for (path, seed) in paths.iter().zip(1..) {
        let levels = (0..150 * 140 * 3).map(|i: u32| (i * i / 7 * seed) as u8);
        fs::write(path, b"P6 150 140 255\n".iter().copied().chain(levels).collect::<Vec<_>>()).unwrap();
    }
    let loaded = load(&paths);
    let bytes = (2 * 150 * 140 * 3 * 4) as u64;
    assert_eq!(load_within(bytes, &paths, folder.path()).unwrap(), loaded);
    for bytes_max in [0, bytes / 2, bytes - 1] {
        let kept = load_within(bytes_max, &paths, folder.path()).unwrap();
        assert!(matches!(&kept, Points::Files(files) if files.bytes() == bytes));
        assert_eq!((kept.rows(), kept.d(), kept.dtype()), (2 * 150 * 140, 3, Dtype::F32));
        let options = KMeans::builder().k(5).max_iter(3);
        let expected = find(&*ENGINE, &loaded, &options, (1 << 16, false));
        assert_eq!(find(&*ENGINE, &kept, &options, (1 << 16, false)), expected);
    }
}

#[test]
fn arrays_that_do_not_fit_stay_where_they_are() {
    let table = blobs(20, 2, 3, 0.5, 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("points.npy");
    save_npy(&table, Dtype::F32, &path);
    let nowhere = folder.path().join("nowhere");
    let load = |row_bytes| {
        let options =
            LoadOptions { bytes_max: 160, row_bytes, overflow: Some(&nowhere), ..LoadOptions::default() };
        data::load_all(&[&path], options).unwrap()
    };
    assert!(matches!(load(0), Points::F32(_)));
    let Points::Files(files) = load(1) else { panic!("rows take 20 bytes more") };
    assert_eq!((files.rows(), files.paths()), (20, &[path.clone()][..]));
}

#[test]
fn the_file_is_there_for_every_clone_and_gone_with_the_last() {
    let table = blobs(3000, 2, 3, 0.5, 1);
    let (folder, overflow) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let paths = save(&table, PLAIN, &folder, &[0]);
    let kept = load_within(0, &paths, overflow.path()).unwrap();
    let clone = kept.clone();
    drop(kept);
    #[cfg(target_os = "linux")]
    assert_eq!(open_in(overflow.path()), 1);
    let options = KMeans::builder().k(3);
    assert_eq!(fit(clone, &options).unwrap().labels, fit(load(&paths), &options).unwrap().labels);
    #[cfg(target_os = "linux")]
    assert_eq!(open_in(overflow.path()), 0);
}

/// The files of this process in a folder that are open, with names or without.
#[cfg(target_os = "linux")]
pub(super) fn open_in(folder: &Path) -> usize {
    let links =
        fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    links.filter(|path| path.starts_with(folder)).count()
}

#[test]
fn what_needs_the_points_elsewhere_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let paths = save(&blobs(300, 2, 3, 0.5, 1), PLAIN, &folder, &[0, 100]);
    let kept = load_within(100, &paths, folder.path()).unwrap();
    let shared: kmeans_job::KMeansBuilder = KMeans::builder().k(2).shared(true);
    assert!(matches!(fit(&kept, &shared), Err(FitError::NotShareable(ShareError::NotStored))));
}

#[test]
fn weights_and_mini_batches_of_a_temporary_file_give_the_bits_of_memory() {
    let folder = tempfile::tempdir().unwrap();
    let paths = save(&blobs(700, 3, 4, 0.5, 1), PLAIN, &folder, &[0, 300]);
    let weights: Vec<f64> = (0..700).map(|i| f64::from(i % 7) * 0.3).collect();
    let kept = load_within(100, &paths, folder.path()).unwrap();
    for algorithm in [Algorithm::Lloyd, Algorithm::MiniBatch { batch: 200 }] {
        let kmeans = KMeans::builder().k(3..=4).algorithm(algorithm).max_iter(6).split_bytes(1000);
        let kmeans = kmeans.build().unwrap();
        let expected = kmeans.fit_weighted_on(&*ENGINE, load(&paths), &weights).unwrap();
        let found = kmeans.fit_weighted_on(&*ENGINE, &kept, &weights).unwrap();
        assert_eq!((&found.model, &found.labels), (&expected.model, &expected.labels));
        let nodes = Nodes::new(everything(), 3, Faults::Many, 9);
        let found = kmeans.fit_weighted_on(&nodes, &kept, &weights).unwrap();
        assert_eq!((&found.model, &found.labels), (&expected.model, &expected.labels));
    }
}

#[test]
fn errors_name_the_file_and_the_line_or_the_folder() {
    let (folder, overflow) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let paths = save(&blobs(300, 2, 3, 0.5, 1), PLAIN, &folder, &[0, 100]);
    // Without a folder there is nowhere to go.
    let options = LoadOptions { bytes_max: 100, ..LoadOptions::default() };
    let error = data::load_all(&paths, options).unwrap_err();
    assert!(matches!(&error, LoadError::OverLimit { path, bytes_max: 100 } if *path == paths[0]));
    assert!(error.to_string().ends_with("(`LoadOptions::overflow`)"), "{error}");
    let nowhere = folder.path().join("nowhere");
    let error = load_within(100, &paths, &nowhere).unwrap_err();
    assert!(matches!(&error, LoadError::Overflow { folder, bytes_max: 100, .. } if *folder == nowhere));
    assert!(error.to_string().contains("nowhere: the points do not fit into 100 bytes of memory"), "{error}");
    assert!(load_within(1 << 20, &paths, &nowhere).is_ok(), "what fits does not touch the disk");

    let text = fs::read_to_string(&paths[1]).unwrap();
    fs::write(&paths[1], format!("{text}\n1,x\n")).unwrap();
    let error = load_within(100, &paths, overflow.path()).unwrap_err();
    assert!(error.to_string().contains("1.csv: line 202, column 2: `x` is not a number"), "{error}");
    fs::write(&paths[1], "1,2,3\n").unwrap();
    let error = load_within(100, &paths, overflow.path()).unwrap_err();
    assert!(matches!(error, LoadError::Unlike { .. }), "{error}");
    assert_eq!(names(&overflow), Vec::<PathBuf>::new());
}

#[test]
fn an_end_is_listened_to_while_the_file_is_written() {
    let folder = tempfile::tempdir().unwrap();
    // A megabyte: a block and a half of values.
    let paths = save(&blobs(25_000, 4, 3, 0.5, 1), PLAIN, &folder, &[0]);
    let asked = |bytes_max| {
        let asked = Cell::new(0_usize);
        let count = |_| {
            asked.set(asked.get() + 1);
            ControlFlow::Continue(())
        };
        let overflow = Some(folder.path());
        let options = LoadOptions { observe: &count, bytes_max, overflow, ..LoadOptions::default() };
        data::load_all(&paths, options).unwrap();
        asked.get()
    };
    let (in_memory, in_file) = (asked(u64::MAX), asked(100));
    assert!(in_file > in_memory, "{in_file} > {in_memory}");
    for last in 0..in_file {
        let left = Cell::new(last);
        let observe = |_| match left.get() {
            0 => ControlFlow::Break(()),
            n => {
                left.set(n - 1);
                ControlFlow::Continue(())
            }
        };
        let overflow = Some(folder.path());
        let options = LoadOptions { observe: &observe, bytes_max: 100, overflow, ..LoadOptions::default() };
        assert!(matches!(data::load_all(&paths, options), Err(LoadError::Interrupted)), "{last}");
    }
    assert_eq!(names(&folder), paths);
}
