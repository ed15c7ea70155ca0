//! Side outputs: lines beside the pairs, whatever the plan, returned and as files, and which jobs may have them.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::{Folder, engine, engines, names};
use mapreduce_core::{
    Error, FailureKind, HashPartitioner, JobId, Memory, Partitioner, Registry, SideOutputError, Written,
    codec,
    filter::{self, FilterError, FilterOptions},
    prelude::*,
};
use proptest::{collection::vec, prelude::*};
use std::{
    collections::{BTreeMap, HashSet},
    fs,
    marker::PhantomData,
    path::Path,
    sync::{Arc, Mutex},
};
use xxhash_rust::xxh3::xxh3_64;

/// A step of the job, and the record or key that it is at.
type Place = (&'static str, u64);

/// Fails once at each place, if it is to fail at all.
#[derive(Clone, Default)]
struct Trips(Option<Arc<Mutex<HashSet<Place>>>>);

impl Trips {
    fn armed() -> Self {
        Self(Some(Arc::default()))
    }

    fn pass(&self, step: &'static str, n: u64) -> Result {
        match &self.0 {
            Some(seen) if n % 3 == 1 && seen.lock().unwrap().insert((step, n)) => Err("tripped".into()),
            _ => Ok(()),
        }
    }
}

/// Sums numbers by their last digit. Multiples of seven are `bad`, and multiples of five `late`, which sums of odd digits
/// are as well.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct Sieve<C, R> {
    #[serde(skip)]
    trips: Trips,
    parts: PhantomData<fn() -> (C, R)>,
}

impl<C, R> Sieve<C, R> {
    fn new(trips: Trips) -> Self {
        Self { trips, parts: PhantomData }
    }
}

type Combined = Sieve<Sum, Sift>;
type Plain = Sieve<NoCombiner, Sift>;
type MapOnly = Sieve<NoCombiner, NoReducer>;

impl<C: 'static, R: 'static> Mapper for Sieve<C, R> {
    type Input = Items<u64>;
    type Key = u64;
    type Value = u64;

    fn map(&self, n: &u64, out: &mut impl Emit<u64, u64>) -> Result {
        if n.is_multiple_of(7) {
            out.side("bad", format!("bad {n}").as_bytes())?;
        }
        if n.is_multiple_of(5) {
            out.side("late", n.to_string().as_bytes())?;
        }
        if !n.is_multiple_of(7) {
            out.emit(&(n % 10), n)?;
        }
        self.trips.pass("map", *n)
    }
}

struct Sift(Trips);

impl Reducer<u64, u64> for Sift {
    type Key = u64;
    type Value = u64;

    fn reduce(&self, key: &u64, values: &mut Values<'_, u64>, out: &mut impl Emit<u64, u64>) -> Result {
        let mut sum = 0;
        while let Some(n) = values.next()? {
            sum += *n;
        }
        match key % 2 {
            0 => out.emit(key, &sum)?,
            _ => out.side("late", format!("{key} {sum}").as_bytes())?,
        }
        self.0.pass("reduce", *key)
    }
}

trait Made: Reducer<u64, u64, Key = u64, Value = u64> {
    fn made(trips: &Trips) -> Self;
}

impl Made for Sift {
    fn made(trips: &Trips) -> Self {
        Self(trips.clone())
    }
}

impl Made for NoReducer {
    fn made(_: &Trips) -> Self {
        Self
    }
}

impl<C, R> Clone for Sieve<C, R> {
    fn clone(&self) -> Self {
        Self { trips: self.trips.clone(), parts: PhantomData }
    }
}

impl<C: Combiner<u64, u64> + Default, R: Made> Job for Sieve<C, R> {
    const NAME: &'static str = "sieve";
    const SIDE_OUTPUTS: &'static [&'static str] = &["late", "bad", "unused"];
    type Shared = ();
    type Mapper = Sieve<C, R>;
    type Combiner = C;
    type Reducer = R;

    fn mapper(&self, (): &()) -> Result<Self> {
        Ok(self.clone())
    }

    fn combiner(&self) -> C {
        C::default()
    }

    fn reducer(&self, (): &()) -> Result<R> {
        Ok(R::made(&self.trips))
    }
}

/// What the job is to give.
#[derive(Debug, Default, PartialEq)]
struct Expected {
    pairs: Vec<(u64, u64)>,
    bad: Vec<Vec<u8>>,
    late: Vec<Vec<u8>>,
}

