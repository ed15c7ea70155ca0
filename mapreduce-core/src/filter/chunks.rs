//! [`RecordChunks`]: a stream as blocks of whole records.

use super::from_stream::INPUT;
use crate::input::{
    CsvParser, ReadError,
    window::{Source, Window},
};
use memchr::{memchr, memrchr};
use std::io::{ErrorKind, Read};

/// What records end with.
pub(super) enum Cut {
    /// A line feed.
    Lines,
    /// So many bytes, which are one or more.
    Fixed(usize),
    /// A line feed that is not in quotes. The parser has seen so many bytes of what is there.
    Csv { parser: Box<CsvParser>, seen: usize },
}

/// Reads a stream, a block of whole records at a time; as it comes, of lines.
pub(super) struct RecordChunks<R> {
    window: Window<Stream<R>>,
    cut: Cut,
    /// The first so many bytes of the window are the current block.
    whole: usize,
    /// Bytes of the block that [`take`](Self::take) has given.
    taken: usize,
}

impl<R: Read> RecordChunks<R> {
    /// A longer record than `line_bytes_max` is an error.
    pub(super) fn new(source: R, line_bytes_max: u64) -> Self {
        let window = Window::new(Stream { source, ended: false }, 0, Vec::new(), line_bytes_max);
        Self { window, cut: Cut::Lines, whole: 0, taken: 0 }
    }

    /// Says what records end with, and that the first begins so many bytes behind the beginning. To be called ahead of the
    /// first block, and when so many bytes have been [read](Self::more).
    pub(super) fn begin(&mut self, cut: Cut, at: usize) {
        self.cut = cut;
        // As if it had been a block.
        (self.whole, self.taken) = (at, at);
    }

    /// Reads the next block. False behind the last one, which need not end as a record does.
    pub(super) fn advance(&mut self) -> Result<bool, ReadError> {
        self.window.drop_front(self.whole);
        if let Cut::Csv { seen, .. } = &mut self.cut {
            *seen = seen.saturating_sub(self.whole);
        }
        self.whole = 0;
        self.taken = 0;
        let mut searched = 0;
        loop {
            // What is behind a block holds no end of a line unless it was just read.
            let bytes = self.window.bytes();
            if let Some(end) = self.cut.last_end(bytes, searched) {
                self.whole = end;
                return Ok(true);
            }
            searched = bytes.len();
            if !self.window.read_more()? {
                self.whole = searched;
                return Ok(searched > 0);
            }
        }
    }

    /// Whether there is something to [take](Self::take).
    pub(super) fn is_more(&mut self) -> Result<bool, ReadError> {
        Ok(self.taken < self.whole || self.advance()?)
    }

    /// The next whole records, of the current block or of the next, up to the end of the record that the last of so many
    /// bytes is in (of the block, where nobody can tell in the middle of it); and where in the stream they begin. `None`
    /// behind the last.
    pub(super) fn take(&mut self, bytes: u64) -> Result<Option<(&[u8], u64)>, ReadError> {
        if !self.is_more()? {
            return Ok(None);
        }
        let begin = self.taken;
        let left = self.whole - begin;
        let last = usize::try_from(bytes).unwrap_or(left).clamp(1, left) - 1;
        let end = match self.cut {
            Cut::Lines => begin + last + line_at(self.block(), begin + last).len(),
            Cut::Fixed(bytes) => (begin + (last / bytes + 1).saturating_mul(bytes)).min(self.whole),
            Cut::Csv { .. } => self.whole,
        };
        self.taken = end;
        Ok(Some((&self.block()[begin..end], self.window.offset() + begin as u64)))
    }

    /// What has been read, before there is a block.
    pub(super) fn unread(&self) -> &[u8] {
        self.window.bytes()
    }

    /// Reads behind what is there. False if the stream has ended.
    pub(super) fn more(&mut self) -> Result<bool, ReadError> {
        self.window.read_more()
    }

    /// The current block.
    pub(super) fn block(&self) -> &[u8] {
        &self.window.bytes()[..self.whole]
    }
}

impl Cut {
    /// Where the last whole record of `bytes` ends. No line ends ahead of `searched`.
    fn last_end(&mut self, bytes: &[u8], searched: usize) -> Option<usize> {
        match self {
            Self::Lines => memrchr(b'\n', &bytes[searched..]).map(|end| searched + end + 1),
            Self::Fixed(record) => Some(bytes.len() - bytes.len() % *record).filter(|end| *end > 0),
            Self::Csv { parser, seen } => {
                let mut end = None;
                while parser.feed(bytes, seen) {
                    parser.begin();
                    end = Some(*seen);
                }
                end
            }
        }
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
