//! [`TemporaryRows`]: rows in a temporary file of this process, as the input of jobs.

use crate::{numeric::scalar::Scalar, output::little_endian};
use mapreduce_core::{
    Error, Input, ReadError, RowBlock, Rows, SplitInfo,
    input::{Blocks, Piece, read_exact_at},
};
use std::{
    fs::File,
    io::{self, Write as _},
    marker::PhantomData,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Blocks are about this long: they fit into a core's second-level cache together with what a kernel works on.
const BLOCK_BYTES: usize = 256 << 10;
/// What splits are at the least, if nothing is asked for.
const SPLIT_BYTES: u64 = 16 << 20;

/// A file without a name: nobody else writes to it, and nothing of it is left when it is dropped or the process ends,
/// however it ends.
#[derive(Debug)]
pub(crate) struct TemporaryFile {
    file: File,
    folder: PathBuf,
}

impl TemporaryFile {
    pub(crate) fn create(folder: &Path) -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile_in(folder)?, folder: folder.to_owned() })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes values behind those that are there, in the byte order of this machine, on which they are read.
    pub(crate) fn append<T: Scalar>(&mut self, values: &[T]) -> io::Result<()> {
        self.file.write_all(bytemuck::cast_slice(values))
    }
}

/// Rows of `d` values each. The file lasts as long as any clone.
#[derive(Clone, Debug)]
pub(crate) struct TemporaryRows<T> {
    file: Arc<TemporaryFile>,
    rows: usize,
    d: usize,
    value: PhantomData<fn() -> T>,
}

impl<T: Scalar> TemporaryRows<T> {
    /// The file holds so many rows of `d` values, at least one of each.
    pub(crate) fn new(file: TemporaryFile, rows: usize, d: usize) -> Self {
        Self { file: Arc::new(file), rows, d, value: PhantomData }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    fn row_bytes(&self) -> usize {
        self.d * size_of::<T>()
    }

    fn blocks(&self, split: &SplitInfo) -> FileBlocks<'_, T> {
        let rows = split.pieces.first().map_or(0..0, |piece| piece.range.clone());
        FileBlocks { source: self, rows, values: Vec::new() }
    }
}

impl<T: Scalar> Input for TemporaryRows<T> {
    type Records = Rows<T>;

    fn shape(&self) -> u64 {
        self.d as u64
    }

    /// A split is one range of rows.
    fn splits(&self, split_bytes: Option<u64>) -> Result<Vec<SplitInfo>, Error> {
        let (rows, row_bytes) = (self.rows as u64, self.row_bytes() as u64);
        let per_split = (split_bytes.unwrap_or(SPLIT_BYTES) / row_bytes).max(1);
        let split = |index: u64| {
            let start = index * per_split;
            let range = start..start.saturating_add(per_split).min(rows);
            let bytes = (range.end - range.start) * row_bytes;
            SplitInfo { pieces: vec![Piece { source: 0, range }], bytes, first_record: Some(start) }
        };
        Ok((0..rows.div_ceil(per_split)).map(split).collect())
    }

    fn open<'a>(&'a self, split: &'a SplitInfo) -> Result<Box<dyn Blocks<Rows<T>> + 'a>, ReadError> {
        Ok(Box::new(self.blocks(split)))
    }

    fn describe(&self, split: &SplitInfo) -> String {
        let Range { start, end } = self.blocks(split).rows;
        format!("temporary file in {}, rows {start} to {end}", self.file.folder.display())
    }

    fn ship(&self, split: &SplitInfo, sink: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        let mut blocks = self.blocks(split);
        while blocks.next_block()?.is_some() {
            sink(little_endian(&mut blocks.values));
        }
        Ok(())
    }
}

/// The rows of a split.
struct FileBlocks<'a, T> {
    source: &'a TemporaryRows<T>,
    /// That are yet to be read.
    rows: Range<u64>,
    values: Vec<T>,
}

impl<T: Scalar> Blocks<Rows<T>> for FileBlocks<'_, T> {
    fn next_block(&mut self) -> Result<Option<RowBlock<'_, T>>, ReadError> {
        let Self { source, rows, values } = self;
        if rows.is_empty() {
            return Ok(None);
        }
        let (d, row_bytes, TemporaryFile { file, folder }) = (source.d, source.row_bytes(), &*source.file);
        let count = ((BLOCK_BYTES / row_bytes).max(1) as u64).min(rows.end - rows.start);
        values.resize(count as usize * d, T::ZERO);
        let offset = rows.start * row_bytes as u64;
        read_exact_at(file, bytemuck::cast_slice_mut(values), offset).map_err(|source| {
            let path = format!("temporary file in {}", folder.display());
            ReadError::Io { path, offset, source }
        })?;
        rows.start += count;
        Ok(Some(RowBlock { width: d, values }))
    }
}
