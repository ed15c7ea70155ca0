//! [`ParquetRows`]: rows of Parquet files as the input of jobs. A piece of a split is a range of row groups of a file.

use super::{Column, ParquetError, ParquetFile, ROWS, guard};
use crate::{
    data::{Dtype, FileRows, LoadError, RowsOfDtype, StoredRows},
    numeric::scalar::Scalar,
    output::little_endian,
};
use mapreduce_core::{
    Error, Input, ReadError, RowBlock, Rows, SplitInfo,
    input::{Blocks, Piece},
};
use std::{fs::File, marker::PhantomData, ops::Range, sync::Arc};

/// Rows in Parquet files that all have the same columns.
#[derive(Clone, Debug)]
pub(crate) struct ParquetRows<T> {
    files: Arc<Vec<ParquetFile>>,
    d: usize,
    value: PhantomData<fn() -> T>,
}

/// The rows of files that all have the type and the width of the first one.
pub(in crate::data) fn file_rows(files: Vec<ParquetFile>) -> Result<RowsOfDtype, LoadError> {
    let Some(ParquetFile { path, dtype, names, .. }) = files.first() else { return Err(LoadError::NoFiles) };
    let (dtype, d) = (*dtype, names.len());
    let rows = files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.rows()));
    if usize::try_from(rows).ok().and_then(|rows| rows.checked_mul(d)).is_none() {
        let problem = ParquetError::OutOfMemory { bytes: usize::MAX };
        return Err(LoadError::Parquet { path: path.clone(), problem });
    }
    Ok(match dtype {
        Dtype::F32 => RowsOfDtype::F32(FileRows::Parquet(ParquetRows::new(files, d))),
        Dtype::F64 => RowsOfDtype::F64(FileRows::Parquet(ParquetRows::new(files, d))),
    })
}

impl<T: Scalar> ParquetRows<T> {
    fn new(files: Vec<ParquetFile>, d: usize) -> Self {
        Self { files: Arc::new(files), d, value: PhantomData }
    }

    pub(in crate::data) fn rows(&self) -> u64 {
        self.files.iter().map(ParquetFile::rows).sum()
    }

    fn row_bytes(&self) -> u64 {
        (self.d * size_of::<T>()) as u64
    }

    fn blocks<'a>(&'a self, split: &'a SplitInfo) -> GroupBlocks<'a, T> {
        GroupBlocks { rows: self, pieces: split.pieces.iter(), open: None, values: Vec::new() }
    }
}

/// What splits are at the least, if nothing is asked for.
const SPLIT_BYTES: u64 = 16 << 20;

impl<T: Scalar> Input for ParquetRows<T> {
    type Records = Rows<T>;

    fn shape(&self) -> u64 {
        self.d as u64
    }

    /// A row group is in one split, with others of its file where it is small.
    fn splits(&self, split_bytes: Option<u64>) -> Result<Vec<SplitInfo>, Error> {
        let target = split_bytes.unwrap_or(SPLIT_BYTES);
        let (mut splits, mut first_row) = (Vec::<SplitInfo>::new(), 0);
        for (source, file) in (0..).zip(self.files.iter()) {
            for group in 0..file.groups() {
                let rows = file.group_rows(group);
                if rows == 0 {
                    continue;
                }
                let bytes = rows.saturating_mul(self.row_bytes());
                match splits.last_mut() {
                    Some(last)
                        if last.pieces[0].source == source && last.bytes.saturating_add(bytes) <= target =>
                    {
                        last.pieces[0].range.end = group as u64 + 1;
                        last.bytes += bytes;
                    }
                    _ => {
                        let range = group as u64..group as u64 + 1;
                        let pieces = vec![Piece { source, range }];
                        splits.push(SplitInfo { pieces, bytes, first_record: Some(first_row) });
                    }
                }
                first_row += rows;
            }
        }
        Ok(splits)
    }

    fn open<'a>(&'a self, split: &'a SplitInfo) -> Result<Box<dyn Blocks<Rows<T>> + 'a>, ReadError> {
        Ok(Box::new(self.blocks(split)))
    }

