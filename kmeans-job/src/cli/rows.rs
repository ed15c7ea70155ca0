//! What `fit` and `predict` write of each point: its label, and its distance.

use super::error::CommandError;
use kmeans_job::{
    Model, PiecesTotal, PredictError, PredictOptions,
    data::{PointFiles, Points},
    distances,
    output::{self, AtomicFile, ColumnFile, OutputError},
};
use mapreduce_core::Engine;
use mapreduce_net::cli::AnyEngine;
use std::path::Path;

/// Where to write what of each point.
#[derive(Clone, Copy)]
pub(crate) struct Outputs<'a> {
    pub(crate) labels: Option<&'a Path>,
    pub(crate) distances: Option<&'a Path>,
}

impl Outputs<'_> {
    /// Writes what is asked for of points in memory, up to where the files would take their places. The points are there
    /// if distances are asked for.
    pub(crate) fn stage(
        &self,
        points: Option<&Points>,
        labels: &[i32],
        model: &Model,
        engine: &AnyEngine,
    ) -> Result<Vec<AtomicFile>, CommandError> {
        let mut files = Vec::new();
        if let Some(path) = self.labels {
            files.push(output::stage_labels(path, labels).map_err(of_labels)?);
        }
        if let (Some(path), Some(points)) = (self.distances, points) {
            let found = engine
                .install(|| distances(points, model, labels))
                .expect("labels and model are those that the points were given");
            files.push(output::stage_distances(path, &found).map_err(of_distances)?);
        }
        Ok(files)
    }

    /// The same of points that stay in their files, which are read for it: a piece is written ahead of the next.
    pub(crate) fn stage_pieces(
        &self,
        files: &PointFiles,
        model: &Model,
        engine: &AnyEngine,
        options: &PredictOptions,
    ) -> Result<(Vec<AtomicFile>, PiecesTotal), PiecesError> {
        let rows = files.rows() as u64;
        let mut labels =
            self.labels.map(|path| ColumnFile::create(path, rows)).transpose().map_err(of_labels)?;
        let mut distances =
            self.distances.map(|path| ColumnFile::create(path, rows)).transpose().map_err(of_distances)?;
        let total = model.predict_pieces_on(engine, files, options, |piece| {
            if let Some(file) = &mut labels {
                file.write(piece.labels).map_err(of_labels)?;
            }
            if let Some(file) = &mut distances {
                let found = engine.install(|| piece.distances());
                let found = found.map_err(|problem| CommandError::Points { problem })?;
                file.write(&found).map_err(of_distances)?;
            }
            Ok::<(), PiecesError>(())
        })?;
        let mut staged = Vec::new();
        if let Some(file) = labels {
            staged.push(file.finish().map_err(of_labels)?);
        }
        if let Some(file) = distances {
            staged.push(file.finish().map_err(of_distances)?);
        }
        Ok((staged, total))
    }
}

/// Why pieces were not written.
pub(crate) enum PiecesError {
    Predict(PredictError),
    Command(Box<CommandError>),
}

impl From<PredictError> for PiecesError {
    fn from(error: PredictError) -> Self {
        Self::Predict(error)
    }
}

impl From<CommandError> for PiecesError {
    fn from(error: CommandError) -> Self {
        Self::Command(Box::new(error))
    }
}

impl PiecesError {
    /// The error in the terms of the command line. `path` is what the points were read from.
    pub(crate) fn explain(self, path: &Path) -> CommandError {
        match self {
            Self::Command(error) => *error,
            Self::Predict(PredictError::Job(error)) => error.into(),
            Self::Predict(PredictError::Data(problem)) => {
                CommandError::Data { path: path.to_owned(), problem }
            }
            Self::Predict(error) => CommandError::Other { path: path.to_owned(), problem: error.into() },
        }
    }
}

fn of_labels(problem: OutputError) -> CommandError {
    CommandError::Output { option: "--labels", problem }
}

fn of_distances(problem: OutputError) -> CommandError {
    CommandError::Output { option: "--distances", problem }
}
