//! [`Program`]: a whole command line for a program with a job.

use super::{CliError, PeerArgs, PoolCommand, Run, RunArgs, until_signalled};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use mapreduce_core::{
    InputOf, Job, Lines, Records, Registry, RegistryError, Result, TextFiles, Utf8Lines, Written,
};
use std::{ffi::OsString, fmt, process::ExitCode};

/// What clap itself exits with.
const STATUS_USAGE: u8 = 2;

/// A program with a job and the commands `run`, `peer`, `pool create` and `pool status`.
///
/// | command | what it does |
/// |---|---|
/// | `run INPUT... --output DIR` | runs the job over files, on threads of its own or, with `--pool FILE`, on a pool |
/// | `peer --pool FILE` | works for a pool until Ctrl-C or SIGTERM |
/// | `pool create --address HOST --output FILE` | makes the files of a new pool |
/// | `pool status --pool FILE` | shows who is in a pool |
///
/// A job over lines of text without a broadcast value needs no more than [`new`](Self::new), see [the module](super). For
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
///         let lines = run.dataset(TextFiles::open_bytes(run.inputs)?)?;
///         let sample = lines.sample(1_000, <[u8]>::to_vec)?;
///         let ranges = RangePartitioner::from_sample::<[u8]>(&sample, run.options.partitions_for(lines.bytes()));
///         Ok(run.write(&Sort, &ranges, &lines)?)
///     })
///     .main()
/// }
/// ```
pub struct Program {
    job: &'static str,
    registry: Result<Registry, RegistryError>,
    run: RunJob,
}

/// What `run` does.
type RunJob = Box<dyn FnOnce(&Run<'_>) -> Result<Written> + Send>;

/// Records that are lines of text files, which [`Program::new`] knows how to open. To be implemented for records of your
/// own whose block is whole lines.
#[diagnostic::on_unimplemented(
    message = "`{Self}` are not lines of text",
    note = "`Program::new` is for jobs over `Utf8Lines` or `Lines`; use `Program::running` for other inputs"
)]
pub trait LineRecords: Records<Shape = ()> {}

impl LineRecords for Lines {}
impl LineRecords for Utf8Lines {}

#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the job over files, on threads of this process or on a pool
    Run(RunArgs),
    /// Work for a pool, until Ctrl-C or SIGTERM
    Peer(PeerArgs),
    /// Make the files of a pool, or show who is in it
    #[command(subcommand)]
    Pool(PoolCommand),
}

impl Program {
    /// A program that runs `job` over text files.
    pub fn new<J>(job: J) -> Self
    where
        J: Job<Shared = ()>,
        InputOf<J>: LineRecords,
    {
        Self::running::<J>(move |run| {
            let text = run.dataset(TextFiles::<InputOf<J>>::open_as(run.inputs)?)?;
            Ok(run.write(&job, &(), &text)?)
        })
    }

    /// A program whose command `run` does what `run` does, with [what the user asked for](Run); `J` is the job that peers
    /// work on.
    pub fn running<J: Job>(run: impl FnOnce(&Run<'_>) -> Result<Written> + Send + 'static) -> Self {
        Self { job: J::NAME, registry: Registry::new().with::<J>(), run: Box::new(run) }
    }

    /// The same with a further job that peers work on: one that [`running`](Self::running) runs too, or that other
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
        let about =
            format!("Runs the map-reduce job {} on threads of this process or on a pool of peers", self.job);
        let parsed = Args::command().about(about).try_get_matches_from(args);
        match parsed.and_then(|matches| Args::from_arg_matches(&matches)) {
            Ok(args) => self.run(args.command),
            Err(help_or_usage) => show(&help_or_usage),
        }
    }

    fn run(self, command: Command) -> ExitCode {
        // Two jobs of one name are a mistake of the program's, to be seen whatever it is asked to do.
        let registry = match self.registry {
            Ok(registry) => registry,
            Err(error) => return CliError::from(error).report(),
        };
        let run = self.run;
        let status = match command {
            // It knows signals of its own.
            Command::Peer(args) => Ok(status(args.run(registry))),
            Command::Run(args) => until_signalled(move |cancel| status(args.run(cancel, run))),
            Command::Pool(command) => until_signalled(move |cancel| status(command.run(cancel))),
        };
        status.unwrap_or_else(|error| CliError::Signals(error).report())
    }
}

impl fmt::Debug for Program {
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

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
