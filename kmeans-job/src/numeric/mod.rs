//! Numbers that come out the same however the work is cut up: fixed-point and exact sums, counter-based random
//! numbers, rows of unit length, and the two element types the job computes with.

pub mod cost;
pub mod exact;
pub mod grid;
pub mod normal;
pub mod random;
pub mod scalar;
pub mod squares;
pub mod unit;
