//! What jobs hold stays within their budget, whatever the data: few keys, long records, many partitions, many runs.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

use mapreduce_core::{Memory, prelude::*};

/// A key and a value for each number: which, and how long they are.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Shape {
    /// Of a hundred pairs, so many have the same key.
    same_of_100: u64,
    /// Every so many pairs, the value is long.
    long_every: u64,
    long_bytes: usize,
    value_bytes: usize,
}

const SHAPE: Shape = Shape { same_of_100: 0, long_every: u64::MAX, long_bytes: 0, value_bytes: 20 };

#[derive(Clone, Serialize, Deserialize)]
struct Pairs<const COMBINED: bool>(Shape);

impl<const COMBINED: bool> Mapper for Pairs<COMBINED> {
    type Input = Items<u64>;
    type Key = [u8];
    type Value = [u8];
    fn map(&self, n: &u64, out: &mut impl Emit<[u8], [u8]>) -> Result {
        let Shape { same_of_100, long_every, long_bytes, value_bytes } = self.0;
        let key = if n % 100 < same_of_100 { 7 } else { n.wrapping_mul(0x9e37_79b9_7f4a_7c15) };
        let length = if n % long_every == long_every - 1 { long_bytes } else { value_bytes };
        let mut value = vec![*n as u8; length];
        value[..8].copy_from_slice(&n.to_be_bytes());
        out.emit(&key.to_be_bytes(), &value)
    }
}

/// Keeps the longer value.
#[derive(Clone, Copy, Default)]
struct Longer;

impl Combiner<[u8], [u8]> for Longer {
    fn combine(&self, _: &[u8], into: &mut Vec<u8>, value: &[u8]) {
        if (value.len(), value) > (into.len(), &into[..]) {
            *into = value.to_vec();
        }
    }
}

/// Counts the values of a key and their bytes, in their order.
#[derive(Clone, Copy, Default)]
struct Seen;

impl Reducer<[u8], [u8]> for Seen {
    type Key = [u8];
    type Value = (u64, u64);
    fn reduce(
        &self,
        key: &[u8],
        values: &mut Values<'_, [u8]>,
        out: &mut impl Emit<[u8], (u64, u64)>,
    ) -> Result {
        let (mut bytes, mut order) = (0, 0u64);
        while let Some(value) = values.next()? {
            let number = value.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
            order = order.wrapping_mul(31).wrapping_add(number);
            bytes += value.len() as u64;
        }
        out.emit(key, &(bytes, order))
    }
}

impl SimpleJob for Pairs<false> {
    const NAME: &'static str = "pairs";
    type Combiner = NoCombiner;
    type Reducer = Seen;
}

impl SimpleJob for Pairs<true> {
    const NAME: &'static str = "pairs-combined";
    type Combiner = Longer;
    type Reducer = Seen;
}

/// Runs the jobs with and without a limit: the output is the same, and no more was ever held than the budget.
fn check(shape: Shape, numbers: u64, partitions: u32, segment_bytes: usize, budget: u64) {
    let numbers: Vec<u64> = (0..numbers).collect();
    let data = Dataset::new(ItemSlice::new(&numbers)).unwrap();
    let options = Options { partitions: Some(partitions), segment_bytes, ..Options::default() };
    let run = |combined: bool, memory: &Memory| {
        let engine = Local::new(2).unwrap().with_memory(memory.clone());
        let output = match combined {
            true => engine.run_with(&Pairs::<true>(shape), &(), &data, &options).unwrap().pairs,
            false => engine.run_with(&Pairs::<false>(shape), &(), &data, &options).unwrap().pairs,
        };
        assert_eq!(memory.held_bytes(), 0);
        output
    };
    for combined in [false, true] {
        let (plenty, little) = (Memory::limited(u64::MAX), Memory::limited(budget));
        let (expected, found) = (run(combined, &plenty), run(combined, &little));
        assert!(found == expected, "combined: {combined}");
        assert_eq!(plenty.spilled_bytes(), 0);
        assert!(little.spilled_bytes() > 0, "the budget is too large for this test");
        let held = little.held_bytes_max();
        assert!(held <= budget, "{held} of {budget} bytes were held, combined: {combined}");
    }
}

/// What two tasks work with.
fn tasks(segment_bytes: usize) -> u64 {
    2 * (2 * segment_bytes as u64 + (2 << 20))
}

#[test]
fn one_key_may_have_most_of_the_data() {
    check(Shape { same_of_100: 60, value_bytes: 100, ..SHAPE }, 40_000, 3, 50_000, tasks(50_000) + 500_000);
}

#[test]
fn a_record_may_be_much_larger_than_a_segment() {
    let shape = Shape { long_every: 1_000, long_bytes: 700_000, ..SHAPE };
    check(shape, 10_000, 3, 20_000, tasks(20_000) + 1_000_000);
}

#[test]
fn there_may_be_more_partitions_than_records_in_a_segment() {
    check(SHAPE, 20_000, 10_000, 100_000, tasks(100_000) + 2_000_000);
}

/// More of them than a merge has room for.
#[test]
fn long_records_may_make_very_many_spilled_runs() {
    check(Shape { value_bytes: 1 << 20, ..SHAPE }, 100, 1, 1 << 20, tasks(1 << 20) + 2_000_000);
}
