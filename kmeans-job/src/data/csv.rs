//! Reading a table of numbers from a `.csv` or `.tsv` file.
//!
//! One line a point, columns separated by `,` (`.csv`) or a tab (`.tsv`), numbers with a decimal point. Spaces around
//! numbers, quotes, blank lines, CRLF line ends and a UTF-8 byte order mark are taken as they come.
//!
//! The first line is a header if no field of it is a number. One with numbers and other things is reported: it may be a
//! row with a slip in it, which must not be dropped.
//!
//! Every column is a coordinate. A column of words (a label, a name) is an error that names it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use csv::ByteRecord;

use super::sink::Sink;
use super::watch::{self, Watch};
use super::{FileError, LoadError, Matrix};

/// Bytes read by one call; interruption is asked for before each.
const BUFFER_BYTES: usize = 256 * 1024;
/// Text quoted in a message, in characters.
const QUOTE_CHARS_MAX: usize = 40;

/// Loads a table of numbers whose columns are separated by `delimiter`, whatever the extension of the file.
///
/// `interrupted` is asked before each quarter megabyte.
///
/// # Errors
/// [`LoadError::File`], [`LoadError::Csv`] or [`LoadError::Interrupted`].
pub fn load(path: &Path, delimiter: u8, interrupted: &dyn Fn() -> bool) -> Result<Matrix<f64>, LoadError> {
    let observe = watch::unless(interrupted);
    let watch = Watch::new(&observe);
    let mut sink = Sink::new(&watch, None);
    let table = append(path, delimiter, 0, &mut sink)?;
    Ok(Matrix::new(table.rows, table.d, sink.values)
        .expect("a table has a row, and a row as many values as columns"))
}

/// What one file of a table has.
pub(super) struct Table {
    /// Fields of a row.
    pub(super) d: usize,
    /// Names of the columns, if the file has a header line.
    pub(super) names: Option<Vec<String>>,
    /// At least 1.
    pub(super) rows: usize,
}

/// Reads the values of a file behind those of the `before` rows that are there.
pub(super) fn append(
    path: &Path,
    delimiter: u8,
    before: usize,
    sink: &mut Sink<'_, f64>,
) -> Result<Table, LoadError> {
    let io_error = |problem| LoadError::File(FileError::new(path, problem));
    let (mut file, _) = super::load::open(path)?;
    if starts_as_utf16(&mut file).map_err(io_error)? {
        return Err(LoadError::Csv { path: path.to_owned(), problem: CsvError::Utf16 });
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .buffer_capacity(BUFFER_BYTES)
        .from_reader(Polled { file, watch: sink.watch, stopped: false });
    let mut rows = Rows { d: None, names: None, rows: 0, sink };
    let mut record = ByteRecord::new();
    loop {
        match reader.read_byte_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(_) if reader.get_ref().stopped => return Err(LoadError::Interrupted),
            Err(problem) => return Err(io_error(problem.into())),
        }
        if let Err(problem) = rows.push(&record) {
            let line = line_of(&record, &mut reader.get_mut().file).map_err(io_error)?;
            return Err(LoadError::Csv { path: path.to_owned(), problem: CsvError::Row { line, problem } });
        }
        rows.sink.check(path, before + rows.rows)?;
    }
    rows.finish().map_err(|problem| LoadError::Csv { path: path.to_owned(), problem })
}

/// Why a file is no table of numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsvError {
    /// The file holds no line but blank ones.
    #[error("the file is empty; write one line of numbers a point")]
    Empty,
    /// The file holds a header and no row.
    #[error("the file has a header line and no row below it; add one line of numbers a point")]
    OnlyHeader,
    /// The file is encoded as UTF-16, as spreadsheets save "Unicode text".
    #[error("the file is encoded as UTF-16; save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`")]
    Utf16,
    /// A row is wrong.
    #[error("line {line}{problem}")]
    Row {
        /// The line of the file, counted from 1.
        line: u64,
        /// What is wrong with it.
        problem: RowError,
    },
}

/// Why a line of a table is no row of numbers. Shown after the number of the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// The row has another number of fields than the first one.
    #[error(" has {found} fields where the first line has {expected}; give every row the same columns")]
    Ragged {
        /// The fields of the row.
        found: usize,
        /// The fields of the first line.
        expected: usize,
    },
    /// A field is a word.
    #[error(
        ", {column}: `{text}` is not a number; remove the column if it is a label or a name, or correct the row{}",
        separator_hint(text)
    )]
    NotANumber {
        /// Where it stands.
        column: Column,
        /// The field, or its start.
        text: String,
    },
    /// A field of the first line is a word, another is a number: it is neither a row nor surely a header.
    #[error(
        ", {column}: `{text}` is not a number, but other fields of the line are; correct it, or, if the line is a \
         header, give every column a name that is no number{}",
        separator_hint(text)
    )]
    HalfHeader {
        /// Where it stands.
        column: Column,
        /// The field, or its start.
        text: String,
    },
    /// A field is empty.
    #[error(", {column} is empty; fill the value in, or remove the row or the column")]
    EmptyField {
        /// Where it stands.
        column: Column,
    },
    /// A number is NaN, infinite or beyond the range of f64.
    #[error(
        ", {column}: `{text}` is not a finite number; correct the value, or remove the row or the column"
    )]
    NotFinite {
        /// Where it stands.
        column: Column,
        /// The field.
        text: String,
    },
}

