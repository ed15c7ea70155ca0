//! [`TextFiles`]: lines of many files, cut by byte ranges.

use super::{
    Blocks, Input, Lines, ReadError, Records, SharedFiles, SplitInfo, Utf8Lines, file_list,
    line_reader::LineReader,
    plan, send,
    source::{self, SourceFile},
};
use crate::Error;
use std::{marker::PhantomData, path::Path};

/// Text files, read line by line in the order in which they are given.
///
/// A large file is cut into byte ranges; a line belongs to the range that its first byte is in. Small files share a
/// split. A line never continues in the next file, and is at most [`LINE_BYTES_MAX`](super::LINE_BYTES_MAX) long, or what
/// [`with_line_bytes_max`](TextFiles::with_line_bytes_max) says.
///
/// Files named `.gz` and `.zst` are decompressed. Each is read whole by one task; offsets in messages count decompressed
/// bytes. A file that is cut off or damaged is an error, also if it ends with complete lines.
///
/// ```
/// # #[cfg(feature = "gzip")] {
/// use mapreduce_core::{Dataset, TextFiles};
/// use std::io::Write;
///
/// # let folder = tempfile::tempdir()?;
/// let plain = folder.path().join("1.txt");
/// std::fs::write(&plain, "to be\n")?;
/// let packed = folder.path().join("2.txt.gz");
/// let mut gzip = flate2::write::GzEncoder::new(std::fs::File::create(&packed)?, Default::default());
/// gzip.write_all(b"or not\n")?;
/// gzip.finish()?;
///
/// let data = Dataset::new(TextFiles::open([folder.path()])?)?;
/// assert_eq!(data.splits().len(), 1);
/// assert_eq!(data.sample(9, str::to_string)?, ["to be", "or not"]);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TextFiles<R = Utf8Lines> {
    files: Vec<SourceFile>,
    records: PhantomData<fn() -> R>,
}

impl TextFiles<Utf8Lines> {
    /// Lines of UTF-8 text ([`Utf8Lines`]). A folder stands for the files in it, in the order of their names; those
    /// whose names begin with `.` or `_` are left out, so the output folder of one job can be the input of another.
    ///
    /// # Errors
    /// When a path is not there or cannot be read, or a folder has no files.
    pub fn open(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Self, Error> {
        Self::open_as(paths)
    }
}

impl TextFiles<Lines> {
    /// Lines as bytes ([`Lines`]), whatever their encoding. Otherwise as [`TextFiles::open`].
    ///
    /// # Errors
    /// As for [`TextFiles::open`].
    pub fn open_bytes(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Self, Error> {
        Self::open_as(paths)
    }
}

impl<R> TextFiles<R> {
    /// Lines as records of your own, whose [`Records::block`] gets whole lines. Otherwise as [`TextFiles::open`].
    ///
    /// # Errors
    /// As for [`TextFiles::open`].
    pub fn open_as(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Self, Error> {
        let mut files = file_list::list("text files", paths)?;
        file_list::find_compressed(&mut files)?;
        Ok(Self { files, records: PhantomData })
    }

    /// Lines of at most so many bytes, more or less than the default: a task holds one whole, and while it is read up to
    /// 2 1/8 times its length. Lines of 256 KiB are always read. A longer one than this is
    /// [an error](ReadError::LineTooLong), on all nodes.
    ///
    /// ```
    /// use mapreduce_core::{Dataset, TextFiles};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("numbers.txt");
    /// std::fs::write(&path, [b'7'; 2 << 20])?;
    /// let text = TextFiles::open([&path])?;
    /// let error = Dataset::new(text.clone().with_line_bytes_max(1 << 20))?.sample(9, str::len).unwrap_err();
    /// assert!(error.to_string().contains("is longer than 1048576 bytes; raise `line_bytes_max`"), "{error}");
    /// assert_eq!(Dataset::new(text.with_line_bytes_max(2 << 20))?.sample(9, str::len)?, [2 << 20]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_line_bytes_max(mut self, bytes: u64) -> Self {
        self.files.iter_mut().for_each(|file| file.line_bytes_max = bytes);
        self
    }

    fn reader(&self, split: &SplitInfo) -> LineReader {
        LineReader::new(source::ranges(&self.files, split))
    }
}

impl<R> Input for TextFiles<R>
where
    R: Records<Shape = ()>,
{
    type Records = R;

    fn shape(&self) {}

    fn splits(&self, split_bytes: Option<u64>) -> Result<Vec<SplitInfo>, Error> {
        Ok(plan::of_files(&self.files, split_bytes))
    }

    fn open<'a>(&'a self, split: &'a SplitInfo) -> Result<Box<dyn Blocks<R> + 'a>, ReadError> {
        Ok(Box::new(TextBlocks { reader: self.reader(split), buffer: R::Buffer::default() }))
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
        Some(SharedFiles::of_lines(&self.files))
    }
}

/// Reads what the reader gives as records.
struct TextBlocks<R: Records> {
    reader: LineReader,
    buffer: R::Buffer,
}

impl<R: Records<Shape = ()>> Blocks<R> for TextBlocks<R> {
    fn next_block(&mut self) -> Result<Option<R::Block<'_>>, ReadError> {
        if !self.reader.advance()? {
            return Ok(None);
        }
        let (lines, path, offset) = self.reader.lines();
        match R::block(&(), lines, &mut self.buffer) {
            Ok(block) => Ok(Some(block)),
            Err(error) => Err(error.within(path, offset)),
        }
    }
}
