//! [`FromStream`]: records that a filter can read from a stream.

use super::{
    FilterError, FilterOptions,
    chunks::{Cut, RecordChunks},
};
use crate::{
    Csv, Fixed, Items, Lines, Records, Utf8Lines,
    input::{CsvOptions, CsvParser, CsvShape, Either, FixedBlock, Growing, HEADER_BYTES_MAX, ReadError},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{io::Read, num::NonZeroUsize};

/// What messages call the input.
pub(super) const INPUT: &str = "input";

/// How records that are no lines of text stand in the stream that [`map`](super::map) reads: as they do in the files that
/// the job otherwise reads.
///
/// ```
/// use mapreduce_core::{CsvOptions, filter::StreamForm};
///
/// let semicolons = StreamForm { csv: CsvOptions { delimiter: b';', ..CsvOptions::default() }, ..StreamForm::default() };
/// assert!(semicolons.csv.header && semicolons.record_bytes.is_none());
/// ```
#[derive(Clone, Debug, Default)]
pub struct StreamForm {
    /// Of [`Csv`] records: what [`CsvFiles::open_with`](crate::CsvFiles::open_with) is given. If they have a header, it is
    /// the first record of the stream, unless it is [given](FilterOptions::header).
    pub csv: CsvOptions,
    /// Of [`Fixed`] records: how long each is. They need it.
    pub record_bytes: Option<NonZeroUsize>,
}

/// Records that are lines of text, and which a filter reads as such. To be implemented for records of your own whose block is
/// whole lines; the last one need not end with a line feed.
pub trait FromLines: Records<Shape: Default> {}

impl FromLines for Lines {}
impl FromLines for Utf8Lines {}

/// Records that a filter can read from a stream.
///
/// | records | the stream |
/// |---|---|
/// | [`FromLines`]: [`Lines`], [`Utf8Lines`] | the lines |
/// | [`Csv`] | CSV records, with a header or without, as [`StreamForm::csv`] says |
/// | [`Fixed`] | the records one after the other, [`StreamForm::record_bytes`] each |
/// | [`Either`] of two | one of the two, by [`FilterOptions::input`] |
/// | [`Items`] | none: refused when the filter runs. Items come from memory, or from Parquet files, which cannot be read from the beginning on |
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot come as a stream",
    note = "filters are for jobs over lines, CSV records, records of a fixed length, or two of these; other jobs can be run \
            (`run`), or name a job with the same keys, values and reducer for the filters"
)]
pub trait FromStream: Records {
    /// How many inputs there are.
    const INPUTS: u32 = 1;

    /// What it takes to read the records, besides their bytes.
    type Opened;

    /// Looks at the beginning of an input, counted from 0 and below [`INPUTS`](Self::INPUTS).
    ///
    /// # Errors
    /// When such records cannot come as a stream, or not as this one.
    fn open(input: u32, stream: &mut Beginning<'_, '_>) -> Result<Self::Opened, FilterError>;

    /// Reads a block of whole records.
    ///
    /// # Errors
    /// When the bytes are not such records.
    fn read<'a>(
        opened: &Self::Opened,
        bytes: &'a [u8],
        buffer: &'a mut Self::Buffer,
    ) -> Result<Self::Block<'a>, ReadError>;
}

/// A stream of which no record has been read.
pub struct Beginning<'a, 'r> {
    chunks: &'a mut RecordChunks<&'r mut dyn Read>,
    options: &'a FilterOptions,
    job: &'static str,
    /// Whether the header that was given has been used.
    took_header: bool,
}

impl<'a, 'r> Beginning<'a, 'r> {
    pub(super) fn open<R: FromStream>(
        chunks: &'a mut RecordChunks<&'r mut dyn Read>,
        options: &'a FilterOptions,
        job: &'static str,
    ) -> Result<R::Opened, FilterError> {
        let mut this = Self { chunks, options, job, took_header: false };
        let opened = R::open(options.input, &mut this)?;
        match options.header {
            Some(_) if !this.took_header => Err(FilterError::NoHeader { job: job.to_owned() }),
            _ => Ok(opened),
        }
    }
}

impl<R: FromLines> FromStream for R {
    type Opened = R::Shape;

    fn open(_: u32, _: &mut Beginning<'_, '_>) -> Result<R::Shape, FilterError> {
        Ok(R::Shape::default())
    }

