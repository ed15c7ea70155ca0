//! [`RowReader`]: the bytes of rows in files, a block at a time.

use super::{ReadError, source::FileRange};
use crate::{Result, exec::Chunks};
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    vec,
};

/// Blocks are about this long: they fit into a core's second-level cache together with what a kernel works on.
const BLOCK_BYTES: usize = 256 << 10;

/// The rows of a block.
pub(super) fn block_rows(row_bytes: usize) -> usize {
    (BLOCK_BYTES / row_bytes).max(1)
}

/// Reads ranges of whole rows by position, into buffers of the caller's.
pub(super) struct RowReader {
    ranges: vec::IntoIter<FileRange>,
    row_bytes: usize,
    /// What is left of the range that is being read.
    open: Option<(FileRange, File)>,
}

impl RowReader {
    pub(super) fn new(ranges: Vec<FileRange>, row_bytes: usize) -> Self {
        Self { ranges: ranges.into_iter(), row_bytes, open: None }
    }

    /// The length of the next block, or `None` behind the last one.
    pub(super) fn next_len(&mut self) -> Result<Option<usize>, ReadError> {
        loop {
            if let Some((range, file)) = &self.open {
                if range.bytes.is_empty() {
                    range.check(file)?;
                    self.open = None;
                    continue;
                }
                let left = usize::try_from(range.bytes.end - range.bytes.start).unwrap_or(usize::MAX);
                return Ok(Some(left.min(block_rows(self.row_bytes) * self.row_bytes)));
            }
            let Some(range) = self.ranges.next() else { return Ok(None) };
            let file = range.open()?;
            self.open = Some((range, file));
        }
    }

    /// Reads the next block, of which [`next_len`](Self::next_len) has given the length.
    pub(super) fn read(&mut self, block: &mut [u8]) -> Result<(), ReadError> {
        let Some((range, file)) = &mut self.open else { return Ok(()) };
        let start = range.bytes.start;
        if let Err(error) = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(block)) {
            range.check(file)?;
            return Err(range.unreadable(start)(error));
        }
        range.bytes.start += block.len() as u64;
        Ok(())
    }
}

/// The blocks as they lie in the files.
pub(super) struct RowChunks {
    reader: RowReader,
    block: Vec<u8>,
}

impl RowChunks {
    pub(super) fn new(ranges: Vec<FileRange>, row_bytes: usize) -> Self {
        Self { reader: RowReader::new(ranges, row_bytes), block: Vec::new() }
    }
}

impl Chunks for RowChunks {
    fn next_chunk(&mut self) -> Result<Option<&[u8]>, ReadError> {
        let Some(len) = self.reader.next_len()? else { return Ok(None) };
        self.block.resize(len, 0);
        self.reader.read(&mut self.block)?;
        Ok(Some(&self.block))
    }
}
