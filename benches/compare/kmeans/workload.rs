//! [`Workload`]: the points of the contests, made from fixed seeds, and the aims of this project for each.

use crate::workshop::Workshop;
use benches::{Failure, on_demand::load_f32, text::Random};
use kmeans_job::{
    data::{Matrix, image::load_rgb},
    generate::{Generator, Shape, WriteOptions},
    output::stage_centroids_npy,
};
use mapreduce_net::cli::clap::{self, ValueEnum};
use std::{collections::HashSet, path::PathBuf};

/// Is a part of the names of the files. To be raised with each change of what is in them, those of
/// [`kmeans_job::generate`] included, so that files of before are not taken for those of now.
const VERSION: u32 = 1;

/// The contests of K-means, in the order in which they take place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// K-means of points with 3 columns, few clusters
    #[value(name = "kmeans-rgb")]
    Rgb,
    /// K-means of points with 16 columns, some clusters
    #[value(name = "kmeans-small")]
    Small,
    /// K-means of HiBench's points
    #[value(name = "kmeans-hibench")]
    Hibench,
    /// K-means of points with 128 columns, many clusters
    #[value(name = "kmeans-wide")]
    Wide,
    /// K-means of the colours of a photograph
    #[value(name = "kmeans-photo")]
    Photo,
}

/// How many times as fast as others this project should be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Aims {
    /// As the fastest peer that does the same steps: an iteration, and a whole fit.
    pub(crate) exact: Option<(f64, f64)>,
    /// As superkmeans: an iteration.
    pub(crate) superkmeans: Option<f64>,
    /// As Spark: an iteration of MLlib, and of the program of map and reduceByKey.
    pub(crate) spark: Option<(f64, f64)>,
    /// A pool of two peers of one thread, as two threads: an iteration.
    pub(crate) pool: Option<f64>,
    /// The milliseconds of an iteration on such a pool, at most.
    pub(crate) pool_ms_max: Option<f64>,
}

/// What everybody has to do.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// The contest.
    pub(crate) workload: Workload,
    /// Points.
    pub(crate) n: usize,
    /// Columns.
    pub(crate) d: usize,
    /// Clusters.
    pub(crate) k: usize,
    /// Iterations of a whole fit.
    pub(crate) iterations: u32,
    /// The points, an `.npy` file.
    pub(crate) points: PathBuf,
    /// The start centroids, another one: rows of the points with different values.
    pub(crate) start: PathBuf,
}

/// Where points come from.
enum Source {
    /// So many of such a shape.
    Generated { shape: Shape, n: usize, d: usize },
    /// The photograph that the K-means command comes with: 512 x 512 pixels of three 8-bit values.
    Photograph,
}

