//! Jobs on pools of peers in this process, over real connections, compared with the sequential oracle.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod chained;
#[path = "../../../mapreduce-core/tests/common/mod.rs"]
mod common;
mod faults;
mod gate;
mod joins;
mod memory;
mod outputs;
mod parts;
mod refusals;
mod shapes;
mod sides;
mod sieve;

use mapreduce_core::Registry;
use mapreduce_net::{PeerOptions, PoolOptions, Timing, blocking, testing::TestPool};
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
        .and_then(Registry::with::<joins::Inner>)
        .and_then(Registry::with::<joins::LeftOuter>)
        .and_then(Registry::with::<joins::Full>)
        .and_then(Registry::with::<joins::OfLines>)
        .and_then(Registry::with::<chained::ByCount>)
        .and_then(Registry::with::<shapes::Visits>)
        .and_then(Registry::with::<shapes::ByHundreds>)
        .and_then(Registry::with::<Repeat>)
        .and_then(Registry::with::<shapes::WithoutStopWords>)
        .and_then(Registry::with::<sides::Filtered>)
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

/// A driver of three quick peers that reduces what is no larger than this itself.
fn connect(pool: &TestPool, inline_bytes: u32) -> blocking::Pool {
    let min_peers = 3;
    pool.connect_with(PoolOptions { min_peers, inline_bytes, timing: quick(), ..PoolOptions::default() })
        .unwrap()
}
