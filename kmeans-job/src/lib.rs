//! K-means as an iterated map-reduce job: the reference job of `mapreduce-core`, on its public interface alone.
//!
//! [`fit`] finds clusters, [`predict`] labels other points by the [`Model`]. Both run on any
//! [`Engine`](mapreduce_core::Engine), the threads of this process or a pool of peers that [`register`] the jobs, and the
//! same points and options give the same bits on all of them. `docs/kmeans.md` in the repository says what is computed, and how the command is used.
//!
//! # Layout
//!
//! * [`data`]: points in memory, and reading them from `.npy`, `.csv`, `.tsv` and images. [`model`]: the model file.
//!   [`output`]: files that appear whole or not at all. [`palette`]: images of few colours.
//! * [`jobs`]: the map-reduce jobs of the phases. Start here to learn how jobs are written: [`jobs::lloyd`] has `map`,
//!   the textbook's step, and `map_split`, the same with a kernel and a cache.
//! * [`kernel`]: nearest centroids and distances, for the instruction sets of the machine.
//! * [`numeric`]: sums that do not depend on the order, and random numbers that do not depend on the plan.

#![warn(clippy::exit, clippy::print_stderr, clippy::print_stdout)]

mod centred;
pub mod data;
mod distances;
mod error;
mod fit;
pub mod generate;
mod iterations;
pub mod jobs;
pub mod kernel;
mod labelling;
pub mod model;
pub mod numeric;
pub mod output;
pub mod palette;
mod predict;
mod session;
mod start;

pub use distances::{DistancesError, distances};
pub use error::{DataError, FitError, PredictError};
pub use fit::{Fit, FitOptions, Iteration, fit};
pub use jobs::register;
pub use model::Model;
pub use predict::{PredictOptions, Prediction, predict};
pub use start::Start;
