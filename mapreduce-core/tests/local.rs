//! The local engine: jobs in the background, cancelling, several jobs at once.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::{
    control::{Countdown, paused},
    engine, engines,
    probe::{self, Probe, numbers, sums},
};
use mapreduce_core::{
    Cancel, Dataset, Error, Handle, Local, Options, Output,
    prelude::*,
    schedule::{Event, TaskId},
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
};

type Numbers = Dataset<ItemSlice<u64, Vec<u64>>>;

/// Submits to threads of its own: tests that hold up a thread do not hold up each other.
fn submit(job: Probe, data: Numbers, options: Options) -> Handle<Output<Probe>> {
    submit_to(&Local::new(2).unwrap(), job, data, options)
}

fn submit_to(engine: &Local, job: Probe, data: Numbers, options: Options) -> Handle<Output<Probe>> {
    engine.submit(job, (), Arc::new(data), options).unwrap()
}

#[test]
fn a_submitted_job_tells_of_every_task_and_gives_its_output() {
    let options = Options { partitions: Some(3), ..Options::default() };
    let handle = submit(Probe::default(), numbers(100, 4), options);
    let events: Vec<Event> = handle.events().collect();
    let output = handle.wait().unwrap();
    assert_eq!(output.pairs.len(), 10);

    let round: Vec<&Event> =
        events.iter().skip_while(|event| !matches!(event, Event::RoundStarted { .. })).collect();
    assert!(matches!(round.last(), Some(Event::RoundFinished { .. })), "{events:?}");
    let committed: Vec<TaskId> = events
        .iter()
        .filter(|event| matches!(event, Event::TaskCommitted { .. }))
        .filter_map(Event::task)
        .collect();
    let tasks: BTreeSet<TaskId> = (0..4).map(TaskId::Map).chain((0..3).map(TaskId::Reduce)).collect();
    assert_eq!(committed.len(), 7);
    assert_eq!(committed.iter().copied().collect::<BTreeSet<_>>(), tasks);
    // No reduce task before the last map task.
    let maps_finished = events.iter().position(|event| matches!(event, Event::MapsFinished { .. })).unwrap();
    let first_reduce =
        events.iter().position(|event| matches!(event.task(), Some(TaskId::Reduce(_)))).unwrap();
    assert!(maps_finished < first_reduce);
}

#[test]
fn a_committed_task_reports_the_pairs_it_emitted() {
    // Two pairs for each even number, none for the odd ones; both attempts of a task would report the same.
    let job = Probe::default().on_map(|n, out| match n % 2 {
        0 => (0..2).try_for_each(|i| out.emit(&(2 * n + i), &n)),
        _ => Ok(()),
    });
    let reports = || {
        let handle = submit(job.clone(), numbers(100, 4), Options::default());
        let mut reports: Vec<_> = handle
            .events()
            .filter_map(|event| match event {
                Event::TaskCommitted { attempt, report, .. } => Some((attempt.task, report)),
                _ => None,
            })
            .collect();
        reports.sort_by_key(|(task, _)| *task);
        reports
    };
    let first = reports();
    let emitted: Vec<u64> = first.iter().map(|(_, report)| report.records).collect();
    assert_eq!(emitted, [26, 24, 26, 24, 100]);
    assert_eq!(reports(), first);
}

#[test]
fn a_failure_is_an_event_too() {
    let fail_once = AtomicU32::new(0);
    let job = Probe::default().on_map(move |n, out| {
        if n == 7 && fail_once.fetch_add(1, Ordering::Relaxed) == 0 {
            return Err("once".into());
        }
        probe::by_last_digit(n, out)
    });
    let handle = submit(job, numbers(100, 4), Options::default());
    let failed: Vec<String> = handle
        .events()
        .filter(|event| matches!(event, Event::AttemptFailed { .. }))
        .map(|event| event.to_string())
        .collect();
    assert_eq!(failed, ["map 0 attempt 1 failed on peer 0: error (items 0 to 25, record 8): once"]);
    assert_eq!(handle.wait().unwrap().pairs, sums(100));
}

#[test]
fn a_job_is_finished_when_its_events_end() {
    let (job, is_reached, go_on) = paused(60);
    let handle = submit(job, numbers(100, 4), Options::default());
    is_reached.recv().unwrap();
    assert!(!handle.is_finished());
    go_on.send(()).unwrap();
    assert!(handle.events().count() > 0);
    // The events end a moment before the thread does.
    while !handle.is_finished() {
        std::thread::yield_now();
    }
    assert_eq!(handle.wait().unwrap().pairs, sums(100));
}

