//! What a job or a connection is refused with.

use super::{
    common::{
        jobs::WordCount,
        probe::{numbers, sums},
    },
    gate::Gated,
    pool, registry,
};
use mapreduce_core::{Registry, prelude::*};
use mapreduce_net::{PoolError, PoolOptions, testing::TestPool};
use std::time::Duration;

#[test]
fn a_job_that_no_peer_has_is_refused_with_both_sides_named() {
    let pool = TestPool::start(2, Registry::new().with::<WordCount>().unwrap()).unwrap();
    let engine = pool.connect().unwrap();
    let error = engine.run(&Gated::new(|_| Ok(())), &(), &numbers(10, 1)).unwrap_err().to_string();
    assert!(error.contains("no peer can run job gated version 1"), "{error}");
    assert!(error.contains(&format!("peer {} has only word-count", pool.node_id(0))), "{error}");
    assert!(error.contains(&format!("peer {} has only word-count", pool.node_id(1))), "{error}");
}

#[test]
fn peers_that_have_the_job_work_for_those_that_have_not() {
    let mut pool = TestPool::start(1, Registry::new().with::<WordCount>().unwrap()).unwrap();
    let able = pool.add_with(registry()).unwrap();
    let engine = pool.connect().unwrap();
    let output = engine.run(&Gated::new(|_| Ok(())), &(), &numbers(1_000, 20)).unwrap();
    assert_eq!(output.pairs, sums(1_000));
    assert_eq!(output.report.tasks_by_peer.keys().collect::<Vec<_>>(), [&pool.node_id(able).to_string()]);
}

#[test]
fn an_error_of_user_code_names_the_record_and_the_peer_lives() {
    let pool = pool(2);
    let engine = pool.connect().unwrap();
    let failing = Gated::new(|n| if n == 777 { Err("seven, seven, seven".into()) } else { Ok(()) });
    let error = engine.run(&failing, &(), &numbers(1_000, 10)).unwrap_err().to_string();
    assert_eq!(
        error,
        "job gated: map 7 failed 4 times: error (items 700 to 800, record 78): seven, seven, seven"
    );
    let panicking = Gated::new(|n| if n == 5 { panic!("five") } else { Ok(()) });
    let error = engine.run(&panicking, &(), &numbers(1_000, 10)).unwrap_err().to_string();
    assert_eq!(error, "job gated: map 0 failed 4 times: panic (items 0 to 100, record 6): five");
    assert_eq!(engine.run(&Gated::new(|_| Ok(())), &(), &numbers(100, 5)).unwrap().pairs, sums(100));
}

#[test]
fn fewer_peers_than_asked_for_are_counted() {
    let pool = pool(1);
    let options =
        PoolOptions { min_peers: 3, connect_timeout: Duration::from_millis(300), ..PoolOptions::default() };
    match pool.connect_with(options).unwrap_err() {
        PoolError::TooFewPeers { found: 1, wanted: 3, .. } => {}
        other => panic!("{other}"),
    }
}
