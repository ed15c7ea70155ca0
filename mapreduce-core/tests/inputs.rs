//! Inputs: every record is read exactly once, in order, whatever the splits; and what is wrong with an input is said.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::{
    Folder, engine,
    jobs::{Columns, LineCount, WordCount},
    probe::{Probe, sums},
};
use mapreduce_core::{
    Dataset, Engine, Error, FailureKind, Input, ItemSlice, Items, Lines, ReadError, RowFiles, RowSlice,
    SplitInfo, TextFiles, Utf8Lines, input::Blocks,
};
use proptest::{collection::vec, prelude::*};
use std::{fs, path::Path};

/// The records of all splits, in order.
fn read<T, I: Input>(
    data: &Dataset<I>,
    own: impl Fn(<I::Records as mapreduce_core::Records>::Record<'_>) -> T,
) -> Vec<T> {
    let mut records = Vec::new();
    for split in data.splits() {
        let mut blocks = data.input().open(split).unwrap();
        while let Some(block) = blocks.next_block().unwrap() {
            records.extend(block.into_iter().map(&own));
        }
    }
    records
}

fn read_lines(paths: &[impl AsRef<Path>], split_bytes: u64) -> Vec<Vec<u8>> {
    let input = TextFiles::open_bytes(paths).unwrap();
    read(&Dataset::with_split_bytes(input, split_bytes).unwrap(), <[u8]>::to_vec)
}

/// The lines of a text: what lies before each line feed, and behind the last one if that is not nothing.
fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    lines.pop_if(|last| last.is_empty());
    lines
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![2 => Just(b'\n'), 1 => Just(b'\r'), 4 => any::<u8>()], 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_line_is_read_once_and_in_order(texts in vec(text(), 1..5), bytes in 1..70u64) {
        let folder = Folder::new();
        let expected: Vec<_> = texts.iter().flat_map(|text| lines(text)).collect();
        let paths = folder.files(&texts);
        prop_assert_eq!(read_lines(&paths, bytes), &expected[..]);
        prop_assert_eq!(read_lines(&paths, 1), &expected[..]);
        prop_assert_eq!(read_lines(&paths, u64::MAX), expected);
    }

    #[test]
    fn every_row_of_files_is_read_once_and_in_order(
        files in vec((vec(any::<i16>(), 0..40), 0..5usize), 1..4),
        width in 1..4usize,
        bytes in 1..70u64,
    ) {
        let folder = Folder::new();
        let (mut numbers, mut places) = (Vec::new(), Vec::new());
        for (i, (of_file, offset)) in files.iter().enumerate() {
            let of_file = &of_file[..of_file.len() / width * width];
            let mut content = b"#####"[..*offset].to_vec();
            content.extend(of_file.iter().flat_map(|n| n.to_le_bytes()));
            places.push((folder.file(&format!("rows-{i}"), content), *offset as u64));
            numbers.extend_from_slice(of_file);
        }
        let input = RowFiles::<i16>::open_all(places, width).unwrap();
        prop_assert_eq!(input.rows(), (numbers.len() / width) as u64);
        let data = Dataset::with_split_bytes(input, bytes).unwrap();
        prop_assert_eq!(data.bytes(), numbers.len() as u64 * 2);
        let rows: Vec<_> = numbers.chunks(width).map(<[i16]>::to_vec).collect();
        prop_assert_eq!(read(&data, <[i16]>::to_vec), rows);
        let mut next = 0;
        for split in data.splits() {
            prop_assert_eq!(split.first_record, Some(next));
            next += split.bytes / 2 / width as u64;
        }
    }

    #[test]
    fn every_item_is_read_once_and_in_order(items in vec(any::<String>(), 0..60), bytes in 0..200u64) {
        let data = Dataset::with_split_bytes(ItemSlice::new(&items), bytes).unwrap();
        prop_assert_eq!(read(&data, String::clone), items);
    }

    #[test]
    fn every_row_of_a_slice_is_read_once_and_in_order(
        numbers in vec(any::<u64>(), 0..60),
        width in 1..4usize,
        bytes in 0..200u64,
    ) {
        let numbers = &numbers[..numbers.len() / width * width];
        let data = Dataset::with_split_bytes(RowSlice::new(numbers, width).unwrap(), bytes).unwrap();
        prop_assert_eq!(read(&data, <[u64]>::to_vec).concat(), numbers);
    }
}

#[test]
fn lines_longer_than_a_block_are_whole() {
    let folder = Folder::new();
    let long = |byte: u8, len: usize| vec![byte; len];
    let expected = [
        long(b'a', 3),
        long(b'b', 700_001),
        vec![],
        long(b'c', 262_144),
        long(b'd', 262_143),
        long(b'e', 1),
        long(b'f', 300_000),
    ];
    let text = expected.join(&b'\n');
    for (name, text) in [("open", text.clone()), ("ended", [text, b"\n".to_vec()].concat())] {
        let path = folder.file(name, text);
        for bytes in [100_000, 262_144, 262_145, 700_000, u64::MAX] {
            assert!(read_lines(&[&path], bytes) == expected, "{name}, splits of {bytes}");
        }
    }
}

