//! Part files of Parquet: what the `parquet` crate's rows hold is what the job returns.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::{
    Folder, engine,
    jobs::{AsIs, Owned},
};
use mapreduce_core::{Error, impl_key, prelude::*};
use parquet::{
    basic::Type as PhysicalType,
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};
use proptest::{collection::vec, option, prelude::*};
use std::{collections::BTreeMap, fs::File, marker::PhantomData};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Place {
    country: String,
    zone: i8,
}
impl_key!(Place { country, zone });

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Colour {
    Red,
    DarkGreen,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    byte: u8,
    short: i16,
    word: u32,
    long: u64,
    signed: Option<i64>,
    small: f32,
    score: Option<f64>,
    is_new: Option<bool>,
    letter: char,
    colour: Colour,
    data: Vec<u8>,
    note: Option<String>,
}

impl Seen {
    /// As the row of a Parquet file.
    fn fields(&self) -> Vec<Field> {
        fn optional<T>(value: Option<T>, field: impl FnOnce(T) -> Field) -> Field {
            value.map_or(Field::Null, field)
        }
        let colour = if self.colour == Colour::Red { "Red" } else { "DarkGreen" };
        vec![
            Field::UByte(self.byte),
            Field::Short(self.short),
            Field::UInt(self.word),
            Field::ULong(self.long),
            optional(self.signed, Field::Long),
            Field::Float(self.small),
            optional(self.score, Field::Double),
            optional(self.is_new, Field::Bool),
            Field::Str(self.letter.to_string()),
            Field::Str(colour.to_string()),
            Field::Bytes(self.data.clone().into()),
            optional(self.note.clone(), Field::Str),
        ]
    }
}

/// The rows of a part, and of each row group how many it has.
struct Read {
    names: Vec<String>,
    rows: Vec<Vec<Field>>,
    groups: Vec<i64>,
}

/// Writes the items as they are, in two partitions, and reads the parts.
fn write<K: Owned + Key, V: Owned>(items: &[(K, V)]) -> Result<Vec<Read>, Error> {
    let folder = Folder::new();
    let out = folder.join("out");
    let data = Dataset::with_split_bytes(ItemSlice::new(items), 300)?;
    let to = PartFiles::new(&out).with_format(Format::Parquet);
    let options = Options { partitions: Some(2), ..Options::default() };
    let written = engine().write(&AsIs::<K, V>(PhantomData), &(), &data, &to, &options)?;
    let parts = written.parts.iter().map(|part| {
        let path = out.join(&part.name);
        let content = std::fs::read(&path).unwrap();
        assert_eq!((content.len() as u64, xxhash_rust::xxh3::xxh3_64(&content)), (part.bytes, part.xxh3));
        let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
        let metadata = reader.metadata();
        let columns = metadata.file_metadata().schema_descr().columns();
        let read = Read {
            names: columns.iter().map(|column| column.name().to_string()).collect(),
            groups: metadata.row_groups().iter().map(|group| group.num_rows()).collect(),
            rows: reader
                .get_row_iter(None)
                .unwrap()
                .map(|row| row.unwrap().into_columns().into_iter().map(|(_, field)| field).collect())
                .collect(),
        };
        assert_eq!(part.records, read.rows.len() as u64);
        read
    });
    Ok(parts.collect())
}

fn seen() -> impl Strategy<Value = Seen> {
    let numbers = (any::<u8>(), any::<i16>(), any::<u32>(), any::<u64>(), any::<Option<i64>>());
    let floats = (any::<f32>(), any::<Option<f64>>(), any::<Option<bool>>());
    let texts = (any::<char>(), any::<bool>(), vec(any::<u8>(), 0..5), option::of(".{0,5}"));
    (numbers, floats, texts).prop_map(|(numbers, floats, texts)| {
        let (byte, short, word, long, signed) = numbers;
        let (small, score, is_new) = floats;
        let (letter, red, data, note) = texts;
        let colour = if red { Colour::Red } else { Colour::DarkGreen };
        Seen { byte, short, word, long, signed, small, score, is_new, letter, colour, data, note }
    })
}

