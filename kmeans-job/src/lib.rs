//! K-means as an iterated map-reduce job.

#![warn(clippy::exit, clippy::print_stderr, clippy::print_stdout)]

mod centred;
pub mod data;
mod error;
mod fit;
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

pub use error::{DataError, FitError, PredictError};
pub use fit::{Fit, FitOptions, Iteration, fit};
pub use model::Model;
pub use predict::{Prediction, predict};
pub use start::Start;
