//! Filters over records that are no lines of text: CSV records and records of a fixed length give what a run over files of
//! them gives; what cannot come as a stream is refused.

use crate::{reduce, sorted};
use mapreduce_core::{
    Csv, CsvFiles, CsvOptions, Error, Fixed, FixedFiles, InputOf,
    filter::{self, FilterError, FilterOptions, FromStream, StreamForm},
    prelude::*,
};
use proptest::{collection::vec, prelude::*, sample::select};
use std::{fs, io::Read, num::NonZeroUsize};

#[derive(Debug, Serialize, Deserialize)]
struct Sale {
    city: String,
    pieces: i32,
    note: Option<String>,
}

/// Pieces and notes of each city, in their order.
#[derive(Clone, Serialize, Deserialize)]
struct ByCity;

impl Mapper for ByCity {
    type Input = Csv<Sale>;
    type Key = str;
    type Value = (i32, Option<String>);
    fn map(&self, sale: &Sale, out: &mut impl Emit<str, Self::Value>) -> Result {
        out.count("sales", 1);
        out.emit(&sale.city, &(sale.pieces, sale.note.clone()))
    }
}

#[derive(Default)]
struct Listed;

impl Reducer<str, (i32, Option<String>)> for Listed {
    type Key = str;
    type Value = Vec<(i32, Option<String>)>;
    fn reduce(
        &self,
        city: &str,
        sales: &mut Values<'_, (i32, Option<String>)>,
        out: &mut impl Emit<str, Self::Value>,
    ) -> Result {
        let mut all = Vec::new();
        while let Some(sale) = sales.next()? {
            all.push(sale.into_owned());
        }
        out.emit(city, &all)
    }
}

impl SimpleJob for ByCity {
    const NAME: &'static str = "by-city";
    type Combiner = NoCombiner;
    type Reducer = Listed;
}

/// The same of tuples.
#[derive(Clone, Serialize, Deserialize)]
struct ByFirst;

impl Mapper for ByFirst {
    type Input = Csv<(String, i32, Option<String>)>;
    type Key = str;
    type Value = (i32, Option<String>);
    fn map(
        &self,
        (city, pieces, note): &(String, i32, Option<String>),
        out: &mut impl Emit<str, Self::Value>,
    ) -> Result {
        out.emit(city, &(*pieces, note.clone()))
    }
}

impl SimpleJob for ByFirst {
    const NAME: &'static str = "by-first";
    type Combiner = NoCombiner;
    type Reducer = Listed;
}

/// Records of a fixed length by their first byte.
#[derive(Clone, Serialize, Deserialize)]
struct ByByte;

impl Mapper for ByByte {
    type Input = Fixed;
    type Key = u8;
    type Value = Vec<u8>;
    fn map(&self, record: &[u8], out: &mut impl Emit<u8, Vec<u8>>) -> Result {
        out.emit(&record[0], &record.to_vec())
    }
}

#[derive(Default)]
struct Joined;

impl Reducer<u8, Vec<u8>> for Joined {
    type Key = u8;
    type Value = Vec<u32>;
    fn reduce(
        &self,
        key: &u8,
        records: &mut Values<'_, Vec<u8>>,
        out: &mut impl Emit<u8, Vec<u32>>,
    ) -> Result {
        let mut all = Vec::new();
        while let Some(record) = records.next()? {
            all.extend(record.iter().copied().map(u32::from));
        }
        out.emit(key, &all)
    }
}

impl SimpleJob for ByByte {
    const NAME: &'static str = "by-byte";
    type Combiner = NoCombiner;
    type Reducer = Joined;
}

/// What a run over files of these contents writes in one part.
fn run<J, I>(
    job: &J,
    contents: &[Vec<u8>],
    open: impl Fn(&[std::path::PathBuf]) -> Result<I, Error>,
) -> Vec<u8>
where
    J: Job<Shared = ()>,
    I: mapreduce_core::Input<Records = InputOf<J>>,
{
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..contents.len()).map(|i| folder.path().join(i.to_string())).collect();
    paths.iter().zip(contents).for_each(|(path, content)| fs::write(path, content).unwrap());
    let data = Dataset::with_split_bytes(open(&paths).unwrap(), 40).unwrap();
    let options = Options { partitions: Some(1), ..Options::default() };
    let to = folder.path().join("output");
    Local::new(2).unwrap().write(job, &(), &data, &PartFiles::new(&to), &options).unwrap();
    fs::read(to.join("part-00000")).unwrap()
}

