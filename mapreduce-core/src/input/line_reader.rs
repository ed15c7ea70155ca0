//! [`LineReader`]: the bytes of lines in ranges of files, a block of whole lines at a time.

use super::{ReadError, source::FileRange, window::FileWindow};
use crate::{Result, exec::Chunks};
use memchr::{memchr, memrchr};
use std::vec;

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
            let buffer = self.open.take().map(|reader| reader.window.into_buffer()).unwrap_or_default();
            self.open = Some(RangeReader::open(range, buffer)?);
        }
    }

    /// The part of a file that is being read.
    pub(super) fn file(&self) -> Option<&FileRange> {
        self.open.as_ref().map(|reader| reader.window.range())
    }

    /// The block: whole lines, their file, and where in it they are.
    pub(super) fn lines(&self) -> (&[u8], &str, u64) {
        match &self.open {
            Some(RangeReader { window, lines, .. }) => {
                (&window.bytes()[..*lines], window.place(), window.offset())
            }
            None => (&[], "", 0),
        }
    }
}

impl Chunks for LineReader {
    fn next_chunk(&mut self) -> Result<Option<&[u8]>, ReadError> {
        Ok(if self.advance()? { Some(self.lines().0) } else { None })
    }
}

/// Reads the whole lines that begin in a byte range of a file, or all lines of one that is compressed.
struct RangeReader {
    /// What has been read: `lines` bytes of it are the current block, whole lines.
    window: FileWindow,
    lines: usize,
    /// The first byte of the content that belongs to somebody else.
    end: u64,
}

impl RangeReader {
    fn open(range: FileRange, buffer: Vec<u8>) -> Result<Self, ReadError> {
        if range.file.is_whole() {
            let header_bytes = range.file.header_bytes;
            let window = FileWindow::open(range, header_bytes, buffer)?;
            return Ok(Self { window, lines: 0, end: u64::MAX });
        }
        let (start, end) = (range.bytes.start, range.bytes.end);
        if start <= range.file.header_bytes {
            return Ok(Self { window: FileWindow::open(range, start, buffer)?, lines: 0, end });
        }
        // One byte earlier: if that is a line end, the line behind it begins in this range.
        let mut reader = Self { window: FileWindow::open(range, start - 1, buffer)?, lines: 0, end };
        reader.skip_line()?;
        Ok(reader)
    }

    /// Drops what belongs to the range before: everything up to the first line end.
    fn skip_line(&mut self) -> Result<(), ReadError> {
        loop {
            let more = self.window.read_more()?;
            let filled = self.window.bytes().len();
            let read_to = self.window.offset() + filled as u64;
            match memchr(b'\n', self.window.bytes()) {
                Some(end) => {
                    self.lines = end + 1;
                    return Ok(());
                }
                None if !more || read_to >= self.end => {
                    // No line begins in this range.
                    self.lines = filled;
                    self.end = self.end.min(read_to);
                    return Ok(());
                }
                None => self.window.drop_front(filled),
            }
        }
    }

    /// Drops the current block and makes the next one: whole lines that begin before `end`. False behind the last.
    fn fill(&mut self) -> Result<bool, ReadError> {
        self.window.drop_front(self.lines);
        self.lines = 0;
        let offset = self.window.offset();
        if offset >= self.end {
            self.window.check()?;
            return Ok(false);
        }
        // The last line is the one that begins before `end`; it ends at the first line end from `end - 1` on.
        let last_byte = usize::try_from(self.end - 1 - offset).unwrap_or(usize::MAX);
        let mut searched = 0;
        loop {
            let bytes = self.window.bytes();
            let filled = bytes.len();
            if filled > last_byte
                && let Some(end) = memchr(b'\n', &bytes[last_byte.max(searched)..])
            {
                self.lines = last_byte.max(searched) + end + 1;
                return Ok(true);
            }
            let before = filled.min(last_byte);
            if searched < before
                && let Some(end) = memrchr(b'\n', &bytes[searched..before])
            {
                self.lines = searched + end + 1;
                return Ok(true);
            }
            searched = filled;
            if !self.window.read_more()? {
                self.lines = filled;
                if filled == 0 {
                    self.window.check()?;
                }
                return Ok(filled > 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::file_list;
    use std::fs;

    /// The lengths of the blocks of a file, with lines of at most `bytes_max` bytes, or the error.
    fn blocks(content: &[u8], bytes_max: u64) -> Result<Vec<usize>, ReadError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("text");
        fs::write(&path, content).expect("written");
        let mut file = file_list::list("", [&path]).expect("listed").remove(0);
        file.line_bytes_max = bytes_max;
        let mut reader = RangeReader::open(file.range(0..file.bytes), Vec::new())?;
        let mut blocks = Vec::new();
        while reader.fill()? {
            blocks.push(reader.lines);
        }
        Ok(blocks)
    }

    #[test]
    fn a_line_that_is_too_long_is_an_error_that_says_where_it_begins() {
        for (before, len) in [(0, 1_000_001), (7, 1_000_001), (300_000, 3_000_000)] {
            let line = [vec![b'a'; before], b"\n".to_vec(), vec![b'b'; len]].concat();
            for text in [line.clone(), [&line[..], b"\nshort\n"].concat()] {
                match blocks(&text, 1_000_000) {
                    Err(ReadError::LineTooLong { offset, bytes_max: 1_000_000, .. }) => {
                        assert_eq!(offset, before as u64 + 1);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit() {
        let line = vec![b'a'; 999_999];
        assert_eq!(blocks(&line, 1_000_000).expect("read"), [999_999]);
        let lines = [&line[..], b"\n", &line, b"\n"].concat();
        assert_eq!(blocks(&lines, 1_000_000).expect("read"), [1_000_000; 2]);
    }

    #[test]
    fn the_buffer_grows_little_beyond_a_long_line_and_shrinks_again() {
        let long = 40_000_000;
        let text = [vec![b'a'; long], b"\n".to_vec(), b"a line\n".repeat(1_000_000)].concat();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("text");
        fs::write(&path, &text).expect("written");
        let file = file_list::list("", [&path]).expect("listed").remove(0);
        let mut reader = RangeReader::open(file.range(0..file.bytes), Vec::new()).expect("opened");
        assert!(reader.fill().expect("read") && reader.lines > long);
        assert!(reader.window.bytes().len() < long + long / 8 + 1, "{}", reader.window.bytes().len());
        let mut read = reader.lines;
        while reader.fill().expect("read") {
            read += reader.lines;
        }
        assert_eq!(read, text.len());
        assert!(reader.window.into_buffer().capacity() < 1 << 20);
    }
}
