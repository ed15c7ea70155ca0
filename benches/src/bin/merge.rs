//! Million pairs a second of a merge of sorted runs, against a `BinaryHeap` by hand over the same pairs.
//!
//! `cargo run --release -p benches --bin merge [-- MILLIONS [RUNS]]`
//!
//! On one thread, by kind of key (few numbers: 10 000 that come again and again; all others hardly ever do), number of
//! runs, and where they lie: in memory or in (spill) files. What is measured here is a reduce task whose reducer reads all
//! values and emits nothing: merging, grouping, and calling the reducer for each key. By hand: a heap of the first keys of
//! all runs, as numbers, as slices, or copied where they come from files; the files are read through a buffer of 64 KiB
//! each and are not compressed.

use benches::{
    Failure,
    alternate::{alternate, print_rates, timed},
    runs::{self, Bytes},
};
use mapreduce_core::{
    Datum,
    exec::{Attempt, Run, RunSpiller, erased_round},
    prelude::*,
};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
    fs::File,
    hint::black_box,
    io::{BufReader, Read, Seek, Write},
    marker::PhantomData,
};

/// A job of which only the reducer is used.
#[derive(Serialize, Deserialize)]
struct Case<K: ?Sized>(PhantomData<fn(&K)>);

impl<K: ?Sized> Clone for Case<K> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<K: ?Sized + Key + Datum> Mapper for Case<K> {
    type Input = Items<u8>;
    type Key = K;
    type Value = [u8];
    fn map(&self, _: &u8, _: &mut impl Emit<K, [u8]>) -> Result {
        Ok(())
    }
}

/// Reads all values and emits nothing.
#[derive(Default)]
struct Swallow;

impl<K: ?Sized + Key> Reducer<K, [u8]> for Swallow {
    type Key = ();
    type Value = ();
    fn reduce(&self, _: &K, values: &mut Values<'_, [u8]>, _: &mut impl Emit<(), ()>) -> Result {
        let mut sum = 0_u64;
        while let Some(value) = values.next()? {
            sum = sum.wrapping_add(number(&value));
        }
        black_box(sum);
        Ok(())
    }
}

impl<K: ?Sized + Key + Datum> SimpleJob for Case<K> {
    const NAME: &'static str = "merge";
    type Combiner = NoCombiner;
    type Reducer = Swallow;
}

fn main() -> Result<(), Failure> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|arg| arg.parse()).collect::<Result<_, _>>()?;
    let argument = |i: usize, default| numbers.get(i).copied().unwrap_or(default);
    let (pairs, turns) = (argument(0, 4) * 1_000_000, argument(1, 5));
    println!("{pairs} pairs with values of 8 bytes, one thread");
    for count in [2, 16, 256] {
        let sources = sources(count, pairs, runs::number);
        in_memory::<u64, u64>("numbers", &sources, turns)?;
        if count > 2 {
            in_files::<u64, u64>("numbers", &sources, turns)?;
        }
        let few = self::sources(count, pairs, |bits| runs::number((bits % 10_000) << 40));
        in_memory::<u64, u64>("few numbers", &few, turns)?;
        let sources = self::sources(count, pairs, runs::word);
        in_memory::<str, &[u8]>("words", &sources, turns)?;
        if count > 2 {
            in_files::<str, Vec<u8>>("words", &sources, turns)?;
        }
    }
    Ok(())
}

fn sources<K: AsRef<[u8]> + Ord>(count: usize, pairs: usize, key: fn(u64) -> K) -> Vec<Bytes> {
    let value = |random: &mut benches::text::Random| random.bits().to_le_bytes().to_vec();
    (0..count).map(|seed| Bytes::random(seed as u64, pairs / count, key, value)).collect()
}

fn in_memory<'a, K, H>(kind: &str, sources: &'a [Bytes], turns: usize) -> Result<(), Failure>
where
    K: ?Sized + Key + Datum,
    H: Ord + Default + 'a,
    InMemory<'a>: Source<H>,
{
    let runs = sources.iter().map(|source| Run::from_bytes(source.bytes.clone(), source.pairs));
    let runs: Vec<Run> = runs.collect::<Option<_>>().ok_or("the runs are whole")?;
    let by_hand = || heap_merge(sources.iter().map(|source| InMemory(&source.bytes)).collect());
    contest::<K>(&format!("{} runs of {kind} in memory", sources.len()), sources, &runs, by_hand, turns)
}

fn in_files<K, H>(kind: &str, sources: &[Bytes], turns: usize) -> Result<(), Failure>
where
    K: ?Sized + Key + Datum,
    H: Ord + Default,
    InFile: Source<H>,
{
    let memory = Memory::limited(0);
    let spill = |source: &Bytes| -> Result<Run, Failure> {
        let mut spiller = RunSpiller::create(&memory)?;
        spiller.push(&source.bytes)?;
        Ok(spiller.finish(source.pairs)?.ok_or("the run is whole")?)
    };
    let runs: Vec<Run> = sources.iter().map(spill).collect::<Result<_, _>>()?;
    let write = |source: &Bytes| -> Result<File, Failure> {
        let mut file = tempfile::tempfile()?;
        file.write_all(&source.bytes)?;
        Ok(file)
    };
    let files: Vec<File> = sources.iter().map(write).collect::<Result<_, _>>()?;
    let by_hand = || {
        let open = files.iter().map(|file| InFile::open(file).expect("an open file can be read again"));
        heap_merge(open.collect())
    };
    contest::<K>(&format!("{} runs of {kind} in files", sources.len()), sources, &runs, by_hand, turns)
}

