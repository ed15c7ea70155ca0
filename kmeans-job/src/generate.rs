//! [`Generator`]: data sets of any size, made from a seed.
//!
//! A row is a function of the seed and its index, nothing else: any piece can be made alone, on any machine, and a file
//! is the same whichever threads wrote it. [`write`](Generator::write) makes files of any size in little memory.

mod error;
mod files;
#[cfg(feature = "parquet")]
mod parquet;
mod pieces;
#[cfg(feature = "parquet")]
mod turns;

pub use error::GenerateError;
pub use files::{FileFormat, WriteOptions};

use crate::{
    data::Matrix,
    numeric::{
        normal::quantile,
        random::{bits, uniform},
        scalar::Scalar,
    },
};
use std::ops::Range;

/// Streams of random numbers, apart from each other.
const MEANS: u64 = 0;
const DEVIATIONS: u64 = 1;
const CLUSTERS: u64 = 2;
const ROWS: u64 = 3;
const VALUES: u64 = 4;

/// The most columns.
pub const COLUMNS_MAX: usize = 1 << 20;
/// The most centres times columns: half a gigabyte of means.
pub const CENTRE_VALUES_MAX: usize = 1 << 26;
/// Blobs have their centres in a box from minus this to this.
pub const BOX_HALF: f64 = 10.0;
/// HiBench's means are between 0 and this.
pub const HIBENCH_MEAN_MAX: f64 = 1000.0;
/// HiBench's standard deviations are between these.
pub const HIBENCH_DEVIATION: Range<f64> = 0.01..100.0;

/// What a data set looks like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// Gaussian clusters with centres uniform in a box from -10 to 10, and the standard deviation `spread` in every
    /// column; each row belongs to any of them with equal probability. As scikit-learn's `make_blobs` with its defaults,
    /// but for clusters of about, not exactly, equal sizes.
    Blobs {
        /// How many.
        clusters: usize,
        /// The standard deviation in each column.
        spread: f64,
    },
    /// No clusters: each value uniform from 0 to 1.
    Uniform,
    /// The synthetic data of HiBench's K-means workload (`GenKMeansDataset`): Gaussian clusters with the mean of each
    /// column uniform from 0 to 1000 and its standard deviation uniform from 0.01 to 100, apart for each cluster. The rows
    /// of a cluster follow each other, as HiBench writes them to one file.
    ///
    /// Other than there, the numbers are those of this generator (HiBench's cannot be repeated: it takes a new seed in each
    /// task), and there are as many rows as asked for, where HiBench writes whole files.
    HiBench {
        /// How many; 5 in HiBench's own profiles, with 20 columns.
        clusters: usize,
    },
}

/// A data set that can be made, as a whole or in pieces.
///
/// ```
/// use kmeans_job::generate::{Generator, Shape};
///
/// let blobs = Generator::new(Shape::Blobs { clusters: 3, spread: 0.5 }, 1_000_000, 16, 42)?;
/// let piece = blobs.rows::<f32>(999_990..1_000_000)?;
/// assert_eq!((piece.rows(), piece.d()), (10, 16));
/// assert_eq!(piece.row(9), blobs.rows::<f32>(999_999..1_000_000)?.row(0));
/// # Ok::<(), kmeans_job::generate::GenerateError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Generator {
    shape: Shape,
    rows: u64,
    d: usize,
    seed: u64,
    /// Of the clusters, row by row.
    means: Vec<f64>,
    /// As many, or none if they are all the same.
    deviations: Vec<f64>,
}

impl Generator {
    /// A data set of `rows` points of `d` columns.
    ///
    /// # Errors
    /// [`GenerateError`] if there are no rows, columns or clusters, too many of them, more clusters than rows, or the spread
    /// is negative or not finite.
    pub fn new(shape: Shape, rows: u64, d: usize, seed: u64) -> Result<Self, GenerateError> {
        if rows == 0 {
            return Err(GenerateError::NoRows);
        }
        if d == 0 || d > COLUMNS_MAX {
            return Err(GenerateError::Columns { d });
        }
        let clusters = match shape {
            Shape::Blobs { clusters, .. } | Shape::HiBench { clusters } => clusters,
            Shape::Uniform => 1,
        };
        if clusters == 0 || clusters as u64 > rows || clusters.saturating_mul(d) > CENTRE_VALUES_MAX {
            return Err(GenerateError::Clusters { clusters, rows, d });
        }
        let mut generator = Self { shape, rows, d, seed, means: Vec::new(), deviations: Vec::new() };
        match shape {
            Shape::Blobs { spread, .. } => {
                // The square of the spread is the expected squared distance in a column, in f32 too.
                if !(0.0..=1e15).contains(&spread) {
                    return Err(GenerateError::Spread { spread });
                }
                generator.means = generator.centres(clusters, MEANS, -BOX_HALF..BOX_HALF);
            }
            Shape::Uniform => {}
            Shape::HiBench { .. } => {
                generator.means = generator.centres(clusters, MEANS, 0.0..HIBENCH_MEAN_MAX);
                generator.deviations = generator.centres(clusters, DEVIATIONS, HIBENCH_DEVIATION);
            }
        }
        Ok(generator)
    }

