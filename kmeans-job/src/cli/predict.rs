//! `kmeans-job predict`: labels points by a model.

use super::{
    args::PredictArgs,
    cluster::Source,
    error::CommandError,
    interrupt,
    paths::{self, Named},
    report::{self, PredictReport, PredictSeconds},
    rows::Rows,
};
use kmeans_job::{Model, PredictError, PredictOptions, output};
use mapreduce_core::Cancel;
use std::{path::Path, time::Instant};

pub(crate) fn run(args: &PredictArgs, cancel: &Cancel) -> Result<(), CommandError> {
    let PredictArgs { model: model_path, input, labels, distances, run } = args;
    let started = Instant::now();
    let source = Source::open(input)?;
    let mut inputs = vec![Named { name: "MODEL", path: model_path }];
    inputs.extend(source.named());
    let mut outputs = vec![Named { name: "--labels", path: labels }];
    outputs.extend(distances.as_deref().map(|path| Named { name: "--distances", path }));
    paths::check(&inputs, &outputs)?;
    // What is soon read is read ahead of the wait for a pool.
    let model = Model::load(model_path)?;
    let memory = run.memory.memory();
    let engine = run.pool.engine_with(run.threads, memory.clone(), cancel)?;
    let name = source.name();
    let points = source.load(&memory, run.quiet, cancel)?;
    // A prediction takes the points with it.
    let kept = distances.as_ref().map(|_| points.clone());
    let load = started.elapsed().as_secs_f64();

    let predicting = Instant::now();
    let options =
        PredictOptions { shared: run.pool.shared, cancel: cancel.clone(), ..PredictOptions::default() };
    let prediction = model.predict_on(&engine, points, &options).map_err(|error| match error {
        PredictError::Job(error) => error.into(),
        PredictError::Columns { expected, found } => {
            CommandError::Columns { path: name.clone(), found, model: model_path.clone(), expected }
        }
        PredictError::Data(problem) => CommandError::Data { path: name.clone(), problem },
        error => CommandError::Other { path: name.clone(), problem: error.into() },
    })?;
    let predict = predicting.elapsed().as_secs_f64();

    let rows = Rows { points: kept, labels: &prediction.labels, model: &model, threads: run.threads };
    let files = rows.stage(Some(labels), distances.as_deref())?;
    interrupt::check(cancel)?;
    output::commit_all(files).map_err(CommandError::Write)?;

    let seconds = PredictSeconds { load, predict, total: started.elapsed().as_secs_f64() };
    let report = PredictReport::new(&prediction, model.k(), model.d(), &engine, seconds);
    let written: Vec<&Path> = outputs.iter().map(|output| output.path).collect();
    report::print(&if run.json { report::json(&report) } else { report.summary(&name, &written) })
}
