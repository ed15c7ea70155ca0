//! [`RecordChunks`]: a stream as blocks of whole records.

use crate::input::CsvParser;
use memchr::{memchr, memrchr};
use std::io::{self, ErrorKind, Read};

/// How much is read at once. A block ends at the last record end in it; a longer record makes the buffer grow.
const BLOCK_BYTES: usize = 256 << 10;

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
    source: R,
    cut: Cut,
    /// What was read: `whole` bytes are the current block, the rest of the `filled` ones is behind it.
    bytes: Vec<u8>,
    whole: usize,
    filled: usize,
    ended: bool,
    /// Bytes of the block that [`take`](Self::take) has given.
    taken: usize,
    /// Where in the stream the block begins.
    offset: u64,
}

impl<R: Read> RecordChunks<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            cut: Cut::Lines,
            bytes: Vec::new(),
            whole: 0,
            filled: 0,
            ended: false,
            taken: 0,
            offset: 0,
        }
    }

    /// Says what records end with, and that the first begins so many bytes behind the beginning. To be called ahead of the
    /// first block, and when so many bytes have been [read](Self::more).
    pub(super) fn begin(&mut self, cut: Cut, at: usize) {
        self.cut = cut;
        // As if it had been a block.
        (self.whole, self.taken) = (at, at);
    }

    /// Reads the next block. False behind the last one, which need not end as a record does.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        self.bytes.copy_within(self.whole..self.filled, 0);
        self.filled -= self.whole;
        self.offset += self.whole as u64;
        if let Cut::Csv { seen, .. } = &mut self.cut {
            *seen = seen.saturating_sub(self.whole);
        }
        self.whole = 0;
        self.taken = 0;
        let mut searched = 0;
        loop {
            // What is behind a block holds no end of a line unless it was just read.
            if let Some(end) = self.cut.last_end(&self.bytes[..self.filled], searched) {
                self.whole = end;
                return Ok(true);
            }
            if self.ended {
                self.whole = self.filled;
                return Ok(self.filled > 0);
            }
            searched = self.filled;
            self.more()?;
        }
    }

    /// The next whole records, of the current block or of the next, up to the end of the record that the last of so many
    /// bytes is in (of the block, where nobody can tell in the middle of it); and where in the stream they begin. `None`
    /// behind the last.
    pub(super) fn take(&mut self, bytes: u64) -> io::Result<Option<(&[u8], u64)>> {
        if self.taken == self.whole && !self.advance()? {
            return Ok(None);
        }
        let begin = self.taken;
        let left = self.whole - begin;
        let last = usize::try_from(bytes).unwrap_or(left).clamp(1, left) - 1;
        let end = match self.cut {
            Cut::Lines => begin + last + line_at(&self.bytes[..self.whole], begin + last).len(),
            Cut::Fixed(bytes) => (begin + (last / bytes + 1).saturating_mul(bytes)).min(self.whole),
            Cut::Csv { .. } => self.whole,
        };
        self.taken = end;
        Ok(Some((&self.bytes[begin..end], self.offset + begin as u64)))
    }

    /// Where in the stream it is read on.
    pub(super) fn end(&self) -> u64 {
        self.offset + self.filled as u64
    }

    /// What has been read, before there is a block.
    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// Reads behind what is there: until as much again is there, or the stream ends. False if it has ended.
    pub(super) fn more(&mut self) -> io::Result<bool> {
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
        Ok(self.filled > before)
    }

    /// The current block.
    pub(super) fn block(&self) -> &[u8] {
        &self.bytes[..self.whole]
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

/// The line that begins at `at` in a block, with its end.
#[inline]
pub(super) fn line_at(block: &[u8], at: usize) -> &[u8] {
    let rest = &block[at..];
    match memchr(b'\n', rest) {
        Some(end) => &rest[..=end],
        None => rest,
    }
}
