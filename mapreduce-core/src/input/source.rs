//! [`SourceFile`]: a file as it was when the splits were planned; [`FileRange`]: the part of one that a split reads.

use super::ReadError;
use serde::{Deserialize, Serialize};
use std::{io, ops::Range, path::PathBuf};

/// A file of an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SourceFile {
    pub(super) path: PathBuf,
    /// Its length when the splits were planned.
    pub(super) bytes: u64,
}

/// A range of bytes of a file.
#[derive(Clone, Debug)]
pub(super) struct FileRange {
    pub(super) path: PathBuf,
    /// The file's length when the splits were planned; the range lies within.
    pub(super) planned: u64,
    pub(super) bytes: Range<u64>,
}

impl SourceFile {
    pub(super) fn range(&self, bytes: Range<u64>) -> FileRange {
        FileRange { path: self.path.clone(), planned: self.bytes, bytes }
    }
}

impl FileRange {
    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    pub(super) fn unreadable(&self, offset: u64) -> impl Fn(io::Error) -> ReadError {
        move |source| ReadError::Io { path: self.shown(), offset, source }
    }

    pub(super) fn shrunk(&self, found: u64) -> ReadError {
        ReadError::Shrunk { path: self.shown(), expected: self.planned, found }
    }
}
