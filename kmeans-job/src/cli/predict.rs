//! `kmeans-job predict`: labels points by a model.

use super::{
    args::PredictArgs,
    cluster::Source,
    error::CommandError,
    interrupt,
    memory::Held,
    paths::{self, Named},
    report::{self, PredictReport, PredictSeconds},
    rows::{Outputs, PiecesError},
};
use kmeans_job::{Model, PiecesTotal, PredictError, PredictOptions, Prediction, data::Points, output};
use mapreduce_core::Cancel;
use std::{path::Path, time::Instant};

pub(crate) fn run(args: &PredictArgs, cancel: &Cancel) -> Result<(), CommandError> {
    let PredictArgs { model: model_path, input, labels, distances, run } = args;
    let started = Instant::now();
    let memory = run.memory.memory()?;
    let source = Source::open(input)?;
    let mut inputs = vec![Named { name: "MODEL", path: model_path }];
    inputs.extend(source.named());
    let mut outputs = vec![Named { name: "--labels", path: labels }];
    outputs.extend(distances.as_deref().map(|path| Named { name: "--distances", path }));
    paths::check(&inputs, &outputs)?;
    // What is soon read is read ahead of the wait for a pool.
    let model = Model::load(model_path)?;
    let engine = run.pool.engine_with(run.threads, memory.clone(), cancel)?;
    let name = source.name();
    let held = Held::with_distances(distances.is_some());
    let points = source.load(&memory, held, run.quiet, cancel)?;
    let load = started.elapsed().as_secs_f64();

    let predicting = Instant::now();
    let options =
        PredictOptions { shared: run.pool.shared, cancel: cancel.clone(), ..PredictOptions::default() };
    let rows = Outputs { labels: Some(labels), distances: distances.as_deref() };
    let explain = |error: PiecesError| match error {
        PiecesError::Predict(PredictError::Columns { expected, found }) => {
            CommandError::Columns { path: name.clone(), found, model: model_path.clone(), expected }
        }
        error => error.explain(&name),
    };
    let (files, predicted) = match points {
        Points::Files(files) => rows.stage_pieces(&files, &model, &engine, &options).map_err(explain)?,
        points => {
            // A prediction takes the points with it.
            let kept = distances.as_ref().map(|_| points.clone());
            let prediction = model.predict_on(&engine, points, &options);
            let Prediction { labels, inertia, report } = prediction.map_err(|error| explain(error.into()))?;
            let mut counts = vec![0; model.k()];
            labels.iter().for_each(|&label| counts[label as usize] += 1);
            (rows.stage(kept.as_ref(), &labels, &model, &engine)?, PiecesTotal { counts, inertia, report })
        }
    };
    let predict = predicting.elapsed().as_secs_f64();
    interrupt::check(cancel)?;
    output::commit_all(files).map_err(CommandError::Write)?;

    let seconds = PredictSeconds { load, predict, total: started.elapsed().as_secs_f64() };
    let report = PredictReport::new(&predicted, model.d(), &engine, seconds);
    let written: Vec<&Path> = outputs.iter().map(|output| output.path).collect();
    report::print(&if run.json { report::json(&report) } else { report.summary(&name, &written) })
}
