//! [`Program`]: a whole command line for a program with a job.

use super::{CliError, MapArgs, PeerArgs, PoolCommand, ReduceArgs, Run, RunArgs, until_signalled};
use clap::{Args as _, FromArgMatches as _, Subcommand as _};
use mapreduce_core::{
    InputOf, Job, Lines, Records, Registry, RegistryError, Result, TextFiles, Utf8Lines, Written,
    filter::{FromLines, FromStream, StreamForm},
};
use std::{ffi::OsString, fmt, process::ExitCode};

/// What clap itself exits with.
const STATUS_USAGE: u8 = 2;

/// A program with a job and the commands `run`, `peer`, `pool create`, `pool status`, `map` and `reduce`.
///
/// | command | what it does |
/// |---|---|
/// | `run INPUT... --output DIR` | runs the job over files, on threads of its own or, with `--pool FILE`, on a pool |
/// | `peer --pool FILE` | works for a pool until Ctrl-C or SIGTERM |
/// | `pool create --address HOST --output FILE` | makes the files of a new pool |
/// | `pool status --pool FILE` | shows who is in a pool |
/// | `map < INPUT`, `reduce < SORTED` | run the job's parts as [filters](mapreduce_core::filter) in another engine |
///
/// A job over lines of text without a broadcast value needs no more than [`new`](Self::new), see [the module](super). A job
/// with parameters is made from [arguments of its own](Self::with_params), which `run`, `map` and `reduce` then take. For
/// other jobs the program says how they are run:
///
/// ```no_run
/// use mapreduce_core::{Partitioner, RangePartitioner, prelude::*};
/// # #[derive(Clone, Serialize, Deserialize)]
/// # struct Sort;
/// # struct EachLine;
/// # impl Mapper for EachLine {
/// #     type Input = Lines;
/// #     type Key = [u8];
/// #     type Value = ();
/// #     fn map(&self, line: &[u8], out: &mut impl Emit<[u8], ()>) -> Result { out.emit(line, &()) }
/// # }
/// # impl Job for Sort {
/// #     const NAME: &'static str = "sort";
/// #     type Shared = RangePartitioner;
/// #     type Mapper = EachLine;
/// #     type Combiner = NoCombiner;
/// #     type Reducer = Identity;
/// #     fn mapper(&self, _: &RangePartitioner) -> Result<EachLine> { Ok(EachLine) }
/// #     fn combiner(&self) -> NoCombiner { NoCombiner }
/// #     fn reducer(&self, _: &RangePartitioner) -> Result<Identity> { Ok(Identity) }
/// # }
/// use mapreduce_net::cli::Program;
///
/// fn main() -> std::process::ExitCode {
///     Program::running::<Sort>(|run| {
///         let files = TextFiles::open_bytes(run.inputs)?.with_line_bytes_max(run.line_bytes_max);
///         let lines = run.dataset(files)?;
///         let parts = run.options.partitions_for(lines.bytes());
///         let ranges = RangePartitioner::from_dataset::<[u8], _>(&lines, 1_000, parts, <[u8]>::to_vec)?;
///         Ok(run.write(&Sort, &ranges, &lines)?)
///     })
///     .filters(|_| Ok((Sort, RangePartitioner::default())))
///     .main()
/// }
/// ```
pub struct Program<P = NoParams> {
    job: &'static str,
    registry: Result<Registry, RegistryError>,
    run: RunJob<P>,
    filters: Option<RunFilter<P>>,
}

/// The arguments of a program whose job has none of its own.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct NoParams {}

/// What `run` does.
type RunJob<P> = Box<dyn FnOnce(&P, &Run<'_>) -> Result<Written> + Send>;
/// What `map` and `reduce` do.
type RunFilter<P> = Box<dyn FnOnce(&P, Filter) -> Result<(), CliError>>;

enum Filter {
    Map(MapArgs),
    Reduce(ReduceArgs),
}

/// Records that are lines of text files, which [`Program::new`] knows how to open. To be implemented for records of your
/// own whose block is whole lines.
#[diagnostic::on_unimplemented(
    message = "`{Self}` are not lines of text",
    note = "`Program::new` is for jobs over `Utf8Lines` or `Lines`; use `Program::running` for other inputs"
)]
pub trait LineRecords: Records<Shape = ()> + FromLines {}

impl LineRecords for Lines {}
impl LineRecords for Utf8Lines {}

