//! Jobs of the shapes that users write.

use mapreduce_core::{Partitioner, RangePartitioner, impl_key, prelude::*};
use serde::de::DeserializeOwned;
use std::{cmp::Reverse, marker::PhantomData};

/// Counts words of text.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct WordCount;

impl Mapper for WordCount {
    type Input = Utf8Lines;
    type Key = str;
    type Value = u64;
    fn map(&self, line: &str, out: &mut impl Emit<str, u64>) -> Result {
        out.count("lines", 1);
        line.split_ascii_whitespace().try_for_each(|word| out.emit(word, &1))
    }
}

impl SimpleJob for WordCount {
    const NAME: &'static str = "word-count";
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

/// Counts whole lines of bytes.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct LineCount;

impl Mapper for LineCount {
    type Input = Lines;
    type Key = [u8];
    type Value = u64;
    fn map(&self, line: &[u8], out: &mut impl Emit<[u8], u64>) -> Result {
        out.emit(line, &1)
    }
}

impl SimpleJob for LineCount {
    const NAME: &'static str = "line-count";
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

/// Sorts lines; the partitions one after the other are sorted as a whole.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SortLines;

pub(crate) struct EachLine;

impl Mapper for EachLine {
    type Input = Lines;
    type Key = [u8];
    type Value = ();
    fn map(&self, line: &[u8], out: &mut impl Emit<[u8], ()>) -> Result {
        out.emit(line, &())
    }
}

impl Job for SortLines {
    const NAME: &'static str = "sort-lines";
    type Shared = RangePartitioner;
    type Mapper = EachLine;
    type Combiner = NoCombiner;
    type Reducer = Identity;
    fn mapper(&self, _: &RangePartitioner) -> Result<EachLine> {
        Ok(EachLine)
    }
    fn combiner(&self) -> NoCombiner {
        NoCombiner
    }
    fn reducer(&self, _: &RangePartitioner) -> Result<Identity> {
        Ok(Identity)
    }
    fn partitioner(&self, ranges: &RangePartitioner) -> Result<Box<dyn Partitioner<[u8]>>> {
        Ok(Box::new(ranges.clone()))
    }
}

/// For every word the lines it is in, in their order. Values are borrowed and unsized.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Index;

impl Mapper for Index {
    type Input = Utf8Lines;
    type Key = str;
    type Value = str;
    fn map(&self, line: &str, out: &mut impl Emit<str, str>) -> Result {
        line.split(' ').try_for_each(|word| out.emit(word, line))
    }
}

#[derive(Default)]
pub(crate) struct Concatenate;

impl Reducer<str, str> for Concatenate {
    type Key = str;
    type Value = str;
    fn reduce(&self, word: &str, lines: &mut Values<'_, str>, out: &mut impl Emit<str, str>) -> Result {
        let mut all = String::new();
        while let Some(line) = lines.next()? {
            all.push_str(&line);
            all.push('|');
        }
        out.emit(word, &all)
    }
}

impl SimpleJob for Index {
    const NAME: &'static str = "index";
    type Combiner = NoCombiner;
    type Reducer = Concatenate;
}

/// Emits several values per key and record, and keeps the order of all of them.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Several;

impl Mapper for Several {
    type Input = Items<u32>;
    type Key = u8;
    type Value = (u32, u8);
    fn map(&self, n: &u32, out: &mut impl Emit<u8, (u32, u8)>) -> Result {
        (0..n % 4).try_for_each(|i| out.emit(&((n >> 2) as u8 % 3), &(*n, i as u8)))
    }
}

/// All values of a key as a list; every second key gives up after the first.
#[derive(Default)]
pub(crate) struct Collect;

impl Reducer<u8, (u32, u8)> for Collect {
    type Key = u8;
    type Value = Vec<(u32, u8)>;
    fn reduce(
        &self,
        key: &u8,
        values: &mut Values<'_, (u32, u8)>,
        out: &mut impl Emit<u8, Self::Value>,
    ) -> Result {
        let mut all = Vec::new();
        while let Some(value) = values.next()? {
            all.push(*value);
            if key.is_multiple_of(2) {
                break;
            }
        }
        out.emit(key, &all)
    }
}

impl SimpleJob for Several {
    const NAME: &'static str = "several";
    type Combiner = NoCombiner;
    type Reducer = Collect;
}

/// The least and the greatest number of each remainder.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Least;
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Greatest;

impl Mapper for Least {
    type Input = Items<i64>;
    type Key = i64;
    type Value = i64;
    fn map(&self, n: &i64, out: &mut impl Emit<i64, i64>) -> Result {
        out.emit(&(n % 5), n)
    }
}

impl Mapper for Greatest {
    type Input = Items<i64>;
    type Key = i64;
    type Value = i64;
    fn map(&self, n: &i64, out: &mut impl Emit<i64, i64>) -> Result {
        out.emit(&(n % 5), n)
    }
}

impl SimpleJob for Least {
    const NAME: &'static str = "least";
    type Combiner = Min;
    type Reducer = Fold<Min>;
}

impl SimpleJob for Greatest {
    const NAME: &'static str = "greatest";
    type Combiner = Max;
    type Reducer = Fold<Max>;
}

/// A key that is a struct of the user's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Visit {
    pub(crate) country: String,
    pub(crate) day: Reverse<u16>,
    pub(crate) route: Option<Vec<u8>>,
}
impl_key!(Visit { country, day, route });

/// Numbers the values under each struct key.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Visits;

impl Mapper for Visits {
    type Input = Items<Visit>;
    type Key = Visit;
    type Value = u32;
    fn map(&self, visit: &Visit, out: &mut impl Emit<Visit, u32>) -> Result {
        out.emit(visit, &u32::from(visit.day.0))
    }
}

impl SimpleJob for Visits {
    const NAME: &'static str = "visits";
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

/// A tuple key of parts that are escaped, optional and descending.
pub(crate) type Parts = (Option<String>, Reverse<Vec<u8>>, i8);

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ByParts;

impl Mapper for ByParts {
    type Input = Items<Parts>;
    type Key = Parts;
    type Value = String;
    fn map(&self, parts: &Parts, out: &mut impl Emit<Parts, String>) -> Result {
        out.emit(parts, &format!("{parts:?}"))
    }
}

impl SimpleJob for ByParts {
    const NAME: &'static str = "by-parts";
    type Combiner = NoCombiner;
    type Reducer = Identity;
}

/// Byte strings that may be prefixes of each other, with and without a combiner.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct CountBytes;
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SortBytes;

impl Mapper for CountBytes {
    type Input = Items<Vec<u8>>;
    type Key = [u8];
    type Value = u64;
    fn map(&self, bytes: &Vec<u8>, out: &mut impl Emit<[u8], u64>) -> Result {
        out.emit(bytes, &1)
    }
}

impl Mapper for SortBytes {
    type Input = Items<Vec<u8>>;
    type Key = [u8];
    type Value = [u8];
    fn map(&self, bytes: &Vec<u8>, out: &mut impl Emit<[u8], [u8]>) -> Result {
        out.emit(bytes, &bytes[bytes.len() / 2..])
    }
}

impl SimpleJob for CountBytes {
    const NAME: &'static str = "count-bytes";
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

impl SimpleJob for SortBytes {
    const NAME: &'static str = "sort-bytes";
    type Combiner = NoCombiner;
    type Reducer = Identity;
}

/// Adds up columns of numbers, by the sign of the first.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Columns;

impl Mapper for Columns {
    type Input = Rows<u32>;
    type Key = bool;
    type Value = Block<u64>;
    fn map(&self, row: &[u32], out: &mut impl Emit<bool, Block<u64>>) -> Result {
        out.emit(&row[0].is_multiple_of(2), &row.iter().map(|n| u64::from(*n)).collect())
    }
}

impl SimpleJob for Columns {
    const NAME: &'static str = "columns";
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

/// Sorts rows by their first number, NaN and all, and keeps the bits of the last.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SortRows;

impl Mapper for SortRows {
    type Input = Rows<f32>;
    type Key = f32;
    type Value = u32;
    fn map(&self, row: &[f32], out: &mut impl Emit<f32, u32>) -> Result {
        out.emit(&row[0], &row[row.len() - 1].to_bits())
    }
}

impl SimpleJob for SortRows {
    const NAME: &'static str = "sort-rows";
    type Combiner = NoCombiner;
    type Reducer = Identity;
}

/// Adds floats up: the order of the additions shows in the sum.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct FloatSum;

impl Mapper for FloatSum {
    type Input = Rows<f32>;
    type Key = ();
    type Value = f32;
    fn map(&self, row: &[f32], out: &mut impl Emit<(), f32>) -> Result {
        row.iter().try_for_each(|n| out.emit(&(), n))
    }
}

impl SimpleJob for FloatSum {
    const NAME: &'static str = "float-sum";
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

/// Emits each number as often as its last digit says, largest keys first.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Repeat;

impl Mapper for Repeat {
    type Input = Items<u32>;
    type Key = u32;
    type Value = str;
    fn map(&self, n: &u32, out: &mut impl Emit<u32, str>) -> Result {
        out.count("numbers", 1);
        (0..n % 10).rev().try_for_each(|i| out.emit(&i, &n.to_string()))
    }
}

impl SimpleJob for Repeat {
    const NAME: &'static str = "repeat";
    type Combiner = NoCombiner;
    type Reducer = NoReducer;
}

impl Repeat {
    pub(crate) fn expected(numbers: &[u32]) -> Vec<(u32, String)> {
        numbers.iter().flat_map(|n| (0..n % 10).rev().map(move |i| (i, n.to_string()))).collect()
    }
}

/// Emits every item as it is: the output is what the test says.
#[derive(Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct AsIs<K, V>(pub(crate) PhantomData<fn() -> (K, V)>);

/// What is serde's, as parts of an item are.
pub(crate) trait Owned: Clone + Send + Sync + Serialize + DeserializeOwned + 'static {}
impl<T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> Owned for T {}

impl<K: Owned + Key, V: Owned> Mapper for AsIs<K, V> {
    type Input = Items<(K, V)>;
    type Key = K;
    type Value = V;
    fn map(&self, (key, value): &(K, V), out: &mut impl Emit<K, V>) -> Result {
        out.emit(key, value)
    }
}

impl<K: Owned + Key, V: Owned> SimpleJob for AsIs<K, V> {
    const NAME: &'static str = "as-is";
    type Combiner = NoCombiner;
    type Reducer = Identity;
}
