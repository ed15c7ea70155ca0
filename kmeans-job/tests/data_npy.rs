//! Loading numpy arrays: what is read, what is refused and with which words.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;

use kmeans_job::data::npy::{self, NpyError};
use kmeans_job::data::{self, LoadError, Points};
use proptest::prelude::*;
use tempfile::TempDir;

/// An `.npy` file of format version 1, written independently of the reader.
fn npy(descr: &str, fortran_order: bool, shape: &str, body: &[u8]) -> Vec<u8> {
    let order = if fortran_order { "True" } else { "False" };
    with_header(&format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"), body)
}

fn with_header(dictionary: &str, body: &[u8]) -> Vec<u8> {
    let mut header = dictionary.to_owned();
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend(u16::try_from(header.len()).expect("a short header").to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(body);
    file
}

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn f64_bytes(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("points.npy");
    fs::write(&path, bytes).expect("a file in it");
    (folder, path)
}

fn load(bytes: &[u8]) -> Result<Points, LoadError> {
    let (_folder, path) = file(bytes);
    data::load(&path, &|| false)
}

/// The error and its message for a file that is refused; the message names the file.
fn refused(bytes: &[u8]) -> (NpyError, String) {
    match load(bytes) {
        Err(error @ LoadError::Npy { .. }) => {
            let message = error.to_string();
            assert!(message.contains("points.npy: "), "{message}");
            let LoadError::Npy { problem, .. } = error else { unreachable!("matched above") };
            (problem, message)
        }
        other => panic!("expected an npy error, got {other:?}"),
    }
}

#[test]
fn single_and_double_precision_are_read_as_they_are() {
    let single =
        load(&npy("'<f4'", false, "(2, 3)", &f32_bytes(&[1.0, -2.5, 3.0, 0.1, -0.0, 1e-40]))).unwrap();
    let Points::F32(single) = single else { panic!("not f32") };
    assert_eq!((single.rows(), single.d()), (2, 3));
    assert_eq!(single.row(1), Some(&[0.1, -0.0, 1e-40_f32][..]));

    let double =
        load(&npy("'<f8'", false, "(3, 1)", &f64_bytes(&[0.1, f64::MAX, f64::MIN_POSITIVE]))).unwrap();
    let Points::F64(double) = double else { panic!("not f64") };
    assert_eq!((double.rows(), double.d()), (3, 1));
    assert_eq!(double.values(), [0.1, f64::MAX, f64::MIN_POSITIVE]);
}

#[test]
fn format_versions_two_and_three_are_read() {
    for version in [2, 3] {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), }\n";
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([version, 0]);
        bytes.extend((header.len() as u32).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(7.5_f32.to_le_bytes());
        let points = load(&bytes).unwrap();
        assert_eq!((points.rows(), points.d()), (1, 1));
    }
}

#[test]
fn start_centroids_are_read_whatever_the_extension() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("start.dat");
    fs::write(&path, npy("'<f8'", false, "(2, 1)", &f64_bytes(&[4.0, 5.0]))).unwrap();
    let points = npy::read_init_npy(&path).unwrap();
    assert_eq!((points.rows(), points.d()), (2, 1));
}

#[test]
fn other_types_are_refused_with_the_line_that_converts_them() {
    let cases = [
        ("'<i8'", "a.astype(\"<f8\")"),
        ("'<i2'", "a.astype(\"<f4\")"),
        ("'|u1'", "a.astype(\"<f4\")"),
        ("'|b1'", "a.astype(\"<f4\")"),
        ("'<f2'", "a.astype(\"<f4\")"),
        ("'<f16'", "a.astype(\"<f8\")"),
        ("'>f4'", "a.astype(\"<f4\")"),
        ("'>f8'", "a.astype(\"<f8\")"),
        ("'<c16'", "numpy.hstack([a.real, a.imag])"),
        ("'<U5'", "a.astype(\"<f8\")"),
        ("'|O'", "a.astype(\"<f8\")"),
        ("'<M8[ns]'", "a.astype(\"<i8\").astype(\"<f8\")"),
        ("[('x', '<f4'), ('y', '<f4')]", "structured_to_unstructured"),
    ];
    for (descr, conversion) in cases {
        let (error, message) = refused(&npy(descr, false, "(1, 2)", &[0; 64]));
        assert!(matches!(error, NpyError::Dtype { .. }), "{descr}: {error:?}");
        assert!(message.contains(conversion), "{message}");
        assert!(message.contains(descr.trim_matches(['[', ']'])), "{message}");
    }
}

