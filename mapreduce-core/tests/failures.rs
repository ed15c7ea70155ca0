//! What goes wrong in user code ends as an error that says where, after as many attempts as asked for.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::{
    engine,
    probe::{self, Probe, numbers, sums},
};
use mapreduce_core::{
    Dataset, Error, FailureKind, Input, Local, Options, ReadError, SplitInfo, TaskError, input::Blocks,
    prelude::*, schedule::TaskId,
};
use std::{
    fmt, panic,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

/// Panics of user code are expected here: the threads of the engines do not print theirs.
fn expect_panics() {
    static QUIET: LazyLock<()> = LazyLock::new(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let worker = thread::current().name().is_some_and(|name| name.starts_with("mapreduce-"));
            if !worker {
                print(info);
            }
        }));
    });
    LazyLock::force(&QUIET);
}

/// Runs a job over 100 numbers in 4 splits, which is to fail in a task; the engine then runs another.
fn fails_with(job: &Probe, options: &Options) -> TaskError {
    expect_panics();
    let result = engine().run_with(job, &(), &numbers(100, 4), options);
    assert_eq!(engine().run(&Probe::default(), &(), &numbers(100, 4)).unwrap().pairs, sums(100));
    match result {
        Err(Error::Task(error)) => *error,
        other => panic!("{other:?}"),
    }
}

fn fails(job: &Probe) -> TaskError {
    fails_with(job, &Options { partitions: Some(3), ..Options::default() })
}

#[test]
fn an_error_in_map_names_job_task_split_and_record() {
    let error = fails(&Probe::default().on_map(|n, out| match n {
        37 => Err("no luck".into()),
        n => probe::by_last_digit(n, out),
    }));
    assert_eq!((error.task, error.attempts), (TaskId::Map(1), 4));
    assert_eq!((error.failure.kind, error.failure.record), (FailureKind::User, Some(13)));
    assert_eq!(
        Error::Task(Box::new(error)).to_string(),
        "job probe: map 1 failed 4 times: error (items 25 to 50, record 13): no luck"
    );
}

#[test]
fn a_panic_in_map_names_the_record() {
    let error = fails(&Probe::default().on_map(|n, out| {
        assert_ne!(n, 99, "not this one");
        probe::by_last_digit(n, out)
    }));
    assert_eq!(
        (error.task, error.failure.kind, error.failure.record),
        (TaskId::Map(3), FailureKind::Panic, Some(25))
    );
    assert!(error.to_string().contains("panic (items 75 to 100, record 25): "), "{error}");
    assert!(error.failure.message.contains("not this one"), "{error}");
}

#[test]
fn a_panic_without_a_message_is_called_that() {
    let error = fails(&Probe::default().on_map(|_, _| panic::panic_any(7)));
    assert_eq!(error.failure.message, "a panic without a message");
}

#[test]
fn a_panic_in_combine_names_the_record_whose_value_was_folded() {
    let error = fails(&Probe::default().on_combine(|key, _, value| assert_ne!((*key, *value), (4, 64))));
    assert_eq!(
        (error.task, error.failure.kind, error.failure.record),
        (TaskId::Map(2), FailureKind::Panic, Some(15))
    );
}

#[test]
fn a_panic_in_the_partitioner_fails_its_map_task() {
    let error = fails(&Probe::default().on_partition(|key, _| if key == 3 { panic!("lost") } else { 0 }));
    // The first number of the split that ends in a 3: 3, 33, 53 or 83.
    let record = match error.task {
        TaskId::Map(0 | 2) => 4,
        TaskId::Map(_) => 9,
        TaskId::Reduce(_) => panic!("{error}"),
    };
    assert_eq!((error.failure.kind, error.failure.record), (FailureKind::Panic, Some(record)));
}

