//! Compares this project with programs that people use for the same: on the data path a program by hand, Polars, DuckDB, GNU
//! sort and Spark; for K-means scikit-learn, oneDAL, FAISS, linfa, clostera, superkmeans and Spark. On the same inputs with
//! the same threads, in turns.
//!
//! `cargo run --release -p benches --bin compare [-- --quick]`
//!
//! One command does all of it: builds the programs, makes the inputs and a Python environment in cargo's target folder
//! (some 13 GB), runs every contestant several times in turns, checks that all outputs are equal and in order, prints medians
//! and ratios as tables, and leaves those with all runs and a picture in `benches/runs`. What is measured, and what is
//! not, is said in `docs/benchmarks.md`.
//!
//! # Layout
//!
//! * [`contests`]: what is compared with what on the data path. [`inputs`]: on which data.
//! * [`kmeans`]: the same for K-means, which has a folder of its own.
//! * [`process`]: how a command is measured. [`content`]: how outputs are compared. [`pool`]: peers.
//! * [`report`], [`picture`], [`machine`]: what is told of it.
//! * [`workshop`]: folders, builds, and the Python environment.
//! * Contestants: `by_hand.rs` and `sum_by_key.rs` are programs, `peer_*.py` scripts; `word_count` and `sort` are examples of
//!   `mapreduce-net`. `pyspark_filters.py` runs a job of this project under Spark.

mod content;
mod contests;
mod inputs;
mod kmeans;
mod machine;
mod picture;
mod pool;
mod process;
mod report;
mod workshop;

use benches::Failure;
use content::Content;
use contests::{Contest, Setup, Subject};
use inputs::{Inputs, Sizes};
use kmeans::{Rules, Workload};
use mapreduce_core::Cancel;
use mapreduce_net::cli::{
    clap::{self, Parser, ValueEnum, builder::PossibleValue},
    signal_status, until_signalled,
};
use report::{Outcome, Performance, Section};
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::LazyLock,
    time::{Duration, Instant},
};
use workshop::{Workshop, remove};

/// Compares word count, sort, sum by key and K-means with other programs that do the same
#[derive(Parser)]
struct Args {
    /// Only this contest; may be repeated
    #[arg(long, value_name = "CONTEST")]
    only: Vec<Chosen>,
    /// Turns of each contestant
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Threads of each contestant
    #[arg(long, value_name = "N", default_value_t = 2)]
    threads: usize,
    /// The memory of `sort-memory`, in megabytes, as in 200MB
    #[arg(long, value_name = "SIZE", default_value = "200MB", value_parser = megabytes)]
    memory: u64,
    /// Leave out contestants with this word in their name, as in `Spark`; may be repeated. The data path needs no
    /// Python without Polars, DuckDB and Spark
    #[arg(long, value_name = "WORD")]
    without: Vec<String>,
    /// Contestants whose first turn takes longer have no other
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    slow: u64,
    /// Small inputs and two turns: shows in a minute or two whether everything works, and not how fast it is
    #[arg(long)]
    quick: bool,
    /// The machine's name, for the names of the files in benches/runs [default: of its processor]
    #[arg(long, value_name = "NAME")]
    machine: Option<String>,
}

/// A contest of either kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chosen {
    Data(Subject),
    KMeans(Workload),
    Start,
}

impl ValueEnum for Chosen {
    fn value_variants<'a>() -> &'a [Self] {
        static ALL: LazyLock<Vec<Chosen>> = LazyLock::new(|| {
            let data = Subject::value_variants().iter().map(|&subject| Chosen::Data(subject));
            let kmeans = Workload::value_variants().iter().map(|&workload| Chosen::KMeans(workload));
            data.chain(kmeans).chain([Chosen::Start]).collect()
        });
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Data(subject) => subject.to_possible_value(),
            Self::KMeans(workload) => workload.to_possible_value(),
            Self::Start => Some(PossibleValue::new(kmeans::start::NAME).help(kmeans::start::HELP)),
        }
    }
}

fn megabytes(text: &str) -> Result<u64, &'static str> {
    let number = text.strip_suffix("MB").unwrap_or(text);
    number.parse().ok().filter(|&mb| mb > 0).ok_or("give megabytes, as in 200MB")
}

