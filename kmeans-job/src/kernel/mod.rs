//! The arithmetic of K-means over slices: which centroid is nearest, how far it is, and which rows to start from.
//!
//! Nothing here knows of map-reduce; what the rows lie in is a
//! [`RowBlock`](mapreduce_core::RowBlock). The functions are pure, single-threaded and give the same bits on every
//! machine; the instruction set ([`isa::Isa`]) only decides how fast.

pub mod assign;
pub mod bounds;
pub mod boxes;
pub mod distance;
pub mod greedy;
pub mod isa;
pub mod pack;
pub mod peak;
mod transpose;
mod vector;