impl Program {
    /// A program that runs `job` over text files.
    pub fn new<J>(job: J) -> Self
    where
        J: Job<Shared = ()>,
        InputOf<J>: LineRecords,
    {
        Self::with_params(move |_| Ok(job.clone()))
    }

    /// A program whose command `run` does what `run` does, with [what the user asked for](Run); `J` is the job that peers
    /// work on. It has no filters unless they are [given](Self::filters).
    pub fn running<J: Job>(run: impl FnOnce(&Run<'_>) -> Result<Written> + Send + 'static) -> Self {
        Self::running_with_params::<J>(|_, given| run(given))
    }
}

impl<P: clap::Args + Send + 'static> Program<P> {
    /// As [`new`](Program::new) for a job that `make` makes from arguments: `run`, `map` and `reduce` take those of `P` ahead
    /// of their own. The names of its fields must be none of [`RunArgs`], [`MapArgs`] and [`ReduceArgs`].
    ///
    /// ```no_run
    /// use mapreduce_core::prelude::*;
    /// use mapreduce_net::cli::{Program, clap};
    ///
    /// #[derive(clap::Args)]
    /// struct Params {
    ///     /// Count words of so many bytes and more
    ///     #[arg(long, default_value_t = 1)]
    ///     longer_than: usize,
    /// }
    /// # #[derive(Clone, Serialize, Deserialize)]
    /// # struct LongWords { longer_than: usize }
    /// # impl Mapper for LongWords {
    /// #     type Input = Lines;
    /// #     type Key = [u8];
    /// #     type Value = u64;
    /// #     fn map(&self, line: &[u8], out: &mut impl Emit<[u8], u64>) -> Result {
    /// #         line.split(u8::is_ascii_whitespace).filter(|w| w.len() > self.longer_than).try_for_each(|w| out.emit(w, &1))
    /// #     }
    /// # }
    /// # impl SimpleJob for LongWords {
    /// #     const NAME: &'static str = "long-words";
    /// #     type Combiner = Sum;
    /// #     type Reducer = Fold<Sum>;
    /// # }
    ///
    /// fn main() -> std::process::ExitCode {
    ///     // `LongWords` is a job over lines of text, with a parameter.
    ///     Program::with_params(|params: &Params| Ok(LongWords { longer_than: params.longer_than })).main()
    /// }
    /// ```
    pub fn with_params<J>(make: impl Fn(&P) -> Result<J> + Clone + Send + 'static) -> Self
    where
        J: Job<Shared = ()>,
        InputOf<J>: LineRecords,
    {
        let made = make.clone();
        Self::running_with_params::<J>(move |params, run| {
            let job = made(params)?;
            let files = TextFiles::<InputOf<J>>::open_as(run.inputs)?;
            let text = run.dataset(files.with_line_bytes_max(run.line_bytes_max))?;
            Ok(run.write(&job, &(), &text)?)
        })
        .filters(move |params| Ok((make(params)?, ())))
    }

    /// As [`running`](Program::running), with arguments of the program's own as in [`with_params`](Self::with_params).
    pub fn running_with_params<J: Job>(
        run: impl FnOnce(&P, &Run<'_>) -> Result<Written> + Send + 'static,
    ) -> Self {
        Self { job: J::NAME, registry: Registry::new().with::<J>(), run: Box::new(run), filters: None }
    }

    /// The same with the commands `map` and `reduce`, for the job and the broadcast value that `make` gives. The job may be
    /// another one than that of `run`, with the same keys, values and reducer, that reads [what comes as a
    /// stream](FromStream): lines, say, or comma-separated records under a header.
    #[must_use]
    pub fn filters<J>(self, make: impl FnOnce(&P) -> Result<(J, J::Shared)> + 'static) -> Self
    where
        J: Job,
        InputOf<J>: FromStream,
    {
        self.filters_reading(|params| make(params).map(|(job, shared)| (job, shared, StreamForm::default())))
    }

    /// As [`filters`](Self::filters), for records that stand in standard input as `make` says: CSV records as
    /// `CsvFiles::open_with` is told for `run`, records of a fixed length with their length.
    ///
    /// ```no_run
    /// use mapreduce_core::{Csv, CsvFiles, CsvOptions, filter::StreamForm, prelude::*};
    /// use mapreduce_net::cli::Program;
    ///
    /// # #[derive(Serialize, Deserialize)]
    /// # struct Sale { city: String, pieces: u64 }
    /// # #[derive(Clone, Serialize, Deserialize)]
    /// # struct PiecesByCity;
    /// # impl Mapper for PiecesByCity {
    /// #     type Input = Csv<Sale>;
    /// #     type Key = str;
    /// #     type Value = u64;
    /// #     fn map(&self, sale: &Sale, out: &mut impl Emit<str, u64>) -> Result { out.emit(&sale.city, &sale.pieces) }
    /// # }
    /// # impl SimpleJob for PiecesByCity {
    /// #     const NAME: &'static str = "pieces-by-city";
    /// #     type Combiner = Sum;
    /// #     type Reducer = Fold<Sum>;
    /// # }
    /// fn main() -> std::process::ExitCode {
    ///     let csv = CsvOptions { delimiter: b';', ..CsvOptions::default() };
    ///     let form = StreamForm { csv: csv.clone(), ..StreamForm::default() };
    ///     Program::running::<PiecesByCity>(move |run| {
    ///         let files = CsvFiles::open_with(run.inputs, &csv)?.with_line_bytes_max(run.line_bytes_max);
    ///         Ok(run.write(&PiecesByCity, &(), &run.dataset(files)?)?)
    ///     })
    ///     .filters_reading(|_| Ok((PiecesByCity, (), form)))
    ///     .main()
    /// }
    /// ```
    #[must_use]
    pub fn filters_reading<J>(
        self,
        make: impl FnOnce(&P) -> Result<(J, J::Shared, StreamForm)> + 'static,
    ) -> Self
    where
        J: Job,
        InputOf<J>: FromStream,
    {
        let run = move |params: &P, filter| {
            let (job, shared, form) = make(params)?;
            match filter {
                Filter::Map(args) => args.run(&job, &shared, form),
                Filter::Reduce(args) => args.run(&job, &shared),
            }
        };
        Self { filters: Some(Box::new(run)), ..self }
    }

    /// The same with a further job that peers work on: one that [`running`](Program::running) runs too, or that other
    /// programs submit.
    #[must_use]
    pub fn with_job<J: Job>(self) -> Self {
        Self { registry: self.registry.and_then(Registry::with::<J>), ..self }
    }

    /// Does what the arguments of the process say. Gives what `main` should return; errors are reported then.
    pub fn main(self) -> ExitCode {
        self.main_with(std::env::args_os())
    }

    /// As [`main`](Self::main), with other arguments, the first of which is the name of the program.
    pub fn main_with(self, args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
        let parsed = self.command_line().try_get_matches_from(args);
        match parsed.and_then(|matches| Command::from_matches(&matches)) {
            Ok(command) => self.run(command),
            Err(help_or_usage) => show(&help_or_usage),
        }
    }

    fn command_line(&self) -> clap::Command {
        let about =
            format!("Runs the map-reduce job {} on threads of this process or on a pool of peers", self.job);
        let with_params = |name: &'static str| P::augment_args(clap::Command::new(name));
        // The arguments bring descriptions of themselves along, so that of the command is given last.
        let run = RunArgs::augment_args(with_params("run"))
            .about("Run the job over files, on threads of this process or on a pool");
        let map = MapArgs::augment_args(with_params("map"))
            .about("Map standard input to lines of pairs, for other engines");
        let reduce = ReduceArgs::augment_args(with_params("reduce"))
            .about("Reduce sorted lines of pairs on standard input, for other engines");
        let peer = PeerArgs::augment_args(clap::Command::new("peer"))
            .about("Work for a pool, until Ctrl-C or SIGTERM");
        let pool = PoolCommand::augment_subcommands(clap::Command::new("pool"))
            .about("Make the files of a pool, or show who is in it")
            .subcommand_required(true)
            .arg_required_else_help(true);
        let all = clap::Command::new(env!("CARGO_PKG_NAME"))
            .about(about)
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommands([run, peer, pool]);
        match self.filters {
            None => all,
            Some(_) => all.subcommands([map, reduce]),
        }
    }

    fn run(self, command: Command<P>) -> ExitCode {
        // Two jobs of one name are a mistake of the program's, to be seen whatever it is asked to do.
        let registry = match self.registry {
            Ok(registry) => registry,
            Err(error) => return CliError::from(error).report(),
        };
        let run = self.run;
        let status = match command {
            // It knows signals of its own.
            Command::Peer(args) => Ok(status(args.run(registry))),
            Command::Run(params, args) => {
                until_signalled(move |cancel| status(args.run(cancel, |given| run(&params, given))))
            }
            Command::Pool(command) => until_signalled(move |cancel| status(command.run(cancel))),
            // A signal ends a filter at once, like any other program in a pipe.
            Command::Filter(params, filter) => {
                let filters =
                    self.filters.expect("there are filters among the commands only if the program has them");
                Ok(status(filters(&params, filter)))
            }
        };
        status.unwrap_or_else(|error| CliError::Signals(error).report())
    }
}

enum Command<P> {
    Run(P, RunArgs),
    Peer(PeerArgs),
    Pool(PoolCommand),
    Filter(P, Filter),
}

impl<P: clap::Args> Command<P> {
    fn from_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let Some((name, matches)) = matches.subcommand() else {
            return Err(clap::Error::new(clap::error::ErrorKind::MissingSubcommand));
        };
        let params = || P::from_arg_matches(matches);
        Ok(match name {
            "peer" => Self::Peer(PeerArgs::from_arg_matches(matches)?),
            "pool" => Self::Pool(PoolCommand::from_arg_matches(matches)?),
            "map" => Self::Filter(params()?, Filter::Map(MapArgs::from_arg_matches(matches)?)),
            "reduce" => Self::Filter(params()?, Filter::Reduce(ReduceArgs::from_arg_matches(matches)?)),
            _ => Self::Run(params()?, RunArgs::from_arg_matches(matches)?),
        })
    }
}

impl<P> fmt::Debug for Program<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("registry", &self.registry).finish_non_exhaustive()
    }
}

