//! [`FixedFiles`]: binary files of records that all have the same length.

use super::{
    Blocks, Input, ReadError, Records, SharedFiles, SplitInfo,
    compression::Compression,
    file_list, plan,
    row_reader::RowChunks,
    send,
    source::{self, FileRange, SourceFile},
};
use crate::{Error, Schema, exec::Chunks};
use std::{path::Path, slice::ChunksExact};

/// Records that are byte strings of one length. [`Rows`](super::Rows) are records of numbers.
#[derive(Clone, Copy, Debug)]
pub struct Fixed;

/// Consecutive records, one after the other in memory.
#[derive(Clone, Copy, Debug)]
pub struct FixedBlock<'a> {
    /// The bytes of a record.
    pub record_bytes: usize,
    /// The bytes of all records.
    pub bytes: &'a [u8],
}

impl FixedBlock<'_> {
    /// The number of records.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.record_bytes
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl<'a> IntoIterator for FixedBlock<'a> {
    type Item = &'a [u8];
    type IntoIter = ChunksExact<'a, u8>;

    fn into_iter(self) -> ChunksExact<'a, u8> {
        self.bytes.chunks_exact(self.record_bytes)
    }
}

impl Records for Fixed {
    type Record<'a> = &'a [u8];
    type Block<'a> = FixedBlock<'a>;
    /// The bytes of a record.
    type Shape = u64;
    type Buffer = ();

    fn block<'a>(record_bytes: &u64, bytes: &'a [u8], _: &'a mut ()) -> Result<FixedBlock<'a>, ReadError> {
        match usize::try_from(*record_bytes) {
            Ok(record_bytes) if record_bytes > 0 && bytes.len().is_multiple_of(record_bytes) => {
                Ok(FixedBlock { record_bytes, bytes })
            }
            _ => Err(ReadError::Malformed {
                place: "records".into(),
                message: format!("{} bytes are no whole number of records of {record_bytes}", bytes.len()),
            }),
        }
    }

    fn schema(schema: &mut Schema) {
        schema.text("records of a fixed length");
    }
}

/// Files of records that are all `record_bytes` long, behind a header of `offset` bytes in each file. Large files are cut
/// between records, small ones share a split.
///
/// ```
/// use mapreduce_core::{Dataset, FixedFiles};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("records");
/// std::fs::write(&path, "HEADaaaabbbbcccc")?;
/// let data = Dataset::new(FixedFiles::open([&path], 4, 4)?)?;
/// assert_eq!(data.sample(9, <[u8]>::to_vec)?, [b"aaaa", b"bbbb", b"cccc"]);
///
/// let error = FixedFiles::open([&path], 0, 5).unwrap_err().to_string();
/// assert!(error.contains("records: 16 bytes are no whole number of records of 5 bytes"), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FixedFiles {
    files: Vec<SourceFile>,
    offset: u64,
    record_bytes: usize,
}

impl FixedFiles {
    /// Records from byte `offset` of each file to its end. A folder stands for the files in it, as for
    /// [`TextFiles`](super::TextFiles::open).
    ///
    /// # Errors
    /// When a path is not there or cannot be read, a folder has no files, a file is compressed, or the bytes behind
    /// `offset` are no whole number of records.
    pub fn open(
        paths: impl IntoIterator<Item = impl AsRef<Path>>,
        offset: u64,
        record_bytes: usize,
    ) -> Result<Self, Error> {
        let files = file_list::list("files of records", paths)?;
        for file in &files {
            let refuse = |message| Err(Error::Input { input: file.shown(), message });
            if let Some(compression) = Compression::of_name(&file.path) {
                return refuse(format!(
                    "is compressed ({compression}), and records of a fixed length are read by position; decompress it"
                ));
            }
            let body = file.bytes.checked_sub(offset);
            if record_bytes == 0 || !body.is_some_and(|body| body.is_multiple_of(record_bytes as u64)) {
                return refuse(format!(
                    "{} bytes are no whole number of records of {record_bytes} bytes from byte {offset} on; check the \
                     length of a record and whether the file is complete",
                    file.bytes
                ));
            }
        }
        Ok(Self { files, offset, record_bytes })
    }

    /// The number of records in all files.
    pub fn records(&self) -> u64 {
        self.files.iter().map(|file| self.records_of(file)).sum()
    }

    fn records_of(&self, file: &SourceFile) -> u64 {
        (file.bytes - self.offset) / self.record_bytes as u64
    }

    fn ranges(&self, split: &SplitInfo) -> Vec<FileRange> {
        let byte = |record: u64| self.offset + record * self.record_bytes as u64;
        let mut ranges = source::ranges(&self.files, split);
        for range in &mut ranges {
            range.bytes = byte(range.bytes.start)..byte(range.bytes.end);
        }
        ranges
    }
}

impl Input for FixedFiles {
    type Records = Fixed;

    fn shape(&self) -> u64 {
        self.record_bytes as u64
    }

    fn splits(&self, split_bytes: Option<u64>) -> Result<Vec<SplitInfo>, Error> {
        let records = self.files.iter().map(|file| self.records_of(file));
        Ok(plan::of_records(records, self.record_bytes as u64, split_bytes))
    }

    fn open<'a>(&'a self, split: &'a SplitInfo) -> Result<Box<dyn Blocks<Fixed> + 'a>, ReadError> {
        let chunks = RowChunks::new(self.ranges(split), self.record_bytes);
        Ok(Box::new(FixedBlocks { record_bytes: self.record_bytes, chunks }))
    }

    fn describe(&self, split: &SplitInfo) -> String {
        source::describe_as(&self.files, split, |_, range| {
            format!("records {} to {}", range.start, range.end)
        })
    }

    fn excerpts(&self, split: &SplitInfo, count: usize) -> Vec<SplitInfo> {
        plan::excerpts(split, count)
    }

    fn ship(&self, split: &SplitInfo, sink: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        send(&mut RowChunks::new(self.ranges(split), self.record_bytes), sink)
    }

    fn files(&self) -> Option<SharedFiles> {
        Some(SharedFiles::of_rows(&self.files, self.offset, self.record_bytes as u64))
    }
}

struct FixedBlocks {
    record_bytes: usize,
    chunks: RowChunks,
}

impl Blocks<Fixed> for FixedBlocks {
    fn next_block(&mut self) -> Result<Option<FixedBlock<'_>>, ReadError> {
        let record_bytes = self.record_bytes;
        Ok(self.chunks.next_chunk()?.map(|bytes| FixedBlock { record_bytes, bytes }))
    }
}
