//! Reading columns of numbers from a Parquet file (feature `parquet`, on by default).
//!
//! Every column is a coordinate unless some are [chosen](super::LoadOptions::columns). Columns may be `FLOAT`, `DOUBLE`,
//! `INT32` and `INT64`, signed or not; dates, times, decimals, texts and lists are errors that name the column. A column
//! may be optional, but no value of it may be missing.
//!
//! Points are f32 if f32 holds every value of the columns' types, which are then `FLOAT` or integers of at most 16 bits;
//! else f64. An integer that f64 cannot hold is an error, as a silent rounding would be found late.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::{
    basic::{ConvertedType, LogicalType, Type as Physical},
    column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader},
    data_type::{DataType, DoubleType, FloatType, Int32Type, Int64Type},
    errors::ParquetError as Problem,
    file::{
        metadata::{ParquetMetaData, ParquetMetaDataReader},
        serialized_reader::SerializedPageReader,
    },
    schema::types::ColumnDescriptor,
};

use super::watch::Watch;
use super::{Dtype, FileError, LoadError, Matrix, Points, StoredRows};
use crate::numeric::scalar::Scalar;

mod rows;

pub(super) use rows::{ParquetRows, file_rows};

/// Rows that are decoded at once.
const ROWS: usize = 4096;
/// The largest integer up to which f64 holds all.
const EXACT_MAX: u64 = 1 << 53;

/// Why a Parquet file holds no points that can be clustered.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParquetError {
    /// The file is no Parquet, cut off or broken.
    #[error("this is no complete Parquet file ({problem}); make or copy it again")]
    Damaged {
        /// What the decoder says.
        problem: String,
    },
    /// There is no such column.
    #[error("there is no column `{column}`; the columns are {}", columns.join(", "))]
    NoColumn {
        /// The column.
        column: String,
        /// All columns of the file.
        columns: Vec<String>,
    },
    /// A column was chosen twice.
    #[error("the column `{column}` is chosen twice; name it once")]
    Twice {
        /// The column.
        column: String,
    },
    /// A column does not hold numbers.
    #[error("the column `{column}` holds {holds}, which are no numbers; {}", choose(numeric))]
    NotNumeric {
        /// The column.
        column: String,
        /// What is in it.
        holds: String,
        /// The columns of numbers.
        numeric: Vec<String>,
    },
    /// The file has no column or no row.
    #[error("the file has {rows} rows and {d} columns; write at least one point of one coordinate")]
    NoValues {
        /// The rows of the file.
        rows: u64,
        /// Its columns.
        d: usize,
    },
    /// A value is missing.
    #[error(
        "column `{column}` has no value in row {row} (counted from 0); fill it in, or remove the row or the column"
    )]
    Null {
        /// The row, counted from 0.
        row: usize,
        /// The column.
        column: String,
    },
    /// A value is NaN or infinite.
    #[error(
        "column `{column}` is {value} in row {row} (counted from 0); remove such rows, or replace the value"
    )]
    NotFinite {
        /// The row, counted from 0.
        row: usize,
        /// The column.
        column: String,
        /// `NaN`, `inf` or `-inf`.
        value: String,
    },
    /// An integer has more bits than f64.
    #[error(
        "column `{column}` is {value} in row {row} (counted from 0), which f64 cannot hold exactly; leave the column out if it is an identifier, or write it as DOUBLE"
    )]
    NotExact {
        /// The row, counted from 0.
        row: usize,
        /// The column.
        column: String,
        /// The integer.
        value: i128,
    },
    /// There is not enough memory.
    #[error("{bytes} bytes of values do not fit into memory; choose fewer columns, or free some memory")]
    OutOfMemory {
        /// Bytes of values.
        bytes: usize,
    },
}

fn choose(numeric: &[String]) -> String {
    if numeric.is_empty() {
        return "and there is no other column; write its values as numbers".to_owned();
    }
    format!(
        "choose columns of numbers (here `--columns {}`), or write its values as numbers",
        numeric.join(",")
    )
}

/// A Parquet file whose columns have been found to be numbers.
#[derive(Debug)]
pub(super) struct ParquetFile {
    pub(super) path: PathBuf,
    /// The file when its footer was read.
    stored: StoredRows,
    metadata: ParquetMetaData,
    /// The numbers of the columns in the file.
    columns: Vec<usize>,
    pub(super) names: Vec<String>,
    pub(super) dtype: Dtype,
}

impl ParquetFile {
    /// Opens a file, of which these columns are read; all if none are named.
    pub(super) fn open(path: &Path, columns: &[String]) -> Result<Self, LoadError> {
        let (file, _) = super::load::open(path)?;
        let stored = StoredRows::new(path, &file, 0).map_err(|problem| FileError::new(path, problem))?;
        Self::read_footer(path, stored, &file, columns)
            .map_err(|problem| LoadError::Parquet { path: path.to_owned(), problem })
    }

