//! Part files as CSV and JSON lines: other programs' readers find in them what the job returns.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::{
    Folder, engine,
    jobs::{AsIs, Owned},
};
use mapreduce_core::{
    Error, FailureKind, InputOf, Report,
    engine::{RoundOutput, Rounds},
    exec::Run,
    impl_key,
    prelude::*,
    schedule::Event,
};
use proptest::{collection::vec, prelude::*};
use std::{collections::BTreeMap, fs, marker::PhantomData, path::Path};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Colour {
    Red,
    DarkGreen,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Place {
    country: String,
    zone: i8,
}
impl_key!(Place { country, zone });

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    name: String,
    count: u64,
    large: u128,
    score: Option<f64>,
    small: f32,
    is_new: bool,
    letter: char,
    colour: Colour,
    nickname: Option<String>,
}

/// All columns of a row, as a reader of the file declares them.
#[derive(Debug, PartialEq, Deserialize)]
struct Row {
    country: String,
    zone: i8,
    name: String,
    count: u64,
    large: u128,
    score: Option<f64>,
    small: f32,
    is_new: bool,
    letter: char,
    colour: Colour,
    nickname: Option<String>,
}

impl Row {
    fn of((place, seen): &(Place, Seen)) -> Self {
        let (Place { country, zone }, seen) = (place.clone(), seen.clone());
        let Seen { name, count, large, score, small, is_new, letter, colour, nickname } = seen;
        // To the reader an empty cell is nothing, quoted or not.
        let nickname = nickname.filter(|name| !name.is_empty());
        Self { country, zone, name, count, large, score, small, is_new, letter, colour, nickname }
    }
}

#[derive(Deserialize)]
struct Line<K, V> {
    key: K,
    value: V,
}

fn options() -> Options {
    Options { partitions: Some(3), ..Options::default() }
}

/// Writes the items as they are, and gives the contents of the parts.
fn write<K, V>(items: &[(K, V)], format: Format, engine: &impl Engine) -> Result<Vec<Vec<u8>>, Error>
where
    K: Owned + Key,
    V: Owned,
{
    let folder = Folder::new();
    let out = folder.join("out");
    let data = Dataset::with_split_bytes(ItemSlice::new(items), 300)?;
    let to = PartFiles::new(&out).with_format(format);
    let written = engine.write(&AsIs::<K, V>(PhantomData), &(), &data, &to, &options())?;
    assert_eq!(written.parts.iter().map(|part| part.records).sum::<u64>(), items.len() as u64);
    Ok(written.parts.iter().map(|part| read(&out, &part.name)).collect())
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    fs::read(folder.join(name)).unwrap()
}

fn text() -> impl Strategy<Value = String> {
    let special = prop_oneof![Just('"'), Just(','), Just('\n'), Just('\r'), Just('\t'), Just(' ')];
    vec(prop_oneof![special, any::<char>()], 0..6).prop_map(String::from_iter)
}

fn place() -> impl Strategy<Value = Place> {
    (text(), any::<i8>()).prop_map(|(country, zone)| Place { country, zone })
}

fn seen() -> impl Strategy<Value = Seen> {
    let numbers = (any::<u64>(), any::<u128>(), proptest::option::of(finite()), -1e30f32..1e30);
    let others = (any::<bool>(), any::<char>(), any::<bool>(), proptest::option::of(text()));
    (text(), numbers, others).prop_map(
        |(name, (count, large, score, small), (is_new, letter, red, nickname))| {
            let colour = if red { Colour::Red } else { Colour::DarkGreen };
            Seen { name, count, large, score, small, is_new, letter, colour, nickname }
        },
    )
}

fn finite() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("JSON has finite numbers only", |float| float.is_finite())
}

