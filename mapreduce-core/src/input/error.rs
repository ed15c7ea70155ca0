//! [`ReadError`]: why a split cannot be read.

use crate::{FailureKind, exec::SpillError};
use std::{fmt, io};

/// Why a block could not be read. Names the file and the offset where there are such.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The operating system said no. Trying again may help.
    #[error("{path}: cannot read at byte {offset}: {source}")]
    Io {
        /// The file.
        path: String,
        /// Where in the file.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The output of an earlier job, which is in spill files, cannot be read back.
    #[error(transparent)]
    Spill(#[from] SpillError),
    /// A file is shorter than it was when the job was planned.
    #[error(
        "{path}: ends at byte {found}, but had {expected} bytes when the job was planned; do not change the input of a running job"
    )]
    Shrunk {
        /// The file.
        path: String,
        /// Its length when the job was planned.
        expected: u64,
        /// Its length now.
        found: u64,
    },
    /// A file is not the one that it was when the job was planned. Trying again does not help.
    #[error(
        "{path}: has changed since the job was planned: {difference}; do not change the input of a running job, or give \
         it a copy"
    )]
    Changed {
        /// The file.
        path: String,
        /// What is different.
        difference: String,
    },
    /// A compressed file is cut off or damaged. Trying again does not help.
    #[error(
        "{path}: cannot be decompressed at byte {offset} of the compressed file: {message}; make or copy the file again"
    )]
    Corrupt {
        /// The file.
        path: String,
        /// About where in the compressed file.
        offset: u64,
        /// What the decoder said.
        message: String,
    },
    /// A line of text, or a record of a CSV file, is longer than [`LINE_BYTES_MAX`](super::LINE_BYTES_MAX), or
    /// what the input was [given](crate::TextFiles::with_line_bytes_max). Trying again does not help.
    #[error(
        "{path}: the line that begins at byte {offset} is longer than {bytes_max} bytes; raise `line_bytes_max` of \
         the input, or, if it is no text, read it as `FixedFiles` or with an input of your own"
    )]
    LineTooLong {
        /// The file.
        path: String,
        /// Where the line begins.
        offset: u64,
        /// The longest line that is read.
        bytes_max: u64,
    },
    /// A record is not what it should be. Trying again does not help.
    #[error("{path}, {}byte {offset}: {message}", Line(*line))]
    BadRecord {
        /// The file.
        path: String,
        /// The line that the record begins in, counted from 1. `None` where nobody knows it, as on another node.
        line: Option<u64>,
        /// Where the record begins.
        offset: u64,
        /// What is wrong and what can be done.
        message: String,
    },
    /// The program of this node cannot read files of this kind. Another node may be able to.
    #[error(
        "{path}: this program was built without the feature `{feature}` of mapreduce-core, which reads such files; build \
         it in"
    )]
    NotBuiltIn {
        /// The file.
        path: String,
        /// The feature.
        feature: &'static str,
    },
    /// Text is not UTF-8. Trying again does not help.
    #[error("{place}: not UTF-8 at byte {offset}; read the input as `Lines` (bytes), or convert the file")]
    NotUtf8 {
        /// The file.
        place: String,
        /// Where in the file.
        offset: u64,
    },
    /// The bytes are not what the records say they are. Trying again does not help.
    #[error("{place}: {message}")]
    Malformed {
        /// Where: a file and an offset, or words for one.
        place: String,
        /// What is wrong and what can be done.
        message: String,
    },
    /// An input of a kind that has no [`Input::ship`](super::Input::ship). Trying again does not help.
    #[error(
        "{input}: this kind of input cannot be sent to other nodes; run the job on `Local`, or implement `Input::ship`"
    )]
    NotShippable {
        /// Where the split is.
        input: String,
    },
    /// A file of a dataset [on shared storage](crate::Dataset::on_shared_storage) is missing or different on this node. The
    /// node is at fault; another may have the right one.
    #[error(
        "{path}: is not the file that the driver reads: {difference}; give all nodes the same storage under the same \
         path, or leave `on_shared_storage` out"
    )]
    NotShared {
        /// The file.
        path: String,
        /// What is different.
        difference: String,
    },
}

impl ReadError {
    /// Whether reading again gives the same error, on whichever node.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Io { .. } | Self::NotShared { .. } | Self::NotBuiltIn { .. } => false,
            Self::Spill(error) => error.is_permanent(),
            _ => true,
        }
    }

    /// The kind of failure of an attempt that fails with this error: [`Storage`](FailureKind::Storage) if the node is
    /// at fault, [`Spill`](FailureKind::Spill) if a spill file is, [`Read`](FailureKind::Read) otherwise.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::NotShared { .. } | Self::NotBuiltIn { .. } => FailureKind::Storage,
            Self::Spill(_) => FailureKind::Spill,
            _ => FailureKind::Read,
        }
    }

    /// Says where the block was that [`Records::block`](super::Records::block) could not read.
    pub(crate) fn within(self, path: &str, offset: u64) -> Self {
        match self {
            Self::Malformed { place, message } => {
                Self::Malformed { place: format!("{path}, block at byte {offset}, {place}"), message }
            }
            Self::NotUtf8 { offset: within, .. } => {
                Self::NotUtf8 { place: path.to_string(), offset: offset + within }
            }
            Self::BadRecord { line, offset: within, message, .. } => {
                Self::BadRecord { path: path.to_string(), line, offset: offset + within, message }
            }
            other => other,
        }
    }
}

/// The number of a line in a message, if it is known.
struct Line(Option<u64>);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(line) => write!(f, "line {line}, "),
            None => Ok(()),
        }
    }
}
