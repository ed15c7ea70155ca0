//! Parquet files of points, written here with the writer of the `parquet` crate: what is read, what is refused, and with
//! which words.

#![cfg(feature = "parquet")]

use kmeans_job::{
    DataError, FitError, KMeans,
    data::{
        Difference, Dtype, LoadError, LoadOptions, PointFiles, Points, load, load_all, parquet::ParquetError,
    },
};
use mapreduce_core::{Error, FailureKind};
use parquet::{
    data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use proptest::prelude::*;
use std::{cell::Cell, fs, fs::File, ops::ControlFlow, path::PathBuf, sync::Arc};
use tempfile::TempDir;

/// The values of a column in a row group; where there are levels, 0 is a value that is missing.
#[derive(Clone, Debug)]
enum Column {
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bool(Vec<bool>),
    Text(Vec<&'static str>),
    OptionalF64(Vec<f64>, Vec<i16>),
}

/// A file of these columns and row groups.
fn file(folder: &TempDir, name: &str, fields: &str, groups: &[Vec<Column>]) -> PathBuf {
    let path = folder.path().join(name);
    let schema = Arc::new(parse_message_type(&format!("message points {{ {fields} }}")).expect("a schema"));
    // Several pages in a column.
    let properties =
        WriterProperties::builder().set_data_page_row_count_limit(1000).set_write_batch_size(500).build();
    let sink = File::create(&path).expect("a file");
    let mut writer = SerializedFileWriter::new(sink, schema, Arc::new(properties)).expect("a writer");
    for columns in groups {
        let mut group = writer.next_row_group().expect("a row group");
        for values in columns {
            let mut column = group.next_column().expect("a column").expect("one for each of the schema");
            match values {
                Column::I32(values) => column.typed::<Int32Type>().write_batch(values, None, None),
                Column::I64(values) => column.typed::<Int64Type>().write_batch(values, None, None),
                Column::F32(values) => column.typed::<FloatType>().write_batch(values, None, None),
                Column::F64(values) => column.typed::<DoubleType>().write_batch(values, None, None),
                Column::Bool(values) => column.typed::<BoolType>().write_batch(values, None, None),
                Column::Text(values) => {
                    let values: Vec<ByteArray> = values.iter().map(|&value| value.into()).collect();
                    column.typed::<ByteArrayType>().write_batch(&values, None, None)
                }
                Column::OptionalF64(values, levels) => {
                    column.typed::<DoubleType>().write_batch(values, Some(levels), None)
                }
            }
            .expect("values");
            column.close().expect("a column");
        }
        group.close().expect("a row group");
    }
    writer.close().expect("a file");
    path
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// The error for one row group, and its message, which names the file.
fn refused(fields: &str, columns: Vec<Column>, chosen: &[&str]) -> (ParquetError, String) {
    let folder = folder();
    let path = file(&folder, "points.parquet", fields, &[columns]);
    let chosen: Vec<String> = chosen.iter().map(|&name| name.to_owned()).collect();
    match load_all(&[path], LoadOptions { columns: &chosen, ..LoadOptions::default() }) {
        Err(error @ LoadError::Parquet { .. }) => {
            let message = error.to_string();
            assert!(message.contains("points.parquet: "), "{message}");
            let LoadError::Parquet { problem, .. } = error else { unreachable!("matched above") };
            (problem, message)
        }
        other => panic!("expected an error of Parquet, got {other:?}"),
    }
}

#[test]
fn columns_become_coordinates_in_their_order() {
    let folder = folder();
    let fields = "required float x; required float y;";
    let groups = [
        vec![Column::F32(vec![1.0, 2.0]), Column::F32(vec![10.0, 20.0])],
        vec![Column::F32(vec![3.0]), Column::F32(vec![30.0])],
    ];
    let path = file(&folder, "points.PARQUET", fields, &groups);
    let Points::F32(points) = load(&path, &|| false).unwrap() else { panic!("FLOAT is f32") };
    assert_eq!((points.rows(), points.d()), (3, 2));
    assert_eq!(points.values(), [1.0, 10.0, 2.0, 20.0, 3.0, 30.0]);
    assert!(points.stored().is_none(), "its rows do not lie in the file");
}

#[test]
fn chosen_columns_are_read_in_the_order_they_are_named() {
    let folder = folder();
    let fields = "required binary name (STRING); required double a; required group p { required double b; }";
    let columns =
        vec![Column::Text(vec!["n", "m"]), Column::F64(vec![1.0, 2.0]), Column::F64(vec![3.0, 4.0])];
    let path = file(&folder, "points.parquet", fields, &[columns]);
    let chosen = ["p.b".to_owned(), "a".to_owned()];
    let points = load_all(&[path], LoadOptions { columns: &chosen, ..LoadOptions::default() }).unwrap();
    let Points::F64(points) = points else { panic!("DOUBLE is f64") };
    assert_eq!(points.values(), [3.0, 1.0, 4.0, 2.0]);
}

#[test]
fn the_type_is_f32_if_it_holds_all_values() {
    let cases: [(&str, Column, Dtype, f64); 8] = [
        ("float", Column::F32(vec![-0.5]), Dtype::F32, -0.5),
        ("double", Column::F64(vec![0.1]), Dtype::F64, 0.1),
        ("int32", Column::I32(vec![i32::MIN]), Dtype::F64, f64::from(i32::MIN)),
        ("int64", Column::I64(vec![-(1 << 53)]), Dtype::F64, -9_007_199_254_740_992.0),
        ("int32 VALUE (INTEGER(16, true))", Column::I32(vec![-32_768]), Dtype::F32, -32_768.0),
        ("int32 VALUE (UINT_8)", Column::I32(vec![255]), Dtype::F32, 255.0),
        ("int32 VALUE (INTEGER(32, false))", Column::I32(vec![-1]), Dtype::F64, 4_294_967_295.0),
        ("int64 VALUE (INTEGER(64, false))", Column::I64(vec![7]), Dtype::F64, 7.0),
    ];
    for (field, column, dtype, expected) in cases {
        let folder = folder();
        let fields = if field.contains("VALUE") {
            format!("required {};", field.replace("VALUE", "v"))
        } else {
            format!("required {field} v;")
        };
        let path = file(&folder, "v.parquet", &fields, &[vec![column]]);
        let points = load(&path, &|| false).unwrap();
        assert_eq!(points.dtype(), dtype, "{field}");
        let found = match points {
            Points::F32(matrix) => f64::from(matrix.values()[0]),
            Points::F64(matrix) => matrix.values()[0],
            Points::Files(_) => unreachable!("they were loaded"),
        };
        assert_eq!(found, expected, "{field}");
    }
}

#[test]
fn an_optional_column_is_read_if_no_value_is_missing() {
    let folder = folder();
    let fields = "optional double v;";
    let path = file(&folder, "v.parquet", fields, &[vec![Column::OptionalF64(vec![1.0, 2.0], vec![1, 1])]]);
    let Points::F64(points) = load(&path, &|| false).unwrap() else { panic!("f64") };
    assert_eq!(points.values(), [1.0, 2.0]);

    let (problem, message) = refused(fields, vec![Column::OptionalF64(vec![1.0], vec![1, 0])], &[]);
    assert_eq!(problem, ParquetError::Null { row: 1, column: "v".into() });
    assert!(message.contains("no value in row 1 (counted from 0)"), "{message}");
}

#[test]
fn columns_that_are_no_numbers_are_named_with_those_that_are() {
    let text = || Column::Text(vec!["setosa"]);
    let fields = "required double a; required binary species (STRING); required double b;";
    let columns = vec![Column::F64(vec![1.0]), text(), Column::F64(vec![2.0])];
    let (problem, message) = refused(fields, columns.clone(), &[]);
    assert!(
        matches!(problem, ParquetError::NotNumeric { ref column, .. } if column == "species"),
        "{problem:?}"
    );
    assert!(
        message.contains("the column `species` holds texts") && message.contains("--columns a,b"),
        "{message}"
    );
    let (_, message) = refused("required binary s (STRING);", vec![text()], &["s"]);
    assert!(message.contains("there is no other column"), "{message}");

    for (field, column, holds) in [
        ("boolean v", Column::Bool(vec![true]), "truth values"),
        ("binary v", text(), "bytes"),
        ("int32 v (DATE)", Column::I32(vec![1]), "dates"),
        ("int32 v (DECIMAL(5, 2))", Column::I32(vec![1]), "decimals"),
        ("int64 v (TIMESTAMP(MILLIS, true))", Column::I64(vec![1]), "time stamps"),
        ("int64 v (TIME(MICROS, true))", Column::I64(vec![1]), "times"),
    ] {
        let (problem, _) = refused(&format!("required {field};"), vec![column], &[]);
        assert!(
            matches!(&problem, ParquetError::NotNumeric { holds: found, .. } if found == holds),
            "{field}: {problem:?}"
        );
    }

    let (problem, message) = refused(fields, columns.clone(), &["a", "c"]);
    assert!(matches!(problem, ParquetError::NoColumn { ref column, .. } if column == "c"), "{problem:?}");
    assert!(message.contains("no column `c`; the columns are a, species, b"), "{message}");
    let (problem, _) = refused(fields, columns, &["a", "b", "a"]);
    assert_eq!(problem, ParquetError::Twice { column: "a".into() });
}

#[test]
fn values_that_are_no_coordinates_are_named_by_row_and_column() {
    let fields = "required double a; required double b;";
    for (value, shown) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf")] {
        // Behind the first rows that are decoded at once.
        let mut b = vec![0.0; 6000];
        b[5001] = value;
        let (problem, message) = refused(fields, vec![Column::F64(vec![0.0; 6000]), Column::F64(b)], &[]);
        let expected = ParquetError::NotFinite { row: 5001, column: "b".into(), value: shown.into() };
        assert_eq!(problem, expected);
        assert!(
            message.contains(&format!("column `b` is {shown} in row 5001 (counted from 0)")),
            "{message}"
        );
    }
    let (problem, message) = refused("required int64 id;", vec![Column::I64(vec![0, (1 << 53) + 1])], &[]);
    assert_eq!(problem, ParquetError::NotExact { row: 1, column: "id".into(), value: (1 << 53) + 1 });
    assert!(message.contains("9007199254740993"), "{message}");
}

#[test]
fn files_without_points_or_that_are_damaged_are_refused() {
    let (problem, _) = refused("required double a;", vec![Column::F64(vec![])], &[]);
    assert_eq!(problem, ParquetError::NoValues { rows: 0, d: 1 });

    let folder = folder();
    let path = file(
        &folder,
        "a.parquet",
        "required double a;",
        &[vec![Column::F64((0..5000).map(f64::from).collect())]],
    );
    let whole = fs::read(&path).unwrap();
    for bytes in [&whole[..whole.len() / 2], b"", b"PAR1", b"x,y\n1,2\n"] {
        fs::write(&path, bytes).unwrap();
        let error = load(&path, &|| false).unwrap_err();
        assert!(matches!(error, LoadError::Parquet { problem: ParquetError::Damaged { .. }, .. }), "{error}");
    }
    // Any byte may be wrong: an error or other values, but no panic and no lack of memory.
    for at in (0..whole.len()).step_by(97) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fs::write(&path, bytes).unwrap();
        let _ = load(&path, &|| false);
    }
}

#[test]
fn files_that_are_not_alike_are_refused_with_both_names() {
    let folder = folder();
    let one = |values: [f64; 1]| Column::F64(values.to_vec());
    let a =
        file(&folder, "a.parquet", "required double x; required double y;", &[vec![one([1.0]), one([2.0])]]);
    let narrow = file(&folder, "b.parquet", "required double x;", &[vec![one([1.0])]]);
    let swapped =
        file(&folder, "c.parquet", "required double y; required double x;", &[vec![one([4.0]), one([3.0])]]);
    let single = file(
        &folder,
        "d.parquet",
        "required float x; required float y;",
        &[vec![Column::F32(vec![0.0]), Column::F32(vec![0.0])]],
    );
    let difference = |other: &PathBuf| match load_all(&[&a, other], LoadOptions::default()) {
        Err(LoadError::Unlike { path, difference }) => {
            assert_eq!(&path, other);
            difference
        }
        other => panic!("expected files that are not alike, got {other:?}"),
    };
    assert_eq!(difference(&narrow), Difference::Width { first: a.clone(), expected: 2, found: 1 });
    let name = Difference::Name { first: a.clone(), number: 1, expected: "x".into(), found: "y".into() };
    assert_eq!(difference(&swapped), name);
    let dtype = Difference::Dtype { first: a.clone(), expected: Dtype::F64, found: Dtype::F32 };
    assert_eq!(difference(&single), dtype);

    // Chosen columns are found in each file, wherever they stand.
    let columns = ["x".to_owned(), "y".to_owned()];
    let points =
        load_all(&[&a, &swapped], LoadOptions { columns: &columns, ..LoadOptions::default() }).unwrap();
    let Points::F64(points) = points else { panic!("f64") };
    assert_eq!(points.values(), [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn reading_tells_how_far_it_is_and_ends_when_asked_to() {
    let folder = folder();
    let column = Column::F64((0..50_000).map(f64::from).collect());
    let path = file(&folder, "a.parquet", "required double a;", &[vec![column.clone()], vec![column]]);
    let (calls, last) = (Cell::new(0), Cell::new(0));
    let observe = |progress: kmeans_job::data::Progress| {
        assert!(progress.bytes >= last.get() && progress.bytes <= progress.bytes_total);
        last.set(progress.bytes);
        calls.set(calls.get() + 1);
        if calls.get() == 15 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let error = load_all(&[path], LoadOptions { observe: &observe, ..LoadOptions::default() }).unwrap_err();
    assert!(matches!(error, LoadError::Interrupted), "{error}");
    assert!(last.get() > 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn rows_are_the_columns_turned(
        d in 1_usize..5,
        rows in prop::collection::vec(1_usize..5000, 1..4),
        seed in any::<u32>(),
    ) {
        let value = |row: usize, column: usize| f64::from(seed) + row as f64 * 0.25 + column as f64 * 1e6;
        let mut first = 0;
        let mut groups = Vec::new();
        for rows in rows {
            groups.push((0..d).map(|column| Column::F64((first..first + rows).map(|row| value(row, column)).collect())).collect());
            first += rows;
        }
        let fields: String = (0..d).map(|column| format!("required double c{column}; ")).collect();
        let folder = folder();
        let path = file(&folder, "points.parquet", &fields, &groups);
        let Points::F64(points) = load(&path, &|| false).unwrap() else { panic!("f64") };
        prop_assert_eq!((points.rows(), points.d()), (first, d));
        let expected = (0..first * d).map(|i| value(i / d, i % d));
        prop_assert!(points.values().iter().copied().eq(expected));
    }
}

/// Several files of several row groups, one of them empty.
fn wavy(folder: &TempDir) -> Vec<PathBuf> {
    let fields = "required float x; required int32 n (INTEGER(16,true)); required double unused;";
    let group = |rows: std::ops::Range<i32>| {
        let wave = |row: i32| (row % 7) as f32 * 100.3 + (row % 11) as f32;
        let unused = rows.clone().map(f64::from).collect();
        vec![Column::F32(rows.clone().map(wave).collect()), Column::I32(rows.collect()), Column::F64(unused)]
    };
    let first = file(folder, "a.parquet", fields, &[group(0..5000), group(0..0), group(5000..5100)]);
    let second = file(folder, "b.parquet", fields, &[group(5100..5101), group(5101..7000)]);
    vec![first, second]
}

#[test]
fn row_groups_that_stay_in_their_files_give_the_bits_of_memory() {
    let folder = folder();
    let paths = wavy(&folder);
    for columns in [vec!["n".to_owned(), "x".to_owned()], Vec::new()] {
        let options = LoadOptions { columns: &columns, ..LoadOptions::default() };
        let loaded = load_all(&paths, options).expect("points");
        let files = PointFiles::open(&paths, &columns).expect("files");
        assert_eq!((files.rows(), files.d(), files.dtype()), (7000, loaded.d(), loaded.dtype()));
        for split_bytes in [1, 1000, u64::MAX] {
            let kmeans =
                KMeans::builder().k(5).max_iter(6).split_bytes(split_bytes).build().expect("options");
            let expected = kmeans.fit(&loaded).expect("a fit");
            let found = kmeans.fit(&files).expect("a fit");
            assert_eq!((&found.model, &found.labels), (&expected.model, &expected.labels));
            let predicted = found.model.predict(&files).expect("labels");
            assert_eq!((predicted.labels, predicted.inertia), (expected.labels, expected.model.inertia));
        }
    }
}

#[test]
fn row_groups_are_read_only_from_the_file_that_was_opened() {
    let folder = folder();
    let paths = wavy(&folder);
    let files = PointFiles::open(&paths, &[]).expect("files");
    let other = paths[1].clone();
    let replace = move |iteration: &kmeans_job::Iteration| {
        if iteration.number == 1 {
            let bytes = fs::read(&other).expect("a file");
            fs::remove_file(&other).expect("a file");
            fs::write(&other, [&bytes[..], &[0]].concat()).expect("a file");
        }
    };
    let kmeans = KMeans::builder().k(5).tol(0.0).observe(replace).build().expect("options");
    match kmeans.fit(&files) {
        Err(FitError::Job(Error::Task(error))) => {
            assert_eq!(error.failure.kind, FailureKind::Read);
            assert!(
                error.to_string().contains("b.parquet: has changed since the job was planned"),
                "{error}"
            );
        }
        other => panic!("expected an error of a task, got {other:?}"),
    }
}

#[test]
fn what_is_no_number_in_a_row_group_is_named_when_it_is_read() {
    let folder = folder();
    let values = |value| Column::F32(vec![1.0, 2.0, value]);
    let groups = [vec![values(3.0)], vec![values(f32::NAN)]];
    let path = file(&folder, "a.parquet", "required float x;", &groups);
    let files = PointFiles::open(&[path], &[]).expect("files");
    let error = KMeans::builder().k(2).build().expect("options").fit(files).expect_err("a NaN");
    let message = error.to_string();
    assert!(!matches!(error, FitError::Data(DataError::NotFinite { .. })), "the column is named instead");
    assert!(message.contains("a.parquet") && message.contains("column `x` is NaN in row 5"), "{message}");
}
