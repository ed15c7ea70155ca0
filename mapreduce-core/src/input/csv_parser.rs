//! [`Parser`]: takes CSV records out of bytes.
//!
//! The state machine is that of the crate `csv`. It is driven here by hand for what that crate does not tell: whether
//! the bytes end inside quotes.

use super::{
    ReadError,
    csv_records::{Dialect, bad_record},
};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use memchr::memchr;

/// Takes records out of bytes.
pub(crate) struct Parser {
    core: Reader,
    multiline: bool,
    /// What is known of the current record: the bytes of its fields, and where in them each field ends.
    fields: Vec<u8>,
    filled: usize,
    ends: Vec<usize>,
    count: usize,
}

impl Parser {
    pub(crate) fn new(dialect: Dialect) -> Self {
        let core = ReaderBuilder::new().delimiter(dialect.delimiter).build();
        let multiline = dialect.multiline;
        let mut this =
            Self { core, multiline, fields: vec![0; 1 << 10], filled: 0, ends: vec![0; 32], count: 0 };
        // The state machine takes a byte-order mark for one at the beginning only. It does not know that it hardly ever
        // sees the beginning of a file; and there the mark has been left out.
        this.feed(b"\n", &mut 0);
        this
    }

    /// Reads the next record of `bytes` from `at` on, moves `at` behind it, and gives its first byte. `None` if there
    /// is none any more. `bytes` are whole lines; whole records if those may have several lines.
    pub(crate) fn next(&mut self, bytes: &[u8], at: &mut usize) -> Result<Option<usize>, ReadError> {
        *at += bytes[*at..].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        let start = *at;
        if start == bytes.len() {
            return Ok(None);
        }
        let end = match memchr(b'\n', &bytes[start..]) {
            Some(end) if !self.multiline => start + end + 1,
            _ => bytes.len(),
        };
        self.begin();
        // The last line of a file need not be ended.
        if self.feed(&bytes[..end], at) || bytes[end - 1] != b'\n' && self.end() {
            return Ok(Some(start));
        }
        Err(bad_record(start, self.open_quotes()))
    }

    /// Forgets the current record: the next one begins.
    pub(crate) fn begin(&mut self) {
        (self.filled, self.count) = (0, 0);
    }

    /// Whether nothing of a record has been read.
    pub(crate) fn is_empty(&self) -> bool {
        self.filled == 0 && self.count == 0
    }

    /// Reads from `bytes`, moving `at`, up to the end of a record (true) or of the bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8], at: &mut usize) -> bool {
        // To the state machine no bytes mean the end of everything.
        while *at < bytes.len() {
            let (fields, ends) = (&mut self.fields[self.filled..], &mut self.ends[self.count..]);
            let (result, read, filled, count) = self.core.read_record(&bytes[*at..], fields, ends);
            *at += read;
            self.filled += filled;
            self.count += count;
            match result {
                ReadRecordResult::Record => return true,
                ReadRecordResult::OutputFull => self.fields.resize(2 * self.fields.len(), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
            }
        }
        false
    }

    /// Says that the bytes end here. True if that makes the current record whole, false if it stands in quotes or if
    /// there is none.
    pub(crate) fn end(&mut self) -> bool {
        self.feed(b"\n", &mut 0)
    }

    /// The fields of the current record.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &[u8]> {
        let ends = &self.ends[..self.count];
        let starts = [0].into_iter().chain(ends.iter().copied());
        starts.zip(ends).map(|(start, end)| &self.fields[start..*end])
    }

    pub(crate) fn open_quotes(&self) -> String {
        match self.multiline {
            true => "the record has a double quote that is not closed up to the end of the file; double it, or put the \
                     field into quotes"
                .into(),
            false => "the line ends inside double quotes; close them, or set `CsvOptions::multiline` if fields may have \
                      line ends in them"
                .into(),
        }
    }
}
