//! [`Contest`]: what is compared with what, and the commands.

use crate::{content::Order, inputs::Inputs, pool::PoolOfTwo, workshop::Workshop};
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
    /// Ratios are to the first one.
    pub(crate) contestants: Vec<Contestant<'a>>,
    /// Those that take no part, and why.
    pub(crate) absent: Vec<String>,
    /// Order of the output.
    pub(crate) order: Order,
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
    /// Whether each part of its output is in order by itself, and not all of them one after the other.
    pub(crate) in_parts: bool,
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
    /// Words in the names of contestants that are to be left out.
    pub(crate) without: &'a [String],
}

impl Subject {
    /// Makes its inputs, and starts what it needs.
    ///
    /// # Errors
    /// When inputs cannot be made or peers do not start.
    pub(crate) fn contest<'a>(
        self,
        setup: Setup<'a>,
        pool: &'a mut Option<PoolOfTwo>,
    ) -> Result<Contest<'a>, Failure> {
        match self {
            Self::WordCount | Self::PoolWordCount | Self::Filters => {
                let input = setup.inputs.text()?;
                let mut contest = Contest::new(format!("word count of {}", size(&input)?), Order::Keys);
                match self {
                    Self::WordCount => contest.word_count(setup, &input),
                    Self::Filters => contest.filters(setup, &input),
                    _ => contest.pool(setup, pool, "word_count", &input, 0.8)?,
                }
                Ok(contest)
            }
            Self::Sort | Self::SortMemory | Self::PoolSort => {
                let input = setup.inputs.lines()?;
                let mut contest = Contest::new(format!("sort of {} of lines", size(&input)?), Order::Lines);
                match self {
                    Self::Sort => contest.sort(setup, &input),
                    Self::SortMemory => contest.sort_memory(setup, &input),
                    _ => contest.pool(setup, pool, "sort", &input, 0.6)?,
                }
                Ok(contest)
            }
            Self::SumFewKeys | Self::SumManyKeys => {
                let many = self == Self::SumManyKeys;
                let input = setup.inputs.rows(many)?;
                let keys = if many { "many" } else { "few" };
                let title = format!("sum by key of {}, {keys} keys", size(&input)?);
                let mut contest = Contest::new(title, Order::Numbers);
                contest.ours(setup, "this project", setup.workshop.program("sum_by_key"), &input, []);
                contest.by_hand(setup, "sum-by-key", &input, None);
                let columns = |form: &str| setup.inputs.columns(many, form);
                contest.engines(setup, "sum-by-key", columns, [1.0, 0.0, 0.0]);
                Ok(contest)
            }
        }
    }
}

/// The contests.
impl<'a> Contest<'a> {
    fn word_count(&mut self, setup: Setup<'a>, input: &Path) {
        let program = setup.workshop.example("word_count");
        // One part, because the others write one sorted file.
        self.ours(setup, "this project", program.clone(), input, strings(["--partitions", "1"]));
        self.by_hand(setup, "word-count", input, Some(1.3));
        self.engines(setup, "word-count", |_| Ok(input.to_path_buf()), [2.0, 2.0, 10.0]);
        self.rdd(setup, "word-count", input);
        // What the program does unless it is told otherwise.
        if let Some(ours) = self.ours(setup, "this project, parts each in order", program, input, []) {
            ours.in_parts = true;
        }
    }

    fn sort(&mut self, setup: Setup<'a>, input: &Path) {
        self.ours(setup, "this project", setup.workshop.example("sort"), input, []);
        self.by_hand(setup, "sort", input, None);
        self.gnu_sort(setup, input, 4_000, 2.0);
        self.engines(setup, "sort", |_| Ok(input.to_path_buf()), [1.5, 0.0, 0.0]);
        self.rdd(setup, "sort", input);
    }

    fn sort_memory(&mut self, setup: Setup<'a>, input: &Path) {
        let memory_mb = setup.memory_mb;
        self.title.push_str(&format!(", {memory_mb} MB of memory"));
        let limit = ["--memory".to_owned(), format!("{memory_mb}MB")];
        self.ours(setup, "this project, with a memory budget", setup.workshop.example("sort"), input, limit);
        self.gnu_sort(setup, input, memory_mb, 1.0);
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
        self.title.push_str(", a pool of two peers of one thread");
        let pool = pool.insert(PoolOfTwo::start(setup.workshop, example)?);
        let in_parts = self.order == Order::Keys;
        let file = pool.client_file.display().to_string();
        let options = strings(["--pool", &file, "--min-peers", "2", "--shared"]);
        let program = setup.workshop.example(example);
        if let Some(ours) = self.ours(setup, "two peers of one thread", program.clone(), input, options) {
            ours.beside = pool.processes();
            ours.in_parts = in_parts;
        }
        let two = Setup { threads: 2, ..setup };
        if let Some(ours) = self.ours(two, "one process with two threads", program, input, []) {
            ours.aim = Some(aim);
            ours.in_parts = in_parts;
        }
        Ok(())
    }