#[test]
fn a_partition_that_is_not_there_is_an_error() {
    let error =
        fails(&Probe::default().on_partition(|key, partitions| if key == 3 { partitions } else { 0 }));
    assert_eq!((error.failure.kind, error.attempts), (FailureKind::User, 1));
    assert!(error.to_string().contains("partition 3, but there are 3, counted from 0"), "{error}");
}

#[test]
fn an_error_of_emit_that_is_passed_over_fails_the_attempt_all_the_same() {
    let job = Probe::default()
        .on_map(|n, out| {
            let _ = probe::by_last_digit(n, out);
            Ok(())
        })
        .on_partition(|key, partitions| if key == 3 { partitions } else { 0 });
    let error = fails(&job);
    assert_eq!((error.failure.kind, error.attempts), (FailureKind::User, 1));
    assert!(error.to_string().contains("passed over; pass it on with `?`"), "{error}");
}

#[test]
fn an_error_or_a_panic_in_reduce_names_the_key() {
    let error = fails(&Probe::default().on_reduce(|key, values, out| match key {
        5 => Err("no five".into()),
        key => probe::sum(key, values, out),
    }));
    assert_eq!(
        (error.task, error.failure.kind, error.failure.record),
        (TaskId::Reduce(2), FailureKind::User, None)
    );
    let expected = r#"job probe: reduce 2 failed 4 times: error (partition 2, key "\x00\x00\x00\x00\x00\x00\x00\x05"): no five"#;
    assert_eq!(error.to_string(), expected);

    let error = fails(&Probe::default().on_reduce(|_, _, _| panic!("no {}", "reducing")));
    assert!(matches!(error.task, TaskId::Reduce(_)));
    assert_eq!((error.failure.kind, &*error.failure.message), (FailureKind::Panic, "no reducing"));
}

#[test]
fn a_set_up_that_fails_or_panics_is_named() {
    expect_panics();
    let run = |job: &Probe| {
        let error = engine().run(job, &(), &numbers(100, 4)).unwrap_err();
        assert!(matches!(error, Error::Job { step: "mapper", .. }), "{error:?}");
        error.to_string()
    };
    assert_eq!(run(&Probe::default().on_setup(|| Err("no file".into()))), "job probe: mapper: no file");
    // The job's set-up runs on the thread that runs the job.
    let panics = Probe::default().on_setup(|| panic::resume_unwind(Box::new("no memory")));
    assert_eq!(run(&panics), "job probe: mapper: panic: no memory");
}

/// An error that cannot even be shown.
#[derive(Debug)]
struct Unspeakable;

impl fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("nothing to say")
    }
}

impl std::error::Error for Unspeakable {}

#[test]
fn an_error_whose_text_panics_is_a_failed_attempt() {
    let error = fails(&Probe::default().on_map(|_, _| Err(Unspeakable.into())));
    assert_eq!((error.failure.kind, &*error.failure.message), (FailureKind::Panic, "nothing to say"));
}

/// An error that leaves the details to its cause.
#[derive(Debug)]
struct Because(Option<Box<dyn std::error::Error + Send + Sync>>);

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot load the model")
    }
}

impl std::error::Error for Because {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // Without a cause it is its own: a chain without an end.
        self.0.as_deref().map_or(Some(self), |cause| Some(cause))
    }
}

#[test]
fn the_causes_of_an_error_are_told() {
    let cause = || Because(Some(std::io::Error::other("disk on fire").into()));
    let error = fails(&Probe::default().on_map(move |_, _| Err(cause().into())));
    assert_eq!(error.failure.message, "cannot load the model: disk on fire");
    let setup = Probe::default().on_setup(move || Err(cause().into()));
    let error = engine().run(&setup, &(), &numbers(100, 4)).unwrap_err();
    assert_eq!(error.to_string(), "job probe: mapper: cannot load the model: disk on fire");
    // Each is told once.
    let error = fails(&Probe::default().on_map(|_, _| Err(Because(None).into())));
    assert_eq!(error.failure.message, "cannot load the model");
}

