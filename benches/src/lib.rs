//! What the measurements share: inputs made from a seed, and alternating runs.
//!
//! Machines are noisy and differ; what is measured is the ratio of two programs that take turns on the same input.

pub mod alternate;
pub mod text;
