//! Side outputs on pools: lines are returned and written as on threads of one process, once each, whoever is lost.

use super::{
    common::{Folder, names},
    connect,
    gate::Hook,
    outputs::engines,
    pool, quick_pool,
    sieve::Sieve,
};
use mapreduce_core::{HashPartitioner, Partitioner, prelude::*};
use std::{collections::BTreeMap, fs, sync::Arc};

/// Multiples of three, and the other numbers on the side.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Filtered;

impl Mapper for Filtered {
    type Input = Items<u64>;
    type Key = u64;
    type Value = ();
    fn map(&self, n: &u64, out: &mut impl Emit<u64, ()>) -> Result {
        if n.is_multiple_of(3) { out.emit(n, &()) } else { out.side("others", n.to_string().as_bytes()) }
    }
}

impl SimpleJob for Filtered {
    const NAME: &'static str = "filtered";
    const SIDE_OUTPUTS: &'static [&'static str] = &["others"];
    type Combiner = NoCombiner;
    type Reducer = NoReducer;
}

const NUMBERS: u64 = 3_000;
const PARTITIONS: u32 = 3;

fn numbers() -> Dataset<ItemSlice<u64, Vec<u64>>> {
    Dataset::with_split_bytes(ItemSlice::new((0..NUMBERS).collect()), 500).unwrap()
}

fn options() -> Options {
    Options { partitions: Some(PARTITIONS), ..Options::default() }
}

/// By the book: the lines of mappers in the order of the input, those of reducers by partition and key.
fn check(output: &Output<Sieve>, what: &str) {
    let (mut pairs, mut bad, mut late, mut sums) = (vec![], vec![], vec![], BTreeMap::new());
    for n in 0..NUMBERS {
        if n % 5 == 0 {
            late.push(n.to_string().into_bytes());
        }
        match n % 7 {
            0 => bad.push(format!("bad {n}").into_bytes()),
            _ => *sums.entry(n % 100).or_insert(0) += n,
        }
    }
    for partition in 0..PARTITIONS {
        let here = |key: &&u64| HashPartitioner.partition(*key, &key.to_be_bytes(), PARTITIONS) == partition;
        for key in sums.keys().filter(here) {
            match key % 2 {
                0 => pairs.push((*key, format!("the sum, \"{}\"", sums[key]))),
                _ => late.push(format!("{key} {}", sums[key]).into_bytes()),
            }
        }
    }
    assert!(output.pairs == pairs && output.side("bad") == bad && output.side("late") == late, "{what}");
    assert!(output.side("unused").is_empty());
    assert_eq!((output.counters.get("numbers"), output.counters.get("keys")), (NUMBERS, 100), "{what}");
}

#[test]
fn lines_are_the_same_on_any_pool_whether_returned_or_chained() {
    let data = numbers();
    let others: Vec<Vec<u8>> =
        (0..NUMBERS).filter(|n| n % 3 > 0).map(|n| n.to_string().into_bytes()).collect();
    let pools = [1, 2, 5].map(pool);
    for (i, engine) in engines(&pools).iter().enumerate() {
        check(&engine.run_with(&Sieve::default(), &(), &data, &options()).unwrap(), &format!("engine {i}"));
        let filtered = engine.run_with(&Filtered, &(), &data, &options()).unwrap();
        assert!(filtered.pairs.into_iter().eq((0..NUMBERS).step_by(3).map(|n| (n, ()))), "engine {i}");
        let chained = engine.chain(&Filtered, &(), &data, &options()).unwrap();
        assert_eq!(chained.pairs(), NUMBERS / 3);
        assert!(chained.side("others").unwrap() == others, "engine {i}");
    }
}

#[test]
fn files_are_those_of_a_local_run() {
    let data = numbers();
    let folder = Folder::new();
    let content = |out: &str| -> Vec<(String, Vec<u8>)> {
        let out = folder.join(out);
        names(&out).into_iter().map(|name| (name.clone(), fs::read(out.join(name)).unwrap())).collect()
    };
    let pools = [1, 2, 5].map(pool);
    for format in [Format::Text, Format::Csv] {
        let write = |engine: &dyn Fn(&PartFiles) -> mapreduce_core::Written, out: &str| {
            engine(&PartFiles::new(folder.join(out)).with_format(format).overwrite(true))
        };
        let local = Local::new(2).unwrap();
        let job = Sieve::default();
        let expected = write(&|to| local.write(&job, &(), &data, to, &options()).unwrap(), "local");
        assert!(!expected.sides["bad"].is_empty() && expected.sides["unused"].is_empty());
        for (i, engine) in engines(&pools).iter().enumerate() {
            let written = write(&|to| engine.write(&job, &(), &data, to, &options()).unwrap(), "pool");
            assert_eq!(written.sides, expected.sides, "engine {i}, {format}");
            assert_eq!(written.parts, expected.parts, "engine {i}, {format}");
            assert!(content("pool") == content("local"), "engine {i}, {format}");
        }
    }
}

#[test]
fn lines_come_once_though_a_peer_is_killed() {
    for victim in 0..3 {
        for inline_bytes in [0, 64 << 10] {
            let mut pool = quick_pool(3);
            let engine = connect(&pool, inline_bytes);
            let (of_map, is_reached, go_on) = Hook::gate(NUMBERS / 2);
            let job = Sieve { of_map, ..Sieve::default() };
            let handle = engine.submit(job, (), Arc::new(numbers()), options()).unwrap();
            is_reached.recv().unwrap();
            pool.kill(victim);
            drop(go_on);
            check(&handle.wait().unwrap(), &format!("victim {victim}, {inline_bytes} bytes inline"));
        }
    }
}

#[test]
fn lines_of_files_come_once_though_a_peer_is_killed_as_keys_are_reduced() {
    let folder = Folder::new();
    let to = |out: &str| PartFiles::new(folder.join(out));
    let expected =
        Local::new(1).unwrap().write(&Sieve::default(), &(), &numbers(), &to("local"), &options()).unwrap();
    for victim in 0..3 {
        let mut pool = quick_pool(3);
        let engine = connect(&pool, 0);
        let (of_reduce, is_reached, go_on) = Hook::gate(7);
        let job = Sieve { of_reduce, ..Sieve::default() };
        let out = format!("victim {victim}");
        let handle = engine.submit_write(job, (), Arc::new(numbers()), to(&out), options()).unwrap();
        is_reached.recv().unwrap();
        pool.kill(victim);
        drop(go_on);
        let written = handle.wait().unwrap();
        assert_eq!((&written.parts, &written.sides), (&expected.parts, &expected.sides), "{out}");
        assert_eq!(written.counters.get("keys"), 100, "{out}");
        for name in names(&folder.join("local")) {
            let read = |out: &str| fs::read(folder.join(out).join(&name)).unwrap();
            assert!(read(&out) == read("local"), "{out}: {name}");
        }
    }
}
