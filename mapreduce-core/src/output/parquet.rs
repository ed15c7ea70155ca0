//! Part files of Parquet: a column for each field of key and value.
//!
//! Pairs are gathered column by column and written as a row group when they take [`GROUP_BYTES`]. Where a group ends is
//! decided by the pairs alone, so a part is the same in every run.

use super::{
    attempt_file::NewFile,
    cells::{CellError, Cells, Scalar, cells, scalar},
    part_file::{PartFile, WriteError},
    table::Table,
};
use crate::{
    Datum, Result,
    codec::CodecError,
    error::Misuse,
    schema::{Column, ColumnKind},
};
use parquet::{
    basic::{Compression, LogicalType, Repetition, Type as PhysicalType},
    data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type},
    errors::ParquetError,
    file::{
        properties::WriterProperties,
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::types::{Type, TypePtr},
};
use serde::Serialize;
use std::{
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};

/// Bytes of pairs that become one row group. Readers read a group at a time, and each takes a little more of the file.
const GROUP_BYTES: usize = 16 << 20;

/// A Parquet file in the making.
pub(super) struct ParquetPart {
    path: PathBuf,
    writer: SerializedFileWriter<Sink>,
    table: Table,
    key: Vec<Values>,
    value: Vec<Values>,
    /// Pairs and bytes of the row group in the making.
    group_rows: u64,
    group_bytes: usize,
}

/// Says which column has no Parquet type, before anything is written.
pub(super) fn check(table: &Table) -> Result<(), String> {
    schema(table).map(drop)
}

impl ParquetPart {
    /// Begins to write a file.
    pub(super) fn new<K: ?Sized + Datum, V: ?Sized + Datum>(file: PartFile) -> Result<Self> {
        let path = file.file().path().to_path_buf();
        let table = Table::of::<K, V>();
        let schema = schema(&table).map_err(Misuse::Columns)?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = SerializedFileWriter::new(Sink(file), schema, Arc::new(properties))
            .map_err(|error| unwritable(&path, error))?;
        let values = |columns: &[Column]| columns.iter().map(Values::of).collect();
        let (key, value) = (values(&table.key), values(&table.value));
        Ok(Self { path, writer, table, key, value, group_rows: 0, group_bytes: 0 })
    }

    /// Appends a pair.
    pub(super) fn append<K, V>(&mut self, key: &K, value: &V) -> Result
    where
        K: ?Sized + Datum,
        V: ?Sized + Datum,
    {
        let mut row = ParquetRow { values: &mut self.key, bytes: &mut self.group_bytes };
        cells(key, &self.table.key, &mut row).map_err(|error| CodecError::text::<K>(error.to_string()))?;
        let mut row = ParquetRow { values: &mut self.value, bytes: &mut self.group_bytes };
        cells(value, &self.table.value, &mut row)
            .map_err(|error| CodecError::text::<V>(error.to_string()))?;
        self.group_rows += 1;
        if self.group_bytes >= GROUP_BYTES { self.end_group() } else { Ok(()) }
    }

    /// The file itself.
    pub(super) fn file(&self) -> &NewFile {
        self.writer.inner().0.file()
    }

    /// Ends the last row group, and gives what is still to be flushed.
    pub(super) fn finish(mut self) -> Result<PartFile> {
        if self.group_rows > 0 {
            self.end_group()?;
        }
        let Self { path, writer, .. } = self;
        let Sink(file) = writer.into_inner().map_err(|error| unwritable(&path, error))?;
        Ok(file)
    }

    fn end_group(&mut self) -> Result {
        let rows = std::mem::take(&mut self.group_rows);
        self.group_bytes = 0;
        let written = || -> Result<(), ParquetError> {
            let mut group = self.writer.next_row_group()?;
            for values in self.key.iter_mut().chain(&mut self.value) {
                let Some(mut column) = group.next_column()? else { break };
                values.write(&mut column)?;
                column.close()?;
            }
            group.close().map(drop)
        }();
        written.map_err(|error| unwritable(&self.path, error))?;
        self.writer.inner_mut().0.appended(rows)?;
        Ok(())
    }
}

#[cold]
fn unwritable(path: &std::path::Path, error: ParquetError) -> WriteError {
    let source = match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(source) => *source,
            Err(source) => io::Error::other(source),
        },
        error => io::Error::other(error),
    };
    WriteError::new(path, source)
}

/// The file, for Parquet to write to.
struct Sink(PartFile);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.buffer().extend_from_slice(bytes);
        self.0.appended(0).map_err(|error| error.into_parts().1)?;
        Ok(bytes.len())
    }

    /// What is left is written when the file is finished.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The Parquet types of the columns.
fn schema(table: &Table) -> Result<TypePtr, String> {
    let columns = table.key.iter().chain(&table.value);
    let fields: Vec<TypePtr> = columns
        .zip(&table.names)
        .map(|(column, name)| field(column, name).map(Arc::new))
        .collect::<Result<_, _>>()?;
    if fields.is_empty() {
        return Err("neither the key nor the value has a column".into());
    }
    let schema = Type::group_type_builder("pairs").with_fields(fields).build();
    schema.map(Arc::new).map_err(|error| error.to_string())
}

