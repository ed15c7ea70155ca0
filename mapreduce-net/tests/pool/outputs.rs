//! The same bits on any pool as in the oracle.

use super::{
    common::{Folder, jobs::*, oracle},
    pool,
};
use mapreduce_core::{Input, InputOf, RangePartitioner, prelude::*};
use mapreduce_net::{PoolOptions, blocking, testing::TestPool};
use std::fmt::Write as _;

/// Pools of 1, 2 and 5 peers, with drivers that reduce what is small themselves and one that leaves all to the peers.
pub(super) fn engines(pools: &[TestPool]) -> Vec<blocking::Pool> {
    let mut engines: Vec<_> = pools.iter().map(|pool| pool.connect().unwrap()).collect();
    let options = PoolOptions { min_peers: 2, inline_bytes: 0, ..PoolOptions::default() };
    engines.push(pools[1].connect_with(options).unwrap());
    engines
}

/// Compares what a job gives on each engine with what the oracle gives.
pub(super) fn check<J, I>(
    engines: &[blocking::Pool],
    job: &J,
    shared: &J::Shared,
    input: &I,
    split_bytes: u64,
) where
    J: Job,
    I: Input<Records = InputOf<J>> + Clone,
{
    for partitions in [1, 7] {
        let expected = oracle::expect(job, shared, input, partitions).unwrap();
        let data = Dataset::with_split_bytes(input.clone(), split_bytes).unwrap();
        for (i, engine) in engines.iter().enumerate() {
            let options = Options { partitions: Some(partitions), ..Options::default() };
            let output = engine.run_with(job, shared, &data, &options).unwrap();
            assert!(
                oracle::encoded(&output) == expected,
                "{} with {partitions} partitions on engine {i}",
                J::NAME
            );
        }
    }
}

/// Text of some hundred words that repeat unevenly.
pub(super) fn text(lines: u64) -> String {
    let mut text = String::new();
    for i in 0..lines {
        let n = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        writeln!(text, "w{} w{} line {}", n % 7, n % 311, i % 97).unwrap();
    }
    text
}

#[test]
fn jobs_give_the_same_bits_on_any_pool() {
    let pools = [1, 2, 5].map(pool);
    let engines = engines(&pools);
    let folder = Folder::new();
    let files = folder.files(&[text(3_000), String::new(), text(10)]);

    let lines = TextFiles::open(&files).unwrap();
    check(&engines, &WordCount, &(), &lines, 5_000);
    check(&engines, &Index, &(), &lines, 20_000);

    let bytes = TextFiles::open_bytes(&files).unwrap();
    let sample = Dataset::new(bytes.clone()).unwrap().sample(100, <[u8]>::to_vec).unwrap();
    check(&engines, &SortLines, &RangePartitioner::from_sample::<[u8]>(&sample, 7), &bytes, 9_000);

    let numbers: Vec<u32> = (0..5_000).map(|n: u32| n.wrapping_mul(2_654_435_761) >> 8).collect();
    check(&engines, &Several, &(), &ItemSlice::new(numbers.clone()), 400);
    check(&engines, &Columns, &(), &RowSlice::new(numbers, 5).unwrap(), 1_000);
    let floats: Vec<f32> = (0..3_000).map(|n| 1.0 / (n as f32 + 0.3)).collect();
    // What a combiner folds together depends on the splits, which the oracle does not have; but not on the engine.
    let floats = Dataset::with_split_bytes(RowSlice::new(floats, 3).unwrap(), 700).unwrap();
    let expected = Local::new(2).unwrap().run(&FloatSum, &(), &floats).unwrap();
    for engine in engines {
        assert_eq!(engine.run(&FloatSum, &(), &floats).unwrap().pairs, expected.pairs);
    }
}
