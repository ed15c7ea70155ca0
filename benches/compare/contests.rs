//! [`Contest`]: what is compared with what, and the commands.

use crate::{
    content::Order,
    inputs::{Inputs, RowFiles},
    pool::PoolOfTwo,
    workshop::Workshop,
};
use benches::Failure;
use mapreduce_net::cli::clap::{self, ValueEnum};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// The contests, in the order in which they take place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// Words of a text
    WordCount,
    /// Lines of 100 bytes
    Sort,
    /// The same with little memory
    SortMemory,
    /// Values by few keys
    SumFewKeys,
    /// Values by many keys
    SumManyKeys,
    /// Word count on a pool of two peers of one thread
    PoolWordCount,
    /// Sort on such a pool
    PoolSort,
    /// Word count by `map` and `reduce` as filters
    Filters,
}

/// Programs that do the same.
pub(crate) struct Contest<'a> {
    /// For the heading.
    pub(crate) title: String,
    /// In the order in which they take turns. Ratios are to the first one.
    pub(crate) contestants: Vec<Contestant<'a>>,
    /// Those that cannot take part, and why.
    pub(crate) absent: Vec<String>,
    /// Order of the output.
    pub(crate) order: Order,
    /// Whether parts are in order one after the other.
    pub(crate) as_a_whole: bool,
}

/// A program in a contest.
pub(crate) struct Contestant<'a> {
    /// What it is.
    pub(crate) name: &'static str,
    /// What it reads.
    pub(crate) input: PathBuf,
    /// The command that writes to this path.
    pub(crate) command: Box<dyn Fn(&Path) -> Command + 'a>,
    /// How many times as long as the first it should take at least: the aim of this project.
    pub(crate) aim: Option<f64>,
    /// Processes that work for it.
    pub(crate) beside: Vec<u32>,
}

/// What contests are made with.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    /// Folders and programs.
    pub(crate) workshop: &'a Workshop,
    /// Inputs.
    pub(crate) inputs: &'a Inputs<'a>,
    /// Threads for everybody.
    pub(crate) threads: usize,
    /// For the sort with little memory.
    pub(crate) memory_mb: u64,
    /// Whether there is a Java for Spark.
    pub(crate) java: bool,
}

