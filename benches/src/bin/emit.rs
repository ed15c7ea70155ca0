//! What it costs to emit, combine and sort: time for each pair, on one thread, by kind of key. On a machine that is busy
//! with other things it is the time on a processor that counts.
//!
//! `cargo run --release -p benches --bin emit [-- RUNS [MILLIONS]]`

use benches::{processor::on_processor, text::Random};
use mapreduce_core::{Datum, RowSlice, Rows, prelude::*};
use std::{error::Error, marker::PhantomData};

/// How a row of two numbers becomes a key.
trait KeyOf: Clone + Send + Sync + 'static {
    type Key: ?Sized + Key + Datum;
    fn with<T>(row: &[u64], then: impl FnOnce(&Self::Key) -> T) -> T;
}

/// The first number.
#[derive(Clone, Serialize, Deserialize)]
struct Number;

impl KeyOf for Number {
    type Key = u64;
    fn with<T>(row: &[u64], then: impl FnOnce(&u64) -> T) -> T {
        then(&row[0])
    }
}

/// Text of 4 to 20 letters.
#[derive(Clone, Serialize, Deserialize)]
struct Word;

impl KeyOf for Word {
    type Key = str;
    fn with<T>(row: &[u64], then: impl FnOnce(&str) -> T) -> T {
        let letters: [u8; 20] = std::array::from_fn(|i| b'a' + (row[0] >> (i * 3) & 15) as u8);
        let length = 4 + row[0] as usize % 17;
        then(std::str::from_utf8(&letters[..length]).unwrap_or_default())
    }
}

/// Text of 90 letters, the first 10 of which are always the same.
#[derive(Clone, Serialize, Deserialize)]
struct Long;

impl KeyOf for Long {
    type Key = [u8];
    fn with<T>(row: &[u64], then: impl FnOnce(&[u8]) -> T) -> T {
        let mut text = [b'x'; 90];
        text[10..18].copy_from_slice(&row[0].to_be_bytes());
        then(&text)
    }
}

#[derive(Serialize, Deserialize)]
struct Case<K, C>(PhantomData<fn() -> (K, C)>);

impl<K, C> Clone for Case<K, C> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<K: KeyOf, C: Send + Sync + 'static> Mapper for Case<K, C> {
    type Input = Rows<u64>;
    type Key = K::Key;
    type Value = u64;
    fn map(&self, row: &[u64], out: &mut impl Emit<K::Key, u64>) -> Result {
        K::with(row, |key| out.emit(key, &row[1]))
    }
}

/// Reads all values and emits nothing.
struct Swallow;

impl<K: ?Sized + Key> Reducer<K, u64> for Swallow {
    type Key = ();
    type Value = u64;
    fn reduce(&self, _: &K, values: &mut Values<'_, u64>, _: &mut impl Emit<(), u64>) -> Result {
        while values.next()?.is_some() {}
        Ok(())
    }
}

impl<K: KeyOf, C: Combiner<K::Key, u64> + Default> Job for Case<K, C> {
    const NAME: &'static str = "emit";
    type Shared = ();
    type Mapper = Self;
    type Combiner = C;
    type Reducer = Swallow;
    fn mapper(&self, (): &()) -> Result<Self> {
        Ok(self.clone())
    }
    fn combiner(&self) -> C {
        C::default()
    }
    fn reducer(&self, (): &()) -> Result<Swallow> {
        Ok(Swallow)
    }
}

/// Prints the medians of the time on a processor and of map and reduce time, for each pair.
fn measure<K: KeyOf, C: Combiner<K::Key, u64> + Default>(
    name: &str,
    rows: usize,
    distinct: usize,
    runs: usize,
) -> Result<(), Box<dyn Error>> {
    let mut random = Random::new(3);
    let mut key = || ((u128::from(random.bits()) * distinct as u128) >> 64) as u64;
    let values: Vec<u64> =
        (0..rows).flat_map(|i| [key().wrapping_mul(0x9e37_79b9_7f4a_7c15), i as u64 % 200]).collect();
    let data = Dataset::new(RowSlice::new(&values, 2)?)?;
    let engine = Local::new(1)?;
    let case = Case::<K, C>(PhantomData);
    let mut times = Vec::new();
    for _ in 0..runs {
        let before = on_processor();
        let report = engine.run(&case, &(), &data)?.report;
        let busy = on_processor().zip(before).map(|(after, before)| after.saturating_sub(before));
        times.push([
            busy.unwrap_or(report.map_time + report.reduce_time),
            report.map_time,
            report.reduce_time,
        ]);
    }
    let [busy, map, reduce] = [0, 1, 2].map(|i| {
        times.sort_by_key(|times| times[i]);
        times[times.len() / 2][i].as_secs_f64() * 1e9 / rows as f64
    });
    println!("{name:<32} {distinct:>10} {busy:>10.1} {map:>10.1} {reduce:>10.1}");
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|arg| arg.parse()).collect::<Result<_, _>>()?;
    let argument = |i: usize, default| numbers.get(i).copied().unwrap_or(default);
    let (runs, rows) = (argument(0, 3), argument(1, 10) * 1_000_000);
    println!("{rows} pairs, 1 thread, {runs} runs");
    println!("{:<32} {:>10} {:>10} {:>10} {:>10}", "ns a pair", "keys", "busy", "map", "reduce");
    for distinct in [1_000, 100_000, rows / 20, rows / 4, rows, rows * 100] {
        measure::<Number, Sum>("numbers, combined", rows, distinct, runs)?;
        measure::<Word, Sum>("words, combined", rows, distinct, runs)?;
    }
    for distinct in [1_000, rows] {
        measure::<Number, NoCombiner>("numbers, sorted", rows, distinct, runs)?;
        measure::<Word, NoCombiner>("words, sorted", rows, distinct, runs)?;
        measure::<Long, NoCombiner>("lines, sorted", rows, distinct, runs)?;
    }
    Ok(())
}