    fn read<'a>(
        shape: &R::Shape,
        lines: &'a [u8],
        buffer: &'a mut R::Buffer,
    ) -> Result<R::Block<'a>, ReadError> {
        R::block(shape, lines, buffer)
    }
}

impl<T: Send + Sync + DeserializeOwned + 'static> FromStream for Csv<T> {
    type Opened = CsvShape;

    fn open(_: u32, stream: &mut Beginning<'_, '_>) -> Result<CsvShape, FilterError> {
        let csv = &stream.options.form.csv;
        let header = stream.options.header.as_deref().filter(|_| csv.header);
        let (shape, at) = CsvShape::of_stream(&mut Head(stream.chunks), csv, header)?;
        let cut = match csv.multiline {
            true => Cut::Csv { parser: Box::new(CsvParser::new(shape.dialect)), seen: at },
            false => Cut::Lines,
        };
        stream.chunks.begin(cut, at);
        stream.took_header = header.is_some();
        Ok(shape)
    }

    fn read<'a>(
        shape: &CsvShape,
        records: &'a [u8],
        buffer: &'a mut Self::Buffer,
    ) -> Result<&'a [T], ReadError> {
        Self::block(shape, records, buffer)
    }
}

impl FromStream for Fixed {
    type Opened = NonZeroUsize;

    fn open(_: u32, stream: &mut Beginning<'_, '_>) -> Result<NonZeroUsize, FilterError> {
        let record_bytes = stream.options.form.record_bytes;
        let record_bytes =
            record_bytes.ok_or_else(|| FilterError::NoRecordBytes { job: stream.job.to_owned() })?;
        stream.chunks.begin(Cut::Fixed(record_bytes.get()), 0);
        Ok(record_bytes)
    }

    fn read<'a>(
        record_bytes: &NonZeroUsize,
        bytes: &'a [u8],
        _: &'a mut (),
    ) -> Result<FixedBlock<'a>, ReadError> {
        let record_bytes = record_bytes.get();
        match bytes.len() % record_bytes {
            0 => Ok(FixedBlock { record_bytes, bytes }),
            left => Err(ReadError::Malformed {
                place: "records".into(),
                message: format!(
                    "the input ends with {left} bytes of a record of {record_bytes}; check the length of a record, and \
                     whether all of the input has come"
                ),
            }),
        }
    }
}

impl<T: Send + Sync + Serialize + DeserializeOwned + 'static> FromStream for Items<T> {
    type Opened = std::convert::Infallible;

    fn open(_: u32, stream: &mut Beginning<'_, '_>) -> Result<Self::Opened, FilterError> {
        Err(FilterError::NoStream { job: stream.job.to_owned() })
    }

    fn read<'a>(
        opened: &Self::Opened,
        _: &'a [u8],
        _: &'a mut Self::Buffer,
    ) -> Result<Self::Block<'a>, ReadError> {
        match *opened {}
    }
}

impl<A: FromStream, B: FromStream> FromStream for Either<A, B> {
    const INPUTS: u32 = A::INPUTS + B::INPUTS;
    type Opened = Either<A::Opened, B::Opened>;

    fn open(input: u32, stream: &mut Beginning<'_, '_>) -> Result<Self::Opened, FilterError> {
        match input.checked_sub(A::INPUTS) {
            None => A::open(input, stream).map(Either::Left),
            Some(input) => B::open(input, stream).map(Either::Right),
        }
    }

    fn read<'a>(
        opened: &Self::Opened,
        bytes: &'a [u8],
        buffer: &'a mut Self::Buffer,
    ) -> Result<Self::Block<'a>, ReadError> {
        match opened {
            Either::Left(opened) => A::read(opened, bytes, &mut buffer.0).map(Either::Left),
            Either::Right(opened) => B::read(opened, bytes, &mut buffer.1).map(Either::Right),
        }
    }
}

/// A stream as far as a header may go.
struct Head<'a, R>(&'a mut RecordChunks<R>);

impl<R: Read> Growing for Head<'_, R> {
    fn bytes(&self) -> &[u8] {
        self.0.unread()
    }

    fn read_more(&mut self) -> Result<bool, ReadError> {
        if self.bytes().len() as u64 > HEADER_BYTES_MAX {
            let bytes_max = HEADER_BYTES_MAX;
            return Err(ReadError::LineTooLong { path: INPUT.to_owned(), offset: 0, bytes_max });
        }
        self.0.more()
    }

    fn place(&self) -> &str {
        INPUT
    }
}
