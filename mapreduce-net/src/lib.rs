//! The place of the pool: running jobs on peers that are connected by QUIC. There is nothing here yet.
//!
//! Jobs run on the threads of one process, by `mapreduce_core::Local`. The coordinator for many peers is there as well:
//! `mapreduce_core::schedule`.