fn place() -> impl Strategy<Value = Place> {
    (".{0,4}", any::<i8>()).prop_map(|(country, zone)| Place { country, zone })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn rows_are_the_pairs_that_are_returned(items in vec((place(), seen()), 0..12)) {
        let data = Dataset::with_split_bytes(ItemSlice::new(&items), 300).unwrap();
        let options = Options { partitions: Some(2), ..Options::default() };
        let returned = engine().run_with(&AsIs::<Place, Seen>(PhantomData), &(), &data, &options).unwrap();
        let mut rows = Vec::new();
        for part in write(&items).unwrap() {
            let names = part.names.join(" ");
            prop_assert_eq!(
                names,
                "country zone byte short word long signed small score is_new letter colour data note"
            );
            rows.extend(part.rows);
        }
        let expected = returned.pairs.iter().map(|(Place { country, zone }, seen)| {
            [vec![Field::Str(country.clone()), Field::Byte(*zone)], seen.fields()].concat()
        });
        prop_assert_eq!(rows, expected.collect::<Vec<_>>());
    }
}

#[test]
fn a_part_without_pairs_has_columns_and_no_rows() {
    for part in write::<u8, f64>(&[]).unwrap() {
        assert_eq!(part.names, ["key", "value"]);
        assert!(part.rows.is_empty() && part.groups.is_empty());
    }
}

#[test]
fn nothing_is_left_out() {
    let parts = write(&[(b"line\xff".to_vec(), ())]).unwrap();
    assert!(parts.iter().all(|part| part.names == ["key"]));
    let rows: Vec<_> = parts.into_iter().flat_map(|part| part.rows).collect();
    assert_eq!(rows, [[Field::Bytes(b"line\xff".to_vec().into())]]);
}

#[test]
fn long_parts_have_several_row_groups() {
    let text = "x".repeat(1 << 20);
    let items: Vec<(u32, String)> = (0..40).map(|n| (n, text.clone())).collect();
    let parts = write(&items).unwrap();
    assert!(parts.iter().any(|part| part.groups.len() > 1));
    let mut keys: Vec<u32> = parts
        .iter()
        .flat_map(|part| &part.rows)
        .map(|row| {
            assert_eq!(row[1], Field::Str(text.clone()));
            let Field::UInt(key) = row[0] else { panic!("{row:?}") };
            key
        })
        .collect();
    keys.sort_unstable();
    assert!(keys.into_iter().eq(0..40));
}

#[test]
fn columns_without_a_parquet_type_are_refused_by_name_before_the_job_runs() {
    #[derive(Clone, Serialize, Deserialize)]
    struct Nested {
        tags: BTreeMap<String, u8>,
    }
    let refused = |result: Result<Vec<Read>, Error>| {
        let Err(error @ Error::Format { format: Format::Parquet, .. }) = result else { panic!("written") };
        error.to_string()
    };
    let nested = refused(write(&[(1u8, Nested { tags: BTreeMap::new() })]));
    assert!(nested.contains("column `tags`") && nested.ends_with("or write JSON lines"), "{nested}");
    let wide = refused(write(&[(1u8, 1u128)]));
    assert!(wide.contains("column `value`") && wide.ends_with("emit it as a string"), "{wide}");
    let none = refused(write(&[((), ())]));
    assert!(none.contains("neither the key nor the value has a column"), "{none}");
}

#[test]
fn unsigned_numbers_say_that_they_are() {
    let folder = Folder::new();
    let out = folder.join("out");
    let data = Dataset::new(ItemSlice::new([(u64::MAX, 5i32)])).unwrap();
    let to = PartFiles::new(&out).with_format(Format::Parquet);
    let job = AsIs::<u64, i32>(PhantomData);
    engine().write(&job, &(), &data, &to, &Options::default()).unwrap();
    let reader = SerializedFileReader::new(File::open(out.join("part-00000")).unwrap()).unwrap();
    let columns = reader.metadata().file_metadata().schema_descr().columns();
    assert_eq!(
        columns.iter().map(|column| column.physical_type()).collect::<Vec<_>>(),
        [PhysicalType::INT64, PhysicalType::INT32]
    );
    let logical = format!("{:?}", columns[0].logical_type_ref());
    assert!(logical.contains("64") && logical.contains("false"), "{logical}");
    let manifest = std::fs::read_to_string(out.join("_MANIFEST.json")).unwrap();
    assert!(manifest.contains("\"parts_format\": \"parquet\""), "{manifest}");
}
