//! The picture that `fit --plot` draws.

use super::{cluster::Source, error::CommandError, quantize};
use kmeans_job::{
    Fit,
    data::Points,
    output::AtomicFile,
    plot::{Plot, PlotError, Sample},
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
        self.draw(fit, Plot::new(fit, &self.sample)).map_err(CommandError::Plot)
    }

    /// The same of a fit without labels.
    pub(crate) fn stage_without_labels(&self, fit: &Fit<()>) -> Result<AtomicFile, CommandError> {
        self.draw(fit, Plot::without_labels(fit, &self.sample)).map_err(CommandError::Plot)
    }

    fn draw<L>(&self, fit: &Fit<L>, plot: Result<Plot<'_>, PlotError>) -> Result<AtomicFile, PlotError> {
        let mut plot = plot?.title(&self.title);
        if self.is_image {
            plot = plot.colours(&quantize::colours(fit))?;
        }
        plot.stage(self.path)
    }
}