/// Gives what it has a few bytes at a time, as a pipe does.
struct Dripping<'a>(&'a [u8]);

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let (now, later) = self.0.split_at(self.0.len().min(buffer.len()).min(7));
        buffer[..now.len()].copy_from_slice(now);
        self.0 = later;
        Ok(now.len())
    }
}

/// The streams mapped one by one, sorted, and reduced.
fn filters<J>(job: &J, streams: &[Vec<u8>], options: &FilterOptions) -> Vec<u8>
where
    J: Job<Shared = ()>,
    InputOf<J>: FromStream,
{
    let mut lines = Vec::new();
    for (stream, split) in streams.iter().zip(0..) {
        let options = FilterOptions { split, ..options.clone() };
        filter::map(job, &(), Dripping(stream), &mut lines, &options).unwrap();
    }
    reduce(job, &sorted(&lines), options).unwrap()
}

fn error<J>(job: &J, stream: &[u8], options: &FilterOptions) -> FilterError
where
    J: Job<Shared = ()>,
    InputOf<J>: FromStream,
{
    filter::map(job, &(), stream, Vec::new(), options).unwrap_err()
}

fn with(csv: &CsvOptions, piece_bytes: u64) -> FilterOptions {
    let form = StreamForm { csv: csv.clone(), ..StreamForm::default() };
    FilterOptions { form, piece_bytes, ..FilterOptions::default() }
}

/// Records as text: a city, pieces, and a note that is a field as it is written.
fn sales(multiline: bool) -> impl Strategy<Value = Vec<(&'static str, i32, &'static str)>> {
    let cities = ["Oslo", "\"Nes, N\"", "\"a \"\"b\"\"\"", "é"];
    let notes = ["", "x", "\"1;2,3\"", "\"a\nb\""];
    let notes = &notes[..if multiline { 4 } else { 3 }];
    vec((select(cities.to_vec()), any::<i32>(), select(notes.to_vec())), 0..30)
}

fn written(sales: &[(&str, i32, &str)], csv: &CsvOptions, header: bool, end: &str) -> Vec<u8> {
    let delimiter = char::from(csv.delimiter);
    let mut text = String::new();
    if header {
        text += &format!("city{delimiter}pieces{delimiter}note{end}");
    }
    for (city, pieces, note) in sales {
        text += &format!("{city}{delimiter}{pieces}{delimiter}{note}{end}");
    }
    text.into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn csv_records_give_what_a_run_over_files_gives(
        (multiline, sales) in any::<bool>().prop_flat_map(|multiline| (Just(multiline), vec(sales(multiline), 1..4))),
        delimiter in select(vec![b',', b';', b'\t']),
        end in select(vec!["\n", "\r\n"]),
        piece_bytes in prop_oneof![1..200u64, Just(64 << 20)],
        mark in any::<bool>(),
        cut in any::<bool>(),
    ) {
        let csv = CsvOptions { delimiter, multiline, ..CsvOptions::default() };
        let mut files: Vec<Vec<u8>> = sales.iter().map(|sales| written(sales, &csv, true, end)).collect();
        if mark {
            files[0].splice(0..0, *b"\xef\xbb\xbf");
        }
        if cut {
            let last = files.last_mut().unwrap();
            last.truncate(last.len() - end.len());
        }
        let expected = run(&ByCity, &files, |paths| CsvFiles::open_with(paths, &csv));
        let options = with(&csv, piece_bytes);
        prop_assert_eq!(filters(&ByCity, &files, &options), &expected[..]);

        // Without a header in the streams: it is given apart, or there is none.
        let bare: Vec<Vec<u8>> = sales.iter().map(|sales| written(sales, &csv, false, end)).collect();
        let header = ["city", "pieces", "note"].join(&char::from(delimiter).to_string());
        let given = FilterOptions { header: Some(header), ..options };
        prop_assert_eq!(filters(&ByCity, &bare, &given), &expected[..]);
        let headless = with(&CsvOptions { header: false, ..csv.clone() }, piece_bytes);
        prop_assert_eq!(filters(&ByFirst, &bare, &headless), expected);
    }

    #[test]
    fn records_of_a_fixed_length_give_what_a_run_over_files_gives(
        record_bytes in 1..9usize,
        files in vec(vec(any::<u8>(), 0..60), 1..4),
        piece_bytes in prop_oneof![1..30u64, Just(64 << 20)],
    ) {
        let whole = |file: Vec<u8>| file[..file.len() / record_bytes * record_bytes].to_vec();
        let files: Vec<Vec<u8>> = files.into_iter().map(whole).collect();
        let expected = run(&ByByte, &files, |paths| FixedFiles::open(paths, 0, record_bytes));
        let form = StreamForm { record_bytes: NonZeroUsize::new(record_bytes), ..StreamForm::default() };
        let options = FilterOptions { form, piece_bytes, ..FilterOptions::default() };
        prop_assert_eq!(filters(&ByByte, &files, &options), expected);
    }
}

