//! Lines of text as records: [`Lines`] are bytes, [`Utf8Lines`] are strings.

use super::{ReadError, Records};
use crate::Schema;
use memchr::memchr;

/// Records that are lines, as bytes. A line ends before its `\n`; a `\r` in front of that belongs to the line. The
/// last line need not end in `\n`.
#[derive(Clone, Copy, Debug)]
pub struct Lines;

impl Records for Lines {
    type Record<'a> = &'a [u8];
    type Block<'a> = LineBlock<'a>;
    type Shape = ();
    type Buffer = ();

    fn block<'a>(_: &(), bytes: &'a [u8], _: &'a mut ()) -> Result<LineBlock<'a>, ReadError> {
        Ok(LineBlock { rest: bytes })
    }

    fn schema(schema: &mut Schema) {
        schema.text("lines");
    }
}

/// Whole lines, one after the other.
#[derive(Clone, Debug)]
pub struct LineBlock<'a> {
    rest: &'a [u8],
}

impl<'a> LineBlock<'a> {
    /// The lines that have not been taken yet, as they lie in the file, with their ends.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for LineBlock<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = match memchr(b'\n', self.rest) {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        Some(line)
    }
}

/// Records that are lines of UTF-8 text. Text that is not UTF-8 is an error that names the file and the offset; read
/// it as [`Lines`] if that is to be expected.
#[derive(Clone, Copy, Debug)]
pub struct Utf8Lines;

impl Records for Utf8Lines {
    type Record<'a> = &'a str;
    type Block<'a> = Utf8Block<'a>;
    type Shape = ();
    type Buffer = ();

    fn block<'a>(_: &(), bytes: &'a [u8], _: &'a mut ()) -> Result<Utf8Block<'a>, ReadError> {
        match std::str::from_utf8(bytes) {
            Ok(rest) => Ok(Utf8Block { rest }),
            Err(error) => Err(ReadError::NotUtf8 {
                place: "a block of lines".into(),
                offset: error.valid_up_to() as u64,
            }),
        }
    }

    fn schema(schema: &mut Schema) {
        schema.text("lines of UTF-8");
    }
}

/// Whole lines of UTF-8 text, one after the other.
#[derive(Clone, Debug)]
pub struct Utf8Block<'a> {
    rest: &'a str,
}

impl<'a> Utf8Block<'a> {
    /// The lines that have not been taken yet, as they lie in the file, with their ends.
    pub fn as_str(&self) -> &'a str {
        self.rest
    }
}

impl<'a> Iterator for Utf8Block<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let (line, rest) = match memchr(b'\n', self.rest.as_bytes()) {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, ""),
        };
        self.rest = rest;
        Some(line)
    }
}
