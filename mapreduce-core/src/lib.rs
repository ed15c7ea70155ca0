//! Map-reduce as a library.

pub mod schedule;
