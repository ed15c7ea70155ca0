//! [`Window`]: a sliding view of the content of a file, from which blocks of whole records are taken.

use super::{LINE_BYTES_MAX, ReadError, compression::Content, source::FileRange};
use crate::Result;

/// How much is read at once. A longer record makes the buffer grow.
const BLOCK_BYTES: usize = 256 << 10;
/// Up to here the buffer doubles, which costs the least time. Beyond, memory matters more: it grows by an eighth, so
/// that while it is moved a record takes 2 1/8 of its length, and 1 1/8 then. It is given back after the record.
const DOUBLED_BYTES: usize = 16 << 20;

/// The bytes of a file that have been read and not been dropped yet.
pub(super) struct Window {
    range: FileRange,
    /// How the file is named in messages.
    place: String,
    content: Content,
    /// Of these, `filled` bytes are content, from `offset` on.
    buffer: Vec<u8>,
    filled: usize,
    offset: u64,
    record_bytes_max: usize,
}

impl Window {
    /// Opens a file at byte `offset` of its content. The buffer is used again.
    pub(super) fn open(range: FileRange, offset: u64, buffer: Vec<u8>) -> Result<Self, ReadError> {
        let content = Content::open(&range, offset)?;
        let place = match range.file.compression {
            Some(_) => format!("{} (decompressed)", range.shown()),
            None => range.shown(),
        };
        Ok(Self { range, place, content, buffer, filled: 0, offset, record_bytes_max: LINE_BYTES_MAX })
    }

    /// Records longer than `bytes` are refused.
    pub(super) fn limit(&mut self, bytes: usize) {
        self.record_bytes_max = bytes;
    }

    pub(super) fn range(&self) -> &FileRange {
        &self.range
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }

    /// Where in the content the bytes are.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Drops the first bytes.
    pub(super) fn drop_front(&mut self, count: usize) {
        self.buffer.copy_within(count..self.filled, 0);
        self.filled -= count;
        self.offset += count as u64;
        if self.buffer.len() > DOUBLED_BYTES && self.filled <= BLOCK_BYTES {
            self.buffer.truncate(2 * BLOCK_BYTES);
            self.buffer.shrink_to_fit();
        }
    }

    /// Reads behind what is there, which is less than a record if it is anything. False at the end of the file.
    ///
    /// # Errors
    /// When the file cannot be read, or what is there is longer than a record may be.
    pub(super) fn read_more(&mut self) -> Result<bool, ReadError> {
        if self.filled > self.record_bytes_max {
            return Err(ReadError::LineTooLong {
                path: self.place.clone(),
                offset: self.offset,
                bytes_max: self.record_bytes_max as u64,
            });
        }
        let mut more = match self.filled {
            0..BLOCK_BYTES => BLOCK_BYTES,
            BLOCK_BYTES..DOUBLED_BYTES => self.filled,
            _ => self.filled / 8,
        };
        // No further than the file goes, and than it takes to see that a record is too long.
        if let Some(left) = self.content.left() {
            more = more.min(usize::try_from(left).unwrap_or(usize::MAX));
        }
        let wanted = (self.filled + more).min(self.record_bytes_max.saturating_add(1).max(BLOCK_BYTES));
        if self.buffer.len() < wanted {
            // Not `resize` alone, which would double.
            self.buffer.reserve_exact(wanted - self.buffer.len());
            self.buffer.resize(wanted, 0);
        }
        let read = self.content.read(&mut self.buffer[self.filled..wanted], &self.range)?;
        self.filled += read;
        Ok(read > 0)
    }

    /// Checks that the file is still the one that was opened: called when everything of it has been read.
    pub(super) fn check(&self) -> Result<(), ReadError> {
        self.content.check(&self.range)
    }
}