impl Workload {
    /// The word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rgb => "rgb",
            Self::Small => "small",
            Self::Hibench => "hibench",
            Self::Wide => "wide",
            Self::Photo => "photo",
        }
    }

    /// What this project set out for.
    pub(crate) fn aims(self) -> Aims {
        let spark = Some((100.0, 5_000.0));
        match self {
            Self::Rgb => Aims { exact: Some((10.0, 5.0)), spark, pool_ms_max: Some(3.0), ..Aims::default() },
            Self::Small => Aims { exact: Some((6.0, 4.0)), spark, pool: Some(0.9), ..Aims::default() },
            Self::Hibench => Aims { exact: Some((5.0, 3.0)), spark, pool: Some(0.9), ..Aims::default() },
            Self::Wide => Aims { exact: Some((1.8, 1.5)), superkmeans: Some(1.0), spark, ..Aims::default() },
            Self::Photo => Aims::default(),
        }
    }

    /// Makes the files unless they are there.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) fn task(self, workshop: &Workshop, quick: bool) -> Result<Task, Failure> {
        let (source, k) = self.points();
        // A twentieth of the points, and no more clusters than these can have.
        let (part, k, iterations) = match quick {
            true => (20, k.min(64), 5),
            false => (1, k, if self == Self::Wide { 10 } else { 20 }),
        };
        let file = |what: &str| {
            let name =
                format!("v{VERSION}-kmeans-{}-{what}{}.npy", self.name(), if quick { "-quick" } else { "" });
            workshop.inputs.join(name)
        };
        let (points, start) = (file("points"), file("start"));
        if !points.exists() {
            println!("making {}", points.display());
            match source {
                Source::Generated { shape, n, d } => {
                    let rows = (n / part) as u64;
                    Generator::new(shape, rows, d, 7)?.write(&points, WriteOptions::default())?;
                }
                Source::Photograph => {
                    let photograph = workshop.sources.join("../kmeans-job/assets/astronaut.jpg");
                    let pixels = load_rgb(&photograph)?.pixels;
                    // All over the picture, not its first lines.
                    let some = pixels.iter().step_by(part).map(|pixel| pixel.map(f64::from).to_vec());
                    stage_centroids_npy(&points, &some.collect::<Vec<_>>())?.commit()?;
                }
            }
        }
        let matrix = load_f32(&points)?;
        if !start.exists() {
            stage_centroids_npy(&start, &distinct_rows(&matrix, k)?)?.commit()?;
        }
        Ok(Task { workload: self, n: matrix.rows(), d: matrix.d(), k, iterations, points, start })
    }

    /// Clusters overlap by so much that nobody converges within the iterations.
    fn points(self) -> (Source, usize) {
        let blobs = |n, d, clusters, spread| {
            (Source::Generated { shape: Shape::Blobs { clusters, spread }, n, d }, clusters)
        };
        match self {
            Self::Rgb => blobs(1_000_000, 3, 16, 4.0),
            Self::Small => blobs(1_000_000, 16, 64, 6.0),
            Self::Wide => blobs(200_000, 128, 1024, 16.0),
            // Five clusters and 20 columns are what HiBench itself takes, and ten to be found.
            Self::Hibench => {
                (Source::Generated { shape: Shape::HiBench { clusters: 5 }, n: 5_000_000, d: 20 }, 10)
            }
            Self::Photo => (Source::Photograph, 256),
        }
    }
}

impl Task {
    /// For the heading.
    pub(crate) fn title(&self) -> String {
        let Self { workload, n, d, k, iterations, .. } = self;
        format!("K-means {}: {n} x {d} f32, k = {k}, {iterations} iterations", workload.name())
    }
}

/// `k` rows that differ in their values, drawn by a fixed seed: each keeps at least itself in the first iteration.
fn distinct_rows(points: &Matrix<f32>, k: usize) -> Result<Vec<Vec<f64>>, Failure> {
    let (mut random, mut seen, mut rows) = (Random::new(11), HashSet::new(), Vec::with_capacity(k));
    for _ in 0..k.saturating_mul(1_000) {
        if rows.len() == k {
            break;
        }
        let row = points.row((random.bits() % points.rows() as u64) as usize).unwrap_or_default();
        if seen.insert(row.iter().map(|x| x.to_bits()).collect::<Vec<_>>()) {
            rows.push(row.iter().map(|&x| f64::from(x)).collect());
        }
    }
    match rows.len() == k {
        true => Ok(rows),
        false => Err(format!("there are hardly {k} different rows").into()),
    }
}

#[cfg(test)]
impl Task {
    /// For tests of reports: that of `small`, with no files.
    pub(crate) fn sample() -> Self {
        let (points, start) = ("points".into(), "start".into());
        Self { workload: Workload::Small, n: 1_000_000, d: 16, k: 64, iterations: 20, points, start }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    #[test]
    fn files_of_a_version_are_always_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let workshop = Workshop::beside(folder.path().join("release")).unwrap();
        let digests = [Workload::Rgb, Workload::Photo].map(|workload| {
            let task = workload.task(&workshop, true).unwrap();
            [&task.points, &task.start].map(|path| xxh3_64(&std::fs::read(path).unwrap()))
        });
        // Another digest asks for another version.
        let rgb = [0x2294a9d795699101, 0x15a62945d6869252];
        let photograph = [0x1cf25a601c0827bf, 0x30fe864e77508b20];
        let of_version = (1, [rgb, photograph]);
        assert_eq!((VERSION, digests), of_version, "{digests:#x?}");
    }

    #[test]
    fn start_centroids_are_different_rows() {
        let values = vec![1.0, 2.0, 1.0, 2.0, 1.0, 3.0];
        let points = Matrix::new(3, 2, values).unwrap();
        let mut rows = distinct_rows(&points, 2).unwrap();
        rows.sort_by(|a, b| a[1].total_cmp(&b[1]));
        assert_eq!(rows, [[1.0, 2.0], [1.0, 3.0]]);
        assert!(distinct_rows(&points, 3).is_err());
    }
}
