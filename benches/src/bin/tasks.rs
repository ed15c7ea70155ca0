//! What a map task costs that does no work, by how many of them a round has: it should not depend on that.
//!
//! `cargo run --release -p benches --bin tasks [-- THREADS [TURNS [TASKS..]]]`
//!
//! Each split is one byte, each task emits one pair, one reduce task merges them all. Prints, for each number of tasks, the
//! medians of the rounds in nanoseconds a task, and how many times as much that is as with the fewest tasks: of the whole
//! round, and of its parts (map tasks, the reduce task, and what lies between its end and the next round, when the
//! output of the map tasks is dropped). `bare` is what rayon takes for as many closures that each put a number away: the
//! machine's part in any growth. All take turns.

use benches::{
    Failure,
    distribution::Distribution,
    empty::{self, Rounds, Times},
};
use mapreduce_core::prelude::*;
use std::{
    hint::black_box,
    sync::OnceLock,
    time::{Duration, Instant},
};

const TASKS: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];

/// Tasks of all rounds of a turn together, about.
const TURN_TASKS: usize = 2_000_000;

fn main() -> Result<(), Failure> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|arg| arg.parse()).collect::<Result<_, _>>()?;
    let argument = |i: usize, default| numbers.get(i).copied().unwrap_or(default);
    let (threads, turns) = (argument(0, 2), argument(1, 3));
    let sizes = numbers.get(2..).filter(|sizes| !sizes.is_empty()).unwrap_or(&TASKS);
    let engine = Local::new(threads)?;
    let mut rounds = vec![Vec::new(); sizes.len()];
    let mut bare = vec![Vec::new(); sizes.len()];
    for turn in 0..=turns {
        for (i, &tasks) in sizes.iter().enumerate() {
            let items = vec![0; tasks];
            let job = Rounds { tasks: tasks as u64, rounds: u32::try_from(1 + TURN_TASKS.div_ceil(tasks))? };
            let times = empty::times(&engine, &job, &empty::splits(&items)?)?;
            let closures = bare_closures(&engine, tasks);
            // The first turn warms up.
            if turn > 0 {
                rounds[i].extend(times);
                bare[i].push(closures);
            }
        }
    }

    println!(
        "rounds of empty map tasks on {threads} threads, ns a map task (times as much as in the first line)"
    );
    println!(
        "{:>9} {:>16} {:>16} {:>16} {:>16} {:>16}",
        "tasks", "round", "maps", "reduce", "between", "bare"
    );
    let parts: [fn(&Times) -> Duration; 4] = [
        |times| times.whole,
        |times| times.first_map + times.other_maps,
        |times| times.reduce,
        |times| times.between,
    ];
    let mut first: Option<Vec<f64>> = None;
    for ((tasks, rounds), bare) in sizes.iter().zip(&rounds).zip(&bare) {
        let of_rounds = parts.map(|part| Distribution::new(rounds.iter().map(part)).median());
        let medians = of_rounds.into_iter().chain([Distribution::new(bare.iter().copied()).median()]);
        let costs: Vec<f64> = medians.map(|time| time.as_secs_f64() * 1e9 / *tasks as f64).collect();
        let first = first.get_or_insert_with(|| costs.clone());
        let cells: Vec<String> = costs
            .iter()
            .zip(first)
            .map(|(cost, first)| format!("{cost:>8.0} ({:>5.2})", cost / *first))
            .collect();
        println!("{tasks:>9} {}", cells.join(" "));
    }
    Ok(())
}

/// How long the threads take for as many closures as there are tasks, of which each leaves a number.
fn bare_closures(engine: &Local, tasks: usize) -> Duration {
    let places: Vec<OnceLock<usize>> = (0..tasks).map(|_| OnceLock::new()).collect();
    let start = Instant::now();
    engine.thread_pool().in_place_scope(|scope| {
        for (number, place) in (0..).zip(&places) {
            scope.spawn(move |_| {
                let fresh = place.set(black_box(number)).is_ok();
                assert!(fresh, "each place is filled once");
            });
        }
    });
    start.elapsed()
}
