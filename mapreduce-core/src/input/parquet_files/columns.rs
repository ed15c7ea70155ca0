//! [`RowGroup`]: reads the chosen columns of a row group, some rows at a time.

use super::row::{Cell, Row};
use crate::exec::panic_message;
use parquet::{
    basic::{ConvertedType, LogicalType},
    column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader},
    data_type::{ByteArray, DataType, FixedLenByteArray, Int96},
    errors::ParquetError,
    file::{metadata::ParquetMetaData, serialized_reader::SerializedPageReader},
    schema::types::ColumnDescriptor,
};
use serde::de::DeserializeOwned;
use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// Rows that are decoded at once: so many, or fewer that have about so many bytes.
const ROWS: u64 = 4096;
const BLOCK_BYTES: u64 = 1 << 20;

/// Why rows cannot be read.
pub(super) enum GroupError {
    /// The row group cannot be decoded.
    Parquet(usize, ParquetError),
    /// A row is not what it should be.
    Row { group: usize, row: u64, message: String },
}

/// A row group that is being read.
pub(super) struct RowGroup {
    index: usize,
    /// Rows that are decoded at once.
    at_once: usize,
    columns: Vec<Column>,
    rows: u64,
    read: u64,
}

impl RowGroup {
    pub(super) fn open(
        file: &Arc<File>,
        metadata: &ParquetMetaData,
        index: usize,
        columns: &[usize],
    ) -> Result<Self, GroupError> {
        let group = metadata.row_group(index);
        // A file in which it is negative was refused.
        let rows = group.num_rows().unsigned_abs();
        let bytes = columns.iter().map(|column| group.column(*column).uncompressed_size());
        let bytes = bytes.fold(0, |sum: u64, bytes| sum.saturating_add_signed(bytes));
        let at_once = (BLOCK_BYTES / (bytes / rows.max(1)).max(1)).clamp(1, ROWS) as usize;
        let column = |column: &usize| {
            let chunk = group.column(*column);
            let pages = SerializedPageReader::new(file.clone(), chunk, rows as usize, None)?;
            let descriptor = chunk.column_descr_ptr();
            let column = Column::new(&descriptor, get_column_reader(descriptor.clone(), Box::new(pages)));
            Ok(column)
        };
        let columns = guard(|| columns.iter().map(column).collect::<Result<_, _>>());
        let columns = columns.map_err(|error| GroupError::Parquet(index, error))?;
        Ok(Self { index, at_once, columns, rows, read: 0 })
    }

    /// Decodes the next rows. False behind the last one.
    pub(super) fn next<T: DeserializeOwned>(&mut self, rows: &mut Vec<T>) -> Result<bool, GroupError> {
        let wanted = self.at_once.min(usize::try_from(self.rows - self.read).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(false);
        }
        guard(|| self.columns.iter_mut().try_for_each(|column| column.read(wanted)))
            .map_err(|error| GroupError::Parquet(self.index, error))?;
        for _ in 0..wanted {
            let row = T::deserialize(Row::new(&self.columns)).map_err(|error| GroupError::Row {
                group: self.index,
                row: self.read,
                message: error.to_string(),
            })?;
            // What the row has not looked at must be passed over too.
            rows.push(row);
            self.columns.iter_mut().for_each(Column::advance);
            self.read += 1;
        }
        Ok(true)
    }
}

/// Runs the decoder. Some damaged files make it panic (parquet 60.1: a negative offset of a column).
pub(super) fn guard<T>(decode: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    // What is half-done after a panic is not used again.
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|panic| {
        Err(ParquetError::General(format!("the decoder gave up: {}", panic_message(&*panic))))
    })
}

/// What the numbers or bytes of a column mean.
#[derive(Clone, Copy)]
enum Meaning {
    AsTheyAre,
    Text,
    Unsigned,
    Decimal { scale: i32 },
}

/// A column, of which some rows have been read.
pub(super) struct Column {
    pub(super) name: String,
    meaning: Meaning,
    /// The level of a value that is there.
    level: i16,
    levels: Vec<i16>,
    values: Values,
    /// Of the rows that have been read: the current one, and which value it has if it has one.
    row: usize,
    value: usize,
}

/// A reader with the values that are there of the rows that have been read.
enum Values {
    Bool(ColumnReaderImpl<parquet::data_type::BoolType>, Vec<bool>),
    I32(ColumnReaderImpl<parquet::data_type::Int32Type>, Vec<i32>),
    I64(ColumnReaderImpl<parquet::data_type::Int64Type>, Vec<i64>),
    I96(ColumnReaderImpl<parquet::data_type::Int96Type>, Vec<Int96>),
    F32(ColumnReaderImpl<parquet::data_type::FloatType>, Vec<f32>),
    F64(ColumnReaderImpl<parquet::data_type::DoubleType>, Vec<f64>),
    Bytes(ColumnReaderImpl<parquet::data_type::ByteArrayType>, Vec<ByteArray>),
    Fixed(ColumnReaderImpl<parquet::data_type::FixedLenByteArrayType>, Vec<FixedLenByteArray>),
}

impl Column {
    fn new(descriptor: &ColumnDescriptor, reader: ColumnReader) -> Self {
        let values = match reader {
            ColumnReader::BoolColumnReader(reader) => Values::Bool(reader, Vec::new()),
            ColumnReader::Int32ColumnReader(reader) => Values::I32(reader, Vec::new()),
            ColumnReader::Int64ColumnReader(reader) => Values::I64(reader, Vec::new()),
            ColumnReader::Int96ColumnReader(reader) => Values::I96(reader, Vec::new()),
            ColumnReader::FloatColumnReader(reader) => Values::F32(reader, Vec::new()),
            ColumnReader::DoubleColumnReader(reader) => Values::F64(reader, Vec::new()),
            ColumnReader::ByteArrayColumnReader(reader) => Values::Bytes(reader, Vec::new()),
            ColumnReader::FixedLenByteArrayColumnReader(reader) => Values::Fixed(reader, Vec::new()),
        };
        Self {
            name: descriptor.path().string(),
            meaning: meaning(descriptor),
            level: descriptor.max_def_level(),
            levels: Vec::new(),
            values,
            row: 0,
            value: 0,
        }
    }