/// A column of a table, as messages name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The column, counted from 1.
    pub number: usize,
    /// Its name, if the file has a header line.
    pub name: Option<String>,
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "column {} (`{name}`)", self.number),
            None => write!(f, "column {}", self.number),
        }
    }
}

/// What else to try where a field looks like a whole line.
fn separator_hint(text: &str) -> &'static str {
    if text.contains([';', '\t', ',']) {
        "; columns are separated by `,` in a .csv file and by tabs in a .tsv file, and numbers have a decimal point"
    } else {
        ""
    }
}

/// The rows read so far.
struct Rows<'a, 'b> {
    /// The fields of a row, once there was one.
    d: Option<usize>,
    names: Option<Vec<String>>,
    rows: usize,
    sink: &'a mut Sink<'b, f64>,
}

impl Rows<'_, '_> {
    fn push(&mut self, record: &ByteRecord) -> Result<(), RowError> {
        // A line of spaces. A table of one column has no other way to write an empty field.
        if self.d != Some(1) && record.len() == 1 && record[0].trim_ascii().is_empty() {
            return Ok(());
        }
        let Some(d) = self.d else {
            self.d = Some(record.len());
            if record.iter().all(|field| number(field).is_none()) {
                self.names = Some(record.iter().map(quote).collect());
                return Ok(());
            }
            return self.push_row(record).map_err(|error| match error {
                RowError::NotANumber { column, text } => RowError::HalfHeader { column, text },
                other => other,
            });
        };
        if record.len() != d {
            return Err(RowError::Ragged { found: record.len(), expected: d });
        }
        self.push_row(record)
    }

    fn push_row(&mut self, record: &ByteRecord) -> Result<(), RowError> {
        for (index, field) in record.iter().enumerate() {
            match number(field) {
                Some(value) if value.is_finite() => self.sink.values.push(value),
                Some(_) => {
                    return Err(RowError::NotFinite { column: self.column(index), text: quote(field) });
                }
                None if field.trim_ascii().is_empty() => {
                    return Err(RowError::EmptyField { column: self.column(index) });
                }
                None => {
                    return Err(RowError::NotANumber { column: self.column(index), text: quote(field) });
                }
            }
        }
        self.rows += 1;
        Ok(())
    }

    fn column(&self, index: usize) -> Column {
        let name = self.names.as_ref().and_then(|names| names.get(index)).cloned();
        Column { number: index + 1, name }
    }

    fn finish(self) -> Result<Table, CsvError> {
        let Self { d, names, rows, .. } = self;
        match d {
            None => Err(CsvError::Empty),
            // There was a header: any other first line is a row or an error.
            Some(_) if rows == 0 => Err(CsvError::OnlyHeader),
            Some(d) => Ok(Table { d, names, rows }),
        }
    }
}

fn number(field: &[u8]) -> Option<f64> {
    std::str::from_utf8(field.trim_ascii()).ok()?.parse().ok()
}

/// A field for a message: printable, on one line, not too long.
fn quote(field: &[u8]) -> String {
    let text = String::from_utf8_lossy(field.trim_ascii());
    let mut quoted: String = text
        .chars()
        .take(QUOTE_CHARS_MAX)
        .map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if text.chars().nth(QUOTE_CHARS_MAX).is_some() {
        quoted.push('…');
    }
    quoted
}

/// The line on which a record starts.
///
/// The position of a record is where its predecessor ended, ahead of the blank lines in between and, after CRLF, ahead
/// of the line feed; those are counted here.
fn line_of(record: &ByteRecord, file: &mut File) -> io::Result<u64> {
    let Some(position) = record.position() else { return Ok(1) };
    let mut line = position.line();
    file.seek(SeekFrom::Start(position.byte()))?;
    for byte in io::BufReader::new(file).bytes() {
        match byte? {
            b'\n' => line += 1,
            b'\r' => {}
            _ => break,
        }
    }
    Ok(line)
}

fn starts_as_utf16(file: &mut File) -> io::Result<bool> {
    let mut start = Vec::new();
    file.take(2).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(start == [0xff, 0xfe] || start == [0xfe, 0xff])
}

/// A file that asks before each read whether to go on.
struct Polled<'a> {
    file: File,
    watch: &'a Watch<'a>,
    stopped: bool,
}

impl Read for Polled<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.watch.ask().is_err() {
            self.stopped = true;
            // Not `ErrorKind::Interrupted`, which buffered readers take as an invitation to try again.
            return Err(io::Error::other("interrupted"));
        }
        let bytes = self.file.read(buffer)?;
        self.watch.add(bytes as u64);
        Ok(bytes)
    }
}
