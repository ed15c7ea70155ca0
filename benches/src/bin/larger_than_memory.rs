//! K-means over points larger than its memory, against reading their file.
//!
//! `cargo run --release -p benches --bin larger_than_memory [-- GB]`
//!
//! Makes so many GB of points (4 by default: f32, 16 columns, from a seed) in a temporary folder (`TMPDIR` says where; it takes
//! a fifth more for labels and distances), and fits them with a tenth of that as memory, on two threads, with 10 and with 64
//! clusters, each in a process of its own. In turns with it `cat` reads the file. Prints what `cat` takes and an iteration
//! takes (medians), how many times as long that is, the processor time of an iteration, the peak memory (`VmHWM`, so only on
//! Linux), what part of the budget that is, and the seconds of labels and distances of all points, which are found in pieces
//! and written as they come. The file is in the page cache if it fits there: else `cat` tells how fast the disk is.

use benches::Failure;
use kmeans_job::{
    KMeans, PredictOptions, Start,
    data::PointFiles,
    generate::{Generator, Shape, WriteOptions},
    output::{ColumnFile, commit_all},
};
use mapreduce_core::{Local, Memory};
use mapreduce_net::cli::peak_rss_bytes;
use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    time::Instant,
};
use tempfile::TempDir;

const THREADS: usize = 2;
const D: usize = 16;
const CLUSTERS: [usize; 2] = [10, 64];
const ITERATIONS: u32 = 5;
/// Readings of the file, some ahead of a fit and some after it.
const READINGS: usize = 3;
/// Stands in front of what a process of its own is told.
const HIDDEN: &str = "--fit";

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let gigabytes = match arguments[..] {
        [HIDDEN, path, k, budget] => return fit(Path::new(path), k.parse()?, budget.parse()?),
        [] => 4,
        [gigabytes] => gigabytes.parse::<u64>()?,
        _ => return Err("the argument is a number of GB".into()),
    };
    let folder = TempDir::new()?;
    let path = folder.path().join("points.npy");
    let (bytes, shape) = (gigabytes * 1_000_000_000, Shape::Blobs { clusters: 64, spread: 4.0 });
    Generator::new(shape, bytes / (4 * D as u64), D, 1)?.write(&path, WriteOptions::default())?;
    let budget = bytes / 10;
    println!("{gigabytes} GB of points, {} MB of memory, {THREADS} threads", budget / 1_000_000);
    println!(
        "{:>3} {:>8} {:>12} {:>7} {:>14} {:>8} {:>10} {:>17}",
        "k", "cat s", "iteration s", "times", "processor s", "peak MB", "of budget", "labels/dist. s"
    );
    for k in CLUSTERS {
        let mut readings = (0..READINGS).map(|_| read(&path)).collect::<Result<Vec<f64>, Failure>>()?;
        let Fitted { iteration, processor, peak, labels } = Fitted::of(&path, k, budget)?;
        for _ in 0..READINGS {
            readings.push(read(&path)?);
        }
        let reading = median(readings);
        println!(
            "{k:>3} {reading:>8.2} {iteration:>12.2} {:>7.1} {processor:>14.2} {:>8.0} {:>10.2} {labels:>17.1}",
            iteration / reading,
            peak / 1e6,
            peak / budget as f64,
        );
    }
    Ok(())
}

/// The seconds that it takes to read a file.
fn read(path: &Path) -> Result<f64, Failure> {
    let started = Instant::now();
    let status = Command::new("cat").arg(path).stdout(Stdio::null()).status()?;
    if status.success() { Ok(started.elapsed().as_secs_f64()) } else { Err("cat has failed".into()) }
}

/// What a process of its own has said.
struct Fitted {
    iteration: f64,
    processor: f64,
    peak: f64,
    labels: f64,
}

impl Fitted {
    fn of(path: &Path, k: usize, budget: u64) -> Result<Self, Failure> {
        let mut command = Command::new(env::current_exe()?);
        let said = command.arg(HIDDEN).arg(path).args([k.to_string(), budget.to_string()]).output()?;
        if !said.status.success() {
            return Err(String::from_utf8_lossy(&said.stderr).into());
        }
        let said = String::from_utf8(said.stdout)?;
        let numbers = said.split_ascii_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        let [iteration, processor, peak, labels] = numbers[..] else {
            return Err("a process has not said four numbers".into());
        };
        Ok(Self { iteration, processor, peak, labels })
    }
}

/// What a process of its own does: fits, labels, and says how long an iteration took, on the clock and of the processors,
/// its peak memory, and how long labels and distances took.
fn fit(path: &Path, k: usize, budget: u64) -> Result<(), Failure> {
    let folder = path.parent().ok_or("the points are in a folder")?;
    let engine = Local::new(THREADS)?.with_memory(Memory::limited(budget).spilling_to(folder));
    let files = PointFiles::open(&[path], &[])?;
    let (tell, told) = mpsc::channel();
    let observe = move |iteration: &kmeans_job::Iteration| {
        // Nobody is there to tell only when the fit has ended.
        let _ = tell.send((iteration.seconds, processor_seconds()));
    };
    let kmeans = KMeans::builder().k(k).start(Start::Random).max_iter(ITERATIONS).tol(0.0).observe(observe);
    let fit = kmeans.without_labels().build()?.fit_on(&engine, &files)?;
    let (seconds, processor): (Vec<f64>, Vec<f64>) = told.try_iter().unzip();
    let processor = processor.windows(2).map(|pair| pair[1] - pair[0]).collect();

    let started = Instant::now();
    let rows = files.rows() as u64;
    let mut labels = ColumnFile::<i32>::create(&folder.join("labels.npy"), rows)?;
    let mut distances = ColumnFile::<f64>::create(&folder.join("distances.npy"), rows)?;
    fit.model.predict_pieces_on(&engine, &files, &PredictOptions::default(), |piece| {
        labels.write(piece.labels)?;
        distances.write(&piece.distances()?)?;
        Ok::<(), Failure>(())
    })?;
    commit_all([labels.finish()?, distances.finish()?])?;
    let of_labels = started.elapsed().as_secs_f64();
    let peak = peak_rss_bytes().ok_or("the system does not tell the peak memory of a process")?;
    println!("{} {} {peak} {of_labels}", median(seconds), median(processor));
    Ok(())
}

/// The seconds that processors have worked for this process, in it and for it in the system; hundredths are told.
fn processor_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may have spaces in it, `utime` and `stime` are numbers 12 and 13.
    let behind = stat.rsplit(')').next().unwrap_or_default();
    let ticks =
        behind.split_ascii_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
