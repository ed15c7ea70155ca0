//! What a small round costs on a pool: the distribution of the time from one round's begin to the next's, for empty tasks
//! on a pool of two peers with one thread each, next to the same rounds on two threads of one process.
//!
//! `cargo run --release -p benches --bin pool_rounds [-- ROUNDS]`
//!
//! Prints microseconds: first those of a message of 100 bytes there and back on the transport of the pool, then for each
//! number of map tasks those of the rounds of both engines, and the medians of a round's phases. Bar: a median of 2 ms.

use benches::{
    Failure,
    bare::Bare,
    distribution::{Distribution, micros},
    empty::{self, Empty, Rounds, Times},
    processes::{self, Peers},
};
use mapreduce_core::{Registry, prelude::*};
use mapreduce_net::{PoolOptions, transport::Channel};

/// Rounds that are not counted: connections and caches get warm, windows and paces settle.
const WARM_UP: usize = 200;

/// Turns that the engines take.
const TURNS: u32 = 3;

fn main() -> Result<(), Failure> {
    let Some(arguments) = processes::arguments(|| Registry::new().with::<Empty>())? else { return Ok(()) };
    let rounds = arguments.first().map_or(Ok(3_000), |rounds| rounds.parse::<u32>())?;

    let bare = Bare::connect(Channel::Control)?;
    let echo = Distribution::new(bare.round_trips(5_000, 100)?.split_off(500));
    drop(bare);
    let peers = Peers::start(2, 1)?;
    let pool = peers.connect(PoolOptions::default())?;
    let local = Local::new(2)?;

    println!("microseconds                      {}", Distribution::COLUMNS);
    println!("an echo of 100 bytes              {echo}");
    for tasks in [2, 16, 64] {
        let items = vec![0; tasks];
        let data = empty::splits(&items)?;
        let job = Rounds { tasks: tasks as u64, rounds: rounds / TURNS + WARM_UP as u32 };
        let (mut on_pool, mut on_local) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            on_pool.extend(empty::times(&pool, &job, &data)?.split_off(WARM_UP));
            on_local.extend(empty::times(&local, &job, &data)?.split_off(WARM_UP));
        }
        for (name, times) in [("a pool", &on_pool), ("local", &on_local)] {
            let all = Distribution::new(times.iter().map(|times| times.whole));
            println!("a round of {tasks:>2} map tasks on {name:<7}{all}");
            println!("    {}", phases(times));
        }
    }
    Ok(())
}

fn phases(times: &[Times]) -> String {
    let median = |phase: fn(&Times) -> _| micros(Distribution::new(times.iter().map(phase)).median());
    format!(
        "to the first result {:.0}, to the last {:.0}, reduced {:.0}, to the next round {:.0}",
        median(|times| times.first_map),
        median(|times| times.other_maps),
        median(|times| times.reduce),
        median(|times| times.between)
    )
}
