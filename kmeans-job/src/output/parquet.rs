//! A Parquet file of one column.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use ::parquet::{
    basic::{Compression, Repetition},
    data_type::DataType,
    errors::ParquetError,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::types::{Type, TypePtr},
};

use super::{AtomicFile, OutputError, column::sealed::Written};

/// Values of a row group: 8 MB of f64.
const GROUP_ROWS: usize = 1 << 20;

/// A column that is written a row group at a time.
pub(super) struct ColumnWriter<V: Written> {
    path: PathBuf,
    writer: SerializedFileWriter<AtomicFile>,
    /// Of the row group that is not yet full.
    values: Vec<V>,
}

impl<V: Written> ColumnWriter<V> {
    pub(super) fn create(path: &Path) -> Result<Self, OutputError> {
        let file = AtomicFile::create(path)?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = schema::<V::Parquet>([V::COLUMN])
            .and_then(|schema| SerializedFileWriter::new(file, schema, Arc::new(properties)))
            .map_err(failed(path))?;
        Ok(Self { path: path.to_owned(), writer, values: Vec::new() })
    }

    pub(super) fn write(&mut self, mut values: &[V]) -> Result<(), OutputError> {
        while !values.is_empty() {
            let (fitting, rest) = values.split_at(values.len().min(GROUP_ROWS - self.values.len()));
            self.values.extend_from_slice(fitting);
            values = rest;
            if self.values.len() == GROUP_ROWS {
                self.write_group().map_err(failed(&self.path))?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<AtomicFile, OutputError> {
        let written = match self.values.is_empty() {
            true => Ok(()),
            false => self.write_group(),
        };
        written.and_then(|()| self.writer.into_inner()).map_err(failed(&self.path))
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        while let Some(mut column) = group.next_column()? {
            column.typed::<V::Parquet>().write_batch(&self.values, None, None)?;
            column.close()?;
        }
        group.close()?;
        self.values.clear();
        Ok(())
    }
}

impl<V: Written> fmt::Debug for ColumnWriter<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ColumnWriter").field("path", &self.path).finish_non_exhaustive()
    }
}

fn failed(path: &Path) -> impl Fn(ParquetError) -> OutputError {
    move |problem| OutputError::new(path, io_error(problem))
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
