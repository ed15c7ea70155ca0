//! Rounds that know a job only as bytes: the same as typed ones, with caches that last, and no panic gets out.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::{
    engine,
    probe::{Probe, numbers, sum, sums},
};
use mapreduce_core::{
    Cancel, Dataset, Engine, Error, FailureKind, Input, ItemSlice, JobId, KeyOf, Memory, Partitioner,
    ReadError, Registry, TaskFailure, codec,
    engine::ship,
    exec::{
        Attempt, AttemptError, Chunks, ErasedRound, MapInput, MapOutput, ReducedPartition, Run, erased_round,
    },
    input::SplitCache,
    prelude::*,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

/// Blocks that were sent.
struct Sent(Vec<Vec<u8>>, usize);

impl Chunks for Sent {
    fn next_chunk(&mut self) -> Result<Option<&[u8]>, ReadError> {
        self.1 += 1;
        Ok(self.0.get(self.1 - 1).map(Vec::as_slice))
    }
}

/// A map attempt over a split of `data`, whose shape is empty.
fn map<I: Input>(
    round: &dyn ErasedRound,
    data: &Dataset<I>,
    split: u32,
    cache: &mut SplitCache,
    attempt: &Attempt,
) -> Result<MapOutput, AttemptError> {
    let mut chunks = Sent(Vec::new(), 0);
    ship(data, split, &mut |chunk| chunks.0.push(chunk.to_vec())).unwrap();
    let splits = data.splits().len() as u32;
    let memory = &Memory::limited(u64::MAX);
    let input = MapInput {
        index: split,
        splits,
        split: &data.splits()[split as usize],
        shape: &[],
        chunks: &mut chunks,
        cache,
        attempt,
        segment_bytes: Options::default().segment_bytes,
        memory,
    };
    round.map(input)
}

fn failed<T>(result: Result<T, AttemptError>) -> TaskFailure {
    match result {
        Err(error) => error.failure,
        Ok(_) => panic!("should have failed"),
    }
}

/// The attempts of a job over numbers, on one partition.
fn run(round: &dyn ErasedRound, data: &Dataset<ItemSlice<u64, Vec<u64>>>) -> ReducedPartition {
    let attempt = Attempt::default();
    let maps: Vec<MapOutput> = (0..data.splits().len() as u32)
        .map(|split| map(round, data, split, &mut SplitCache::default(), &attempt).unwrap())
        .collect();
    let runs: Vec<&Run> = maps.iter().map(|output| &output.runs[0]).collect();
    round.reduce(0, &runs, &attempt, &Memory::limited(u64::MAX)).unwrap()
}

#[test]
fn an_erased_round_of_a_typed_job_reduces_to_the_typed_output() {
    let data = numbers(1_000, 4);
    let count = |n: u64, values: &mut Values<'_, u64>, out: &mut common::probe::Out<'_>| {
        out.count("sums", 1);
        sum(n, values, out)
    };
    let job = Probe::default().on_reduce(count);
    let reduced = run(&*erased_round(&job, &(), 1).unwrap(), &data);
    let mut pairs: Vec<(u64, u64)> = Vec::new();
    let mut reader = reduced.run.reader();
    while let Some((key, value)) = reader.next_pair().unwrap() {
        let key = *<u64 as mapreduce_core::Datum>::decode(key).unwrap();
        pairs.push((key, codec::decode(value).unwrap()));
    }
    assert_eq!(pairs, sums(1_000));
    assert_eq!((reduced.keys, reduced.counters.get("sums")), (10, 10));
    let typed = engine().run(&job, &(), &data).unwrap();
    assert_eq!((typed.pairs, typed.counters), (pairs, reduced.counters));
}

#[test]
fn caches_last_from_round_to_round() {
    let data = numbers(100, 2);
    let seen = Arc::new(AtomicU32::new(0));
    let found = seen.clone();
    let job = Probe::default().on_split(move |split| {
        let rounds = split.take_cache::<u32>().map_or(0, |rounds| *rounds);
        found.fetch_add(rounds, Ordering::Relaxed);
        split.put_cache(Box::new(rounds + 1));
        Ok(())
    });
    let mut caches = [SplitCache::default(), SplitCache::default()];
    assert!(caches[0].is_empty());
    for _ in 0..3 {
        let round = erased_round(&job, &(), 1).unwrap();
        for (split, cache) in (0..).zip(&mut caches) {
            map(&*round, &data, split, cache, &Attempt::default()).unwrap();
        }
    }
    // 0, 1 and 2 rounds before, of each split.
    assert_eq!(seen.load(Ordering::Relaxed), 6);
    assert!(!caches[0].is_empty());
    caches.into_iter().for_each(SplitCache::discard);
}

#[test]
fn an_attempt_that_is_not_wanted_stops() {
    let data = numbers(100, 2);
    let round = erased_round(&Probe::default(), &(), 1).unwrap();
    let attempt = Attempt::default();
    attempt.cancel();
    let cache = &mut SplitCache::default();
    assert_eq!(failed(map(&*round, &data, 0, cache, &attempt)).kind, FailureKind::Cancelled);
    let output = map(&*round, &data, 0, cache, &Attempt::default()).unwrap();
    assert_eq!(
        failed(round.reduce(0, &[&output.runs[0]], &attempt, &Memory::limited(u64::MAX))).kind,
        FailureKind::Cancelled
    );
    let job = Cancel::new();
    let attempt = Attempt::of(&job);
    job.cancel();
    assert_eq!(failed(map(&*round, &data, 0, cache, &attempt)).kind, FailureKind::Cancelled);
}

#[test]
fn failures_say_the_record_and_the_key_but_not_the_split() {
    let data = numbers(100, 2);
    let job = Probe::default()
        .on_map(|n, out| if n == 53 { Err("odd one out".into()) } else { out.emit(&(n % 10), &n) })
        .on_reduce(|key, _, _| if key == 3 { panic!("no sum of {key}") } else { Ok(()) });
    let round = erased_round(&job, &(), 2).unwrap();
    let error = map(&*round, &data, 1, &mut SplitCache::default(), &Attempt::default()).unwrap_err();
    assert_eq!(error.to_string(), "error (record 4): odd one out");
    let AttemptError { failure, permanent } = error;
    assert!(!permanent);
    assert_eq!(
        failure.with_place("items 50 to 100").to_string(),
        "error (items 50 to 100, record 4): odd one out"
    );

    let output = map(&*round, &data, 0, &mut SplitCache::default(), &Attempt::default()).unwrap();
    let failure =
        failed(round.reduce(1, &[&output.runs[1]], &Attempt::default(), &Memory::limited(u64::MAX)));
    assert_eq!((failure.kind, &*failure.message), (FailureKind::Panic, "no sum of 3"));
    assert!(failure.place.starts_with("partition 1, key "), "{failure}");
}

#[test]
fn failures_survive_the_codec() {
    let failure = TaskFailure::new(FailureKind::Storage, "gone").with_place("a.txt").with_record(Some(7));
    let error = AttemptError { failure, permanent: false };
    let mut bytes = Vec::new();
    codec::encode(&error, &mut bytes).unwrap();
    assert_eq!(codec::decode::<AttemptError>(&bytes).unwrap(), error);
    assert_eq!(error.to_string(), "other storage (a.txt, record 7): gone");
}

/// A job whose parts panic where they are told to, also where nobody expects it.
#[derive(Clone, Default, PartialEq)]
struct Panics(&'static str);

impl Panics {
    fn at(&self, step: &str) {
        if self.0 == step {
            panic!("a panic in {step}");
        }
    }
}

const PLACES: [&str; 7] =
    ["nowhere", "decode", "mapper", "combiner", "partitioner", "drop of the job", "drop of the mapper"];

/// The encoded job is the place where it panics.
impl Serialize for Panics {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Panics {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let place = String::deserialize(deserializer)?;
        let job = Self(PLACES.into_iter().find(|known| *known == place).unwrap_or_default());
        job.at("decode");
        Ok(job)
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.at("drop of the job");
        }
    }
}

struct PanicsMapper(Panics);

impl Drop for PanicsMapper {
    fn drop(&mut self) {
        self.0.at("drop of the mapper");
    }
}

impl Mapper for PanicsMapper {
    type Input = Items<u64>;
    type Key = u64;
    type Value = u64;
    fn map(&self, n: &u64, out: &mut impl Emit<u64, u64>) -> Result {
        out.emit(n, n)
    }
}

impl Job for Panics {
    const NAME: &'static str = "panics";
    type Shared = ();
    type Mapper = PanicsMapper;
    type Combiner = NoCombiner;
    type Reducer = Identity;
    fn mapper(&self, (): &()) -> Result<PanicsMapper> {
        self.at("mapper");
        let place = if self.0 == "drop of the mapper" { self.0 } else { "" };
        Ok(PanicsMapper(Self(place)))
    }
    fn combiner(&self) -> NoCombiner {
        self.at("combiner");
        NoCombiner
    }
    fn reducer(&self, (): &()) -> Result<Identity> {
        Ok(Identity)
    }
    fn partitioner(&self, (): &()) -> Result<Box<dyn Partitioner<KeyOf<Self>>>> {
        self.at("partitioner");
        Ok(Box::new(mapreduce_core::HashPartitioner))
    }
}

#[test]
fn no_panic_of_a_jobs_set_up_gets_out() {
    let registry = Registry::new().with::<Panics>().unwrap();
    let job = registry.get(&JobId::of::<Panics>()).unwrap();
    let mut messages = BTreeMap::new();
    for place in PLACES {
        let mut params = Vec::new();
        codec::encode(place, &mut params).unwrap();
        match job.round(&params, &[], 1) {
            Ok(round) => drop(round),
            Err(error @ Error::Job { .. }) => drop(messages.insert(place, error.to_string())),
            Err(other) => panic!("{other}"),
        }
    }
    let expected = [
        ("combiner", "job panics: combiner: panic: a panic in combiner"),
        ("decode", "job panics: parameters: panic: a panic in decode"),
        ("drop of the job", "job panics: set-up: panic: a panic in drop of the job"),
        ("mapper", "job panics: mapper: panic: a panic in mapper"),
        ("partitioner", "job panics: partitioner: panic: a panic in partitioner"),
    ];
    assert_eq!(messages, expected.map(|(place, message)| (place, message.to_string())).into());
}

#[test]
fn no_panic_of_a_cached_value_gets_out() {
    /// Panics when it is dropped, if it is told to.
    struct Touchy(Arc<AtomicBool>);
    impl Drop for Touchy {
        fn drop(&mut self) {
            if self.0.swap(false, Ordering::Relaxed) {
                panic!("touchy");
            }
        }
    }
    let armed = Arc::new(AtomicBool::new(false));
    let touchy = armed.clone();
    let job = Probe::default().on_split(move |split| {
        split.put_cache(Box::new(Touchy(touchy.clone())));
        Ok(())
    });
    let (data, round) = (numbers(10, 1), erased_round(&job, &(), 1).unwrap());
    let mut cache = SplitCache::default();
    map(&*round, &data, 0, &mut cache, &Attempt::default()).unwrap();
    // The second attempt replaces what is there.
    armed.store(true, Ordering::Relaxed);
    let failure = failed(map(&*round, &data, 0, &mut cache, &Attempt::default()));
    assert_eq!((failure.kind, &*failure.message), (FailureKind::Panic, "touchy"));
    map(&*round, &data, 0, &mut cache, &Attempt::default()).unwrap();
    armed.store(true, Ordering::Relaxed);
    cache.discard();
    assert!(!armed.load(Ordering::Relaxed));
}
