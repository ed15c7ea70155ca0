//! The result on standard output: one JSON object, or a summary for people.

use super::{args::GenerateArgs, error::CommandError, table};
use kmeans_job::{Fit, PiecesTotal, Trial, data::Dtype};
use mapreduce_core::Report;
use mapreduce_net::cli::{AnyEngine, peak_rss_bytes};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, Write as _},
    path::Path,
};

/// The result of `fit` or `quantize`, in the order of the JSON object.
#[derive(Debug, Serialize)]
pub(crate) struct FitReport<'a> {
    n: u64,
    d: usize,
    k: usize,
    iterations: u64,
    converged: bool,
    inertia: f64,
    peers: usize,
    threads: usize,
    tasks_by_peer: &'a BTreeMap<String, u64>,
    attempts_lost: u64,
    cost_per_iteration: &'a [f64],
    /// Where there was something to choose.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trials: Vec<TrialReport>,
    seconds: FitSeconds,
    peak_rss_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip)]
    dtype: Dtype,
    #[serde(skip)]
    sizes: &'a [u64],
    /// Those of the clusters of an image.
    #[serde(skip)]
    colours: Option<&'a [[u8; 3]]>,
    #[serde(skip)]
    workers: String,
}

/// What came of one number of clusters, of several.
#[derive(Clone, Copy, Debug, Serialize)]
struct TrialReport {
    k: usize,
    inertia: f64,
    silhouette: Option<f64>,
    iterations: u64,
    converged: bool,
    seconds: f64,
}

impl TrialReport {
    fn of<L>(fit: &Fit<L>) -> Vec<Self> {
        if fit.trials.len() < 2 {
            return Vec::new();
        }
        let report = |trial: &Trial| {
            let &Trial { k, inertia, silhouette, iterations, converged, seconds, .. } = trial;
            Self { k, inertia, silhouette, iterations, converged, seconds }
        };
        fit.trials.iter().map(report).collect()
    }
}

#[derive(Debug, Serialize)]
struct FitSeconds {
    load: f64,
    init: f64,
    fit: f64,
    total: f64,
}

impl<'a> FitReport<'a> {
    pub(crate) fn new<L>(fit: &'a Fit<L>, engine: &AnyEngine, load_seconds: f64, total_seconds: f64) -> Self {
        let Fit { model, report, init_seconds, fit_seconds, .. } = fit;
        Self {
            n: model.n,
            d: model.d(),
            k: model.k(),
            iterations: model.iterations,
            converged: model.converged,
            inertia: model.inertia,
            peers: report.tasks_by_peer.len(),
            threads: engine.threads(),
            tasks_by_peer: &report.tasks_by_peer,
            attempts_lost: report.attempts_lost,
            cost_per_iteration: &model.cost_per_iteration,
            trials: TrialReport::of(fit),
            seconds: FitSeconds {
                load: load_seconds,
                init: *init_seconds,
                fit: *fit_seconds,
                total: total_seconds,
            },
            peak_rss_bytes: peak_rss_bytes(),
            output: None,
            dtype: model.dtype,
            sizes: &model.counts,
            colours: None,
            workers: workers(engine, report.tasks_by_peer.len()),
        }
    }

    /// The same with the image that was written.
    pub(crate) fn with_output(self, path: &Path) -> Self {
        Self { output: Some(path.display().to_string()), ..self }
    }

    /// The same with the colours that the clusters are of.
    pub(crate) fn with_colours(self, colours: &'a [[u8; 3]]) -> Self {
        Self { colours: Some(colours), ..self }
    }

    /// For people. `input` is what was read, `written` what was written.
    pub(crate) fn summary(&self, input: &Path, written: &[&Path]) -> String {
        let &Self { n, d, k, iterations, converged, inertia, ref seconds, .. } = self;
        let mut text = list_trials(&self.trials, k);
        text += &summary_head(input, n, d, k);
        let end = if converged { "converged" } else { "not converged: --max-iter ended them" };
        line(&mut text, "iterations", format_args!("{iterations}, {end}"));
        line(&mut text, "inertia", format_args!("{inertia:?}"));
        line(&mut text, "sizes", format_args!("{}", sizes(self.sizes)));
        line(&mut text, "computed", format_args!("in {} on {}", self.dtype, self.workers));
        for path in written {
            line(&mut text, "wrote", format_args!("{}", path.display()));
        }
        let FitSeconds { load, init, fit, total } = seconds;
        line(
            &mut text,
            "seconds",
            format_args!("{total:.3} (load {load:.3}, start centroids {init:.3}, fit {fit:.3})"),
        );
        add_table(&mut text, self.sizes, self.colours);
        text
    }
}

/// The result of `predict`, in the order of the JSON object.
#[derive(Debug, Serialize)]
pub(crate) struct PredictReport<'a> {
    n: u64,
    d: usize,
    k: usize,
    inertia: f64,
    peers: usize,
    threads: usize,
    tasks_by_peer: &'a BTreeMap<String, u64>,
    attempts_lost: u64,
    seconds: PredictSeconds,
    peak_rss_bytes: Option<u64>,
    #[serde(skip)]
    sizes: &'a [u64],
    #[serde(skip)]
    workers: String,
}

/// Seconds of the parts of a prediction.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct PredictSeconds {
    pub(crate) load: f64,
    pub(crate) predict: f64,
    pub(crate) total: f64,
}