impl Subject {
    /// Its name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Makes its inputs, and starts what it needs. `None`: this build has not got what it is about.
    ///
    /// # Errors
    /// When inputs cannot be made or peers do not start.
    pub(crate) fn contest<'a>(
        self,
        setup: Setup<'a>,
        pool: &'a mut Option<PoolOfTwo>,
    ) -> Result<Option<Contest<'a>>, Failure> {
        let Setup { workshop, memory_mb, threads, .. } = setup;
        let new = |title: String, order, as_a_whole| Contest {
            title,
            contestants: Vec::new(),
            absent: Vec::new(),
            order,
            as_a_whole,
        };
        let mut contest = match self {
            Self::WordCount | Self::PoolWordCount | Self::Filters => {
                let input = setup.inputs.text()?;
                let mut contest = new(format!("word count of {}", size(&input)?), Order::Keys, false);
                match self {
                    Self::WordCount => {
                        contest.ours(setup, "word_count", &input);
                        contest.by_hand(setup, "word-count", &input, Some(1.3));
                        contest.engines(setup, "word-count", &input, &input, [2.0, 2.0, 10.0]);
                        contest.rdd(setup, "word-count", &input);
                    }
                    Self::Filters if !workshop.knows("word_count", &[], "reduce") => return Ok(None),
                    Self::Filters => contest.filters(setup, &input),
                    _ => contest.pool(setup, pool, "word_count", &input, 0.8)?,
                }
                contest
            }
            Self::Sort | Self::SortMemory | Self::PoolSort => {
                let input = setup.inputs.lines()?;
                let mut contest = new(format!("sort of {} of lines", size(&input)?), Order::Lines, true);
                match self {
                    Self::Sort => {
                        contest.ours(setup, "sort", &input);
                        contest.by_hand(setup, "sort", &input, None);
                        contest.gnu_sort(setup, &input, 4_000, 2.0);
                        contest.engines(setup, "sort", &input, &input, [1.5, 0.0, 0.0]);
                        contest.rdd(setup, "sort", &input);
                    }
                    Self::SortMemory if !workshop.knows("sort", &["run"], "--memory") => return Ok(None),
                    Self::SortMemory => {
                        let limit = ["--memory".to_owned(), format!("{memory_mb}MB")];
                        contest.with(setup, "this project, with a memory budget", "sort", &input, limit);
                        contest.gnu_sort(setup, &input, memory_mb, 1.0);
                    }
                    _ => contest.pool(setup, pool, "sort", &input, 0.6)?,
                }
                contest
            }
            Self::SumFewKeys | Self::SumManyKeys => {
                let RowFiles { raw, parquet, arrow } = setup.inputs.rows(self == Self::SumManyKeys)?;
                let what = if self == Self::SumFewKeys { "few keys" } else { "many keys" };
                let mut contest = new(format!("sum by key of {}, {what}", size(&raw)?), Order::Numbers, true);
                let input = raw.clone();
                contest.add("this project", &raw, None, move |output| {
                    let mut command = workshop.program("sum_by_key");
                    command.arg("run").arg(&input).arg("--output").arg(output);
                    command.args(["--threads", &threads.to_string()]);
                    command
                });
                contest.by_hand(setup, "sum-by-key", &raw, None);
                contest.engines(setup, "sum-by-key", &parquet, &arrow, [1.0, 0.0, 0.0]);
                contest
            }
        };
        contest.title.push_str(&match self {
            Self::SortMemory => format!(", {memory_mb} MB of memory"),
            Self::PoolWordCount | Self::PoolSort => ", a pool of two peers of one thread".to_owned(),
            Self::Filters => ", `map` and `reduce` as filters".to_owned(),
            _ => String::new(),
        });
        Ok(Some(contest))
    }
}

impl<'a> Contest<'a> {
    fn add(
        &mut self,
        name: &'static str,
        input: &Path,
        aim: Option<f64>,
        command: impl Fn(&Path) -> Command + 'a,
    ) {
        let aim = aim.filter(|&aim| aim > 0.0);
        self.contestants.push(Contestant {
            name,
            input: input.to_path_buf(),
            command: Box::new(command),
            aim,
            beside: Vec::new(),
        });
    }

    fn ours(&mut self, setup: Setup<'a>, example: &'static str, input: &Path) {
        self.with(setup, "this project", example, input, []);
    }

    /// An example of this project with further options.
    fn with<const N: usize>(
        &mut self,
        setup: Setup<'a>,
        name: &'static str,
        example: &'static str,
        input: &Path,
        options: [String; N],
    ) {
        let source = input.to_path_buf();
        self.add(name, input, None, move |output| {
            let mut command = setup.workshop.example(example);
            command.arg("run").arg(&source).arg("--output").arg(output);
            command.args(["--threads", &setup.threads.to_string()]).args(&options);
            command
        });
    }

    fn by_hand(&mut self, setup: Setup<'a>, what: &'static str, input: &Path, aim: Option<f64>) {
        let source = input.to_path_buf();
        self.add("rayon and hash maps by hand", input, aim, move |output| {
            let mut command = setup.workshop.program("by_hand");
            command.arg(what).arg(&source).arg(output).arg(setup.threads.to_string());
            command
        });
    }

