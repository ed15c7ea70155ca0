//! How much memory jobs take with a budget: the peak resident memory of a process for each, on two threads.
//!
//! `cargo run --release -p benches --bin peak_memory [-- --quick] [WORD..]`
//!
//! Makes its inputs from seeds in a temporary folder (about 3 GB, another 1 GB for output and as much to spill; `TMPDIR` says
//! where), and runs each case as a process of its own, first without a limit and then with the budgets of
//! `docs/decisions/0023-memory-budget.md`. Prints for each budget the peak (`VmHWM`, so only on Linux), what part of the
//! budget that is, what was spilled, the seconds, the peak without a limit, and whether the part files are the same as
//! without a limit, byte by byte. Fails if any are not. Megabytes are 10^6 bytes. `--quick` takes inputs of a tenth; words
//! choose the cases that have one of them in their name.

use benches::{
    Failure,
    runs::line,
    text::{Random, lines_file, zipf_file},
};
use mapreduce_core::{Written, prelude::*};
use mapreduce_net::cli::peak_rss_bytes;
use std::{
    env,
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};
use tempfile::TempDir;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const THREADS: usize = 2;
const UNLIMITED: u64 = u64::MAX;

/// What is measured, with which budgets in megabytes.
const CASES: [(Case, &[u64]); 6] = [
    (Case::Sort, &[100, 200, 400]),
    (Case::Index, &[200]),
    (Case::OneKey, &[200]),
    (Case::OneLine, &[512]),
    (Case::Partitions, &[100]),
    (Case::WordCount, &[60]),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Sort,
    Index,
    OneKey,
    OneLine,
    Partitions,
    WordCount,
}

impl Case {
    fn name(self) -> &'static str {
        match self {
            Self::Sort => "sort of lines of 100 bytes",
            Self::Index => "index of a text, no combiner",
            Self::OneKey => "60 % of all under one key",
            Self::OneLine => "one line of 100 MB",
            Self::Partitions => "10 000 partitions of one line",
            Self::WordCount => "word count, one task at a time",
        }
    }

    /// Makes the input, of which there is one part in `part`.
    fn make(self, path: &Path, part: u64) -> Result<(), Failure> {
        match self {
            Self::Sort => lines_file(path, (10_000_000 / part) as usize)?,
            Self::Index | Self::WordCount => {
                zipf_file(path, 421_000_000 / part, (500_000 / part) as usize)?;
            }
            Self::OneKey => one_key_file(path, 1_000_000_000 / part)?,
            Self::OneLine => {
                let mut out = BufWriter::new(File::create(path)?);
                for length in [50, 100_000_000 / part as usize, 50] {
                    out.write_all(&vec![b'a' + (length % 7) as u8; length])?;
                    out.write_all(b"\n")?;
                }
                out.flush()?;
            }
            Self::Partitions => lines_file(path, self.partitions(part).unwrap_or_default() as usize)?,
        }
        Ok(())
    }

    fn partitions(self, part: u64) -> Option<u32> {
        (self == Self::Partitions).then_some((10_000 / part) as u32)
    }

    fn run(self, input: &Path, to: &PartFiles, memory: Memory, part: u64) -> Result<Written, Failure> {
        let engine = Local::new(THREADS)?.with_memory(memory);
        let options = Options { partitions: self.partitions(part), ..Options::default() };
        let lines = Dataset::new(TextFiles::open_bytes([input])?)?;
        Ok(match self {
            Self::Sort | Self::OneLine | Self::Partitions => {
                let sample = lines.sample(10_000, <[u8]>::to_vec)?;
                let partitions = options.partitions_for(lines.bytes());
                let ranges = RangePartitioner::from_sample::<[u8]>(&sample, partitions);
                engine.write(&Sort, &ranges, &lines, to, &options)?
            }
            Self::Index => engine.write(&Index, &(), &lines, to, &options)?,
            Self::OneKey => engine.write(&ByKey, &(), &lines, to, &options)?,
            Self::WordCount => engine.write(&WordCount, &(), &lines, to, &options)?,
        })
    }
}

