//! What the measurements share: inputs made from a seed, and alternating runs.
//!
//! # Layout
//!
//! * `src/bin/word_count.rs`: word count of a large text, against a hand-written program.
//! * `src/bin/kmeans.rs`: an iteration of K-means, against a plain loop and scikit-learn (`compare/`).
//! * `src/bin/rounds.rs`: rounds that do no work.
//! * [`text`]: text from a seed. [`alternate`]: contestants that take turns.
//!
//! Machines are noisy and differ; what is measured is the ratio of two programs that take turns on the same input.

pub mod alternate;
pub mod text;