fn field(column: &Column, name: &str) -> Result<Type, String> {
    let (physical, logical) = match column.kind {
        ColumnKind::Bool => (PhysicalType::BOOLEAN, None),
        ColumnKind::Integer { bytes: 4, signed: true } => (PhysicalType::INT32, None),
        ColumnKind::Integer { bytes: 8, signed: true } => (PhysicalType::INT64, None),
        ColumnKind::Integer { bytes: bytes @ (1 | 2 | 4), signed } => {
            (PhysicalType::INT32, Some(LogicalType::integer(8 * bytes as i8, signed)))
        }
        ColumnKind::Integer { bytes: 8, signed } => {
            (PhysicalType::INT64, Some(LogicalType::integer(64, signed)))
        }
        ColumnKind::Float { bytes: 4 } => (PhysicalType::FLOAT, None),
        ColumnKind::Float { .. } => (PhysicalType::DOUBLE, None),
        ColumnKind::Text => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
        ColumnKind::Bytes | ColumnKind::ByteSequence => (PhysicalType::BYTE_ARRAY, None),
        ColumnKind::Integer { .. } => {
            return Err(format!(
                "the column `{name}` is an integer of more than 64 bits; emit it as a string"
            ));
        }
        ColumnKind::Nested => {
            return Err(format!(
                "the column `{name}` is neither a number, a bool, a string nor bytes, nor an option of these; emit \
                 it as one, or write JSON lines"
            ));
        }
    };
    let repetition = if column.optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let builder = Type::primitive_type_builder(name, physical).with_repetition(repetition);
    builder.with_logical_type(logical).build().map_err(|error| error.to_string())
}

/// The values of a column in a row group.
struct Values {
    /// Of an optional column: 1 where there is a value, 0 where there is none.
    defined: Option<Vec<i16>>,
    typed: Typed,
}

enum Typed {
    Bool(Vec<bool>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    /// All byte strings one after the other, and where each ends.
    Bytes(Vec<u8>, Vec<usize>),
}

impl Values {
    fn of(column: &Column) -> Self {
        let typed = match column.kind {
            ColumnKind::Bool => Typed::Bool(Vec::new()),
            ColumnKind::Integer { bytes: ..=4, .. } => Typed::Int32(Vec::new()),
            ColumnKind::Integer { .. } => Typed::Int64(Vec::new()),
            ColumnKind::Float { bytes: ..=4 } => Typed::Float(Vec::new()),
            ColumnKind::Float { .. } => Typed::Double(Vec::new()),
            _ => Typed::Bytes(Vec::new(), Vec::new()),
        };
        Self { defined: column.optional.then(Vec::new), typed }
    }

    /// Takes a value, and gives about how many bytes it has.
    fn push(&mut self, scalar: Scalar<'_>) -> Result<usize, CellError> {
        let is_some = scalar != Scalar::Null;
        match &mut self.defined {
            Some(defined) => defined.push(is_some.into()),
            None if is_some => {}
            None => return Err(CellError::new("is nothing, but its type is no `Option`")),
        }
        match (&mut self.typed, scalar) {
            (_, Scalar::Null) => return Ok(2),
            (Typed::Bool(values), Scalar::Bool(value)) => values.push(value),
            // Parquet has unsigned numbers in the bits of signed ones.
            (Typed::Int32(values), Scalar::Signed(value)) => values.push(value as i32),
            (Typed::Int32(values), Scalar::Unsigned(value)) => values.push(value as u32 as i32),
            (Typed::Int64(values), Scalar::Signed(value)) => values.push(value),
            (Typed::Int64(values), Scalar::Unsigned(value)) => values.push(value as i64),
            (Typed::Float(values), Scalar::Float32(value)) => values.push(value),
            (Typed::Double(values), Scalar::Float64(value)) => values.push(value),
            (Typed::Bytes(bytes, ends), Scalar::Text(text)) => return Ok(push(bytes, ends, text.as_bytes())),
            (Typed::Bytes(bytes, ends), Scalar::Bytes(value)) => return Ok(push(bytes, ends, value)),
            _ => return Err(CellError::new("is not of the type that its `Deserialize` asks for")),
        }
        Ok(8)
    }

    /// Writes the values, and starts anew.
    fn write(&mut self, column: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let defined = self.defined.as_deref();
        match &mut self.typed {
            Typed::Bool(values) => column.typed::<BoolType>().write_batch(values, defined, None)?,
            Typed::Int32(values) => column.typed::<Int32Type>().write_batch(values, defined, None)?,
            Typed::Int64(values) => column.typed::<Int64Type>().write_batch(values, defined, None)?,
            Typed::Float(values) => column.typed::<FloatType>().write_batch(values, defined, None)?,
            Typed::Double(values) => column.typed::<DoubleType>().write_batch(values, defined, None)?,
            Typed::Bytes(bytes, ends) => {
                let all = ByteArray::from(std::mem::take(bytes));
                let mut start = 0;
                let values: Vec<ByteArray> = std::mem::take(ends)
                    .into_iter()
                    .map(|end| {
                        let begin = std::mem::replace(&mut start, end);
                        all.slice(begin, end - begin)
                    })
                    .collect();
                column.typed::<ByteArrayType>().write_batch(&values, defined, None)?
            }
        };
        if let Some(defined) = &mut self.defined {
            defined.clear();
        }
        match &mut self.typed {
            Typed::Bool(values) => values.clear(),
            Typed::Int32(values) => values.clear(),
            Typed::Int64(values) => values.clear(),
            Typed::Float(values) => values.clear(),
            Typed::Double(values) => values.clear(),
            Typed::Bytes(..) => {}
        }
        Ok(())
    }
}

fn push(bytes: &mut Vec<u8>, ends: &mut Vec<usize>, value: &[u8]) -> usize {
    bytes.extend_from_slice(value);
    ends.push(bytes.len());
    value.len() + 8
}

/// Puts the cells of a row into the columns.
struct ParquetRow<'a> {
    values: &'a mut [Values],
    bytes: &'a mut usize,
}

impl Cells for ParquetRow<'_> {
    fn cell(&mut self, index: usize, value: &(impl ?Sized + Serialize)) -> Result<(), CellError> {
        scalar(value, |scalar| {
            *self.bytes += self.values[index].push(scalar)?;
            Ok(())
        })
    }
}
