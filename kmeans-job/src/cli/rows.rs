//! What `fit` and `predict` write of each point: its label, and its distance.

use super::error::CommandError;
use kmeans_job::{
    Model,
    data::Points,
    distances,
    output::{self, AtomicFile},
};
use mapreduce_core::rayon::ThreadPoolBuilder;
use std::path::Path;

/// Points with their labels.
pub(crate) struct Rows<'a> {
    /// As they were loaded; there if distances are asked for.
    pub(crate) points: Option<Points>,
    pub(crate) labels: &'a [i32],
    pub(crate) model: &'a Model,
    /// Threads of the process; 0 for as many as there are cores.
    pub(crate) threads: usize,
}

impl Rows<'_> {
    /// Writes what is asked for, up to where the files would take their places.
    pub(crate) fn stage(
        &self,
        labels: Option<&Path>,
        distances: Option<&Path>,
    ) -> Result<Vec<AtomicFile>, CommandError> {
        let mut files = Vec::new();
        if let Some(path) = labels {
            let staged = output::stage_labels(path, self.labels);
            files.push(staged.map_err(CommandError::output("--labels"))?);
        }
        if let (Some(path), Some(points)) = (distances, &self.points) {
            let staged = output::stage_distances(path, &self.distances(points));
            files.push(staged.map_err(CommandError::output("--distances"))?);
        }
        Ok(files)
    }

    fn distances(&self, points: &Points) -> Vec<f64> {
        let find = || {
            distances(points, self.model, self.labels)
                .expect("labels and model are those that the points were given")
        };
        match ThreadPoolBuilder::new().num_threads(self.threads).build() {
            Ok(threads) => threads.install(find),
            // The system has no more threads: those that are there take longer.
            Err(_) => find(),
        }
    }
}