    /// Reads the next `rows` rows. A column that has fewer is an error.
    fn read(&mut self, rows: usize) -> Result<(), ParquetError> {
        self.levels.clear();
        (self.row, self.value) = (0, 0);
        let levels = &mut self.levels;
        let read = match &mut self.values {
            Values::Bool(reader, values) => read(reader, rows, levels, values),
            Values::I32(reader, values) => read(reader, rows, levels, values),
            Values::I64(reader, values) => read(reader, rows, levels, values),
            Values::I96(reader, values) => read(reader, rows, levels, values),
            Values::F32(reader, values) => read(reader, rows, levels, values),
            Values::F64(reader, values) => read(reader, rows, levels, values),
            Values::Bytes(reader, values) => read(reader, rows, levels, values),
            Values::Fixed(reader, values) => read(reader, rows, levels, values),
        }?;
        if read == rows {
            return Ok(());
        }
        Err(ParquetError::General(format!("column `{}` has fewer rows than its row group", self.name)))
    }

    /// Whether the current row has a value here.
    fn is_there(&self) -> bool {
        self.level == 0 || self.levels.get(self.row) == Some(&self.level)
    }

    /// Goes to the next row.
    fn advance(&mut self) {
        self.value += usize::from(self.is_there());
        self.row += 1;
    }

    /// What the current row has here.
    pub(super) fn cell(&self) -> Cell<'_> {
        if !self.is_there() {
            return Cell::Null;
        }
        let at = self.value;
        let cell = match (&self.values, self.meaning) {
            (Values::Bool(_, values), _) => values.get(at).map(|value| Cell::Bool(*value)),
            (Values::I32(_, values), Meaning::Unsigned) => {
                values.get(at).map(|value| Cell::Unsigned(u64::from(*value as u32)))
            }
            (Values::I32(_, values), Meaning::Decimal { scale }) => {
                values.get(at).map(|value| Cell::Decimal { unscaled: i128::from(*value), scale })
            }
            (Values::I32(_, values), _) => values.get(at).map(|value| Cell::Signed(i64::from(*value))),
            (Values::I64(_, values), Meaning::Unsigned) => {
                values.get(at).map(|value| Cell::Unsigned(*value as u64))
            }
            (Values::I64(_, values), Meaning::Decimal { scale }) => {
                values.get(at).map(|value| Cell::Decimal { unscaled: i128::from(*value), scale })
            }
            (Values::I64(_, values), _) => values.get(at).map(|value| Cell::Signed(*value)),
            (Values::I96(_, values), _) => values.get(at).map(|value| Cell::Signed(value.to_nanos())),
            (Values::F32(_, values), _) => values.get(at).map(|value| Cell::F32(*value)),
            (Values::F64(_, values), _) => values.get(at).map(|value| Cell::F64(*value)),
            (Values::Bytes(_, values), meaning) => {
                values.get(at).map(|value| bytes_cell(value.data(), meaning))
            }
            (Values::Fixed(_, values), meaning) => {
                values.get(at).map(|value| bytes_cell(value.data(), meaning))
            }
        };
        // Fewer values than levels: the reader has checked that it is not so.
        cell.unwrap_or(Cell::Null)
    }
}

fn bytes_cell(bytes: &[u8], meaning: Meaning) -> Cell<'_> {
    match meaning {
        Meaning::Text => Cell::Text(bytes),
        Meaning::Decimal { scale } => match unscaled(bytes) {
            Some(unscaled) => Cell::Decimal { unscaled, scale },
            None => Cell::NoDecimal(bytes),
        },
        Meaning::AsTheyAre | Meaning::Unsigned => Cell::Bytes(bytes),
    }
}

/// The number that bytes are: big-endian, in two's complement. `None` if there are none, or more than an `i128` holds.
fn unscaled(bytes: &[u8]) -> Option<i128> {
    let sign = if bytes.first()? & 0x80 == 0 { 0 } else { -1 };
    // Bytes in front that only repeat the sign say nothing.
    let (front, number) = bytes.split_at(bytes.len().saturating_sub(16));
    let fits = front.iter().all(|byte| *byte == sign as u8) && (number[0] & 0x80 == 0) == (sign == 0);
    fits.then(|| number.iter().fold(sign, |number: i128, byte| number << 8 | i128::from(*byte)))
}

fn read<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    levels: &mut Vec<i16>,
    values: &mut Vec<T::T>,
) -> Result<usize, ParquetError> {
    values.clear();
    Ok(reader.read_records(rows, Some(levels), None, values)?.0)
}

fn meaning(descriptor: &ColumnDescriptor) -> Meaning {
    match descriptor.logical_type_ref() {
        Some(LogicalType::String | LogicalType::Enum | LogicalType::Json) => return Meaning::Text,
        Some(LogicalType::Integer(integer)) if !integer.is_signed => return Meaning::Unsigned,
        Some(LogicalType::Decimal(decimal)) => return Meaning::Decimal { scale: decimal.scale },
        _ => {}
    }
    match descriptor.converted_type() {
        ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON => Meaning::Text,
        ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64 => {
            Meaning::Unsigned
        }
        ConvertedType::DECIMAL => Meaning::Decimal { scale: descriptor.type_scale() },
        _ => Meaning::AsTheyAre,
    }
}
