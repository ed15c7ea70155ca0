//! K-means as an iterated map-reduce job.

pub mod data;
pub mod model;
pub mod output;
pub mod palette;
