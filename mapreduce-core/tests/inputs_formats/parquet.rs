//! Rows of Parquet files, which the tests write themselves.

use super::{common::Folder, failure, opened, read, refusal};
use mapreduce_core::{Dataset, Error, Input, ParquetFiles, ReadError};
use parquet::{
    basic::{Compression, GzipLevel, ZstdLevel},
    column::writer::ColumnWriter,
    data_type::{ByteArray, FixedLenByteArray, Int96},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use proptest::{collection::vec, option, prelude::*};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The values of a column in one row group. Optional ones say which are there.
enum Values {
    Bool(Vec<bool>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    I96(Vec<Int96>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bytes(Vec<Vec<u8>>),
    Fixed(Vec<Vec<u8>>),
    OptI64(Vec<Option<i64>>),
    OptBytes(Vec<Option<Vec<u8>>>),
    /// Two values in every row.
    Repeated(Vec<i32>),
}

fn arrays(values: &[Vec<u8>]) -> Vec<ByteArray> {
    values.iter().map(|value| ByteArray::from(value.clone())).collect()
}

fn levels<T>(values: &[Option<T>]) -> Vec<i16> {
    values.iter().map(|value| i16::from(value.is_some())).collect()
}

fn write(path: &Path, schema: &str, compression: Compression, groups: &[Vec<Values>]) {
    let schema = Arc::new(parse_message_type(&format!("message rows {{ {schema} }}")).unwrap());
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer =
        SerializedFileWriter::new(File::create(path).unwrap(), schema, Arc::new(properties)).unwrap();
    for group in groups {
        let mut row_group = writer.next_row_group().unwrap();
        for values in group {
            let mut column = row_group.next_column().unwrap().unwrap();
            let written = match (column.untyped(), values) {
                (ColumnWriter::BoolColumnWriter(to), Values::Bool(v)) => to.write_batch(v, None, None),
                (ColumnWriter::Int32ColumnWriter(to), Values::I32(v)) => to.write_batch(v, None, None),
                (ColumnWriter::Int32ColumnWriter(to), Values::Repeated(v)) => {
                    let levels: Vec<i16> = (0..v.len()).map(|i| (i % 2) as i16).collect();
                    to.write_batch(v, Some(&vec![1; v.len()]), Some(&levels))
                }
                (ColumnWriter::Int64ColumnWriter(to), Values::I64(v)) => to.write_batch(v, None, None),
                (ColumnWriter::Int64ColumnWriter(to), Values::OptI64(v)) => {
                    let there: Vec<i64> = v.iter().flatten().copied().collect();
                    to.write_batch(&there, Some(&levels(v)), None)
                }
                (ColumnWriter::Int96ColumnWriter(to), Values::I96(v)) => to.write_batch(v, None, None),
                (ColumnWriter::FloatColumnWriter(to), Values::F32(v)) => to.write_batch(v, None, None),
                (ColumnWriter::DoubleColumnWriter(to), Values::F64(v)) => to.write_batch(v, None, None),
                (ColumnWriter::ByteArrayColumnWriter(to), Values::Bytes(v)) => {
                    to.write_batch(&arrays(v), None, None)
                }
                (ColumnWriter::ByteArrayColumnWriter(to), Values::OptBytes(v)) => {
                    let there: Vec<Vec<u8>> = v.iter().flatten().cloned().collect();
                    to.write_batch(&arrays(&there), Some(&levels(v)), None)
                }
                (ColumnWriter::FixedLenByteArrayColumnWriter(to), Values::Fixed(v)) => {
                    let fixed: Vec<FixedLenByteArray> = arrays(v).into_iter().map(Into::into).collect();
                    to.write_batch(&fixed, None, None)
                }
                _ => panic!("the values are not of the column's type"),
            };
            written.unwrap();
            column.close().unwrap();
        }
        row_group.close().unwrap();
    }
    writer.close().unwrap();
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Trip {
    id: i64,
    note: Option<String>,
    distance: f64,
    passengers: Option<u8>,
    paid: bool,
}

const TRIP: &str = "REQUIRED BYTE_ARRAY driver (UTF8); REQUIRED DOUBLE distance; OPTIONAL INT64 passengers; \
     REQUIRED INT64 id; OPTIONAL BYTE_ARRAY note (UTF8); REQUIRED BOOLEAN paid;";

/// The columns are not in the order of the fields, and there is one more.
fn trips(rows: &[Trip]) -> Vec<Values> {
    vec![
        Values::Bytes(rows.iter().map(|row| format!("driver {}", row.id).into_bytes()).collect()),
        Values::F64(rows.iter().map(|row| row.distance).collect()),
        Values::OptI64(rows.iter().map(|row| row.passengers.map(i64::from)).collect()),
        Values::I64(rows.iter().map(|row| row.id).collect()),
        Values::OptBytes(rows.iter().map(|row| row.note.clone().map(String::into_bytes)).collect()),
        Values::Bool(rows.iter().map(|row| row.paid).collect()),
    ]
}

fn trip() -> impl Strategy<Value = Trip> {
    let note = option::of("[a-z\u{e9}]{0,9}");
    (any::<i64>(), note, -1e9..1e9f64, option::of(any::<u8>()), any::<bool>())
        .prop_map(|(id, note, distance, passengers, paid)| Trip { id, note, distance, passengers, paid })
}

fn compressions() -> [Compression; 5] {
    [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4_RAW,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn rows_are_those_that_were_written(
        files in vec(vec(vec(trip(), 1..20), 0..4), 1..4),
        compression in 0..5usize,
        bytes in 1..2_000u64,
    ) {
        let folder = Folder::new();
        for (i, groups) in files.iter().enumerate() {
            let groups: Vec<_> = groups.iter().map(|rows| trips(rows)).collect();
            write(&folder.join(&format!("{i}.parquet")), TRIP, compressions()[compression], &groups);
        }
        let input = ParquetFiles::<Trip>::open([folder.path()]).unwrap();
        let expected = files.concat().concat();
        prop_assert_eq!(read(&input, &[1, bytes, u64::MAX], Trip::clone), expected);
        let splits = Dataset::with_split_bytes(input, 1).unwrap().splits().len();
        prop_assert_eq!(splits, files.concat().len(), "a row group is not cut");
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Small {
    id: i64,
}

/// A file of a column and some rows.
pub(super) fn small(folder: &Folder) -> PathBuf {
    let path = folder.join("small.parquet");
    write(&path, "REQUIRED INT64 id;", Compression::UNCOMPRESSED, &[vec![Values::I64((0..500).collect())]]);
    path
}

#[test]
fn large_row_groups_are_read_in_blocks() {
    let folder = Folder::new();
    let trip = |id: i64| Trip {
        id,
        note: (id % 3 != 0).then(|| "x".repeat(id as usize % 50)),
        distance: id as f64 / 8.0,
        passengers: (id % 5 != 0).then_some((id % 7) as u8),
        paid: id % 2 == 0,
    };
    let rows: Vec<Trip> = (0..30_000).map(trip).collect();
    let path = folder.join("trips.parquet");
    write(&path, TRIP, Compression::SNAPPY, &[trips(&rows[..20_000]), trips(&rows[20_000..])]);
    let input = ParquetFiles::<Trip>::open([&path]).unwrap();
    assert!(read(&input, &[1, u64::MAX], Trip::clone) == rows);
    let data = Dataset::with_split_bytes(input, 1).unwrap();
    let expected = format!("{}, row groups 1 to 2", path.display());
    assert_eq!(data.input().describe(&data.splits()[1]), expected);
    let mut blocks = data.input().open(&data.splits()[0]).unwrap();
    assert!(blocks.next_block().unwrap().unwrap().len() <= 4096);

    // Only what is chosen counts.
    let ids = ParquetFiles::<Small>::open([&path]).unwrap();
    assert_eq!(read(&ids, &[1], |row| row.id), (0..30_000).collect::<Vec<_>>());
    assert!(Dataset::new(ids).unwrap().bytes() < data.bytes() / 2);
}

/// Values of a megabyte each are decoded one or a few at a time.
#[test]
fn long_values_are_decoded_few_at_a_time() {
    let folder = Folder::new();
    let path = folder.join("long.parquet");
    let values: Vec<Vec<u8>> = (0..8).map(|i| vec![i; 1 << 20]).collect();
    let columns = vec![Values::Bytes(values.clone())];
    write(&path, "REQUIRED BYTE_ARRAY bytes;", Compression::UNCOMPRESSED, &[columns]);
    let input = ParquetFiles::<(Vec<u8>,)>::open([path]).unwrap();
    let data = Dataset::new(input.clone()).unwrap();
    let mut blocks = data.input().open(&data.splits()[0]).unwrap();
    assert!(blocks.next_block().unwrap().unwrap().len() <= 2);
    assert!(read(&input, &[1], |row| row.0.clone()) == values);
}

const KINDS: &str = "REQUIRED INT32 day (DATE); REQUIRED INT32 small (INTEGER(8, true)); \
     REQUIRED INT32 unsigned (INTEGER(32, false)); REQUIRED INT64 large (INTEGER(64, false)); \
     REQUIRED INT96 time; REQUIRED FLOAT float; REQUIRED BYTE_ARRAY bytes; \
     REQUIRED FIXED_LEN_BYTE_ARRAY (3) fixed; REQUIRED BYTE_ARRAY color (ENUM); \
     REQUIRED INT32 cents (DECIMAL(9, 2)); REQUIRED INT64 mills (DECIMAL(18, 3)); \
     REQUIRED FIXED_LEN_BYTE_ARRAY (5) price (DECIMAL(10, 4)); REQUIRED BYTE_ARRAY exact (DECIMAL(20, 1)); \
     REQUIRED group address { REQUIRED BYTE_ARRAY city (UTF8); }";

/// Two rows of every kind of column.
fn kinds(path: &Path) {
    let mut time = Int96::new();
    // A second and a nanosecond after the beginning of 1970, day 2 440 588 of astronomers.
    time.set_data(1_000_000_001, 0, 2_440_588);
    let bytes = |values: [&[u8]; 2]| values.map(<[u8]>::to_vec).to_vec();
    let columns = vec![
        Values::I32(vec![19_000, -1]),
        Values::I32(vec![-128, 127]),
        Values::I32(vec![-1, 1]),
        Values::I64(vec![-1, 1]),
        Values::I96(vec![time, time]),
        Values::F32(vec![0.1, -0.0]),
        Values::Bytes(bytes([b"\xff\x00", b""])),
        Values::Fixed(bytes([b"abc", b"\xff\xfe\xfd"])),
        Values::Bytes(bytes([b"Red", b"Green"])),
        Values::I32(vec![12_345, -5]),
        Values::I64(vec![-1, 1_234_567]),
        Values::Fixed(bytes([&[0, 0, 0, 0, 1], &[0xff; 5]])),
        Values::Bytes(bytes([&[0x7f, 0xff], &[0x80]])),
        Values::Bytes(bytes([b"Oslo", b"Bod\xc3\xb8"])),
    ];
    write(path, KINDS, Compression::UNCOMPRESSED, &[columns]);
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Color {
    Red,
    Green,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Kinds {
    day: i32,
    small: i8,
    unsigned: u32,
    large: u64,
    time: i64,
    float: f32,
    bytes: Vec<u8>,
    fixed: [u8; 3],
    color: Color,
    cents: String,
    mills: f64,
    price: String,
    exact: String,
    #[serde(rename = "address.city")]
    city: String,
}

#[test]
fn every_kind_of_column_is_read() {
    let folder = Folder::new();
    let path = folder.join("kinds.parquet");
    kinds(&path);
    let rows = read(&ParquetFiles::<Kinds>::open([&path]).unwrap(), &[1], Kinds::clone);
    let first = Kinds {
        day: 19_000,
        small: -128,
        unsigned: u32::MAX,
        large: u64::MAX,
        time: 1_000_000_001,
        float: 0.1,
        bytes: vec![0xff, 0],
        fixed: *b"abc",
        color: Color::Red,
        cents: "123.45".into(),
        mills: -0.001,
        price: "0.0001".into(),
        exact: "3276.7".into(),
        city: "Oslo".into(),
    };
    let second = Kinds {
        day: -1,
        small: 127,
        unsigned: 1,
        large: 1,
        time: 1_000_000_001,
        float: -0.0,
        bytes: vec![],
        fixed: [0xff, 0xfe, 0xfd],
        color: Color::Green,
        cents: "-0.05".into(),
        mills: 1_234.567,
        price: "-0.0001".into(),
        exact: "-12.8".into(),
        city: "Bod\u{f8}".into(),
    };
    assert_eq!(rows, [first, second]);
}

#[test]
fn columns_can_be_named_for_types_that_do_not_name_them() {
    let folder = Folder::new();
    let path = folder.join("kinds.parquet");
    kinds(&path);
    let tuples = ParquetFiles::<(String, i8)>::open_columns([&path], &["address.city", "small"]).unwrap();
    assert_eq!(read(&tuples, &[1], Clone::clone), [("Oslo".into(), -128), ("Bod\u{f8}".into(), 127)]);
    let maps = ParquetFiles::<BTreeMap<String, i64>>::open_columns([&path], &["day", "small"]).unwrap();
    let map = |day, small| BTreeMap::from([("day".to_string(), day), ("small".to_string(), small)]);
    assert_eq!(read(&maps, &[1], Clone::clone), [map(19_000, -128), map(-1, 127)]);

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Wrapped((i32, f32));
    let wrapped = ParquetFiles::<Wrapped>::open_columns([&path], &["day", "float"]).unwrap();
    assert_eq!(read(&wrapped, &[1], Clone::clone), [Wrapped((19_000, 0.1)), Wrapped((-1, -0.0))]);
}

#[test]
fn a_column_that_is_not_there_is_named_with_those_that_are() {
    let folder = Folder::new();
    let path = small(&folder);
    let error = refusal(ParquetFiles::<Trip>::open([&path]));
    assert_eq!(error, format!("{}: has no column `note`; its columns are id", path.display()));
    let error = refusal(ParquetFiles::<(i64,)>::open_columns([&path], &["id", "weight"]));
    assert!(error.contains("has no column `weight`; its columns are id"), "{error}");
    let error = refusal(ParquetFiles::<(i64,)>::open_columns([&path], &[]));
    assert!(error.contains("no column is chosen"), "{error}");
}

#[test]
fn values_that_do_not_fit_the_row_type_are_named_by_row_and_column() {
    let folder = Folder::new();
    let path = folder.join("trips.parquet");
    let trip = |id, passengers| Trip { id, note: None, distance: 0.5, passengers, paid: true };
    write(
        &path,
        TRIP,
        Compression::SNAPPY,
        &[trips(&[trip(1, Some(1))]), trips(&[trip(2, Some(2)), trip(300, None)])],
    );
    fn fails<T: Send + Sync + Serialize + for<'de> Deserialize<'de> + 'static>(
        path: &Path,
        column: &str,
    ) -> String {
        let error = failure(ParquetFiles::<(T,)>::open_columns([path], &[column]).unwrap());
        assert!(error.is_permanent() && matches!(error, ReadError::Malformed { .. }), "{error}");
        error.to_string().replace(&path.display().to_string(), "trips")
    }
    let error = fails::<u8>(&path, "id");
    assert!(
        error.starts_with("trips, row group 1, row 1 of it: column `id`: invalid value: integer `300`"),
        "{error}"
    );
    let error = fails::<u8>(&path, "passengers");
    let expected =
        "trips, row group 1, row 1 of it: column `passengers` is null here; make the field an `Option`";
    assert_eq!(error, expected);
    for error in
        [fails::<u8>(&path, "driver"), fails::<String>(&path, "distance"), fails::<bool>(&path, "id")]
    {
        assert!(error.contains("row group 0, row 0 of it") && error.contains("invalid type"), "{error}");
    }
    kinds(&path);
    let error = fails::<String>(&path, "bytes");
    assert!(error.contains("UTF-8; read it as bytes"), "{error}");
    assert!(fails::<u8>(&path, "cents").contains("invalid type"), "digits would be lost");
}

#[test]
fn lists_are_refused() {
    let folder = Folder::new();
    let path = folder.join("lists.parquet");
    let columns = vec![Values::I64(vec![1, 2]), Values::Repeated(vec![1, 2, 3, 4])];
    write(&path, "REQUIRED INT64 id; REPEATED INT32 marks;", Compression::SNAPPY, &[columns]);
    let error = refusal(ParquetFiles::<(Vec<i32>,)>::open_columns([&path], &["marks"]));
    assert!(error.contains("column `marks` is repeated (a list or a map)"), "{error}");
    // Next to it all is well.
    let input = ParquetFiles::<Small>::open([&path]).unwrap();
    assert_eq!(read(&input, &[1], |row| row.id), [1, 2]);
}

#[test]
fn what_is_no_parquet_file_is_refused() {
    let folder = Folder::new();
    let whole = fs::read(small(&folder)).unwrap();
    for content in
        [&b""[..], b"PAR1", b"some text that is no Parquet", &whole[..whole.len() - 1], &whole[..100]]
    {
        let path = folder.file("other", content);
        let error = refusal(ParquetFiles::<Small>::open([&path]));
        let expected = format!("{}: is no complete Parquet file", path.display());
        assert!(error.starts_with(&expected), "{error}");
    }
    let zipped = folder.file("small.parquet.gz", &whole);
    assert!(refusal(ParquetFiles::<Small>::open([zipped])).contains("is compressed (gzip)"));
    assert!(refusal(ParquetFiles::<Small>::open([""; 0])).contains("no file was given"));
}

/// Pages have no checksums here, so that other values may come out of it; but never a panic.
#[test]
fn damage_is_a_typed_error_or_other_values() {
    let folder = Folder::new();
    let path = folder.join("trips.parquet");
    let trip = |id| Trip { id, note: Some("note".into()), distance: 0.5, passengers: None, paid: true };
    write(&path, TRIP, Compression::SNAPPY, &[trips(&(0..20).map(trip).collect::<Vec<_>>())]);
    let whole = fs::read(&path).unwrap();
    let mut errors = 0;
    for at in (0..whole.len()).step_by(3) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x15;
        fs::write(&path, damaged).unwrap();
        match ParquetFiles::<Trip>::open([&path]) {
            Ok(input) => errors += u32::from(opened(&Dataset::new(input).unwrap(), Trip::clone).is_err()),
            Err(error) => assert!(matches!(error, Error::Input { .. }), "{error}"),
        }
    }
    assert!(errors > 20, "{errors}");
}

#[test]
fn rows_are_sent_to_other_nodes_and_not_shared() {
    let folder = Folder::new();
    let input = ParquetFiles::<Small>::open([small(&folder)]).unwrap();
    assert!(input.files().is_none() && format!("{:?}", input.clone()).contains("small.parquet"));
    let error = Dataset::new(input).unwrap().on_shared_storage().unwrap_err().to_string();
    assert!(error.contains("leave `on_shared_storage` out"), "{error}");
}

#[test]
fn a_decimal_of_many_bytes_is_read_if_its_number_fits_128_bits() {
    let folder = Folder::new();
    let path = folder.join("wide.parquet");
    let wide = |front: u8, number: i128| [vec![front; 16], number.to_be_bytes().to_vec()].concat();
    let numbers = [wide(0, 12_345), wide(0xff, -12_345), wide(0, i128::MAX), wide(0xff, i128::MIN)];
    let schema = "REQUIRED FIXED_LEN_BYTE_ARRAY (32) sum (DECIMAL(76, 2)); REQUIRED BYTE_ARRAY total (DECIMAL(76, 0));";
    let write = |sums: &[Vec<u8>], totals: &[Vec<u8>]| {
        let columns = vec![Values::Fixed(sums.to_vec()), Values::Bytes(totals.to_vec())];
        write(&path, schema, Compression::SNAPPY, &[columns]);
    };
    write(&numbers, &numbers);
    let rows = ParquetFiles::<(String, f64)>::open_columns([&path], &["sum", "total"]).unwrap();
    let read = read(&rows, &[1], Clone::clone);
    assert_eq!(read[0], ("123.45".into(), 12_345.0));
    assert_eq!(read[1], ("-123.45".into(), -12_345.0));
    assert_eq!(read[2].0, "1701411834604692317316873037158841057.27");
    assert_eq!(read[3], ("-1701411834604692317316873037158841057.28".into(), i128::MIN as f64));

    let one = numbers[..1].to_vec();
    for too_wide in [wide(0, -1), wide(0xff, 1), wide(1, 0)] {
        write(std::slice::from_ref(&too_wide), &one);
        let error = failure(ParquetFiles::<(String,)>::open_columns([&path], &["sum"]).unwrap());
        assert!(error.is_permanent() && matches!(error, ReadError::Malformed { .. }), "{error}");
        let expected = "column `sum`: a decimal number of more digits than 128 bits hold; read it as bytes";
        assert!(error.to_string().contains(expected), "{error}");
        let bytes = ParquetFiles::<(Vec<u8>,)>::open_columns([&path], &["sum"]).unwrap();
        assert_eq!(opened(&Dataset::new(bytes).unwrap(), |row| row.0.clone()).unwrap(), [too_wide]);
    }
    write(&one, &[vec![]]);
    let error = failure(ParquetFiles::<(String,)>::open_columns([&path], &["total"]).unwrap()).to_string();
    assert!(error.contains("column `total`: a decimal number without bytes"), "{error}");
}

#[test]
fn a_row_group_of_fewer_rows_than_none_is_refused() {
    let folder = Folder::new();
    let path = folder.join("small.parquet");
    write(&path, "REQUIRED INT64 id;", Compression::UNCOMPRESSED, &[vec![Values::I64(vec![7; 57])]]);
    let whole = fs::read(&path).unwrap();
    // 57 and -58 in the footer.
    let places = (0..whole.len()).filter(|at| whole[*at] == 2 * 57);
    let refused = places.filter(|at| {
        let mut damaged = whole.clone();
        damaged[*at] = 2 * 57 + 1;
        fs::write(&path, damaged).unwrap();
        let expected = "is damaged: row group 0 has -58 rows; make or copy it again";
        ParquetFiles::<Small>::open([&path]).is_err_and(|error| error.to_string().contains(expected))
    });
    assert_eq!(refused.count(), 1);
}
