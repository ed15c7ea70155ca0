//! [`ParquetFiles`]: rows of Parquet files as serde types, cut by row groups.

mod columns;
mod row;

use super::{
    Blocks, Input, Items, ReadError, SplitInfo,
    compression::Compression,
    file_list, items, plan,
    source::{self, SourceFile},
};
use crate::Error;
use columns::RowGroup;
use parquet::{
    errors::ParquetError,
    file::metadata::{ParquetMetaData, ParquetMetaDataReader},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt, fs::File, io, marker::PhantomData, ops::Range, path::Path, slice, sync::Arc};

/// Rows of Parquet files as values of `T`, a struct of serde's (feature `parquet`). Of the file only those columns are read
/// that the fields of `T` name, or that are [named](Self::open_columns).
///
/// A split is one or several row groups; small ones share one. Columns may be optional (`Option`), but not repeated: lists
/// and maps cannot be read. A field of a group is a column with a dot in its name: `#[serde(rename = "address.city")]`.
///
/// | column | field |
/// |---|---|
/// | `BOOLEAN`, `FLOAT`, `DOUBLE` | `bool`, `f32`, `f64` |
/// | `INT32`, `INT64`, signed or not | any integer that it fits into, or a float |
/// | `BYTE_ARRAY` with text | `String`; an enum by the names of its variants |
/// | other `BYTE_ARRAY`, `FIXED_LEN_BYTE_ARRAY` | `Vec<u8>` |
/// | `DECIMAL` of up to 128 bits | `String` with all digits, or a float |
/// | dates, times, time stamps | the number in the file: days, or the unit of the column |
/// | `INT96` (time stamps of old programs) | `i64`, nanoseconds since 1970 |
///
/// Pages may be compressed with Snappy, gzip, zstd or LZ4, and are checked where they have checksums. In this process rows
/// are decoded where they are mapped; to other nodes they are [shipped](Input::ship) encoded.
///
/// ```no_run
/// use mapreduce_core::{Dataset, ParquetFiles};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Trip {
///     distance: f64,
///     passengers: Option<u8>,
/// }
///
/// let trips = Dataset::new(ParquetFiles::<Trip>::open(["trips-2024.parquet", "trips-2025.parquet"])?)?;
/// # Ok::<(), mapreduce_core::Error>(())
/// ```
pub struct ParquetFiles<T> {
    files: Vec<ParquetFile>,
    sources: Vec<SourceFile>,
    row: PhantomData<fn() -> T>,
}

#[derive(Clone)]
struct ParquetFile {
    metadata: Arc<ParquetMetaData>,
    /// The columns that are read, by their numbers in the file.
    columns: Vec<usize>,
}