#[test]
fn many_blocks_and_many_splits_give_the_same_lines() {
    let folder = Folder::new();
    let expected: Vec<_> =
        (0..60_000).map(|i| format!("line {i} {}", "x".repeat(i % 23)).into_bytes()).collect();
    let path = folder.file("text", expected.join(&b'\n'));
    for bytes in [10_000, 262_143, 300_000, u64::MAX] {
        assert!(read_lines(&[&path], bytes) == expected, "splits of {bytes}");
    }
    let default = Dataset::new(TextFiles::open([&path]).unwrap()).unwrap();
    assert!(read(&default, |line| line.as_bytes().to_vec()) == expected);
}

#[test]
fn carriage_returns_belong_to_the_line() {
    let folder = Folder::new();
    let path = folder.file("dos", "a\r\nb\r\n\r\n");
    assert_eq!(read_lines(&[path], 2), [&b"a\r"[..], b"b\r", b"\r"]);
}

#[test]
fn many_small_files_share_splits() {
    let folder = Folder::new();
    let texts: Vec<String> =
        (0..200).map(|i| if i % 3 == 0 { String::new() } else { format!("{i}\n") }).collect();
    let paths = folder.files(&texts);
    let data = Dataset::new(TextFiles::open(&paths).unwrap()).unwrap();
    assert_eq!(data.splits().len(), 1);
    let lines: Vec<usize> = read(&data, |line| line.parse().unwrap());
    assert_eq!(lines, (0..200).filter(|i| i % 3 != 0).collect::<Vec<_>>());
    // A line does not go on in the next file.
    assert_eq!(read_lines(&folder.files(&["a", "", "b\n", "c"]), 3), [b"a", b"b", b"c"]);
}

#[test]
fn a_folder_stands_for_its_files_in_the_order_of_their_names() {
    let folder = Folder::new();
    for name in ["c", "a", "b", "_SUCCESS", ".hidden", "B"] {
        folder.file(name, name);
    }
    fs::create_dir(folder.join("deeper")).unwrap();
    fs::write(folder.join("deeper/d"), "d").unwrap();
    assert_eq!(read_lines(&[folder.path()], 1), [b"B", b"a", b"b", b"c"]);
    // A file that is named itself is read, whatever it is called.
    assert_eq!(read_lines(&[folder.join(".hidden")], 1), [b".hidden"]);
    assert_eq!(
        read_lines(&[folder.join("a"), folder.join("deeper"), folder.join("a")], 9),
        [b"a", b"d", b"a"]
    );
}

