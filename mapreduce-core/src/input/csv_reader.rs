//! [`CsvReader`]: the bytes of CSV records in files, a block of whole records at a time. Records of one line each are
//! read as lines; what is here knows quotes.

use super::{
    ReadError,
    csv_parser::Parser,
    csv_records::{Dialect, bad_record},
    line_reader::LineReader,
    source::FileRange,
    window::FileWindow,
};
use crate::{Result, exec::Chunks};
use csv::ByteRecord;
use std::vec;

/// Blocks of whole records, and where they are.
pub(super) enum CsvReader {
    /// Every line is a record.
    Lines(Box<LineReader>),
    /// Records have line ends in their fields.
    Multiline(Box<MultilineReader>),
}

impl CsvReader {
    pub(super) fn new(ranges: Vec<FileRange>, dialect: Dialect) -> Self {
        match dialect.multiline {
            false => Self::Lines(Box::new(LineReader::new(ranges))),
            true => Self::Multiline(Box::new(MultilineReader {
                files: ranges.into_iter(),
                dialect,
                buffer: Vec::new(),
                open: None,
            })),
        }
    }

    /// Reads the next block. False behind the last one.
    pub(super) fn advance(&mut self) -> Result<bool, ReadError> {
        match self {
            Self::Lines(reader) => reader.advance(),
            Self::Multiline(reader) => reader.advance(),
        }
    }

    /// The file that is being read.
    pub(super) fn file(&self) -> Option<&FileRange> {
        match self {
            Self::Lines(reader) => reader.file(),
            Self::Multiline(reader) => reader.open.as_ref().map(|open| open.window.range()),
        }
    }

    /// The block: whole records, their file, and where in it they are.
    pub(super) fn records(&self) -> (&[u8], &str, u64) {
        match self {
            Self::Lines(reader) => reader.lines(),
            Self::Multiline(reader) => match &reader.open {
                Some(open) => (&open.window.bytes()[..open.block], open.window.place(), open.window.offset()),
                None => (&[], "", 0),
            },
        }
    }
}

impl Chunks for CsvReader {
    fn next_chunk(&mut self) -> Result<Option<&[u8]>, ReadError> {
        Ok(if self.advance()? { Some(self.records().0) } else { None })
    }
}

/// Reads whole files, one after the other.
pub(super) struct MultilineReader {
    files: vec::IntoIter<FileRange>,
    dialect: Dialect,
    buffer: Vec<u8>,
    open: Option<OpenFile>,
}

impl MultilineReader {
    fn advance(&mut self) -> Result<bool, ReadError> {
        loop {
            if let Some(open) = &mut self.open {
                if open.advance()? {
                    return Ok(true);
                }
                self.buffer = self.open.take().map(|open| open.window.into_buffer()).unwrap_or_default();
            }
            let Some(range) = self.files.next() else { return Ok(false) };
            let header_bytes = range.file.header_bytes;
            let window = FileWindow::open(range, header_bytes, std::mem::take(&mut self.buffer))?;
            self.open = Some(OpenFile { window, parser: Parser::new(self.dialect), parsed: 0, block: 0 });
        }
    }
}

struct OpenFile {
    window: FileWindow,
    /// Has seen `parsed` bytes of the window; the first `block` of them are the current block, whole records.
    parser: Parser,
    parsed: usize,
    block: usize,
}

impl OpenFile {
    fn advance(&mut self) -> Result<bool, ReadError> {
        self.window.drop_front(self.block);
        self.parsed -= self.block;
        self.block = 0;
        loop {
            let bytes = self.window.bytes();
            while self.parser.feed(bytes, &mut self.parsed) {
                self.parser.begin();
                self.block = self.parsed;
            }
            if self.block > 0 {
                return Ok(true);
            }
            if !self.window.read_more()? {
                break;
            }
        }
        let rest = self.window.bytes();
        self.block = rest.len();
        let ended = matches!(rest.last(), None | Some(b'\n'));
        match (self.parser.is_empty() && ended) || self.parser.end() {
            // Nothing but empty lines, if that.
            true if self.parser.is_empty() => self.window.check().map(|()| false),
            true => {
                self.parser.begin();
                Ok(true)
            }
            false => {
                let start = rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
                Err(bad_record(start, self.parser.open_quotes())
                    .within(self.window.place(), self.window.offset()))
            }
        }
    }
}

/// The longest header. Otherwise a quote that nobody closes would make the whole file one.
pub(crate) const HEADER_BYTES_MAX: u64 = 1 << 20;

/// The beginning of a file.
pub(super) struct FirstRecord {
    pub(super) record: ByteRecord,
    /// Where it begins: behind a byte-order mark, if there is one.
    pub(super) start: u64,
    /// Where the line behind it begins.
    pub(super) end: u64,
}

/// Bytes that are read as far as somebody wants to see them.
pub(crate) trait Growing {
    /// What has been read.
    fn bytes(&self) -> &[u8];

    /// Reads more. False at the end.
    fn read_more(&mut self) -> Result<bool, ReadError>;

    /// What it is called in messages.
    fn place(&self) -> &str;
}

impl Growing for FileWindow {
    fn bytes(&self) -> &[u8] {
        self.bytes()
    }

    fn read_more(&mut self) -> Result<bool, ReadError> {
        self.read_more()
    }

    fn place(&self) -> &str {
        self.place()
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads the first record of a file, which is a header or not. `None` if there is none.
pub(super) fn first_record(
    range: FileRange,
    dialect: Dialect,
    header: bool,
) -> Result<Option<FirstRecord>, ReadError> {
    let limit = if header { HEADER_BYTES_MAX } else { range.file.line_bytes_max };
    let mut window = FileWindow::open_limited(range, 0, Vec::new(), limit)?;
    first_record_of(&mut window, dialect).map_err(|error| match error {
        ReadError::LineTooLong { path, .. } if header => bad_record(
            0,
            format!("the header is longer than {HEADER_BYTES_MAX} bytes; close its quotes, or end its line"),
        )
        .within(&path, 0),
        other => other,
    })
}

/// The same of a source of which nothing has been dropped.
pub(super) fn first_record_of(
    source: &mut impl Growing,
    dialect: Dialect,
) -> Result<Option<FirstRecord>, ReadError> {
    source.read_more()?;
    let start = if source.bytes().starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let mut parser = Parser::new(dialect);
    let mut at = start;
    while !parser.feed(source.bytes(), &mut at) {
        if source.read_more()? {
            continue;
        }
        if !parser.end() {
            return match parser.is_empty() {
                true => Ok(None),
                false => Err(bad_record(0, parser.open_quotes()).within(source.place(), 0)),
            };
        }
        break;
    }
    // A line end has two bytes in some files.
    if source.bytes()[..at].ends_with(b"\r") && (at < source.bytes().len() || source.read_more()?) {
        at += usize::from(source.bytes()[at] == b'\n');
    }
    let record = parser.fields().collect();
    Ok(Some(FirstRecord { record, start: start as u64, end: at as u64 }))
}
