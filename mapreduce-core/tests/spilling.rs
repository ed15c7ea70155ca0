//! The output of a job does not depend on memory: with much of it, some and none, and however often the output of a map
//! task is cut, it is what a sequential fold gives.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::{
    Folder,
    jobs::{Index, LineCount, SortBytes, WordCount},
    oracle::{Encoded, encoded, expect},
};
use mapreduce_core::{
    Combiner, Dataset, Engine, Error, FailureKind, Input, InputOf, ItemSlice, Job, Local, Memory, NoReducer,
    Options, Output, PartFiles, TextFiles, exec::SpillError, key::Sorted, prelude::*,
};
use proptest::{collection::vec, prelude::*};
use std::{
    iter::successors,
    path::PathBuf,
    sync::{Arc, LazyLock},
};

/// The threads of all engines here.
fn threads(count: usize) -> Local {
    static POOLS: LazyLock<[Local; 2]> = LazyLock::new(|| [1, 3].map(|threads| Local::new(threads).unwrap()));
    POOLS.iter().find(|engine| engine.threads() == count).unwrap().clone()
}

/// What a task needs besides twice its segments.
const TASK_BYTES: u64 = 2 << 20;

/// Runs a job with a budget that leaves `spare` bytes beside what one task works with.
fn run<J, I>(job: &J, input: &I, split_bytes: u64, options: &Options, spare: u64) -> (Output<J>, Memory)
where
    J: Job<Shared = ()>,
    I: Input<Records = InputOf<J>> + Clone,
{
    let budget = (2 * options.segment_bytes as u64 + TASK_BYTES).saturating_add(spare);
    let memory = Memory::limited(budget);
    let engine = threads(if spare.is_multiple_of(2) { 1 } else { 3 }).with_memory(memory.clone());
    let data = Dataset::with_split_bytes(input.clone(), split_bytes).unwrap();
    let output = engine.run_with(job, &(), &data, options).unwrap();
    assert_eq!(output.report.spilled_bytes, memory.spilled_bytes());
    assert_eq!(memory.held_bytes(), 0);
    (output, memory)
}

fn assert_same(output: Encoded, expected: &Encoded, what: &str) {
    // All pairs of both would be too much to read.
    let i = output.iter().zip(expected).take_while(|(a, b)| a == b).count();
    assert!(output == *expected, "{what}: pair {i} is {:?} instead of {:?}", output.get(i), expected.get(i));
}

