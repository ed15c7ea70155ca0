//! [`OptionsError`], [`FitError`] and [`PredictError`]: why options do not go together, clusters could not be found, or
//! a model not be applied.

use crate::{
    data::{Dtype, ShapeError, ShareError},
    weighing::WeightsError,
};
use std::{io, path::PathBuf};

/// Why options do not go together.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// No clusters.
    #[error("k is 0; ask for 1 cluster or more")]
    NoClusters,
    /// A range of `k` that begins after its end.
    #[error("the range {from}..{to} of k is upside down; give {to}..{from}")]
    UpsideDown {
        /// Its first number.
        from: usize,
        /// Its last number.
        to: usize,
    },
    /// A range of `k` with start centroids that are right for one number only.
    #[error(
        "k is to be chosen from {from}..{to}, but given start centroids are for one k; give that k, or let the start be chosen as well"
    )]
    RangeOfGiven {
        /// The first number of the range.
        from: usize,
        /// The last number of the range.
        to: usize,
    },
    /// Start centroids for an algorithm that splits.
    #[error(
        "start centroids are given, but bisecting begins with one cluster; let the start be chosen, or use lloyd"
    )]
    SplitOfGiven,
    /// Mini-batches of no rows.
    #[error("mini-batches are of 0 rows; let a batch have at least 1")]
    EmptyBatch,
    /// No runs.
    #[error("n-init is 0; allow at least 1 run")]
    NoRuns,
    /// Several runs from the same start centroids.
    #[error("n-init is {n_init}, but runs from given start centroids are all the same; leave it at 1")]
    RunsOfGiven {
        /// The number of runs.
        n_init: u32,
    },
    /// The iterations end before the first.
    #[error("max-iter is 0; allow at least 1 iteration")]
    MaxIter,
    /// The tolerance is negative or not a number.
    #[error("tol is {tol}; it must be 0 or more")]
    Tol {
        /// The tolerance.
        tol: f64,
    },
}

/// Why clusters could not be found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// There are more clusters to find than rows.
    #[error("k is {k}, but the data has {rows} rows; ask for 1 to {rows} clusters")]
    K {
        /// The number of clusters that was asked for.
        k: usize,
        /// The number of rows.
        rows: usize,
    },
    /// There are fewer distinct points than clusters.
    #[error(
        "k is {k}, but the data has only {distinct} distinct points; ask for at most {distinct} clusters"
    )]
    TooFewDistinct {
        /// The number of clusters that was asked for.
        k: usize,
        /// The number of distinct rows.
        distinct: usize,
    },
    /// The given start centroids do not fit.
    #[error(
        "the start centroids are {found_k} x {found_d}, but {k} x {d} are needed: one row for each cluster, one column for each of the data's"
    )]
    Start {
        /// Rows that are needed.
        k: usize,
        /// Columns that are needed.
        d: usize,
        /// Rows that were given.
        found_k: usize,
        /// Columns that were given.
        found_d: usize,
    },
    /// A given start centroid cannot be computed with.
    #[error(
        "row {row}, column {column} (counted from 0) of the start centroids is {value:e}, not finite or too far from the data; give points among the data"
    )]
    StartValue {
        /// The row, counted from 0.
        row: usize,
        /// The column, counted from 0.
        column: usize,
        /// The value.
        value: f64,
    },
    /// A given start centroid is all zeros, of which the cosine to any row is not defined.
    #[error(
        "row {row} (counted from 0) of the start centroids is all zeros, which have no cosine distance; give another point"
    )]
    StartDirection {
        /// The row, counted from 0.
        row: usize,
    },
    /// Copies of points need more memory than they may have, and cannot be written to a temporary file: the folder is not
    /// there or full, or may not be written to.
    #[error(
        "{folder}: copies of the points do not fit into {bytes_max} bytes of memory, and cannot be kept in a temporary file there: {problem}; make room there, name another folder, or allow more memory (`KMeansBuilder::overflow`)"
    )]
    Overflow {
        /// The folder that [`overflow`](crate::KMeansBuilder::overflow) was given.
        folder: PathBuf,
        /// The limit that it was given.
        bytes_max: u64,
        /// What the operating system says.
        problem: io::Error,
    },
    /// The weights cannot be used.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The points have no rows, no columns, or an incomplete row.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// Peers were to read the points themselves and cannot.
    #[error(transparent)]
    NotShareable(#[from] ShareError),
    /// The data cannot be computed with.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A job failed or was cancelled.
    #[error(transparent)]
    Job(#[from] mapreduce_core::Error),
}

/// Why a model could not be applied to rows: to label them, or to find their distances.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PredictError {
    /// The model contradicts itself; none that was fitted or loaded does.
    #[error(
        "the field `{field}` of the model is wrong: {problem}; take the model from a fit or a model file"
    )]
    Model {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The model is for other data.
    #[error(
        "the data has {found} columns, but the model was made from data with {expected}; give it data of the same kind"
    )]
    Columns {
        /// Columns of the model.
        expected: usize,
        /// Columns of the data.
        found: usize,
    },
    /// The rows are none, have no columns, or one is incomplete.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// Peers were to read the rows themselves and cannot.
    #[error(transparent)]
    NotShareable(#[from] ShareError),
    /// The data cannot be computed with.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A job failed or was cancelled.
    #[error(transparent)]
    Job(#[from] mapreduce_core::Error),
}

/// Why data cannot be computed with.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A value is NaN or infinite.
    #[error("row {row}, column {column} (counted from 0) is NaN or infinite; remove or replace it")]
    NotFinite {
        /// The row, counted from 0.
        row: u64,
        /// The column, counted from 0.
        column: u64,
    },
    /// A row of zeros, of which the cosine to any other is not defined.
    #[error(
        "row {row} (counted from 0) is all zeros, which have no cosine distance; remove it, or use the euclidean distance"
    )]
    NoDirection {
        /// The row, counted from 0.
        row: u64,
    },
    /// Squared distances would overflow.
    #[error("column {column} spans values up to {magnitude:e}, whose squared distances overflow {dtype}; scale it down{}", hint(*dtype))]
    TooLarge {
        /// The column, counted from 0.
        column: usize,
        /// The largest distance of a value from the middle of its column.
        magnitude: f64,
        /// What is computed in.
        dtype: Dtype,
    },
    /// Squared distances would vanish.
    #[error("no value is farther than {magnitude:e} from the middle of its column, and the squares of such distances vanish in {dtype}; scale the data up{}", hint(*dtype))]
    TooSmall {
        /// The largest distance of a value from the middle of its column.
        magnitude: f64,
        /// What is computed in.
        dtype: Dtype,
    },
}

fn hint(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => ", or give it as f64",
        Dtype::F64 => "",
    }
}
