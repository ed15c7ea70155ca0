//! Peers that die, join and leave while a job runs: the job gives what it gives otherwise.

use super::{
    common::probe::{numbers, sums},
    connect,
    gate::Gated,
    pool, quick, quick_pool,
};
use mapreduce_core::{prelude::*, schedule::Event};
use mapreduce_net::PoolOptions;
use std::sync::Arc;

#[test]
fn a_peer_that_is_killed_costs_time_only() {
    for inline_bytes in [0, 64 << 10] {
        for victim in 0..3 {
            let mut pool = quick_pool(3);
            let engine = connect(&pool, inline_bytes);
            let (job, is_reached, go_on) = Gated::at(500);
            let data = Arc::new(numbers(1_000, 50));
            let handle = engine.submit(job, (), data, Options::default()).unwrap();
            is_reached.recv().unwrap();
            pool.kill(victim);
            drop(go_on);
            let output = handle.wait().unwrap();
            assert_eq!(output.pairs, sums(1_000), "victim {victim}, {inline_bytes} bytes inline");
            assert_eq!(output.counters.get("numbers"), 1_000);
        }
    }
}

#[test]
fn a_peer_that_joins_gets_work() {
    let mut pool = pool(1);
    let engine = pool.connect().unwrap();
    let (job, is_reached, go_on) = Gated::at(0);
    let handle = engine.submit(job, (), Arc::new(numbers(1_000, 50)), Options::default()).unwrap();
    is_reached.recv().unwrap();
    let newcomer = pool.add().unwrap();
    // The first peer has one thread, and that waits; splits may have come to it ahead of the one at the gate.
    let mut first = None;
    assert!(handle.events().any(|event| match event {
        Event::PeerJoined { peer } => {
            first.get_or_insert(peer);
            false
        }
        Event::TaskCommitted { peer, .. } => first.is_some_and(|first| first != peer),
        _ => false,
    }));
    drop(go_on);
    let output = handle.wait().unwrap();
    assert_eq!(output.pairs, sums(1_000));
    assert!(output.report.tasks_by_peer[&pool.node_id(newcomer).to_string()] > 0);
}

#[test]
fn a_peer_that_leaves_hands_over_what_it_has() {
    let mut pool = pool(3);
    let engine =
        pool.connect_with(PoolOptions { min_peers: 3, inline_bytes: 0, ..PoolOptions::default() }).unwrap();
    let (job, is_reached, go_on) = Gated::at(999);
    let handle = engine.submit(job, (), Arc::new(numbers(1_000, 50)), Options::default()).unwrap();
    is_reached.recv().unwrap();
    let leaving = std::thread::spawn(move || {
        pool.drain(0);
        pool
    });
    drop(go_on);
    let output = handle.wait().unwrap();
    assert_eq!(output.pairs, sums(1_000));
    assert_eq!(output.report.attempts_lost, 0);
    leaving.join().unwrap();
}

#[test]
fn without_any_peer_a_job_waits_and_then_says_so() {
    let mut pool = quick_pool(1);
    let options = PoolOptions {
        timing: quick(),
        no_peers_timeout: std::time::Duration::from_millis(200),
        ..PoolOptions::default()
    };
    let engine = pool.connect_with(options).unwrap();
    let (job, is_reached, _go_on) = Gated::at(500);
    let handle = engine.submit(job, (), Arc::new(numbers(1_000, 50)), Options::default()).unwrap();
    is_reached.recv().unwrap();
    pool.kill(0);
    let error = handle.wait().unwrap_err().to_string();
    assert!(error.contains("no usable peer for 200ms"), "{error}");
}

#[test]
fn a_job_that_is_cancelled_leaves_the_pool_to_others() {
    let pool = pool(2);
    let engine = pool.connect().unwrap();
    let (job, is_reached, _go_on) = Gated::at(500);
    let handle = engine.submit(job, (), Arc::new(numbers(1_000, 50)), Options::default()).unwrap();
    is_reached.recv().unwrap();
    handle.cancel();
    assert!(matches!(handle.wait().unwrap_err(), mapreduce_core::Error::Cancelled));
    // One thread may wait at the gate still: the other one is enough.
    let other = pool.connect().unwrap();
    let output = other.run(&Gated::new(|_| Ok(())), &(), &numbers(100, 5)).unwrap();
    assert_eq!(output.pairs, sums(100));
}

#[test]
fn two_drivers_share_a_pool() {
    let pool = pool(2);
    let runs: Vec<_> = (0..2)
        .map(|_| {
            let engine = pool.connect().unwrap();
            engine
                .submit(Gated::new(|_| Ok(())), (), Arc::new(numbers(10_000, 500)), Options::default())
                .unwrap()
        })
        .collect();
    for handle in runs {
        assert_eq!(handle.wait().unwrap().pairs, sums(10_000));
    }
}

#[test]
fn events_tell_of_peers() {
    let pool = pool(2);
    let engine = pool.connect().unwrap();
    let handle =
        engine.submit(Gated::new(|_| Ok(())), (), Arc::new(numbers(100, 10)), Options::default()).unwrap();
    let events: Vec<Event> = handle.events().collect();
    let joined = events.iter().filter(|event| matches!(event, Event::PeerJoined { .. })).count();
    assert_eq!(joined, 2);
    handle.wait().unwrap();
}
