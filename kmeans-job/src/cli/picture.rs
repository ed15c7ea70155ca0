//! The picture that `fit --plot` draws.

use super::{cluster::Source, error::CommandError, quantize};
use kmeans_job::{
    Fit,
    data::Points,
    output::AtomicFile,
    plot::{Plot, Sample},
};
use std::path::Path;

/// A picture of a fit that is yet to come. A fit takes the points with it: these are the ones to draw.
pub(crate) struct Picture<'a> {
    path: &'a Path,
    title: String,
    sample: Sample,
    /// Whether the clusters are colours.
    is_image: bool,
}

impl<'a> Picture<'a> {
    pub(crate) fn of(
        path: &'a Path,
        source: &Source<'_>,
        points: &Points,
        seed: u64,
    ) -> Result<Self, CommandError> {
        let sample = Sample::new(points, seed).map_err(CommandError::Plot)?;
        let title = source.name().file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { path, title, sample, is_image: source.is_image() })
    }

    /// Writes the picture, up to where it would take its place.
    pub(crate) fn stage(&self, fit: &Fit) -> Result<AtomicFile, CommandError> {
        self.draw(fit).map_err(CommandError::Plot)
    }

    fn draw(&self, fit: &Fit) -> Result<AtomicFile, kmeans_job::plot::PlotError> {
        let mut plot = Plot::new(fit, &self.sample)?.title(&self.title);
        if self.is_image {
            plot = plot.colours(&quantize::colours(fit))?;
        }
        plot.stage(self.path)
    }
}
