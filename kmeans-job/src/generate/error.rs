//! [`GenerateError`]: why data cannot be made.

use super::{CENTRE_VALUES_MAX, COLUMNS_MAX};
use crate::output::OutputError;
use std::path::PathBuf;

/// Why data cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// No rows.
    #[error("there are no rows to make; ask for at least one")]
    NoRows,
    /// No columns, or too many.
    #[error("{d} columns cannot be made; ask for 1 to {COLUMNS_MAX}")]
    Columns {
        /// The columns.
        d: usize,
    },
    /// No clusters, or too many.
    #[error(
        "{clusters} clusters cannot be made of {rows} rows of {d} columns; ask for 1 to {}",
        (*rows).min((CENTRE_VALUES_MAX / (*d).max(1)) as u64)
    )]
    Clusters {
        /// The clusters.
        clusters: usize,
        /// The rows.
        rows: u64,
        /// The columns.
        d: usize,
    },
    /// The spread is no standard deviation.
    #[error("a spread of {spread} cannot be made; ask for a number from 0 to 1e15")]
    Spread {
        /// The spread.
        spread: f64,
    },
    /// A piece is not in the data.
    #[error("there are no rows {start} to {end} in {rows} rows; ask for a piece of them")]
    Range {
        /// The first row.
        start: u64,
        /// The row behind the last one.
        end: u64,
        /// The rows of the data.
        rows: u64,
    },
    /// No files, or more than rows.
    #[error("{rows} rows cannot be written to {files} files; ask for 1 to {}", (*rows).min(u64::from(u32::MAX)))]
    Files {
        /// The files.
        files: u32,
        /// The rows.
        rows: u64,
    },
    /// A file would be longer than any can be.
    #[error("{path}: {bytes} bytes are more than a file can hold; ask for fewer rows, or for several files")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The bytes of its values.
        bytes: u128,
    },
    /// A file or folder cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The caller asked for an end.
    #[error("interrupted; nothing was written")]
    Interrupted,
}