    /// A script with its last argument.
    fn script(
        &mut self,
        setup: Setup<'a>,
        name: &'static str,
        [script, what]: [&'static str; 2],
        input: &Path,
        last: impl Into<OsString>,
        aim: f64,
    ) {
        let (source, last) = (input.to_path_buf(), last.into());
        self.add(name, input, Some(aim), move |output| {
            let mut command = setup.workshop.python(script);
            command.arg(what).arg(&source).arg(output).arg(setup.threads.to_string()).arg(&last);
            command
        });
    }

    /// Both engines of Polars, DuckDB and Spark SQL, with how many times as long each should take. Polars may be given the
    /// input in another form.
    fn engines(&mut self, setup: Setup<'a>, what: &'static str, input: &Path, polars: &Path, aims: [f64; 3]) {
        let spill = &setup.workshop.spill;
        let script = ["peer_polars.py", what];
        self.script(setup, "Polars, streaming", script, polars, "streaming", aims[0]);
        self.script(setup, "Polars, in memory", script, polars, "in-memory", aims[0]);
        self.script(setup, "DuckDB", ["peer_duckdb.py", what], input, spill, aims[1]);
        if setup.java {
            self.script(setup, "Spark SQL", ["peer_spark_sql.py", what], input, spill, aims[2]);
        } else {
            self.absent.push("Spark: there is no Java".to_owned());
        }
    }

    fn rdd(&mut self, setup: Setup<'a>, what: &'static str, input: &Path) {
        if setup.java {
            let spill = &setup.workshop.spill;
            self.script(setup, "Spark RDD in Python", ["peer_spark_rdd.py", what], input, spill, 0.0);
        }
    }

    fn gnu_sort(&mut self, setup: Setup<'a>, input: &Path, memory_mb: u64, aim: f64) {
        let gnu = Command::new("sort").arg("--version").output();
        if !gnu.is_ok_and(|version| String::from_utf8_lossy(&version.stdout).contains("GNU coreutils")) {
            self.absent.push("GNU sort: `sort` is another one".to_owned());
            return;
        }
        let source = input.to_path_buf();
        self.add("GNU sort", input, Some(aim), move |output| {
            let mut command = Command::new("sort");
            // In bytes, for its M is not a million.
            command.env("LC_ALL", "C").arg(format!("--parallel={}", setup.threads));
            command.arg(format!("--buffer-size={memory_mb}000000b")).arg("-T").arg(&setup.workshop.spill);
            command.arg("-o").arg(output).arg(&source);
            command
        });
    }

    /// A pool against one process with as many threads as the pool has together.
    fn pool(
        &mut self,
        setup: Setup<'a>,
        pool: &'a mut Option<PoolOfTwo>,
        example: &'static str,
        input: &Path,
        aim: f64,
    ) -> Result<(), Failure> {
        let pool = pool.insert(PoolOfTwo::start(setup.workshop, example)?);
        let file = pool.client_file.display().to_string();
        let options =
            ["--pool".to_owned(), file, "--min-peers".to_owned(), "2".to_owned(), "--shared".to_owned()];
        self.with(setup, "two peers of one thread", example, input, options);
        let two = Setup { threads: 2, ..setup };
        self.with(two, "one process with two threads", example, input, []);
        self.contestants[0].beside = pool.processes();
        self.contestants[1].aim = Some(aim);
        Ok(())
    }

    fn filters(&mut self, setup: Setup<'a>, input: &Path) {
        self.ours(setup, "word_count", input);
        let source = input.to_path_buf();
        self.add("map, sort and reduce in a pipe", input, None, move |output| {
            let mut command = Command::new("bash");
            let script = "set -o pipefail; \"$1\" map < \"$2\" | sort -T \"$4\" | \"$1\" reduce > \"$3\"";
            command.args(["-c", script, "bash"]).arg(setup.workshop.example("word_count").get_program());
            command.arg(&source).arg(output).arg(&setup.workshop.spill).env("LC_ALL", "C");
            command
        });
        if setup.java {
            let source = input.to_path_buf();
            self.add("map and reduce under PySpark", input, None, move |output| {
                let mut command = setup.workshop.python("pyspark_filters.py");
                command.arg(setup.workshop.example("word_count").get_program()).arg(&source).arg(output);
                command.args(["--threads", &setup.threads.to_string()]);
                command
            });
        } else {
            self.absent.push("Spark: there is no Java".to_owned());
        }
    }
}

fn size(input: &Path) -> Result<String, Failure> {
    Ok(format!("{:.0} MB", input.metadata()?.len() as f64 / 1e6))
}