#[test]
fn fortran_order_is_refused_with_the_line_that_converts_it() {
    let (error, message) = refused(&npy("'<f4'", true, "(2, 2)", &f32_bytes(&[1.0; 4])));
    assert_eq!(error, NpyError::FortranOrder);
    assert!(message.contains("numpy.ascontiguousarray(a)"), "{message}");
}

#[test]
fn arrays_that_are_not_two_dimensional_are_refused() {
    for (shape, shown, way_out) in [
        ("()", "shape ()", "a.reshape(-1, 1)"),
        ("(4,)", "shape (4,)", "a.reshape(-1, 1)"),
        ("(1, 2, 2)", "shape (1, 2, 2)", "a.reshape(-1, a.shape[-1])"),
    ] {
        let (error, message) = refused(&npy("'<f4'", false, shape, &f32_bytes(&[1.0; 4])));
        assert!(matches!(error, NpyError::Dimensions { .. }), "{error:?}");
        assert!(message.contains(shown) && message.contains(way_out), "{message}");
    }
}

#[test]
fn arrays_without_rows_or_columns_are_refused() {
    for (shape, rows, d) in [("(0, 3)", 0, 3), ("(3, 0)", 3, 0), ("(0, 0)", 0, 0)] {
        let (error, _) = refused(&npy("'<f4'", false, shape, &[]));
        assert_eq!(error, NpyError::NoValues { rows, d });
    }
}

#[test]
fn missing_and_surplus_values_are_counted() {
    let whole = npy("'<f8'", false, "(2, 2)", &f64_bytes(&[1.0; 4]));
    let (error, message) = refused(&whole[..whole.len() - 1]);
    assert_eq!(error, NpyError::Truncated { expected: 32, found: 31 });
    assert!(message.contains("32 bytes") && message.contains("31 are there"), "{message}");

    let (error, _) = refused(&[&whole[..], b"x"].concat());
    assert_eq!(error, NpyError::TrailingBytes { expected: 32, found: 33 });
}

#[test]
fn a_header_that_promises_more_than_memory_holds_is_refused_before_allocation() {
    let (error, _) = refused(&npy("'<f8'", false, "(1000000000000, 1000)", &[]));
    assert_eq!(error, NpyError::Truncated { expected: 8_000_000_000_000_000, found: 0 });
    for shape in [
        "(18446744073709551615, 18446744073709551615)",
        "(0, 18446744073709551615, 18446744073709551615)",
        "(99999999999999999999999, 1)",
        "(4294967296, 4294967296, 1)",
    ] {
        let (error, _) = refused(&npy("'<f8'", false, shape, &[]));
        assert!(matches!(error, NpyError::Header { .. }), "{shape}: {error:?}");
    }
}

#[test]
fn a_header_length_that_lies_is_refused() {
    let (error, _) = refused(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}");
    assert!(matches!(error, NpyError::Header { .. }), "{error:?}");
    let (error, _) = refused(b"\x93NUMPY\x01\x00\xff\x00{}");
    assert_eq!(error, NpyError::TruncatedHeader);
}

#[test]
fn headers_that_no_numpy_writes_are_refused() {
    let deep = "(".repeat(20_000);
    for dictionary in [
        "",
        "{",
        "1",
        "{}",
        "[]",
        "{'descr': '<f4'}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (1, 1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 3}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1.5, 1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0x10, 1)}",
        "{'descr': 'hello', 'fortran_order': False, 'shape': (1, 1)}",
        "{'descr': '<f5', 'fortran_order': False, 'shape': (1, 1)}",
        "{'descr': '\\x3cf4', 'fortran_order': False, 'shape': (1, 1)}",
        "{'descr': '<f4",
        "))))",
        deep.as_str(),
    ] {
        let (error, message) = refused(&with_header(dictionary, &[0; 4]));
        assert!(matches!(error, NpyError::Header { .. }), "{dictionary:.60}: {error:?}");
        assert!(message.contains("numpy.save(path, a)"), "{message}");
    }
}