/// What the job returns, in the order of the parts.
fn returned(items: &[(Place, Seen)]) -> Vec<(Place, Seen)> {
    let data = Dataset::with_split_bytes(ItemSlice::new(items), 300).unwrap();
    engine().run_with(&AsIs::<Place, Seen>(PhantomData), &(), &data, &options()).unwrap().pairs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_csv_crate_reads_the_output_back(items in vec((place(), seen()), 0..12)) {
        let mut rows: Vec<Row> = Vec::new();
        for part in write(&items, Format::Csv, engine()).unwrap() {
            let mut reader = csv::Reader::from_reader(&part[..]);
            let header = reader.headers().unwrap().iter().collect::<Vec<_>>().join(" ");
            prop_assert_eq!(header, "country zone name count large score small is_new letter colour nickname");
            for row in reader.deserialize() {
                rows.push(row.unwrap());
            }
        }
        let expected: Vec<Row> = returned(&items).iter().map(Row::of).collect();
        prop_assert_eq!(rows, expected);
    }

    #[test]
    fn serde_json_reads_the_output_back(items in vec((place(), seen()), 0..12)) {
        let mut pairs = Vec::new();
        for part in write(&items, Format::JsonLines, engine()).unwrap() {
            for line in std::str::from_utf8(&part).unwrap().lines() {
                let Line { key, value } = serde_json::from_str(line).unwrap();
                pairs.push((key, value));
            }
        }
        prop_assert_eq!(pairs, returned(&items));
    }

    #[test]
    fn byte_strings_stand_in_csv_as_they_are(items in vec((vec(any::<u8>(), 0..6), Just(())), 0..12)) {
        let mut keys = Vec::new();
        for part in write(&items, Format::Csv, engine()).unwrap() {
            for row in csv::Reader::from_reader(&part[..]).byte_records() {
                let row = row.unwrap();
                prop_assert_eq!(row.len(), 1);
                keys.push(row[0].to_vec());
            }
        }
        keys.sort();
        let mut expected: Vec<_> = items.into_iter().map(|(key, ())| key).collect();
        expected.sort();
        prop_assert_eq!(keys, expected);
    }
}

/// One partition's output, as text.
fn one<K: Owned + Key, V: Owned>(items: &[(K, V)], format: Format) -> String {
    let mut parts = write(items, format, engine()).unwrap();
    parts.sort_by_key(Vec::len);
    String::from_utf8(parts.pop().unwrap()).unwrap()
}

#[test]
fn parts_of_tuples_are_columns() {
    let items = [((1, "a,b".to_string()), (0.5, f64::INFINITY))];
    let csv = one(&items, Format::Csv);
    assert_eq!(csv, "key_0,key_1,value_0,value_1\n1,\"a,b\",0.5,inf\n");
    let json = one(&items, Format::JsonLines);
    assert_eq!(json, "{\"key\":[1,\"a,b\"],\"value\":[0.5,null]}\n");
}

#[test]
fn floats_that_json_has_no_word_for_are_words_in_csv() {
    let csv = |float| one(&[(1, float)], Format::Csv);
    assert_eq!(csv(f64::NAN), "key,value\n1,NaN\n");
    assert_eq!(csv(f64::NEG_INFINITY), "key,value\n1,-inf\n");
    assert_eq!(csv(1e300), "key,value\n1,1e+300\n");
}

#[test]
fn what_is_nested_in_a_column_is_json() {
    let csv = |value: Option<BTreeMap<String, Vec<f64>>>| one(&[(7, value)], Format::Csv);
    let nested = BTreeMap::from([("a".to_string(), vec![1.0, 2.5])]);
    assert_eq!(csv(Some(nested)), "key,value\n7,\"{\"\"a\"\":[1.0,2.5]}\"\n");
    assert_eq!(csv(None), "key,value\n7,\n");
}

#[test]
fn empty_text_differs_from_none() {
    let csv = |value: Option<&str>| one(&[("k".to_string(), value.map(String::from))], Format::Csv);
    assert_eq!(csv(None), "key,value\nk,\n");
    assert_eq!(csv(Some("")), "key,value\nk,\"\"\n");
}

/// Readers pass over empty lines.
#[test]
fn none_in_the_only_column_is_a_line_all_the_same() {
    let csv = |value: Option<u8>| one(&[((), value)], Format::Csv);
    assert_eq!(csv(None), "value\n\"\"\n");
    assert_eq!(csv(Some(7)), "value\n7\n");
}

