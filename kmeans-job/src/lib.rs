//! K-means as an iterated map-reduce job.

pub mod kernel;
pub mod numeric;