/// No turn takes longer.
const LIMIT: Duration = Duration::from_secs(600);

fn main() -> Result<ExitCode, Failure> {
    let args = Args::parse();
    // A turn is not in the process group that Ctrl-C is sent to: it has to be ended from here.
    Ok(until_signalled(move |cancel| match compare(&args, cancel) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("Error: {failure}");
            ExitCode::from(if cancel.is_cancelled() { signal_status() } else { 1 })
        }
    })?)
}

fn compare(args: &Args, cancel: &Cancel) -> Result<(), Failure> {
    let started = Instant::now();
    let workshop = Workshop::open()?;
    let all = Chosen::value_variants().iter().copied();
    let chosen: Vec<Chosen> =
        all.filter(|contest| args.only.is_empty() || args.only.contains(contest)).collect();
    if chosen.iter().any(|contest| matches!(contest, Chosen::Data(_))) {
        workshop.build_data_path()?;
    }
    if chosen.iter().any(|contest| matches!(contest, Chosen::KMeans(_) | Chosen::Start)) {
        workshop.build_kmeans()?;
    }
    let sizes = if args.quick { Sizes::QUICK } else { Sizes::FULL };
    let inputs = Inputs::new(&workshop, sizes);
    let java = Command::new("java").arg("-version").stderr(Stdio::null()).status();
    let java = java.is_ok_and(|status| status.success());
    // Small inputs need less memory, if there is to be too little of it.
    let memory_mb = if args.quick { args.memory.div_ceil(5) } else { args.memory };
    let setup = Setup {
        workshop: &workshop,
        inputs: &inputs,
        threads: args.threads,
        memory_mb,
        java,
        without: &args.without,
    };
    if let Some(load) = machine::load().filter(|&load| load > 0.5) {
        println!("note: other processes are busy here (load {load}); ratios will be unsteady");
    }

    let mut sections = Vec::new();
    for contest in chosen {
        let section = match contest {
            Chosen::Data(subject) => {
                // What the contestants of one subject need is not there for those of the next.
                let mut pool = None;
                let contest = subject.contest(setup, &mut pool)?;
                hold(contest, args, &workshop, cancel)?.section()
            }
            Chosen::KMeans(workload) => kmeans::hold(workload, setup, args.rules(), cancel)?,
            Chosen::Start => kmeans::start::hold(setup, args.rules(), cancel)?,
        };
        println!("\n{}", section.table);
        sections.push(section);
    }
    let (summary, raw) = texts(args, &workshop, &sections, started)?;
    let base = destination(args, &workshop)?;
    let picture = picture::picture(&sections, "times as long as the first of each group; medians");
    fs::write(base.with_extension("txt"), format!("{summary}\n{raw}"))?;
    fs::write(base.with_extension("svg"), picture)?;
    println!("{summary}\n{raw}");
    println!("kept as {}, with a picture beside it", base.with_extension("txt").display());
    match sections.iter().any(|section| section.failed) {
        true => Err("some contestants have failed; the tables say which and why".into()),
        false => Ok(()),
    }
}

impl Args {
    /// Turns of each contestant.
    fn turns(&self) -> u32 {
        if self.quick { self.runs.min(2) } else { self.runs }
    }

    fn rules(&self) -> Rules {
        Rules { runs: self.turns(), slow: Duration::from_secs(self.slow), limit: LIMIT, quick: self.quick }
    }
}