    fn read_footer(
        path: &Path,
        stored: StoredRows,
        file: &File,
        chosen: &[String],
    ) -> Result<Self, ParquetError> {
        let metadata = guard(|| ParquetMetaDataReader::new().parse_and_finish(file))?;
        let schema = metadata.file_metadata().schema_descr();
        let all: Vec<String> = schema.columns().iter().map(|column| column.path().string()).collect();
        let columns = if chosen.is_empty() { (0..all.len()).collect() } else { find(chosen, &all)? };
        for &index in &columns {
            if let Err(holds) = number_type(&schema.column(index)) {
                let numeric = (0..all.len()).filter(|other| number_type(&schema.column(*other)).is_ok());
                let numeric = numeric.map(|other| all[other].clone()).collect();
                return Err(ParquetError::NotNumeric { column: all[index].clone(), holds, numeric });
            }
        }
        let fit_f32 = columns.iter().all(|&index| number_type(&schema.column(index)) == Ok(Dtype::F32));
        let dtype = if fit_f32 { Dtype::F32 } else { Dtype::F64 };
        let names: Vec<String> = columns.iter().map(|&index| all[index].clone()).collect();
        let file = Self { path: path.to_owned(), stored, metadata, columns, names, dtype };
        if file.rows() == 0 || file.names.is_empty() {
            return Err(ParquetError::NoValues { rows: file.rows(), d: file.names.len() });
        }
        Ok(file)
    }

    fn rows(&self) -> u64 {
        (0..self.groups()).fold(0, |sum: u64, group| sum.saturating_add(self.group_rows(group)))
    }

    fn groups(&self) -> usize {
        self.metadata.num_row_groups()
    }

    fn group_rows(&self, group: usize) -> u64 {
        u64::try_from(self.metadata.row_group(group).num_rows()).unwrap_or(0)
    }

    /// The bytes of the chosen columns of a row group, as they are stored.
    fn group_bytes(&self, group: usize) -> u64 {
        let group = self.metadata.row_group(group);
        let bytes = self.columns.iter().map(|&column| group.column(column).compressed_size());
        bytes.fold(0, |sum: u64, bytes| sum.saturating_add_signed(bytes))
    }

    /// Reads the values behind those that are there.
    fn append<T: Scalar>(&self, values: &mut Vec<T>, watch: &Watch<'_>) -> Result<(), LoadError> {
        let failed = |problem| LoadError::Parquet { path: self.path.clone(), problem };
        let file = self.stored.open().map_err(|_| LoadError::Changed { path: self.path.clone() })?;
        let (file, mut first_row) = (Arc::new(file), 0);
        for group in 0..self.groups() {
            let rows = usize::try_from(self.group_rows(group)).unwrap_or(usize::MAX);
            let mut columns = guard(|| self.open_group(&file, group, rows)).map_err(failed)?;
            let (bytes, mut bytes_told) = (self.group_bytes(group), 0);
            let mut done = 0;
            while done < rows {
                watch.ask().map_err(|_| LoadError::Interrupted)?;
                let count = ROWS.min(rows - done);
                let start = values.len();
                // Not all rows that the file claims at once: they may be a lie.
                values.resize(start + count * self.columns.len(), T::ZERO);
                for (index, column) in columns.iter_mut().enumerate() {
                    guard(|| column.read(count)).map_err(failed)?;
                    let place = &mut values[start..];
                    column
                        .put(place, index, self.columns.len())
                        .map_err(|wrong| failed(wrong.at(first_row + done, &self.names[index])))?;
                }
                done += count;
                let bytes_now = (bytes as u128 * done as u128 / rows as u128) as u64;
                watch.add(bytes_now - bytes_told);
                bytes_told = bytes_now;
            }
            first_row += rows;
        }
        Ok(())
    }

    fn open_group(&self, file: &Arc<File>, group: usize, rows: usize) -> Result<Vec<Column>, Problem> {
        let group = self.metadata.row_group(group);
        let open = |&index: &usize| {
            let chunk = group.column(index);
            let pages = SerializedPageReader::new(file.clone(), chunk, rows, None)?;
            let descriptor = chunk.column_descr_ptr();
            Column::new(&descriptor, get_column_reader(descriptor.clone(), Box::new(pages)))
        };
        self.columns.iter().map(open).collect()
    }
}

/// The numbers of columns that were chosen by their names.
fn find(chosen: &[String], all: &[String]) -> Result<Vec<usize>, ParquetError> {
    let mut columns = Vec::new();
    for name in chosen {
        let index = all
            .iter()
            .position(|column| column == name)
            .ok_or_else(|| ParquetError::NoColumn { column: name.clone(), columns: all.to_vec() })?;
        if columns.contains(&index) {
            return Err(ParquetError::Twice { column: name.clone() });
        }
        columns.push(index);
    }
    Ok(columns)
}

