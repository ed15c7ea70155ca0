//! Rows of numbers: [`RowSlice`] in memory, [`RowFiles`] on disk.

use super::{
    Blocks, Input, ReadError, Records, SharedFiles, SplitInfo, file_list, items, plan,
    row_reader::{RowChunks, RowReader, block_rows},
    send,
    source::{self, FileRange, SourceFile},
    unreadable,
};
use crate::{Error, Schema};
use bytemuck::Pod;
use std::{fs, marker::PhantomData, path::Path, slice};

/// Records that are rows of a fixed number of `T`: `f32`, `f64`, any integer.
pub struct Rows<T>(PhantomData<fn() -> T>);

/// Consecutive rows, one after the other in memory.
#[derive(Clone, Copy, Debug)]
pub struct RowBlock<'a, T> {
    /// Numbers per row.
    pub width: usize,
    /// All numbers of the block, row by row: a multiple of `width`.
    pub values: &'a [T],
}

impl<'a, T> RowBlock<'a, T> {
    /// The number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl<'a, T> IntoIterator for RowBlock<'a, T> {
    type Item = &'a [T];
    type IntoIter = slice::ChunksExact<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.values.chunks_exact(self.width)
    }
}

impl<T: Pod + Send + Sync> Records for Rows<T> {
    type Record<'a> = &'a [T];
    type Block<'a> = RowBlock<'a, T>;
    /// Numbers per row.
    type Shape = u64;
    type Buffer = Vec<T>;

    /// Reads rows of little-endian numbers. Copies them only if they do not lie aligned.
    fn block<'a>(width: &u64, bytes: &'a [u8], buffer: &'a mut Vec<T>) -> Result<RowBlock<'a, T>, ReadError> {
        let malformed = || ReadError::Malformed {
            place: "rows".into(),
            message: format!(
                "{} bytes are no whole number of rows of {width} numbers of {} bytes",
                bytes.len(),
                size_of::<T>()
            ),
        };
        let width = usize::try_from(*width).map_err(|_| malformed())?;
        if !row_bytes::<T>(width).is_some_and(|row| bytes.len().is_multiple_of(row)) {
            return Err(malformed());
        }
        let values = match bytemuck::try_cast_slice(bytes) {
            Ok(values) if cfg!(target_endian = "little") => values,
            _ => {
                buffer.resize(bytes.len() / size_of::<T>(), T::zeroed());
                bytemuck::cast_slice_mut(buffer).copy_from_slice(bytes);
                from_little_endian(buffer);
                buffer
            }
        };
        Ok(RowBlock { width, values })
    }

    fn schema(schema: &mut Schema) {
        schema.text("rows ");
        schema.text(std::any::type_name::<T>());
    }
}

/// Numbers in memory, row by row, owned or borrowed.
///
/// ```
/// use mapreduce_core::{Dataset, RowSlice};
///
/// let points = [0.0f32, 0.5, 1.0, 1.5, 2.0, 2.5];
/// let data = Dataset::new(RowSlice::new(&points, 2)?)?; // three rows of two
/// assert_eq!(data.bytes(), 24);
/// # Ok::<(), mapreduce_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RowSlice<T, S> {
    values: S,
    width: usize,
    number: PhantomData<fn() -> T>,
}

impl<T, S: AsRef<[T]>> RowSlice<T, S> {
    /// Rows of `width` numbers each.
    ///
    /// # Errors
    /// When `width` is 0 or the numbers are no whole number of rows.
    pub fn new(values: S, width: usize) -> Result<Self, Error> {
        let len = values.as_ref().len();
        if row_bytes::<T>(width).is_none() || !len.is_multiple_of(width) {
            return Err(Error::Input {
                input: "rows in memory".into(),
                message: format!("{len} numbers are no whole number of rows of {width}; check the row width"),
            });
        }
        Ok(Self { values, width, number: PhantomData })
    }

    fn row_bytes(&self) -> usize {
        self.width * size_of::<T>()
    }

    fn blocks(&self, split: &SplitInfo) -> SliceBlocks<'_, T> {
        let [piece] = split.pieces.as_slice() else { return SliceBlocks { width: 1, rest: &[] } };
        let rows = items::within(&piece.range);
        let rest = &self.values.as_ref()[rows.start * self.width..rows.end * self.width];
        SliceBlocks { width: self.width, rest }
    }
}

