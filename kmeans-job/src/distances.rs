//! [`distances`]: how far each point is from the centroid of its own cluster.

use crate::{
    data::{FileRows, Points, RowsOfDtype},
    numeric::scalar::Scalar,
};
use mapreduce_core::Input as _;
use mapreduce_core::rayon::prelude::*;

/// Points whose distances are found in one go.
const CHUNK: usize = 4096;

/// The Euclidean distance of each point to the centroid that its label names, by differences in f64.
///
/// Takes the points as they were loaded, and labels and [centroids](crate::Model::centroids) as a fit or a prediction
/// gives them. Runs on the threads of the rayon pool it is called in. The sum of the squares is the inertia, but for
/// rounding.
///
/// ```
/// use kmeans_job::{data::{Matrix, Points}, distances};
///
/// let points = Points::F64(Matrix::new(2, 2, vec![0.0, 0.0, 4.0, 3.0])?);
/// assert_eq!(distances(&points, &[vec![0.0, 0.0], vec![4.0, 2.5]], &[0, 1])?, [0.0, 0.5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`DistancesError`] if labels and centroids are not those of the points, or their files cannot be read.
pub fn distances(
    points: &Points,
    centroids: &[Vec<f64>],
    labels: &[i32],
) -> Result<Vec<f64>, DistancesError> {
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
    let mut distances = vec![0.0; labels.len()];
    match points {
        Points::F32(matrix) => of_rows(matrix.values(), centroids, labels, &mut distances),
        Points::F64(matrix) => of_rows(matrix.values(), centroids, labels, &mut distances),
        Points::Files(files) => match &files.rows {
            RowsOfDtype::F32(rows) => of_files(rows, centroids, labels, &mut distances),
            RowsOfDtype::F64(rows) => of_files(rows, centroids, labels, &mut distances),
        }?,
    }
    Ok(distances)
}

/// Reads the files once, one block after the other.
fn of_files<T: Scalar>(
    rows: &FileRows<T>,
    centroids: &[Vec<f64>],
    labels: &[i32],
    distances: &mut [f64],
) -> Result<(), DistancesError> {
    let failed = |problem: String| DistancesError::Read { problem };
    let mut done = 0;
    for split in rows.splits(None).map_err(|error| failed(error.to_string()))? {
        let mut blocks = rows.open(&split).map_err(|error| failed(error.to_string()))?;
        while let Some(block) = blocks.next_block().map_err(|error| failed(error.to_string()))? {
            let range = done..done + block.len();
            done = range.end;
            of_rows(block.values, centroids, &labels[range.clone()], &mut distances[range]);
        }
    }
    Ok(())
}

fn of_rows<T: Scalar>(values: &[T], centroids: &[Vec<f64>], labels: &[i32], distances: &mut [f64]) {
    let Some(d) = centroids.first().map(Vec::len) else { return };
    let rows = values.par_chunks(CHUNK * d);
    let chunks = distances.par_chunks_mut(CHUNK).zip(labels.par_chunks(CHUNK)).zip(rows);
    chunks.for_each(|((distances, labels), rows)| {
        for ((distance, &label), row) in distances.iter_mut().zip(labels).zip(rows.chunks_exact(d)) {
            let terms = row.iter().zip(&centroids[label as usize]).map(|(x, c)| {
                let difference = x.to_f64() - c;
                difference * difference
            });
            *distance = terms.sum::<f64>().sqrt();
        }
    });
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
    /// A label without a centroid.
    #[error("label {label} has no centroid among {k}; give labels from 0 to the number of centroids - 1")]
    Label {
        /// The label.
        label: i32,
        /// The centroids.
        k: usize,
    },
}
