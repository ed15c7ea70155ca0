//! What a round costs that does no work: the time from one round's end to the next's, by the number of map tasks.
//!
//! `cargo run --release -p benches --bin rounds [-- THREADS]`

use benches::empty::{self, Rounds};
use mapreduce_core::prelude::*;
use std::time::Instant;

fn main() -> Result {
    let threads = std::env::args().nth(1).map_or(Ok(2), |arg| arg.parse())?;
    let engine = Local::new(threads)?;
    println!("empty local rounds, {threads} threads, {ROUNDS} rounds each, five times");
    for tasks in [1, 2, 16, 64, 1024] {
        let items = vec![0; tasks];
        let data = empty::splits(&items)?;
        let mut micros: Vec<f64> = Vec::new();
        for _ in 0..5 {
            let start = Instant::now();
            engine.iterate(&Rounds { tasks: tasks as u64, rounds: ROUNDS }, &data)?;
            micros.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS));
        }
        micros.sort_unstable_by(f64::total_cmp);
        println!(
            "  {tasks:>5} map tasks, 1 reduce task: median {:>8.1} us a round ({:.1} to {:.1}), {:.2} us a map task",
            micros[2],
            micros[0],
            micros[4],
            micros[2] / tasks as f64
        );
    }
    Ok(())
}

const ROUNDS: u32 = 2_000;