impl<T, S> Input for RowSlice<T, S>
where
    T: Pod + Send + Sync,
    S: AsRef<[T]> + Send + Sync,
{
    type Records = Rows<T>;

    fn shape(&self) -> u64 {
        self.width as u64
    }

    fn splits(&self, split_bytes: Option<u64>) -> Result<Vec<SplitInfo>, Error> {
        let rows = self.values.as_ref().len() / self.width;
        Ok(plan::of_records([rows as u64], self.row_bytes() as u64, split_bytes))
    }

    fn open<'a>(&'a self, split: &'a SplitInfo) -> Result<Box<dyn Blocks<Rows<T>> + 'a>, ReadError> {
        Ok(Box::new(self.blocks(split)))
    }

    fn describe(&self, split: &SplitInfo) -> String {
        items::describe("rows", split)
    }

    fn excerpts(&self, split: &SplitInfo, count: usize) -> Vec<SplitInfo> {
        plan::excerpts(split, count)
    }

    fn ship(&self, split: &SplitInfo, sink: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        let mut turned = Vec::new();
        for values in self.blocks(split) {
            sink(to_little_endian(values, &mut turned));
        }
        Ok(())
    }
}

struct SliceBlocks<'a, T> {
    width: usize,
    rest: &'a [T],
}

impl<'a, T> Iterator for SliceBlocks<'a, T> {
    type Item = &'a [T];

    fn next(&mut self) -> Option<&'a [T]> {
        if self.rest.is_empty() {
            return None;
        }
        let len = block_rows(self.width * size_of::<T>()) * self.width;
        let (values, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        Some(values)
    }
}

impl<T: Pod + Send + Sync> Blocks<Rows<T>> for SliceBlocks<'_, T> {
    fn next_block(&mut self) -> Result<Option<RowBlock<'_, T>>, ReadError> {
        Ok(self.next().map(|values| RowBlock { width: self.width, values }))
    }
}

/// Rows of little-endian numbers in files, for instance the bodies of `.npy` files. Read by position, a block at a time.
///
/// ```
/// use mapreduce_core::{Dataset, RowFiles};
///
/// # let folder = tempfile::tempdir()?;
/// # let (first, second) = (folder.path().join("first"), folder.path().join("second"));
/// std::fs::write(&first, [1, 2, 3, 4])?;
/// std::fs::write(&second, [0, 5, 6])?;
/// let files = RowFiles::<u8>::open_all([(&first, 0), (&second, 1)], 2)?; // the second has a header of one byte
/// assert_eq!(files.rows(), 3);
/// assert_eq!(Dataset::new(files)?.bytes(), 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RowFiles<T> {
    /// Their rows begin behind their headers.
    files: Vec<SourceFile>,
    width: usize,
    number: PhantomData<fn() -> T>,
}

impl<T: Pod> RowFiles<T> {
    /// Rows of `width` numbers from byte `offset` of one file to its end.
    ///
    /// # Errors
    /// When the file cannot be read or the bytes behind `offset` are no whole number of rows.
    pub fn open(path: impl AsRef<Path>, offset: u64, width: usize) -> Result<Self, Error> {
        Self::open_all([(path, offset)], width)
    }

    /// Rows of `width` numbers in several files, one after the other: of each from the byte that is given with it to its
    /// end.
    ///
    /// # Errors
    /// When a file cannot be read or the bytes behind its offset are no whole number of rows.
    pub fn open_all(
        files: impl IntoIterator<Item = (impl AsRef<Path>, u64)>,
        width: usize,
    ) -> Result<Self, Error> {
        let open = |(path, offset): (_, u64)| {
            let path: &Path = AsRef::<Path>::as_ref(&path);
            let metadata = fs::metadata(path).map_err(unreadable(path))?;
            let mut file = file_list::file(path.to_path_buf(), &metadata)?;
            let bytes = file.bytes;
            match (bytes.checked_sub(offset), row_bytes::<T>(width)) {
                (Some(body), Some(row_bytes)) if body.is_multiple_of(row_bytes as u64) => {
                    file.header_bytes = offset;
                    Ok(file)
                }
                _ => Err(Error::Input {
                    input: path.display().to_string(),
                    message: format!(
                        "{bytes} bytes are no whole number of rows of {width} numbers of {} bytes from byte {offset} \
                         on; check the row width and whether the file is complete",
                        size_of::<T>()
                    ),
                }),
            }
        };
        let files = files.into_iter().map(open).collect::<Result<_, Error>>()?;
        Ok(Self { files, width, number: PhantomData })
    }

