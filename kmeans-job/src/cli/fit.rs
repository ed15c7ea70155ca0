//! `kmeans-job fit`: finds clusters and writes the model and the labels.

#[cfg(feature = "plot")]
use super::picture::Picture;
use super::{
    args::{FitArgs, Init},
    cluster::{self, Clustering, Source},
    error::CommandError,
    interrupt,
    paths::{self, Named},
    report::{self, FitReport},
    rows::Rows,
};
use kmeans_job::output;
use mapreduce_core::Cancel;
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
    let memory = run.memory.memory();
    let engine = run.pool.engine_with(run.threads, memory.clone(), cancel)?;
    let name = source.name();
    let points = source.load(&memory, run.quiet, cancel)?;
    // A fit takes the points with it.
    let kept = distances.as_ref().map(|_| points.clone());
    #[cfg(feature = "plot")]
    let picture = plot.as_ref().map(|path| Picture::of(path, &source, &points, search.seed)).transpose()?;
    let load_seconds = started.elapsed().as_secs_f64();

    let clustering = Clustering {
        engine: &engine,
        path: &name,
        search,
        start,
        distance: (*distance).into(),
        weights,
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
    if let Some(path) = centroids {
        let staged = output::stage_centroids_npy(path, &fit.model.centroids);
        files.push(staged.map_err(CommandError::output("--centroids"))?);
    }
    let rows = Rows { points: kept, labels: &fit.labels, model: &fit.model, threads: run.threads };
    files.extend(rows.stage(labels.as_deref(), distances.as_deref())?);
    #[cfg(feature = "plot")]
    if let Some(picture) = &picture {
        files.push(picture.stage(&fit)?);
    }
    interrupt::check(cancel)?;
    output::commit_all(files).map_err(CommandError::Write)?;

    let report = FitReport::new(&fit, &engine, load_seconds, started.elapsed().as_secs_f64());
    let written: Vec<&Path> = outputs.iter().map(|output| output.path).collect();
    report::print(&if run.json { report::json(&report) } else { report.summary(&name, &written) })
}
