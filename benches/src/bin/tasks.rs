//! What a map task costs that does no work, by how many of them a round has: it should not depend on that.
//!
//! `cargo run --release -p benches --bin tasks [-- THREADS [TURNS [TASKS..]]]`
//!
//! Each split is one byte, each task emits one pair, one reduce task merges them all. Prints, for each number of tasks,
//! nanoseconds a task, and how many times as much that is as with the fewest tasks: of the whole round, and of its parts
//! (map tasks, the reduce task, and what lies between its end and the next round, when the output of the map tasks is
//! dropped). `processor` is the time that all threads had a processor, which counts where other programs want one too.
//! `bare` is what rayon takes for as many closures that each put a number away: the machine's part in any growth.
//!
//! All take turns. A turn has about as many tasks of each kind, in many rounds or in few, and what counts is the mean of its
//! rounds: a millisecond in which nothing else runs is easily found, a second is not. Printed are medians of the turns.

use benches::{
    Failure,
    distribution::Distribution,
    empty::{self, Rounds, Times},
    processor::on_processor,
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

/// What is printed of each number of tasks.
const COLUMNS: [&str; 6] = ["round", "maps", "reduce", "between", "processor", "bare"];

fn main() -> Result<(), Failure> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|arg| arg.parse()).collect::<Result<_, _>>()?;
    let argument = |i: usize, default| numbers.get(i).copied().unwrap_or(default);
    let (threads, turns) = (argument(0, 2), argument(1, 5));
    let sizes = numbers.get(2..).filter(|sizes| !sizes.is_empty()).unwrap_or(&TASKS);
    let engine = Local::new(threads)?;
    let mut all = vec![Vec::new(); sizes.len()];
    for turn in 0..=turns {
        for (&tasks, all) in sizes.iter().zip(&mut all) {
            let costs = turn_of(&engine, tasks)?;
            // The first turn warms up.
            if turn > 0 {
                all.push(costs);
            }
        }
    }

    println!(
        "rounds of empty map tasks on {threads} threads, ns a map task (times as much as in the first line)"
    );
    let columns = COLUMNS.map(|column| format!(" {column:>16}"));
    println!("{:>9}{}", "tasks", columns.concat());
    let mut first: Option<[f64; COLUMNS.len()]> = None;
    for (tasks, turns) in sizes.iter().zip(&all) {
        let median = |i: usize| Distribution::new(turns.iter().map(|costs| costs[i])).median();
        let costs = std::array::from_fn(|i| median(i).as_secs_f64() * 1e9 / *tasks as f64);
        let first = first.get_or_insert(costs);
        let cells =
            costs.iter().zip(first).map(|(cost, first)| format!(" {cost:>8.0} ({:>5.2})", cost / *first));
        println!("{tasks:>9}{}", cells.collect::<String>());
    }
    Ok(())
}

/// The columns for rounds of so many tasks: what a round takes, in the mean of a turn.
fn turn_of(engine: &Local, tasks: usize) -> Result<[Duration; COLUMNS.len()], Failure> {
    let items = vec![0; tasks];
    let splits = empty::splits(&items)?;
    // The last one is followed by none, and has no time.
    let rounds = 1 + u32::try_from(TURN_TASKS.div_ceil(tasks))?;
    let before = on_processor();
    let times = empty::times(engine, &Rounds { tasks: tasks as u64, rounds }, &splits)?;
    let processor = on_processor().zip(before).map(|(after, before)| after.saturating_sub(before));
    let bare: Duration = times.iter().map(|_| bare_closures(engine, tasks)).sum();
    let mean = |part: fn(&Times) -> Duration| times.iter().map(part).sum::<Duration>() / (rounds - 1);
    Ok([
        mean(|times| times.whole),
        mean(|times| times.first_map + times.other_maps),
        mean(|times| times.reduce),
        mean(|times| times.between),
        processor.unwrap_or_default() / rounds,
        bare / (rounds - 1),
    ])
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
