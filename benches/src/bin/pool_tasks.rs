//! How many empty tasks a second a pool of two peers with one thread each gets done.
//!
//! `cargo run --release -p benches --bin pool_tasks [-- TASKS [ROUNDS]]`
//!
//! Prints tasks a second of a first round, in which every split of one byte is sent to a peer, and the median of further
//! ones, next to two threads of one process. Bar: 20 000 a second.

use benches::{
    Failure,
    distribution::Distribution,
    empty::{self, Empty, Rounds},
    processes::{self, Peers},
};
use mapreduce_core::{Registry, prelude::*};
use mapreduce_net::PoolOptions;

fn main() -> Result<(), Failure> {
    let Some(arguments) = processes::arguments(|| Registry::new().with::<Empty>())? else { return Ok(()) };
    let mut numbers = arguments.iter().map(|argument| argument.parse::<u32>());
    let tasks = numbers.next().transpose()?.unwrap_or(20_000);
    let rounds = numbers.next().transpose()?.unwrap_or(9);

    let peers = Peers::start(2, 1)?;
    let pool = peers.connect(PoolOptions::default())?;
    let local = Local::new(2)?;
    println!("{tasks} empty map tasks in a round, tasks a second");
    let items = vec![0; tasks as usize];
    for _ in 0..2 {
        report("a pool of 2 peers", tasks, rounds, &pool, &items)?;
        report("2 threads", tasks, rounds, &local, &items)?;
    }
    Ok(())
}

fn report(name: &str, tasks: u32, rounds: u32, engine: &impl Engine, items: &[u8]) -> Result<(), Failure> {
    let job = Rounds { tasks: tasks.into(), rounds: rounds + 2 };
    // A dataset of its own, so that no split is there before.
    let times = empty::times(engine, &job, &empty::splits(items)?)?;
    let a_second = |time: std::time::Duration| f64::from(tasks) / time.as_secs_f64();
    let first = a_second(times[0].whole);
    let others = Distribution::new(times[1..].iter().map(|times| times.whole));
    println!(
        "  {name:<20} first round {first:>8.0}, then {:>8.0} ({:.0} to {:.0})",
        a_second(others.median()),
        a_second(others.quantile(1.0)),
        a_second(others.quantile(0.0))
    );
    Ok(())
}
