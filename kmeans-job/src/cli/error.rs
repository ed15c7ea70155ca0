//! What went wrong, in one line that ends with the way out.

use super::memory::Size;
use kmeans_job::{
    DataError, DistancesError, OptionsError, WeightsError, data::LoadError, generate::GenerateError,
    model::ModelError, output::OutputError, palette::PaletteError,
};
use mapreduce_core::RegistryError;
use mapreduce_net::cli::{CliError, signal_status};
use std::{error::Error, io, path::PathBuf};

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The user or the system asked for an end.
    #[error("interrupted; nothing was written")]
    Interrupted,
    #[error("cannot be told of Ctrl-C: {0}")]
    Signals(io::Error),
    /// A job, the pool, or a peer of it.
    #[error(transparent)]
    Pool(CliError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(
        "--shared: {path}: the pixels of an image are decoded here and sent to the peers; leave --shared out"
    )]
    SharedImage { path: PathBuf },
    #[error("{0}")]
    Load(LoadError),
    #[error(
        "{folder}: the points do not fit into {budget} of memory, and cannot be kept in a temporary file there: {problem}; make room there, name another folder with --spill-to, or give more with --memory"
    )]
    Overflow { folder: PathBuf, budget: Size, problem: io::Error },
    #[error("--init {0}")]
    Init(LoadError),
    #[error(
        "--init {path}: the start centroids are {found_k} x {found_d}, but {k} x {d} are needed: one row for each of the {k} clusters, one column for each of the data's; give such a file, or --k {found_k} if the data is right"
    )]
    InitShape { path: PathBuf, k: usize, d: usize, found_k: usize, found_d: usize },
    #[error(
        "--init {path}: these start centroids are for one run with one k; give one --k and leave --n-init out, or let the start be chosen"
    )]
    InitOfMany { path: PathBuf },
    #[error("--init {path}: bisecting begins with one cluster; leave --init out, or use another --algorithm")]
    InitOfSplits { path: PathBuf },
    #[error("--weights {0}")]
    Weights(LoadError),
    #[error("--weights {path}: {problem}")]
    WeightsOfPoints { path: PathBuf, problem: WeightsError },
    #[error("--batch-size: only mini-batch draws points; leave it out, or give --algorithm mini-batch")]
    BatchSize,
    #[error(
        "--init {path}: row {row} (counted from 0) is all zeros, which have no cosine distance; give another point"
    )]
    InitDirection { path: PathBuf, row: usize },
    #[error(transparent)]
    Options(#[from] OptionsError),
    #[error("{0}")]
    Model(ModelError),
    #[error("{option} {problem}")]
    Output { option: &'static str, problem: OutputError },
    #[error("{0}")]
    Write(OutputError),
    #[error("{option} {path}: this is also {other}; give another path")]
    SamePath { option: &'static str, path: PathBuf, other: &'static str },
    #[error("{path}: it has only {rows} rows, too few for --k {k}; ask for 1 to {rows} clusters")]
    TooFewRows { path: PathBuf, rows: usize, k: usize },
    #[error(
        "{path}: its {rows} rows are only {distinct} distinct points, too few for --k {k}; ask for at most {distinct} clusters"
    )]
    TooFewDistinct { path: PathBuf, rows: usize, distinct: usize, k: usize },
    #[error(
        "{path}: its {pixels} pixels have only {colours} distinct colours, too few for --k {k}; ask for at most {colours}"
    )]
    TooFewColours { path: PathBuf, pixels: usize, colours: usize, k: usize },
    #[error(
        "{path}: it has {found} columns, but the model {model} was made from data with {expected}; give it data of the same kind"
    )]
    Columns { path: PathBuf, found: usize, model: PathBuf, expected: usize },
    #[error("{path}: {problem}")]
    Data { path: PathBuf, problem: DataError },
    /// Points in files that could be read a moment ago.
    #[error("{problem}")]
    Points { problem: DistancesError },
    /// An error of the library that has no words of its own here.
    #[error("{path}: {problem}")]
    Other { path: PathBuf, problem: Box<dyn Error + Send + Sync> },
    #[error("{0}")]
    Palette(PaletteError),
    #[cfg(feature = "plot")]
    #[error("--plot {0}")]
    Plot(kmeans_job::plot::PlotError),
    #[error("{0}")]
    Generate(GenerateError),
    #[error("{option}: the shape {shape} has none; leave it out")]
    Unused { option: &'static str, shape: &'static str },
    #[error("cannot write to standard output: {0}; check where it leads")]
    Stdout(io::Error),
}

impl CommandError {
    /// The error of the file that an option names.
    pub(crate) fn output(option: &'static str) -> impl Fn(OutputError) -> Self {
        move |problem| Self::Output { option, problem }
    }

    /// What the process exits with.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Interrupted => signal_status(),
            Self::Pool(error) => error.status(),
            _ => 1,
        }
    }
}

impl From<mapreduce_core::Error> for CommandError {
    fn from(error: mapreduce_core::Error) -> Self {
        match error {
            mapreduce_core::Error::Cancelled => Self::Interrupted,
            // It says the ways out as options.
            error => Self::Pool(error.into()),
        }
    }
}

impl From<CliError> for CommandError {
    fn from(error: CliError) -> Self {
        match error {
            CliError::Interrupted { .. } => Self::Interrupted,
            CliError::Job(error) => error.into(),
            error => Self::Pool(error),
        }
    }
}

impl From<LoadError> for CommandError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Interrupted => Self::Interrupted,
            error => Self::Load(error),
        }
    }
}

impl From<ModelError> for CommandError {
    fn from(error: ModelError) -> Self {
        Self::Model(error)
    }
}

impl From<PaletteError> for CommandError {
    fn from(error: PaletteError) -> Self {
        Self::Palette(error)
    }
}
