//! Partitions that are reduced by several threads at once, because there are fewer of them than threads: what comes out,
//! where it goes, and what fails, is as if one thread had done it.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::{
    Folder, engines, names,
    probe::{Probe, numbers},
};
use mapreduce_core::{Error, FailureKind, Format, Memory, TaskError, prelude::*};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

/// Segments so small that ranges are a few of what is emitted here.
const SEGMENT_BYTES: usize = 100_000;
const NUMBERS: u64 = 60_000;

fn options() -> Options {
    Options { partitions: Some(1), segment_bytes: SEGMENT_BYTES, attempts_max: 1, ..Options::default() }
}

fn mixed(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

/// Keys of 0 to 40 bytes, of which many begin alike, and one has a sixth of all numbers.
fn key(n: u64) -> String {
    let at = mixed(n) % 9_000;
    match n % 6 {
        0 => "m".into(),
        1 => String::new(),
        2 => format!("shared beginning of sixteen and more {:03x}", at % 4_000),
        3 => "x".repeat((at % 41) as usize),
        _ => format!("{at:b}"),
    }
}

/// What of the values of a key does not hold in any other order.
fn digest(values: impl IntoIterator<Item = u64>) -> (u64, u64) {
    values.into_iter().fold((0, 7), |(count, order), n| (count + 1, mixed(order) ^ n))
}

#[derive(Clone, Serialize, Deserialize)]
struct Ordered;

impl Mapper for Ordered {
    type Input = Items<u64>;
    type Key = str;
    type Value = u64;

    fn map(&self, n: &u64, out: &mut impl Emit<str, u64>) -> Result {
        if n.is_multiple_of(1_000) {
            out.side("told", format!("mapped {n}").as_bytes())?;
        }
        out.emit(&key(*n), n)
    }
}

impl Reducer<str, u64> for Ordered {
    type Key = str;
    type Value = (u64, u64);

    fn reduce(
        &self,
        key: &str,
        values: &mut Values<'_, u64>,
        out: &mut impl Emit<str, (u64, u64)>,
    ) -> Result {
        let mut all = Vec::new();
        while let Some(n) = values.next()? {
            all.push(*n);
        }
        out.count("keys", 1);
        let digest = digest(all);
        if digest.0.is_multiple_of(5) {
            out.side("told", key.as_bytes())?;
        }
        (0..digest.1 % 3).try_for_each(|_| out.emit(key, &digest))
    }
}

impl Job for Ordered {
    const NAME: &'static str = "ordered";
    const SIDE_OUTPUTS: &'static [&'static str] = &["told"];
    type Shared = ();
    type Mapper = Self;
    type Combiner = NoCombiner;
    type Reducer = Self;

    fn mapper(&self, (): &()) -> Result<Self> {
        Ok(Self)
    }

    fn combiner(&self) -> NoCombiner {
        NoCombiner
    }

    fn reducer(&self, (): &()) -> Result<Self> {
        Ok(Self)
    }
}

#[test]
fn the_pairs_lines_and_counters_are_those_of_a_fold() {
    let mut groups = BTreeMap::<String, Vec<u64>>::new();
    (0..NUMBERS).for_each(|n| groups.entry(key(n)).or_default().push(n));
    let (mut pairs, mut lines) = (Vec::new(), Vec::new());
    lines.extend((0..NUMBERS).step_by(1_000).map(|n| format!("mapped {n}").into_bytes()));
    for (key, values) in &groups {
        let digest = digest(values.iter().copied());
        if digest.0.is_multiple_of(5) {
            lines.push(key.clone().into_bytes());
        }
        pairs.extend((0..digest.1 % 3).map(|_| (key.clone(), digest)));
    }
    for engine in engines() {
        let output = engine.run_with(&Ordered, &(), &numbers(NUMBERS, 12), &options()).unwrap();
        assert!(output.pairs == pairs, "{} threads", engine.threads());
        assert!(output.side("told") == lines, "{} threads", engine.threads());
        assert_eq!(
            (output.counters.get("keys"), output.report.keys),
            (groups.len() as u64, groups.len() as u64)
        );
    }
}

/// All files of a folder.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    names(folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
}

