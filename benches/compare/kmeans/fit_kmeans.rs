//! K-means of this project on demand, for `compare`: through the library on threads or on a pool, and in a plain loop
//! around its kernel. See `benches::on_demand` for what it reads and answers.
//!
//! `fit_kmeans (threads | pool | plain-loop) POINTS START THREADS`   (a pool has as many peers, of one thread each)

mod plain_loop;

use benches::{
    Failure,
    on_demand::{load_f32, serve},
    processes::{self, Peers},
};
use kmeans_job::{KMeans, Start, data::Matrix};
use mapreduce_core::{Engine, Local, Registry};
use mapreduce_net::PoolOptions;
use plain_loop::PlainLoop;
use std::{path::Path, time::Instant};

fn main() -> Result<(), Failure> {
    let Some(arguments) = processes::arguments(|| kmeans_job::register(Registry::new()))? else {
        return Ok(());
    };
    let [how, points, start, threads] = arguments.as_slice() else {
        return Err("usage: fit_kmeans (threads | pool | plain-loop) POINTS START THREADS".into());
    };
    let (points, start) = (load_f32(Path::new(points))?, load_f32(Path::new(start))?);
    let threads = threads.parse()?;
    match how.as_str() {
        "threads" => on(&Local::new(threads)?, &points, &start),
        "pool" => {
            let peers = Peers::start(threads, 1)?;
            on(&peers.connect(PoolOptions::default())?, &points, &start)
        }
        "plain-loop" => {
            let plain = PlainLoop::new(&points, threads)?;
            serve(|iterations| Ok(plain.fit(&start, iterations)))
        }
        other => Err(format!("no engine {other}").into()),
    }
}

/// Answers with fits through the library.
fn on(engine: &impl Engine, points: &Matrix<f32>, start: &Matrix<f32>) -> Result<(), Failure> {
    let values = start.values().iter().map(|&x| x.into()).collect();
    let given = Start::Given(Matrix::new(start.rows(), start.d(), values)?);
    let builder = KMeans::builder().k(start.rows()).start(given).tol(0.0);
    serve(|iterations| {
        let kmeans = builder.clone().max_iter(iterations).build()?;
        let begun = Instant::now();
        let fit = kmeans.fit_on(engine, points)?;
        let time = begun.elapsed();
        match fit.model.iterations {
            done if done == u64::from(iterations) => Ok((time, fit.model.inertia)),
            done => Err(format!("converged after {done} of {iterations} iterations").into()),
        }
    })
}