/// Reads the values of files that all have the type and the width of the first one.
pub(super) fn points(files: &mut [ParquetFile], watch: &Watch<'_>) -> Result<Points, LoadError> {
    match files.first().map(|file| file.dtype) {
        None => Err(LoadError::NoFiles),
        Some(Dtype::F32) => matrix(files, watch).map(Points::F32),
        Some(Dtype::F64) => matrix(files, watch).map(Points::F64),
    }
}

fn matrix<T: Scalar>(files: &[ParquetFile], watch: &Watch<'_>) -> Result<Matrix<T>, LoadError> {
    let (path, d) = (&files[0].path, files[0].names.len());
    let failed = |problem| LoadError::Parquet { path: path.clone(), problem };
    let rows = files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.rows()));
    let count = usize::try_from(rows).ok().and_then(|rows| rows.checked_mul(d)).unwrap_or(usize::MAX);
    watch.check_size::<T>(path, count, count / d)?;
    let mut values: Vec<T> = Vec::new();
    values
        .try_reserve_exact(count)
        .map_err(|_| failed(ParquetError::OutOfMemory { bytes: count.saturating_mul(size_of::<T>()) }))?;
    for file in files {
        (0..file.groups()).for_each(|group| watch.expect(file.group_bytes(group)));
    }
    for file in files {
        file.append(&mut values, watch)?;
    }
    Matrix::new(values.len() / d, d, values).map_err(|_| failed(ParquetError::NoValues { rows, d }))
}

/// The smallest type that holds all values of a column, or what else is in it.
fn number_type(column: &ColumnDescriptor) -> Result<Dtype, String> {
    if column.max_rep_level() > 0 {
        return Err("lists".to_owned());
    }
    let what = match (column.logical_type_ref(), column.converted_type()) {
        (None, ConvertedType::NONE) => match column.physical_type() {
            Physical::FLOAT => return Ok(Dtype::F32),
            Physical::DOUBLE | Physical::INT32 | Physical::INT64 => return Ok(Dtype::F64),
            Physical::BOOLEAN => "truth values",
            Physical::INT96 => "time stamps",
            Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY => "bytes",
        },
        _ if integer(column).is_some_and(|integer| integer.bits <= 16) => return Ok(Dtype::F32),
        _ if integer(column).is_some() => return Ok(Dtype::F64),
        (Some(LogicalType::String), _) | (None, ConvertedType::UTF8) => "texts",
        (Some(LogicalType::Decimal(_)), _) | (None, ConvertedType::DECIMAL) => "decimals",
        (Some(LogicalType::Date), _) | (None, ConvertedType::DATE) => "dates",
        (Some(LogicalType::Time(_)), _) => "times",
        (Some(LogicalType::Timestamp(_)), _) => "time stamps",
        (Some(other), _) => return Err(format!("values of the type {other:?}")),
        (None, other) => return Err(format!("values of the type {other}")),
    };
    Err(what.to_owned())
}

/// An integer as its annotation has it.
struct Integer {
    bits: u8,
    is_signed: bool,
}

fn integer(column: &ColumnDescriptor) -> Option<Integer> {
    let (bits, is_signed) = match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::Integer(integer)), _) => (integer.bit_width.unsigned_abs(), integer.is_signed),
        (Some(_), _) => return None,
        (None, ConvertedType::INT_8) => (8, true),
        (None, ConvertedType::INT_16) => (16, true),
        (None, ConvertedType::INT_32) => (32, true),
        (None, ConvertedType::INT_64) => (64, true),
        (None, ConvertedType::UINT_8) => (8, false),
        (None, ConvertedType::UINT_16) => (16, false),
        (None, ConvertedType::UINT_32) => (32, false),
        (None, ConvertedType::UINT_64) => (64, false),
        _ => return None,
    };
    Some(Integer { bits, is_signed })
}

/// A column of a row group that is being read, and the values that were read last.
struct Column {
    is_unsigned: bool,
    /// The level of a value that is there.
    level: i16,
    levels: Vec<i16>,
    values: Values,
}

enum Values {
    I32(ColumnReaderImpl<Int32Type>, Vec<i32>),
    I64(ColumnReaderImpl<Int64Type>, Vec<i64>),
    F32(ColumnReaderImpl<FloatType>, Vec<f32>),
    F64(ColumnReaderImpl<DoubleType>, Vec<f64>),
}

/// A value that is no coordinate, in a row of those that were read last.
enum Wrong {
    Null { row: usize },
    NotFinite { row: usize, value: f64 },
    NotExact { row: usize, value: i128 },
}