    /// The number of rows in all files.
    pub fn rows(&self) -> u64 {
        self.rows_by_file().sum()
    }

    fn rows_by_file(&self) -> impl Iterator<Item = u64> + Clone {
        self.files.iter().map(|file| file.content_bytes() / self.row_bytes() as u64)
    }

    fn row_bytes(&self) -> usize {
        self.width * size_of::<T>()
    }

    fn ranges(&self, split: &SplitInfo) -> Vec<FileRange> {
        let mut ranges = source::ranges(&self.files, split);
        for FileRange { file, bytes } in &mut ranges {
            let byte = |row: u64| file.header_bytes + row * self.row_bytes() as u64;
            *bytes = byte(bytes.start)..byte(bytes.end);
        }
        ranges
    }
}

impl<T: Pod + Send + Sync> Input for RowFiles<T> {
    type Records = Rows<T>;

    fn shape(&self) -> u64 {
        self.width as u64
    }

    fn splits(&self, split_bytes: Option<u64>) -> Result<Vec<SplitInfo>, Error> {
        Ok(plan::of_records(self.rows_by_file(), self.row_bytes() as u64, split_bytes))
    }

    fn open<'a>(&'a self, split: &'a SplitInfo) -> Result<Box<dyn Blocks<Rows<T>> + 'a>, ReadError> {
        let reader = RowReader::new(self.ranges(split), self.row_bytes());
        Ok(Box::new(FileBlocks { width: self.width, reader, buffer: Vec::new() }))
    }

    fn describe(&self, split: &SplitInfo) -> String {
        source::describe_as(&self.files, split, |_, range| format!("rows {} to {}", range.start, range.end))
    }

    fn excerpts(&self, split: &SplitInfo, count: usize) -> Vec<SplitInfo> {
        plan::excerpts(split, count)
    }

    fn ship(&self, split: &SplitInfo, sink: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        send(&mut RowChunks::new(self.ranges(split), self.row_bytes()), sink)
    }

    fn files(&self) -> Option<SharedFiles> {
        Some(SharedFiles::of_rows(&self.files, 0, self.row_bytes() as u64))
    }
}

/// Reads into memory that is aligned for the numbers.
struct FileBlocks<T> {
    width: usize,
    reader: RowReader,
    buffer: Vec<T>,
}

impl<T: Pod + Send + Sync> Blocks<Rows<T>> for FileBlocks<T> {
    fn next_block(&mut self) -> Result<Option<RowBlock<'_, T>>, ReadError> {
        let Some(bytes) = self.reader.next_len()? else { return Ok(None) };
        self.buffer.resize(bytes / size_of::<T>(), T::zeroed());
        self.reader.read(bytemuck::cast_slice_mut(&mut self.buffer))?;
        from_little_endian(&mut self.buffer);
        Ok(Some(RowBlock { width: self.width, values: &self.buffer }))
    }
}

/// The length of a row, if there is anything in it.
fn row_bytes<T>(width: usize) -> Option<usize> {
    width.checked_mul(size_of::<T>()).filter(|bytes| *bytes > 0)
}

/// Numbers lie in files and messages in little-endian order; on other machines they are turned round.
fn from_little_endian<T: Pod>(values: &mut [T]) {
    if cfg!(target_endian = "big") {
        for number in bytemuck::cast_slice_mut::<T, u8>(values).chunks_exact_mut(size_of::<T>()) {
            number.reverse();
        }
    }
}

/// The numbers as they lie in files and messages.
fn to_little_endian<'a, T: Pod>(values: &'a [T], turned: &'a mut Vec<T>) -> &'a [u8] {
    if cfg!(target_endian = "little") {
        return bytemuck::cast_slice(values);
    }
    turned.clear();
    turned.extend_from_slice(values);
    from_little_endian(turned);
    bytemuck::cast_slice(turned)
}
