//! Start centroids of this project on demand, for `compare --only kmeans-start`: by k-means|| and by greedy k-means++.
//!
//! `start_kmeans (parallel | plus-plus) POINTS K ITERATIONS THREADS`
//!
//! Says `ready`, and then reads a seed a line. For each it answers a line: the seconds of the choice alone, the cost of the
//! centroids chosen, that after so many iterations, and the seconds of the first ten of those.

use benches::{
    Failure,
    on_demand::{answer_each, load_f32},
};
use kmeans_job::{KMeans, Start};
use mapreduce_core::Local;
use std::{
    env,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [how, points, k, iterations, threads] = arguments.as_slice() else {
        return Err("usage: start_kmeans (parallel | plus-plus) POINTS K ITERATIONS THREADS".into());
    };
    let start = match how.as_str() {
        "parallel" => Start::Parallel,
        "plus-plus" => Start::PlusPlus,
        other => return Err(format!("no start {other}").into()),
    };
    let points = load_f32(Path::new(points))?;
    let engine = Local::new(threads.parse()?)?;
    let iterations = iterations.parse()?;
    let builder = KMeans::builder().k(k.parse::<usize>()?).start(start).max_iter(iterations).tol(0.0);
    answer_each(|seed| {
        let observed = Arc::new(Mutex::new(Vec::new()));
        let each = observed.clone();
        let observe = move |iteration: &kmeans_job::Iteration| {
            each.lock().unwrap_or_else(PoisonError::into_inner).push(*iteration);
        };
        let fit = builder.clone().seed(seed.into()).observe(observe).build()?.fit_on(&engine, &points)?;
        let observed = observed.lock().unwrap_or_else(PoisonError::into_inner);
        let first = observed.first().ok_or("there is at least one iteration")?;
        let ten = observed.iter().take(10).map(|iteration| iteration.seconds).sum();
        Ok(vec![fit.start_seconds, first.cost, fit.model.inertia, ten])
    })
}