/// Both merge the same pairs, in turns.
fn contest<K: ?Sized + Key + Datum>(
    title: &str,
    sources: &[Bytes],
    runs: &[Run],
    by_hand: impl Fn() -> u64,
    turns: usize,
) -> Result<(), Failure> {
    let round = erased_round(&Case::<K>(PhantomData), &(), 1)?;
    let (runs, memory): (Vec<&Run>, _) = (runs.iter().collect(), Memory::limited(1 << 30));
    let reduce = || {
        let reduced = round.reduce(0, &runs, &Attempt::default(), &memory);
        reduced.expect("the runs are whole and sorted").keys
    };
    let keys = by_hand();
    assert_eq!(reduce(), keys, "both find the same keys");
    let pairs: u64 = sources.iter().map(|source| source.pairs).sum();
    let all = alternate(
        turns,
        vec![
            ("BinaryHeap by hand", Box::new(timed(|| assert_eq!(by_hand(), keys)))),
            ("reduce task", Box::new(timed(|| assert_eq!(reduce(), keys)))),
        ],
    );
    print_rates(&format!("{title}, {keys} keys"), pairs as f64 / 1e6, "M pairs", &all);
    Ok(())
}

/// Merges with a heap, adds up the values of each key, and gives how many keys there are.
fn heap_merge<H: Ord + Default, S: Source<H>>(mut sources: Vec<S>) -> u64 {
    let mut heads = BinaryHeap::with_capacity(sources.len());
    let mut values = vec![0; sources.len()];
    for (run, source) in sources.iter_mut().enumerate() {
        let mut key = H::default();
        if let Some(value) = source.next(&mut key) {
            values[run] = value;
            heads.push(Reverse((key, run)));
        }
    }
    let (mut keys, mut sum, mut key) = (0, 0_u64, H::default());
    while let Some(mut head) = heads.peek_mut() {
        let Reverse((next, run)) = &mut *head;
        if keys == 0 || *next != key {
            black_box(sum);
            (keys, sum) = (keys + 1, 0);
            S::copy(next, &mut key);
        }
        sum = sum.wrapping_add(values[*run]);
        match sources[*run].next(next) {
            Some(value) => values[*run] = value,
            None => drop(PeekMut::pop(head)),
        }
    }
    black_box(sum);
    keys
}

/// Pairs of a run, one after the other.
trait Source<H> {
    /// Makes `key` the key of the next pair, whose value this gives.
    fn next(&mut self, key: &mut H) -> Option<u64>;

    /// Makes `to` the same key.
    fn copy(from: &H, to: &mut H);
}

/// The rest of a run in memory.
struct InMemory<'a>(&'a [u8]);

impl<'a> InMemory<'a> {
    fn pair(&mut self) -> Option<(&'a [u8], u64)> {
        let lengths = [(); 2].map(|()| {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            Some(usize::from(byte))
        });
        let [Some(key), Some(value)] = lengths else { return None };
        let (pair, rest) = self.0.split_at(key + value);
        self.0 = rest;
        Some((&pair[..key], number(&pair[key..])))
    }
}

impl<'a> Source<&'a [u8]> for InMemory<'a> {
    fn next(&mut self, key: &mut &'a [u8]) -> Option<u64> {
        let (next, value) = self.pair()?;
        *key = next;
        Some(value)
    }
    fn copy(from: &&'a [u8], to: &mut &'a [u8]) {
        *to = from;
    }
}

impl Source<u64> for InMemory<'_> {
    fn next(&mut self, key: &mut u64) -> Option<u64> {
        let (next, value) = self.pair()?;
        *key = u64::from_be_bytes(next.try_into().expect("keys are numbers"));
        Some(value)
    }
    fn copy(from: &u64, to: &mut u64) {
        *to = *from;
    }
}

/// A run in a file, and room for the pair that was read from it.
struct InFile {
    file: BufReader<File>,
    pair: Vec<u8>,
}

impl InFile {
    fn open(file: &File) -> Result<Self, Failure> {
        let mut file = file.try_clone()?;
        file.rewind()?;
        Ok(Self { file: BufReader::with_capacity(64 << 10, file), pair: Vec::new() })
    }

    fn pair(&mut self) -> Option<(&[u8], u64)> {
        let mut lengths = [0; 2];
        self.file.read_exact(&mut lengths).ok()?;
        let [key, value] = lengths.map(usize::from);
        self.pair.resize(key + value, 0);
        self.file.read_exact(&mut self.pair).expect("the pair is whole");
        let (key, value) = self.pair.split_at(key);
        Some((key, number(value)))
    }
}

impl Source<Vec<u8>> for InFile {
    fn next(&mut self, key: &mut Vec<u8>) -> Option<u64> {
        let (next, value) = self.pair()?;
        key.clear();
        key.extend_from_slice(next);
        Some(value)
    }
    fn copy(from: &Vec<u8>, to: &mut Vec<u8>) {
        to.clone_from(from);
    }
}

impl Source<u64> for InFile {
    fn next(&mut self, key: &mut u64) -> Option<u64> {
        let (next, value) = self.pair()?;
        *key = u64::from_be_bytes(next.try_into().expect("keys are numbers"));
        Some(value)
    }
    fn copy(from: &u64, to: &mut u64) {
        *to = *from;
    }
}

/// A value, which has eight bytes.
fn number(value: &[u8]) -> u64 {
    u64::from_le_bytes(value.try_into().expect("values have eight bytes"))
}