/// By the book: the lines of mappers in the order of the input, those of reducers by partition and key.
fn expected(numbers: &[u64], partitions: u32, reduces: bool) -> Expected {
    let mut expected = Expected::default();
    let mut sums = BTreeMap::new();
    for n in numbers {
        if n % 5 == 0 {
            expected.late.push(n.to_string().into_bytes());
        }
        if n % 7 == 0 {
            expected.bad.push(format!("bad {n}").into_bytes());
            continue;
        }
        match reduces {
            true => *sums.entry(n % 10).or_insert(0) += n,
            false => expected.pairs.push((n % 10, *n)),
        }
    }
    for partition in 0..partitions {
        let encoded = |key: &u64| key.to_be_bytes();
        for (key, sum) in &sums {
            if HashPartitioner.partition(key, &encoded(key), partitions) != partition {
                continue;
            }
            match key % 2 {
                0 => expected.pairs.push((*key, *sum)),
                _ => expected.late.push(format!("{key} {sum}").into_bytes()),
            }
        }
    }
    expected
}

fn found<J>(output: &Output<J>) -> Expected
where
    J: Job<Mapper: Mapper<Key = u64, Value = u64>, Reducer: Reducer<u64, u64, Key = u64, Value = u64>>,
{
    assert!(output.side("unused").is_empty() && output.side("another").is_empty());
    Expected {
        pairs: output.pairs.clone(),
        bad: output.side("bad").to_vec(),
        late: output.side("late").to_vec(),
    }
}

fn options(partitions: u32) -> Options {
    Options { partitions: Some(partitions), attempts_max: 10_000, ..Options::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn lines_are_those_of_the_oracle_whatever_the_plan(
        numbers in vec(0..500u64, 0..80),
        partitions in 1..5u32,
        split_bytes in prop_oneof![Just(1u64), 1..200u64, Just(u64::MAX)],
        segment_bytes in prop_oneof![Just(1usize), 1..400usize, Just(16 << 20)],
        fails in any::<bool>(),
    ) {
        let data = Dataset::with_split_bytes(ItemSlice::new(&numbers), split_bytes).unwrap();
        let options = Options { segment_bytes, ..options(partitions) };
        let trips = || if fails { Trips::armed() } else { Trips::default() };
        for engine in engines() {
            let combined = Combined::new(trips());
            let combined = engine.run_with(&combined, &(), &data, &options).unwrap();
            prop_assert_eq!(found(&combined), expected(&numbers, partitions, true));
            let plain = Plain::new(trips());
            let plain = engine.run_with(&plain, &(), &data, &options).unwrap();
            prop_assert_eq!(found(&plain), expected(&numbers, partitions, true));
            let map_only = MapOnly::new(trips());
            let map_only = engine.run_with(&map_only, &(), &data, &options).unwrap();
            prop_assert_eq!(found(&map_only), expected(&numbers, partitions, false));
        }
    }
}

/// The lines of a side output's files, which are as they are described.
fn lines(out: &Path, written: &Written, output: &str) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (i, file) in written.sides[output].iter().enumerate() {
        assert_eq!(file.name, format!("{output}-{i:05}"));
        let content = fs::read(out.join(&file.name)).unwrap();
        let lines = content.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
        let before = all.len();
        all.extend(lines);
        assert_eq!((file.records, file.bytes), ((all.len() - before) as u64, content.len() as u64));
        assert_eq!(file.xxh3, xxh3_64(&content));
    }
    all
}

#[test]
fn files_of_each_format_are_beside_lines_in_files_of_their_own() {
    let numbers: Vec<u64> = (0..300).collect();
    let data = Dataset::with_split_bytes(ItemSlice::new(&numbers), 160).unwrap();
    let expected = expected(&numbers, 3, true);
    for format in [Format::Text, Format::Csv, Format::JsonLines, Format::Parquet] {
        let folder = Folder::new();
        let out = folder.join("out");
        let to = PartFiles::new(&out).with_format(format);
        let job = Combined::new(Trips::armed());
        let written = engine().write(&job, &(), &data, &to, &options(3)).unwrap();
        assert!(written.report.attempts_failed > 10, "{format}");

        assert_eq!(lines(&out, &written, "bad"), expected.bad, "{format}");
        assert_eq!(lines(&out, &written, "late"), expected.late, "{format}");
        assert_eq!(written.sides["unused"], []);
        let parts: Vec<&str> = written.parts.iter().map(|part| &*part.name).collect();
        assert_eq!(parts, ["part-00000", "part-00001", "part-00002"], "{format}");
        assert_eq!(written.parts.iter().map(|part| part.records).sum::<u64>(), expected.pairs.len() as u64);
        // Only what committed is there.
        let sides = written.sides.values().flatten().map(|file| &*file.name);
        let mut all: Vec<&str> =
            ["_MANIFEST.json", "_SUCCESS"].into_iter().chain(parts).chain(sides).collect();
        all.sort_unstable();
        assert_eq!(names(&out), all, "{format}");

        let manifest: serde_json::Value =
            serde_json::from_slice(&fs::read(out.join("_MANIFEST.json")).unwrap()).unwrap();
        assert_eq!(manifest["sides"], serde_json::to_value(&written.sides).unwrap());
        assert_eq!(manifest["records"], expected.pairs.len());
        let all_records = expected.pairs.len() + expected.bad.len() + expected.late.len();
        assert_eq!(written.report.output_records, all_records as u64);
    }
}

