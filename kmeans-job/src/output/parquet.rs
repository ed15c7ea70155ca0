//! A Parquet file of one column.

use std::io;
use std::path::Path;
use std::sync::Arc;

use ::parquet::{
    basic::{Compression, Repetition},
    data_type::DataType,
    errors::ParquetError,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::types::{Type, TypePtr},
};

use super::{AtomicFile, OutputError};

/// Values of a row group: 8 MB of f64.
const GROUP_ROWS: usize = 1 << 20;

/// Writes a column, up to where the file would take its place.
pub(super) fn stage<T: DataType>(
    path: &Path,
    name: &str,
    values: &[T::T],
) -> Result<AtomicFile, OutputError> {
    let mut file = AtomicFile::create(path)?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let written = || -> Result<(), ParquetError> {
        let schema = schema::<T>([name])?;
        let mut writer = SerializedFileWriter::new(&mut file, schema, Arc::new(properties))?;
        for values in values.chunks(GROUP_ROWS) {
            let mut group = writer.next_row_group()?;
            while let Some(mut column) = group.next_column()? {
                column.typed::<T>().write_batch(values, None, None)?;
                column.close()?;
            }
            group.close()?;
        }
        writer.close().map(drop)
    }();
    written.map_err(|problem| OutputError::new(path, io_error(problem)))?;
    Ok(file)
}

/// Columns of one type without missing values.
pub(crate) fn schema<T: DataType>(
    names: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<TypePtr, ParquetError> {
    let field = |name: &str| {
        Type::primitive_type_builder(name, T::get_physical_type())
            .with_repetition(Repetition::REQUIRED)
            .build()
    };
    let fields =
        names.into_iter().map(|name| field(name.as_ref()).map(Arc::new)).collect::<Result<_, _>>()?;
    Type::group_type_builder("points").with_fields(fields).build().map(Arc::new)
}

/// The error of the file, if it was that.
pub(crate) fn io_error(problem: ParquetError) -> io::Error {
    match problem {
        ParquetError::External(problem) => match problem.downcast::<io::Error>() {
            Ok(problem) => *problem,
            Err(problem) => io::Error::other(problem),
        },
        problem => io::Error::other(problem),
    }
}
