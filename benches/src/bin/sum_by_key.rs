//! Sums of values by a 64-bit key, few and many distinct ones, against Polars on the same threads: with the rows in
//! memory, and from a file to sorted text.
//!
//! `cargo run --release -p benches --bin sum_by_key [-- RUNS [THREADS [ROWS [DISTINCT..]]]]`

use benches::{
    alternate::{Contestant, alternate, print_table, timed},
    text::Random,
};
use mapreduce_core::{RowFile, RowSlice, Rows, prelude::*};
use std::{
    error::Error,
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

#[derive(Clone, Serialize, Deserialize)]
struct SumByKey;

impl Mapper for SumByKey {
    type Input = Rows<u64>;
    type Key = u64;
    type Value = u64;
    fn map(&self, row: &[u64], out: &mut impl Emit<u64, u64>) -> Result {
        out.emit(&row[0], &row[1])
    }
}

impl SimpleJob for SumByKey {
    const NAME: &'static str = "sum-by-key";
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

/// Rows of a key and a value. The keys are as many as `distinct`, spread over all 64 bits.
fn rows(count: usize, distinct: usize) -> Vec<u64> {
    let mut random = Random::new(5);
    let mut rows = Vec::with_capacity(count * 2);
    for _ in 0..count {
        let bits = random.bits();
        let key = ((u128::from(bits) * distinct as u128) >> 64) as u64;
        rows.extend([key.wrapping_mul(0x9e37_79b9_7f4a_7c15), bits % 1_000]);
    }
    rows
}

fn write_rows(path: &Path, rows: &[u64]) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    rows.iter().try_for_each(|number| out.write_all(&number.to_le_bytes()))?;
    out.flush()
}

/// A Python process that sums on demand.
struct Polars(Child, BufReader<std::process::ChildStdout>);

impl Polars {
    /// None if there is no Python with Polars.
    fn start(python: &str, rows: &Path, output: &Path, threads: usize) -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/compare/polars_sum_by_key.py");
        let mut child = Command::new(python)
            .args([script.as_ref(), rows, output])
            .env("POLARS_MAX_THREADS", threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut out = BufReader::new(child.stdout.take()?);
        let mut line = String::new();
        out.read_line(&mut line).ok()?;
        (line.trim() == "ready").then_some(Self(child, out))
    }

    /// Seconds and keys.
    fn sum(&mut self, what: &str) -> (Duration, u64) {
        let mut line = String::new();
        let asked = self.0.stdin.as_mut().map(|stdin| writeln!(stdin, "{what}"));
        assert!(matches!(asked, Some(Ok(()))), "python runs");
        self.1.read_line(&mut line).expect("python answers");
        let mut words = line.split_whitespace();
        let seconds = words.next().and_then(|word| word.parse().ok()).expect("python answers seconds");
        let keys = words.next().and_then(|word| word.parse().ok()).expect("python answers keys");
        (Duration::from_secs_f64(seconds), keys)
    }
}

impl Drop for Polars {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let numbers: Vec<usize> = std::env::args().skip(1).map(|arg| arg.parse()).collect::<Result<_, _>>()?;
    let argument = |i: usize, default| numbers.get(i).copied().unwrap_or(default);
    let (runs, threads, count) = (argument(0, 5), argument(1, 2), argument(2, 100_000_000));
    let distinct = numbers.get(3..).filter(|some| !some.is_empty()).unwrap_or(&[1_000, 50_000_000]);
    let folder = std::env::temp_dir().join("mapreduce-benches");
    fs::create_dir_all(&folder)?;
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    for &distinct in distinct {
        compare(runs, threads, count, distinct, &folder, &python)?;
    }
    Ok(())
}

fn compare(
    runs: usize,
    threads: usize,
    count: usize,
    distinct: usize,
    folder: &Path,
    python: &str,
) -> Result<(), Box<dyn Error>> {
    let values = rows(count, distinct);
    let input = folder.join(format!("rows-{count}-{distinct}.u64"));
    if !fs::metadata(&input).is_ok_and(|file| file.len() == count as u64 * 16) {
        write_rows(&input, &values)?;
    }
    let (ours, theirs) = (folder.join("sums"), folder.join("sums.csv"));
    let engine = Local::new(threads)?;
    let in_memory = Dataset::new(RowSlice::new(&values, 2)?)?;
    let target = PartFiles::new(&ours).overwrite(true);
    let options = Options::default();
    let mut keys = Vec::new();
    let mut polars = Polars::start(python, &input, &theirs, threads);
    if polars.is_none() {
        println!("no {python} with polars: `pip install -r benches/compare/requirements.txt`");
    }
    for place in ["memory", "file"] {
        let mut theirs = Vec::new();
        let mut contestants: Vec<Contestant<'_>> = vec![(
            "mapreduce sum by key",
            match place {
                "memory" => Box::new(timed(|| {
                    let output = engine.run(&SumByKey, &(), &in_memory).expect("sums");
                    keys.push(output.report.keys);
                })),
                _ => Box::new(timed(|| {
                    let rows = RowFile::<u64>::open(&input, 0, 2).expect("is there");
                    let rows = Dataset::new(rows).expect("is there");
                    engine.write(&SumByKey, &(), &rows, &target, &options).expect("sums");
                })),
            },
        )];
        if let Some(polars) = &mut polars {
            contestants.push((
                "Polars",
                Box::new(|| {
                    let (time, keys) = polars.sum(place);
                    theirs.push(keys);
                    time
                }),
            ));
        }
        let times = alternate(runs, contestants);
        let title = format!("sum of {count} rows by {distinct} keys, {threads} threads, {runs} runs, {place}");
        print_table(&title, &times);
        assert!(theirs.iter().all(|theirs| keys.contains(theirs)), "both found as many keys");
    }
    Ok(())
}
