//! Jobs that read what another job has put out.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::{Folder, engine, engines};
use mapreduce_core::{
    Chained, Error, FailureKind, Input, Memory, ReadError, Records, Schema,
    engine::{place, ship},
    input::Piece,
    prelude::*,
    schedule::TaskId,
};
use proptest::{collection::vec, prelude::*};
use std::collections::BTreeMap;

/// Counts strings. Keys are borrowed, values are not.
#[derive(Clone, Serialize, Deserialize)]
struct Count;

impl Mapper for Count {
    type Input = Items<String>;
    type Key = str;
    type Value = u64;
    fn map(&self, text: &String, out: &mut impl Emit<str, u64>) -> Result {
        out.count("texts", 1);
        out.emit(text, &1)
    }
}

impl SimpleJob for Count {
    const NAME: &'static str = "count";
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

/// The strings of each count, in order.
#[derive(Clone, Serialize, Deserialize)]
struct ByCount;

impl Mapper for ByCount {
    type Input = Pairs<str, u64>;
    type Key = u64;
    type Value = str;
    fn map(&self, (text, count): (&str, &u64), out: &mut impl Emit<u64, str>) -> Result {
        out.emit(count, text)
    }
}

impl SimpleJob for ByCount {
    const NAME: &'static str = "by-count";
    type Combiner = NoCombiner;
    type Reducer = Identity;
}

fn options(partitions: u32) -> Options {
    Options { partitions: Some(partitions), ..Options::default() }
}

fn chain(engine: &Local, texts: &[String], partitions: u32) -> Chained<str, u64> {
    let data = Dataset::with_split_bytes(ItemSlice::new(texts), 100).unwrap();
    engine.chain(&Count, &(), &data, &options(partitions)).unwrap()
}

fn returned(texts: &[String], partitions: u32) -> Vec<(String, u64)> {
    let data = Dataset::with_split_bytes(ItemSlice::new(texts), 100).unwrap();
    engine().run_with(&Count, &(), &data, &options(partitions)).unwrap().pairs
}

fn opened(data: &Dataset<Chained<str, u64>>) -> Vec<(String, u64)> {
    let mut pairs = Vec::new();
    for split in data.splits() {
        let mut blocks = data.input().open(split).unwrap();
        while let Some(block) = blocks.next_block().unwrap() {
            let before = pairs.len();
            pairs.extend(block.map(|(text, count)| (text.to_string(), *count)));
            assert!(pairs.len() > before, "a block without pairs");
        }
    }
    pairs
}

fn shipped(data: &Dataset<Chained<str, u64>>) -> Vec<(String, u64)> {
    let mut pairs = Vec::new();
    for split in 0..data.splits().len() as u32 {
        ship(data, split, &mut |chunk| {
            let mut buffer = Default::default();
            let block = Pairs::<str, u64>::block(&(), chunk, &mut buffer).unwrap();
            assert_eq!(block.size_hint().1, Some(block.len()));
            pairs.extend(block.map(|(text, count)| (text.to_string(), *count)));
        })
        .unwrap();
    }
    pairs
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    let text = prop_oneof![8 => "[a-d]{0,3}", 1 => "[a-d]{100,300}", 1 => Just("x".repeat(70_000))];
    vec(text, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_chained_output_has_the_pairs_that_are_returned(
        texts in texts(),
        partitions in 1..6u32,
        split_bytes in prop_oneof![Just(1u64), 1..300u64, Just(u64::MAX)],
    ) {
        let expected = returned(&texts, partitions);
        let chained = chain(engine(), &texts, partitions);
        prop_assert_eq!(chained.pairs(), expected.len() as u64);
        prop_assert_eq!(chained.counters.get("texts"), texts.len() as u64);
        prop_assert_eq!(chained.report.keys, expected.len() as u64);
        let data = Dataset::with_split_bytes(chained, split_bytes).unwrap();
        prop_assert_eq!(&opened(&data), &expected);
        prop_assert_eq!(&shipped(&data), &expected);
        prop_assert_eq!(data.bytes(), data.input().bytes());
        let mut record = 0;
        for split in data.splits() {
            prop_assert_eq!(split.first_record, Some(record));
            let mut blocks = data.input().open(split).unwrap();
            while let Some(block) = blocks.next_block().unwrap() {
                record += block.len() as u64;
            }
        }
    }

    #[test]
    fn a_job_over_the_output_of_another_gives_what_an_oracle_gives(texts in texts(), partitions in 1..4u32) {
        let mut counts = BTreeMap::<&str, u64>::new();
        texts.iter().for_each(|text| *counts.entry(text).or_default() += 1);
        let mut expected: Vec<(u64, String)> = counts.iter().map(|(text, n)| (*n, text.to_string())).collect();
        expected.sort();
        for engine in engines() {
            let data = Dataset::with_split_bytes(chain(engine, &texts, partitions), 50).unwrap();
            let mut pairs = engine.run_with(&ByCount, &(), &data, &options(1)).unwrap().pairs;
            // Within a count the strings come in the order of the partitions before.
            pairs.sort();
            prop_assert_eq!(&pairs, &expected);
        }
    }
}

#[test]
fn small_parts_share_a_split_and_large_ones_are_cut() {
    let texts: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    let data = Dataset::new(chain(engine(), &texts, 7)).unwrap();
    let [split] = data.splits() else { panic!("{:?}", data.splits()) };
    assert_eq!(split.pieces.len(), 7);
    let data = Dataset::with_split_bytes(chain(engine(), &texts, 1), 100).unwrap();
    assert!(data.splits().len() > 20, "{}", data.splits().len());
    assert!(data.splits().iter().all(|split| split.bytes < 110));
}

#[test]
fn an_output_of_nothing_is_an_input_of_nothing() {
    let data = Dataset::new(chain(engine(), &[], 3)).unwrap();
    assert!(data.splits().is_empty());
    assert_eq!(engine().run(&ByCount, &(), &data).unwrap().pairs, []);
}

#[test]
fn places_are_named_by_partition() {
    let texts: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    let data = Dataset::new(chain(engine(), &texts, 2)).unwrap();
    let said = place(&data, TaskId::Map(0));
    assert!(said.starts_with("output partition 0, bytes 0 to "), "{said}");
    assert!(said.contains(" ... output partition 1, bytes 0 to "), "{said}");
}

/// A value that says something else when it is read.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Unreadable(u8);

impl<'de> Deserialize<'de> for Unreadable {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            13 => Err(serde::de::Error::custom("thirteen")),
            n => Ok(Self(n)),
        }
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Wrap;

impl Mapper for Wrap {
    type Input = Items<u8>;
    type Key = u8;
    type Value = u8;
    fn map(&self, n: &u8, out: &mut impl Emit<u8, u8>) -> Result {
        out.emit(n, n)
    }
}

#[derive(Default)]
struct Wrapped;

impl Reducer<u8, u8> for Wrapped {
    type Key = u8;
    type Value = Unreadable;
    fn reduce(&self, key: &u8, _: &mut Values<'_, u8>, out: &mut impl Emit<u8, Unreadable>) -> Result {
        out.emit(key, &Unreadable(*key))
    }
}

impl SimpleJob for Wrap {
    const NAME: &'static str = "wrap";
    type Combiner = NoCombiner;
    type Reducer = Wrapped;
}

#[derive(Clone, Serialize, Deserialize)]
struct Unwrap;

impl Mapper for Unwrap {
    type Input = Pairs<u8, Unreadable>;
    type Key = u8;
    type Value = u8;
    fn map(&self, (n, value): (&u8, &Unreadable), out: &mut impl Emit<u8, u8>) -> Result {
        out.emit(n, &value.0)
    }
}

impl SimpleJob for Unwrap {
    const NAME: &'static str = "unwrap";
    type Combiner = NoCombiner;
    type Reducer = Identity;
}

#[test]
fn an_output_that_does_not_decode_fails_the_next_job_at_once() {
    let run = |numbers: &[u8]| {
        let data = Dataset::new(ItemSlice::new(numbers)).unwrap();
        let chained = engine().chain(&Wrap, &(), &data, &options(1)).unwrap();
        engine().run(&Unwrap, &(), &Dataset::new(chained).unwrap())
    };
    assert_eq!(run(&[12, 14]).unwrap().pairs, [(12, 12), (14, 14)]);
    let Err(Error::Task(error)) = run(&[12, 13]) else { panic!("decoded") };
    assert_eq!((error.failure.kind, error.attempts), (FailureKind::Read, 1));
    assert!(error.failure.message.contains("thirteen"), "{error}");
    assert!(error.failure.place.contains("output partition 0"), "{error}");
}

#[test]
fn bytes_that_are_no_pairs_and_splits_of_other_outputs_are_refused() {
    let mut buffer = Default::default();
    let error = Pairs::<str, u64>::block(&(), b"\x05\x01a", &mut buffer).err().unwrap();
    assert!(matches!(&error, ReadError::Malformed { .. }), "{error}");

    let data = Dataset::new(chain(engine(), &["a".to_string()], 1)).unwrap();
    for piece in [Piece { source: 1, range: 0..1 }, Piece { source: 0, range: 0..999 }] {
        let mut split = data.splits()[0].clone();
        split.pieces = vec![piece];
        let mut blocks = data.input().open(&split).unwrap();
        assert!(matches!(blocks.next_block().err(), Some(ReadError::Malformed { .. })));
    }
}

#[test]
fn what_pairs_hold_is_part_of_what_a_job_is() {
    let mut schema = Schema::new();
    Pairs::<str, u64>::schema(&mut schema);
    assert_eq!(schema.as_str(), "pairs of (raw str) and (u64)");
}

#[test]
fn an_output_that_does_not_fit_is_read_back_from_files() {
    let texts: Vec<String> = (0..40_000).map(|n| format!("text number {n:05}")).chain([long()]).collect();
    let expected = returned(&texts, 3);
    let folder = Folder::new();
    let memory = Memory::limited(8 << 20).spilling_to(folder.path());
    let engine = Local::new(2).unwrap().with_memory(memory.clone());
    let data = Dataset::new(ItemSlice::new(&texts)).unwrap();
    let options = Options { segment_bytes: 64 << 10, ..options(3) };
    // As much as the budget leaves is held by another.
    let held = memory.hold(8 << 20);
    let chained = engine.chain(&Count, &(), &data, &options).unwrap();
    assert!(memory.spilled_bytes() > chained.bytes() / 10, "{}", memory.spilled_bytes());
    drop(held);

    let in_memory = Dataset::with_split_bytes(chain(common::engine(), &texts, 3), 100_000).unwrap();
    let spilled = Dataset::with_split_bytes(chained, 100_000).unwrap();
    assert_eq!(spilled.splits(), in_memory.splits());
    assert!(spilled.splits().len() > 8);
    assert!(opened(&spilled) == expected && shipped(&spilled) == expected);
    let counts = |data| engine.run_with(&ByCount, &(), data, &options).unwrap().pairs;
    assert!(counts(&spilled) == counts(&in_memory));
}

/// Reading it again would give the same, so it is not tried.
#[test]
#[cfg(target_os = "linux")]
fn a_damaged_file_of_a_chained_output_ends_the_next_job_at_once() {
    use std::{fs, os::unix::fs::FileExt};

    let texts: Vec<String> = (0..20_000).map(|n| format!("text number {n:05}")).collect();
    let folder = Folder::new();
    let memory = Memory::limited(8 << 20).spilling_to(folder.path());
    let engine = Local::new(2).unwrap().with_memory(memory.clone());
    let options = Options { segment_bytes: 64 << 10, ..options(2) };
    let held = memory.hold(8 << 20);
    let texts = Dataset::new(ItemSlice::new(&texts)).unwrap();
    let chained = Dataset::new(engine.chain(&Count, &(), &texts, &options).unwrap()).unwrap();
    drop(held);
    // The files have no names, but they are open.
    for open in fs::read_dir("/proc/self/fd").unwrap() {
        let open = open.unwrap().path();
        if fs::read_link(&open).is_ok_and(|file| file.starts_with(folder.path())) {
            let file = fs::File::options().read(true).write(true).open(open).unwrap();
            let zeros = vec![0; file.metadata().unwrap().len() as usize];
            file.write_all_at(&zeros, 0).unwrap();
        }
    }
    match engine.run_with(&ByCount, &(), &chained, &options) {
        Err(Error::Task(error)) => {
            assert_eq!((error.attempts, error.failure.kind), (1, FailureKind::Spill), "{error}");
            assert!(error.to_string().contains("a spill file is damaged"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

/// A text that spans several blocks of a file.
fn long() -> String {
    "x".repeat(300_000)
}
