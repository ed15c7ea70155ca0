//! Jobs without a reducer: the output is what the mapper emits, in the order of the input.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::{Folder, engine, engines, jobs::Repeat};
use mapreduce_core::{Error, FailureKind, Memory, prelude::*};
use proptest::{collection::vec, prelude::*};
use std::fs;

fn options(partitions: u32) -> Options {
    Options { partitions: Some(partitions), ..Options::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_output_is_what_the_mapper_emits_in_the_order_of_the_input(
        numbers in vec(0..1000u32, 0..60),
        partitions in 1..6u32,
        split_bytes in prop_oneof![Just(1u64), 1..200u64, Just(u64::MAX)],
    ) {
        let data = Dataset::with_split_bytes(ItemSlice::new(&numbers), split_bytes).unwrap();
        for engine in engines() {
            let output = engine.run_with(&Repeat, &(), &data, &options(partitions)).unwrap();
            prop_assert_eq!(output.pairs, Repeat::expected(&numbers));
            prop_assert_eq!(output.counters.get("numbers"), numbers.len() as u64);
        }
    }
}

#[test]
fn parts_one_after_the_other_are_in_the_order_of_the_input() {
    let numbers: Vec<u32> = (0..200).collect();
    let data = Dataset::with_split_bytes(ItemSlice::new(&numbers), 40).unwrap();
    let folder = Folder::new();
    let out = folder.join("out");
    let written = engine().write(&Repeat, &(), &data, &PartFiles::new(&out), &options(3)).unwrap();
    assert!(written.parts.iter().all(|part| part.records > 0), "{:?}", written.parts);
    let content: String =
        written.parts.iter().map(|part| fs::read_to_string(out.join(&part.name)).unwrap()).collect();
    let lines: String =
        Repeat::expected(&numbers).iter().map(|(key, value)| format!("{key}\t{value}\n")).collect();
    assert_eq!(content, lines);
}

#[test]
fn output_larger_than_the_budget_is_the_same() {
    let numbers: Vec<u32> = (0..20_000).collect();
    let data = Dataset::with_split_bytes(ItemSlice::new(&numbers), 4000).unwrap();
    let folder = Folder::new();
    let memory = Memory::limited(6 << 20).spilling_to(folder.path());
    let small = Local::new(2).unwrap().with_memory(memory.clone());
    // As much as the budget leaves is held by another.
    let options = Options { segment_bytes: 64 << 10, ..options(3) };
    let held = memory.hold(6 << 20);
    let output = small.run_with(&Repeat, &(), &data, &options);
    drop(held);
    assert!(output.unwrap().pairs == Repeat::expected(&numbers));
    assert!(memory.spilled_bytes() > 0);
}

/// Fails at one number.
#[derive(Clone, Serialize, Deserialize)]
struct Fails;

impl Mapper for Fails {
    type Input = Items<u32>;
    type Key = u32;
    type Value = ();
    fn map(&self, n: &u32, out: &mut impl Emit<u32, ()>) -> Result {
        if *n == 13 { Err("thirteen".into()) } else { out.emit(n, &()) }
    }
}

impl SimpleJob for Fails {
    const NAME: &'static str = "fails";
    type Combiner = NoCombiner;
    type Reducer = NoReducer;
}

#[test]
fn a_mapper_that_fails_fails_the_job_and_leaves_no_output() {
    let numbers: Vec<u32> = (0..20).collect();
    let data = Dataset::new(ItemSlice::new(&numbers)).unwrap();
    let folder = Folder::new();
    let result = engine().write(&Fails, &(), &data, &PartFiles::new(folder.join("out")), &options(2));
    let Err(Error::Task(error)) = result else { panic!("{result:?}") };
    assert_eq!(error.failure.kind, FailureKind::User);
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}