#[test]
fn lines_larger_than_the_budget_are_the_same() {
    let numbers: Vec<u64> = (0..20_000).collect();
    let data = Dataset::with_split_bytes(ItemSlice::new(&numbers), 4000).unwrap();
    let folder = Folder::new();
    let memory = Memory::limited(6 << 20).spilling_to(folder.path());
    let small = Local::new(2).unwrap().with_memory(memory.clone());
    // As much as the budget leaves is held by another.
    let options = Options { segment_bytes: 64 << 10, ..options(3) };
    let held = memory.hold(6 << 20);
    let job = Plain::new(Trips::default());
    let output = small.run_with(&job, &(), &data, &options).unwrap();
    let chained = small.chain(&job, &(), &data, &options).unwrap();
    drop(held);
    assert!(memory.spilled_bytes() > 0);
    let expected = expected(&numbers, 3, true);
    assert!(found(&output) == expected);
    assert!(chained.side("bad").unwrap() == expected.bad && chained.side("late").unwrap() == expected.late);
}

/// Gives the pairs of a job back.
#[derive(Clone, Serialize, Deserialize)]
struct Again;

impl Mapper for Again {
    type Input = Pairs<u64, u64>;
    type Key = u64;
    type Value = u64;
    fn map(&self, (key, value): (&u64, &u64), out: &mut impl Emit<u64, u64>) -> Result {
        out.emit(key, value)
    }
}

impl SimpleJob for Again {
    const NAME: &'static str = "again";
    type Combiner = NoCombiner;
    type Reducer = NoReducer;
}

#[test]
fn a_chained_job_gets_the_pairs_and_the_program_the_lines() {
    let numbers: Vec<u64> = (0..400).collect();
    let data = Dataset::with_split_bytes(ItemSlice::new(&numbers), 160).unwrap();
    let run = |reduces, chained: mapreduce_core::Chained<u64, u64>, split_bytes| {
        let expected = expected(&numbers, 3, reduces);
        assert_eq!(chained.pairs(), expected.pairs.len() as u64);
        assert_eq!(chained.side("bad").unwrap(), expected.bad);
        assert_eq!(chained.side("late").unwrap(), expected.late);
        assert!(chained.side("unused").unwrap().is_empty() && chained.side("another").unwrap().is_empty());
        let pairs = Dataset::with_split_bytes(chained, split_bytes).unwrap();
        assert_eq!(engine().run(&Again, &(), &pairs).unwrap().pairs, expected.pairs);
    };
    for split_bytes in [1, 30, u64::MAX] {
        let combined = engine().chain(&Combined::new(Trips::default()), &(), &data, &options(3)).unwrap();
        run(true, combined, split_bytes);
        let map_only = engine().chain(&MapOnly::new(Trips::default()), &(), &data, &options(3)).unwrap();
        run(false, map_only, split_bytes);
    }
}

macro_rules! over_lines {
    ($job:ident, $outputs:expr, |$line:ident, $out:ident| $body:expr) => {
        #[derive(Clone, Serialize, Deserialize)]
        struct $job;

        impl Mapper for $job {
            type Input = Lines;
            type Key = [u8];
            type Value = ();
            fn map(&self, $line: &[u8], $out: &mut impl Emit<[u8], ()>) -> Result {
                $body
            }
        }

        impl SimpleJob for $job {
            const NAME: &'static str = stringify!($job);
            const SIDE_OUTPUTS: &'static [&'static str] = $outputs;
            type Combiner = NoCombiner;
            type Reducer = NoReducer;
        }
    };
}

