//! Milliseconds per iteration of K-means: on a pool of two peers with one thread each, against two threads of one
//! process, in turns.
//!
//! `cargo run --release -p benches --bin pool_kmeans [-- RUNS [N D K [INLINE_BYTES [SPLIT_BYTES]]]]`
//!
//! Prints the median time of an iteration from the second on, when all splits are where they are worked on, of each run;
//! and how fast the pool is beside the process. Bar: 90 %. INLINE_BYTES is the option of that name of the pool, SPLIT_BYTES
//! that of the fit.

use benches::{
    Failure,
    clusters::{fit_timed, points},
    distribution::Distribution,
    processes::{self, Peers},
};
use kmeans_job::data::Matrix;
use mapreduce_core::{Local, Registry};
use mapreduce_net::PoolOptions;
use std::time::Duration;

const ITERATIONS: u32 = 21;

fn main() -> Result<(), Failure> {
    let Some(arguments) = processes::arguments(|| kmeans_job::register(Registry::new()))? else {
        return Ok(());
    };
    let numbers: Vec<usize> = arguments.iter().map(|argument| argument.parse()).collect::<Result<_, _>>()?;
    let argument = |i: usize, default| numbers.get(i).copied().unwrap_or(default);
    let runs = argument(0, 5);
    let (n, d, k) = (argument(1, 1_000_000), argument(2, 16), argument(3, 64));
    let options = PoolOptions::default();
    let inline_bytes = u32::try_from(argument(4, options.inline_bytes as usize))?;

    let split_bytes = numbers.get(5).map(|&bytes| bytes as u64);

    let values = points(n, d, k);
    let start = values[..k * d].iter().map(|&x| f64::from(x)).collect();
    let (points, start) = (Matrix::new(n, d, values)?, Matrix::new(k, d, start)?);
    let peers = Peers::start(2, 1)?;
    let pool = peers.connect(PoolOptions { inline_bytes, ..options })?;
    let local = Local::new(2)?;

    println!("K-means, {n} x {d} f32, k = {k}: milliseconds of an iteration");
    let (mut on_pool, mut on_local) = (Vec::new(), Vec::new());
    for run in 0..=runs {
        let (pool_times, pool_fit) = fit_timed(&pool, &points, &start, ITERATIONS, split_bytes);
        let (local_times, local_fit) = fit_timed(&local, &points, &start, ITERATIONS, split_bytes);
        assert!(pool_fit.model == local_fit.model, "both have found the same");
        // The first run warms up.
        if run > 0 {
            let (pool_time, local_time) = (median(&pool_times), median(&local_times));
            println!("  run {run}: pool {:.2}, process {:.2}", millis(pool_time), millis(local_time));
            on_pool.push(pool_time);
            on_local.push(local_time);
        }
    }
    let (pool, local) = (median(&on_pool), median(&on_local));
    let percent = local.as_secs_f64() / pool.as_secs_f64() * 100.0;
    println!(
        "medians: pool {:.2}, process {:.2}: the pool reaches {percent:.0} %",
        millis(pool),
        millis(local)
    );
    Ok(())
}

fn median(times: &[Duration]) -> Duration {
    Distribution::new(times.iter().copied()).median()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