impl<T: DeserializeOwned> ParquetFiles<T> {
    /// Files of which the columns are read that the fields of `T` name; all of them, in their order, if `T` is no struct.
    /// A folder stands for the files in it, as for [`TextFiles`](super::TextFiles::open).
    ///
    /// # Errors
    /// When a path is not there or cannot be read, a folder has no files, a file is not Parquet, or has no such column.
    pub fn open(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<Self, Error> {
        Self::open_some(paths, row::field_names::<T>())
    }

    /// Files of which the given columns are read, in this order: for types whose fields are not known before
    /// (`serde(flatten)`, maps), have several names (`serde(alias)`) or none (tuples).
    ///
    /// # Errors
    /// As for [`ParquetFiles::open`].
    pub fn open_columns(
        paths: impl IntoIterator<Item = impl AsRef<Path>>,
        columns: &[&str],
    ) -> Result<Self, Error> {
        Self::open_some(paths, Some(columns))
    }

    fn open_some(
        paths: impl IntoIterator<Item = impl AsRef<Path>>,
        names: Option<&[&str]>,
    ) -> Result<Self, Error> {
        let sources = file_list::list("parquet files", paths)?;
        let files = sources.iter().map(|source| open_file(source, names)).collect::<Result<_, _>>()?;
        Ok(Self { files, sources, row: PhantomData })
    }
}

/// Reads what the end of a file says about it.
fn open_file(source: &SourceFile, names: Option<&[&str]>) -> Result<ParquetFile, Error> {
    let refuse = |message: String| Error::Input { input: source.shown(), message };
    if let Some(compression) = Compression::of_name(&source.path) {
        return Err(refuse(format!(
            "is compressed ({compression}), and a Parquet file is read by position; decompress it: what is in it is \
             compressed already"
        )));
    }
    let file = source.range(0..source.bytes).open()?;
    let metadata = columns::guard(|| ParquetMetaDataReader::new().parse_and_finish(&file))
        .map_err(|error| refuse(format!("is no complete Parquet file ({error}); make or copy it again")))?;
    if let Some(group) = metadata.row_groups().iter().position(|group| group.num_rows() < 0) {
        let rows = metadata.row_group(group).num_rows();
        return Err(refuse(format!("is damaged: row group {group} has {rows} rows; make or copy it again")));
    }
    let schema = metadata.file_metadata().schema_descr();
    let all: Vec<String> = schema.columns().iter().map(|column| column.path().string()).collect();
    let columns = match names {
        None => (0..all.len()).collect(),
        Some(names) => {
            let find = |name: &&str| {
                all.iter().position(|column| column == name).ok_or_else(|| {
                    refuse(format!("has no column `{name}`; its columns are {}", all.join(", ")))
                })
            };
            names.iter().map(find).collect::<Result<Vec<_>, _>>()?
        }
    };
    if let Some(column) = columns.iter().find(|column| schema.column(**column).max_rep_level() > 0) {
        return Err(refuse(format!(
            "column `{}` is repeated (a list or a map), which cannot be read; choose other columns",
            all[*column]
        )));
    }
    if columns.is_empty() {
        return Err(refuse("no column is chosen; give the row type a field, or name columns".into()));
    }
    Ok(ParquetFile { metadata: Arc::new(metadata), columns })
}

impl<T> ParquetFiles<T> {
    /// The row groups of a split, one after the other.
    fn row_groups<'a>(&'a self, split: &'a SplitInfo) -> RowGroups<'a> {
        RowGroups {
            files: &self.files,
            sources: &self.sources,
            pieces: split.pieces.iter(),
            groups: 0..0,
            file: None,
            group: None,
        }
    }
}

impl<T> Clone for ParquetFiles<T> {
    fn clone(&self) -> Self {
        Self { files: self.files.clone(), sources: self.sources.clone(), row: PhantomData }
    }
}

impl<T> fmt::Debug for ParquetFiles<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParquetFiles").field("files", &self.sources).finish()
    }
}

impl<T: Send + Sync + Serialize + DeserializeOwned + 'static> Input for ParquetFiles<T> {
    type Records = Items<T>;

    fn shape(&self) {}

    fn splits(&self, split_bytes: Option<u64>) -> Result<Vec<SplitInfo>, Error> {
        let groups = self.files.iter().enumerate().flat_map(|(source, file)| {
            let groups = file.metadata.row_groups().iter().enumerate();
            groups.map(move |(index, group)| {
                let bytes = file.columns.iter().map(|column| group.column(*column).uncompressed_size());
                let bytes = bytes.fold(0, |sum: u64, bytes| sum.saturating_add_signed(bytes));
                (source as u32, index as u64, bytes, group.num_rows() as u64)
            })
        });
        let groups: Vec<_> = groups.collect();
        let total = groups.iter().fold(0, |sum: u64, (.., bytes, _)| sum.saturating_add(*bytes));
        let mut packer = plan::Packer::new(plan::split_bytes(total, split_bytes));
        let mut first_row = 0;
        for (source, index, bytes, rows) in groups {
            packer.add(source, index..index + 1, bytes, Some(first_row));
            first_row += rows;
        }
        Ok(packer.finish())
    }

    fn open<'a>(&'a self, split: &'a SplitInfo) -> Result<Box<dyn Blocks<Items<T>> + 'a>, ReadError> {
        Ok(Box::new(RowBlocks { groups: self.row_groups(split), rows: Vec::new() }))
    }

    fn describe(&self, split: &SplitInfo) -> String {
        source::describe_as(&self.sources, split, |_, range| {
            format!("row groups {} to {}", range.start, range.end)
        })
    }

    /// A row group is read from its first row on.
    fn excerpts(&self, split: &SplitInfo, count: usize) -> Vec<SplitInfo> {
        match split.pieces.as_slice() {
            [one] if one.range.end - one.range.start == 1 => Vec::new(),
            _ => plan::excerpts(split, count),
        }
    }

    fn ship(&self, split: &SplitInfo, sink: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        let (mut groups, mut rows, mut block, mut sent) =
            (self.row_groups(split), Vec::<T>::new(), Vec::new(), 0);
        while groups.next(&mut rows)? {
            items::send(&rows, sent, &mut block, sink)?;
            sent += rows.len() as u64;
        }
        Ok(())
    }
}

