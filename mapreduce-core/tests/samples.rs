//! Samples of inputs, and the ranges of keys that are made of them.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::Folder;
use flate2::{Compression, write::GzEncoder};
use mapreduce_core::{CsvOptions, Input, Key, Records, prelude::*};
use std::{fs, io::Write};

#[test]
fn samples_are_of_every_split_and_the_same_every_time() {
    let numbers: Vec<u32> = (0..100).collect();
    let data = Dataset::with_split_bytes(RowSlice::new(&numbers, 1).unwrap(), 200).unwrap();
    assert_eq!(data.splits().len(), 2);
    let sample = |per_split| data.sample(per_split, |row| row[0]).unwrap();
    assert_eq!(sample(1_000), numbers);
    for per_split in 0..60 {
        let sampled = sample(per_split);
        assert!(sampled == sample(per_split) && sampled.is_sorted());
        let of_first = sampled.iter().filter(|n| **n < 50).count();
        assert_eq!((of_first, sampled.len()), (per_split.min(50), 2 * per_split.min(50)));
    }

    let folder = Folder::new();
    let path = folder.file("text", "a\nb\nc\n");
    let lines = Dataset::new(TextFiles::open([&path]).unwrap()).unwrap();
    assert_eq!(lines.sample(3, str::to_string).unwrap(), ["a", "b", "c"]);
    fs::remove_file(&path).unwrap();
    let error = lines.sample(2, str::to_string).unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

/// How many of the keys `00000000` to `00199999` each of the ranges has that are made of a sample.
fn shares<I: Input>(input: I, key: impl FnMut(<I::Records as Records>::Record<'_>) -> Vec<u8>) -> Vec<u32> {
    // In one split, so that its beginning alone would tell little.
    let data = Dataset::with_split_bytes(input, u64::MAX).unwrap();
    assert_eq!(data.splits().len(), 1);
    let ranges = RangePartitioner::from_dataset::<[u8], _>(&data, 400, 4, key).unwrap();
    let mut shares = vec![0; 4];
    for n in 0..200_000 {
        let key = format!("{n:08}").into_bytes();
        shares[ranges.partition(&key[..], &key, 4) as usize] += 1;
    }
    shares
}

#[test]
fn ranges_of_an_input_in_order_are_about_even() {
    let lines: Vec<u8> = (0..200_000).flat_map(|n| format!("{n:08}\n").into_bytes()).collect();
    let folder = Folder::new();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&lines).unwrap();
    let plain = folder.file("plain", &lines);
    let packed = folder.file("packed.gz", gzip.finish().unwrap());
    let halves = [folder.file("first", &lines[..900_000]), folder.file("second", &lines[900_000..])];
    let csv = folder.file("csv", [b"n\n", &lines[..]].concat());
    let multiline = CsvOptions { multiline: true, ..CsvOptions::default() };
    let items: Vec<String> = (0..200_000).map(|n| format!("{n:08}")).collect();
    let text = |path: &_| TextFiles::open_bytes([path]).unwrap();
    for (input, shares) in [
        ("plain", shares(text(&plain), <[u8]>::to_vec)),
        ("packed", shares(text(&packed), <[u8]>::to_vec)),
        ("two files", shares(TextFiles::open_bytes(&halves).unwrap(), <[u8]>::to_vec)),
        ("fixed", shares(FixedFiles::open([&plain], 0, 9).unwrap(), |record| record[..8].to_vec())),
        ("items", shares(ItemSlice::new(&items), |item| item.clone().into_bytes())),
        ("csv", shares(CsvFiles::<(String,)>::open([&csv]).unwrap(), |record| record.0.clone().into_bytes())),
        (
            "csv, never cut",
            shares(CsvFiles::<(String,)>::open_with([&csv], &multiline).unwrap(), |record| {
                record.0.clone().into_bytes()
            }),
        ),
    ] {
        assert!(shares.iter().all(|share| (30_000..75_000).contains(share)), "{input}: {shares:?}");
    }
}

#[test]
fn ranges_of_the_output_of_a_job_are_about_even() {
    let items: Vec<u64> = (0..50_000).collect();
    let chained = common::engine()
        .chain(&Each, &(), &Dataset::new(ItemSlice::new(&items)).unwrap(), &Options::default())
        .unwrap();
    let data = Dataset::with_split_bytes(chained, u64::MAX).unwrap();
    let ranges = RangePartitioner::from_dataset::<u64, _>(&data, 400, 4, |(key, _)| *key).unwrap();
    let mut shares = [0; 4];
    items.iter().for_each(|n| shares[ranges.partition(n, n.encoded(&mut Vec::new()), 4) as usize] += 1);
    assert!(shares.iter().all(|share| (7_500..19_000).contains(share)), "{shares:?}");
}

#[derive(Clone, Serialize, Deserialize)]
struct Each;

impl Mapper for Each {
    type Input = Items<u64>;
    type Key = u64;
    type Value = ();
    fn map(&self, n: &u64, out: &mut impl Emit<u64, ()>) -> Result {
        out.emit(n, &())
    }
}

impl SimpleJob for Each {
    const NAME: &'static str = "each";
    type Combiner = NoCombiner;
    type Reducer = Identity;
}

/// What goes to every node with the job.
#[test]
fn ranges_of_long_keys_are_short() {
    let lines: Vec<String> = (0..8).map(|n| format!("{n}{}", "x".repeat(3_000_000))).collect();
    let data = Dataset::new(ItemSlice::new(&lines)).unwrap();
    let ranges = RangePartitioner::from_dataset::<str, _>(&data, 100, 8, String::clone).unwrap();
    let mut bytes = Vec::new();
    mapreduce_core::codec::encode(&ranges, &mut bytes).unwrap();
    assert!(bytes.len() < 50, "{}", bytes.len());
    let partitions: Vec<u32> = lines.iter().map(|line| ranges.partition(line, line.as_bytes(), 8)).collect();
    assert_eq!(partitions, [0, 1, 2, 3, 4, 5, 6, 7]);
}
