//! Jobs of further shapes on pools: values in order, keys partitioned by the job's own rule, no reducer, a file for
//! every task.

use super::{
    common::{Folder, jobs::Repeat},
    outputs::{check, engines, text},
    pool,
};
use mapreduce_core::{Partitioner, RangePartitioner, TextFiles, prelude::*};
use mapreduce_net::PoolOptions;
use std::{collections::BTreeMap, fs};

type Visit = (String, i64, u32);

/// The visits of each user in the order of time; users by range.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Visits;

impl Mapper for Visits {
    type Input = Items<Visit>;
    type Key = Sorted<String, i64>;
    type Value = u32;
    fn map(&self, (user, time, page): &Visit, out: &mut impl Emit<Self::Key, u32>) -> Result {
        out.emit(&Sorted(user.clone(), *time), page)
    }
}

/// The first time and all pages of a user.
pub(super) struct Listed;

impl Reducer<Sorted<String, i64>, u32> for Listed {
    type Key = String;
    type Value = (i64, Vec<u32>);
    fn reduce(
        &self,
        Sorted(user, first): &Sorted<String, i64>,
        pages: &mut Values<'_, u32>,
        out: &mut impl Emit<String, (i64, Vec<u32>)>,
    ) -> Result {
        let mut all = Vec::new();
        while let Some(page) = pages.next()? {
            all.push(*page);
        }
        out.emit(user, &(*first, all))
    }
}

impl Job for Visits {
    const NAME: &'static str = "visits";
    type Shared = RangePartitioner;
    type Mapper = Self;
    type Combiner = NoCombiner;
    type Reducer = Listed;
    fn mapper(&self, _: &RangePartitioner) -> Result<Self> {
        Ok(self.clone())
    }
    fn combiner(&self) -> NoCombiner {
        NoCombiner
    }
    fn reducer(&self, _: &RangePartitioner) -> Result<Listed> {
        Ok(Listed)
    }
    fn partitioner(&self, ranges: &RangePartitioner) -> Result<Box<dyn Partitioner<Sorted<String, i64>>>> {
        Ok(Box::new(ranges.clone()))
    }
}

#[test]
fn values_in_order_under_keys_by_range_are_the_same_on_any_pool() {
    let visits: Vec<Visit> = (0..4_000u32)
        .map(|n| {
            let mixed = n.wrapping_mul(2_654_435_761);
            (format!("user {}", mixed % 41), i64::from(mixed >> 20) - 2_000, n)
        })
        .collect();
    let sample: Vec<_> =
        visits.iter().step_by(10).map(|(user, time, _)| Sorted(user.clone(), *time)).collect();
    let ranges = RangePartitioner::from_sample::<Sorted<String, i64>>(&sample, 7);
    let pools = [1, 2, 5].map(pool);
    let engines = engines(&pools);
    let input = ItemSlice::new(visits.clone());
    check(&engines, &Visits, &ranges, &input, 6_000);

    // A stable sort of each user's visits by time; the partitions one after the other are in order.
    let mut by_user = BTreeMap::<String, Vec<(i64, u32)>>::new();
    visits.into_iter().for_each(|(user, time, page)| by_user.entry(user).or_default().push((time, page)));
    let expected = by_user.into_iter().map(|(user, mut visits)| {
        visits.sort_by_key(|(time, _)| *time);
        (user, (visits[0].0, visits.into_iter().map(|(_, page)| page).collect()))
    });
    let options = Options { partitions: Some(7), ..Options::default() };
    let data = Dataset::with_split_bytes(input, 6_000).unwrap();
    let output = engines[1].run_with(&Visits, &ranges, &data, &options).unwrap();
    assert!(output.pairs.into_iter().eq(expected));
}

/// Sums numbers, hundred by hundred; a hundred is a partition.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ByHundreds;

impl Mapper for ByHundreds {
    type Input = Items<u64>;
    type Key = u64;
    type Value = u64;
    fn map(&self, n: &u64, out: &mut impl Emit<u64, u64>) -> Result {
        out.count(if n.is_multiple_of(2) { "even" } else { "odd" }, 1);
        out.emit(&(n % 700), n)
    }
}

impl Partitioner<u64> for ByHundreds {
    fn partition(&self, key: &u64, encoded: &[u8], partitions: u32) -> u32 {
        assert_eq!(encoded, key.to_be_bytes());
        (key / 100 % u64::from(partitions)) as u32
    }
}

impl Job for ByHundreds {
    const NAME: &'static str = "by-hundreds";
    type Shared = ();
    type Mapper = Self;
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
    fn mapper(&self, (): &()) -> Result<Self> {
        Ok(self.clone())
    }
    fn combiner(&self) -> Sum {
        Sum
    }
    fn reducer(&self, (): &()) -> Result<Fold<Sum>> {
        Ok(Fold(Sum))
    }
    fn partitioner(&self, (): &()) -> Result<Box<dyn Partitioner<u64>>> {
        Ok(Box::new(self.clone()))
    }
}

