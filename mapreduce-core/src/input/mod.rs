//! What a job reads.
//!
//! Two seams: an [`Input`] knows where the bytes are and cuts them into splits; [`Records`] says what the bytes of a
//! block mean. A [`Dataset`] is an input together with its plan and with what tasks cached about its splits.
//!
//! | input | records | splits |
//! |---|---|---|
//! | [`TextFiles`] | [`Lines`] or [`Utf8Lines`] | byte ranges; a line belongs to the split its first byte is in |
//! | [`CsvFiles`] | [`Csv`], structs by the names in the header | as text |
//! | [`FixedFiles`] | [`Fixed`], byte strings of one length | ranges of records |
//! | [`RowSlice`], [`RowFiles`] | [`Rows`] | ranges of whole rows |
//! | `ParquetFiles` (feature `parquet`) | [`Items`], structs by the names of columns | row groups |
//! | [`ItemSlice`] | [`Items`] | ranges of items |
//! | [`Chained`] | [`Pairs`] | ranges of the output of a job |
//! | [`Both`] | [`Either`] of two | those of the first, then those of the second |
//!
//! In the process that runs the job, splits are opened and read as they lie. For other nodes there are two ways: the
//! driver sends the bytes of a split ([`Input::ship`]), or, if the user says that all nodes see the same files
//! ([`Dataset::on_shared_storage`]), each reads [them](SharedFiles) itself. Both give [`Records::block`] the same bytes.
//!
//! Text and CSV files may be compressed, as their names say: `.gz` (feature `gzip`) and `.zst` (feature `zstd`). Such a
//! file is in one split, since it cannot be read from the middle on; small ones share a split.
//!
//! Files are compared with what they were when the input was made (length and time of modification) whenever a split is
//! opened, and again when it has been read: one that has changed is a [`ReadError`], not another output.

mod both;
mod boxed;
mod cache;
mod chained;
mod compression;
mod csv_files;
mod csv_parser;
mod csv_reader;
mod csv_records;
mod csv_stream;
mod dataset;
mod error;
mod file_list;
mod fixed_files;
mod items;
mod line_reader;
mod lines;
#[cfg(feature = "parquet")]
mod parquet_files;
mod plan;
mod row_reader;
mod rows;
mod sample;
mod shared_files;
mod source;
mod split;
mod text_files;
pub(crate) mod window;

pub use crate::positioned::read_exact_at;
pub use both::{Both, Either, EitherIter};
pub use cache::SplitCache;
pub use chained::{Chained, PairBlock, PairBuffer, Pairs};
pub use csv_files::{CsvFiles, CsvOptions};
pub(crate) use csv_parser::Parser as CsvParser;
pub(crate) use csv_reader::{Growing, HEADER_BYTES_MAX};
pub use csv_records::{Csv, CsvBuffer, CsvShape};
pub use dataset::Dataset;
pub use error::ReadError;
pub use fixed_files::{Fixed, FixedBlock, FixedFiles};
pub use items::{ItemSlice, Items};
pub use lines::{LineBlock, Lines, Utf8Block, Utf8Lines};
#[cfg(feature = "parquet")]
pub use parquet_files::ParquetFiles;
pub use plan::{Piece, SplitInfo};
pub use rows::{RowBlock, RowFiles, RowSlice, Rows};
pub use shared_files::SharedFiles;
pub use split::{Progress, Split};
pub use text_files::TextFiles;

use crate::{Error, Schema, exec::Chunks};
use serde::{Serialize, de::DeserializeOwned};
use std::{fs::Metadata, io, path::Path};

/// How the bytes of a block become records. Implemented by a type that is never made, such as [`Utf8Lines`].
pub trait Records: Send + Sync + 'static {
    /// One record, which may borrow from the block.
    type Record<'a>;
    /// A block of consecutive records, for mappers that work on many at once.
    type Block<'a>: IntoIterator<Item = Self::Record<'a>>;
    /// What is needed to read a block besides its bytes, for instance the length of a row. The same for all splits.
    type Shape: Clone + Send + Sync + Serialize + DeserializeOwned + 'static;
    /// Where records are decoded to if they cannot lie in the bytes themselves.
    type Buffer: Default + Send;

    /// Reads a block that holds whole records.
    ///
    /// # Errors
    /// When the bytes are not such records.
    fn block<'a>(
        shape: &Self::Shape,
        bytes: &'a [u8],
        buffer: &'a mut Self::Buffer,
    ) -> Result<Self::Block<'a>, ReadError>;

    /// Adds what the bytes of a block hold to the schema of a job, so that nodes which read them differently do not
    /// work together. The default knows the [`Shape`](Self::Shape) only.
    fn schema(schema: &mut Schema) {
        schema.serde_type::<Self::Shape>();
    }
}

