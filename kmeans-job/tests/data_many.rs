//! Several files and folders of points at once.

mod command;

use command::{npy_f32, npy_f64};
use kmeans_job::data::{
    Difference, Dtype, FileError, LoadError, LoadOptions, Points, Progress, check, list, load_all,
};
use std::{
    cell::Cell,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).expect("a file in it");
    }
    folder
}

fn values(paths: &[&Path]) -> Vec<f64> {
    match load_all(paths, LoadOptions::default()).expect("points") {
        Points::F32(matrix) => matrix.into_values().into_iter().map(f64::from).collect(),
        Points::F64(matrix) => matrix.into_values(),
        Points::Files(_) => unreachable!("they were loaded"),
    }
}

fn difference(folder: &TempDir, names: [&str; 2]) -> Difference {
    let paths = names.map(|name| folder.path().join(name));
    match load_all(&paths, LoadOptions::default()) {
        Err(error @ LoadError::Unlike { .. }) => {
            let message = error.to_string();
            assert!(names.iter().all(|name| message.contains(name)), "{message}");
            let LoadError::Unlike { difference, .. } = error else { unreachable!("matched above") };
            difference
        }
        other => panic!("expected files that are not alike, got {other:?}"),
    }
}

#[test]
fn files_follow_each_other_as_they_are_named_and_those_of_a_folder_by_name() {
    let [a, b, c] = [1.0, 2.0, 3.0].map(|value| npy_f64(1, 2, [value, -value]));
    let folder = folder(&[("b.npy", &b), ("a.npy", &a), ("_SUCCESS", b""), (".a.npy.crc", b"x")]);
    fs::create_dir(folder.path().join("inner")).unwrap();
    let other = folder.path().join("inner/c.npy");
    fs::write(&other, c).unwrap();
    assert_eq!(values(&[folder.path()]), [1.0, -1.0, 2.0, -2.0]);
    assert_eq!(values(&[&other, folder.path()]), [3.0, -3.0, 1.0, -1.0, 2.0, -2.0]);
    let names: Vec<PathBuf> = ["inner/c.npy", "a.npy", "b.npy"].map(|name| folder.path().join(name)).into();
    assert_eq!(list(&[&other, folder.path()]).unwrap(), names);
}