/// Compares a job with the oracle: with no room for what it emits, some, and as much as it likes.
fn check<J, I>(job: &J, input: &I, split_bytes: u64, segment_bytes: usize)
where
    J: Job<Shared = ()>,
    I: Input<Records = InputOf<J>> + Clone,
{
    for partitions in [1, 4] {
        let options = Options { partitions: Some(partitions), segment_bytes, ..Options::default() };
        let expected = expect(job, &(), input, partitions).unwrap();
        for spare in [0, 501, 2_000, u64::MAX - 1] {
            let (output, memory) = run(job, input, split_bytes, &options, spare);
            let what = format!(
                "{} in splits of {split_bytes} bytes, {partitions} partitions, segments of {segment_bytes} bytes, {spare} bytes to spare",
                J::NAME
            );
            assert_same(encoded(&output), &expected, &what);
            let pairs = output.report.map_output_bytes > 0;
            match spare {
                0 => assert_eq!(memory.spilled_bytes() > 0, pairs, "{what}"),
                u64::MAX.. => assert_eq!(memory.spilled_bytes(), 0, "{what}"),
                _ => {}
            }
            assert_eq!(output.report.output_records, output.pairs.len() as u64);
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    vec(prop_oneof!["[a-c]{1,2}", "[a-z]{6,12}", Just("é\u{1F600}".to_string()), "[ \t\r\n]{1,3}"], 0..80)
        .prop_map(|words| words.join(" "))
}

fn bytes(len: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![3 => Just(0), 2 => Just(b'a'), 1 => any::<u8>()], 0..len)
}

fn segments() -> impl Strategy<Value = usize> {
    prop_oneof![Just(1), 20..300usize, Just(16 << 20)]
}

fn splits() -> impl Strategy<Value = u64> {
    prop_oneof![1..60u64, Just(u64::MAX)]
}

/// Groups by the first half of its numbers, and keeps the order of the second.
#[derive(Clone, Serialize, Deserialize)]
struct Series;

impl Mapper for Series {
    type Input = Items<(String, u16)>;
    type Key = Sorted<String, u16>;
    type Value = str;
    fn map(&self, (name, at): &(String, u16), out: &mut impl Emit<Sorted<String, u16>, str>) -> Result {
        out.emit(&Sorted(name.clone(), *at), &format!("{name}{at}"))
    }
}

#[derive(Default)]
struct Listed;

impl Reducer<Sorted<String, u16>, str> for Listed {
    type Key = (String, u16);
    type Value = Vec<String>;
    fn reduce(
        &self,
        Sorted(name, first): &Sorted<String, u16>,
        values: &mut Values<'_, str>,
        out: &mut impl Emit<(String, u16), Vec<String>>,
    ) -> Result {
        let mut all = Vec::new();
        // The last values of some groups are not asked for.
        while let Some(value) = values.next()?.filter(|_| all.len() < 20) {
            all.push(value.into_owned());
        }
        out.emit(&(name.clone(), *first), &all)
    }
}

impl SimpleJob for Series {
    const NAME: &'static str = "series";
    type Combiner = NoCombiner;
    type Reducer = Listed;
}

/// The same with a combiner, which folds values of equal whole keys only.
#[derive(Clone, Serialize, Deserialize)]
struct Longest;

impl Mapper for Longest {
    type Input = Items<(String, u16)>;
    type Key = Sorted<String, u16>;
    type Value = u64;
    fn map(&self, (name, at): &(String, u16), out: &mut impl Emit<Sorted<String, u16>, u64>) -> Result {
        out.emit(&Sorted(name.clone(), *at), &1)
    }
}

#[derive(Clone, Copy, Default)]
struct Total;

impl Reducer<Sorted<String, u16>, u64> for Total {
    type Key = String;
    type Value = u64;
    fn reduce(
        &self,
        key: &Sorted<String, u16>,
        values: &mut Values<'_, u64>,
        out: &mut impl Emit<String, u64>,
    ) -> Result {
        let mut total = 0;
        while let Some(n) = values.next()? {
            total += *n;
        }
        out.emit(&key.0, &total)
    }
}

impl SimpleJob for Longest {
    const NAME: &'static str = "longest";
    type Combiner = Sum;
    type Reducer = Total;
}

/// Emits what it reads, some of it twice, and reduces nothing.
#[derive(Clone, Serialize, Deserialize)]
struct Pass;

impl Mapper for Pass {
    type Input = Items<(String, u16)>;
    type Key = str;
    type Value = u64;
    fn map(&self, (name, n): &(String, u16), out: &mut impl Emit<str, u64>) -> Result {
        (0..n % 3).try_for_each(|i| out.emit(name, &u64::from(n * 10 + i)))
    }
}

impl SimpleJob for Pass {
    const NAME: &'static str = "pass";
    type Combiner = NoCombiner;
    type Reducer = NoReducer;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn words_are_counted(texts in vec(text(), 1..4), split in splits(), segment in segments()) {
        let folder = Folder::new();
        check(&WordCount, &TextFiles::open(folder.files(&texts)).unwrap(), split, segment);
    }

    #[test]
    fn lines_are_counted(texts in vec(bytes(300), 1..3), split in splits(), segment in segments()) {
        let folder = Folder::new();
        check(&LineCount, &TextFiles::open_bytes(folder.files(&texts)).unwrap(), split, segment);
    }

    #[test]
    fn values_come_in_the_order_of_the_input(texts in vec(text(), 1..4), split in splits(), segment in segments()) {
        let folder = Folder::new();
        check(&Index, &TextFiles::open(folder.files(&texts)).unwrap(), split, segment);
    }

    #[test]
    fn byte_strings_are_sorted(keys in vec(bytes(12), 0..80), split in splits(), segment in segments()) {
        check(&SortBytes, &ItemSlice::new(keys), split, segment);
    }

    #[test]
    fn values_of_a_group_are_sorted(
        items in vec(("[a\0]{0,3}", 0..9u16), 0..80), split in splits(), segment in segments(),
    ) {
        check(&Series, &ItemSlice::new(items.clone()), split, segment);
        check(&Longest, &ItemSlice::new(items), split, segment);
    }

    /// In the order of the input, whatever the partitions.
    #[test]
    fn what_is_not_reduced_stays_as_it_was_emitted(
        items in vec(("[a-c]{0,30}", 0..9u16), 0..80), split in splits(), segment in segments(),
    ) {
        let emitted = items.iter().flat_map(|(name, n)| {
            (0..n % 3).map(move |i| (name.clone(), u64::from(n * 10 + i)))
        });
        let emitted: Vec<(String, u64)> = emitted.collect();
        for (partitions, spare) in [(1, 0), (5, 0), (5, 301), (3, u64::MAX - 1)] {
            let options = Options { partitions: Some(partitions), segment_bytes: segment, ..Options::default() };
            let input = ItemSlice::new(items.clone());
            let (output, memory) = run(&Pass, &input, split, &options, spare);
            prop_assert_eq!(&output.pairs, &emitted);
            prop_assert_eq!((output.report.keys, memory.spilled_bytes() > 0 || spare > 0), (0, spare > 0 || !emitted.is_empty()));
        }
    }
}

/// More runs in files than are merged at once, so that some are merged ahead.
#[test]
fn many_spilled_runs_are_merged_in_passes() {
    let items: Vec<(String, u16)> =
        (0..3_000u32).map(|i| (format!("{}", i * i % 211), (i * 7 % 1_000) as u16)).collect();
    let input = ItemSlice::new(items);
    for segment_bytes in [200, 16 << 20] {
        let options = Options { partitions: Some(2), segment_bytes, ..Options::default() };
        let expected = expect(&Series, &(), &input, 2).unwrap();
        // About a hundred splits.
        let (output, memory) = run(&Series, &input, 1_000, &options, 0);
        assert_same(encoded(&output), &expected, "series");
        assert!(memory.spilled_bytes() > output.report.map_output_bytes / 4);
    }
}

/// Values longer than the blocks of a spill file, and than the budget.
#[test]
fn records_may_be_larger_than_the_budget() {
    let noise = |seed: u64| successors(Some(seed), |x| Some(x.wrapping_mul(6_364_136_223_846_793_005) + 1));
    let lines: Vec<String> = (0..4)
        .map(|i| noise(i).take(700_000 + i as usize).map(|x| char::from(b'a' + (x >> 60) as u8)).collect())
        .collect();
    let folder = Folder::new();
    let input = TextFiles::open([folder.file("lines", lines.join("\n"))]).unwrap();
    for segment in [100, 1 << 20] {
        check(&Index, &input, 1_000_000, segment);
        check(&WordCount, &input, u64::MAX, segment);
    }
}

fn word_count(memory: Memory, options: &Options) -> Result<Output<WordCount>, Error> {
    let folder = Folder::new();
    let input = TextFiles::open([folder.file("text", "to be or not to be ".repeat(100))]).unwrap();
    threads(3).with_memory(memory).run_with(&WordCount, &(), &Dataset::new(input).unwrap(), options)
}

#[test]
fn a_budget_that_holds_no_task_is_refused_before_anything_runs() {
    let options = Options::default();
    let needed = 2 * options.segment_bytes as u64 + TASK_BYTES;
    let error = word_count(Memory::limited(needed - 1), &options).unwrap_err();
    assert!(
        matches!(error, Error::MemoryTooSmall { budget_bytes, needed_bytes } if budget_bytes + 1 == needed_bytes)
    );
    assert_eq!(
        error.to_string(),
        "a budget of 35651583 bytes of memory is too small: one task takes 35651584; give more, or make `segment_bytes` smaller"
    );
    assert_eq!(word_count(Memory::limited(needed), &options).unwrap().pairs.len(), 4);
    let small = Options { segment_bytes: 1_000, ..Options::default() };
    assert_eq!(word_count(Memory::limited(needed - 1), &small).unwrap().pairs.len(), 4);
}

#[test]
fn jobs_on_one_budget_go_on_side_by_side() {
    let options = Options { segment_bytes: 1_000, ..Options::default() };
    let memory = Memory::limited(2_000 + TASK_BYTES);
    let jobs: Vec<_> = (0..4)
        .map(|_| {
            let (memory, options) = (memory.clone(), options.clone());
            std::thread::spawn(move || word_count(memory, &options).unwrap())
        })
        .collect();
    let spilled: u64 = jobs.into_iter().map(|job| job.join().unwrap().report.spilled_bytes).sum();
    assert_eq!((memory.held_bytes(), memory.spilled_bytes()), (0, spilled));
}

#[test]
fn a_folder_that_is_not_there_is_refused_before_anything_runs() {
    let folder = Folder::new();
    let spill = folder.path().join("spill");
    std::fs::create_dir(&spill).unwrap();
    let memory = Memory::limited(2_000 + TASK_BYTES).spilling_to(&spill);
    let options = Options { segment_bytes: 1_000, ..Options::default() };
    assert!(word_count(memory.clone(), &options).unwrap().report.spilled_bytes > 0);
    assert_eq!(std::fs::read_dir(&spill).unwrap().count(), 0, "spill files have no names");

    std::fs::remove_dir(&spill).unwrap();
    // Whether or not it would have spilled.
    for memory in [memory, Memory::limited(1 << 30).spilling_to(&spill)] {
        let error = word_count(memory.clone(), &options).unwrap_err();
        assert!(matches!(&error, Error::Spill(SpillError::NoFolder { folder, .. }) if *folder == spill));
        let said = error.to_string();
        assert!(said.starts_with(&format!("{}: nothing can be spilled there: ", spill.display())), "{said}");
        assert!(said.ends_with("make the folder, or spill to another (`Memory::spilling_to`)"), "{said}");
    }
}

#[test]
fn a_folder_that_vanishes_fails_the_job_and_leaves_no_output() {
    /// Removes the folder.
    #[derive(Clone, Serialize, Deserialize)]
    struct Removes(PathBuf);
    impl Mapper for Removes {
        type Input = Lines;
        type Key = [u8];
        type Value = ();
        fn map(&self, line: &[u8], out: &mut impl Emit<[u8], ()>) -> Result {
            let _ = std::fs::remove_dir(&self.0);
            out.emit(line, &())
        }
    }
    impl SimpleJob for Removes {
        const NAME: &'static str = "removes";
        type Combiner = NoCombiner;
        type Reducer = Identity;
    }
    let folder = Folder::new();
    let spill = folder.path().join("spill");
    let memory = Memory::limited(2_000 + TASK_BYTES).spilling_to(&spill);
    let options = Options { segment_bytes: 1_000, ..Options::default() };
    let input = TextFiles::open_bytes([folder.file("text", "to be or not to be\n".repeat(100))]).unwrap();
    let (data, job) = (Dataset::new(input).unwrap(), Removes(spill.clone()));
    let engine = threads(1).with_memory(memory.clone());

    std::fs::create_dir(&spill).unwrap();
    let Error::Task(error) = engine.run_with(&job, &(), &data, &options).unwrap_err() else {
        panic!("a task fails")
    };
    assert_eq!(error.failure.kind, FailureKind::Spill);
    let said = error.failure.message;
    assert!(said.starts_with(&format!("{}: cannot spill: ", spill.display())), "{said}");
    assert!(
        said.ends_with(
            "make room there, spill to another folder (`Memory::spilling_to`) or give more memory"
        )
    );

    std::fs::create_dir(&spill).unwrap();
    let to = PartFiles::new(folder.path().join("out"));
    engine.write(&job, &(), &data, &to, &options).unwrap_err();
    assert!(!to.path().exists() && memory.held_bytes() == 0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the input alone");
}

/// A failed attempt gives back what it held.
#[test]
fn what_a_failed_attempt_held_is_given_back() {
    #[derive(Clone, Serialize, Deserialize)]
    struct Fails;
    impl Mapper for Fails {
        type Input = Items<u32>;
        type Key = u32;
        type Value = u64;
        fn map(&self, n: &u32, out: &mut impl Emit<u32, u64>) -> Result {
            out.emit(n, &1)?;
            if *n == 999 { Err("enough".into()) } else { Ok(()) }
        }
    }
    impl SimpleJob for Fails {
        const NAME: &'static str = "fails";
        type Combiner = Sum;
        type Reducer = Fold<Sum>;
    }
    let data =
        Arc::new(Dataset::with_split_bytes(ItemSlice::new((0..1_000).collect::<Vec<u32>>()), 400).unwrap());
    for spare in [0, 1_000, 1 << 30] {
        let memory = Memory::limited(200 + TASK_BYTES + spare);
        let options = Options { segment_bytes: 100, ..Options::default() };
        let engine = threads(3).with_memory(memory.clone());
        engine.run_with(&Fails, &(), &data, &options).unwrap_err();
        assert_eq!(memory.held_bytes(), 0);
    }
}

/// What a combiner folds depends on the segments, so its exactness does not.
#[test]
fn combiners_need_not_be_exact_to_be_the_same_on_any_budget() {
    #[derive(Clone, Serialize, Deserialize)]
    struct Floats;
    impl Mapper for Floats {
        type Input = Items<f32>;
        type Key = u8;
        type Value = f32;
        fn map(&self, x: &f32, out: &mut impl Emit<u8, f32>) -> Result {
            out.emit(&((x.to_bits() % 5) as u8), x)
        }
    }
    #[derive(Clone, Copy, Default)]
    struct Add;
    impl Combiner<u8, f32> for Add {
        fn combine(&self, _: &u8, sum: &mut f32, x: &f32) {
            *sum += x;
        }
    }
    impl SimpleJob for Floats {
        const NAME: &'static str = "floats";
        type Combiner = Add;
        type Reducer = Fold<Add>;
    }
    let floats: Vec<f32> = (1..2_000u32).map(|i| 1.0 / i as f32).collect();
    for segment_bytes in [1, 100, 16 << 20] {
        let options = Options { segment_bytes, ..Options::default() };
        let bits = |spare| {
            let (output, _) = run(&Floats, &ItemSlice::new(floats.clone()), 500, &options, spare);
            output.pairs.into_iter().map(|(key, sum)| (key, sum.to_bits())).collect::<Vec<_>>()
        };
        let outputs = [0, 301, u64::MAX - 1].map(bits);
        assert!(outputs[0] == outputs[1] && outputs[1] == outputs[2]);
    }
}