/// Items whose splits cannot be described.
#[derive(Clone)]
struct Nameless(ItemSlice<u64, Vec<u64>>);

impl Input for Nameless {
    type Records = Items<u64>;

    fn shape(&self) {}

    fn splits(&self, split_bytes: Option<u64>) -> Result<Vec<SplitInfo>, Error> {
        self.0.splits(split_bytes)
    }

    fn open<'a>(&'a self, split: &'a SplitInfo) -> Result<Box<dyn Blocks<Items<u64>> + 'a>, ReadError> {
        self.0.open(split)
    }

    fn describe(&self, _: &SplitInfo) -> String {
        panic!("no words for it")
    }
}

#[test]
fn an_input_that_cannot_name_its_splits_does_not_hold_up_the_job() {
    expect_panics();
    let data = Dataset::new(Nameless(ItemSlice::new(vec![1]))).unwrap();
    let error = engine().run(&Probe::default().on_map(|_, _| Err("no".into())), &(), &data).unwrap_err();
    assert_eq!(
        error.to_string(),
        "job probe: map 0 failed 4 times: panic (map 0 attempt 4): no words for it"
    );

    // Those for a deadline are looked for on the thread that runs the job.
    let task_deadline = Some(Duration::from_millis(250));
    let options = Options { task_deadline, attempts_max: 1, ..Options::default() };
    let job = Probe::default().on_map(|_, out| emit_for_ever(out));
    let error = engine().run_with(&job, &(), &data, &options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "job probe: map 0 failed at once: deadline passed (map 0): took longer than 250ms"
    );
}

#[test]
fn a_task_is_tried_as_often_as_asked_for() {
    for (attempts_max, expected) in [(0, 1), (1, 1), (2, 2), (4, 4), (7, 7)] {
        let attempts = Arc::new(AtomicU32::new(0));
        let counted = attempts.clone();
        let job = Probe::default().on_map(move |n, out| {
            if n == 10 {
                counted.fetch_add(1, Ordering::Relaxed);
                return Err("never".into());
            }
            probe::by_last_digit(n, out)
        });
        let error = fails_with(&job, &Options { attempts_max, ..Options::default() });
        assert_eq!((error.attempts, attempts.load(Ordering::Relaxed)), (expected, expected));
        let text =
            if expected == 1 { "failed at once".to_string() } else { format!("failed {expected} times") };
        assert!(error.to_string().contains(&text), "{error}");
    }
}

/// The first two attempts of the second split and of the second partition fail, each half-way.
fn third_time_lucky(panics: bool) -> Probe {
    let (maps, reduces) = (AtomicU32::new(0), AtomicU32::new(0));
    let fail = move |attempts: &AtomicU32| {
        let fail = attempts.fetch_add(1, Ordering::Relaxed) < 2;
        assert!(!(fail && panics), "not yet");
        if fail { Err("not yet".into()) } else { Ok(()) }
    };
    Probe::default()
        .on_split(|split| {
            // A failed attempt's cache would make the next one lose numbers.
            assert!(split.take_cache::<u32>().is_none());
            split.put_cache(Box::new(7u32));
            Ok(())
        })
        .on_map(move |n, out| {
            out.count("numbers", 1);
            if n == 40 {
                fail(&maps)?;
            }
            probe::by_last_digit(n, out)
        })
        .on_reduce(move |key, values, out| {
            out.count("keys", 1);
            probe::sum(key, values, out)?;
            if key == 4 { fail(&reduces) } else { Ok(()) }
        })
}

#[test]
fn attempts_that_failed_leave_no_trace() {
    expect_panics();
    for panics in [false, true] {
        let data = numbers(100, 4);
        let options = Options { partitions: Some(3), ..Options::default() };
        let output = engine().run_with(&third_time_lucky(panics), &(), &data, &options).unwrap();
        let mut pairs = output.pairs;
        pairs.sort();
        assert_eq!(pairs, sums(100));
        assert_eq!((output.counters.get("numbers"), output.counters.get("keys")), (100, 10));
        assert_eq!((output.report.records, output.report.keys), (100, 10));
        assert_eq!(output.report.attempts_failed, 4);
        assert_eq!(output.report.tasks_by_peer.values().sum::<u64>(), 7);
    }
}