    /// The number of rows of the whole, at least 1.
    pub fn row_count(&self) -> u64 {
        self.rows
    }

    /// The number of columns, at least 1.
    pub fn d(&self) -> usize {
        self.d
    }

    /// The cluster that a row was drawn from; none if there are no clusters or no such row.
    pub fn cluster_of(&self, row: u64) -> Option<usize> {
        if row >= self.rows {
            return None;
        }
        match self.shape {
            Shape::Blobs { clusters, .. } => {
                let product = u128::from(bits(self.seed, CLUSTERS, row)) * clusters as u128;
                Some((product >> 64) as usize)
            }
            Shape::Uniform => None,
            Shape::HiBench { clusters } => {
                Some((u128::from(row) * clusters as u128 / u128::from(self.rows)) as usize)
            }
        }
    }

    /// The mean of a cluster: `d` numbers. None if there is no such cluster.
    pub fn mean(&self, cluster: usize) -> Option<&[f64]> {
        self.means.chunks_exact(self.d).nth(cluster)
    }

    /// Some of the rows, counted from 0. f32 values are the f64 ones, rounded.
    ///
    /// # Errors
    /// [`GenerateError::Range`] if there are no such rows or none is asked for.
    pub fn rows<T: Scalar>(&self, rows: Range<u64>) -> Result<Matrix<T>, GenerateError> {
        let range = GenerateError::Range { start: rows.start, end: rows.end, rows: self.rows };
        if rows.start >= rows.end || rows.end > self.rows {
            return Err(range);
        }
        let Ok(count) = usize::try_from(rows.end - rows.start) else { return Err(range) };
        let Some(length) = count.checked_mul(self.d) else { return Err(range) };
        let mut values = vec![T::ZERO; length];
        self.fill(rows.start, &mut values);
        Ok(Matrix::new(count, self.d, values).expect("as many values as rows and columns"))
    }

    /// Fills whole rows from `first_row` on, all of them in the data set.
    fn fill<T: Scalar>(&self, first_row: u64, values: &mut [T]) {
        for (row, values) in (first_row..).zip(values.chunks_exact_mut(self.d)) {
            let key = bits(self.seed, ROWS, row);
            match self.cluster_of(row) {
                None => {
                    for (column, value) in (0..).zip(values) {
                        *value = T::from_f64(between(key, column));
                    }
                }
                Some(cluster) => self.fill_normal(key, cluster * self.d, values),
            }
        }
    }

    fn fill_normal<T: Scalar>(&self, key: u64, start: usize, values: &mut [T]) {
        let means = &self.means[start..][..self.d];
        if let Shape::Blobs { spread, .. } = self.shape {
            for ((column, value), mean) in (0..).zip(values).zip(means) {
                *value = T::from_f64(mean + spread * quantile(between(key, column)));
            }
            return;
        }
        let deviations = &self.deviations[start..][..self.d];
        for (((column, value), mean), deviation) in (0..).zip(values).zip(means).zip(deviations) {
            *value = T::from_f64(mean + deviation * quantile(between(key, column)));
        }
    }

    /// `d` numbers for each cluster, uniform in a range.
    fn centres(&self, clusters: usize, stream: u64, range: Range<f64>) -> Vec<f64> {
        let count = (clusters * self.d) as u64;
        (0..count).map(|i| range.start + (range.end - range.start) * uniform(self.seed, stream, i)).collect()
    }
}

/// A number in (0, 1), neither end included, as far from 0 as from 1.
#[inline(always)]
fn between(key: u64, column: u64) -> f64 {
    const UNIT: f64 = 1.0 / (1_u64 << 52) as f64;
    // 52 bits and a half fit into the 53 of a mantissa.
    ((bits(key, VALUES, column) >> 12) as f64 + 0.5) * UNIT
}