#[test]
fn files_of_every_format_are_those_that_one_thread_writes() {
    let formats = [
        Format::Text,
        Format::Csv,
        Format::JsonLines,
        #[cfg(feature = "parquet")]
        Format::Parquet,
    ];
    for format in formats {
        let folder = Folder::new();
        let written: Vec<_> = engines()
            .iter()
            .map(|engine| {
                let path = folder.join(&engine.threads().to_string());
                let to = PartFiles::new(&path).with_format(format);
                let written = engine.write(&Ordered, &(), &numbers(NUMBERS, 12), &to, &options()).unwrap();
                assert_eq!(
                    written.parts[0].records,
                    written.report.output_records
                        - written.sides["told"].iter().map(|side| side.records).sum::<u64>()
                );
                files(&path)
            })
            .collect();
        assert_eq!(written[0].len(), 5);
        assert!(written.iter().all(|files| *files == written[0]), "{format}");
    }
}

/// A job with a key for each number, whose partition is cut into ranges, and what its reducer does.
fn each(reduce: impl Fn(u64) -> Result + Send + Sync + 'static) -> Probe {
    let probe = Probe::default().on_map(|n, out| out.emit(&mixed(n), &n)).on_partition(|_, _| 0);
    probe.on_reduce(move |key, values, out| {
        reduce(key)?;
        while let Some(n) = values.next()? {
            out.emit(&key, &n)?;
        }
        Ok(())
    })
}

#[test]
fn threads_that_have_nothing_else_to_do_reduce_the_same_partition() {
    let callers = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
    let seen = callers.clone();
    let job = each(move |_| {
        let (threads, came) = &*seen;
        let mut threads = threads.lock().unwrap();
        let this = std::thread::current().id();
        if !threads.contains(&this) {
            threads.push(this);
            came.notify_all();
            // Goes on at once if there are two.
            let two = came.wait_timeout_while(threads, Duration::from_secs(60), |threads| threads.len() < 2);
            drop(two.unwrap());
        }
        Ok(())
    });
    let output = engines()[1].run_with(&job, &(), &numbers(NUMBERS, 12), &options()).unwrap();
    assert_eq!((output.pairs.len() as u64, output.pairs.is_sorted()), (NUMBERS, true));
    assert_eq!(callers.0.lock().unwrap().len(), 2);
}

#[test]
fn the_first_key_that_fails_is_named() {
    let mut keys: Vec<u64> = (0..NUMBERS).map(mixed).collect();
    keys.sort_unstable();
    let [first, second] = [20_000, 50_000].map(|i| keys[i]);
    let failure = |job: &Probe| {
        let error = engines()[1].run_with(job, &(), &numbers(NUMBERS, 12), &options()).unwrap_err();
        let Error::Task(error) = error else { panic!("{error}") };
        let TaskError { failure, .. } = *error;
        (failure.kind, failure.message, failure.place)
    };
    let place = format!("partition 0, key \"{}\"", first.to_be_bytes().escape_ascii());
    let job = each(move |key| if key == first || key == second { Err("no luck".into()) } else { Ok(()) });
    assert_eq!(failure(&job), (FailureKind::User, "no luck".to_string(), place.clone()));
    let job = each(move |key| {
        assert!(key != first && key != second, "this key panics");
        Ok(())
    });
    assert_eq!(failure(&job), (FailureKind::Panic, "this key panics".to_string(), place));
}

/// Of what a range gives there may be far more than of what it is made of.
#[test]
fn what_does_not_fit_into_the_budget_is_spilled_before_it_is_put_together() {
    let job = Probe::default().on_map(|n, out| out.emit(&mixed(n), &n)).on_partition(|_, _| 0);
    let job = job.on_reduce(|key, values, out| {
        while let Some(n) = values.next()? {
            (0..30).try_for_each(|i| out.emit(&key, &(*n + i)))?;
        }
        Ok(())
    });
    let budget = 2 * (2 * SEGMENT_BYTES as u64 + (2 << 20)) + 3_000_000;
    let run = |memory: &Memory| {
        let engine = Local::new(2).unwrap().with_memory(memory.clone());
        engine.run_with(&job, &(), &numbers(NUMBERS, 12), &options()).unwrap().pairs
    };
    let (plenty, little) = (Memory::limited(u64::MAX), Memory::limited(budget));
    let expected: Vec<(u64, u64)> = {
        let mut keys: Vec<_> = (0..NUMBERS).map(|n| (mixed(n), n)).collect();
        keys.sort_unstable();
        keys.into_iter().flat_map(|(key, n)| (0..30).map(move |i| (key, n + i))).collect()
    };
    assert!(run(&plenty) == expected && run(&little) == expected);
    assert_eq!(plenty.spilled_bytes(), 0);
    assert!(little.spilled_bytes() > 0 && little.held_bytes_max() <= budget, "{}", little.held_bytes_max());
}
