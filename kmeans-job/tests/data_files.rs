//! Files that cannot be read or written: each gets an error that names it and the way out, and output files appear
//! whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use kmeans_job::data::{self, FileError, LoadError, Matrix, ShapeError};
use kmeans_job::output::{
    AtomicFile, ColumnFile, OutputError, check_writable, stage_labels, write_file, write_labels_npy,
};
use proptest::prelude::*;
use tempfile::TempDir;

#[cfg(feature = "parquet")]
const FORMATS: &[&str] = &["npy", "parquet"];
#[cfg(not(feature = "parquet"))]
const FORMATS: &[&str] = &["npy"];

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn load_error(path: &Path) -> LoadError {
    data::load(path, &|| false).expect_err("a path that cannot be loaded")
}

fn names(folder: &TempDir) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.path()).expect("a folder");
    entries.map(|entry| PathBuf::from(entry.expect("an entry").file_name())).collect()
}

/// Takes the permissions of a path away. `false` if that does not stop this user, as it does not stop root.
#[cfg(unix)]
fn forbid(path: &Path, mode: u32) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("own file");
    let probe = path.join("probe");
    let allowed = if path.is_dir() { File::create(&probe).is_ok() } else { File::open(path).is_ok() };
    let _ = fs::remove_file(probe);
    if allowed {
        eprintln!("not tested: permissions do not stop this user");
    }
    !allowed
}

#[test]
fn a_matrix_holds_as_many_values_as_its_shape_says() {
    assert!(Matrix::new(2, 2, vec![0.0; 4]).is_ok());
    assert_eq!(Matrix::new(0, 2, Vec::<f32>::new()), Err(ShapeError::NoRows));
    assert_eq!(Matrix::new(2, 0, Vec::<f32>::new()), Err(ShapeError::NoColumns));
    assert_eq!(Matrix::new(2, 2, vec![0.0; 3]), Err(ShapeError::Length { rows: 2, d: 2, found: 3 }));
    assert!(matches!(Matrix::new(usize::MAX, 2, vec![0.0; 2]), Err(ShapeError::Length { .. })));
    let matrix = Matrix::new(2, 2, vec![1.0, 2.0, 3.0, 4.0]).unwrap();
    assert_eq!((matrix.row(1), matrix.row(2)), (Some(&[3.0, 4.0][..]), None));
    assert_eq!(matrix.row(usize::MAX), None);
}

#[test]
fn a_missing_file_is_named() {
    let folder = folder();
    // Missing comes before the extension: the spelling is what to look at.
    for name in ["points.npy", "points", "no/points.csv"] {
        let path = folder.path().join(name);
        let error = load_error(&path);
        assert!(
            matches!(&error, LoadError::File(FileError::NotFound { path: found }) if *found == path),
            "{error}"
        );
        assert!(error.to_string().contains("there is no such file"), "{error}");
    }
    fs::write(folder.path().join("file"), "").unwrap();
    let error = load_error(&folder.path().join("file/points.npy"));
    assert!(matches!(error, LoadError::File(FileError::NotFound { .. })), "{error}");
}

#[test]
fn a_folder_is_refused() {
    let folder = folder();
    let path = folder.path().join("points.npy");
    fs::create_dir(&path).unwrap();
    let error = load_error(&path);
    assert!(matches!(error, LoadError::File(FileError::Folder { .. })), "{error}");
    assert!(error.to_string().contains("name one file in it"), "{error}");
}

#[test]
#[cfg(unix)]
fn a_device_is_refused_without_reading_from_it() {
    let error = load_error(Path::new("/dev/zero"));
    assert!(matches!(error, LoadError::File(FileError::NotRegular { .. })), "{error}");
}

#[test]
#[cfg(unix)]
fn a_file_without_read_permission_is_refused() {
    let folder = folder();
    let path = folder.path().join("points.csv");
    fs::write(&path, "1,2\n").unwrap();
    if forbid(&path, 0o000) {
        let error = load_error(&path);
        assert!(matches!(error, LoadError::File(FileError::PermissionDenied { .. })), "{error}");
        assert!(error.to_string().contains("no permission to read it"), "{error}");
    }
}

#[test]
fn an_unknown_extension_lists_the_known_ones() {
    let folder = folder();
    for name in ["points", "points.txt", "points.csv.gz", ".npy"] {
        let path = folder.path().join(name);
        fs::write(&path, "1,2\n").unwrap();
        let error = load_error(&path);
        assert!(matches!(error, LoadError::UnknownExtension { .. }), "{error}");
        let message = error.to_string();
        for known in [name, ".npy", ".csv", ".tsv", ".png", ".jpg", ".webp"] {
            assert!(message.contains(known), "{message}");
        }
    }
}

