//! [`Generator::write`]: files of any size, written by all threads.

use super::{GenerateError, Generator, pieces::in_pieces};
use crate::{
    data::Dtype,
    numeric::scalar::Scalar,
    output::{AtomicFile, AtomicFolder, OutputError, little_endian, write_npy_header},
};
use std::{
    fmt,
    io::{Seek as _, SeekFrom, Write as _},
    ops::{ControlFlow, Range},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Bytes of a piece of an `.npy` file: what a thread holds.
const PIECE_BYTES: usize = 1 << 20;

/// How data is written.
#[derive(Clone, Copy)]
pub struct WriteOptions<'a> {
    /// The type of the values; default f32.
    pub dtype: Dtype,
    /// Threads; default 0, for as many as there are cores. No byte depends on it.
    pub threads: usize,
    /// Is told how many rows have been written, by any thread. Once it breaks, writing ends with
    /// [`GenerateError::Interrupted`].
    pub observe: &'a (dyn Fn(u64) -> ControlFlow<()> + Sync),
}

impl Default for WriteOptions<'_> {
    fn default() -> Self {
        Self { dtype: Dtype::F32, threads: 0, observe: &|_| ControlFlow::Continue(()) }
    }
}

impl fmt::Debug for WriteOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dtype, threads, .. } = self;
        f.debug_struct("WriteOptions").field("dtype", dtype).field("threads", threads).finish_non_exhaustive()
    }
}

/// A format of files of points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// A two-dimensional numpy array.
    Npy,
    /// A Parquet file with the columns `x0`, `x1` and so on (feature `parquet`, on by default).
    Parquet,
}

impl FileFormat {
    /// The format that the extension of a path names.
    ///
    /// # Errors
    /// [`OutputError::Extension`] for another extension, [`OutputError::NoParquet`] without that feature.
    pub fn of(path: &Path) -> Result<Self, OutputError> {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        match extension.to_str() {
            Some("npy") => Ok(Self::Npy),
            Some("parquet") if cfg!(feature = "parquet") => Ok(Self::Parquet),
            Some("parquet") => Err(OutputError::NoParquet { path: path.to_owned() }),
            _ => Err(OutputError::Extension { path: path.to_owned() }),
        }
    }

    /// The extension of its files.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Npy => "npy",
            Self::Parquet => "parquet",
        }
    }
}

impl Generator {
    /// Writes all rows to a file, whose extension names the format. It appears whole or not at all, and has the same bytes
    /// for any number of threads; each holds a megabyte of an `.npy` file, or a row group of Parquet of 16 MB.
    ///
    /// ```
    /// use kmeans_job::{data, generate::{Generator, Shape, WriteOptions}};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("uniform.npy");
    /// let generator = Generator::new(Shape::Uniform, 1000, 3, 0)?;
    /// generator.write(&path, WriteOptions::default())?;
    /// assert_eq!(data::load(&path, &|| false)?, data::Points::F32(generator.rows(0..1000)?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`GenerateError::Output`], [`GenerateError::TooLarge`] or [`GenerateError::Interrupted`]; the file is as it was.
    pub fn write(&self, path: &Path, options: WriteOptions<'_>) -> Result<(), GenerateError> {
        let format = FileFormat::of(path)?;
        self.write_rows(path, format, 0..self.rows, options, &AtomicU64::new(0))
    }

    /// Writes all rows to a folder that is made: `files` files of about equally many rows, `part-00000.npy` and so on.
    /// The folder appears whole or not at all. The rows are those of one file, in the same order.
    ///
    /// # Errors
    /// As of [`write`](Self::write), and [`GenerateError::Files`] if there are no files or more than rows.
    pub fn write_folder(
        &self,
        path: &Path,
        format: FileFormat,
        files: u32,
        options: WriteOptions<'_>,
    ) -> Result<(), GenerateError> {
        if files == 0 || u64::from(files) > self.rows {
            return Err(GenerateError::Files { files, rows: self.rows });
        }
        let folder = AtomicFolder::create(path)?;
        let written = AtomicU64::new(0);
        let row = |file: u32| (u128::from(self.rows) * u128::from(file) / u128::from(files)) as u64;
        for file in 0..files {
            let part = folder.partial().join(format!("part-{file:05}.{}", format.extension()));
            self.write_rows(&part, format, row(file)..row(file + 1), options, &written)?;
        }
        Ok(folder.commit()?)
    }

