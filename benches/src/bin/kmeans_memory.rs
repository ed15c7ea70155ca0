//! How much memory fits of K-means take beside their points: the peak resident memory of a process for each, on two threads.
//!
//! `cargo build --release -p kmeans-job && cargo run --release -p benches --bin kmeans_memory [-- --quick] [WORD..]`
//!
//! Makes points in a temporary folder (`TMPDIR` says where; 400 MB at the most at a time) and fits them in processes of their
//! own: by the command, which reads an `.npy` file and writes model and labels; through the library from a matrix that is
//! handed over; and from one that the caller keeps, which is copied and counts once more. Prints the peak (`VmHWM`, so only on
//! Linux), what `docs/kmeans.md` promises (1.3 times the points, 16 bytes a point, and 100 MB), and what part of that the peak
//! is. Fails if one is more than promised. Megabytes are 10^6 bytes. `--quick` takes a tenth of the points; words choose the
//! cases that have one of them in their name.

use benches::{Failure, on_demand::load_f32};
use kmeans_job::{
    KMeans,
    generate::{Generator, Shape, WriteOptions},
};
use mapreduce_core::Local;
use mapreduce_net::cli::peak_rss_bytes;
use serde_json::Value;
use std::{env, path::Path, process::Command};

const THREADS: usize = 2;
const UNKNOWN: &str = "this system does not tell the peak memory of a process";
/// Stands in front of what a process of its own is told.
const HIDDEN: &str = "--case";

/// Points, clusters, and iterations.
struct Case {
    name: &'static str,
    shape: Shape,
    n: usize,
    d: usize,
    k: usize,
    iterations: u32,
}

/// Where the points of a fit are.
#[derive(Clone, Copy)]
enum Points {
    /// In a file that the command reads.
    File,
    /// In a matrix that is handed over.
    Owned,
    /// In a matrix that stays with the caller.
    Borrowed,
}

fn cases() -> [Case; 4] {
    let blobs = |name, n, d, k, iterations, spread| Case {
        name,
        shape: Shape::Blobs { clusters: k, spread },
        n,
        d,
        k,
        iterations,
    };
    [
        blobs("rgb", 1_000_000, 3, 16, 20, 4.0),
        blobs("small", 1_000_000, 16, 64, 20, 6.0),
        Case {
            name: "hibench",
            shape: Shape::HiBench { clusters: 5 },
            n: 5_000_000,
            d: 20,
            k: 10,
            iterations: 20,
        },
        blobs("wide", 200_000, 128, 1024, 8, 16.0),
    ]
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let [HIDDEN, points, path, k, iterations] = arguments[..] {
        return fit(points == "borrowed", Path::new(path), k.parse()?, iterations.parse()?);
    }
    let (flags, chosen): (Vec<&str>, Vec<&str>) = arguments.iter().partition(|word| word.starts_with('-'));
    let part = match flags[..] {
        [] => 1,
        ["--quick"] => 10,
        _ => return Err("arguments are --quick and words of the cases' names".into()),
    };
    println!(
        "{:<8} {:<10} {:>10} {:>8} {:>12} {:>6}",
        "points", "from", "points MB", "peak MB", "promised MB", "part"
    );
    let mut is_kept = true;
    for case in cases() {
        if chosen.is_empty() || chosen.iter().any(|word| case.name.contains(word)) {
            is_kept &= case.measure(part)?;
        }
    }
    if is_kept { Ok(()) } else { Err("some fits have taken more than is promised".into()) }
}

impl Case {
    /// Prints a line for each place of the points. Whether all peaks are within what is promised.
    fn measure(&self, part: usize) -> Result<bool, Failure> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("points.npy");
        let (n, k) = (self.n / part, self.k.min(self.n / part / 10));
        Generator::new(self.shape, n as u64, self.d, 7)?.write(&path, WriteOptions::default())?;
        let bytes = n * self.d * 4;
        let mut is_kept = true;
        for points in [Points::File, Points::Owned, Points::Borrowed] {
            let (k, iterations) = (k.to_string(), self.iterations.to_string());
            let (from, kept, peak) = match points {
                Points::File => ("a file", 0, peak_of_command(&path, &k, &iterations)?),
                Points::Owned => ("a matrix", 0, peak_of_case("owned", &path, &k, &iterations)?),
                Points::Borrowed => ("borrowed", bytes, peak_of_case("borrowed", &path, &k, &iterations)?),
            };
            let promised = kept + bytes * 13 / 10 + 16 * n + 100_000_000;
            is_kept &= peak <= promised as u64;
            println!(
                "{:<8} {from:<10} {:>10.0} {:>8.0} {:>12.0} {:>6.2}",
                self.name,
                bytes as f64 / 1e6,
                peak as f64 / 1e6,
                promised as f64 / 1e6,
                peak as f64 / promised as f64
            );
        }
        Ok(is_kept)
    }
}

/// The peak memory of a process of the command, in bytes: as it says itself.
fn peak_of_command(points: &Path, k: &str, iterations: &str) -> Result<u64, Failure> {
    let program = env::current_exe()?.with_file_name("kmeans-job");
    let mut command = Command::new(&program);
    command.arg("fit").arg(points).args([
        "--k",
        k,
        "--max-iter",
        iterations,
        "--tol",
        "0",
        "--quiet",
        "--json",
    ]);
    command.arg("--model").arg(points.with_file_name("model.json"));
    command.arg("--labels").arg(points.with_file_name("labels.npy"));
    command.args(["--threads", &THREADS.to_string()]);
    let said = command.output().map_err(|error| {
        format!("cannot start {}: {error}; cargo build --release -p kmeans-job", program.display())
    })?;
    if !said.status.success() {
        return Err(String::from_utf8_lossy(&said.stderr).into());
    }
    let report: Value = serde_json::from_slice(&said.stdout)?;
    report["peak_rss_bytes"].as_u64().ok_or_else(|| UNKNOWN.into())
}

/// The same of a process of this program.
fn peak_of_case(points: &str, path: &Path, k: &str, iterations: &str) -> Result<u64, Failure> {
    let mut command = Command::new(env::current_exe()?);
    let said = command.args([HIDDEN, points]).arg(path).args([k, iterations]).output()?;
    match said.status.success() {
        true => Ok(String::from_utf8(said.stdout)?.trim().parse()?),
        false => Err(String::from_utf8_lossy(&said.stderr).into()),
    }
}

/// What such a process does: it fits, and says the most memory that it has had.
fn fit(is_borrowed: bool, path: &Path, k: usize, iterations: u32) -> Result<(), Failure> {
    let points = load_f32(path)?;
    let engine = Local::new(THREADS)?;
    let kmeans = KMeans::builder().k(k).max_iter(iterations).tol(0.0).build()?;
    match is_borrowed {
        true => kmeans.fit_on(&engine, &points)?,
        false => kmeans.fit_on(&engine, points)?,
    };
    println!("{}", peak_rss_bytes().ok_or(UNKNOWN)?);
    Ok(())
}
