//! [`PlainLoop`]: Lloyd's steps with this project's kernel: every row against every centroid, without bounds of the iteration
//! before, and without jobs, tasks or a coordinator. What pruning gains, and what the framework costs, is beside it.

use benches::{Failure, on_demand::inertia};
use kmeans_job::{
    data::Matrix,
    kernel::{assign::assign, isa::Isa, pack::Packed},
    numeric::grid::{Grid, accumulate},
};
use mapreduce_core::RowBlock;
use rayon::{ThreadPool, ThreadPoolBuilder, prelude::*};
use std::time::{Duration, Instant};

/// Bytes of rows that are labelled and then added up: they stay in the cache in between.
const BLOCK_BYTES: usize = 32 << 10;

/// Points, and threads to iterate over them.
pub(crate) struct PlainLoop<'a> {
    points: &'a Matrix<f32>,
    grid: Grid<f32>,
    isa: Isa,
    pool: ThreadPool,
    /// Rows of a piece: about as many as a split of the library's has.
    split_rows: usize,
}

/// What comes of a piece: sums and counts.
type Summed = (Vec<i64>, Vec<i64>);

impl<'a> PlainLoop<'a> {
    /// Looks at the points, which the library does in each fit.
    ///
    /// # Errors
    /// When threads cannot be started.
    pub(crate) fn new(points: &'a Matrix<f32>, threads: usize) -> Result<Self, Failure> {
        let d = points.d();
        let mut largest = vec![0.0_f64; d];
        for row in points.values().chunks_exact(d) {
            largest.iter_mut().zip(row).for_each(|(largest, x)| *largest = largest.max(f64::from(x.abs())));
        }
        Ok(Self {
            points,
            grid: Grid::new(&largest, points.rows() as u64),
            isa: Isa::detect(),
            pool: ThreadPoolBuilder::new().num_threads(threads).build()?,
            split_rows: ((size_of_val(points.values()) / 64).clamp(256 << 10, 64 << 20) / (4 * d)).max(1),
        })
    }

    /// The time of so many iterations and of the labels at their end, and the inertia.
    pub(crate) fn fit(&self, start: &Matrix<f32>, iterations: u32) -> (Duration, f64) {
        let (d, mut centroids) = (self.points.d(), start.values().to_vec());
        let mut labels = vec![0; self.points.rows()];
        let begun = Instant::now();
        for _ in 0..iterations {
            let (sums, counts) = self.pool.install(|| self.pass(&centroids, &mut labels));
            for (i, centroid) in centroids.iter_mut().enumerate() {
                // A cluster without rows stays where it is.
                if counts[i / d] > 0 {
                    *centroid = self.grid.mean(sums[i], counts[i / d], i % d) as f32;
                }
            }
        }
        self.pool.install(|| self.pass(&centroids, &mut labels));
        let time = begun.elapsed();
        (time, self.pool.install(|| inertia(self.points.values(), &centroids, d)))
    }

    fn pass(&self, centroids: &[f32], labels: &mut [u32]) -> Summed {
        let d = self.points.d();
        let packed = Packed::new(centroids, d);
        let splits = self.points.values().par_chunks(self.split_rows * d);
        let of_splits = splits
            .zip(labels.par_chunks_mut(self.split_rows))
            .map(|(rows, labels)| self.split(&packed, centroids.len(), rows, labels));
        let summed = of_splits.reduce_with(|mut a, b| {
            a.0.iter_mut().zip(b.0).for_each(|(a, b)| *a += b);
            a.1.iter_mut().zip(b.1).for_each(|(a, b)| *a += b);
            a
        });
        summed.expect("a matrix has rows")
    }

    fn split(&self, packed: &Packed<f32>, sums: usize, values: &[f32], labels: &mut [u32]) -> Summed {
        let d = self.points.d();
        let (mut sums, mut counts) = (vec![0; sums], vec![0; sums / d]);
        let block_rows = (BLOCK_BYTES / (4 * d)).max(1);
        for (values, labels) in values.chunks(block_rows * d).zip(labels.chunks_mut(block_rows)) {
            let rows = RowBlock { width: d, values };
            assign(self.isa, packed, rows, labels, None);
            accumulate(self.isa, rows, labels, &self.grid, &mut sums, &mut counts);
        }
        (sums, counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use benches::clusters::points;
    use kmeans_job::{KMeans, Start};

    #[test]
    fn the_plain_loop_finds_what_the_library_finds() {
        let points = Matrix::new(5_000, 3, points(5_000, 3, 7)).unwrap();
        let start = Matrix::new(7, 3, points.values()[..21].to_vec()).unwrap();
        let given = Matrix::new(7, 3, start.values().iter().map(|&x| x.into()).collect()).unwrap();
        let kmeans = KMeans::builder().k(7).start(Start::Given(given)).max_iter(5).tol(0.0).build().unwrap();
        let expected = kmeans.fit(&points).unwrap().model.inertia;
        let (_, found) = PlainLoop::new(&points, 2).unwrap().fit(&start, 5);
        assert!((found / expected - 1.0).abs() < 1e-5, "{found} and {expected}");
    }
}