/// A place that records are read from.
///
/// An input is cheap to make and holds no open files; a map task opens the split it works on.
pub trait Input: Send + Sync {
    /// What the records are.
    type Records: Records;

    /// What [`Records::block`] needs besides the bytes.
    fn shape(&self) -> <Self::Records as Records>::Shape;

    /// Cuts the input into splits of about `split_bytes` each, or of a size that suits the input's own.
    ///
    /// The result may depend on the input and on `split_bytes` only, never on the machine: the output of a job
    /// depends on its plan.
    ///
    /// # Errors
    /// When the input is not there or cannot be cut.
    fn splits(&self, split_bytes: Option<u64>) -> Result<Vec<SplitInfo>, Error>;

    /// Opens a split for reading.
    ///
    /// # Errors
    /// When the input is no longer what it was when it was cut.
    fn open<'a>(&'a self, split: &'a SplitInfo) -> Result<Box<dyn Blocks<Self::Records> + 'a>, ReadError>;

    /// Where a split is, in words for a message: `words.txt, bytes 0 to 1048576`.
    fn describe(&self, split: &SplitInfo) -> String;

    /// Hands the bytes of a split to `sink`, a block of whole records at a time, as [`Records::block`] reads them: for
    /// a node that has nothing of the input. Called on the node that runs the job, by engines of several nodes; perhaps
    /// several times for a split, and from several threads.
    ///
    /// The default gives [`ReadError::NotShippable`]: jobs over such an input run on one node.
    ///
    /// # Errors
    /// When the split cannot be read. What `sink` was given before is of no use then.
    fn ship(&self, split: &SplitInfo, sink: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        let _ = sink;
        Err(ReadError::NotShippable { input: self.describe(split) })
    }

    /// At most `count` parts of a split, spread over it, that [`open`](Self::open) opens as if they were splits: what
    /// [samples](Dataset::sample) of the input are taken from, the first block of each. Without any, all of the split is
    /// read.
    ///
    /// The default is the split itself: its first block stands for all of it.
    fn excerpts(&self, split: &SplitInfo, count: usize) -> Vec<SplitInfo> {
        let _ = count;
        vec![split.clone()]
    }

    /// The files that other nodes could read themselves, if the user says that they see the same ones
    /// ([`Dataset::on_shared_storage`]). The pieces of the splits must number them as sources, in the units of their
    /// layout. The default has none.
    fn files(&self) -> Option<SharedFiles> {
        None
    }
}

/// The longest line of text, and the longest record of a CSV file, unless the input is
/// [given another](TextFiles::with_line_bytes_max): 256 MiB. A line is held whole, and 2 1/8 of it while it is read, by
/// every thread: this much is longer than lines are, and a file without line ends is an error, not the end of a process
/// that has a few GiB.
pub const LINE_BYTES_MAX: usize = 256 << 20;

/// Hands all chunks to `sink`.
fn send(chunks: &mut dyn Chunks, sink: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
    while let Some(chunk) = chunks.next_chunk()? {
        sink(chunk);
    }
    Ok(())
}

/// The blocks of an open split, one at a time.
pub trait Blocks<R: Records> {
    /// The next block, or `None` behind the last one.
    ///
    /// # Errors
    /// When the split cannot be read.
    fn next_block(&mut self) -> Result<Option<R::Block<'_>>, ReadError>;
}

/// An input that the system does not let us look at.
fn unreadable(path: &Path) -> impl Fn(io::Error) -> Error {
    move |error| Error::Input {
        input: path.display().to_string(),
        message: format!("cannot be read: {error}"),
    }
}

/// The length of a file that is to be cut into splits. A pipe or a terminal has none and cannot be read twice.
fn file_length(path: &Path, metadata: &Metadata) -> Result<u64, Error> {
    if metadata.is_file() {
        return Ok(metadata.len());
    }
    Err(Error::Input {
        input: path.display().to_string(),
        message: "is not a file; write what is to be read to a file first".into(),
    })
}
