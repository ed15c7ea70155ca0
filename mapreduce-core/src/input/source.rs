//! [`SourceFile`]: a file as it was when the splits were planned; [`FileRange`]: the part of one that a split reads.

use super::{LINE_BYTES_MAX, Piece, ReadError, SplitInfo, compression::Compression};
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, Metadata},
    io,
    ops::Range,
    path::PathBuf,
    time::UNIX_EPOCH,
};

/// A compressed file is taken to hold so many times its bytes. What text has is near it, and it need not be exact: it
/// decides how many small files share a split.
const EXPANSION: u64 = 4;

/// A file of an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SourceFile {
    pub(super) path: PathBuf,
    /// Its length when the splits were planned.
    pub(super) bytes: u64,
    /// When it had last been modified then, in nanoseconds since 1970. `None` where nobody knows: it is not compared.
    pub(super) modified: Option<u64>,
    /// How its content has to be read.
    pub(super) compression: Option<Compression>,
    /// Bytes of the (decompressed) content before the first record.
    pub(super) header_bytes: u64,
    /// Whether it must not be cut, though it is not compressed.
    pub(super) whole: bool,
    /// The longest line, or record, that is read.
    pub(super) line_bytes_max: u64,
}

impl SourceFile {
    /// A file that is cut anywhere, and read as it is.
    pub(super) fn plain(path: PathBuf, bytes: u64, modified: Option<u64>) -> Self {
        let line_bytes_max = LINE_BYTES_MAX as u64;
        Self { path, bytes, modified, compression: None, header_bytes: 0, whole: false, line_bytes_max }
    }

    pub(super) fn range(&self, bytes: Range<u64>) -> FileRange {
        FileRange { file: self.clone(), bytes }
    }

    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// Whether the file must be in one split.
    pub(super) fn is_whole(&self) -> bool {
        self.whole || self.compression.is_some()
    }

    /// About how many bytes the records are.
    pub(super) fn content_bytes(&self) -> u64 {
        match self.compression {
            Some(_) => self.bytes.saturating_mul(EXPANSION),
            None => self.bytes.saturating_sub(self.header_bytes),
        }
    }
}

/// When a file was last modified, if the system can tell.
pub(super) fn modified(metadata: &Metadata) -> Option<u64> {
    let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}

/// A range of bytes of a file.
#[derive(Clone, Debug)]
pub(super) struct FileRange {
    pub(super) file: SourceFile,
    /// Lies within the planned length of the file.
    pub(super) bytes: Range<u64>,
}

impl FileRange {
    pub(super) fn shown(&self) -> String {
        self.file.shown()
    }

    pub(super) fn unreadable(&self, offset: u64) -> impl Fn(io::Error) -> ReadError {
        move |source| ReadError::Io { path: self.shown(), offset, source }
    }

    /// Opens the file, if it is the one that was planned.
    pub(super) fn open(&self) -> Result<File, ReadError> {
        let offset = self.bytes.start;
        let file = File::open(&self.file.path).map_err(self.unreadable(offset))?;
        self.check(&file)?;
        Ok(file)
    }

    /// Whether a file still is what was planned, as far as its length and time tell. Called when it is opened and again
    /// when it has been read: a change in between may have been read half.
    pub(super) fn check(&self, file: &File) -> Result<(), ReadError> {
        let now = file.metadata().map_err(self.unreadable(self.bytes.start))?;
        let (expected, found) = (self.file.bytes, now.len());
        if found < expected {
            return Err(ReadError::Shrunk { path: self.shown(), expected, found });
        }
        let difference = if found > expected {
            format!("it had {expected} bytes and now has {found}")
        } else if self.file.modified.is_some_and(|planned| Some(planned) != modified(&now)) {
            "it has been written to".to_string()
        } else {
            return Ok(());
        };
        Err(ReadError::Changed { path: self.shown(), difference })
    }
}

/// The parts of files that a split consists of.
pub(super) fn ranges(files: &[SourceFile], split: &SplitInfo) -> Vec<FileRange> {
    let pieces = split.pieces.iter();
    pieces.map(|Piece { source, range }| files[*source as usize].range(range.clone())).collect()
}

/// Where a split of byte ranges is, in words: its file, or the first and the last of them.
pub(super) fn describe(files: &[SourceFile], split: &SplitInfo) -> String {
    describe_as(files, split, |file, range| match file.is_whole() {
        true => "all of it".to_string(),
        false => format!("bytes {} to {}", range.start, range.end),
    })
}

/// The same with other units.
pub(super) fn describe_as(
    files: &[SourceFile],
    split: &SplitInfo,
    words: impl Fn(&SourceFile, &Range<u64>) -> String,
) -> String {
    let shown = |Piece { source, range }: &Piece| {
        let file = &files[*source as usize];
        format!("{}, {}", file.path.display(), words(file, range))
    };
    match split.pieces.as_slice() {
        [] => String::new(),
        [one] => shown(one),
        [first, .., last] => format!("{} ... {}", shown(first), shown(last)),
    }
}