fn input_error<T>(result: Result<T, Error>) -> String {
    match result {
        Err(error @ Error::Input { .. }) => error.to_string(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("should have failed"),
    }
}

#[test]
fn inputs_that_are_not_there_are_named() {
    let folder = Folder::new();
    let missing = folder.join("missing");
    let name = missing.display().to_string();
    for error in [
        input_error(TextFiles::open([&missing])),
        input_error(TextFiles::open_bytes([folder.path(), &missing])),
        input_error(RowFiles::<f32>::open(&missing, 0, 1)),
    ] {
        assert!(error.contains(&name) || error.contains("no files"), "{error}");
    }
    folder.file("_SUCCESS", "");
    let error = input_error(TextFiles::open([folder.path()]));
    assert!(error.contains(&folder.path().display().to_string()) && error.contains("no files"), "{error}");
    assert_eq!(input_error(TextFiles::open([""; 0])), "text files: no file was given");
}

/// A lock file of an editor is often a link to nowhere.
#[cfg(unix)]
#[test]
fn hidden_entries_of_a_folder_are_not_even_looked_at() {
    let folder = Folder::new();
    folder.file("text", "line");
    std::os::unix::fs::symlink("nowhere", folder.join(".#lock")).unwrap();
    assert_eq!(read_lines(&[folder.path()], 9), [b"line"]);
    std::os::unix::fs::symlink("nowhere", folder.join("link")).unwrap();
    let error = input_error(TextFiles::open([folder.path()]));
    assert!(error.contains(&folder.join("link").display().to_string()), "{error}");
}

/// The length of a pipe is not known before it is read, and it cannot be read twice.
#[cfg(unix)]
#[test]
fn what_is_not_a_file_is_refused() {
    let error = input_error(TextFiles::open(["/dev/null"]));
    assert!(error.contains("/dev/null") && error.contains("not a file"), "{error}");
    let folder = Folder::new();
    let error = input_error(RowFiles::<u8>::open(folder.path(), 0, 1));
    assert!(error.contains("not a file"), "{error}");
}

#[test]
fn text_that_is_not_utf8_is_an_error_with_path_and_offset() {
    let folder = Folder::new();
    let path = folder.file("latin1", b"good line\nbad \xe9 line\n");
    let data = Dataset::new(TextFiles::open([&path]).unwrap()).unwrap();
    let error = engine().run(&WordCount, &(), &data).unwrap_err();
    let Error::Task(error) = error else { panic!("{error}") };
    assert_eq!((error.failure.kind, error.attempts), (FailureKind::Read, 1));
    let text = error.to_string();
    assert!(text.contains(&path.display().to_string()) && text.contains("byte 14"), "{text}");
    assert!(text.contains("not UTF-8"), "{text}");

    let data = Dataset::new(TextFiles::open_bytes([&path]).unwrap()).unwrap();
    assert_eq!(engine().run(&LineCount, &(), &data).unwrap().pairs.len(), 2);
}

#[test]
fn the_offset_of_bad_text_counts_from_the_beginning_of_the_file() {
    let folder = Folder::new();
    let mut text = b"a line of text\n".repeat(40_000);
    text[500_000] = 0xff;
    let path = folder.file("text", text);
    for bytes in [100_000, u64::MAX] {
        let data = Dataset::with_split_bytes(TextFiles::open([&path]).unwrap(), bytes).unwrap();
        let error = engine().run(&WordCount, &(), &data).unwrap_err().to_string();
        assert!(error.contains("byte 500000"), "{error}");
    }
}

fn run_lines(data: &Dataset<TextFiles<Lines>>) -> Result<u64, Box<mapreduce_core::TaskError>> {
    match engine().run(&LineCount, &(), data) {
        Ok(output) => Ok(output.pairs.iter().map(|(_, n)| n).sum()),
        Err(Error::Task(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_file_that_shrank_since_it_was_planned_is_an_error() {
    let folder = Folder::new();
    let path = folder.file("text", "0123456\n".repeat(10));
    for split_bytes in [8, 80] {
        for len in [0, 1, 40, 79] {
            fs::write(&path, "0123456\n".repeat(10)).unwrap();
            let data =
                Dataset::with_split_bytes(TextFiles::open_bytes([&path]).unwrap(), split_bytes).unwrap();
            fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len).unwrap();
            let error = run_lines(&data).unwrap_err();
            assert_eq!((error.failure.kind, error.attempts), (FailureKind::Read, 1), "{error}");
            let expected = format!("{}: ends at byte {len}, but had 80 bytes", path.display());
            assert!(error.to_string().contains(&expected), "{error}");
        }
    }
}

#[test]
fn a_file_that_vanished_since_it_was_planned_is_an_error() {
    let folder = Folder::new();
    let path = folder.file("text", "line\n");
    let data = Dataset::new(TextFiles::open_bytes([&path]).unwrap()).unwrap();
    fs::remove_file(&path).unwrap();
    let error = run_lines(&data).unwrap_err();
    // It may come back, so it is tried again.
    assert_eq!((error.failure.kind, error.attempts), (FailureKind::Read, 4), "{error}");
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

#[test]
fn row_files_must_hold_whole_rows() {
    let folder = Folder::new();
    let path = folder.file("rows", [0; 22]);
    assert!(RowFiles::<u32>::open(&path, 2, 5).is_ok());
    assert!(RowFiles::<u32>::open(&path, 22, 5).is_ok(), "no row at all is a whole number of rows");
    for (offset, width) in [(0, 1), (2, 2), (2, 0), (23, 1), (2, usize::MAX), (2, usize::MAX / 4 + 1)] {
        let error = input_error(RowFiles::<u32>::open(&path, offset, width));
        assert!(error.contains("whole number of rows of"), "{error}");
    }
}

#[test]
fn row_slices_must_hold_whole_rows() {
    let numbers = [0u32; 6];
    assert!(RowSlice::new(&numbers, 3).is_ok());
    for width in [0, 4, 7, usize::MAX] {
        let error = input_error(RowSlice::new(&numbers, width));
        assert!(error.contains("6 numbers") && error.contains("row width"), "{error}");
    }
    assert!(RowSlice::new([0u32; 0], 3).is_ok());
    for width in [usize::MAX, usize::MAX / 4 + 1] {
        input_error(RowSlice::new([0u32; 0], width));
    }
}

#[test]
fn a_row_file_that_shrank_or_vanished_since_it_was_planned_is_an_error() {
    let folder = Folder::new();
    let path = folder.file("rows", [0; 40]);
    let plan = || Dataset::with_split_bytes(RowFiles::<u32>::open(&path, 0, 2).unwrap(), 16).unwrap();
    let fail = |data: &Dataset<_>| match engine().run(&Columns, &(), data) {
        Err(Error::Task(error)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let data = plan();
    fs::write(&path, [0; 39]).unwrap();
    assert!(fail(&data).contains("ends at byte 39, but had 40 bytes"), "{}", fail(&data));
    fs::remove_file(&path).unwrap();
    assert!(fail(&data).contains(&path.display().to_string()), "{}", fail(&data));
    fs::write(&path, [0; 48]).unwrap();
    assert!(fail(&data).contains("it had 40 bytes and now has 48"), "{}", fail(&data));
}

#[test]
fn rows_span_many_blocks() {
    let numbers: Vec<u32> = (0..300_000).collect();
    let folder = Folder::new();
    let path = folder.file("rows", numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>());
    for bytes in [500_000, u64::MAX] {
        let file = Dataset::with_split_bytes(RowFiles::open(&path, 0, 3).unwrap(), bytes).unwrap();
        assert!(read::<Vec<u32>, _>(&file, <[u32]>::to_vec).concat() == numbers);
        let slice = Dataset::with_split_bytes(RowSlice::new(&numbers, 3).unwrap(), bytes).unwrap();
        assert!(read(&slice, <[u32]>::to_vec).concat() == numbers);
    }
    // A row longer than a block is one all the same.
    let wide = Dataset::new(RowFiles::<u32>::open(&path, 0, 150_000).unwrap()).unwrap();
    assert_eq!(read(&wide, <[u32]>::len), [150_000, 150_000]);
}

#[test]
fn plans_depend_on_the_input_alone() {
    let numbers = vec![0u8; 1 << 20];
    let plan = |values: &[u8]| Dataset::new(RowSlice::new(values, 1).unwrap()).unwrap().splits().to_vec();
    assert_eq!(plan(&numbers), plan(&numbers));
    assert_eq!(plan(&numbers).len(), 4);
    assert_eq!(plan(&numbers[..100]).len(), 1);
    let items = Dataset::new(ItemSlice::new(&[0u8; 1_000])).unwrap();
    assert_eq!(items.splits().len(), 125);
}

#[test]
fn inputs_can_be_cloned_and_shown() {
    fn check<T: Clone + std::fmt::Debug>() {}
    check::<TextFiles<Lines>>();
    check::<TextFiles<Utf8Lines>>();
    check::<RowFiles<f32>>();
    check::<RowSlice<f32, Vec<f32>>>();
    check::<ItemSlice<u8, Vec<u8>>>();
}

/// Lines that are numbers.
struct Numbers;

impl mapreduce_core::Records for Numbers {
    type Record<'a> = u64;
    type Block<'a> = std::vec::IntoIter<u64>;
    type Shape = ();
    type Buffer = ();

    fn block<'a>(_: &(), bytes: &'a [u8], _: &'a mut ()) -> Result<Self::Block<'a>, ReadError> {
        let lines = str::from_utf8(bytes).unwrap().lines();
        let numbers: Result<Vec<u64>, _> = lines.map(str::parse).collect();
        let malformed = |error| ReadError::Malformed { place: "number".into(), message: format!("{error}") };
        Ok(numbers.map_err(malformed)?.into_iter())
    }
}

#[test]
fn text_can_be_read_as_records_of_ones_own() {
    let folder = Folder::new();
    let path = folder.file("numbers", "3\n1\n4\n1\n5\n");
    for split_bytes in [1, 3, 100] {
        let input = TextFiles::<Numbers>::open_as([&path]).unwrap();
        let data = Dataset::with_split_bytes(input, split_bytes).unwrap();
        assert_eq!(read(&data, |n| n), [3, 1, 4, 1, 5]);
    }
}

/// Numbers of which nobody knows how many bytes they are.
struct Boundless(ItemSlice<u64, Vec<u64>>);

impl Input for Boundless {
    type Records = Items<u64>;

    fn shape(&self) {}

    fn splits(&self, split_bytes: Option<u64>) -> Result<Vec<SplitInfo>, Error> {
        let splits = self.0.splits(split_bytes)?;
        Ok(splits.into_iter().map(|split| SplitInfo { bytes: u64::MAX, ..split }).collect())
    }

    fn open<'a>(&'a self, split: &'a SplitInfo) -> Result<Box<dyn Blocks<Items<u64>> + 'a>, ReadError> {
        self.0.open(split)
    }

    fn describe(&self, split: &SplitInfo) -> String {
        self.0.describe(split)
    }
}

#[test]
fn an_input_may_claim_any_size() {
    let data = Dataset::new(Boundless(ItemSlice::new((0..100).collect()))).unwrap();
    assert_eq!((data.splits().len(), data.bytes()), (100, u64::MAX));
    let mut pairs = engine().run(&Probe::default(), &(), &data).unwrap().pairs;
    pairs.sort();
    assert_eq!(pairs, sums(100));
}
