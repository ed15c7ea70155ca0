//! `kmeans-job fit`: finds clusters and writes the model and the labels.

use super::{
    args::{FitArgs, Init},
    cluster::{self, Clustering},
    error::CommandError,
    interrupt,
    paths::{self, Named},
    report::{self, FitReport},
};
use kmeans_job::{
    data,
    output::{self, OutputError},
};
use mapreduce_core::Cancel;
use std::{path::Path, time::Instant};

pub(crate) fn run(args: &FitArgs, cancel: &Cancel) -> Result<(), CommandError> {
    let FitArgs { input, search, model, labels, split_size, run } = args;
    let started = Instant::now();
    let outputs: Vec<Named<'_>> = [("--model", model), ("--labels", labels)]
        .into_iter()
        .filter_map(|(name, path)| Some(Named { name, path: path.as_deref()? }))
        .collect();
    let mut inputs = vec![Named { name: "INPUT", path: input }];
    if let Init::File(path) = &search.init {
        inputs.push(Named { name: "--init", path });
    }
    cluster::check(search)?;
    paths::check(&inputs, &outputs)?;
    // What is soon read is read ahead of the wait for a pool.
    data::check(input)?;
    let start = cluster::load_start(&search.init, cancel)?;
    let engine = run.pool.engine(run.threads, cancel)?;
    let points = cluster::load_points(input, cancel)?;
    let load_seconds = started.elapsed().as_secs_f64();

    let clustering = Clustering {
        engine: &engine,
        path: input,
        search,
        start,
        split_bytes: *split_size,
        shared: run.pool.shared,
        quiet: run.quiet,
        cancel,
    };
    let fit = clustering.run(points)?;

    let mut files = Vec::new();
    if let Some(path) = model {
        files.push(fit.model.stage(path)?);
    }
    let failed = |option| move |problem: OutputError| CommandError::Output { option, problem };
    if let Some(path) = labels {
        files.push(output::stage_labels_npy(path, &fit.labels).map_err(failed("--labels"))?);
    }
    interrupt::check(cancel)?;
    output::commit_all(files).map_err(CommandError::Write)?;

    let report = FitReport::new(&fit, &engine, load_seconds, started.elapsed().as_secs_f64());
    let written: Vec<&Path> = outputs.iter().map(|output| output.path).collect();
    report::print(&if run.json { report::json(&report) } else { report.summary(input, &written) })
}