#[test]
fn other_files_are_refused_for_what_they_are() {
    assert_eq!(refused(b"").0, NpyError::NotNpy);
    assert_eq!(refused(b"1,2,3\n4,5,6\n").0, NpyError::NotNpy);
    assert_eq!(refused(b"PK\x03\x04zip").0, NpyError::Npz);
    assert_eq!(refused(b"\x93NUM").0, NpyError::TruncatedHeader);
    let (error, message) = refused(b"\x93NUMPY\x09\x00\x04\x00\x00\x00{}  ");
    assert!(matches!(error, NpyError::Header { .. }), "{error:?}");
    assert!(message.contains("(9, 0)"), "{message}");
}

#[test]
fn a_value_that_is_not_finite_is_named_by_row_and_column() {
    let (error, message) =
        refused(&npy("'<f4'", false, "(2, 3)", &f32_bytes(&[1., 2., 3., 4., f32::NAN, f32::NAN])));
    assert_eq!(error, NpyError::NotFinite { row: 1, column: 1, value: "NaN".to_owned() });
    assert!(message.contains("row 1, column 1 (counted from 0) is NaN"), "{message}");

    let (error, _) = refused(&npy("'<f8'", false, "(1, 2)", &f64_bytes(&[1.0, f64::NEG_INFINITY])));
    assert_eq!(error, NpyError::NotFinite { row: 0, column: 1, value: "-inf".to_owned() });
}

#[test]
fn a_value_that_is_not_finite_is_found_far_into_a_file() {
    let (rows, d) = (100_000, 7);
    let mut values = vec![0.5_f32; rows * d];
    values[99_998 * d + 6] = f32::INFINITY;
    let (error, _) = refused(&npy("'<f4'", false, "(100000, 7)", &f32_bytes(&values)));
    assert_eq!(error, NpyError::NotFinite { row: 99_998, column: 6, value: "inf".to_owned() });
}

#[test]
fn a_long_load_can_be_interrupted() {
    let values = vec![1.0_f64; 1_000_000];
    let (_folder, path) = file(&npy("'<f8'", false, "(1000000, 1)", &f64_bytes(&values)));
    let asked = Cell::new(0);
    let interrupted = || {
        asked.set(asked.get() + 1);
        asked.get() > 3
    };
    assert!(matches!(data::load(&path, &interrupted), Err(LoadError::Interrupted)));
    assert_eq!(asked.get(), 4);

    let asked = Cell::new(0);
    assert!(
        data::load(&path, &|| {
            asked.set(asked.get() + 1);
            false
        })
        .is_ok()
    );
    assert!(asked.get() >= 8, "8 MB were read after {} questions", asked.get());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_finite_array_comes_back_bit_for_bit(
        (d, values) in (1_usize..6).prop_flat_map(|d| (
            Just(d),
            prop::collection::vec(prop::collection::vec(prop::num::f64::NORMAL | prop::num::f64::ZERO
                | prop::num::f64::SUBNORMAL, d), 1..40),
        )),
    ) {
        let flat: Vec<f64> = values.concat();
        let shape = format!("({}, {d})", values.len());
        let Points::F64(read) = load(&npy("'<f8'", false, &shape, &f64_bytes(&flat))).unwrap() else {
            panic!("not f64")
        };
        prop_assert_eq!((read.rows(), read.d()), (values.len(), d));
        prop_assert_eq!(f64_bytes(read.values()), f64_bytes(&flat));

        let single: Vec<f32> = flat.iter().map(|&value| (value as f32).clamp(f32::MIN, f32::MAX)).collect();
        let Points::F32(read) = load(&npy("'<f4'", false, &shape, &f32_bytes(&single))).unwrap() else {
            panic!("not f32")
        };
        prop_assert_eq!(f32_bytes(read.values()), f32_bytes(&single));
    }

    #[test]
    fn a_part_of_a_file_is_an_error(cut in 0.0..1.0_f64) {
        let whole = npy("'<f4'", false, "(20, 3)", &f32_bytes(&[0.25; 60]));
        let length = (cut * whole.len() as f64) as usize;
        prop_assert!(load(&whole[..length]).is_err());
    }

    #[test]
    fn damaged_headers_give_an_error_or_points(at in 0_usize..80, byte in any::<u8>()) {
        let mut bytes = npy("'<f4'", false, "(2, 3)", &f32_bytes(&[0.25; 6]));
        bytes[at] = byte;
        let _ = load(&bytes);
    }

    #[test]
    fn any_header_gives_an_error_or_points(dictionary in "[{}\\[\\]()',:0-9 a-zTF<>f|]{0,60}") {
        let _ = load(&with_header(&dictionary, &[0; 8]));
    }
}
