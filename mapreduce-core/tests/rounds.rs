//! Iterated jobs, and the caches that splits keep from round to round and from job to job.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::{
    control::{Countdown, paused},
    engine, engines,
    jobs::WordCount,
    probe::{self, Probe, numbers},
};
use mapreduce_core::{Cancel, Dataset, Error, Local, Options, prelude::*, schedule::Event};
use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

#[test]
fn rounds_go_on_until_the_job_breaks() {
    for engine in engines() {
        let done = engine.iterate(&Countdown::from(5), &numbers(100, 4)).unwrap();
        assert_eq!((done.output, done.rounds), (vec![4_950; 5], 5));
        let report = done.report;
        assert_eq!((report.records, report.keys), (500, 50));
        assert_eq!((report.attempts_failed, report.attempts_lost), (0, 0));
        assert_eq!(report.tasks_by_peer.get("local"), Some(&25));
        assert!(report.map_output_bytes > 0);
    }
}

#[test]
fn rounds_in_the_background_tell_of_each_round() {
    let handle =
        engine().submit_iterate(Countdown::from(3), Arc::new(numbers(100, 4)), Options::default()).unwrap();
    let finished = handle.events().filter(|event| matches!(event, Event::RoundFinished { .. })).count();
    assert_eq!(finished, 3);
    assert_eq!(handle.wait().unwrap().output, [4_950; 3]);
}

#[test]
fn rounds_are_cancelled_between_and_within_rounds() {
    let cancel = Cancel::new();
    let options = Options { cancel: cancel.clone(), ..Options::default() };
    let setups = AtomicU32::new(0);
    let job = Probe::default().on_setup(move || {
        if setups.fetch_add(1, Ordering::Relaxed) == 2 {
            cancel.cancel();
        }
        Ok(())
    });
    let result = engine().iterate_with(&Countdown::from(100).over(job), &numbers(100, 4), &options);
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");

    let (job, is_reached, go_on) = paused(60);
    let handle = Local::new(2)
        .unwrap()
        .submit_iterate(Countdown::from(100).over(job), Arc::new(numbers(100, 4)), Options::default())
        .unwrap();
    for _ in 0..3 {
        is_reached.recv().unwrap();
        go_on.send(()).unwrap();
    }
    is_reached.recv().unwrap();
    handle.cancel();
    drop(go_on);
    assert!(matches!(handle.wait(), Err(Error::Cancelled)));
}

#[test]
fn rounds_are_bounded() {
    for (rounds_max, needed) in [(0, 1), (1, 2), (3, 4)] {
        let options = Options { rounds_max, ..Options::default() };
        let error = engine().iterate_with(&Countdown::from(needed), &numbers(10, 2), &options).unwrap_err();
        assert!(matches!(error, Error::TooManyRounds { rounds, .. } if rounds == rounds_max), "{error}");
        assert!(error.to_string().contains(&format!("job probe: not finished after {rounds_max} rounds")));
        let options = Options { rounds_max: needed, ..options };
        assert!(engine().iterate_with(&Countdown::from(needed), &numbers(10, 2), &options).is_ok());
    }
}

#[test]
fn an_error_or_a_panic_between_rounds_is_named() {
    let run = |job| engine().iterate(&job, &numbers(10, 2)).unwrap_err().to_string();
    let error = Countdown::from(5).advance(|round| if round == 2 { Err("diverged".into()) } else { Ok(()) });
    assert_eq!(run(error), "job probe: advance: diverged");
    // Without the message that a panic would print into the output of the tests.
    let panic = Countdown::from(5).advance(|_| std::panic::resume_unwind(Box::new("overflow")));
    assert_eq!(run(panic), "job probe: advance: panic: overflow");
    let task = Countdown::from(5).over(Probe::default().on_map(|_, _| Err("no".into())));
    assert!(run(task).contains("failed 4 times"));
}