#[test]
fn a_job_runs_on_when_its_handle_is_dropped() {
    let (job, is_reached, go_on) = paused(60);
    let (reduced, is_reduced) = mpsc::channel();
    let job = job.on_reduce(move |key, values, out| {
        reduced.send(key)?;
        probe::sum(key, values, out)
    });
    drop(submit(job, numbers(100, 4), Options::default()));
    is_reached.recv().unwrap();
    go_on.send(()).unwrap();
    assert_eq!(is_reduced.iter().take(10).count(), 10);
}

#[test]
fn a_job_is_cancelled_by_its_handle_while_it_maps() {
    let (job, is_reached, go_on) = paused(60);
    let engine = Local::new(2).unwrap();
    let handle = submit_to(&engine, job, numbers(100, 4), Options::default());
    is_reached.recv().unwrap();
    handle.cancel();
    drop(go_on);
    let last = handle.events().last();
    assert!(matches!(last, Some(Event::Cancelled)), "{last:?}");
    assert!(matches!(handle.wait(), Err(Error::Cancelled)));
    assert_eq!(engine.run(&Probe::default(), &(), &numbers(100, 4)).unwrap().pairs, sums(100));
}

#[test]
fn a_mapper_that_goes_on_and_on_is_stopped_at_its_next_block_or_pair() {
    let cancel = Cancel::new();
    let options = Options { cancel: cancel.clone(), ..Options::default() };
    // It cancels itself, in passing: no other thread need be awake.
    let job = Probe::default().on_map(move |_, out| {
        cancel.cancel();
        loop {
            out.emit(&0, &0)?;
        }
    });
    for engine in engines() {
        let result = engine.run_with(&job, &(), &numbers(100, 4), &options);
        assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    }
}

#[test]
fn what_a_job_says_after_it_was_cancelled_is_no_failure() {
    for _ in 0..50 {
        let cancel = Cancel::new();
        let options = Options { cancel: cancel.clone(), attempts_max: 1, ..Options::default() };
        let job = Probe::default().on_map(move |_, _| {
            cancel.cancel();
            Err("torn down".into())
        });
        let result = engine().run_with(&job, &(), &numbers(100, 4), &options);
        assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    }
}

#[test]
fn a_token_that_was_used_stops_jobs_before_they_read_anything() {
    let options = Options::default();
    options.cancel.cancel();
    let maps = Arc::new(AtomicU32::new(0));
    let counted = maps.clone();
    let job = Probe::default().on_map(move |n, out| {
        counted.fetch_add(1, Ordering::Relaxed);
        probe::by_last_digit(n, out)
    });
    let result = engine().run_with(&job, &(), &numbers(100, 4), &options);
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    let result = engine().submit(job.clone(), (), Arc::new(numbers(100, 4)), options.clone()).unwrap().wait();
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    let result = engine().iterate_with(&Countdown::from(3).over(job), &numbers(100, 4), &options);
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    assert_eq!(maps.load(Ordering::Relaxed), 0);
}

#[test]
fn one_token_stops_all_jobs_it_was_given_to() {
    let engine = Local::new(2).unwrap();
    let cancel = Cancel::new();
    let options = Options { cancel: cancel.clone(), ..Options::default() };
    let (jobs, gates): (Vec<_>, Vec<_>) = (0..2)
        .map(|_| {
            let (job, is_reached, go_on) = paused(60);
            (submit_to(&engine, job, numbers(100, 4), options.clone()), (is_reached, go_on))
        })
        .unzip();
    gates.iter().for_each(|(is_reached, _)| is_reached.recv().unwrap());
    cancel.cancel();
    drop(gates);
    for job in jobs {
        assert!(matches!(job.wait(), Err(Error::Cancelled)));
    }
}

#[test]
fn a_handle_cancels_its_own_job_alone() {
    let engine = Local::new(2).unwrap();
    let options = Options::default();
    let (job, is_reached, go_on) = paused(60);
    let one = submit_to(&engine, job, numbers(100, 4), options.clone());
    is_reached.recv().unwrap();
    let (job, other_is_reached, other_go_on) = paused(60);
    let other = submit_to(&engine, job, numbers(100, 4), options.clone());
    other_is_reached.recv().unwrap();
    one.cancel();
    drop((go_on, other_go_on));
    assert!(matches!(one.wait(), Err(Error::Cancelled)));
    assert_eq!(other.wait().unwrap().pairs, sums(100));
    assert!(!options.cancel.is_cancelled());
}

#[test]
fn cancelling_a_job_that_is_done_changes_nothing() {
    let handle = submit(Probe::default(), numbers(100, 4), Options::default());
    assert!(handle.events().count() > 0);
    handle.cancel();
    assert_eq!(handle.wait().unwrap().pairs, sums(100));
}