impl<'a> PredictReport<'a> {
    /// Of a prediction in `d` dimensions.
    pub(crate) fn new(
        predicted: &'a PiecesTotal,
        d: usize,
        engine: &AnyEngine,
        seconds: PredictSeconds,
    ) -> Self {
        let PiecesTotal { counts, inertia, report } = predicted;
        let Report { tasks_by_peer, attempts_lost, .. } = report;
        Self {
            n: counts.iter().sum(),
            d,
            k: counts.len(),
            inertia: *inertia,
            peers: tasks_by_peer.len(),
            threads: engine.threads(),
            tasks_by_peer,
            attempts_lost: *attempts_lost,
            seconds,
            peak_rss_bytes: peak_rss_bytes(),
            sizes: counts,
            workers: workers(engine, tasks_by_peer.len()),
        }
    }

    /// For people. `input` is what was read, `written` what was written.
    pub(crate) fn summary(&self, input: &Path, written: &[&Path]) -> String {
        let &Self { n, d, k, inertia, seconds, .. } = self;
        let mut text = summary_head(input, n, d, k);
        line(&mut text, "inertia", format_args!("{inertia:?}"));
        line(&mut text, "sizes", format_args!("{}", sizes(self.sizes)));
        line(&mut text, "computed", format_args!("on {}", self.workers));
        for path in written {
            line(&mut text, "wrote", format_args!("{}", path.display()));
        }
        let PredictSeconds { load, predict, total } = seconds;
        line(&mut text, "seconds", format_args!("{total:.3} (load {load:.3}, predict {predict:.3})"));
        add_table(&mut text, self.sizes, None);
        text
    }
}

/// The result of `generate`, in the order of the JSON object.
#[derive(Debug, Serialize)]
pub(crate) struct GenerateReport {
    n: u64,
    d: usize,
    dtype: Dtype,
    seed: u64,
    output: String,
    seconds: f64,
}

impl GenerateReport {
    pub(crate) fn new(args: &GenerateArgs, seconds: f64) -> Self {
        let &GenerateArgs { rows, columns, dtype, seed, ref output, .. } = args;
        Self { n: rows, d: columns, dtype: dtype.into(), seed, output: output.display().to_string(), seconds }
    }

    /// For people.
    pub(crate) fn summary(&self) -> String {
        let Self { n, d, dtype, seed, output, seconds } = self;
        let mut text = String::new();
        line(&mut text, "points", format_args!("{n} x {d} of {dtype}, seed {seed}"));
        line(&mut text, "wrote", format_args!("{output}"));
        line(&mut text, "seconds", format_args!("{seconds:.3}"));
        text
    }
}

/// A report as one line of JSON.
pub(crate) fn json(report: &impl Serialize) -> String {
    let mut text = serde_json::to_string(report).expect("numbers and texts are JSON");
    text.push('\n');
    text
}

/// Puts a text on standard output.
pub(crate) fn print(text: &str) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CommandError::Stdout)
}

/// Who has worked: "1 thread", "2 threads", "3 peers".
pub(crate) fn workers(engine: &AnyEngine, peers: usize) -> String {
    match (engine.is_pool(), engine.threads()) {
        (true, _) if peers == 1 => "1 peer".to_owned(),
        (true, _) => format!("{peers} peers"),
        (false, 1) => "1 thread".to_owned(),
        (false, threads) => format!("{threads} threads"),
    }
}

fn summary_head(input: &Path, n: u64, d: usize, k: usize) -> String {
    let mut text = String::new();
    line(&mut text, "points", format_args!("{n} x {d} from {}", input.display()));
    line(&mut text, "clusters", format_args!("{k}"));
    text
}

/// The numbers of clusters that were tried, with a mark at the one that was chosen. Empty if there was no choice.
fn list_trials(trials: &[TrialReport], chosen: usize) -> String {
    let mut text = String::new();
    if trials.is_empty() {
        return text;
    }
    text.push_str("     k         inertia  silhouette  iterations  seconds\n");
    for &TrialReport { k, inertia, silhouette, iterations, seconds, .. } in trials {
        let silhouette = silhouette.map_or_else(|| "-".to_owned(), |score| format!("{score:.4}"));
        let mark = if k == chosen { "  <- chosen" } else { "" };
        let row =
            format!("{k:>6}  {inertia:>14.8e}  {silhouette:>10}  {iterations:>10}  {seconds:>7.3}{mark}");
        writeln!(text, "{row}").expect("a String takes whatever is written");
    }
    text.push('\n');
    text
}

fn line(text: &mut String, name: &str, value: std::fmt::Arguments<'_>) {
    writeln!(text, "{name:<12}{value}").expect("a String takes whatever is written");
}

fn sizes(sizes: &[u64]) -> String {
    let (Some(min), Some(max)) = (sizes.iter().min(), sizes.iter().max()) else { return String::new() };
    format!("from {min} to {max}")
}

/// Lists the clusters one by one, if they are few enough to be looked at.
fn add_table(text: &mut String, sizes: &[u64], colours: Option<&[[u8; 3]]>) {
    if sizes.len() <= table::CLUSTERS_MAX {
        text.push('\n');
        text.push_str(&table::clusters(sizes, colours, table::shows_colours()));
    }
}
