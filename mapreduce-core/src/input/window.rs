//! [`Window`]: a sliding view of the content of a file or stream, from which blocks of whole records are taken.

use super::{ReadError, compression::Content, source::FileRange};
use crate::Result;

/// How much is read at once. A longer record makes the buffer grow.
const BLOCK_BYTES: usize = 256 << 10;
/// Up to here the buffer doubles, which costs the least time. Beyond, memory matters more: it grows by an eighth, so
/// that while it is moved a record takes 2 1/8 of its length, and 1 1/8 then. It is given back after the record.
const DOUBLED_BYTES: usize = 16 << 20;

/// What a window looks at.
pub(crate) trait Source {
    /// Fills the buffer, or as much of it as there still is. `offset` is where that lies, for messages.
    fn read(&mut self, buffer: &mut [u8], offset: u64) -> Result<usize, ReadError>;

    /// About how many bytes there still are, where that is known.
    fn left(&self) -> Option<u64> {
        None
    }

    /// How messages name it.
    fn place(&self) -> &str;
}

/// The bytes of a source that have been read and not been dropped yet.
pub(crate) struct Window<S> {
    source: S,
    /// Of these, `filled` bytes are content, from `offset` on.
    buffer: Vec<u8>,
    filled: usize,
    offset: u64,
    record_bytes_max: usize,
}

impl<S: Source> Window<S> {
    /// A view of what a source gives from byte `offset` on, with records of at most `record_bytes_max`, or 256 KiB. The
    /// buffer is used again.
    pub(crate) fn new(source: S, offset: u64, buffer: Vec<u8>, record_bytes_max: u64) -> Self {
        let record_bytes_max = usize::try_from(record_bytes_max).unwrap_or(usize::MAX).max(BLOCK_BYTES);
        Self { source, buffer, filled: 0, offset, record_bytes_max }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }

    /// Where in the content the bytes are.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn place(&self) -> &str {
        self.source.place()
    }

    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Drops the first bytes.
    pub(crate) fn drop_front(&mut self, count: usize) {
        self.buffer.copy_within(count..self.filled, 0);
        self.filled -= count;
        self.offset += count as u64;
        if self.buffer.len() > DOUBLED_BYTES && self.filled <= BLOCK_BYTES {
            self.buffer.truncate(2 * BLOCK_BYTES);
            self.buffer.shrink_to_fit();
        }
    }

    /// Reads behind what is there, which is less than a record if it is anything. False at the end.
    ///
    /// # Errors
    /// When the source cannot be read, or what is there is longer than a record may be.
    pub(crate) fn read_more(&mut self) -> Result<bool, ReadError> {
        if self.filled > self.record_bytes_max {
            return Err(ReadError::LineTooLong {
                path: self.place().to_owned(),
                offset: self.offset,
                bytes_max: self.record_bytes_max as u64,
            });
        }
        let mut more = match self.filled {
            0..BLOCK_BYTES => BLOCK_BYTES,
            BLOCK_BYTES..DOUBLED_BYTES => self.filled,
            _ => self.filled / 8,
        };
        // No further than the content goes, and than it takes to see that a record is too long.
        if let Some(left) = self.source.left() {
            more = more.min(usize::try_from(left).unwrap_or(usize::MAX));
        }
        let wanted = (self.filled + more).min(self.record_bytes_max.saturating_add(1));
        if self.buffer.len() < wanted {
            // Not `resize` alone, which would double.
            self.buffer.reserve_exact(wanted - self.buffer.len());
            self.buffer.resize(wanted, 0);
        }
        let end = self.offset + self.filled as u64;
        let read = self.source.read(&mut self.buffer[self.filled..wanted], end)?;
        self.filled += read;
        Ok(read > 0)
    }
}

/// An open file of an input.
pub(super) struct FileContent {
    range: FileRange,
    place: String,
    content: Content,
}

impl Source for FileContent {
    fn read(&mut self, buffer: &mut [u8], _: u64) -> Result<usize, ReadError> {
        self.content.read(buffer, &self.range)
    }

    fn left(&self) -> Option<u64> {
        self.content.left()
    }

    fn place(&self) -> &str {
        &self.place
    }
}

/// The bytes of a file.
pub(super) type FileWindow = Window<FileContent>;

impl FileWindow {
    /// Opens a file at byte `offset` of its content. The buffer is used again.
    pub(super) fn open(range: FileRange, offset: u64, buffer: Vec<u8>) -> Result<Self, ReadError> {
        let line_bytes_max = range.file.line_bytes_max;
        Self::open_limited(range, offset, buffer, line_bytes_max)
    }

    /// The same, where records are not to be longer than `record_bytes_max`.
    pub(super) fn open_limited(
        range: FileRange,
        offset: u64,
        buffer: Vec<u8>,
        record_bytes_max: u64,
    ) -> Result<Self, ReadError> {
        let content = Content::open(&range, offset)?;
        let place = match range.file.compression {
            Some(_) => format!("{} (decompressed)", range.shown()),
            None => range.shown(),
        };
        Ok(Self::new(FileContent { range, place, content }, offset, buffer, record_bytes_max))
    }

    pub(super) fn range(&self) -> &FileRange {
        &self.source.range
    }

    /// Checks that the file is still the one that was opened: called when everything of it has been read.
    pub(super) fn check(&self) -> Result<(), ReadError> {
        self.source.content.check(&self.source.range)
    }
}
