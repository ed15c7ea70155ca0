//! [`distances`]: how far each point is from the centroid of its own cluster.

use crate::{
    data::{FileRows, Points, RowsOfDtype},
    distance::Distance,
    model::Model,
    numeric::{scalar::Scalar, unit::scale_to_unit},
};
use mapreduce_core::{ReadError, SplitInfo, rayon::prelude::*};

/// Points whose distances are found in one go.
const CHUNK: usize = 4096;

/// The distance of each point to the centroid that its label names, as the model [measures](Model::distance) it, by
/// differences in f64.
///
/// Takes the points as they were loaded, and labels as a fit or a prediction gives them. Runs on the threads of the rayon
/// pool it is called in. The sum of the squares (for the cosine, of the distances) is the inertia, but for rounding.
///
/// ```
/// use kmeans_job::{KMeans, data::{Matrix, Points}, distances};
///
/// let points = Points::F64(Matrix::new(4, 1, vec![0.0, 1.0, 10.0, 11.0])?);
/// let fit = KMeans::builder().k(2).build()?.fit(&points)?;
/// assert_eq!(distances(&points, &fit.model, &fit.labels)?, [0.5; 4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`DistancesError`] if labels and model are not those of the points, or their files cannot be read.
pub fn distances(points: &Points, model: &Model, labels: &[i32]) -> Result<Vec<f64>, DistancesError> {
    let centroids = &model.centroids;
    if labels.len() != points.rows() {
        return Err(DistancesError::Labels { rows: points.rows(), labels: labels.len() });
    }
    if let Some(centroid) = centroids.iter().find(|centroid| centroid.len() != points.d()) {
        return Err(DistancesError::Columns { d: points.d(), found: centroid.len() });
    }
    let is_known = |label: i32| usize::try_from(label).is_ok_and(|label| label < centroids.len());
    if let Some(&label) = labels.iter().find(|&&label| !is_known(label)) {
        return Err(DistancesError::Label { label, k: centroids.len() });
    }
    match points {
        Points::F32(matrix) => of_matrix(matrix.values(), model, labels),
        Points::F64(matrix) => of_matrix(matrix.values(), model, labels),
        Points::Files(files) => match &files.rows {
            RowsOfDtype::F32(rows) => of_files(rows, model, labels),
            RowsOfDtype::F64(rows) => of_files(rows, model, labels),
        },
    }
}

fn of_matrix<T: Scalar>(values: &[T], model: &Model, labels: &[i32]) -> Result<Vec<f64>, DistancesError> {
    let mut distances = vec![0.0; labels.len()];
    of_rows(values, model, labels, 0, &mut distances)?;
    Ok(distances)
}

/// Reads the files once.
fn of_files<T: Scalar>(
    rows: &FileRows<T>,
    model: &Model,
    labels: &[i32],
) -> Result<Vec<f64>, DistancesError> {
    let splits =
        rows.input().splits(None).map_err(|error| DistancesError::Read { problem: error.to_string() })?;
    of_splits(rows, &splits, model, labels)
}

/// Of the rows of consecutive splits, with their labels.
pub(crate) fn of_splits<T: Scalar>(
    rows: &FileRows<T>,
    splits: &[SplitInfo],
    model: &Model,
    labels: &[i32],
) -> Result<Vec<f64>, DistancesError> {
    let first_of = |split: &SplitInfo| split.first_record.unwrap_or_default() as usize;
    let (mut distances, first) = (vec![0.0; labels.len()], splits.first().map_or(0, first_of));
    let ends = splits.iter().skip(1).map(|next| first_of(next) - first).chain([labels.len()]);
    let (mut rest, mut parts) = (&mut distances[..], Vec::with_capacity(splits.len()));
    for (split, end) in splits.iter().zip(ends) {
        let start = first_of(split) - first;
        let (part, after) = rest.split_at_mut(end - start);
        rest = after;
        parts.push((split, &labels[start..end], part));
    }
    let found = parts
        .into_par_iter()
        .map(|(split, labels, distances)| of_split(rows, split, model, labels, distances));
    // Of several errors the first in the order of the rows.
    found.collect::<Vec<_>>().into_iter().collect::<Result<(), _>>()?;
    Ok(distances)
}

/// Reads a split, one block after the other.
fn of_split<T: Scalar>(
    rows: &FileRows<T>,
    split: &SplitInfo,
    model: &Model,
    labels: &[i32],
    distances: &mut [f64],
) -> Result<(), DistancesError> {
    let failed = |error: ReadError| DistancesError::Read { problem: error.to_string() };
    let (mut done, first) = (0, split.first_record.unwrap_or_default() as usize);
    let mut blocks = rows.input().open(split).map_err(failed)?;
    while let Some(block) = blocks.next_block().map_err(failed)? {
        let range = done..done + block.len();
        of_rows(block.values, model, &labels[range.clone()], first + done, &mut distances[range.clone()])?;
        done = range.end;
    }
    Ok(())
}

/// Of consecutive rows, of which the first is row `first` of all.
fn of_rows<T: Scalar>(
    values: &[T],
    model: &Model,
    labels: &[i32],
    first: usize,
    distances: &mut [f64],
) -> Result<(), DistancesError> {
    let d = model.d();
    let rows = values.par_chunks(CHUNK * d);
    let chunks = distances.par_chunks_mut(CHUNK).zip(labels.par_chunks(CHUNK)).zip(rows);
    let zero_row = chunks.enumerate().map(|(chunk, ((distances, labels), rows))| {
        let mut unit = vec![T::ZERO; d];
        for (i, ((distance, &label), row)) in
            distances.iter_mut().zip(labels).zip(rows.chunks_exact(d)).enumerate()
        {
            let row = match model.distance {
                Distance::Euclidean => row,
                Distance::Cosine => {
                    unit.copy_from_slice(row);
                    if !scale_to_unit(&mut unit) {
                        return Some(chunk * CHUNK + i);
                    }
                    &unit
                }
            };
            *distance = model.distance.of_squared(squared(row, &model.centroids[label as usize]));
        }
        None
    });
    match zero_row.flatten().min() {
        Some(row) => Err(DistancesError::NoDirection { row: first + row }),
        None => Ok(()),
    }
}

fn squared<T: Scalar>(row: &[T], centroid: &[f64]) -> f64 {
    let terms = row.iter().zip(centroid).map(|(x, c)| {
        let difference = x.to_f64() - c;
        difference * difference
    });
    terms.sum()
}

/// Why distances cannot be found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DistancesError {
    /// Another number of labels than points.
    #[error("{rows} points do not have {labels} labels; give one label a point")]
    Labels {
        /// The points.
        rows: usize,
        /// The labels.
        labels: usize,
    },
    /// A centroid of another number of columns than the points.
    #[error("points of {d} columns have no centroid of {found}; give the centroids of these points")]
    Columns {
        /// Columns of the points.
        d: usize,
        /// Columns of the centroid.
        found: usize,
    },
    /// The files that the points are in could not be read again.
    #[error("{problem}")]
    Read {
        /// What is wrong, and with which file.
        problem: String,
    },
    /// A point of zeros, whose cosine to a centroid is not defined.
    #[error("point {row} (counted from 0) is all zeros, which have no cosine distance; remove it")]
    NoDirection {
        /// The point, counted from 0.
        row: usize,
    },
    /// A label without a centroid.
    #[error("label {label} has no centroid among {k}; give labels from 0 to the number of centroids - 1")]
    Label {
        /// The label.
        label: i32,
        /// The centroids.
        k: usize,
    },
}
