//! [`ColumnFile`]: a file of one value a point, of which the values come some at a time.

use super::{
    AtomicFile, OutputError,
    arrays::{ArrayFormat, little_endian, write_npy_header},
};
use bytemuck::Pod;
use std::{io::Write as _, path::Path};

#[cfg(feature = "parquet")]
use super::parquet::ColumnWriter;

/// Values converted to little-endian bytes at once.
const CHUNK: usize = 16 * 1024;

/// What is written of each point: its label (`i32`), or its distance (`f64`).
///
/// There are no others.
pub trait ColumnValue: sealed::Written {}

impl ColumnValue for i32 {}

impl ColumnValue for f64 {}

/// A file of a value for each point, which nobody sees before it is complete and committed: a one-dimensional `.npy` array,
/// or a Parquet file of one column, by the extension. Labels are int32, in Parquet `INT32` in a column `label`; distances f64,
/// in Parquet `DOUBLE` in a column `distance`.
///
/// Values are written as they come: at most 16 MB of them are in memory. However they come, the bytes of the file are the
/// same.
///
/// ```
/// use kmeans_job::output::ColumnFile;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("labels.npy");
/// let mut file = ColumnFile::<i32>::create(&path, 3)?;
/// file.write(&[0, 2])?;
/// file.write(&[1])?;
/// file.finish()?.commit()?;
/// assert!(std::fs::read(&path)?.ends_with(&[0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ColumnFile<V: ColumnValue> {
    content: Content<V>,
    rows: u64,
    written: u64,
}

#[derive(Debug)]
enum Content<V: ColumnValue> {
    Npy {
        file: AtomicFile,
        chunk: Vec<V>,
    },
    #[cfg(feature = "parquet")]
    Parquet(Box<ColumnWriter<V>>),
}

impl<V: ColumnValue> ColumnFile<V> {
    /// Begins a file for the values of `rows` points.
    ///
    /// # Errors
    /// [`OutputError`], also for an extension that names neither format.
    pub fn create(path: &Path, rows: u64) -> Result<Self, OutputError> {
        match ArrayFormat::of(path)? {
            ArrayFormat::Npy => Self::create_npy(path, rows),
            #[cfg(feature = "parquet")]
            ArrayFormat::Parquet => {
                let content = Content::Parquet(Box::new(ColumnWriter::create(path)?));
                Ok(Self { content, rows, written: 0 })
            }
        }
    }

    /// The same as `.npy`, whatever the extension.
    pub(super) fn create_npy(path: &Path, rows: u64) -> Result<Self, OutputError> {
        let mut file = AtomicFile::create(path)?;
        write_npy_header(&mut file, V::NPY, &[rows]).map_err(|problem| OutputError::new(path, problem))?;
        Ok(Self { content: Content::Npy { file, chunk: Vec::new() }, rows, written: 0 })
    }

    /// Writes the values of the next points.
    ///
    /// # Errors
    /// [`OutputError`]; the target is as it was.
    pub fn write(&mut self, values: &[V]) -> Result<(), OutputError> {
        self.written += values.len() as u64;
        match &mut self.content {
            Content::Npy { file, chunk } => {
                for values in values.chunks(CHUNK) {
                    chunk.clear();
                    chunk.extend_from_slice(values);
                    let written = file.write_all(little_endian(chunk));
                    written.map_err(|problem| OutputError::new(&file.path, problem))?;
                }
                Ok(())
            }
            #[cfg(feature = "parquet")]
            Content::Parquet(writer) => writer.write(values),
        }
    }

    /// The file, complete but for its name.
    ///
    /// # Errors
    /// [`OutputError::Rows`] unless there was a value for each point; [`OutputError`] if it cannot be written.
    pub fn finish(self) -> Result<AtomicFile, OutputError> {
        let Self { content, rows, written } = self;
        let file = match content {
            Content::Npy { file, .. } => file,
            #[cfg(feature = "parquet")]
            Content::Parquet(writer) => writer.finish()?,
        };
        match written == rows {
            true => Ok(file),
            false => Err(OutputError::Rows { path: file.path, rows, written }),
        }
    }
}

pub(crate) mod sealed {
    use super::Pod;

    /// How values are written.
    pub trait Written: Pod {
        /// The type in an `.npy` file.
        const NPY: &'static str;
        /// The column of a Parquet file.
        const COLUMN: &'static str;
        /// The type in a Parquet file.
        #[cfg(feature = "parquet")]
        type Parquet: ::parquet::data_type::DataType<T = Self>;
    }

    impl Written for i32 {
        const NPY: &'static str = "<i4";
        const COLUMN: &'static str = "label";
        #[cfg(feature = "parquet")]
        type Parquet = ::parquet::data_type::Int32Type;
    }

    impl Written for f64 {
        const NPY: &'static str = "<f8";
        const COLUMN: &'static str = "distance";
        #[cfg(feature = "parquet")]
        type Parquet = ::parquet::data_type::DoubleType;
    }
}