/// Lines of 100 bytes with a key and a tab in front, three of five with the same key.
fn one_key_file(path: &Path, bytes: u64) -> std::io::Result<()> {
    let mut random = Random::new(13);
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for _ in 0..bytes / 100 {
        let key = if random.bits() % 5 < 3 { 0 } else { random.bits() >> 40 };
        write!(out, "{key:08x}\t")?;
        out.write_all(&line(random.bits()))?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

#[derive(Clone, Serialize, Deserialize)]
struct WordCount;

impl Mapper for WordCount {
    type Input = Lines;
    type Key = [u8];
    type Value = u64;
    fn map(&self, line: &[u8], out: &mut impl Emit<[u8], u64>) -> Result {
        words(line).try_for_each(|word| out.emit(word, &1))
    }
}

impl SimpleJob for WordCount {
    const NAME: &'static str = "word-count";
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

/// Every place of every word: of which line it is.
#[derive(Clone, Serialize, Deserialize)]
struct Index;

impl Mapper for Index {
    type Input = Lines;
    type Key = [u8];
    type Value = u64;
    fn map(&self, line: &[u8], out: &mut impl Emit<[u8], u64>) -> Result {
        let place = xxh3_64(line);
        words(line).try_for_each(|word| out.emit(word, &place))
    }
}

impl SimpleJob for Index {
    const NAME: &'static str = "index";
    type Combiner = NoCombiner;
    type Reducer = InOrder;
}

/// What stands behind each key.
#[derive(Clone, Serialize, Deserialize)]
struct ByKey;

impl Mapper for ByKey {
    type Input = Lines;
    type Key = [u8];
    type Value = [u8];
    fn map(&self, line: &[u8], out: &mut impl Emit<[u8], [u8]>) -> Result {
        let tab = line.iter().position(|&byte| byte == b'\t').ok_or("a line has a tab")?;
        out.emit(&line[..tab], &line[tab + 1..])
    }
}

impl SimpleJob for ByKey {
    const NAME: &'static str = "by-key";
    type Combiner = NoCombiner;
    type Reducer = InOrder;
}

/// A hash of all values in their order, of which none is kept.
#[derive(Default)]
struct InOrder;

impl Reducer<[u8], u64> for InOrder {
    type Key = [u8];
    type Value = u64;
    fn reduce(&self, key: &[u8], values: &mut Values<'_, u64>, out: &mut impl Emit<[u8], u64>) -> Result {
        let mut hash = 0;
        while let Some(value) = values.next()? {
            hash = xxh3_64_with_seed(&value.to_le_bytes(), hash);
        }
        out.emit(key, &hash)
    }
}

impl Reducer<[u8], [u8]> for InOrder {
    type Key = [u8];
    type Value = u64;
    fn reduce(&self, key: &[u8], values: &mut Values<'_, [u8]>, out: &mut impl Emit<[u8], u64>) -> Result {
        let mut hash = 0;
        while let Some(value) = values.next()? {
            hash = xxh3_64_with_seed(&value, hash);
        }
        out.emit(key, &hash)
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Sort;

impl Mapper for Sort {
    type Input = Lines;
    type Key = [u8];
    type Value = ();
    fn map(&self, line: &[u8], out: &mut impl Emit<[u8], ()>) -> Result {
        out.emit(line, &())
    }
}

impl Job for Sort {
    const NAME: &'static str = "sort";
    type Shared = RangePartitioner;
    type Mapper = Self;
    type Combiner = NoCombiner;
    type Reducer = Identity;
    fn mapper(&self, _: &RangePartitioner) -> Result<Self> {
        Ok(Self)
    }
    fn combiner(&self) -> NoCombiner {
        NoCombiner
    }
    fn reducer(&self, _: &RangePartitioner) -> Result<Identity> {
        Ok(Identity)
    }
    fn partitioner(&self, ranges: &RangePartitioner) -> Result<Box<dyn Partitioner<[u8]>>> {
        Ok(Box::new(ranges.clone()))
    }
}

/// Stands in front of what a process of its own is told.
const HIDDEN: &str = "--case";

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let [HIDDEN, name, folder, budget, part] = arguments[..] {
        let case = CASES.iter().find(|(case, _)| case.name() == name).ok_or("there is such a case")?.0;
        return run_case(case, Path::new(folder), budget.parse()?, part.parse()?);
    }
    let (flags, chosen): (Vec<&str>, Vec<&str>) = arguments.iter().partition(|word| word.starts_with('-'));
    let part = match flags[..] {
        [] => 1,
        ["--quick"] => 10,
        _ => return Err("arguments are --quick and words of the cases' names".into()),
    };
    if part > 1 {
        println!("inputs of a tenth (--quick): most of what is measured fits into the budgets");
    }
    println!(
        "{:<32} {:>9} {:>8} {:>10} {:>10} {:>8} {:>10}  output",
        "job", "budget MB", "peak MB", "of budget", "spilled MB", "seconds", "unlimited"
    );
    let mut all_equal = true;
    for (case, budgets) in CASES {
        if chosen.is_empty() || chosen.iter().any(|word| case.name().contains(word)) {
            all_equal &= measure(case, budgets, part)?;
        }
    }
    if all_equal { Ok(()) } else { Err("some outputs depend on the budget".into()) }
}

/// Prints a line for each budget. Whether all outputs are the same.
fn measure(case: Case, budgets: &[u64], part: u64) -> Result<bool, Failure> {
    let folder = TempDir::new()?;
    case.make(&input(folder.path()), part)?;
    let unlimited = Measured::of(case, folder.path(), UNLIMITED, part)?;
    let mut all_equal = true;
    for &budget in budgets {
        let limited = Measured::of(case, folder.path(), budget * 1_000_000, part)?;
        let equal = limited.output == unlimited.output;
        all_equal &= equal;
        let peak = |measured: &Measured| match measured.peak_bytes {
            Some(bytes) => format!("{:.0}", bytes as f64 / 1e6),
            None => "unknown".to_owned(),
        };
        let of_budget = limited.peak_bytes.map(|peak| format!("{:.2}", peak as f64 / budget as f64 / 1e6));
        println!(
            "{:<32} {budget:>9} {:>8} {:>10} {:>10.0} {:>8.1} {:>10}  {}",
            case.name(),
            peak(&limited),
            of_budget.unwrap_or_default(),
            limited.spilled_bytes as f64 / 1e6,
            limited.seconds,
            peak(&unlimited),
            if equal { "equal" } else { "DIFFERENT" },
        );
    }
    Ok(all_equal)
}

fn input(folder: &Path) -> PathBuf {
    folder.join("input")
}

fn output(folder: &Path) -> PathBuf {
    folder.join("output")
}

/// What a process of its own has said, and left.
struct Measured {
    peak_bytes: Option<u64>,
    spilled_bytes: u64,
    seconds: f64,
    /// A hash of all part files with their names.
    output: u64,
}

impl Measured {
    /// Runs a case with a budget in bytes, and removes its output.
    fn of(case: Case, folder: &Path, budget: u64, part: u64) -> Result<Self, Failure> {
        let mut command = Command::new(env::current_exe()?);
        command.args([HIDDEN, case.name()]).arg(folder).args([budget.to_string(), part.to_string()]);
        let said = command.output()?;
        if !said.status.success() {
            return Err(format!("{}: {}", case.name(), String::from_utf8_lossy(&said.stderr)).into());
        }
        let said = String::from_utf8(said.stdout)?;
        let mut words = said.split_ascii_whitespace();
        let mut next = || words.next().ok_or("a process has said too little");
        let (peak, spilled, seconds) = (next()?, next()?, next()?);
        let measured = Self {
            peak_bytes: peak.parse().ok(),
            spilled_bytes: spilled.parse()?,
            seconds: seconds.parse()?,
            output: hash_of_parts(&output(folder))?,
        };
        fs::remove_dir_all(output(folder))?;
        Ok(measured)
    }
}

/// What a process of its own does: runs the case, and says its peak memory, what it has spilled and how long it took.
fn run_case(case: Case, folder: &Path, budget: u64, part: u64) -> Result<(), Failure> {
    let memory = Memory::limited(budget).spilling_to(folder);
    let start = Instant::now();
    let written = case.run(&input(folder), &PartFiles::new(output(folder)), memory, part)?;
    let seconds = start.elapsed().as_secs_f64();
    let peak = peak_rss_bytes().map_or_else(|| "unknown".to_owned(), |bytes| bytes.to_string());
    println!("{peak} {} {seconds}", written.report.spilled_bytes);
    Ok(())
}

fn hash_of_parts(folder: &Path) -> Result<u64, Failure> {
    let mut parts: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    parts.sort_unstable();
    let mut hash = 0;
    for part in parts.iter().filter(|part| part.is_file()) {
        let name = part.file_name().unwrap_or_default();
        hash = xxh3_64_with_seed(name.as_encoded_bytes(), hash);
        hash = xxh3_64_with_seed(&fs::read(part)?, hash);
    }
    Ok(hash)
}
