//! [`Model::predict_pieces`]: labels and distances of points in files, some rows at a time.

use crate::{
    data::{FileRows, PointFiles, RowsOfDtype},
    distances::{self, DistancesError},
    error::PredictError,
    labelling::add_labels,
    model::Model,
    numeric::{exact::ExactSum, scalar::Scalar},
    predict::{PredictOptions, prepare},
    session::Session,
    source::Source,
};
use mapreduce_core::{Engine, Error, Local, Report, SplitInfo};

/// The rows of a piece: it ends with the split that reaches so many.
const PIECE_ROWS: u64 = 1 << 20;

/// Consecutive rows with their labels.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// The index of the first of them in all files.
    pub first_row: u64,
    /// The cluster of each.
    pub labels: &'a [i32],
    model: &'a Model,
    files: &'a PointFiles,
    splits: &'a [SplitInfo],
}

impl Piece<'_> {
    /// The distance of each row to the centroid of its cluster, as [`distances`](crate::distances()) finds it. Reads the rows
    /// once more. Runs on the threads of the rayon pool it is called in.
    ///
    /// # Errors
    /// [`DistancesError::Read`] if a file cannot be read, or has changed.
    pub fn distances(&self) -> Result<Vec<f64>, DistancesError> {
        let &Self { labels, model, files, splits, .. } = self;
        match &files.rows {
            RowsOfDtype::F32(rows) => distances::of_splits(rows, splits, model, labels),
            RowsOfDtype::F64(rows) => distances::of_splits(rows, splits, model, labels),
        }
    }
}

/// What the pieces of a prediction come to.
#[derive(Clone, Debug)]
pub struct PiecesTotal {
    /// The rows of each cluster.
    pub counts: Vec<u64>,
    /// As [`Prediction::inertia`](crate::Prediction::inertia), to the bit.
    pub inertia: f64,
    /// How the jobs went.
    pub report: Report,
}

impl Model {
    /// Labels the rows of files as [`predict`](Self::predict) does, and hands them to `sink` in the order of the rows, about
    /// 2^20 at a time: on all cores of this machine. For more points than there is memory for their labels.
    ///
    /// A piece is made of whole splits, so it can be a row group of a Parquet file longer. It takes 12 bytes a row while it is
    /// made, and 8 more if it is asked for distances.
    ///
    /// An error of `sink` ends the prediction, and is returned.
    ///
    /// ```
    /// use kmeans_job::{
    ///     KMeans,
    ///     data::PointFiles,
    ///     generate::{Generator, Shape, WriteOptions},
    /// };
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("points.npy");
    /// # let shape = Shape::Blobs { clusters: 3, spread: 1.0 };
    /// # Generator::new(shape, 1000, 2, 7)?.write(&path, WriteOptions::default())?;
    /// let files = PointFiles::open(&[&path], &[])?;
    /// let fit = KMeans::builder().k(3).without_labels().build()?.fit(&files)?;
    /// let (mut labels, mut farthest) = (Vec::new(), 0.0);
    /// let total = fit.model.predict_pieces(&files, |piece| {
    ///     labels.extend_from_slice(piece.labels);
    ///     farthest = piece.distances()?.into_iter().fold(farthest, f64::max);
    ///     Ok::<(), Box<dyn std::error::Error>>(())
    /// })?;
    /// assert_eq!(labels, fit.model.predict(&files)?.labels);
    /// assert_eq!((total.inertia, total.counts), (fit.model.inertia, fit.model.counts));
    /// assert!(farthest > 0.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of `predict`, and what `sink` returns.
    pub fn predict_pieces<F: From<PredictError>>(
        &self,
        files: &PointFiles,
        sink: impl FnMut(Piece<'_>) -> Result<(), F>,
    ) -> Result<PiecesTotal, F> {
        let engine = Local::new(0).map_err(PredictError::from)?;
        self.predict_pieces_on(&engine, files, &PredictOptions::default(), sink)
    }

    /// As [`predict_pieces`](Self::predict_pieces), on an engine and with options.
    ///
    /// # Errors
    /// Those of `predict_pieces`.
    pub fn predict_pieces_on<F: From<PredictError>>(
        &self,
        engine: &impl Engine,
        files: &PointFiles,
        options: &PredictOptions,
        mut sink: impl FnMut(Piece<'_>) -> Result<(), F>,
    ) -> Result<PiecesTotal, F> {
        let mut sink = |labels: &[i32], first_row: u64, splits: &[SplitInfo]| {
            sink(Piece { first_row, labels, model: self, files, splits })
        };
        match &files.rows {
            RowsOfDtype::F32(rows) => predict_as(engine, self, rows, options, &mut sink),
            RowsOfDtype::F64(rows) => predict_as(engine, self, rows, options, &mut sink),
        }
    }
}

/// Whom labels are handed to, with the index of the first row and the splits that they are of.
type Sink<'a, F> = dyn FnMut(&[i32], u64, &[SplitInfo]) -> Result<(), F> + 'a;

fn predict_as<T: Scalar, F: From<PredictError>>(
    engine: &impl Engine,
    model: &Model,
    rows: &FileRows<T>,
    options: &PredictOptions,
    sink: &mut Sink<'_, F>,
) -> Result<PiecesTotal, F> {
    let failed = |error: Error| PredictError::from(error);
    let mut session = Session::new(engine, &options.cancel, options.split_bytes);
    let (centred, centroids) = prepare(model, Source::Files(rows.clone()), options, &mut session)?;
    let data = centred.dataset(&session).map_err(failed)?;
    centred.check(&data, &mut session).map_err(PredictError::from)?;
    drop(data);

    let splits = rows.input().splits(Some(session.piece_split_bytes(rows))).map_err(failed)?;
    let mut counts = vec![0; model.k()];
    let (mut inertia, mut labels, mut first_row) = (ExactSum::new(), Vec::new(), 0);
    for splits in pieces(&splits, (rows.d() * size_of::<T>()) as u64) {
        let data = centred.dataset_of(splits, &session).map_err(failed)?;
        labels.clear();
        inertia += &add_labels(&mut labels, &centroids, centred.d(), &data, &mut session).map_err(failed)?;
        labels.iter().for_each(|&label| counts[label as usize] += 1);
        sink(&labels, first_row, splits)?;
        first_row += labels.len() as u64;
    }
    Ok(PiecesTotal { counts, inertia: centred.cost(inertia.value()), report: session.report })
}

/// Splits that are worked on together.
fn pieces(splits: &[SplitInfo], row_bytes: u64) -> impl Iterator<Item = &[SplitInfo]> {
    let mut rest = splits;
    std::iter::from_fn(move || {
        let mut rows = 0;
        let is_full = |split: &SplitInfo| {
            rows += split.bytes / row_bytes;
            rows >= PIECE_ROWS
        };
        let count = rest.iter().position(is_full).map_or(rest.len(), |last| last + 1);
        let (piece, after) = rest.split_at(count);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}