#[test]
fn any_format_can_be_read_from_several_files() {
    let pixel = |level: u8| [b"P6 1 1 255 ".as_slice(), &[level; 3]].concat();
    let folder = folder(&[
        ("a.csv", b"x,y\n1,2\n"),
        ("b.csv", b"3,4\n5,6\n"),
        ("a.tsv", b"1\n"),
        ("b.tsv", b"2\n"),
        ("a.npy", &npy_f32(1, 1, [0.5])),
        ("b.npy", &npy_f32(2, 1, [1.5, 2.5])),
        ("a.ppm", &pixel(7)),
        ("b.pnm", &pixel(9)),
    ]);
    let read = |names: [&str; 2]| {
        let paths = names.map(|name| folder.path().join(name));
        values(&[&paths[0], &paths[1]])
    };
    assert_eq!(read(["a.csv", "b.csv"]), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(read(["b.tsv", "a.tsv"]), [2.0, 1.0]);
    assert_eq!(read(["a.npy", "b.npy"]), [0.5, 1.5, 2.5]);
    assert_eq!(read(["a.ppm", "b.pnm"]), [7.0, 7.0, 7.0, 9.0, 9.0, 9.0]);
    assert_eq!(read(["a.npy", "a.npy"]), [0.5, 0.5], "a file may be named twice");
}

#[test]
fn rows_lie_in_a_file_if_it_is_the_only_one() {
    let folder = folder(&[("a.npy", &npy_f32(1, 1, [0.5])), ("b.npy", &npy_f32(1, 1, [1.5]))]);
    let (a, b) = (folder.path().join("a.npy"), folder.path().join("b.npy"));
    assert!(load_all(&[&a], LoadOptions::default()).unwrap().stored().is_some());
    assert!(load_all(&[&a, &b], LoadOptions::default()).unwrap().stored().is_none());
}

#[test]
fn files_that_are_not_alike_are_refused_with_both_names() {
    let folder = folder(&[
        ("a.npy", &npy_f64(1, 2, [0.0, 1.0])),
        ("wide.npy", &npy_f64(1, 3, [0.0, 1.0, 2.0])),
        ("single.npy", &npy_f32(1, 2, [0.0, 1.0])),
        ("a.csv", b"x,y\n0,1\n"),
        ("wide.csv", b"0,1,2\n"),
        ("swapped.csv", b"y,x\n0,1\n"),
    ]);
    let path = |name: &str| folder.path().join(name);
    let width = |name: &str| Difference::Width { first: path(name), expected: 2, found: 3 };
    assert_eq!(difference(&folder, ["a.npy", "wide.npy"]), width("a.npy"));
    assert_eq!(difference(&folder, ["a.csv", "wide.csv"]), width("a.csv"));
    let dtype = Difference::Dtype { first: path("a.npy"), expected: Dtype::F64, found: Dtype::F32 };
    assert_eq!(difference(&folder, ["a.npy", "single.npy"]), dtype);
    let name = Difference::Name { first: path("a.csv"), number: 1, expected: "x".into(), found: "y".into() };
    assert_eq!(difference(&folder, ["a.csv", "swapped.csv"]), name);
    let Difference::Format { first, .. } = difference(&folder, ["a.npy", "a.csv"]) else { panic!("format") };
    assert_eq!(first, path("a.npy"));
}

#[test]
fn an_error_names_the_file_and_counts_its_rows_alone() {
    let folder = folder(&[
        ("a.npy", &npy_f64(2, 1, [0.0, 1.0])),
        ("b.npy", &npy_f64(2, 1, [0.0, f64::NAN])),
        ("a.csv", b"0\n1\n"),
        ("b.csv", b"0\nx\n"),
    ]);
    for (names, part) in [
        (["a.npy", "b.npy"], "b.npy: the value in row 1, column 0"),
        (["a.csv", "b.csv"], "b.csv: line 2, column 1"),
    ] {
        let error =
            load_all(&names.map(|name| folder.path().join(name)), LoadOptions::default()).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn folders_and_lists_without_files_are_refused() {
    let empty = folder(&[("_SUCCESS", b""), (".hidden.csv", b"1\n")]);
    fs::create_dir(empty.path().join("inner")).unwrap();
    let error = check(&[empty.path()]).unwrap_err();
    assert!(matches!(&error, LoadError::EmptyFolder { path } if path == empty.path()), "{error}");
    assert!(error.to_string().contains("there are no files in this folder"), "{error}");
    assert!(matches!(list(&[] as &[&Path]), Err(LoadError::NoFiles)));
    let error = load_all(&[empty.path().join("no")], LoadOptions::default()).unwrap_err();
    assert!(matches!(error, LoadError::File(FileError::NotFound { .. })), "{error}");
    // What is in a folder is meant: a file of an unknown kind is not left out silently.
    let notes = folder(&[("a.csv", b"1\n"), ("notes.txt", b"1\n")]);
    let error = check(&[notes.path()]).unwrap_err();
    assert!(matches!(&error, LoadError::UnknownExtension { path } if path.ends_with("notes.txt")), "{error}");
}

#[test]
fn columns_are_chosen_of_parquet_alone() {
    let folder = folder(&[("a.csv", b"x,y\n1,2\n")]);
    let columns = ["x".to_owned()];
    let options = LoadOptions { columns: &columns, ..LoadOptions::default() };
    let error = load_all(&[folder.path()], options).unwrap_err();
    assert!(matches!(error, LoadError::NoColumnNames { .. }), "{error}");
}

#[test]
fn reading_tells_how_far_it_is_in_all_files() {
    let large = npy_f64(200_000, 1, (0..200_000).map(f64::from));
    let table = "1.5,2.5\n".repeat(100_000);
    let folder = folder(&[
        ("a.npy", &large),
        ("b.npy", &large),
        ("a.csv", table.as_bytes()),
        ("b.csv", table.as_bytes()),
        ("a.ppm", b"P6 1 1 255 \x00\x01\x02"),
        ("b.ppm", b"P6 1 1 255 \x00\x01\x02"),
    ]);
    for (extension, bytes_total) in [("npy", 3_200_000), ("csv", 1_600_000), ("ppm", 28)] {
        let paths = ["a", "b"].map(|name| folder.path().join(name).with_extension(extension));
        let told: Cell<Vec<Progress>> = Cell::default();
        let observe = |progress| {
            let mut all = told.take();
            all.push(progress);
            told.set(all);
            ControlFlow::Continue(())
        };
        load_all(&paths, LoadOptions { observe: &observe, ..LoadOptions::default() }).unwrap();
        let told = told.take();
        assert!(told.len() >= 3, "{extension}: {told:?}");
        assert!(told.is_sorted_by_key(|progress| progress.bytes), "{extension}");
        assert!(
            told.iter().all(|progress| progress.bytes_total == bytes_total && progress.bytes <= bytes_total),
            "{extension}: {told:?}"
        );
        assert!(told.last().is_some_and(|progress| progress.bytes > bytes_total / 2), "{extension}");
    }
}