#[test]
fn a_file_appears_at_its_commit_and_not_before() {
    let folder = folder();
    let path = folder.path().join("out.txt");
    let mut file = AtomicFile::create(&path).unwrap();
    file.write_all(b"whole").unwrap();
    file.flush().unwrap();
    assert!(!path.exists());
    file.commit().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"whole");
    assert_eq!(names(&folder), [Path::new("out.txt")]);
}

#[test]
fn a_file_that_is_dropped_leaves_nothing_and_the_old_one_as_it_was() {
    let folder = folder();
    let path = folder.path().join("out.txt");
    fs::write(&path, "old").unwrap();
    let mut file = AtomicFile::create(&path).unwrap();
    file.write_all(&[b'n'; 100_000]).unwrap();
    drop(file);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(&folder).len(), 1);

    let error = write_file(&path, |file| {
        file.write_all(b"half")?;
        Err(io::ErrorKind::StorageFull.into())
    });
    assert!(matches!(error, Err(OutputError::DiskFull { path: full }) if full == path));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(&folder).len(), 1);
}

#[test]
fn an_existing_file_is_replaced() {
    let folder = folder();
    let path = folder.path().join("out.txt");
    fs::write(&path, "a longer old text").unwrap();
    write_file(&path, |file| file.write_all(b"new")).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

#[test]
#[cfg(unix)]
fn permissions_are_those_of_any_new_file_or_of_the_replaced_one() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (path, ordinary) = (folder.path().join("out.txt"), folder.path().join("ordinary.txt"));
    fs::write(&ordinary, "").unwrap();
    write_file(&path, |_| Ok(())).unwrap();
    assert_eq!(mode(&path), mode(&ordinary));

    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    write_file(&path, |_| Ok(())).unwrap();
    assert_eq!(mode(&path), 0o640);
}

#[test]
#[cfg(unix)]
fn a_link_stays_and_the_file_behind_it_is_replaced() {
    let (folder, elsewhere) = (folder(), folder());
    let (link, target) = (folder.path().join("latest.txt"), elsewhere.path().join("real.txt"));
    fs::write(&target, "old").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    write_file(&link, |file| file.write_all(b"new")).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(&target).unwrap(), b"new");
}

#[test]
#[cfg(unix)]
fn a_link_to_a_name_that_is_free_stays_and_the_file_is_made_there() {
    let (folder, elsewhere) = (folder(), folder());
    let (link, middle) = (folder.path().join("latest.txt"), folder.path().join("middle.txt"));
    std::os::unix::fs::symlink("middle.txt", &link).unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("real.txt"), &middle).unwrap();
    write_file(&link, |file| file.write_all(b"new")).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(elsewhere.path().join("real.txt")).unwrap(), b"new");

    let astray = folder.path().join("astray.txt");
    std::os::unix::fs::symlink(folder.path().join("no/real.txt"), &astray).unwrap();
    let error = check_writable(&astray).unwrap_err();
    assert!(matches!(&error, OutputError::NoFolder { folder, .. } if folder.ends_with("no")), "{error}");
}