#[test]
fn a_job_inside_a_task_of_the_same_threads_is_refused() {
    let inner = engine().clone();
    let job = Probe::default().on_map(move |n, out| {
        let data = numbers(100, 4);
        let result = inner.run(&Probe::default(), &(), &data);
        assert!(matches!(result, Err(Error::Reentrant)), "{result:?}");
        let result = inner.iterate(&Countdown::from(1), &data);
        assert!(matches!(result, Err(Error::Reentrant)), "{result:?}");
        probe::by_last_digit(n, out)
    });
    assert_eq!(engine().run(&job, &(), &numbers(10, 2)).unwrap().pairs, sums(10));

    // On other threads it may be run.
    let other = engines()[0].clone();
    let job = Probe::default().on_map(move |n, out| {
        assert_eq!(other.run(&Probe::default(), &(), &numbers(100, 4))?.pairs, sums(100));
        probe::by_last_digit(n, out)
    });
    assert_eq!(engine().run(&job, &(), &numbers(10, 2)).unwrap().pairs, sums(10));
}

#[test]
fn a_task_does_not_wait_for_a_job_that_needs_its_thread() {
    let engine = Local::new(1).unwrap();
    let inner = engine.clone();
    let (submitted, is_submitted) = mpsc::channel();
    let job = Probe::default().on_map(move |n, out| {
        let handle = submit_to(&inner, Probe::default(), numbers(100, 4), Options::default());
        assert!(matches!(handle.wait(), Err(Error::Reentrant)));
        // Nobody minds if somebody else waits.
        let handle = submit_to(&inner, Probe::default(), numbers(100, 4), Options::default());
        submitted.send(handle).unwrap();
        probe::by_last_digit(n, out)
    });
    assert_eq!(engine.run(&job, &(), &numbers(1, 1)).unwrap().pairs, [(0, 0)]);
    assert_eq!(is_submitted.recv().unwrap().wait().unwrap().pairs, sums(100));
}

#[test]
fn two_jobs_share_the_threads() {
    let engine = Local::new(2).unwrap();
    let (paused_job, is_reached, go_on) = paused(60);
    let paused_job = submit_to(&engine, paused_job, numbers(100, 4), Options::default());
    is_reached.recv().unwrap();
    // One of the two threads is held up; the other one does this job.
    assert_eq!(engine.run(&Probe::default(), &(), &numbers(1_000, 10)).unwrap().pairs, sums(1_000));
    assert!(!paused_job.is_finished());
    go_on.send(()).unwrap();
    assert_eq!(paused_job.wait().unwrap().pairs, sums(100));
}

#[test]
fn an_engine_runs_on_a_pool_of_the_program() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).thread_name(|i| format!("own-{i}")).build();
    let engine = Local::on(Arc::new(pool.unwrap()));
    assert_eq!((engine.threads(), &*format!("{engine:?}")), (3, "Local { threads: 3, .. }"));
    let job = Probe::default().on_map(|n, out| {
        assert!(std::thread::current().name().is_some_and(|name| name.starts_with("own-")));
        probe::by_last_digit(n, out)
    });
    assert_eq!(engine.run(&job, &(), &numbers(100, 4)).unwrap().pairs, sums(100));
    assert!(Local::new(0).unwrap().threads() > 0);
}

#[test]
fn an_input_may_be_borrowed() {
    let words: Vec<u64> = (0..100).collect();
    let slice = &words[10..20];
    let data = Dataset::new(ItemSlice::new(slice)).unwrap();
    let output = engine().run(&Probe::default(), &(), &data).unwrap();
    assert_eq!(output.pairs, (10..20).map(|n| (n % 10, n)).collect::<Vec<_>>());
}

#[test]
fn counters_of_all_tasks_are_summed() {
    let job = Probe::default()
        .on_map(|n, out| {
            out.count("numbers", 1);
            out.count(if n.is_multiple_of(2) { "even" } else { "odd" }, n);
            probe::by_last_digit(n, out)
        })
        .on_reduce(|key, values, out| {
            out.count("keys", 1);
            out.count("numbers", u64::MAX); // sums stop at the end of the range
            probe::sum(key, values, out)
        });
    let counters = engine().run(&job, &(), &numbers(100, 4)).unwrap().counters;
    let expected = [("even", 2_450), ("keys", 10), ("numbers", u64::MAX), ("odd", 2_500)];
    assert!(counters.iter().eq(expected), "{counters:?}");
}

#[test]
fn no_partitions_act_as_one_and_too_many_are_an_error() {
    let run = |partitions| {
        let options = Options { partitions: Some(partitions), ..Options::default() };
        engine().run_with(&Probe::default(), &(), &numbers(100, 4), &options)
    };
    assert_eq!(run(0).unwrap().pairs, sums(100));
    for many in [Options::PARTITIONS_MAX + 1, u32::MAX] {
        let error = run(many).unwrap_err();
        assert!(matches!(error, Error::TooManyPartitions { partitions } if partitions == many), "{error}");
        assert!(error.to_string().ends_with("partitions are too many; choose at most 1048576"), "{error}");
    }
}
