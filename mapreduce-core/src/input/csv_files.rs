//! [`CsvFiles`]: records of CSV files.

use super::{
    Blocks, Csv, CsvShape, Input, ReadError, Records, SharedFiles, SplitInfo,
    compression::Content,
    csv_reader::{self, CsvReader},
    csv_records::{CsvBuffer, Dialect},
    file_list, plan, send,
    source::{self, FileRange, SourceFile},
};
use crate::Error;
use csv::{ByteRecord, StringRecord};
use memchr::memchr_iter;
use serde::de::DeserializeOwned;
use std::{fmt, marker::PhantomData, path::Path};

/// How CSV files are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// What separates the fields of a record: one ASCII character, not a quote or a line end. A comma by default.
    pub delimiter: u8,
    /// Whether the first record of each file holds the names of the fields. So by default; without it records are tuples.
    pub header: bool,
    /// Whether fields in quotes may have line ends in them. Not so by default: every line is a record, and a large file
    /// is cut into several splits. Otherwise a file cannot be cut, since nobody can tell in the middle of it whether a
    /// line end is in quotes; each is read by one task.
    pub multiline: bool,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self { delimiter: b',', header: true, multiline: false }
    }
}

impl CsvOptions {
    pub(super) fn dialect(&self) -> Result<Dialect, Error> {
        let Self { delimiter, multiline, .. } = *self;
        if !delimiter.is_ascii() || matches!(delimiter, b'"' | b'\n' | b'\r') {
            return Err(refused(
                "csv files",
                format!("{:?} cannot separate fields; use a comma, semicolon or tab", char::from(delimiter)),
            ));
        }
        Ok(Dialect { delimiter, multiline })
    }
}

/// CSV files, read record by record in the order in which they are given: see [`Csv`] for what is a record.
///
/// Files are cut, share splits, and may be compressed, as those of [`TextFiles`](super::TextFiles). All have the same
/// header, which is read when the input is made.
///
/// ```
/// use mapreduce_core::{CsvFiles, Dataset};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Sale {
///     product: String,
///     pieces: u32,
///     #[serde(rename = "unit price")]
///     price: Option<f64>,
/// }
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("sales.csv");
/// std::fs::write(&path, "id,product,unit price,pieces\n1,\"nuts, bolts\",0.1,200\n2,hammer,,1\n")?;
/// let sales = Dataset::new(CsvFiles::<Sale>::open([&path])?)?;
/// let seen = sales.sample(9, |sale| (sale.product.clone(), sale.pieces, sale.price))?;
/// assert_eq!(seen, [("nuts, bolts".into(), 200, Some(0.1)), ("hammer".into(), 1, None)]);
///
/// std::fs::write(&path, "id,product,unit price,pieces\n1,nuts,0.1,many\n")?;
/// let sales = Dataset::new(CsvFiles::<Sale>::open([&path])?)?;
/// let error = sales.sample(9, |sale| sale.pieces).unwrap_err().to_string();
/// assert!(error.contains("sales.csv, line 2, byte 29: field `pieces` is \"many\": invalid digit"), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CsvFiles<T> {
    files: Vec<SourceFile>,
    shape: CsvShape,
    record: PhantomData<fn() -> T>,
}

impl<T> CsvFiles<T> {
    /// Comma-separated files with a header. A folder stands for the files in it, as for
    /// [`TextFiles`](super::TextFiles::open).
    ///
    /// # Errors
    /// When a path is not there or cannot be read, a folder has no files, or files have different headers.
    pub fn open(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Self, Error> {
        Self::open_with(paths, &CsvOptions::default())
    }

    /// Files that are written in another way.
    ///
    /// # Errors
    /// As for [`CsvFiles::open`], and when the delimiter is none.
    pub fn open_with(
        paths: impl IntoIterator<Item = impl AsRef<Path>>,
        options: &CsvOptions,
    ) -> Result<Self, Error> {
        let CsvOptions { header, multiline, .. } = *options;
        let dialect = options.dialect()?;
        let mut files = file_list::list("csv files", paths)?;
        file_list::find_compressed(&mut files)?;
        let mut first: Option<(ByteRecord, String)> = None;
        for file in &mut files {
            file.whole = multiline;
            let Some(beginning) = csv_reader::first_record(file.range(0..file.bytes), dialect, header)?
            else {
                // Not even a header.
                file.header_bytes = file.bytes;
                continue;
            };
            let record = beginning.record;
            file.header_bytes = if header { beginning.end } else { beginning.start };
            match &first {
                Some((names, path)) if header && *names != record => {
                    let (names, other) = (listed(names), listed(&record));
                    let message = format!(
                        "the header is {other}, but that of {path} is {names}; give all files the same header, or read \
                         them as inputs of their own"
                    );
                    return Err(refused(file.shown(), message));
                }
                Some(_) => {}
                None => first = Some((record, file.shown())),
            }
        }
        let fields = first.as_ref().map(|(record, _)| record.len() as u64);
        let names = match first {
            _ if !header => None,
            Some((record, path)) => Some(names(record).map_err(|message| refused(path, message))?),
            None => return Err(refused(files[0].shown(), "has no header: it is empty".into())),
        };
        let shape = CsvShape { names, fields, dialect };
        Ok(Self { files, shape, record: PhantomData })
    }

    /// Records of at most so many bytes: as [`TextFiles::with_line_bytes_max`](super::TextFiles::with_line_bytes_max).
    #[must_use]
    pub fn with_line_bytes_max(mut self, bytes: u64) -> Self {
        self.files.iter_mut().for_each(|file| file.line_bytes_max = bytes);
        self
    }

    /// The names of the fields, if the files have a header.
    pub fn header(&self) -> Option<&[String]> {
        self.shape.names.as_deref()
    }

    fn reader(&self, split: &SplitInfo) -> CsvReader {
        CsvReader::new(source::ranges(&self.files, split), self.shape.dialect)
    }
}

impl<T> Clone for CsvFiles<T> {
    fn clone(&self) -> Self {
        Self { files: self.files.clone(), shape: self.shape.clone(), record: PhantomData }
    }
}

impl<T> fmt::Debug for CsvFiles<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvFiles").field("files", &self.files).field("shape", &self.shape).finish()
    }
}

