//! `kmeans-job fit`: finds clusters and writes the model and the labels.

#[cfg(feature = "plot")]
use super::picture::Picture;
use super::{
    args::{FitArgs, Init},
    cluster::{self, Clustering, Source},
    error::CommandError,
    interrupt,
    memory::{self, Held},
    paths::{self, Named},
    report::{self, FitReport},
    rows::Outputs,
};
use kmeans_job::{
    Algorithm, Fit, KMeans, PredictOptions,
    data::Points,
    output::{self, AtomicFile},
};
use mapreduce_core::Cancel;
use mapreduce_net::cli::AnyEngine;
use std::{path::Path, time::Instant};

pub(crate) fn run(args: &FitArgs, cancel: &Cancel) -> Result<(), CommandError> {
    let FitArgs {
        input,
        search,
        weights,
        distance,
        model,
        centroids,
        labels,
        distances,
        plot,
        split_size,
        run,
    } = args;
    let started = Instant::now();
    let memory = run.memory.memory()?;
    let options = [
        ("--model", model),
        ("--centroids", centroids),
        ("--labels", labels),
        ("--distances", distances),
        ("--plot", plot),
    ];
    let outputs: Vec<Named<'_>> =
        options.into_iter().filter_map(|(name, path)| Some(Named { name, path: path.as_deref()? })).collect();
    // What is soon read is read ahead of the wait for a pool.
    let source = Source::open(input)?;
    let mut inputs: Vec<Named<'_>> = source.named().collect();
    if let Init::File(path) = &search.init {
        inputs.push(Named { name: "--init", path });
    }
    inputs.extend(weights.as_deref().map(|path| Named { name: "--weights", path }));
    cluster::check(search)?;
    paths::check(&inputs, &outputs)?;
    let start = cluster::load_start(&search.init, cancel)?;
    let weights = match weights.as_deref() {
        Some(path) => Some((path, cluster::load_weights(path, cancel)?)),
        None => None,
    };
    let engine = run.pool.engine_with(run.threads, memory.clone(), cancel)?;
    let name = source.name();
    let held = Held::with_distances(distances.is_some());
    let points = source.load(&memory, held, run.quiet, cancel)?;
    #[cfg(feature = "plot")]
    let picture = plot.as_ref().map(|path| Picture::of(path, &source, &points, search.seed)).transpose()?;
    let load_seconds = started.elapsed().as_secs_f64();
    // Other memory of points in files is counted as it is used.
    let is_bisected = search.algorithm() == Algorithm::Bisecting;
    let _apart = memory.set_apart(memory::of_files(&points, weights.is_some(), is_bisected));

    let clustering = Clustering {
        engine: &engine,
        path: &name,
        search,
        start,
        distance: (*distance).into(),
        weights,
        split_bytes: *split_size,
        memory: &memory,
        held,
        shared: run.pool.shared,
        quiet: run.quiet,
        cancel,
    };
    let rows = Outputs { labels: labels.as_deref(), distances: distances.as_deref() };
    let ending =
        Ending { args, engine: &engine, name: &name, outputs: &outputs, started, load_seconds, cancel };
    match points {
        Points::Files(files) => {
            // Labels of so many points may be too many as well.
            let kmeans = KMeans::builder().without_labels();
            let fit = clustering.run(kmeans, Points::Files(files.clone()))?;
            let mut staged = Vec::new();
            if labels.is_some() || distances.is_some() {
                let options = PredictOptions {
                    shared: run.pool.shared,
                    cancel: cancel.clone(),
                    ..PredictOptions::default()
                };
                let pieces = rows.stage_pieces(&files, &fit.model, &engine, &options);
                staged = pieces.map_err(|error| error.explain(&name))?.0;
            }
            #[cfg(feature = "plot")]
            staged.extend(picture.map(|picture| picture.stage_without_labels(&fit)).transpose()?);
            ending.write(&fit, staged)
        }
        points => {
            // A fit takes the points with it.
            let kept = distances.as_ref().map(|_| points.clone());
            let fit = clustering.run(KMeans::builder(), points)?;
            let staged = rows.stage(kept.as_ref(), &fit.labels, &fit.model, &engine)?.into_iter();
            #[cfg(feature = "plot")]
            let staged = staged.chain(picture.map(|picture| picture.stage(&fit)).transpose()?);
            let staged = staged.collect();
            ending.write(&fit, staged)
        }
    }
}

/// What is left to do once there is a fit.
struct Ending<'a> {
    args: &'a FitArgs,
    engine: &'a AnyEngine,
    name: &'a Path,
    outputs: &'a [Named<'a>],
    started: Instant,
    load_seconds: f64,
    cancel: &'a Cancel,
}

impl Ending<'_> {
    /// Puts all files in their places, and prints the report.
    fn write<L>(self, fit: &Fit<L>, staged: Vec<AtomicFile>) -> Result<(), CommandError> {
        let FitArgs { model, centroids, run, .. } = self.args;
        let mut files = Vec::new();
        if let Some(path) = model {
            files.push(fit.model.stage(path)?);
        }
        if let Some(path) = centroids {
            let staged = output::stage_centroids_npy(path, &fit.model.centroids);
            files.push(staged.map_err(CommandError::output("--centroids"))?);
        }
        files.extend(staged);
        interrupt::check(self.cancel)?;
        output::commit_all(files).map_err(CommandError::Write)?;

        let seconds = self.started.elapsed().as_secs_f64();
        let report = FitReport::new(fit, self.engine, self.load_seconds, seconds);
        let written: Vec<&Path> = self.outputs.iter().map(|output| output.path).collect();
        report::print(&if run.json { report::json(&report) } else { report.summary(self.name, &written) })
    }
}
