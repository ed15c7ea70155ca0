//! [`predict`]: labels rows by a model.

use crate::{
    centred::{self, Centred},
    data::{Matrix, Points},
    error::{DataError, PredictError},
    labelling::label,
    model::{Model, Problem},
    numeric::scalar::Scalar,
    session::Session,
};
use mapreduce_core::{Cancel, Engine, Report};

/// How to label.
///
/// ```
/// let options = kmeans_job::PredictOptions::default();
/// assert!(options.split_bytes.is_none() && !options.shared);
/// ```
#[derive(Clone, Debug, Default)]
pub struct PredictOptions {
    /// Bytes of rows in a task; by default a size that suits the data. No result depends on it.
    pub split_bytes: Option<u64>,
    /// Lets the peers of a pool read the rows themselves, as [`FitOptions::shared`](crate::FitOptions::shared) does.
    pub shared: bool,
    /// Stops the prediction from outside.
    pub cancel: Cancel,
}

/// The result of a prediction.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// The cluster of each row.
    pub labels: Vec<i32>,
    /// The sum of the squared distances of the rows to the centroids of their clusters.
    pub inertia: f64,
    /// How the job went.
    pub report: Report,
}

/// Labels each row with its nearest centroid; of equally near ones with the lowest index.
///
/// The rows that a model was fitted to get the labels that the fit gave them.
///
/// ```
/// use kmeans_job::{FitOptions, PredictOptions, data::{Matrix, Points}, fit, predict};
/// use mapreduce_core::Local;
///
/// let engine = Local::new(2)?;
/// let points = || Matrix::new(4, 1, vec![0.0, 1.0, 10.0, 11.0]).map(Points::F64);
/// let fit = fit(&engine, points()?, &FitOptions { k: 2, ..FitOptions::default() }, &|_| {})?;
/// let prediction = predict(&engine, &fit.model, points()?, &PredictOptions::default())?;
/// assert_eq!(prediction.labels, fit.labels);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the model contradicts itself, the data has another number of columns than the model, cannot be computed with, or
/// is to be [shared](PredictOptions::shared) and cannot, a job fails, or the prediction is cancelled.
pub fn predict(
    engine: &impl Engine,
    model: &Model,
    points: Points,
    options: &PredictOptions,
) -> Result<Prediction, PredictError> {
    match points {
        Points::F32(matrix) => predict_as(engine, model, matrix, options),
        Points::F64(matrix) => predict_as(engine, model, matrix, options),
    }
}

fn predict_as<T: Scalar>(
    engine: &impl Engine,
    model: &Model,
    matrix: Matrix<T>,
    options: &PredictOptions,
) -> Result<Prediction, PredictError> {
    model.check_centroids().map_err(|Problem { field, problem }| PredictError::Model { field, problem })?;
    if matrix.d() != model.d() {
        return Err(PredictError::Columns { expected: model.d(), found: matrix.d() });
    }
    let mut session = Session::new(engine, &options.cancel, options.split_bytes);
    if options.shared {
        session.share(&matrix)?;
    }
    let centred = Centred::like(matrix, &model.shift)?;
    let data = centred.dataset(&session)?;
    centred.check(&data, &mut session)?;
    let centroids = centred.centre(&model.centroids.concat());
    if let Some(i) = centred.out_of_reach(&centroids) {
        let (column, magnitude, dtype) = (i % centred.d(), centroids[i].abs(), centred::dtype::<T>());
        return Err(PredictError::Data(DataError::TooLarge { column, magnitude, dtype }));
    }
    let labelled = label(&centroids, &centred, &data, &mut session)?;
    Ok(Prediction { labels: labelled.labels, inertia: labelled.inertia, report: session.report })
}

impl From<centred::Failed> for PredictError {
    fn from(failed: centred::Failed) -> Self {
        match failed {
            centred::Failed::Data(error) => Self::Data(error),
            centred::Failed::Job(error) => Self::Job(error),
        }
    }
}
