//! What a model says of rows: their labels and their distances.

use crate::{
    centred::{self, Centred},
    data::Matrix,
    error::{DataError, PredictError},
    jobs::distances::Distances,
    labelling::label,
    model::{Model, Problem},
    numeric::scalar::Scalar,
    points::IntoPoints,
    session::Session,
    source::{AnySource, Source},
};
use mapreduce_core::{Cancel, Engine, Local, Report};

/// How to apply a model to rows.
///
/// ```
/// let options = kmeans_job::PredictOptions::default();
/// assert!(options.split_bytes.is_none() && !options.shared);
/// ```
#[derive(Clone, Debug, Default)]
pub struct PredictOptions {
    /// Bytes of rows in a task; by default a size that suits the data. No result depends on it.
    pub split_bytes: Option<u64>,
    /// Lets the peers of a pool read the rows themselves, as [`KMeansBuilder::shared`](crate::KMeansBuilder::shared)
    /// does.
    pub shared: bool,
    /// Stops the work from outside.
    pub cancel: Cancel,
}

/// The result of a prediction.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// The cluster of each row.
    pub labels: Vec<i32>,
    /// The sum of the squared distances of the rows to the centroids of their clusters; for the
    /// [cosine](crate::Distance::Cosine) of the distances.
    pub inertia: f64,
    /// How the job went.
    pub report: Report,
}

impl Model {
    /// Labels each row with its nearest centroid, of equally near ones with the lowest index, on all cores of this
    /// machine.
    ///
    /// The rows that a model was fitted to get the labels that the fit gave them.
    ///
    /// ```
    /// use kmeans_job::KMeans;
    ///
    /// let points = [[0.0], [1.0], [10.0], [11.0]];
    /// let fit = KMeans::builder().k(2).build()?.fit(&points)?;
    /// assert_eq!(fit.model.predict(&points)?.labels, fit.labels);
    /// let new = fit.model.predict(&[[-3.0], [8.0]])?;
    /// assert_eq!(new.labels, [fit.labels[0], fit.labels[3]]);
    /// assert_eq!(new.inertia, 3.5 * 3.5 + 2.5 * 2.5); // scikit-learn's score, negated
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the model contradicts itself, the data has another number of columns than the model, cannot be computed
    /// with, or is to be [shared](PredictOptions::shared) and cannot, a job fails, or the prediction is cancelled.
    pub fn predict(&self, points: impl IntoPoints) -> Result<Prediction, PredictError> {
        self.predict_on(&Local::new(0)?, points, &PredictOptions::default())
    }

    /// As [`predict`](Self::predict), on an engine and with options.
    ///
    /// # Errors
    /// Those of `predict`.
    pub fn predict_on(
        &self,
        engine: &impl Engine,
        points: impl IntoPoints,
        options: &PredictOptions,
    ) -> Result<Prediction, PredictError> {
        match engine.install(|| points.into_points())?.into() {
            AnySource::F32(source) => predict_as(engine, self, source, options),
            AnySource::F64(source) => predict_as(engine, self, source, options),
        }
    }

    /// The distance of each row to each centroid, as the model [measures](Model::distance) it, on all cores of this
    /// machine: a matrix of `n` rows and `k` columns. They are computed by direct differences, in `f64`.
    ///
    /// ```
    /// use kmeans_job::{KMeans, Start, data::Matrix};
    ///
    /// let start = Start::Given(Matrix::new(2, 1, vec![0.0, 9.0])?);
    /// let fit = KMeans::builder().k(2).start(start).build()?.fit(&[[0.0], [1.0], [10.0], [11.0]])?;
    /// let distances = fit.model.transform(&[[0.5], [4.5]])?;
    /// assert_eq!(distances.values(), [0.0, 10.0, 4.0, 6.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`predict`](Self::predict).
    pub fn transform(&self, points: impl IntoPoints) -> Result<Matrix<f64>, PredictError> {
        self.transform_on(&Local::new(0)?, points, &PredictOptions::default())
    }

    /// As [`transform`](Self::transform), on an engine and with options.
    ///
    /// # Errors
    /// Those of `predict`.
    pub fn transform_on(
        &self,
        engine: &impl Engine,
        points: impl IntoPoints,
        options: &PredictOptions,
    ) -> Result<Matrix<f64>, PredictError> {
        match engine.install(|| points.into_points())?.into() {
            AnySource::F32(source) => transform_as(engine, self, source, options),
            AnySource::F64(source) => transform_as(engine, self, source, options),
        }
    }
}

fn predict_as<T: Scalar>(
    engine: &impl Engine,
    model: &Model,
    source: Source<T>,
    options: &PredictOptions,
) -> Result<Prediction, PredictError> {
    let mut session = Session::new(engine, &options.cancel, options.split_bytes);
    let (centred, centroids) = prepare(model, source, options, &mut session)?;
    let data = centred.dataset(&session)?;
    centred.check(&data, &mut session)?;
    let labelled = label(&centroids, &centred, &data, &mut session)?;
    Ok(Prediction { labels: labelled.labels, inertia: labelled.inertia, report: session.report })
}

fn transform_as<T: Scalar>(
    engine: &impl Engine,
    model: &Model,
    source: Source<T>,
    options: &PredictOptions,
) -> Result<Matrix<f64>, PredictError> {
    let mut session = Session::new(engine, &options.cancel, options.split_bytes);
    let (centred, centroids) = prepare(model, source, options, &mut session)?;
    let data = centred.dataset(&session)?;
    centred.check(&data, &mut session)?;
    let mut values = Vec::with_capacity(centred.rows() * model.k());
    // One partition, keyed by the first row: the pairs come in the order of the rows.
    for (_, distances) in
        session.run(&Distances::<T>::new(centred.d(), centred.distance), &centroids, &data)?.pairs
    {
        values.extend_from_slice(&distances);
    }
    Ok(Matrix::new(centred.rows(), model.k(), values)?)
}

/// The rows, centred as those of the model were, and its centroids in their coordinates.
pub(crate) fn prepare<T: Scalar, E: Engine>(
    model: &Model,
    source: Source<T>,
    options: &PredictOptions,
    session: &mut Session<'_, E>,
) -> Result<(Centred<T>, Vec<f64>), PredictError> {
    model.check_centroids().map_err(|Problem { field, problem }| PredictError::Model { field, problem })?;
    if source.d() != model.d() {
        return Err(PredictError::Columns { expected: model.d(), found: source.d() });
    }
    if options.shared {
        session.share(&source)?;
    }
    let centred = session.install(|| Centred::like(source, model.distance, &model.shift))?;
    let centroids = centred.centre(&model.centroids.concat());
    if let Some(i) = centred.out_of_reach(&centroids) {
        let (column, magnitude, dtype) = (i % centred.d(), centroids[i].abs(), centred::dtype::<T>());
        return Err(PredictError::Data(DataError::TooLarge { column, magnitude, dtype }));
    }
    Ok((centred, centroids))
}

impl From<centred::Failed> for PredictError {
    fn from(failed: centred::Failed) -> Self {
        match failed {
            centred::Failed::Data(error) => Self::Data(error),
            centred::Failed::Job(error) => Self::Job(error),
        }
    }
}
