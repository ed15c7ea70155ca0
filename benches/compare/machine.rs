//! What the runs were made on and with.

use std::{fs, process::Command, thread};
use time::OffsetDateTime;

/// Today, as in the names of the raw runs.
pub(crate) fn today() -> String {
    OffsetDateTime::now_utc().date().to_string()
}

/// A name for files: `amd-epyc-2-cores`.
pub(crate) fn name() -> String {
    let words: String =
        processor().to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' }).collect();
    let words: Vec<&str> =
        words.split(' ').filter(|word| !word.is_empty() && !["r", "tm", "cpu"].contains(word)).collect();
    format!("{}-{}-cores", words.join("-"), cores())
}

/// Processor, memory, system and the versions of what is compared, a line each.
pub(crate) fn description(packages: &str) -> String {
    let peers = [
        "clostera",
        "duckdb",
        "faiss-cpu",
        "numpy",
        "polars",
        "pyarrow",
        "pyspark",
        "scikit-learn",
        "scikit-learn-intelex",
        "superkmeans",
    ];
    let packages: Vec<&str> = packages
        .lines()
        .filter(|line| peers.iter().any(|name| line.starts_with(&format!("{name}=="))))
        .collect();
    let lines = [
        format!("{}, {} cores, {:.1} GB of memory", processor(), cores(), memory_bytes() as f64 / 1e9),
        first_line(Command::new("uname").arg("-srm")),
        first_line(Command::new("rustc").arg("--version")),
        format!("commit {}", first_line(Command::new("git").args(["describe", "--always", "--dirty"]))),
        first_line(Command::new("sort").arg("--version")),
        first_line(Command::new("java").arg("--version")),
        first_line(Command::new("python3").arg("--version")),
        packages.join(", "),
    ];
    lines.map(|line| format!("{line}\n")).concat()
}

/// How busy the machine is: processes that wanted to run in the last minute, on average.
pub(crate) fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

fn processor() -> String {
    field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn memory_bytes() -> u64 {
    let kib = field("/proc/meminfo", "MemTotal");
    kib.and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) << 10
}

/// What a file of `/proc` says of something.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn first_line(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    match text.lines().next() {
        Some(line) => line.to_owned(),
        None => format!("no {}", command.get_program().to_string_lossy()),
    }
}