#[test]
fn text_leaves_out_what_is_nothing_and_the_tab() {
    assert_eq!(one(&[("key".to_string(), 7)], Format::Text), "key\t7\n");
    assert_eq!(one(&[("key".to_string(), ())], Format::Text), "key\n");
    assert_eq!(one(&[((), 7)], Format::Text), "7\n");
    assert_eq!(one(&[((), ())], Format::Text), "\n");
}

#[test]
fn nothing_is_left_out_of_json_lines() {
    assert_eq!(one(&[(b"line".to_vec(), ())], Format::JsonLines), "{\"key\":\"line\"}\n");
    assert_eq!(one(&[((), ())], Format::JsonLines), "{}\n");
}

#[test]
fn parts_without_pairs_have_the_header_all_the_same() {
    let parts = write::<u8, f64>(&[], Format::Csv, engine()).unwrap();
    assert_eq!(parts, vec![b"key,value\n".to_vec(); 3]);
    let parts = write::<u8, f64>(&[], Format::JsonLines, engine()).unwrap();
    assert_eq!(parts, vec![b"".to_vec(); 3]);
}

#[test]
fn bytes_that_are_not_utf8_are_no_json() {
    let Err(Error::Task(error)) = write(&[(b"ok\xff".to_vec(), ())], Format::JsonLines, engine()) else {
        panic!("written")
    };
    assert_eq!(error.failure.kind, FailureKind::Codec);
    assert!(error.failure.message.contains("not UTF-8 from byte 2 on"), "{error}");
    assert!(error.failure.message.contains("write text files"), "{error}");
}

#[test]
fn csv_without_a_column_is_refused_before_the_job_runs() {
    let error = write(&[((), ())], Format::Csv, engine()).unwrap_err();
    assert!(matches!(&error, Error::Format { job, format: Format::Csv, .. } if job == "as-is"), "{error}");
    assert!(error.to_string().ends_with("has a column; write text"), "{error}");
}

#[test]
fn the_manifest_names_the_format() {
    let folder = Folder::new();
    for (name, format) in [("text", Format::Text), ("csv", Format::Csv), ("json-lines", Format::JsonLines)] {
        let out = folder.join(name);
        let data = Dataset::new(ItemSlice::new([(1u8, 0.5f64)])).unwrap();
        let job = AsIs::<u8, f64>(PhantomData);
        engine().write(&job, &(), &data, &PartFiles::new(&out).with_format(format), &options()).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&read(&out, "_MANIFEST.json")).unwrap();
        assert_eq!(manifest["parts_format"], name);
        assert_eq!(serde_json::from_value::<Format>(name.into()).unwrap(), format);
    }
}

/// An engine whose reduce attempts do not write: the driver does.
struct Returning<'a>(&'a Local);

struct ReturningRounds<R>(R);

impl Engine for Returning<'_> {
    type Rounds<'e>
        = ReturningRounds<<Local as Engine>::Rounds<'e>>
    where
        Self: 'e;

    fn begin<'e>(
        &'e self,
        job: &'static str,
        options: &'e Options,
        events: &'e mut dyn FnMut(Event),
    ) -> Result<Self::Rounds<'e>, Error> {
        Ok(ReturningRounds(self.0.begin(job, options, events)?))
    }

    fn is_own_thread(&self) -> bool {
        self.0.is_own_thread()
    }
}

impl<R: Rounds> Rounds for ReturningRounds<R> {
    fn round<J, I>(
        &mut self,
        job: &J,
        shared: &J::Shared,
        data: &Dataset<I>,
    ) -> Result<RoundOutput<Run>, Error>
    where
        J: Job,
        I: mapreduce_core::Input<Records = InputOf<J>>,
    {
        self.0.round(job, shared, data)
    }

    fn into_report(self) -> Report {
        self.0.into_report()
    }
}

#[test]
fn a_driver_that_writes_what_was_returned_writes_the_same() {
    let items: Vec<((u8, String), (f64, f64))> =
        (0..100).map(|n| ((n, format!("\"{n}\"")), (f64::from(n) / 3.0, -1.0))).collect();
    for format in [Format::Text, Format::Csv, Format::JsonLines] {
        let expected = write(&items, format, engine()).unwrap();
        assert_eq!(write(&items, format, &Returning(engine())).unwrap(), expected, "{format}");
    }
}