#[test]
fn a_file_that_is_write_protected_is_not_replaced() {
    let folder = folder();
    let path = folder.path().join("golden.txt");
    fs::write(&path, "old").unwrap();
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    let error = write_file(&path, |file| file.write_all(b"new")).unwrap_err();
    assert!(matches!(error, OutputError::ReadOnly { .. }), "{error}");
    assert!(error.to_string().contains("chmod u+w"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

#[test]
fn what_cannot_be_written_is_refused_before_the_work() {
    let folder = folder();
    let missing = folder.path().join("no/out.txt");
    let error = check_writable(&missing).unwrap_err();
    assert!(matches!(&error, OutputError::NoFolder { folder, .. } if folder.ends_with("no")), "{error}");
    assert!(error.to_string().contains("mkdir -p"), "{error}");

    let error = check_writable(folder.path()).unwrap_err();
    assert!(matches!(error, OutputError::Folder { .. }), "{error}");

    fs::write(folder.path().join("file"), "").unwrap();
    let error = check_writable(&folder.path().join("file/out.txt")).unwrap_err();
    assert!(matches!(&error, OutputError::NotAFolder { folder, .. } if folder.ends_with("file")), "{error}");

    for path in [PathBuf::new(), folder.path().join("results/"), folder.path().join("no/..")] {
        let error = check_writable(&path).unwrap_err();
        assert!(matches!(error, OutputError::NoFileName { .. }), "{path:?}: {error}");
    }

    let fine = folder.path().join("out.txt");
    check_writable(&fine).unwrap();
    assert!(!fine.exists(), "the check leaves nothing behind");
    assert_eq!(names(&folder).len(), 1);
}

#[test]
#[cfg(unix)]
fn a_device_is_not_replaced_by_a_file() {
    for device in ["/dev/null", "/dev/full"] {
        let error = check_writable(Path::new(device)).unwrap_err();
        assert!(matches!(error, OutputError::NotRegular { .. }), "{error}");
    }
}

#[test]
#[cfg(unix)]
fn a_folder_without_write_permission_is_refused() {
    let folder = folder();
    if forbid(folder.path(), 0o500) {
        let error = check_writable(&folder.path().join("out.txt")).unwrap_err();
        assert!(matches!(error, OutputError::PermissionDenied { .. }), "{error}");
        assert!(error.to_string().contains("no permission to write in its folder"), "{error}");
    }
}

#[test]
fn a_target_that_becomes_a_folder_meanwhile_is_reported_at_the_commit() {
    let folder = folder();
    let path = folder.path().join("out.txt");
    let file = AtomicFile::create(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(file.commit().is_err());
    assert_eq!(names(&folder), [Path::new("out.txt")], "the partial file is gone");
}

#[test]
fn a_relative_path_without_folder_means_the_current_one() {
    check_writable(Path::new("out-of-a-test-that-writes-nothing.txt")).unwrap();
}

#[test]
fn labels_are_an_int32_array_of_format_version_1() {
    let folder = folder();
    let path = folder.path().join("labels.npy");
    write_labels_npy(&path, &[3, -1, i32::MAX]).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"));
    assert_eq!((bytes.len() - 12) % 64, 0, "the values start at a multiple of 64");
    assert!(bytes.ends_with(&[3, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 127]));
    let header = npyz::NpyFile::new(&bytes[..]).unwrap();
    assert_eq!((header.dtype().descr().as_str(), header.shape()), ("'<i4'", &[3][..]));
}

#[test]
fn a_column_of_too_few_or_too_many_values_is_no_file() {
    let folder = folder();
    let path = folder.path().join("distances.npy");
    fs::write(&path, "before").unwrap();
    for values in [&[1.0][..], &[1.0, 2.0, 3.0]] {
        let mut file = ColumnFile::<f64>::create(&path, 2).unwrap();
        file.write(values).unwrap();
        let error = file.finish().unwrap_err();
        assert!(matches!(error, OutputError::Rows { rows: 2, .. }), "{error}");
        assert!(error.to_string().ends_with("values were written for 2 points; write one for each"));
    }
    let error = ColumnFile::<i32>::create(&folder.path().join("labels.txt"), 2).unwrap_err();
    assert!(matches!(error, OutputError::Extension { .. }));
    assert_eq!(fs::read(&path).unwrap(), b"before");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_column_has_the_same_bytes_whatever_its_pieces(
        cuts in prop::collection::vec(0..1_200_000_usize, 0..4),
        extension in prop::sample::select(FORMATS),
    ) {
        let labels: Vec<i32> = (0..1_200_000).map(|i: i32| i.wrapping_mul(40_503) % 100).collect();
        let folder = folder();
        let paths = ["whole", "pieces"].map(|name| folder.path().join(name).with_extension(extension));
        stage_labels(&paths[0], &labels).unwrap().commit().unwrap();
        let mut file = ColumnFile::create(&paths[1], labels.len() as u64).unwrap();
        let mut cuts = cuts;
        cuts.sort_unstable();
        cuts.push(labels.len());
        let mut start = 0;
        for end in cuts {
            file.write(&labels[start..end]).unwrap();
            start = end;
        }
        file.finish().unwrap().commit().unwrap();
        let [whole, pieces] = paths.map(|path| fs::read(path).unwrap());
        prop_assert!(whole == pieces);
    }

    #[test]
    fn labels_of_any_length_are_read_back(length in prop_oneof![0_usize..100, 16_380..16_390_usize, Just(50_000)]) {
        let labels: Vec<i32> = (0..length as i32).map(|i| i.wrapping_mul(40_503)).collect();
        let folder = folder();
        let path = folder.path().join("labels.npy");
        write_labels_npy(&path, &labels).unwrap();
        let read = npyz::NpyFile::new(&fs::read(&path).unwrap()[..]).unwrap().into_vec::<i32>().unwrap();
        prop_assert_eq!(read, labels);
    }
}