    fn write_rows(
        &self,
        path: &Path,
        format: FileFormat,
        rows: Range<u64>,
        options: WriteOptions<'_>,
        written: &AtomicU64,
    ) -> Result<(), GenerateError> {
        let value_bytes = match options.dtype {
            Dtype::F32 => 4,
            Dtype::F64 => 8,
        };
        let bytes = u128::from(rows.end - rows.start) * self.d as u128 * value_bytes;
        // Room for headers.
        if bytes > i64::MAX as u128 / 2 {
            return Err(GenerateError::TooLarge { path: path.to_owned(), bytes });
        }
        let part = Part { generator: self, path, rows, options, written };
        match (format, options.dtype) {
            (FileFormat::Npy, Dtype::F32) => part.write_npy::<f32>("<f4"),
            (FileFormat::Npy, Dtype::F64) => part.write_npy::<f64>("<f8"),
            #[cfg(feature = "parquet")]
            (FileFormat::Parquet, Dtype::F32) => part.write_parquet::<f32>(),
            #[cfg(feature = "parquet")]
            (FileFormat::Parquet, Dtype::F64) => part.write_parquet::<f64>(),
            #[cfg(not(feature = "parquet"))]
            (FileFormat::Parquet, _) => Err(OutputError::NoParquet { path: path.to_owned() }.into()),
        }
    }
}

/// Rows that go to one file.
pub(super) struct Part<'a> {
    pub(super) generator: &'a Generator,
    pub(super) path: &'a Path,
    pub(super) rows: Range<u64>,
    pub(super) options: WriteOptions<'a>,
    written: &'a AtomicU64,
}

impl Part<'_> {
    /// The rows of a piece, if each has `size` of them.
    pub(super) fn piece(&self, piece: u64, size: u64) -> Range<u64> {
        let start = self.rows.start + piece * size;
        start..self.rows.end.min(start + size)
    }

    pub(super) fn row_count(&self) -> u64 {
        self.rows.end - self.rows.start
    }

    /// Tells that rows have been written.
    pub(super) fn wrote(&self, rows: u64) -> Result<(), GenerateError> {
        let written = self.written.fetch_add(rows, Ordering::Relaxed) + rows;
        match (self.options.observe)(written) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(GenerateError::Interrupted),
        }
    }

    fn write_npy<T: Scalar>(&self, descr: &str) -> Result<(), GenerateError> {
        let &Self { generator, path, .. } = self;
        let failed = |problem| GenerateError::Output(OutputError::new(path, problem));
        let row_bytes = generator.d * size_of::<T>();
        let mut file = AtomicFile::create(path)?;
        write_npy_header(&mut file, descr, &[self.row_count(), generator.d as u64]).map_err(failed)?;
        let mut shared = file.reopen()?;
        let header = shared.seek(SeekFrom::End(0)).map_err(failed)?;
        shared.set_len(header + self.row_count() * row_bytes as u64).map_err(failed)?;
        // Not every system renames a file that is open twice.
        drop(shared);
        let file = Mutex::new(file);
        let piece_rows = (PIECE_BYTES / row_bytes).max(1) as u64;
        let start = || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            Ok((file.reopen()?, Vec::<T>::new()))
        };
        let pieces = self.row_count().div_ceil(piece_rows);
        in_pieces(self.options.threads, pieces, start, |(file, values), piece| {
            let rows = self.piece(piece, piece_rows);
            let count = rows.end - rows.start;
            values.clear();
            values.resize(count as usize * generator.d, T::ZERO);
            generator.fill(rows.start, values);
            let at = header + piece * piece_rows * row_bytes as u64;
            file.seek(SeekFrom::Start(at)).map_err(failed)?;
            file.write_all(little_endian(values)).map_err(failed)?;
            self.wrote(count)
        })?;
        Ok(file.into_inner().unwrap_or_else(PoisonError::into_inner).commit()?)
    }
}
