//! The command line.

use clap::{
    Args as _, FromArgMatches as _, Parser, Subcommand,
    builder::{OsStringValueParser, TypedValueParser},
};
use kmeans_job::KRange;
use mapreduce_net::cli::{PeerArgs, PoolArgs, PoolCommand};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Finds clusters with K-means, as an iterated map-reduce job.
///
/// Without a command it shows what it does: it quantizes a photograph that is built in to 16 colours and writes
/// astronaut-16.png to the current directory.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  kmeans-job
  kmeans-job fit points.csv --k 3 --model model.json --labels labels.npy
  kmeans-job predict model.json new.npy --labels new_labels.npy
  kmeans-job quantize photo.jpg --k 16 --output photo-16.png

On several machines, each with this program and the file lab.pool:
  kmeans-job pool create --address 10.0.0.1 --output lab.pool
  kmeans-job peer --pool lab.pool
  kmeans-job fit points.npy --k 3 --model model.json --pool lab.pool

Points are read from .npy (two dimensions, f32 or f64), .csv, .tsv, or an image (one point a pixel).";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find clusters in points
    Fit(FitArgs),
    /// Label points with the nearest centroids of a model
    Predict(PredictArgs),
    /// Reduce an image to k colours
    Quantize(QuantizeArgs),
    /// Work for a pool, until Ctrl-C or SIGTERM
    Peer(PeerArgs),
    /// Make the files of a pool, or show who is in it
    #[command(subcommand)]
    Pool(PoolCommand),
}

#[derive(Debug, clap::Args)]
pub(crate) struct FitArgs {
    /// The points: a .npy, .csv, .tsv or image file
    pub(crate) input: PathBuf,
    #[command(flatten)]
    pub(crate) search: Search,
    /// Write the model to this file
    #[arg(long, value_name = "OUT.json")]
    pub(crate) model: Option<PathBuf>,
    /// Write the cluster of each point to this file, as int32
    #[arg(long, value_name = "OUT.npy")]
    pub(crate) labels: Option<PathBuf>,
    /// Bytes of points in a task [default: a size that suits the data]; no result depends on it
    #[arg(long, value_name = "BYTES", allow_negative_numbers = true, value_parser = whole::<u64>(1))]
    pub(crate) split_size: Option<u64>,
    #[command(flatten)]
    pub(crate) run: Run,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PredictArgs {
    /// The model: a file that `kmeans-job fit --model` wrote
    pub(crate) model: PathBuf,
    /// The points: a .npy, .csv, .tsv or image file
    pub(crate) input: PathBuf,
    /// Write the cluster of each point to this file, as int32
    #[arg(long, value_name = "OUT.npy")]
    pub(crate) labels: PathBuf,
    #[command(flatten)]
    pub(crate) run: Run,
}

#[derive(Debug, clap::Args)]
pub(crate) struct QuantizeArgs {
    /// The image
    pub(crate) image: PathBuf,
    #[command(flatten)]
    pub(crate) search: Search,
    /// Write the image of k colours to this file
    #[arg(long, value_name = "OUT.png", value_parser = OsStringValueParser::new().try_map(png))]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) run: Run,
}

/// What to look for, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Search {
    /// Number of clusters; or FROM..TO, both included: the number with the highest silhouette is kept
    #[arg(long, default_value = "8", allow_hyphen_values = true, value_parser = clusters)]
    pub(crate) k: KRange,
    /// Start centroids: `k-means||`, `k-means++` (slower), `random` (k distinct points), or a .npy file of k rows
    #[arg(long, value_name = "NAME|FILE.npy", default_value = PARALLEL, value_parser = OsStringValueParser::new().try_map(init))]
    pub(crate) init: Init,
    /// Runs from different start centroids, of which the one with the lowest inertia is kept
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true, value_parser = whole::<u32>(1))]
    pub(crate) n_init: u32,
    /// Iterations at the most
    #[arg(long, value_name = "N", default_value_t = 300, allow_negative_numbers = true, value_parser = whole::<u32>(1))]
    pub(crate) max_iter: u32,
    /// End when the sum of the squared shifts of the centroids is at most T times the mean variance of the columns
    #[arg(long, value_name = "T", default_value = "1e-4", allow_hyphen_values = true, value_parser = tolerance)]
    pub(crate) tol: f64,
    /// Seed of the random numbers
    #[arg(long, value_name = "S", default_value_t = 0, allow_negative_numbers = true, value_parser = whole::<u64>(0))]
    pub(crate) seed: u64,
}

