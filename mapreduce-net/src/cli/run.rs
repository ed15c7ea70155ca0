//! The command `run`: a job over files, on threads or on a pool, into a folder of part files.

use super::{
    AnyEngine, CliError, MemoryArgs, PoolArgs,
    error::print,
    report::{RunReport, json},
    signals,
};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use mapreduce_core::{
    Cancel, Dataset, Engine as _, Error, Format, Input, InputOf, Job, Options, PartFiles, Result, Written,
    input::LINE_BYTES_MAX,
};
use std::{num::NonZeroU32, path::PathBuf, time::Instant};

/// The arguments of a command that runs a job over files.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    /// Files to read; a folder stands for the files in it
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,
    /// The folder to write, which must not be there yet
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
    /// Replace the folder if an earlier job has written it
    #[arg(long)]
    pub overwrite: bool,
    /// Parts of the output [default: one for every 32 MiB of input, at most 64]
    #[arg(long, value_name = "R", allow_negative_numbers = true, value_parser = partitions)]
    pub partitions: Option<NonZeroU32>,
    /// Threads of this process or a pool.
    #[command(flatten)]
    pub pool: PoolArgs,
    /// Threads of this process; 0 means as many as there are cores. On a pool they only read, send and put together
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true, value_parser = super::engine::threads)]
    pub threads: usize,
    /// The memory of this process.
    #[command(flatten)]
    pub memory: MemoryArgs,
    /// The longest line of text or CSV record that is read, such as 1GiB; each is held whole, and 2 1/8 of it while it is
    /// read [default: 256MiB]
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true, default_value_t = LINE_BYTES_MAX as u64,
          hide_default_value = true, value_parser = super::memory::size)]
    pub line_bytes_max: u64,
    /// What the part files look like
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = format())]
    pub format: Format,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

impl RunArgs {
    /// Has `job` run with these arguments, and prints what came of it. `cancel`, that of
    /// [`until_signalled`](super::until_signalled), stops it. To be called outside of any async runtime.
    ///
    /// # Errors
    /// When the folder of temporary files is not there, the engine cannot be made ([`PoolArgs::engine`]), `job` fails, or it was interrupted.
    pub fn run(
        &self,
        cancel: &Cancel,
        job: impl FnOnce(&Run<'_>) -> Result<Written>,
    ) -> Result<(), CliError> {
        let started = Instant::now();
        let memory = self.memory.memory()?;
        // A job asks too, but may be the last of several.
        self.part_files().check()?;
        let engine = self.pool.engine_with(self.threads, memory, cancel)?;
        let run = self.on(&engine, cancel);
        let written = job(&run).map_err(CliError::from)?;
        let seconds = started.elapsed().as_secs_f64();
        let report = RunReport::new(&written, &self.output, engine.is_pool(), engine.threads(), seconds);
        print(&if self.json { json(&report) } else { report.summary() })
    }

    fn on<'a>(&'a self, engine: &'a AnyEngine, cancel: &Cancel) -> Run<'a> {
        let options = Options {
            partitions: self.partitions.map(NonZeroU32::get),
            cancel: cancel.clone(),
            ..Options::default()
        };
        Run {
            inputs: &self.inputs,
            line_bytes_max: self.line_bytes_max,
            engine,
            shared: self.pool.shared,
            output: self.part_files(),
            options,
        }
    }

    fn part_files(&self) -> PartFiles {
        PartFiles::new(&self.output)
            .overwrite(self.overwrite)
            .with_format(self.format)
            .on_shared_storage(self.pool.shared)
    }
}

/// Parses what `--partitions` is given.
fn partitions(text: &str) -> Result<NonZeroU32, String> {
    let max = Options::PARTITIONS_MAX;
    match text.parse::<NonZeroU32>() {
        Ok(partitions) if partitions.get() <= max => Ok(partitions),
        _ => Err(format!("give a whole number from 1 to {max}")),
    }
}

/// The formats by their names on the command line.
const FORMATS: &[(&str, Format)] = &[
    ("text", Format::Text),
    ("csv", Format::Csv),
    ("jsonl", Format::JsonLines),
    #[cfg(feature = "parquet")]
    ("parquet", Format::Parquet),
];

/// Parses what `--format` is given.
fn format() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(FORMATS.iter().map(|(name, _)| *name)).map(|given| {
        let format = FORMATS.iter().find(|(name, _)| *name == given);
        format.expect("the parser lets no other names pass").1
    })
}

/// What the user of `run` has asked for: given to a [`Program`](super::Program)'s own way of running its job.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Run<'a> {
    /// The inputs.
    pub inputs: &'a [PathBuf],
    /// How long a line or a CSV record may be, for [`TextFiles::with_line_bytes_max`] or [`CsvFiles::with_line_bytes_max`].
    ///
    /// [`TextFiles::with_line_bytes_max`]: mapreduce_core::TextFiles::with_line_bytes_max
    /// [`CsvFiles::with_line_bytes_max`]: mapreduce_core::CsvFiles::with_line_bytes_max
    pub line_bytes_max: u64,
    /// What to run on.
    pub engine: &'a AnyEngine,
    /// Whether peers are to read the input themselves. If so, [`output`](Self::output) is on shared storage as well.
    pub shared: bool,
    /// Where to write.
    pub output: PartFiles,
    /// Partitions, and the token that Ctrl-C cancels.
    pub options: Options,
}

impl Run<'_> {
    /// Plans the splits of `input`, and lets peers read it themselves if the user asked for that.
    ///
    /// # Errors
    /// Those of [`Dataset::new`] and [`Dataset::on_shared_storage`].
    pub fn dataset<I: Input>(&self, input: I) -> Result<Dataset<I>, Error> {
        let data = Dataset::new(input)?;
        if self.shared { data.on_shared_storage() } else { Ok(data) }
    }

    /// Runs a job on [`engine`](Self::engine) and writes its output to [`output`](Self::output).
    ///
    /// # Errors
    /// Those of [`Engine::write`](mapreduce_core::Engine::write).
    pub fn write<J, I>(&self, job: &J, shared: &J::Shared, data: &Dataset<I>) -> Result<Written, Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        self.engine.write(job, shared, data, &self.output, &self.options)
    }
}

impl From<Box<dyn std::error::Error + Send + Sync>> for CliError {
    fn from(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(error) => return *error,
            Err(error) => error,
        };
        match error.downcast::<Error>() {
            Ok(error) => (*error).into(),
            Err(error) => Self::Other(error),
        }
    }
}

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        match error {
            Error::Cancelled => Self::Interrupted { status: signals::signal_status() },
            error => Self::Job(error),
        }
    }
}
