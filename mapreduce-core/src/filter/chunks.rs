//! [`LineChunks`]: a stream as blocks of whole lines.

use crate::input::{
    ReadError,
    window::{Source, Window},
};
use memchr::{memchr, memrchr};
use std::io::{ErrorKind, Read};

/// What messages call the stream.
pub(super) const INPUT: &str = "input";

/// Reads a stream, a block of whole lines at a time.
pub(super) struct LineChunks<R> {
    window: Window<Stream<R>>,
    /// The first so many bytes of the window are the current block.
    lines: usize,
    /// Bytes of the block that [`take`](Self::take) has given.
    taken: usize,
}

impl<R: Read> LineChunks<R> {
    /// A longer line than `line_bytes_max` is an error.
    pub(super) fn new(source: R, line_bytes_max: u64) -> Self {
        let window = Window::new(Stream { source, ended: false }, 0, Vec::new(), line_bytes_max);
        Self { window, lines: 0, taken: 0 }
    }

    /// Reads the next block. False behind the last one, which need not end with a line feed.
    pub(super) fn advance(&mut self) -> Result<bool, ReadError> {
        self.window.drop_front(self.lines);
        self.lines = 0;
        self.taken = 0;
        let mut searched = 0;
        loop {
            // What is behind a block holds no line end unless it was just read.
            let bytes = self.window.bytes();
            if let Some(end) = memrchr(b'\n', &bytes[searched..]) {
                self.lines = searched + end + 1;
                return Ok(true);
            }
            searched = bytes.len();
            if !self.window.read_more()? {
                self.lines = searched;
                return Ok(searched > 0);
            }
        }
    }

    /// Whether there is something to [take](Self::take).
    pub(super) fn is_more(&mut self) -> Result<bool, ReadError> {
        Ok(self.taken < self.lines || self.advance()?)
    }

    /// The next whole lines, of the current block or of the next, up to the end of the line that the last of so many bytes
    /// is in; and where in the stream they begin. `None` behind the last.
    pub(super) fn take(&mut self, bytes: u64) -> Result<Option<(&[u8], u64)>, ReadError> {
        if !self.is_more()? {
            return Ok(None);
        }
        let begin = self.taken;
        let left = self.lines - begin;
        let last = usize::try_from(bytes).unwrap_or(left).clamp(1, left) - 1;
        self.taken += last + line_at(self.block(), begin + last).len();
        Ok(Some((&self.block()[begin..self.taken], self.window.offset() + begin as u64)))
    }

    /// The current block.
    pub(super) fn block(&self) -> &[u8] {
        &self.window.bytes()[..self.lines]
    }
}

struct Stream<R> {
    source: R,
    ended: bool,
}

impl<R: Read> Source for Stream<R> {
    /// A pipe gives less at a time than a block has, and a block of a few lines would cost as much as a whole one.
    fn read(&mut self, buffer: &mut [u8], offset: u64) -> Result<usize, ReadError> {
        let mut filled = 0;
        while filled < buffer.len() && !self.ended {
            match self.source.read(&mut buffer[filled..]) {
                Ok(0) => self.ended = true,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(ReadError::Io { path: INPUT.to_owned(), offset, source }),
            }
        }
        Ok(filled)
    }

    fn place(&self) -> &str {
        INPUT
    }
}

/// The line that begins at `at` in a block, with its end.
#[inline]
pub(super) fn line_at(block: &[u8], at: usize) -> &[u8] {
    let rest = &block[at..];
    match memchr(b'\n', rest) {
        Some(end) => &rest[..=end],
        None => rest,
    }
}
