//! [`PlotError`]: why there is no picture.

use crate::output::OutputError;
use std::path::PathBuf;

/// Why a fit cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// The extension names no format that is written here.
    #[error("{path}: pictures are written as SVG or PNG; give a path that ends in .svg or .png")]
    Extension {
        /// The file.
        path: PathBuf,
    },
    /// A point that cannot be drawn.
    #[error("row {row}, column {column} is no finite number; draw the points of the fit")]
    NotFinite {
        /// The row, counted from 1.
        row: usize,
        /// The column, counted from 1.
        column: usize,
    },
    /// The sample is of another number of points than the fit has labels for.
    #[error(
        "a sample of {rows} points is not of the {labels} that were clustered; take it of the points of the fit"
    )]
    Rows {
        /// Points that the sample was taken of.
        rows: usize,
        /// Labels of the fit.
        labels: usize,
    },
    /// The points of the sample or a centroid have another number of columns than the model.
    #[error("{found} columns do not go with the {d} of the model; take a sample of the points of the fit")]
    Columns {
        /// Columns of the model.
        d: usize,
        /// Columns of the sample or the centroid.
        found: usize,
    },
    /// A label without a centroid.
    #[error("label {label} has no centroid among {k}; draw a fit as it was made")]
    Label {
        /// The label.
        label: i32,
        /// The centroids.
        k: usize,
    },
    /// Another number of colours than clusters.
    #[error("{k} clusters do not have {colours} colours; give one a cluster")]
    Colours {
        /// The clusters.
        k: usize,
        /// The colours.
        colours: usize,
    },
    /// The picture cannot be drawn or encoded.
    #[error("cannot draw the picture: {problem}; write the other one of .svg and .png")]
    Draw {
        /// What the library that draws says.
        problem: String,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
}