    fn describe(&self, split: &SplitInfo) -> String {
        let describe = |Piece { source, range }: &Piece| {
            let path = &self.files[*source as usize].path;
            format!("{}, row groups {} to {}", path.display(), range.start, range.end)
        };
        split.pieces.iter().map(describe).collect::<Vec<_>>().join(", ")
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
struct GroupBlocks<'a, T> {
    rows: &'a ParquetRows<T>,
    pieces: std::slice::Iter<'a, Piece>,
    open: Option<OpenFile<'a>>,
    values: Vec<T>,
}

/// A file of which row groups are being read.
struct OpenFile<'a> {
    parquet: &'a ParquetFile,
    /// One for each split: a file has one position, wherever it is read.
    file: Arc<File>,
    groups: Range<usize>,
    group: Option<OpenGroup>,
}

struct OpenGroup {
    columns: Vec<Column>,
    /// Of its first row in the file.
    first_row: usize,
    done: usize,
    rows: usize,
}

impl<T: Scalar> Blocks<Rows<T>> for GroupBlocks<'_, T> {
    fn next_block(&mut self) -> Result<Option<RowBlock<'_, T>>, ReadError> {
        let d = self.rows.d;
        loop {
            if let Some(open) = &mut self.open {
                if open.next_rows(d, &mut self.values)? {
                    return Ok(Some(RowBlock { width: d, values: &self.values }));
                }
                // A change while it was read may have been read half.
                open.parquet.stored.check_open(&open.file)?;
                self.open = None;
            }
            let Some(Piece { source, range }) = self.pieces.next() else { return Ok(None) };
            let parquet = &self.rows.files[*source as usize];
            let file = parquet.stored.open()?;
            let groups = range.start as usize..range.end as usize;
            self.open = Some(OpenFile { parquet, file: Arc::new(file), groups, group: None });
        }
    }
}

impl OpenFile<'_> {
    /// Reads the next rows of the row groups. False behind the last one.
    fn next_rows<T: Scalar>(&mut self, d: usize, values: &mut Vec<T>) -> Result<bool, ReadError> {
        let parquet = self.parquet;
        let failed = |problem: ParquetError| ReadError::Malformed {
            place: parquet.path.display().to_string(),
            message: problem.to_string(),
        };
        loop {
            if let Some(group) = &mut self.group {
                let count = ROWS.min(group.rows - group.done);
                if count > 0 {
                    values.resize(count * d, T::ZERO);
                    for (index, column) in group.columns.iter_mut().enumerate() {
                        guard(|| column.read(count)).map_err(failed)?;
                        let row = group.first_row + group.done;
                        let put = column.put(values, index, d);
                        put.map_err(|wrong| failed(wrong.at(row, &parquet.names[index])))?;
                    }
                    group.done += count;
                    return Ok(true);
                }
            }
            let Some(index) = self.groups.next() else { return Ok(false) };
            let first_row = (0..index).map(|group| parquet.group_rows(group) as usize).sum();
            let rows = parquet.group_rows(index) as usize;
            let columns = guard(|| parquet.open_group(&self.file, index, rows)).map_err(failed)?;
            self.group = Some(OpenGroup { columns, first_row, done: 0, rows });
        }
    }
}

impl StoredRows {
    /// Opens the file, if it is still what it was.
    pub(super) fn open(&self) -> Result<File, ReadError> {
        let file = File::open(self.path()).map_err(|source| self.unreadable(source))?;
        self.check_open(&file)?;
        Ok(file)
    }

    fn check_open(&self, file: &File) -> Result<(), ReadError> {
        let metadata = file.metadata().map_err(|source| self.unreadable(source))?;
        if self.is(&metadata) {
            return Ok(());
        }
        let difference = "it has been written to".to_owned();
        Err(ReadError::Changed { path: self.path().display().to_string(), difference })
    }

    fn unreadable(&self, source: std::io::Error) -> ReadError {
        ReadError::Io { path: self.path().display().to_string(), offset: 0, source }
    }
}
