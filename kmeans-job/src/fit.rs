//! [`fit`]: finds clusters.

use crate::{
    centred::{self, Centred},
    data::{Matrix, Points},
    error::FitError,
    iterations::{Fitted, Iterations},
    labelling::label,
    model::Model,
    numeric::scalar::Scalar,
    session::Session,
    start::{self, Start},
};
use mapreduce_core::{Cancel, Engine, Report};
use std::time::Instant;

/// What to look for, and how.
///
/// ```
/// use kmeans_job::FitOptions;
///
/// let options = FitOptions { k: 16, ..FitOptions::default() };
/// assert_eq!((options.max_iter, options.tol, options.seed), (300, 1e-4, 0));
/// ```
#[derive(Clone, Debug)]
pub struct FitOptions {
    /// The number of clusters; default 8.
    pub k: usize,
    /// How the start centroids are chosen; default k-means||.
    pub start: Start,
    /// Iterations at the most; default 300.
    pub max_iter: u32,
    /// Iterations end when the sum of the squared shifts of the centroids is at most this times the mean variance of
    /// the columns, as in scikit-learn; default 1e-4. They also end when no row changes its cluster.
    pub tol: f64,
    /// Seed of the random numbers; default 0.
    pub seed: u64,
    /// Bytes of rows in a task; by default a size that suits the data. No result depends on it.
    pub split_bytes: Option<u64>,
    /// Lets the peers of a pool read the points themselves, from the `.npy` file they were loaded from; by default they
    /// are sent. Every peer has to find the same file under the same absolute path, which is verified. No result depends
    /// on it, and in one process it has no effect.
    pub shared: bool,
    /// Stops the fit from outside.
    pub cancel: Cancel,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            k: 8,
            start: Start::default(),
            max_iter: 300,
            tol: 1e-4,
            seed: 0,
            split_bytes: None,
            shared: false,
            cancel: Cancel::new(),
        }
    }
}

/// One iteration, as it ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Iteration {
    /// Its number, counted from 1.
    pub number: u32,
    /// The sum of the squared distances of all rows to the nearest of the centroids it began with.
    pub cost: f64,
    /// Rows that changed their cluster; all of them in the first iteration.
    pub moved: u64,
    /// The sum of the squared distances that the centroids moved.
    pub shift: f64,
}

/// The result of a fit.
#[derive(Clone, Debug)]
pub struct Fit {
    /// The clusters.
    pub model: Model,
    /// The cluster of each row.
    pub labels: Vec<i32>,
    /// How the jobs went.
    pub report: Report,
    /// Seconds until the start centroids were known: statistics, centring and their choice.
    pub init_seconds: f64,
    /// Seconds from then on: iterations, labels and inertia.
    pub fit_seconds: f64,
}

/// Finds `options.k` clusters in `points` by Lloyd's algorithm and labels every row.
///
/// Each row goes to its nearest centroid; of equally near ones to that with the lowest index. A cluster that becomes
/// empty moves to the row farthest from its centroid. The same points and options give the same bits, on any engine, any
/// number of threads or peers, and for any split size; `f32` points are computed in `f32`, `f64` points in `f64`.
///
/// The peers of a pool must have the jobs in their registry: see [`register`](crate::register).
///
/// `observe` is called after every iteration, on the calling thread.
///
/// ```
/// use kmeans_job::{FitOptions, data::{Matrix, Points}, fit};
/// use mapreduce_core::Local;
///
/// let points = Points::F64(Matrix::new(4, 1, vec![0.0, 1.0, 10.0, 11.0])?);
/// let options = FitOptions { k: 2, ..FitOptions::default() };
/// let fit = fit(&Local::new(2)?, points, &options, &|_| {})?;
/// assert_eq!(fit.model.inertia, 1.0);
/// assert_eq!(fit.labels[0], fit.labels[1]);
/// assert_ne!(fit.labels[1], fit.labels[2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the options do not fit the data (among them more clusters than distinct points), the data cannot be computed
/// with (NaN, infinities, squared distances that overflow or vanish), the points are to be [shared](FitOptions::shared)
/// and cannot, a job fails, or the fit is cancelled.
pub fn fit(
    engine: &impl Engine,
    points: Points,
    options: &FitOptions,
    observe: &(dyn Fn(&Iteration) + Sync),
) -> Result<Fit, FitError> {
    match points {
        Points::F32(matrix) => fit_as(engine, matrix, options, observe),
        Points::F64(matrix) => fit_as(engine, matrix, options, observe),
    }
}

fn fit_as<T: Scalar>(
    engine: &impl Engine,
    matrix: Matrix<T>,
    options: &FitOptions,
    observe: &(dyn Fn(&Iteration) + Sync),
) -> Result<Fit, FitError> {
    let &FitOptions { k, max_iter, tol, seed, .. } = options;
    check(options, matrix.rows())?;
    let started = Instant::now();
    let mut session = Session::new(engine, &options.cancel, options.split_bytes);
    if options.shared {
        session.share(&matrix)?;
    }
    let (centred, columns) = Centred::new(matrix, &mut session)?;
    let data = centred.dataset(&session)?;
    let spread = centred.spread(&columns, &data, &mut session)?;
    let start = start::choose(&options.start, k, seed, &centred, &data, &mut session)?;
    let init_seconds = started.elapsed().as_secs_f64();

    let started = Instant::now();
    let iterations = Iterations {
        centred: &centred,
        grid: &columns.grid,
        squares: &spread.squares,
        k,
        max_iter,
        shift_max: tol * spread.mean_variance,
        start,
        observe,
    };
    let Fitted { centroids, converged, costs } = session.iterate(&iterations, &data)?.output;
    let labelled = label(&centroids, &centred, &data, &mut session)?;
    let restored = centred.restore(&centroids);
    let model = Model {
        version: Model::VERSION.to_string(),
        dtype: centred::dtype::<T>(),
        n: centred.rows() as u64,
        seed,
        iterations: costs.len() as u64,
        converged,
        inertia: labelled.inertia,
        shift: centred.shift.clone(),
        centroids: restored.chunks_exact(centred.d()).map(<[f64]>::to_vec).collect(),
        counts: labelled.counts,
        cost_per_iteration: costs,
    };
    let fit_seconds = started.elapsed().as_secs_f64();
    Ok(Fit { model, labels: labelled.labels, report: session.report, init_seconds, fit_seconds })
}

fn check(options: &FitOptions, rows: usize) -> Result<(), FitError> {
    let &FitOptions { k, max_iter, tol, .. } = options;
    if k == 0 || k > rows {
        return Err(FitError::K { k, rows });
    }
    if max_iter == 0 {
        return Err(FitError::MaxIter);
    }
    if tol.is_nan() || tol < 0.0 {
        return Err(FitError::Tol { tol });
    }
    Ok(())
}

impl From<centred::Failed> for FitError {
    fn from(failed: centred::Failed) -> Self {
        match failed {
            centred::Failed::Data(error) => Self::Data(error),
            centred::Failed::Job(error) => Self::Job(error),
        }
    }
}
