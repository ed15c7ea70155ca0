//! [`LineChunks`]: a stream as blocks of whole lines.

use memchr::{memchr, memrchr};
use std::io::{self, ErrorKind, Read};

/// How much is read at once. A block ends at the last line end in it; a longer line makes the buffer grow.
const BLOCK_BYTES: usize = 256 << 10;

/// Reads a stream, a block of whole lines at a time.
pub(super) struct LineChunks<R> {
    source: R,
    /// What was read: `lines` bytes are the current block, the rest of the `filled` ones is behind it.
    bytes: Vec<u8>,
    lines: usize,
    filled: usize,
    ended: bool,
    /// Bytes of the block that [`take`](Self::take) has given.
    taken: usize,
    /// Where in the stream the block begins.
    offset: u64,
}

impl<R: Read> LineChunks<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, bytes: Vec::new(), lines: 0, filled: 0, ended: false, taken: 0, offset: 0 }
    }

    /// Reads the next block. False behind the last one, which need not end with a line feed.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        self.bytes.copy_within(self.lines..self.filled, 0);
        self.filled -= self.lines;
        self.offset += self.lines as u64;
        self.lines = 0;
        self.taken = 0;
        let mut searched = 0;
        loop {
            // What is behind a block holds no line end unless it was just read.
            if let Some(end) = memrchr(b'\n', &self.bytes[searched..self.filled]) {
                self.lines = searched + end + 1;
                return Ok(true);
            }
            if self.ended {
                self.lines = self.filled;
                return Ok(self.filled > 0);
            }
            searched = self.filled;
            self.read()?;
        }
    }

    /// The next whole lines, of the current block or of the next, up to the end of the line that the last of so many bytes
    /// is in; and where in the stream they begin. `None` behind the last.
    pub(super) fn take(&mut self, bytes: u64) -> io::Result<Option<(&[u8], u64)>> {
        if self.taken == self.lines && !self.advance()? {
            return Ok(None);
        }
        let begin = self.taken;
        let left = self.lines - begin;
        let last = usize::try_from(bytes).unwrap_or(left).clamp(1, left) - 1;
        let end = begin + last + line_at(&self.bytes[..self.lines], begin + last).len();
        self.taken = end;
        Ok(Some((&self.bytes[begin..end], self.offset + begin as u64)))
    }

    /// Where in the stream it is read on.
    pub(super) fn end(&self) -> u64 {
        self.offset + self.filled as u64
    }

    /// Reads behind what is there: until as much again is there, or the stream has no more for now.
    fn read(&mut self) -> io::Result<()> {
        let wanted = self.filled + BLOCK_BYTES.max(self.filled);
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
        let before = self.filled;
        // A pipe gives less at a time than a block has, and a block of a few lines would cost as much as a whole one.
        while self.filled < wanted && !self.ended {
            match self.source.read(&mut self.bytes[self.filled..wanted]) {
                Ok(0) => self.ended = true,
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        debug_assert!(self.ended || self.filled > before);
        Ok(())
    }

    /// The current block.
    pub(super) fn block(&self) -> &[u8] {
        &self.bytes[..self.lines]
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
