//! [`Watch`]: who is told how far loading is, and asked whether to go on.

use super::LoadError;
use std::cell::Cell;
use std::ops::ControlFlow;
use std::path::Path;

/// How far loading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the files that have been read.
    pub bytes: u64,
    /// Bytes of all files. Of Parquet files those of the chosen columns, as they are stored.
    pub bytes_total: u64,
}

/// The end that the observer has asked for.
#[derive(Debug)]
pub(super) struct Interrupted;

/// The observer of a load, with what it is told.
pub(super) struct Watch<'a> {
    observe: &'a dyn Fn(Progress) -> ControlFlow<()>,
    bytes: Cell<u64>,
    bytes_total: Cell<u64>,
    /// The most that the rows may take.
    bytes_max: u64,
    /// What each of them takes besides its values.
    row_bytes: u64,
}

impl<'a> Watch<'a> {
    pub(super) fn new(observe: &'a dyn Fn(Progress) -> ControlFlow<()>) -> Self {
        Self { observe, bytes: Cell::new(0), bytes_total: Cell::new(0), bytes_max: u64::MAX, row_bytes: 0 }
    }

    /// The same with a limit for rows in memory: their values, and so many bytes more for each of them.
    pub(super) fn within(self, bytes_max: u64, row_bytes: u64) -> Self {
        Self { bytes_max, row_bytes, ..self }
    }

    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Whether so many rows, which have so many values together, are more than may be in memory.
    pub(super) fn is_over<T>(&self, values: usize, rows: usize) -> bool {
        let of_values = (values as u64).saturating_mul(size_of::<T>() as u64);
        of_values.saturating_add((rows as u64).saturating_mul(self.row_bytes)) > self.bytes_max
    }

    /// Refuses more rows in memory than there may be. The file is the one that they come from.
    pub(super) fn check_size<T>(&self, path: &Path, values: usize, rows: usize) -> Result<(), LoadError> {
        match self.is_over::<T>(values, rows) {
            true => Err(LoadError::OverLimit { path: path.to_owned(), bytes_max: self.bytes_max }),
            false => Ok(()),
        }
    }

    /// Adds to the bytes that are to be read.
    pub(super) fn expect(&self, bytes: u64) {
        self.bytes_total.set(self.bytes_total.get().saturating_add(bytes));
    }

    /// Adds to the bytes that have been read.
    pub(super) fn add(&self, bytes: u64) {
        self.bytes.set(self.bytes.get().saturating_add(bytes));
    }

    /// Tells how far loading is, and asks whether to go on.
    pub(super) fn ask(&self) -> Result<(), Interrupted> {
        // A file that grows while it is read is no more than all of it.
        let bytes_total = self.bytes_total.get().max(self.bytes.get());
        match (self.observe)(Progress { bytes: self.bytes.get(), bytes_total }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Interrupted),
        }
    }
}

/// An observer that only asks whether to end.
pub(super) fn unless(interrupted: &dyn Fn() -> bool) -> impl Fn(Progress) -> ControlFlow<()> + '_ {
    move |_| if interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