#[test]
fn a_rule_of_the_jobs_own_says_where_keys_go_and_counters_count_once() {
    let pools = [1, 2, 5].map(pool);
    let engines = engines(&pools);
    let numbers = ItemSlice::new((0..5_000u64).collect::<Vec<_>>());
    check(&engines, &ByHundreds, &(), &numbers, 1_000);
    let data = Dataset::with_split_bytes(numbers, 1_000).unwrap();
    for engine in engines {
        let options = Options { partitions: Some(7), ..Options::default() };
        let output = engine.run_with(&ByHundreds, &(), &data, &options).unwrap();
        assert!(output.pairs.iter().map(|(key, _)| *key).eq(0..700), "a hundred in each of seven parts");
        assert_eq!((output.counters.get("even"), output.counters.get("odd")), (2_500, 2_500));
    }
}

#[test]
fn without_a_reducer_output_is_in_the_order_of_the_input_on_any_pool() {
    let numbers: Vec<u32> = (0..4_000).collect();
    let expected = Repeat::expected(&numbers);
    let lines: String = expected.iter().map(|(key, value)| format!("{key}\t{value}\n")).collect();
    let data = Dataset::with_split_bytes(ItemSlice::new(&numbers), 900).unwrap();
    let pools = [1, 2, 5].map(pool);
    for engine in engines(&pools) {
        for partitions in [1, 4] {
            let options = Options { partitions: Some(partitions), ..Options::default() };
            let output = engine.run_with(&Repeat, &(), &data, &options).unwrap();
            assert!(output.pairs == expected);
            assert_eq!(output.counters.get("numbers"), 4_000);

            let folder = Folder::new();
            let out = folder.join("out");
            let written = engine.write(&Repeat, &(), &data, &PartFiles::new(&out), &options).unwrap();
            assert_eq!(written.parts.len(), partitions as usize);
            let read = |name: &String| fs::read_to_string(out.join(name)).unwrap();
            assert!(written.parts.iter().map(|part| read(&part.name)).collect::<String>() == lines);
        }
    }
}

/// Counts words but those of a file.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct WithoutStopWords;

pub(super) struct Words(Vec<String>);

impl Mapper for Words {
    type Input = Utf8Lines;
    type Key = str;
    type Value = u64;
    fn map(&self, line: &str, out: &mut impl Emit<str, u64>) -> Result {
        let mut words = line.split(' ').filter(|word| self.0.iter().all(|stop| stop != word));
        words.try_for_each(|word| out.emit(word, &1))
    }
}

/// Counts that know how long the file is that the node has.
pub(super) struct OfFile(u64);

impl Reducer<str, u64> for OfFile {
    type Key = str;
    type Value = (u64, u64);
    fn reduce(
        &self,
        word: &str,
        counts: &mut Values<'_, u64>,
        out: &mut impl Emit<str, (u64, u64)>,
    ) -> Result {
        let mut sum = 0;
        while let Some(n) = counts.next()? {
            sum += *n;
        }
        out.emit(word, &(sum, self.0))
    }
}

impl Job for WithoutStopWords {
    const NAME: &'static str = "without-stop-words";
    type Shared = CachedFile;
    type Mapper = Words;
    type Combiner = Sum;
    type Reducer = OfFile;
    fn mapper(&self, file: &CachedFile) -> Result<Words> {
        Ok(Words(std::str::from_utf8(file.bytes())?.lines().map(String::from).collect()))
    }
    fn combiner(&self) -> Sum {
        Sum
    }
    fn reducer(&self, file: &CachedFile) -> Result<OfFile> {
        // Read as code does that wants a path.
        Ok(OfFile(fs::read(file.path()?)?.len() as u64))
    }
}

#[test]
fn a_file_that_is_given_to_every_task_reaches_all_peers() {
    let folder = Folder::new();
    let lines = TextFiles::open([folder.file("text", text(2_000))]).unwrap();
    let pools = [1, 2, 5].map(pool);
    let mut engines = engines(&pools);
    // Of few bytes, and of more than a message has room for.
    for (padding, bytes) in [(0, 8), (3 << 20, 8 + (3 << 20))] {
        let stop_words = format!("line\nw3\n{}", " ".repeat(padding));
        let file = CachedFile::read(folder.file("stop-words", stop_words)).unwrap();
        check(&engines, &WithoutStopWords, &file, &lines, 9_000);
        let data = Dataset::new(lines.clone()).unwrap();
        let counts = engines[1].run(&WithoutStopWords, &file, &data).unwrap().pairs;
        assert!(counts.iter().all(|(word, (_, found))| word != "line" && word != "w3" && *found == bytes));
        assert!(counts.iter().any(|(word, _)| word == "w2"));
    }
    // A driver that comes later finds the peers without files of others.
    engines.push(pools[2].connect_with(PoolOptions { min_peers: 5, ..PoolOptions::default() }).unwrap());
    let file = CachedFile::new("none", "");
    check(&engines, &WithoutStopWords, &file, &lines, 9_000);
}