impl Wrong {
    fn at(self, first_row: usize, column: &str) -> ParquetError {
        let column = column.to_owned();
        match self {
            Self::Null { row } => ParquetError::Null { row: first_row + row, column },
            Self::NotFinite { row, value } => {
                ParquetError::NotFinite { row: first_row + row, column, value: value.to_string() }
            }
            Self::NotExact { row, value } => ParquetError::NotExact { row: first_row + row, column, value },
        }
    }
}

impl Column {
    fn new(descriptor: &ColumnDescriptor, reader: ColumnReader) -> Result<Self, Problem> {
        let values = match reader {
            ColumnReader::Int32ColumnReader(reader) => Values::I32(reader, Vec::new()),
            ColumnReader::Int64ColumnReader(reader) => Values::I64(reader, Vec::new()),
            ColumnReader::FloatColumnReader(reader) => Values::F32(reader, Vec::new()),
            ColumnReader::DoubleColumnReader(reader) => Values::F64(reader, Vec::new()),
            // The schema of the file said otherwise.
            _ => return Err(Problem::General("a row group has columns of other types".to_owned())),
        };
        let is_unsigned = integer(descriptor).is_some_and(|integer| !integer.is_signed);
        Ok(Self { is_unsigned, level: descriptor.max_def_level(), levels: Vec::new(), values })
    }

    /// Reads the values of the next rows. A column that has fewer is an error.
    fn read(&mut self, rows: usize) -> Result<(), Problem> {
        self.levels.clear();
        let levels = &mut self.levels;
        let read = match &mut self.values {
            Values::I32(reader, values) => read(reader, rows, levels, values),
            Values::I64(reader, values) => read(reader, rows, levels, values),
            Values::F32(reader, values) => read(reader, rows, levels, values),
            Values::F64(reader, values) => read(reader, rows, levels, values),
        }?;
        let found = match &self.values {
            Values::I32(_, values) => values.len(),
            Values::I64(_, values) => values.len(),
            Values::F32(_, values) => values.len(),
            Values::F64(_, values) => values.len(),
        };
        let there = match self.level {
            0 => rows,
            level => self.levels.iter().filter(|&&found| found == level).count(),
        };
        if read == rows && found == there && (self.level == 0 || self.levels.len() == rows) {
            return Ok(());
        }
        Err(Problem::General("a column has fewer rows than its row group".to_owned()))
    }

    /// Puts the values that were read last into column `index` of rows of `d` values.
    fn put<T: Scalar>(&self, rows: &mut [T], index: usize, d: usize) -> Result<(), Wrong> {
        if self.level > 0
            && let Some(row) = self.levels.iter().position(|&level| level != self.level)
        {
            return Err(Wrong::Null { row });
        }
        let places = rows[index..].iter_mut().step_by(d).enumerate();
        match &self.values {
            Values::I32(_, values) => {
                for ((_, place), &value) in places.zip(values) {
                    let value = if self.is_unsigned { f64::from(value as u32) } else { f64::from(value) };
                    *place = T::from_f64(value);
                }
            }
            Values::I64(_, values) => {
                for ((row, place), &value) in places.zip(values) {
                    let value = if self.is_unsigned { i128::from(value as u64) } else { i128::from(value) };
                    if value.unsigned_abs() > u128::from(EXACT_MAX) {
                        return Err(Wrong::NotExact { row, value });
                    }
                    *place = T::from_f64(value as f64);
                }
            }
            Values::F32(_, values) => {
                for ((row, place), &value) in places.zip(values) {
                    *place = finite(row, f64::from(value))?;
                }
            }
            Values::F64(_, values) => {
                for ((row, place), &value) in places.zip(values) {
                    *place = finite(row, value)?;
                }
            }
        }
        Ok(())
    }
}

fn finite<T: Scalar>(row: usize, value: f64) -> Result<T, Wrong> {
    if value.is_finite() { Ok(T::from_f64(value)) } else { Err(Wrong::NotFinite { row, value }) }
}

fn read<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    levels: &mut Vec<i16>,
    values: &mut Vec<T::T>,
) -> Result<usize, Problem> {
    values.clear();
    Ok(reader.read_records(rows, Some(levels), None, values)?.0)
}

/// Runs the decoder. Some damaged files make it panic (parquet 60.1: a negative offset of a column).
fn guard<T>(decode: impl FnOnce() -> Result<T, Problem>) -> Result<T, ParquetError> {
    // What is half-done after a panic is not used again.
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(problem)) => Err(ParquetError::Damaged { problem: problem.to_string() }),
        Err(_) => Err(ParquetError::Damaged { problem: "the decoder gave up".to_owned() }),
    }
}
