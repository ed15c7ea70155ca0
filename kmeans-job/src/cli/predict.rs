//! `kmeans-job predict`: labels points by a model.

use super::{
    args::PredictArgs,
    cluster,
    error::CommandError,
    interrupt,
    paths::{self, Named},
    report::{self, PredictReport, PredictSeconds},
};
use kmeans_job::{Model, PredictError, PredictOptions, data, output};
use mapreduce_core::Cancel;
use std::time::Instant;

pub(crate) fn run(args: &PredictArgs, cancel: &Cancel) -> Result<(), CommandError> {
    let PredictArgs { model: model_path, input, labels, run } = args;
    let started = Instant::now();
    let inputs = [Named { name: "MODEL", path: model_path }, Named { name: "INPUT", path: input }];
    paths::check(&inputs, &[Named { name: "--labels", path: labels }])?;
    // What is soon read is read ahead of the wait for a pool.
    let model = Model::load(model_path)?;
    data::check(input)?;
    let engine = run.pool.engine(run.threads, cancel)?;
    let points = cluster::load_points(input, cancel)?;
    let load = started.elapsed().as_secs_f64();

    let predicting = Instant::now();
    let options =
        PredictOptions { shared: run.pool.shared, cancel: cancel.clone(), ..PredictOptions::default() };
    let prediction = model.predict_on(&engine, points, &options).map_err(|error| match error {
        PredictError::Job(error) => error.into(),
        PredictError::Columns { expected, found } => {
            CommandError::Columns { path: input.clone(), found, model: model_path.clone(), expected }
        }
        PredictError::Data(problem) => CommandError::Data { path: input.clone(), problem },
        error => CommandError::Other { path: input.clone(), problem: error.into() },
    })?;
    let predict = predicting.elapsed().as_secs_f64();

    let failed = |problem| CommandError::Output { option: "--labels", problem };
    let file = output::stage_labels_npy(labels, &prediction.labels).map_err(failed)?;
    interrupt::check(cancel)?;
    file.commit().map_err(failed)?;

    let seconds = PredictSeconds { load, predict, total: started.elapsed().as_secs_f64() };
    let report = PredictReport::new(&prediction, model.k(), model.d(), &engine, seconds);
    report::print(&if run.json { report::json(&report) } else { report.summary(input, labels) })
}