over_lines!(Raw, &["raw"], |line, out| out.side("raw", line));
over_lines!(Other, &["bad", "late"], |line, out| out.side("worse", line));
over_lines!(PassedOver, &["bad"], |line, out| {
    let _ = out.side("worse", line);
    Ok(())
});
over_lines!(NoOutputs, &[], |line, out| out.side("bad", line));
over_lines!(BadName, &["bad", "a/b"], |_line, _out| panic!("it does not run"));

fn text(folder: &Folder, text: &[u8]) -> Dataset<TextFiles<Lines>> {
    Dataset::new(TextFiles::open_bytes([folder.file("text", text)]).unwrap()).unwrap()
}

#[test]
fn lines_are_any_bytes_and_stand_as_they_are() {
    let (folder, content) = (Folder::new(), b"a\tb\n\xff\x00\n\nend\n");
    let out = folder.join("out");
    let written =
        engine().write(&Raw, &(), &text(&folder, content), &PartFiles::new(&out), &options(2)).unwrap();
    assert_eq!(fs::read(out.join("raw-00000")).unwrap(), content);
    assert_eq!(written.parts.iter().map(|part| part.bytes).collect::<Vec<_>>(), [0, 0]);
}

#[test]
fn an_output_that_the_job_does_not_have_is_an_error_that_cannot_be_passed_over() {
    let folder = Folder::new();
    let data = text(&folder, b"a\n");
    let options = Options { attempts_max: 1, ..Options::default() };
    let message = |error: Error| match error {
        Error::Task(task) if task.failure.kind == FailureKind::User => task.failure.message,
        other => panic!("{other}"),
    };
    let other = message(engine().run_with(&Other, &(), &data, &options).unwrap_err());
    assert_eq!(
        other,
        "there is no side output \"worse\" here (there are bad, late); name it in `SIDE_OUTPUTS` of the job"
    );
    let none = message(engine().run_with(&NoOutputs, &(), &data, &options).unwrap_err());
    assert!(none.contains("(there is none)"), "{none}");
    let passed_over = message(engine().run_with(&PassedOver, &(), &data, &options).unwrap_err());
    assert!(passed_over.contains("passed over"), "{passed_over}");
}

#[test]
fn a_name_that_no_file_can_have_is_refused_before_anything_runs() {
    let folder = Folder::new();
    let data = text(&folder, b"a\n");
    let refused = |error: Error| match error {
        Error::SideOutputs { job, reason } => {
            assert_eq!(job, "BadName");
            assert!(matches!(reason, SideOutputError::Name { output: "a/b", .. }), "{reason}");
        }
        other => panic!("{other}"),
    };
    refused(engine().run(&BadName, &(), &data).unwrap_err());
    refused(engine().chain(&BadName, &(), &data, &options(1)).unwrap_err());
    let to = PartFiles::new(folder.join("out"));
    refused(engine().write(&BadName, &(), &data, &to, &options(1)).unwrap_err());
    assert_eq!(folder.names(), ["text"]);
}

#[test]
fn a_filter_refuses_a_job_with_side_outputs() {
    let options = FilterOptions::default();
    let refused = |error: FilterError| match error {
        FilterError::SideOutputs { job, outputs } => assert_eq!((&*job, &*outputs), ("Other", "bad, late")),
        other => panic!("{other}"),
    };
    refused(filter::map(&Other, &(), &b"a\n"[..], Vec::new(), &options).unwrap_err());
    refused(filter::reduce(&Other, &(), &b""[..], Vec::new(), &options).unwrap_err());
}

#[test]
fn nodes_agree_on_the_names_and_are_told_of_the_partition_for_lines() {
    mod renamed {
        use super::*;
        over_lines!(Raw, &["cooked"], |line, out| out.side("cooked", line));
        pub(super) fn id() -> JobId {
            JobId::of::<Raw>()
        }
    }
    assert_ne!(JobId::of::<Raw>(), renamed::id());

    let registry = Registry::new().with::<Raw>().unwrap();
    let job = registry.get(&JobId::of::<Raw>()).unwrap();
    let mut params = Vec::new();
    codec::encode(&Raw, &mut params).unwrap();
    let error = job.round(&params, &[], 1).err().unwrap().to_string();
    assert!(error.contains("at least 2 partitions"), "{error}");
    assert!(job.round(&params, &[], 2).is_ok());
}