    fn filters(&mut self, setup: Setup<'a>, input: &Path) {
        self.title.push_str(", `map` and `reduce` as filters");
        let Setup { workshop, threads, .. } = setup;
        let program = workshop.example("word_count");
        self.ours(setup, "this project", program.clone(), input, strings(["--partitions", "1"]));
        let (source, job) = (input.to_path_buf(), program.clone());
        self.add(setup, "map, sort and reduce in a pipe", input, None, move |output| {
            let mut command = Command::new("bash");
            let script = "set -o pipefail; \
                \"$1\" map --spill-to \"$4\" < \"$2\" | sort --parallel=\"$5\" -T \"$4\" | \"$1\" reduce > \"$3\"";
            command.args(["-c", script, "bash"]).arg(&job).arg(&source).arg(output).arg(&workshop.spill);
            command.arg(threads.to_string()).env("LC_ALL", "C");
            command
        });
        let spark = self.spark(
            setup,
            "map and reduce under PySpark",
            || Ok(input.to_path_buf()),
            None,
            move |source, output| {
                let mut command = workshop.python("pyspark_filters.py");
                command.arg(&program).arg(source).arg(output).args(["--threads", &threads.to_string()]);
                command
            },
        );
        if let Some(spark) = spark {
            spark.in_parts = true;
        }
    }
}

/// The contestants. `None`: it takes no part, and `absent` says why.
impl<'a> Contest<'a> {
    fn new(title: String, order: Order) -> Self {
        Self { title, contestants: Vec::new(), absent: Vec::new(), order }
    }

    fn leave_out(&mut self, name: &str, why: &str) {
        self.absent.push(format!("left out: {name} ({why})"));
    }

    /// Whether it is to take part.
    fn admits(&mut self, setup: Setup<'_>, name: &str) -> bool {
        let unwanted = setup.without.iter().find(|word| name.contains(word.as_str()));
        if let Some(word) = unwanted {
            self.leave_out(name, &format!("--without {word}"));
        }
        unwanted.is_none()
    }

