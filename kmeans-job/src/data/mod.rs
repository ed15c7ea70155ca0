//! Points to cluster: the matrix in memory, and reading one from a file whose format its extension names.
//!
//! | extension | read as | type of the values |
//! |---|---|---|
//! | `.npy` | a two-dimensional numpy array, see [`npy`] | its own: f32 or f64 |
//! | `.csv`, `.tsv` | a table of numbers, with or without a header line, see [`csv`] | f64 |
//! | `.png`, `.jpg`, `.jpeg`, `.bmp`, `.gif`, `.tif`, `.tiff`, `.webp`, `.ppm`, `.pgm`, `.pbm`, `.pnm` | an image, one point a pixel: red, green, blue, see [`image`] | f32 |
//!
//! What is loaded is finite: a NaN or an infinity in a file is an error that names its row and column.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub mod csv;
pub mod image;
pub mod npy;
mod stored;

pub use stored::{ShareError, StoredRows};

/// A dense matrix, stored row by row: one row a point, one column a coordinate. Never empty.
///
/// ```
/// use kmeans_job::data::Matrix;
///
/// let points = Matrix::new(2, 3, vec![0.0_f32, 0.1, 0.2, 1.0, 1.1, 1.2])?;
/// assert_eq!((points.rows(), points.d()), (2, 3));
/// assert_eq!(points.row(1), Some(&[1.0, 1.1, 1.2][..]));
/// # Ok::<(), kmeans_job::data::ShapeError>(())
/// ```
///
/// Two matrices are equal if their values are, wherever they were read.
#[derive(Clone, Debug)]
pub struct Matrix<T> {
    rows: usize,
    d: usize,
    values: Vec<T>,
    stored: Option<StoredRows>,
}

impl<T> Matrix<T> {
    /// Makes a matrix of `rows` rows and `d` columns from its values, row by row.
    ///
    /// # Errors
    /// [`ShapeError`] if there is no row or no column, or if `values` does not hold `rows * d` values.
    pub fn new(rows: usize, d: usize, values: Vec<T>) -> Result<Self, ShapeError> {
        if rows == 0 {
            return Err(ShapeError::NoRows);
        }
        if d == 0 {
            return Err(ShapeError::NoColumns);
        }
        if rows.checked_mul(d) != Some(values.len()) {
            return Err(ShapeError::Length { rows, d, found: values.len() });
        }
        Ok(Self { rows, d, values, stored: None })
    }

    /// Says where the same rows lie in a file.
    pub(crate) fn stored_in(self, file: StoredRows) -> Self {
        Self { stored: Some(file), ..self }
    }

    /// The file that these rows lie in, byte for byte: the `.npy` file they were [loaded](load) from. `None` for rows
    /// that were made here or converted.
    pub fn stored(&self) -> Option<&StoredRows> {
        self.stored.as_ref()
    }

    /// The number of rows (points), at least 1.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns (coordinates of a point), at least 1.
    pub fn d(&self) -> usize {
        self.d
    }

    /// All values, row by row: `rows * d` of them.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// The values of one row, counted from 0: `d` of them. `None` past the last row.
    pub fn row(&self, index: usize) -> Option<&[T]> {
        self.values.chunks_exact(self.d).nth(index)
    }

    /// Gives the values away, row by row.
    pub fn into_values(self) -> Vec<T> {
        self.values
    }
}

impl<T: PartialEq> PartialEq for Matrix<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.rows, self.d, &self.values) == (other.rows, other.d, &other.values)
    }
}

/// Why values cannot be a [`Matrix`] of the given shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// No rows.
    #[error("there are no rows; give at least one point")]
    NoRows,
    /// No columns.
    #[error("there are no columns; give at least one coordinate a point")]
    NoColumns,
    /// Another number of values than the shape asks for.
    #[error("{rows} rows of {d} columns do not hold {found} values; give rows x columns of them")]
    Length {
        /// The rows asked for.
        rows: usize,
        /// The columns asked for.
        d: usize,
        /// The number of values given.
        found: usize,
    },
}

/// The type of the values of a matrix, written `f32` or `f64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// Single precision, 4 bytes.
    F32,
    /// Double precision, 8 bytes.
    F64,
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        })
    }
}

/// Points as they were loaded, in the precision of their file.
#[derive(Clone, Debug, PartialEq)]
pub enum Points {
    /// Single precision.
    F32(Matrix<f32>),
    /// Double precision.
    F64(Matrix<f64>),
}

