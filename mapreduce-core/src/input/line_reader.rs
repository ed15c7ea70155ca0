//! [`LineReader`]: the bytes of lines in ranges of files, a block of whole lines at a time.

use super::{ReadError, source::FileRange};
use crate::{Result, exec::Chunks};
use memchr::{memchr, memrchr};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    vec,
};

/// How much is read at once. A block ends at the last line end in it; a longer line makes the buffer grow.
const BLOCK_BYTES: usize = 256 << 10;

/// Reads the lines that begin in ranges of files, one range after the other.
pub(super) struct LineReader {
    ranges: vec::IntoIter<FileRange>,
    /// The range that is being read.
    open: Option<RangeReader>,
}

impl LineReader {
    pub(super) fn new(ranges: Vec<FileRange>) -> Self {
        Self { ranges: ranges.into_iter(), open: None }
    }

    /// Reads the next block. False behind the last one.
    pub(super) fn advance(&mut self) -> Result<bool, ReadError> {
        loop {
            if let Some(reader) = &mut self.open
                && reader.fill()?
            {
                return Ok(true);
            }
            let Some(range) = self.ranges.next() else { return Ok(false) };
            let bytes = self.open.take().map(|reader| reader.bytes).unwrap_or_default();
            self.open = Some(RangeReader::open(range, bytes)?);
        }
    }

    /// The block: whole lines, their file, and where in it they are.
    pub(super) fn lines(&self) -> (&[u8], &str, u64) {
        match &self.open {
            Some(RangeReader { path, bytes, offset, lines, .. }) => (&bytes[..*lines], path, *offset),
            None => (&[], "", 0),
        }
    }
}

impl Chunks for LineReader {
    fn next_chunk(&mut self) -> Result<Option<&[u8]>, ReadError> {
        Ok(if self.advance()? { Some(self.lines().0) } else { None })
    }
}

/// Reads the whole lines that begin in a byte range.
struct RangeReader {
    path: String,
    planned: u64,
    file: File,
    end: u64,
    /// The file's bytes from `offset` on that have been read: `lines` of them are the current block, whole lines.
    bytes: Vec<u8>,
    filled: usize,
    lines: usize,
    offset: u64,
}

impl RangeReader {
    fn open(range: FileRange, bytes: Vec<u8>) -> Result<Self, ReadError> {
        // One byte earlier: if that is a line end, the line behind it begins in this range.
        let offset = range.bytes.start.saturating_sub(1);
        let file = File::open(&range.path)
            .and_then(|mut file| file.seek(SeekFrom::Start(offset)).map(|_| file))
            .map_err(range.unreadable(offset))?;
        let mut reader = Self {
            path: range.shown(),
            planned: range.planned,
            file,
            end: range.bytes.end,
            bytes,
            filled: 0,
            lines: 0,
            offset,
        };
        if range.bytes.start > 0 {
            reader.skip_line()?;
        }
        Ok(reader)
    }

    /// Drops what belongs to the range before: everything up to the first line end.
    fn skip_line(&mut self) -> Result<(), ReadError> {
        loop {
            let read = self.read_more()?;
            match memchr(b'\n', &self.bytes[..self.filled]) {
                Some(end) => {
                    self.lines = end + 1;
                    return Ok(());
                }
                None if read == 0 || self.offset + self.filled as u64 >= self.end => {
                    // No line begins in this range.
                    self.lines = self.filled;
                    self.end = self.end.min(self.offset + self.filled as u64);
                    return Ok(());
                }
                None => {
                    self.offset += self.filled as u64;
                    self.filled = 0;
                }
            }
        }
    }

    /// Drops the current block and makes the next one: whole lines that begin before `end`. False behind the last.
    fn fill(&mut self) -> Result<bool, ReadError> {
        self.bytes.copy_within(self.lines..self.filled, 0);
        self.filled -= self.lines;
        self.offset += self.lines as u64;
        self.lines = 0;
        if self.offset >= self.end {
            return Ok(false);
        }
        let mut searched = 0;
        loop {
            // The last line is the one that begins before `end`; it ends at the first line end from `end - 1` on.
            let last_byte = (self.end - 1 - self.offset) as usize;
            if self.filled > last_byte
                && let Some(end) = memchr(b'\n', &self.bytes[last_byte.max(searched)..self.filled])
            {
                self.lines = last_byte.max(searched) + end + 1;
                return Ok(true);
            }
            let before = self.filled.min(last_byte);
            if searched < before
                && let Some(end) = memrchr(b'\n', &self.bytes[searched..before])
            {
                self.lines = searched + end + 1;
                return Ok(true);
            }
            searched = self.filled;
            if self.read_more()? == 0 {
                self.lines = self.filled;
                return Ok(self.filled > 0);
            }
        }
    }

    /// Reads behind what is there. The end of the file before its planned length is an error.
    fn read_more(&mut self) -> Result<usize, ReadError> {
        let wanted = self.filled + BLOCK_BYTES.max(self.filled);
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
        let offset = self.offset + self.filled as u64;
        // Up to the planned length only: lines appended meanwhile are not part of the job.
        let left = usize::try_from(self.planned - offset).unwrap_or(usize::MAX);
        let room = (self.bytes.len() - self.filled).min(left);
        let mut read = 0;
        while read < room {
            match self.file.read(&mut self.bytes[self.filled + read..self.filled + room]) {
                Ok(0) => {
                    let end = offset + read as u64;
                    let found = self.file.metadata().map_or(end, |now| now.len().min(end));
                    return Err(ReadError::Shrunk { path: self.path.clone(), expected: self.planned, found });
                }
                Ok(n) => read += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(ReadError::Io { path: self.path.clone(), offset, source }),
            }
        }
        self.filled += read;
        Ok(read)
    }
}