    fn add(
        &mut self,
        setup: Setup<'_>,
        name: &'static str,
        input: &Path,
        aim: Option<f64>,
        command: impl Fn(&Path) -> Command + 'a,
    ) -> Option<&mut Contestant<'a>> {
        if !self.admits(setup, name) {
            return None;
        }
        self.contestants.push(Contestant {
            name,
            input: input.to_path_buf(),
            command: Box::new(command),
            aim: aim.filter(|&aim| aim > 0.0),
            in_parts: false,
            beside: Vec::new(),
        });
        self.contestants.last_mut()
    }

    /// A program of this project with further options.
    fn ours(
        &mut self,
        setup: Setup<'a>,
        name: &'static str,
        program: PathBuf,
        input: &Path,
        options: impl IntoIterator<Item = String>,
    ) -> Option<&mut Contestant<'a>> {
        let (source, options) = (input.to_path_buf(), Vec::from_iter(options));
        self.add(setup, name, input, None, move |output| {
            let mut command = Command::new(&program);
            command.arg("run").arg(&source).arg("--output").arg(output);
            command.args(["--threads", &setup.threads.to_string()]);
            // Where the others put what does not fit: the folder for temporary files is memory on some systems.
            command.arg("--spill-to").arg(&setup.workshop.spill).args(&options);
            command
        })
    }

    fn by_hand(&mut self, setup: Setup<'a>, what: &'static str, input: &Path, aim: Option<f64>) {
        let source = input.to_path_buf();
        self.add(setup, "rayon and hash maps by hand", input, aim, move |output| {
            let mut command = Command::new(setup.workshop.program("by_hand"));
            command.arg(what).arg(&source).arg(output).arg(setup.threads.to_string());
            command
        });
    }

    fn gnu_sort(&mut self, setup: Setup<'a>, input: &Path, memory_mb: u64, aim: f64) {
        let gnu = Command::new("sort").arg("--version").output();
        if !gnu.is_ok_and(|version| String::from_utf8_lossy(&version.stdout).contains("GNU coreutils")) {
            return self.leave_out("GNU sort", "`sort` is another one");
        }
        let source = input.to_path_buf();
        self.add(setup, "GNU sort", input, Some(aim), move |output| {
            let mut command = Command::new("sort");
            // In bytes, for its M is not a million.
            command.env("LC_ALL", "C").arg(format!("--parallel={}", setup.threads));
            command.arg(format!("--buffer-size={memory_mb}000000b")).arg("-T").arg(&setup.workshop.spill);
            command.arg("-o").arg(output).arg(&source);
            command
        });
    }

    /// Both engines of Polars, DuckDB and Spark SQL, with how many times as long each should take. `input` gives each the
    /// form that it reads best where there are several.
    fn engines(
        &mut self,
        setup: Setup<'a>,
        what: &'static str,
        input: impl Fn(&str) -> Result<PathBuf, Failure>,
        aims: [f64; 3],
    ) {
        let spill = setup.workshop.spill.as_os_str();
        for (name, engine) in [("Polars, streaming", "streaming"), ("Polars, in memory", "in-memory")] {
            let command = script(setup, ["peer_polars.py", what], engine);
            self.python(setup, [name, "polars"], || input("arrow"), Some(aims[0]), command);
        }
        let command = script(setup, ["peer_duckdb.py", what], spill);
        self.python(setup, ["DuckDB", "duckdb"], || input("parquet"), Some(aims[1]), command);
        let command = script(setup, ["peer_spark_sql.py", what], spill);
        self.spark(setup, "Spark SQL", || input("parquet"), Some(aims[2]), command);
    }

    fn rdd(&mut self, setup: Setup<'a>, what: &'static str, input: &Path) {
        let command = script(setup, ["peer_spark_rdd.py", what], &setup.workshop.spill);
        self.spark(setup, "Spark RDD in Python", || Ok(input.to_path_buf()), None, command);
    }

    /// A script that needs Java as well.
    fn spark(
        &mut self,
        setup: Setup<'a>,
        name: &'static str,
        input: impl FnOnce() -> Result<PathBuf, Failure>,
        aim: Option<f64>,
        command: impl Fn(&Path, &Path) -> Command + 'a,
    ) -> Option<&mut Contestant<'a>> {
        if !setup.java {
            self.leave_out(name, "there is no Java");
            return None;
        }
        self.python(setup, [name, "pyspark"], input, aim, command)
    }

    /// A script that needs a package. Neither the environment nor the input is made for one that takes no part.
    fn python(
        &mut self,
        setup: Setup<'a>,
        [name, package]: [&'static str; 2],
        input: impl FnOnce() -> Result<PathBuf, Failure>,
        aim: Option<f64>,
        command: impl Fn(&Path, &Path) -> Command + 'a,
    ) -> Option<&mut Contestant<'a>> {
        if !self.admits(setup, name) {
            return None;
        }
        let ready = setup.workshop.require_package(package);
        match ready.and_then(|()| input().map_err(|failure| failure.to_string())) {
            Ok(source) => {
                let path = source.clone();
                self.add(setup, name, &path, aim, move |output| command(&source, output))
            }
            Err(why) => {
                self.leave_out(name, &why);
                None
            }
        }
    }
}

/// The command of a peer's script for an input and an output, with its last argument.
fn script<'a>(
    setup: Setup<'a>,
    [script, what]: [&'static str; 2],
    last: impl Into<OsString>,
) -> impl Fn(&Path, &Path) -> Command + 'a {
    let last = last.into();
    move |source, output| {
        let mut command = setup.workshop.python(script);
        command.arg(what).arg(source).arg(output).arg(setup.threads.to_string()).arg(&last);
        command
    }
}

fn strings<const N: usize>(options: [&str; N]) -> [String; N] {
    options.map(str::to_owned)
}

fn size(input: &Path) -> Result<String, Failure> {
    Ok(format!("{:.0} MB", input.metadata()?.len() as f64 / 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::Sizes;

    #[test]
    fn who_is_left_out_needs_neither_python_nor_an_input() {
        let folder = tempfile::tempdir().unwrap();
        let workshop = &Workshop::beside(folder.path().join("release")).unwrap();
        let (inputs, without) = (&Inputs::new(workshop, Sizes::QUICK), &["Polars".into(), "DuckDB".into()]);
        let setup = Setup { workshop, inputs, threads: 2, memory_mb: 200, java: false, without };
        let mut contest = Contest::new(String::new(), Order::Lines);
        contest.engines(setup, "sort", |form| Err(format!("{form} was asked for").into()), [0.0; 3]);
        contest.by_hand(setup, "sort", folder.path(), None);
        let absent = [
            "left out: Polars, streaming (--without Polars)",
            "left out: Polars, in memory (--without Polars)",
            "left out: DuckDB (--without DuckDB)",
            "left out: Spark SQL (there is no Java)",
        ];
        assert_eq!(contest.absent, absent);
        let names: Vec<&str> = contest.contestants.iter().map(|contestant| contestant.name).collect();
        assert_eq!(names, ["rayon and hash maps by hand"]);
        assert!(!folder.path().join("compare").join("python").exists());
    }
}
