//! Chained jobs on pools: the driver keeps the output of the first and sends it as the input of the second.

use super::{
    common::{Folder, jobs::WordCount},
    connect,
    gate::Hook,
    outputs::{engines, text},
    pool, quick_pool,
};
use mapreduce_core::{Memory, TextFiles, prelude::*};
use mapreduce_net::PoolOptions;
use std::{collections::BTreeMap, sync::Arc};

/// The words of each count, in the order they come.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct ByCount {
    hook: Hook,
}

impl Mapper for ByCount {
    type Input = Pairs<str, u64>;
    type Key = u64;
    type Value = str;
    fn map(&self, (word, count): (&str, &u64), out: &mut impl Emit<u64, str>) -> Result {
        self.hook.call(*count)?;
        out.count("words", 1);
        out.emit(count, word)
    }
}

impl SimpleJob for ByCount {
    const NAME: &'static str = "by-count";
    type Combiner = NoCombiner;
    type Reducer = Identity;
}

fn counts(text: &str) -> BTreeMap<&str, u64> {
    let mut counts = BTreeMap::new();
    text.split_whitespace().for_each(|word| *counts.entry(word).or_default() += 1);
    counts
}

/// Words by count, in order.
fn by_count(text: &str) -> Vec<(u64, String)> {
    let mut words: Vec<_> = counts(text).into_iter().map(|(word, n)| (n, word.to_string())).collect();
    words.sort();
    words
}

fn options() -> Options {
    Options { partitions: Some(3), ..Options::default() }
}

#[test]
fn a_job_over_the_output_of_another_gives_the_same_bits_on_any_pool() {
    let text = text(3_000);
    let folder = Folder::new();
    let lines =
        Dataset::with_split_bytes(TextFiles::open([folder.file("text", &text)]).unwrap(), 5_000).unwrap();
    let local = Local::new(2).unwrap();
    let words = local.chain(&WordCount, &(), &lines, &options()).unwrap();
    let words = Dataset::with_split_bytes(words, 700).unwrap();
    let expected = local.run_with(&ByCount::default(), &(), &words, &options()).unwrap().pairs;
    let mut sorted = expected.clone();
    sorted.sort();
    assert!(sorted == by_count(&text));

    let pools = [1, 2, 5].map(pool);
    for engine in engines(&pools) {
        let chained = engine.chain(&WordCount, &(), &lines, &options()).unwrap();
        assert_eq!(chained.pairs(), counts(&text).len() as u64);
        assert_eq!(chained.counters.get("lines"), 3_000);
        let chained = Dataset::with_split_bytes(chained, 700).unwrap();
        assert_eq!(chained.splits(), words.splits());
        // As often as one likes, on this engine and on another.
        for engine in [&engine, &engine] {
            let output = engine.run_with(&ByCount::default(), &(), &chained, &options()).unwrap();
            assert!(output.pairs == expected);
            assert_eq!(output.counters.get("words"), chained.input().pairs());
        }
        assert!(local.run_with(&ByCount::default(), &(), &chained, &options()).unwrap().pairs == expected);
    }
}

#[test]
fn an_output_that_the_driver_cannot_hold_is_sent_from_files() {
    let text = text(3_000);
    let folder = Folder::new();
    let lines = Dataset::new(TextFiles::open([folder.file("text", &text)]).unwrap()).unwrap();
    let pool = pool(2);
    let memory = Memory::limited(0).spilling_to(folder.path());
    let driver =
        PoolOptions { min_peers: 2, inline_bytes: 0, memory: memory.clone(), ..PoolOptions::default() };
    let engine = pool.connect_with(driver).unwrap();
    let chained = engine.chain(&WordCount, &(), &lines, &options()).unwrap();
    assert!(memory.spilled_bytes() > 0);
    let chained = Dataset::with_split_bytes(chained, 700).unwrap();
    let mut pairs = engine.run_with(&ByCount::default(), &(), &chained, &options()).unwrap().pairs;
    pairs.sort();
    assert!(pairs == by_count(&text));
}

#[test]
fn a_chain_survives_a_peer_that_is_killed_in_its_second_job() {
    let text = text(3_000);
    let folder = Folder::new();
    let lines = Dataset::new(TextFiles::open([folder.file("text", &text)]).unwrap()).unwrap();
    let lines_of_all = 3_000;
    for victim in 0..3 {
        let mut pool = quick_pool(3);
        let engine = connect(&pool, 0);
        let chained = engine.chain(&WordCount, &(), &lines, &options()).unwrap();
        let data = Arc::new(Dataset::with_split_bytes(chained, 300).unwrap());
        // The word `line` is in every line.
        let (hook, is_reached, go_on) = Hook::gate(lines_of_all);
        let handle = engine.submit(ByCount { hook }, (), data, options()).unwrap();
        is_reached.recv().unwrap();
        pool.kill(victim);
        drop(go_on);
        let mut output = handle.wait().unwrap();
        output.pairs.sort();
        assert!(output.pairs == by_count(&text), "victim {victim}");
        assert_eq!(output.counters.get("words"), counts(&text).len() as u64);
    }
}
