//! Milliseconds per iteration of K-means: through the framework, in a plain loop around the same kernel, and in
//! scikit-learn if `python3` has it. Same points, same start centroids, same iterations, same threads, in turns.
//!
//! `cargo run --release -p benches --bin kmeans [-- RUNS [THREADS [N D K]]]`
//!
//! The time of an iteration is (T(21) - T(1)) / 20, so loading, centring and labelling do not count.

use benches::{
    alternate::{Contestant, alternate, print_table},
    clusters::{fit_timed, points},
};
use kmeans_job::{
    data::Matrix,
    kernel::{assign::assign, isa::Isa, pack::Packed},
    numeric::grid::{Grid, accumulate},
};
use mapreduce_core::Local;
use rayon::prelude::*;
use std::{
    error::Error,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const ITERATIONS: u32 = 20;

fn through_framework(
    engine: &Local,
    points: &Matrix<f32>,
    start: &Matrix<f64>,
    iterations: u32,
) -> (Duration, f64) {
    let started = Instant::now();
    let fit = fit_timed(engine, points, start, iterations).1;
    (started.elapsed(), fit.model.inertia)
}

/// The same steps with the same kernel over the same rows - labels, what moved, sums - without jobs, tasks or a
/// coordinator.
fn plain_loop(
    pool: &rayon::ThreadPool,
    points: &[f32],
    d: usize,
    start: &[f64],
    iterations: u32,
) -> Duration {
    let (n, k, isa) = (points.len() / d, start.len() / d, Isa::detect());
    let grid = Grid::<f32>::new(&vec![2.0; d], n as u64);
    let mut centroids: Vec<f32> = start.iter().map(|&x| x as f32).collect();
    let split = (points.len() * 4 / 64).clamp(256 << 10, 64 << 20) / (4 * d);
    let mut labels = vec![u32::MAX; n];
    let started = Instant::now();
    for _ in 0..iterations {
        let packed = Packed::new(&centroids, d);
        let sums = pool.install(|| {
            let splits = points.par_chunks(split * d).zip(labels.par_chunks_mut(split));
            let summed = splits.map(|(rows, labels)| {
                let (mut sums, mut counts, mut moved) = (vec![0_i64; k * d], vec![0_u64; k], 0);
                let mut fresh = [0; 1024];
                for (rows, labels) in rows.chunks(1024 * d).zip(labels.chunks_mut(1024)) {
                    let fresh = &mut fresh[..labels.len()];
                    assign(isa, &packed, rows, fresh, None);
                    accumulate(isa, rows, fresh, &grid, &mut sums, &mut counts);
                    moved += labels.iter().zip(&*fresh).filter(|(a, b)| a != b).count();
                    labels.copy_from_slice(fresh);
                }
                (sums, counts, moved)
            });
            summed.reduce_with(|mut a, b| {
                a.0.iter_mut().zip(b.0).for_each(|(a, b)| *a += b);
                a.1.iter_mut().zip(b.1).for_each(|(a, b)| *a += b);
                (a.0, a.1, a.2 + b.2)
            })
        });
        let (sums, counts, moved) = sums.expect("there are points");
        assert!(moved > 0, "the points do not converge so early");
        for (i, centroid) in centroids.iter_mut().enumerate() {
            *centroid = grid.mean(sums[i], counts[i / d].max(1), i % d) as f32;
        }
    }
    started.elapsed()
}

/// A Python process that fits on demand.
struct ScikitLearn(Child, BufReader<std::process::ChildStdout>);

impl ScikitLearn {
    /// None if there is no Python with scikit-learn.
    fn start(points: &Path, start: &Path, threads: usize) -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/compare/scikit_learn_kmeans.py");
        let mut child = Command::new("python3")
            .args([script.as_ref(), points, start])
            .env("OMP_NUM_THREADS", threads.to_string())
            .env("OPENBLAS_NUM_THREADS", threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut out = BufReader::new(child.stdout.take()?);
        let mut line = String::new();
        out.read_line(&mut line).ok()?;
        (line.trim() == "ready").then_some(Self(child, out))
    }

    /// Seconds and inertia.
    fn fit(&mut self, iterations: u32) -> (Duration, f64) {
        let mut line = String::new();
        let asked = self.0.stdin.as_mut().map(|stdin| writeln!(stdin, "{iterations}"));
        assert!(matches!(asked, Some(Ok(()))), "python runs");
        self.1.read_line(&mut line).expect("python answers");
        let mut numbers =
            line.split_whitespace().map(|word| word.parse::<f64>().expect("python answers numbers"));
        let mut next = || numbers.next().expect("python answers two numbers");
        (Duration::from_secs_f64(next()), next())
    }
}

impl Drop for ScikitLearn {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|arg| arg.parse()).collect::<Result<_, _>>()?;
    let argument = |i: usize, default| numbers.get(i).copied().unwrap_or(default);
    let (runs, threads) = (argument(0, 5), argument(1, 2));
    let (n, d, k) = (argument(2, 1_000_000), argument(3, 16), argument(4, 64));

    let values = points(n, d, k);
    let start: Vec<f64> = values[..k * d].iter().map(|&x| f64::from(x)).collect();
    let (points, start) = (Matrix::new(n, d, values)?, Matrix::new(k, d, start)?);
    let folder = std::env::temp_dir().join("mapreduce-benches");
    std::fs::create_dir_all(&folder)?;
    let files = (folder.join("points.f32"), folder.join("start.f32"));
    let raw = |values: Vec<f32>| values.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
    std::fs::write(&files.0, [&(d as u64).to_le_bytes()[..], &raw(points.values().to_vec())].concat())?;
    let start_f32 = start.values().iter().map(|&x| x as f32).collect();
    std::fs::write(&files.1, [&(d as u64).to_le_bytes()[..], &raw(start_f32)].concat())?;

    let engine = Local::new(threads)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let mut python = ScikitLearn::start(&files.0, &files.1, threads);
    let per_iteration = |long: Duration, short: Duration| long.saturating_sub(short) / ITERATIONS;
    let mut found = Vec::new();
    let ours = through_framework(&engine, &points, &start, ITERATIONS + 1).1;
    let mut contestants: Vec<Contestant<'_>> = vec![
        (
            "through the framework",
            Box::new(|| {
                let short = through_framework(&engine, &points, &start, 1).0;
                per_iteration(through_framework(&engine, &points, &start, ITERATIONS + 1).0, short)
            }),
        ),
        (
            "plain loop, same kernel",
            Box::new(|| {
                let short = plain_loop(&pool, points.values(), d, start.values(), 1);
                per_iteration(plain_loop(&pool, points.values(), d, start.values(), ITERATIONS + 1), short)
            }),
        ),
    ];
    match &mut python {
        Some(python) => contestants.push((
            "scikit-learn (lloyd)",
            Box::new(|| {
                let short = python.fit(1).0;
                let (long, inertia) = python.fit(ITERATIONS + 1);
                found.push(inertia);
                per_iteration(long, short)
            }),
        )),
        None => println!("no python3 with scikit-learn: `pip install -r benches/compare/requirements.txt`"),
    }
    let times = alternate(runs, contestants);
    print_table(&format!("K-means, {n} x {d} f32, k = {k}, {threads} threads, one iteration"), &times);
    for theirs in found {
        assert!((theirs / ours - 1.0).abs() < 1e-3, "inertia {ours} and {theirs} after the same iterations");
    }
    Ok(())
}