impl Search {
    /// For `k` clusters, all else as it is without options.
    pub(crate) fn of(k: usize) -> Self {
        let args = ["".to_owned(), "--k".to_owned(), k.to_string()];
        let matches = Self::augment_args(clap::Command::new("")).get_matches_from(args);
        Self::from_arg_matches(&matches).expect("every option has a default")
    }
}

/// How to run, and what to say meanwhile.
#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) pool: PoolArgs,
    /// Threads of this process; 0 means as many as there are cores. No result depends on it
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true, value_parser = threads)]
    pub(crate) threads: usize,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Print no progress
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// What `--init` names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Init {
    Parallel,
    PlusPlus,
    Random,
    File(PathBuf),
}

const PARALLEL: &str = "k-means||";
const PLUS_PLUS: &str = "k-means++";
const RANDOM: &str = "random";

fn init(value: OsString) -> Result<Init, String> {
    match value.to_str() {
        Some(PARALLEL) => return Ok(Init::Parallel),
        Some(PLUS_PLUS) => return Ok(Init::PlusPlus),
        Some(RANDOM) => return Ok(Init::Random),
        _ => {}
    }
    if !has_extension(Path::new(&value), "npy") {
        return Err(format!("give `{PARALLEL}`, `{PLUS_PLUS}`, `{RANDOM}`, or the path of a .npy file"));
    }
    Ok(Init::File(value.into()))
}

fn png(value: OsString) -> Result<PathBuf, &'static str> {
    if !has_extension(Path::new(&value), "png") {
        return Err("a PNG is written; give a path that ends in .png");
    }
    Ok(value.into())
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// A number of clusters, or a range of them.
fn clusters(text: &str) -> Result<KRange, String> {
    let number = whole::<usize>(1);
    let Some((from, to)) = text.split_once("..") else { return Ok(number(text)?.into()) };
    match (number(from), number(to.trim_start_matches('='))) {
        (Ok(from), Ok(to)) if from <= to => Ok((from..=to).into()),
        (Ok(from), Ok(to)) => Err(format!("this range is upside down; give {to}..{from}")),
        _ => Err("give a range as FROM..TO, two whole numbers, 1 or more".to_owned()),
    }
}

/// Parses whole numbers from `min` on. The standard library's words for what is none do not say what to give.
fn whole<T: FromStr + From<u8> + PartialOrd>(min: u8) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| match text.parse::<T>() {
        Ok(number) if number >= T::from(min) => Ok(number),
        Err(_) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err("this is too large; give a smaller number".to_owned())
        }
        _ => Err(format!("give a whole number, {min} or more")),
    }
}

/// Far more threads than cores slow the work down, and tens of thousands take down the machine.
const THREADS_MAX: usize = 1024;

fn threads(text: &str) -> Result<usize, String> {
    match whole(0)(text)? {
        n if n > THREADS_MAX => {
            Err(format!("give at most {THREADS_MAX}, or 0 for as many as there are cores"))
        }
        n => Ok(n),
    }
}

fn tolerance(value: &str) -> Result<f64, &'static str> {
    match value.parse() {
        Ok(tol) if tol >= 0.0 && f64::is_finite(tol) => Ok(tol),
        _ => Err("give a number that is 0 or more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;
    use kmeans_job::KMeans;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_defaults_are_those_of_the_library() {
        let args = Args::try_parse_from(["kmeans-job", "fit", "points.csv"]).unwrap();
        let Some(Command::Fit(FitArgs { search, .. })) = args.command else { panic!("not fit") };
        let command = KMeans::builder()
            .k(search.k)
            .n_init(search.n_init)
            .max_iter(search.max_iter)
            .tol(search.tol)
            .seed(search.seed);
        // The options have no other way to be looked at: they are not for programs to read back.
        assert_eq!(format!("{command:?}"), format!("{:?}", KMeans::builder()));
        assert_eq!(
            (search.init, kmeans_job::Start::default()),
            (Init::Parallel, kmeans_job::Start::Parallel)
        );
    }

    #[test]
    fn numbers_of_clusters_are_one_or_a_range() {
        assert_eq!(clusters("8"), Ok(8.into()));
        assert_eq!(clusters("2..20"), Ok((2..=20).into()));
        assert_eq!(clusters("2..=20"), Ok((2..=20).into()));
        for wrong in ["", "0", "x", "..", "2..", "..20", "20..2", "0..3", "2..3..4", "-1", "-1..3", "2-20"] {
            assert!(clusters(wrong).is_err(), "{wrong}");
        }
        assert_eq!(clusters("20..2").unwrap_err(), "this range is upside down; give 2..20");
    }
}