#[test]
fn long_streams_are_read_in_many_blocks() {
    let sales: Vec<_> = (0..60_000).map(|n| (["Oslo", "é"][n as usize % 2], n, "\"a\nb\"")).collect();
    for multiline in [true, false] {
        let sales: Vec<_> =
            sales.iter().map(|(city, n, note)| (*city, *n, if multiline { *note } else { "x" })).collect();
        let csv = CsvOptions { multiline, ..CsvOptions::default() };
        let files = [written(&sales, &csv, true, "\n")];
        assert!(files[0].len() > 600_000);
        let expected = run(&ByCity, &files, |paths| CsvFiles::open_with(paths, &csv));
        assert!(filters(&ByCity, &files, &with(&csv, 100_000)) == expected);
    }
    let records: Vec<u8> = (0..700_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let form = StreamForm { record_bytes: NonZeroUsize::new(7), ..StreamForm::default() };
    let options = FilterOptions { form, ..FilterOptions::default() };
    let expected = run(&ByByte, std::slice::from_ref(&records), |paths| FixedFiles::open(paths, 0, 7));
    assert!(filters(&ByByte, &[records], &options) == expected);
}

#[test]
fn a_stream_without_records_needs_no_header() {
    let options = FilterOptions::default();
    for stream in ["", "\n\n", "city,pieces,note\n", "city,pieces,note"] {
        assert_eq!(filters(&ByCity, &[stream.into()], &options), b"", "{stream:?}");
    }
    let given = FilterOptions { header: Some("city,pieces,note".into()), ..options };
    assert_eq!(filters(&ByCity, &[Vec::new()], &given), b"");
}

#[test]
fn a_record_that_is_wrong_is_named() {
    let options = FilterOptions::default();
    let message = |stream: &str| error(&ByCity, stream.as_bytes(), &options).to_string();
    let said = message("city,pieces,note\nOslo,many,\n");
    assert!(said.contains("input, byte 17: field `pieces` is \"many\": invalid digit"), "{said}");
    let said = message("city,pieces,note\nOslo,1,\nOslo,1\n");
    assert!(said.contains("input, byte 25: the record has 2 fields, but the header has 3"), "{said}");
    let said = message("city,pieces,note\nOslo,1,\"x\ny\"\n");
    assert!(said.contains("input, byte 17: the line ends inside double quotes"), "{said}");
    let multiline = with(&CsvOptions { multiline: true, ..CsvOptions::default() }, 10);
    let said = error(&ByCity, b"city,pieces,note\nOslo,1,\"x\ny\n", &multiline).to_string();
    assert!(said.contains("input, byte 17: the record has a double quote that is not closed"), "{said}");
    let form = StreamForm { record_bytes: NonZeroUsize::new(4), ..StreamForm::default() };
    let fixed = FilterOptions { form, ..FilterOptions::default() };
    let said = error(&ByByte, b"aaaabbbbcc", &fixed).to_string();
    assert!(said.contains("the input ends with 2 bytes of a record of 4"), "{said}");
}

#[test]
fn a_header_that_cannot_be_is_refused() {
    let given = |header: &str| FilterOptions { header: Some(header.into()), ..FilterOptions::default() };
    let said = error(&ByCity, b"a,1,\n", &given("")).to_string();
    assert!(said.contains("the header that was given: has no names"), "{said}");
    let said = error(&ByCity, b"a,1,\n", &given("city,pieces")).to_string();
    assert!(said.contains("the header has 2 (city, pieces)"), "{said}");
    let said = error(&ByCity, b"\xff\n", &FilterOptions::default()).to_string();
    assert!(said.contains("input: the header is not UTF-8"), "{said}");
    let long = [b"\"", vec![b'x'; 3 << 20].as_slice()].concat();
    let said = error(&ByCity, &long, &FilterOptions::default()).to_string();
    assert!(said.contains("longer than 1048576 bytes"), "{said}");
    let csv = CsvOptions { delimiter: b'"', ..CsvOptions::default() };
    let said = error(&ByCity, b"", &with(&csv, 1)).to_string();
    assert!(said.contains("cannot separate fields"), "{said}");

    let headless = with(&CsvOptions { header: false, ..CsvOptions::default() }, 1);
    for error in [
        error(&ByFirst, b"a,1,\n", &FilterOptions { header: Some("a,b,c".into()), ..headless }),
        error(&super::jobs::Count, b"a\n", &given("a")),
    ] {
        assert!(matches!(error, FilterError::NoHeader { .. }), "{error}");
    }
    let no_length = error(&ByByte, b"aaaa", &FilterOptions::default());
    assert!(matches!(&no_length, FilterError::NoRecordBytes { job } if job == "by-byte"), "{no_length}");
}

/// Over rows of Parquet files, or items in memory.
#[derive(Clone, Serialize, Deserialize)]
struct OverItems;

impl Mapper for OverItems {
    type Input = Items<Sale>;
    type Key = str;
    type Value = i32;
    fn map(&self, sale: &Sale, out: &mut impl Emit<str, i32>) -> Result {
        out.emit(&sale.city, &sale.pieces)
    }
}

impl SimpleJob for OverItems {
    const NAME: &'static str = "over-items";
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

#[test]
fn items_cannot_come_as_a_stream_and_the_way_out_is_named() {
    let error = error(&OverItems, b"PAR1", &FilterOptions::default());
    assert!(matches!(&error, FilterError::NoStream { job } if job == "over-items"), "{error}");
    assert!(error.to_string().contains("Parquet") && error.to_string().contains("`run`"), "{error}");
}

/// Joins names, which are CSV records, with lines.
#[derive(Clone, Serialize, Deserialize)]
struct Mixed;

impl Mapper for Mixed {
    type Input = Either<Csv<Sale>, Lines>;
    type Key = [u8];
    type Value = Either<i32, ()>;
    fn map(&self, record: Either<&Sale, &[u8]>, out: &mut impl Emit<[u8], Self::Value>) -> Result {
        match record {
            Either::Left(sale) => out.emit(sale.city.as_bytes(), &Either::Left(sale.pieces)),
            Either::Right(line) => out.emit(line, &Either::Right(())),
        }
    }
}

impl SimpleJob for Mixed {
    const NAME: &'static str = "mixed";
    type Combiner = NoCombiner;
    type Reducer = InnerJoin;
}

#[test]
fn a_job_over_two_inputs_reads_each_in_its_own_form() {
    let (sales, lines) = ("city,pieces,note\nOslo,3,\nNes,4,\n", "Oslo\nBergen\n");
    let mut pairs = Vec::new();
    for (input, stream) in [(0, sales), (1, lines)] {
        let options = FilterOptions { input, split: input, ..FilterOptions::default() };
        filter::map(&Mixed, &(), stream.as_bytes(), &mut pairs, &options).unwrap();
    }
    assert_eq!(reduce(&Mixed, &sorted(&pairs), &FilterOptions::default()).unwrap(), b"Oslo\t[3,null]\n");
}