#[test]
fn records_are_counted_from_one_over_all_blocks() {
    /// Fails at one number.
    #[derive(Clone, Serialize, Deserialize)]
    struct FailAt(u32);

    impl Mapper for FailAt {
        type Input = Rows<u32>;
        type Key = ();
        type Value = u64;
        fn map(&self, row: &[u32], out: &mut impl Emit<(), u64>) -> Result {
            if row[0] == self.0 { Err("here".into()) } else { out.emit(&(), &1) }
        }
    }

    impl SimpleJob for FailAt {
        const NAME: &'static str = "fail-at";
        type Combiner = Sum;
        type Reducer = Fold<Sum>;
    }

    let rows: Vec<u32> = (0..200_000).collect();
    let data = Dataset::with_split_bytes(RowSlice::new(&rows, 1).unwrap(), u64::MAX).unwrap();
    for at in [0, 65_535, 65_536, 199_999] {
        let error = engine().run(&FailAt(at), &(), &data).unwrap_err().to_string();
        assert!(error.contains(&format!("(rows 0 to 200000, record {}): here", at + 1)), "{error}");
    }
    assert_eq!(engine().run(&FailAt(200_000), &(), &data).unwrap().pairs, [((), 200_000)]);
}

/// A value that decodes only if it is even, and encodes only if it is not 7.
#[derive(Clone, Debug)]
struct Even(u64);

impl Serialize for Even {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            7 => Err(serde::ser::Error::custom("seven does not go out")),
            n => serializer.serialize_u64(n),
        }
    }
}