fn status(done: Result<(), CliError>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

/// Shows the help or what is wrong with the arguments.
fn show(message: &clap::Error) -> ExitCode {
    match (message.use_stderr(), message.print()) {
        (true, _) => ExitCode::from(STATUS_USAGE),
        (false, Ok(())) => ExitCode::SUCCESS,
        (false, Err(problem)) => CliError::Stdout(problem).report(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mapreduce_core::prelude::*;

    #[derive(Clone, Serialize, Deserialize)]
    struct Count;

    impl Mapper for Count {
        type Input = Lines;
        type Key = [u8];
        type Value = u64;
        fn map(&self, line: &[u8], out: &mut impl Emit<[u8], u64>) -> Result {
            out.emit(line, &1)
        }
    }

    impl SimpleJob for Count {
        const NAME: &'static str = "count";
        type Combiner = Sum;
        type Reducer = Fold<Sum>;
    }

    #[derive(clap::Args)]
    struct Params {
        pattern: String,
        #[arg(long)]
        invert: bool,
    }

    #[test]
    fn the_command_line_is_consistent() {
        Program::new(Count).command_line().debug_assert();
        Program::with_params(|_: &Params| Ok(Count)).command_line().debug_assert();
    }

    #[test]
    fn each_command_says_what_it_does() {
        let line = Program::with_params(|_: &Params| Ok(Count)).command_line();
        let said: Vec<String> = line
            .get_subcommands()
            .map(|command| command.get_about().map(ToString::to_string).unwrap_or_default())
            .collect();
        let expected =
            ["Run the job", "Work for", "Make the files", "Map standard input", "Reduce sorted lines"];
        assert_eq!(said.len(), expected.len());
        for (said, expected) in said.iter().zip(expected) {
            assert!(said.starts_with(expected), "{said}");
        }
    }

    #[test]
    fn parameters_stand_ahead_of_the_inputs() {
        let program = Program::with_params(|_: &Params| Ok(Count));
        let parse = |args: &str| {
            let matches = program.command_line().try_get_matches_from(args.split(' ')).unwrap();
            Command::<Params>::from_matches(&matches).unwrap()
        };
        let Command::Run(params, args) = parse("program run a.b --invert c d --output e") else { panic!() };
        assert_eq!((params.pattern.as_str(), params.invert), ("a.b", true));
        assert_eq!(args.inputs, ["c", "d"].map(std::path::PathBuf::from));
        let Command::Filter(params, Filter::Map(args)) = parse("program map a.b --split 3") else { panic!() };
        assert_eq!((params.pattern.as_str(), args.split), ("a.b", 3));
        assert!(
            matches!(parse("program reduce x --no-end"), Command::Filter(_, Filter::Reduce(args)) if args.lines.no_end)
        );
    }

    #[test]
    fn a_program_without_filters_has_no_commands_for_them() {
        let program = Program::running::<Count>(|_| Err("not run".into()));
        assert!(program.command_line().try_get_matches_from(["program", "map"]).is_err());
    }
}
