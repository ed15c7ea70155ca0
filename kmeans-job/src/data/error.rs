//! [`LoadError`]: why there are no points to load, and where to look instead. [`FileError`]: why a file cannot be read.

use std::io;
use std::path::{Path, PathBuf};

use super::{Dtype, csv, image, npy};

/// Why [`load`](super::load) or [`load_all`](super::load_all) has no points to give.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be opened or read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The extension names no format that is read here.
    #[error(
        "{path}: the extension names no known format; known are .npy, .csv, .tsv, .parquet and the images .{}; rename or convert the file",
        image::EXTENSIONS.join(", .")
    )]
    UnknownExtension {
        /// The file.
        path: PathBuf,
    },
    /// The file is no numpy array that can be clustered.
    #[error("{path}: {problem}")]
    Npy {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: npy::NpyError,
    },
    /// The file is no table of numbers.
    #[error("{path}: {problem}")]
    Csv {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: csv::CsvError,
    },
    /// The file is no image that can be decoded.
    #[error("{path}: {problem}")]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: image::ImageError,
    },
    /// The file is no Parquet file with columns of numbers.
    #[cfg(feature = "parquet")]
    #[error("{path}: {problem}")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: super::parquet::ParquetError,
    },
    /// A file of weights has more than one column.
    #[error(
        "{path}: it has {columns} columns, and weights are one number a point; give a file of one column"
    )]
    SeveralWeights {
        /// The file.
        path: PathBuf,
        /// Its columns.
        columns: usize,
    },
    /// This program cannot read Parquet.
    #[error(
        "{path}: this program was built without Parquet; build it with the feature `parquet`, or convert the file to .npy"
    )]
    NoParquet {
        /// The file.
        path: PathBuf,
    },
    /// Columns were chosen of a file whose columns have no names.
    #[error(
        "{path}: columns can be chosen by name in Parquet files alone; remove the others from the file, or convert it"
    )]
    NoColumnNames {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read a block at a time from anywhere.
    #[error(
        "{path}: {what} has to be decoded, it cannot be read in each pass; load it with `load_all`, if it is too large for memory with a folder for its values (`LoadOptions::overflow`)"
    )]
    NotStoredAsRows {
        /// The file.
        path: PathBuf,
        /// What it is, as people call it.
        what: &'static str,
    },
    /// The values need more memory than they may have.
    #[error(
        "{path}: its points do not fit into {bytes_max} bytes of memory; allow more, or name a folder for those that do not fit (`LoadOptions::overflow`)"
    )]
    OverLimit {
        /// The file that was read.
        path: PathBuf,
        /// The limit, [`LoadOptions::bytes_max`](super::LoadOptions::bytes_max).
        bytes_max: u64,
    },
    /// The values need more memory than they may have, and cannot be written to a temporary file: the folder is not there
    /// or full, or may not be written to.
    #[error(
        "{folder}: the points do not fit into {bytes_max} bytes of memory, and cannot be kept in a temporary file there: {problem}; make room there, name another folder (`LoadOptions::overflow`), or allow more memory"
    )]
    Overflow {
        /// The folder, [`LoadOptions::overflow`](super::LoadOptions::overflow).
        folder: PathBuf,
        /// The limit, [`LoadOptions::bytes_max`](super::LoadOptions::bytes_max).
        bytes_max: u64,
        /// What the operating system says.
        problem: io::Error,
    },
    /// A file was changed while it was opened.
    #[error("{path}: was changed while it was opened; try again when nobody writes to it")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// No file was named.
    #[error("no file was named; name at least one file of points")]
    NoFiles,
    /// A folder has no file that could be read.
    #[error(
        "{path}: there are no files in this folder (folders in it, and names that begin with `.` or `_`, are passed over); name the files, or the folder that holds them itself"
    )]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
    },
    /// Files that are to be loaded together are not of one kind.
    #[error("{path}: {difference}; give files of one kind, or load them one by one")]
    Unlike {
        /// The file that differs.
        path: PathBuf,
        /// In what it differs from the first file.
        difference: Difference,
    },
    /// The caller asked for an end.
    #[error("interrupted while loading; nothing was changed")]
    Interrupted,
}

/// In what a file differs from the first of those that are loaded together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Difference {
    /// The format.
    #[error("this is {found}, but {} is {expected}", first.display())]
    Format {
        /// The first file.
        first: PathBuf,
        /// Its format, as people call it.
        expected: &'static str,
        /// The format of the file that differs.
        found: &'static str,
    },
    /// The number of columns.
    #[error("it has {found} columns, but {} has {expected}", first.display())]
    Width {
        /// The first file.
        first: PathBuf,
        /// Its columns.
        expected: usize,
        /// The columns of the file that differs.
        found: usize,
    },
    /// The type of the values.
    #[error("its values are {found}, but those of {} are {expected}", first.display())]
    Dtype {
        /// The first file.
        first: PathBuf,
        /// The type of its values.
        expected: Dtype,
        /// The type of those of the file that differs.
        found: Dtype,
    },
    /// The name of a column.
    #[error("its column {number} is `{found}`, but that of {} is `{expected}`", first.display())]
    Name {
        /// The first file.
        first: PathBuf,
        /// The column, counted from 1.
        number: usize,
        /// Its name in the first file.
        expected: String,
        /// Its name in the file that differs.
        found: String,
    },
}

/// Why a file cannot be opened or read at all, whatever its format.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// There is no such file.
    #[error("{path}: there is no such file; {}", elsewhere(path))]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// The path names a folder.
    #[error("{path}: this is a folder; name one file in it")]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// The path names a pipe, a device or a socket.
    #[error("{path}: this is a pipe or a device; store the data in a file first, its size has to be known")]
    NotRegular {
        /// The pipe or device.
        path: PathBuf,
    },
    /// The user may not read the file.
    #[error("{path}: no permission to read it; change its mode or owner (`ls -l` shows both)")]
    PermissionDenied {
        /// The file.
        path: PathBuf,
    },
    /// Any other failure of the operating system.
    #[error("{path}: cannot read it: {problem}; check the disk or copy the file elsewhere")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        problem: io::Error,
    },
}

impl FileError {
    /// The error for a failed operation on `path`.
    pub(crate) fn new(path: &Path, problem: io::Error) -> Self {
        let path = path.to_owned();
        match problem.kind() {
            // A component of the path that is a file: what is asked for does not exist either.
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NotFound { path },
            io::ErrorKind::IsADirectory => Self::Folder { path },
            io::ErrorKind::PermissionDenied => Self::PermissionDenied { path },
            _ => Self::Io { path, problem },
        }
    }
}

/// Where to look for a file that is missing.
fn elsewhere(path: &Path) -> &'static str {
    if path.as_os_str() == "-" {
        "standard input is not read: store the data in a file first"
    } else {
        "check the spelling, and the folder it is relative to"
    }
}
