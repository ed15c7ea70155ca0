//! K-means as an iterated map-reduce job: the reference job of `mapreduce-core`, on its public interface alone.
//!
//! [`KMeans`] finds clusters; the [`Model`] that comes of it labels other points. Both run on any
//! [`Engine`](mapreduce_core::Engine), the threads of this process or a pool of peers that [`register`] the jobs, and the
//! same points and options give the same bits on all of them. `docs/kmeans.md` in the repository says what is computed,
//! and how the command is used.
//!
//! ```
//! use kmeans_job::{KMeans, Model};
//!
//! let points = [[5.1_f32, 3.5], [4.9, 3.0], [6.3, 3.3], [5.8, 2.7], [7.1, 3.0]];
//! let fit = KMeans::builder().k(2).n_init(10).build()?.fit(&points)?;
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("model.json");
//! # let path = path.as_path();
//! fit.model.save(path)?;
//!
//! let model = Model::load(path)?;
//! let prediction = model.predict(&[[5.0, 3.1], [6.9, 3.1]])?;
//! assert_eq!(prediction.labels, [fit.labels[0], fit.labels[4]]);
//! assert_eq!(model.transform(&[[5.0, 3.1]])?.d(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layout
//!
//! * [`data`]: points in memory, and reading them from `.npy`, `.csv`, `.tsv`, Parquet files and images. [`generate`]: points
//!   made from a seed. [`model`]: the model file. [`output`]: files that appear whole or not at all. [`palette`]: images of
//!   few colours. `plot` (a feature that is on by default): pictures of a fit.
//! * [`jobs`]: the map-reduce jobs of the phases. Start here to learn how jobs are written: [`jobs::lloyd`] has `map`,
//!   the textbook's step, and `map_split`, the same with a kernel and a cache.
//! * [`kernel`]: nearest centroids and distances, for the instruction sets of the machine.
//! * [`numeric`]: sums that do not depend on the order, and random numbers that do not depend on the plan.

#![warn(clippy::exit, clippy::print_stderr, clippy::print_stdout)]

mod algorithm;
mod bisecting;
mod centred;
mod clock;
pub mod data;
mod distance;
mod distances;
mod distinct;
mod error;
mod fit;
mod gathering;
pub mod generate;
mod iterations;
pub mod jobs;
pub mod kernel;
mod kmeans;
mod labelling;
mod labels;
mod mini_batch;
pub mod model;
mod near;
pub mod numeric;
pub mod output;
pub mod palette;
mod pieces;
#[cfg(feature = "plot")]
pub mod plot;
mod points;
mod predict;
mod session;
mod silhouette;
mod source;
mod stand_in;
mod start;
mod weighing;

pub use algorithm::Algorithm;
pub use distance::Distance;
pub use distances::{DistancesError, distances};
pub use error::{DataError, FitError, OptionsError, PredictError};
pub use fit::{Fit, Iteration, Trial};
pub use jobs::register;
pub use kmeans::{EmptyClusters, KMeans, KMeansBuilder, KRange};
pub use labels::Labels;
pub use model::Model;
pub use pieces::{Piece, PiecesTotal};
pub use points::IntoPoints;
pub use predict::{PredictOptions, Prediction};
pub use start::Start;
pub use weighing::WeightsError;

/// The programs of the page about K-means, as tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/kmeans.md")]
struct KMeansPage;