impl<'de> Deserialize<'de> for Even {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let n = u64::deserialize(deserializer)?;
        if n.is_multiple_of(2) { Ok(Self(n)) } else { Err(serde::de::Error::custom(format!("{n} is odd"))) }
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Evens;

impl Mapper for Evens {
    type Input = Items<u64>;
    type Key = u64;
    type Value = Even;
    fn map(&self, n: &u64, out: &mut impl Emit<u64, Even>) -> Result {
        out.emit(&0, &Even(*n))
    }
}

/// Adds one to every value.
#[derive(Default)]
struct AddOne;

impl Reducer<u64, Even> for AddOne {
    type Key = u64;
    type Value = Even;
    fn reduce(&self, key: &u64, values: &mut Values<'_, Even>, out: &mut impl Emit<u64, Even>) -> Result {
        while let Some(value) = values.next()? {
            out.emit(key, &Even(value.0 + u64::from(value.0 == 4)))?;
        }
        Ok(())
    }
}

impl SimpleJob for Evens {
    const NAME: &'static str = "evens";
    type Combiner = NoCombiner;
    type Reducer = AddOne;
}

#[test]
fn a_value_that_does_not_encode_or_decode_fails_the_job_at_once() {
    let run = |numbers: &[u64]| engine().run(&Evens, &(), &Dataset::new(ItemSlice::new(numbers)).unwrap());
    assert_eq!(run(&[2, 6]).unwrap().pairs.len(), 2);

    let error = run(&[2, 7]).unwrap_err().to_string();
    assert!(error.contains("map 1 failed at once") && error.contains("seven does not go out"), "{error}");
    let error = run(&[2, 3]).unwrap_err().to_string();
    assert!(error.contains("reduce 0 failed at once") && error.contains("3 is odd"), "{error}");
    // What the reducer has made of it is decoded by the program.
    let error = run(&[4]).unwrap_err();
    assert!(matches!(error, Error::Job { step: "output", .. }), "{error}");
    assert!(
        error.to_string().contains("job evens: output") && error.to_string().contains("5 is odd"),
        "{error}"
    );
}

/// Emits until the attempt is told to stop.
fn emit_for_ever(out: &mut probe::Out<'_>) -> Result {
    (0_u64..).try_for_each(|_| out.emit(&0, &0))
}

#[test]
fn an_attempt_over_its_deadline_is_stopped_and_has_failed() {
    let job = Probe::default().on_map(|n, out| if n == 60 { emit_for_ever(out) } else { Ok(()) });
    let deadline = Duration::from_millis(250);
    let options = Options { task_deadline: Some(deadline), attempts_max: 2, ..Options::default() };
    let error = fails_with(&job, &options);
    assert_eq!((error.task, error.attempts, error.failure.kind), (TaskId::Map(2), 2, FailureKind::Deadline));
    assert_eq!(
        error.to_string(),
        "job probe: map 2 failed 2 times: deadline passed (items 50 to 75): took longer than 250ms"
    );

    let job = Probe::default().on_reduce(|_, _, out| emit_for_ever(out));
    let error = fails_with(&job, &Options { attempts_max: 1, ..options });
    assert_eq!(
        error.to_string(),
        "job probe: reduce 0 failed at once: deadline passed (partition 0): took longer than 250ms"
    );
}

#[test]
fn an_attempt_after_one_that_was_stopped_may_succeed() {
    let attempts = AtomicU32::new(0);
    let job = Probe::default().on_map(move |n, out| {
        if n == 60 && attempts.fetch_add(1, Ordering::Relaxed) == 0 {
            emit_for_ever(out)?;
        }
        probe::by_last_digit(n, out)
    });
    let options = Options { task_deadline: Some(Duration::from_millis(200)), ..Options::default() };
    let output = engine().run_with(&job, &(), &numbers(100, 4), &options).unwrap();
    // On a busy machine others may be late as well.
    assert!(output.pairs == sums(100) && output.report.attempts_failed >= 1, "{output:?}");
}

#[test]
fn the_last_failure_is_the_one_that_is_told() {
    let attempts = AtomicU32::new(0);
    let job = Probe::default().on_map(move |n, out| match n {
        60 if attempts.fetch_add(1, Ordering::Relaxed) == 0 => Err("at first".into()),
        60 => emit_for_ever(out),
        _ => Ok(()),
    });
    let task_deadline = Some(Duration::from_millis(250));
    let error = fails_with(&job, &Options { task_deadline, attempts_max: 2, ..Options::default() });
    assert_eq!((error.attempts, error.failure.kind), (2, FailureKind::Deadline), "{error}");

    // What an attempt says after it was stopped is not what it failed of.
    let job = Probe::default()
        .on_map(|_, out| emit_for_ever(out).map_err(|error| format!("wrapped: {error}").into()));
    let error = fails_with(&job, &Options { task_deadline, attempts_max: 2, ..Options::default() });
    assert_eq!((error.attempts, error.failure.kind), (2, FailureKind::Deadline), "{error}");
}

/// Eleven attempts on one thread take longer together than one of them may.
#[test]
fn attempts_that_wait_for_a_thread_do_not_come_near_their_deadline() {
    let job = Probe::default().on_split(|_| {
        thread::sleep(Duration::from_millis(300)); // the work
        Ok(())
    });
    let options =
        Options { task_deadline: Some(Duration::from_secs(3)), attempts_max: 1, ..Options::default() };
    let output = Local::new(1).unwrap().run_with(&job, &(), &numbers(110, 11), &options).unwrap();
    assert_eq!(output.pairs, sums(110));
}

#[test]
fn many_failures_at_once_end_the_job_once() {
    let error = fails_with(
        &Probe::default().on_map(|_, _| Err("all of them".into())),
        &Options { attempts_max: 1, ..Options::default() },
    );
    assert_eq!(error.failure.message, "all of them");
}