impl<T: Send + Sync + DeserializeOwned + 'static> Input for CsvFiles<T> {
    type Records = Csv<T>;

    fn shape(&self) -> CsvShape {
        self.shape.clone()
    }

    fn splits(&self, split_bytes: Option<u64>) -> Result<Vec<SplitInfo>, Error> {
        Ok(plan::of_files(&self.files, split_bytes))
    }

    fn open<'a>(&'a self, split: &'a SplitInfo) -> Result<Box<dyn Blocks<Csv<T>> + 'a>, ReadError> {
        let buffer = CsvBuffer::default();
        Ok(Box::new(CsvBlocks { reader: self.reader(split), shape: &self.shape, buffer }))
    }

    fn describe(&self, split: &SplitInfo) -> String {
        source::describe(&self.files, split)
    }

    fn excerpts(&self, split: &SplitInfo, count: usize) -> Vec<SplitInfo> {
        plan::excerpts_of_files(&self.files, split, count)
    }

    fn ship(&self, split: &SplitInfo, sink: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        send(&mut self.reader(split), sink)
    }

    fn files(&self) -> Option<SharedFiles> {
        Some(SharedFiles::of_csv(&self.files, self.shape.dialect))
    }
}

struct CsvBlocks<'a, T> {
    reader: CsvReader,
    shape: &'a CsvShape,
    buffer: CsvBuffer<T>,
}

impl<T: Send + Sync + DeserializeOwned + 'static> Blocks<Csv<T>> for CsvBlocks<'_, T> {
    fn next_block(&mut self) -> Result<Option<&[T]>, ReadError> {
        if let Some(error) = self.reader.advance().err() {
            return Err(numbered(error, &self.reader));
        }
        let (records, path, offset) = self.reader.records();
        if records.is_empty() {
            return Ok(None);
        }
        match Csv::block(self.shape, records, &mut self.buffer) {
            Ok(block) => Ok(Some(block)),
            Err(error) => Err(numbered(error.within(path, offset), &self.reader)),
        }
    }
}

/// Adds the number of the line to an error. A split does not know its own, so the file is read once more up to there.
fn numbered(error: ReadError, reader: &CsvReader) -> ReadError {
    match error {
        ReadError::BadRecord { path, line: None, offset, message } => {
            let line = reader.file().and_then(|file| line_at(file, offset).ok());
            ReadError::BadRecord { path, line, offset, message }
        }
        other => other,
    }
}

/// The number of the line that begins at a byte of the content, counted from 1.
fn line_at(file: &FileRange, offset: u64) -> Result<u64, ReadError> {
    let mut content = Content::open(file, 0)?;
    let mut buffer = vec![0; 256 << 10];
    let (mut line, mut at) = (1, 0);
    while at < offset {
        let wanted = buffer.len().min(usize::try_from(offset - at).unwrap_or(usize::MAX));
        let read = content.read(&mut buffer[..wanted], file)?;
        line += memchr_iter(b'\n', &buffer[..read]).count() as u64;
        if read == 0 {
            break;
        }
        at += read as u64;
    }
    Ok(line)
}

pub(super) fn refused(input: impl Into<String>, message: String) -> Error {
    Error::Input { input: input.into(), message }
}

/// The names in a header.
pub(super) fn names(record: ByteRecord) -> Result<Vec<String>, String> {
    match StringRecord::from_byte_record(record) {
        Ok(names) => Ok(names.iter().map(String::from).collect()),
        Err(_) => Err("the header is not UTF-8; convert the file".into()),
    }
}

fn listed(record: &ByteRecord) -> String {
    record.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join(", ")
}
