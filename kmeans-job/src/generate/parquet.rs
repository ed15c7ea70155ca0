//! Parquet files whose row groups are encoded by all threads, and written in their order.

use super::{GenerateError, files::Part, pieces::in_pieces, turns::Turns};
use crate::{
    numeric::scalar::Scalar,
    output::{
        AtomicFile, OutputError,
        parquet::{io_error, schema},
    },
};
use ::parquet::{
    basic::{Compression, Encoding},
    column::writer::{ColumnCloseResult, ColumnWriterImpl},
    data_type::{DataType, DoubleType, FloatType},
    errors::ParquetError,
    file::{
        properties::{WriterProperties, WriterPropertiesPtr},
        writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite},
    },
    schema::types::ColumnDescPtr,
};
use bytes::Bytes;
use std::sync::Arc;

/// Bytes of a row group. Readers read one at a time.
const GROUP_BYTES: usize = 16 << 20;
/// The most row groups of a file, a little fewer than the 32 767 of the format.
const GROUPS_MAX: u64 = 32_000;

/// A number with its type in Parquet.
pub(super) trait Stored: Scalar {
    type Parquet: DataType<T = Self>;
}

impl Stored for f32 {
    type Parquet = FloatType;
}

impl Stored for f64 {
    type Parquet = DoubleType;
}

/// A column of a row group, as it is to be in the file.
struct Encoded {
    bytes: Bytes,
    close: ColumnCloseResult,
}

impl Part<'_> {
    pub(super) fn write_parquet<T: Stored>(&self) -> Result<(), GenerateError> {
        let &Self { generator, path, .. } = self;
        let failed = |problem| GenerateError::Output(OutputError::new(path, io_error(problem)));
        // Random bits have no repetitions to find.
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_encoding(Encoding::PLAIN)
            .set_compression(Compression::UNCOMPRESSED)
            .build();
        let properties = Arc::new(properties);
        let names = (0..generator.d).map(|column| format!("x{column}"));
        let schema = schema::<T::Parquet>(names).map_err(failed)?;
        let file = AtomicFile::create(path)?;
        let writer = SerializedFileWriter::new(file, schema, properties.clone()).map_err(failed)?;
        let columns = writer.schema_descr().columns().to_vec();

        let group_rows = (GROUP_BYTES / (generator.d * size_of::<T>())).max(1) as u64;
        let group_rows = group_rows.max(self.row_count().div_ceil(GROUPS_MAX));
        let writer = Turns::new(writer);
        let groups = self.row_count().div_ceil(group_rows);
        in_pieces(
            self.options.threads,
            groups,
            || Ok(Vec::<T>::new()),
            |values, piece| {
                let attempt = writer.attempt();
                let rows = self.piece(piece, group_rows);
                let count = rows.end - rows.start;
                values.clear();
                values.resize(count as usize * generator.d, T::ZERO);
                generator.fill(rows.start, values);
                let encoded = encode(values, &columns, &properties).map_err(failed)?;
                attempt.done();
                let written = writer.take(piece, |writer| {
                    append(writer, encoded).map_err(failed)?;
                    self.wrote(count)
                });
                // Without a turn, a piece ahead of this one has failed.
                written.map(drop)
            },
        )?;
        let file = writer.into_inner().into_inner().map_err(failed)?;
        Ok(file.commit()?)
    }
}

/// Encodes rows, column by column.
fn encode<T: Stored>(
    rows: &[T],
    columns: &[ColumnDescPtr],
    properties: &WriterPropertiesPtr,
) -> Result<Vec<Encoded>, ParquetError> {
    let mut values = Vec::with_capacity(rows.len() / columns.len());
    let encode = |(index, column): (usize, &ColumnDescPtr)| {
        values.clear();
        values.extend(rows[index..].iter().step_by(columns.len()).copied());
        let mut sink = TrackedWrite::new(Vec::with_capacity(size_of_val(&values[..]) + 1024));
        let pages = Box::new(SerializedPageWriter::new(&mut sink));
        let mut writer = ColumnWriterImpl::<T::Parquet>::new(column.clone(), properties.clone(), pages);
        writer.write_batch(&values, None, None)?;
        let close = writer.close()?;
        Ok(Encoded { bytes: sink.into_inner()?.into(), close })
    };
    columns.iter().enumerate().map(encode).collect()
}

fn append(writer: &mut SerializedFileWriter<AtomicFile>, columns: Vec<Encoded>) -> Result<(), ParquetError> {
    let mut group = writer.next_row_group()?;
    for Encoded { bytes, close } in columns {
        group.append_column(&bytes, close)?;
    }
    group.close().map(drop)
}
