//! Records of a fixed length.

use super::{common::Folder, read, refusal};
use mapreduce_core::{Dataset, Fixed, FixedFiles, Input, ReadError, Records};
use proptest::{collection::vec, prelude::*};
use std::fs;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_record_is_read_once_and_in_order(
        counts in vec(0..40usize, 1..5),
        record_bytes in 1..9usize,
        offset in 0..5usize,
        bytes in 1..200u64,
    ) {
        let folder = Folder::new();
        let content = |count: usize| {
            let body = (0..count * record_bytes).map(|i| (i * 31 % 251) as u8);
            b"#####"[..offset].iter().copied().chain(body).collect::<Vec<u8>>()
        };
        let contents: Vec<_> = counts.iter().map(|count| content(*count)).collect();
        let expected: Vec<_> = contents.iter().flat_map(|file| file[offset..].chunks(record_bytes)).collect();
        let input = FixedFiles::open(folder.files(&contents), offset as u64, record_bytes).unwrap();
        prop_assert_eq!(input.records(), expected.len() as u64);
        let count = expected.len();
        prop_assert_eq!(read(&input, &[1, bytes, u64::MAX], <[u8]>::to_vec), expected);
        let data = Dataset::with_split_bytes(input, bytes).unwrap();
        prop_assert_eq!(data.bytes(), (count * record_bytes) as u64);
        for split in data.splits() {
            prop_assert!(split.bytes <= bytes.max(record_bytes as u64), "{:?}", split);
        }
    }
}

#[test]
fn records_span_many_blocks() {
    let folder = Folder::new();
    let content: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    let path = folder.file("records", &content);
    for record_bytes in [100, 300_000, 1_500_000] {
        let input = FixedFiles::open([&path], 0, record_bytes).unwrap();
        let records = read(&input, &[400_000, u64::MAX], <[u8]>::to_vec);
        assert!(records.len() == content.len() / record_bytes && records.concat() == content);
    }
}

#[test]
fn files_that_do_not_hold_whole_records_are_named() {
    let folder = Folder::new();
    let good = folder.file("a", [0; 22]);
    let bad = folder.file("b", [0; 23]);
    assert!(FixedFiles::open([&good], 2, 5).is_ok() && FixedFiles::open([&good], 22, 5).is_ok());
    for (offset, record_bytes) in [(0, 5), (2, 0), (24, 1), (2, usize::MAX)] {
        let error = refusal(FixedFiles::open([&good, &bad], offset, record_bytes));
        assert!(error.contains("no whole number of records of"), "{error}");
    }
    let error = refusal(FixedFiles::open([&good, &bad], 2, 5));
    assert!(error.starts_with(&format!("{}: 23 bytes are no whole", bad.display())), "{error}");
    let zipped = folder.file("c.gz", [0; 22]);
    assert!(refusal(FixedFiles::open([zipped], 2, 5)).contains("is compressed (gzip)"));
    let empty = folder.join("empty");
    fs::create_dir(&empty).unwrap();
    assert!(refusal(FixedFiles::open([&empty], 0, 1)).contains("the folder has no files"));
}

#[test]
fn a_split_is_named_by_its_records_and_blocks_count_theirs() {
    let folder = Folder::new();
    let input = FixedFiles::open([folder.file("records", b"HEADaabbcc")], 4, 2).unwrap();
    let data = Dataset::with_split_bytes(input, 4).unwrap();
    let split = &data.splits()[1];
    assert!(data.input().describe(split).ends_with("records, records 2 to 3"));
    let mut blocks = data.input().open(&data.splits()[0]).unwrap();
    let block = blocks.next_block().unwrap().unwrap();
    assert_eq!((block.len(), block.is_empty(), block.bytes), (2, false, &b"aabb"[..]));

    for (record_bytes, bytes) in [(0, &b""[..]), (3, b"abcd"), (u64::MAX, b"a")] {
        let error = Fixed::block(&record_bytes, bytes, &mut ()).unwrap_err();
        assert!(matches!(error, ReadError::Malformed { .. }), "{error}");
    }
}