/// Has the contestants take turns. Each time another one begins, so that nobody always has the same one in front.
fn hold(contest: Contest<'_>, args: &Args, workshop: &Workshop, cancel: &Cancel) -> Result<Outcome, Failure> {
    let Contest { title, contestants, absent, order } = contest;
    println!("\n{title}");
    let mut results: Vec<Performance> = contestants
        .iter()
        .map(|one| Performance { name: one.name.to_owned(), aim: one.aim, turns: Vec::new(), failure: None })
        .collect();
    let mut expected: Option<(Content, &str)> = None;
    for round in 0..args.turns() as usize {
        for place in 0..contestants.len() {
            let at = (round + place) % contestants.len();
            let (contestant, result) = (&contestants[at], &mut results[at]);
            let slow = result.turns.first().is_some_and(|turn| turn.whole > Duration::from_secs(args.slow));
            if slow || result.failure.is_some() {
                continue;
            }
            inputs::warm(&contestant.input)?;
            let output = workshop.fresh("output")?;
            fs::create_dir_all(&workshop.spill)?;
            let turn = process::run(&mut (contestant.command)(&output), &contestant.beside, LIMIT, cancel);
            if cancel.is_cancelled() {
                return Err("interrupted".into());
            }
            let checked = turn.and_then(|turn| {
                let content = Content::read(&output, order, !contestant.in_parts)?;
                let (expected, of) = expected.get_or_insert((content, contestant.name));
                if content != *expected {
                    return Err(format!("its output is {content:?}, and that of {of} {expected:?}").into());
                }
                Ok(turn)
            });
            match checked {
                Ok(turn) => {
                    println!("  {}: {:.3} s", contestant.name, turn.work.as_secs_f64());
                    result.turns.push(turn);
                }
                Err(failure) => {
                    println!("  {}: {failure}", contestant.name);
                    result.failure = Some(failure.to_string());
                }
            }
            remove(&output)?;
            // What a process that is about to end still holds there is removed after the next turn.
            let _ = remove(&workshop.spill);
        }
    }
    let mut notes = absent;
    if let Some((Content { lines, bytes, .. }, _)) = expected {
        notes.push(format!("equal outputs of {lines} lines, {:.1} MB", bytes as f64 / 1e6));
    }
    Ok(Outcome { title, results, notes })
}

/// What `seconds` are.
const MEDIANS: &str = "Seconds are the median of the runs; of two runs their mean, and of one just that.\n";

/// What to paste into the documentation, and all runs.
fn texts(
    args: &Args,
    workshop: &Workshop,
    sections: &[Section],
    started: Instant,
) -> Result<(String, String), Failure> {
    let packages = fs::read_to_string(workshop.sources.join("compare").join("requirements.txt"))?;
    let tables: Vec<&str> = sections.iter().map(|section| section.table.as_str()).collect();
    let scale =
        if args.quick { "Small inputs (--quick): these figures say nothing about speed.\n" } else { "" };
    let summary = format!(
        "# Comparison of {}, {} threads\n\n{}{scale}{MEDIANS}took {:.0} minutes\n\n{}",
        machine::today(),
        args.threads,
        machine::description(&packages),
        started.elapsed().as_secs_f64() / 60.0,
        tables.join("\n"),
    );
    let raw: Vec<&str> = sections.iter().map(|section| section.raw.as_str()).collect();
    Ok((summary, raw.join("\n")))
}

/// Where to keep what came of it, without extension: nothing is overwritten. What is small stays in the target folder.
fn destination(args: &Args, workshop: &Workshop) -> io::Result<PathBuf> {
    if args.quick {
        return Ok(workshop.scratch.join("quick"));
    }
    let runs = workshop.sources.join("runs");
    fs::create_dir_all(&runs)?;
    let name = args.machine.clone().unwrap_or_else(machine::name);
    let name = format!("{}-{name}-compare", machine::today());
    let taken = |path: &Path| path.with_extension("txt").exists();
    let numbered = (2..).map(|n| runs.join(format!("{name}-{n}")));
    let mut free = [runs.join(&name)].into_iter().chain(numbered).filter(|path| !taken(path));
    free.next().ok_or_else(|| io::Error::other("all names are taken"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn contests_of_both_kinds_can_be_chosen_by_name() {
        let args = Args::try_parse_from(["compare", "--only", "sort", "--only", "kmeans-rgb"]).unwrap();
        assert_eq!(args.only, [Chosen::Data(Subject::Sort), Chosen::KMeans(Workload::Rgb)]);
        let args = Args::try_parse_from(["compare", "--only", "kmeans-start"]).unwrap();
        assert_eq!(args.only, [Chosen::Start]);
        assert!(Args::try_parse_from(["compare", "--only", "kmeans"]).is_err());
    }

    #[test]
    fn memory_is_in_megabytes() {
        assert_eq!((megabytes("200MB"), megabytes("64")), (Ok(200), Ok(64)));
        assert!(megabytes("0MB").is_err() && megabytes("2GB").is_err());
    }
}
