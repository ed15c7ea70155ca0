//! Jobs on pools of peers in this process, over real connections, compared with the sequential oracle.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

#[path = "../../../mapreduce-core/tests/common/mod.rs"]
mod common;
mod faults;
mod gate;
mod memory;
mod outputs;
mod parts;
mod refusals;
mod sieve;

use mapreduce_core::{Registry, schedule::Event};
use mapreduce_net::{PeerOptions, Timing, testing::TestPool};
use std::time::Duration;

/// Every job of these tests.
fn registry() -> Registry {
    use common::jobs::*;
    Registry::new()
        .with::<WordCount>()
        .and_then(Registry::with::<SortLines>)
        .and_then(Registry::with::<Index>)
        .and_then(Registry::with::<Several>)
        .and_then(Registry::with::<Columns>)
        .and_then(Registry::with::<FloatSum>)
        .and_then(Registry::with::<gate::Gated>)
        .and_then(Registry::with::<sieve::Sieve>)
        .unwrap()
}

fn pool(peers: usize) -> TestPool {
    TestPool::start(peers, registry()).unwrap()
}

/// Peers that are given up after a second. On a busy machine nobody who lives is silent for so long.
fn quick() -> Timing {
    Timing { ping: Duration::from_millis(50), lease: Duration::from_secs(1), ..Timing::default() }
}

fn quick_pool(peers: usize) -> TestPool {
    let options = PeerOptions { threads: 1, timing: quick(), ..PeerOptions::default() };
    TestPool::start_with(peers, registry(), options).unwrap()
}

fn is_commit(event: &Event) -> bool {
    matches!(event, Event::TaskCommitted { .. })
}