struct RowBlocks<'a, T> {
    groups: RowGroups<'a>,
    rows: Vec<T>,
}

impl<T: Send + Sync + Serialize + DeserializeOwned + 'static> Blocks<Items<T>> for RowBlocks<'_, T> {
    fn next_block(&mut self) -> Result<Option<&[T]>, ReadError> {
        Ok(if self.groups.next(&mut self.rows)? { Some(&self.rows) } else { None })
    }
}

/// Reads the row groups of a split.
struct RowGroups<'a> {
    files: &'a [ParquetFile],
    sources: &'a [SourceFile],
    pieces: slice::Iter<'a, plan::Piece>,
    /// Those of the open file that are still to be read.
    groups: Range<u64>,
    file: Option<OpenFile<'a>>,
    group: Option<RowGroup>,
}

struct OpenFile<'a> {
    file: Arc<File>,
    parquet: &'a ParquetFile,
    source: &'a SourceFile,
}

impl RowGroups<'_> {
    /// Decodes the next rows, some at a time. False behind the last one.
    fn next<T: DeserializeOwned>(&mut self, rows: &mut Vec<T>) -> Result<bool, ReadError> {
        rows.clear();
        loop {
            if let Some(file) = &self.file {
                if let Some(group) = &mut self.group {
                    if group.next(rows).map_err(|error| file.failed(error))? {
                        return Ok(true);
                    }
                    self.group = None;
                }
                if let Some(index) = self.groups.next() {
                    let ParquetFile { metadata, columns } = file.parquet;
                    let group = RowGroup::open(&file.file, metadata, index as usize, columns);
                    self.group = Some(group.map_err(|error| file.failed(error))?);
                    continue;
                }
                // Everything that was wanted has been read.
                file.source.range(0..file.source.bytes).check(&file.file)?;
            }
            let Some(plan::Piece { source, range }) = self.pieces.next() else { return Ok(false) };
            let (parquet, source) = (&self.files[*source as usize], &self.sources[*source as usize]);
            let file = Arc::new(source.range(0..source.bytes).open()?);
            self.file = Some(OpenFile { file, parquet, source });
            self.groups = range.clone();
        }
    }
}

impl OpenFile<'_> {
    fn failed(&self, error: columns::GroupError) -> ReadError {
        let range = self.source.range(0..self.source.bytes);
        if let Err(changed) = range.check(&self.file) {
            return changed;
        }
        let (message, place) = match error {
            columns::GroupError::Parquet(group, ParquetError::External(error)) => {
                match error.downcast::<io::Error>() {
                    Ok(error) => return range.unreadable(0)(*error),
                    Err(error) => (error.to_string(), format!("row group {group}")),
                }
            }
            columns::GroupError::Parquet(group, error) => (
                format!("{error}; the file may be damaged, make or copy it again"),
                format!("row group {group}"),
            ),
            columns::GroupError::Row { group, row, message } => {
                (message, format!("row group {group}, row {row} of it"))
            }
        };
        ReadError::Malformed { place: format!("{}, {place}", range.shown()), message }
    }
}