/// A slot that a stopped attempt took with it would be missing in every round that follows.
#[test]
fn an_attempt_that_stops_after_its_round_leaves_its_slot_to_the_next() {
    let (release, is_released) = mpsc::channel::<()>();
    let (setups, held, is_released) =
        (Arc::new(AtomicU32::new(0)), AtomicU32::new(0), Mutex::new(is_released));
    let rounds = setups.clone();
    // In the second round the two tasks wait for each other: they must run at once.
    let meeting = (Mutex::new(0), Condvar::new());
    let job = Probe::default()
        .on_setup(move || {
            setups.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
        .on_map(move |n, out| {
            if rounds.load(Ordering::Relaxed) == 1 {
                if n == 0 && held.fetch_add(1, Ordering::Relaxed) == 0 {
                    let _ = is_released.lock().unwrap().recv();
                }
            } else {
                let mut met = meeting.0.lock().unwrap();
                *met += 1;
                meeting.1.notify_all();
                drop(meeting.1.wait_timeout_while(met, Duration::from_secs(2), |met| *met < 2));
            }
            probe::by_last_digit(n, out)
        });
    let options = Options { task_deadline: Some(Duration::from_millis(500)), ..Options::default() };
    let handle = Local::new(2)
        .unwrap()
        .submit_iterate(Countdown::from(2).over(job), Arc::new(numbers(2, 2)), options)
        .unwrap();
    assert!(handle.events().any(|event| matches!(event, Event::RoundFinished { .. })));
    release.send(()).unwrap();
    let done = handle.wait().unwrap();
    assert_eq!((done.output, done.report.attempts_failed), (vec![1, 1], 1));
}

/// A job that leaves a count of its visits with every split, and fails unless it finds `expected` there.
fn visits(expected: Option<u32>) -> Probe {
    Probe::default().on_split(move |split| {
        let found = split.take_cache::<u32>().map(|count| *count);
        if found != expected {
            return Err(format!("found {found:?} instead of {expected:?}").into());
        }
        split.put_cache(Box::new(found.unwrap_or(0) + 1));
        Ok(())
    })
}

#[test]
fn caches_belong_to_the_dataset_and_outlive_the_job() {
    let data = numbers(100, 4);
    for engine in engines() {
        let before = engines().iter().position(|other| other.threads() == engine.threads()).unwrap() as u32;
        engine.run(&visits((before > 0).then_some(before)), &(), &data).unwrap();
    }
    // Every type has a place of its own.
    let other = Probe::default().on_split(|split| {
        assert!(split.take_cache::<String>().is_none());
        split.put_cache(Box::new("something else".to_string()));
        Ok(())
    });
    engine().run(&other, &(), &data).unwrap();
    engine().run(&visits(Some(3)), &(), &data).unwrap();
    // Another dataset has none, and the first record says which split this is.
    engine().run(&visits(None), &(), &numbers(100, 4)).unwrap();
    let firsts = Probe::default().on_split(|split| {
        assert!(matches!(split.first_record(), Some(0 | 25 | 50 | 75)));
        Ok(())
    });
    engine().run(&firsts, &(), &data).unwrap();
}

#[test]
fn caches_are_kept_from_round_to_round() {
    let rounds = Arc::new(AtomicU32::new(0));
    let job = Probe::default().on_split({
        let rounds = rounds.clone();
        move |split| {
            let found = split.take_cache::<u32>().map_or(0, |count| *count);
            rounds.fetch_max(found, Ordering::Relaxed);
            split.put_cache(Box::new(found + 1));
            Ok(())
        }
    });
    engine().iterate(&Countdown::from(6).over(job), &numbers(100, 4)).unwrap();
    assert_eq!(rounds.load(Ordering::Relaxed), 5);
}

#[test]
fn a_cache_that_is_taken_and_not_left_again_is_gone() {
    let data = numbers(100, 4);
    engine().run(&visits(None), &(), &data).unwrap();
    let take = Probe::default().on_split(|split| {
        assert_eq!(split.take_cache::<u32>().map(|count| *count), Some(1));
        Ok(())
    });
    engine().run(&take, &(), &data).unwrap();
    engine().run(&visits(None), &(), &data).unwrap();
}

#[test]
fn a_dataset_serves_several_threads_and_jobs_at_once() {
    let folder = common::Folder::new();
    let path = folder.file("text", "a b a\n".repeat(1_000));
    let data = Dataset::with_split_bytes(TextFiles::open([path]).unwrap(), 500).unwrap();
    std::thread::scope(|scope| {
        for engine in engines() {
            scope.spawn(|| {
                let output = engine.run(&WordCount, &(), &data).unwrap();
                assert_eq!(output.pairs, [("a".to_string(), 2_000), ("b".to_string(), 1_000)]);
            });
        }
    });
}