impl Points {
    /// The number of points, at least 1.
    pub fn rows(&self) -> usize {
        match self {
            Self::F32(matrix) => matrix.rows(),
            Self::F64(matrix) => matrix.rows(),
        }
    }

    /// The number of coordinates of a point, at least 1.
    pub fn d(&self) -> usize {
        match self {
            Self::F32(matrix) => matrix.d(),
            Self::F64(matrix) => matrix.d(),
        }
    }

    /// The file that these points lie in, byte for byte; see [`Matrix::stored`].
    pub fn stored(&self) -> Option<&StoredRows> {
        match self {
            Self::F32(matrix) => matrix.stored(),
            Self::F64(matrix) => matrix.stored(),
        }
    }

    /// The type of the values.
    pub fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::F64(_) => Dtype::F64,
        }
    }
}

/// Loads the points of a file, in the format that its extension names (in upper or lower case).
///
/// `interrupted` is asked before every few hundred kilobytes that are read of a matrix or a table, and before and
/// after an image is decoded; once it answers `true`, loading ends with [`LoadError::Interrupted`].
///
/// # Errors
/// [`LoadError`], each naming the file, what is wrong in it and where, and what to do about it.
///
/// ```
/// use kmeans_job::data;
/// use std::path::Path;
///
/// let iris = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/iris.csv"));
/// let points = data::load(iris, &|| false)?;
/// assert_eq!((points.rows(), points.d(), points.dtype()), (150, 4, data::Dtype::F64));
/// # Ok::<(), data::LoadError>(())
/// ```
pub fn load(path: &Path, interrupted: &dyn Fn() -> bool) -> Result<Points, LoadError> {
    match format(path)? {
        Format::Npy => npy::load(path, interrupted),
        Format::Table { delimiter } => csv::load(path, delimiter, interrupted).map(Points::F64),
        Format::Image => {
            if interrupted() {
                return Err(LoadError::Interrupted);
            }
            let image = image::load_rgb(path)?;
            if interrupted() {
                return Err(LoadError::Interrupted);
            }
            Ok(Points::F32(image.to_matrix()))
        }
    }
}

/// Whether [`load`] could begin: the file can be opened, and its extension names a format. For those who have other work
/// to do first that would be in vain.
///
/// # Errors
/// Those of [`load`].
pub fn check(path: &Path) -> Result<(), LoadError> {
    format(path).map(drop)
}

fn format(path: &Path) -> Result<Format, LoadError> {
    check_readable(path)?;
    Format::of(path)
}

/// The formats that [`load`] reads.
enum Format {
    Npy,
    Table { delimiter: u8 },
    Image,
}

impl Format {
    fn of(path: &Path) -> Result<Self, LoadError> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        match extension.as_str() {
            "npy" => Ok(Self::Npy),
            "csv" => Ok(Self::Table { delimiter: b',' }),
            "tsv" => Ok(Self::Table { delimiter: b'\t' }),
            known if image::EXTENSIONS.contains(&known) => Ok(Self::Image),
            _ => Err(LoadError::UnknownExtension { path: path.to_owned() }),
        }
    }
}

/// Why [`load`] has no points to give.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be opened or read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The extension names no format that is read here.
    #[error(
        "{path}: the extension names no known format; known are .npy, .csv, .tsv and the images .{}; rename or convert the file",
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
    /// The caller asked for an end.
    #[error("interrupted while loading; nothing was changed")]
    Interrupted,
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

/// Opens a regular file; its length in bytes comes along.
pub(crate) fn open(path: &Path) -> Result<(File, u64), FileError> {
    // Before the open, because opening a pipe waits until somebody writes to it.
    check_regular(path)?;
    let file = File::open(path).map_err(|problem| FileError::new(path, problem))?;
    let length = file.metadata().map_err(|problem| FileError::new(path, problem))?.len();
    Ok((file, length))
}

/// Reads a whole regular file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    check_regular(path)?;
    std::fs::read(path).map_err(|problem| FileError::new(path, problem))
}

/// Whether a path can be opened, ahead of a look at its extension: a misspelt path is the likelier mistake.
fn check_readable(path: &Path) -> Result<(), FileError> {
    open(path).map(drop)
}

fn check_regular(path: &Path) -> Result<(), FileError> {
    let metadata = std::fs::metadata(path).map_err(|problem| FileError::new(path, problem))?;
    if metadata.is_dir() {
        return Err(FileError::Folder { path: path.to_owned() });
    }
    if !metadata.is_file() {
        return Err(FileError::NotRegular { path: path.to_owned() });
    }
    Ok(())
}
