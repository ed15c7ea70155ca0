//! Reading a two-dimensional numpy array of floats from an `.npy` file.
//!
//! Read are arrays of `<f4` or `<f8` in C order, format versions 1 to 3. Every other array is refused with the line
//! of Python that converts it, rather than converted here without a word: a silent rounding of 64-bit integers, say,
//! would be found late.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use mapreduce_core::RowFiles;
use npyz::{DType, Endianness, NpyHeader, Order, TypeChar, TypeStr};

use super::watch::{self, Interrupted, Watch};
use super::{Dtype, FileError, FileRows, LoadError, Matrix, Points, RowsOfDtype, StoredRows};
use crate::numeric::scalar::Scalar;

/// The longest header that is read. numpy itself stops at 10 000 bytes unless told otherwise.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// The deepest nesting of brackets in a header. A float array has two levels; the parser is recursive.
const HEADER_DEPTH_MAX: usize = 6;
/// Bytes read by one call: few calls, and the check for NaN finds the values still in cache.
const CHUNK_BYTES: usize = 512 * 1024;

/// Loads a two-dimensional `.npy` array of f32 or f64, whatever the extension of the file.
///
/// `interrupted` is asked before each half megabyte.
///
/// # Errors
/// [`LoadError::File`], [`LoadError::Npy`] or [`LoadError::Interrupted`].
pub fn load(path: &Path, interrupted: &dyn Fn() -> bool) -> Result<Points, LoadError> {
    points(&mut [NpyFile::open(path)?], &Watch::new(&watch::unless(interrupted)))
}

/// As [`load`], and also a one-dimensional array, as one column.
pub(super) fn load_column(path: &Path, interrupted: &dyn Fn() -> bool) -> Result<Points, LoadError> {
    points(&mut [NpyFile::open_as(path, true)?], &Watch::new(&watch::unless(interrupted)))
}

/// Loads start centroids: a two-dimensional `.npy` array of f32 or f64, one row a centroid.
///
/// Its shape is for the caller to compare with `k` and with the points.
///
/// # Errors
/// As of [`load`], but for interruption.
pub fn read_init_npy(path: &Path) -> Result<Points, LoadError> {
    load(path, &|| false)
}

/// Why an `.npy` file holds no points that can be clustered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    /// The magic bytes are missing.
    #[error(
        "this is not an .npy file: it does not start with the bytes \\x93NUMPY; write one with `numpy.save(path, a)`"
    )]
    NotNpy,
    /// The file is a zip archive, as `.npz` is.
    #[error(
        "this is an .npz archive, not an .npy file; save the one array: `numpy.save(path, numpy.load(path_npz)[name])`"
    )]
    Npz,
    /// The file ends within its header.
    #[error("the file ends within its header; it was cut off, write it again with `numpy.save(path, a)`")]
    TruncatedHeader,
    /// The header cannot be read.
    #[error("the header cannot be read: {problem}; write the file again with `numpy.save(path, a)`")]
    Header {
        /// What is wrong with it.
        problem: String,
    },
    /// The values are no floats, or no little-endian ones.
    #[error("the values are {dtype}, and f32 (<f4) or f64 (<f8) is needed; convert: `{conversion}`")]
    Dtype {
        /// The dtype of the file, as numpy writes it.
        dtype: String,
        /// The line of Python that converts the array `a`.
        conversion: &'static str,
    },
    /// The array is not two-dimensional.
    #[error("the array has {} dimension(s), shape {}, and 2 are needed, one row a point; convert: `{}`",
        shape.len(), Shape(shape), if shape.len() > 2 { "numpy.save(path, a.reshape(-1, a.shape[-1]))" } else { "numpy.save(path, a.reshape(-1, 1))" })]
    Dimensions {
        /// The shape of the array.
        shape: Vec<u64>,
    },
    /// The array is stored column by column.
    #[error("the array is stored in Fortran order; convert: `numpy.save(path, numpy.ascontiguousarray(a))`")]
    FortranOrder,
    /// The array holds nothing.
    #[error("the array has {rows} rows and {d} columns; save at least one point of one coordinate")]
    NoValues {
        /// The rows of the array.
        rows: u64,
        /// Its columns.
        d: u64,
    },
    /// The file is shorter than its header says.
    #[error(
        "the file is cut off: its header promises {expected} bytes of values, and {found} are there; copy or write it again"
    )]
    Truncated {
        /// Bytes of values that the shape asks for.
        expected: u128,
        /// Bytes of values in the file.
        found: u64,
    },
    /// The file is longer than its header says.
    #[error(
        "{found} bytes of values follow the header, which promises {expected}; write the array to a file of its own"
    )]
    TrailingBytes {
        /// Bytes of values that the shape asks for.
        expected: u128,
        /// Bytes of values in the file.
        found: u64,
    },
    /// A value is NaN or infinite.
    #[error(
        "the value in row {row}, column {column} (counted from 0) is {value}; drop such rows: `numpy.save(path, a[numpy.isfinite(a).all(axis=1)])`"
    )]
    NotFinite {
        /// The row, counted from 0.
        row: usize,
        /// The column, counted from 0.
        column: usize,
        /// `NaN`, `inf` or `-inf`.
        value: String,
    },
    /// There is not enough memory.
    #[error("{bytes} bytes of values do not fit into memory; use f32 or fewer rows, or free some memory")]
    OutOfMemory {
        /// Bytes of values.
        bytes: usize,
    },
}

/// Shows a shape as Python does.
struct Shape<'a>(&'a [u64]);

impl std::fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            [one] => write!(f, "({one},)"),
            more => {
                let sides: Vec<String> = more.iter().map(u64::to_string).collect();
                write!(f, "({})", sides.join(", "))
            }
        }
    }
}

/// Why reading stops.
enum Stop {
    Npy(NpyError),
    Io(io::Error),
    Interrupted,
}

impl From<NpyError> for Stop {
    fn from(problem: NpyError) -> Self {
        Self::Npy(problem)
    }
}

impl From<io::Error> for Stop {
    fn from(problem: io::Error) -> Self {
        Self::Io(problem)
    }
}

impl From<Interrupted> for Stop {
    fn from(Interrupted: Interrupted) -> Self {
        Self::Interrupted
    }
}

impl Stop {
    /// The same with the file.
    fn of(self, path: &Path) -> LoadError {
        match self {
            Self::Npy(problem) => LoadError::Npy { path: path.to_owned(), problem },
            Self::Io(problem) => FileError::new(path, problem).into(),
            Self::Interrupted => LoadError::Interrupted,
        }
    }
}

/// An `.npy` file whose header has been read, and found to be that of points.
pub(super) struct NpyFile {
    pub(super) path: PathBuf,
    /// Behind the header.
    file: File,
    rows: usize,
    pub(super) d: usize,
    pub(super) dtype: Dtype,
    stored: StoredRows,
}

impl NpyFile {
    pub(super) fn open(path: &Path) -> Result<Self, LoadError> {
        Self::open_as(path, false)
    }

    /// Opens an array of two dimensions, or of one that stands for a column.
    fn open_as(path: &Path, column: bool) -> Result<Self, LoadError> {
        let (file, length) = super::load::open(path)?;
        Self::read_header(path, file, length, column).map_err(|stop| stop.of(path))
    }

    fn read_header(path: &Path, mut file: File, length: u64, column: bool) -> Result<Self, Stop> {
        let bytes = read_header(&mut file)?;
        check_header(&bytes).map_err(|problem| NpyError::Header { problem: problem.to_owned() })?;
        let header = NpyHeader::from_reader(&bytes[..])
            .map_err(|problem| NpyError::Header { problem: problem.to_string() })?;
        let dtype = float_type(&header.dtype())?;
        let (rows, d) = check_shape(&header, column)?;
        let found = length.saturating_sub(bytes.len() as u64);
        // Before anything is allocated: a header of 100 bytes may promise any number of values.
        let expected = u128::from(rows) * u128::from(d) * bytes_of(dtype) as u128;
        if u128::from(found) < expected {
            return Err(NpyError::Truncated { expected, found }.into());
        }
        if u128::from(found) > expected {
            return Err(NpyError::TrailingBytes { expected, found }.into());
        }
        let stored = StoredRows::new(path, &file, bytes.len() as u64)?;
        let (Ok(rows), Ok(d)) = (usize::try_from(rows), usize::try_from(d)) else {
            return Err(NpyError::OutOfMemory { bytes: usize::MAX }.into());
        };
        Ok(Self { path: path.to_owned(), file, rows, d, dtype, stored })
    }

    /// Reads the values: as many as the shape says.
    fn read<T: Float>(&mut self, values: &mut [T], watch: &Watch<'_>) -> Result<(), Stop> {
        let (expected, mut read) = (size_of_val(values) as u128, 0);
        for chunk in values.chunks_mut(CHUNK_BYTES / size_of::<T>()) {
            watch.ask()?;
            self.file.read_exact(bytemuck::cast_slice_mut(chunk)).map_err(|problem| {
                match problem.kind() {
                    // The file was shortened after its size was looked up.
                    io::ErrorKind::UnexpectedEof => {
                        Stop::Npy(NpyError::Truncated { expected, found: (read * size_of::<T>()) as u64 })
                    }
                    _ => Stop::Io(problem),
                }
            })?;
            for value in chunk.iter_mut() {
                *value = value.swap_on_big_endian();
            }
            // All of the chunk, without an early end, so that it runs at the speed of memory.
            if chunk.iter().fold(false, |bad, value| bad | !value.is_finite()) {
                return Err(not_finite(chunk, read, self.d).into());
            }
            read += chunk.len();
            watch.add(size_of_val(chunk) as u64);
        }
        Ok(())
    }
}

/// Reads the values of files that all have the type and the width of the first one.
pub(super) fn points(files: &mut [NpyFile], watch: &Watch<'_>) -> Result<Points, LoadError> {
    match files.first() {
        None => Err(LoadError::NoFiles),
        Some(NpyFile { dtype: Dtype::F32, .. }) => matrix(files, watch).map(Points::F32),
        Some(NpyFile { dtype: Dtype::F64, .. }) => matrix(files, watch).map(Points::F64),
    }
}

/// The rows of files that all have the type and the width of the first one, to be read there.
pub(super) fn file_rows(files: &[NpyFile]) -> Result<RowsOfDtype, LoadError> {
    match files.first() {
        None => Err(LoadError::NoFiles),
        Some(NpyFile { dtype: Dtype::F32, .. }) => rows_of(files).map(RowsOfDtype::F32),
        Some(NpyFile { dtype: Dtype::F64, .. }) => rows_of(files).map(RowsOfDtype::F64),
    }
}

fn rows_of<T: Scalar>(files: &[NpyFile]) -> Result<FileRows<T>, LoadError> {
    let too_many = |path| Stop::from(NpyError::OutOfMemory { bytes: usize::MAX }).of(path);
    let Some(NpyFile { path: first, d, .. }) = files.first() else { return Err(LoadError::NoFiles) };
    let rows = files.iter().try_fold(0_usize, |sum, file| sum.checked_add(file.rows));
    rows.and_then(|rows| rows.checked_mul(*d)).ok_or_else(|| too_many(first))?;
    let places = files.iter().map(|file| (file.stored.path(), file.stored.offset()));
    // What fails now did not when the headers were read.
    let changed = |path: &Path| LoadError::Changed { path: path.to_owned() };
    let opened = RowFiles::open_all(places, *d).map_err(|_| changed(first))?;
    match files.iter().find(|file| file.stored.check().is_err()) {
        Some(file) => Err(changed(&file.path)),
        None => Ok(FileRows::Npy(opened)),
    }
}

fn matrix<T: Float>(files: &mut [NpyFile], watch: &Watch<'_>) -> Result<Matrix<T>, LoadError> {
    let [NpyFile { path, d, .. }, ..] = &*files else { return Err(LoadError::NoFiles) };
    let (path, d) = (path.clone(), *d);
    let too_large = |bytes| Stop::from(NpyError::OutOfMemory { bytes }).of(&path);
    let rows = files.iter().try_fold(0_usize, |sum, file| sum.checked_add(file.rows));
    let Some((rows, count)) = rows.and_then(|rows| Some((rows, rows.checked_mul(d)?))) else {
        return Err(too_large(usize::MAX));
    };
    let bytes = count.saturating_mul(size_of::<T>());
    watch.check_size::<T>(&path, count, rows)?;
    // The shapes were checked with the headers.
    let mut matrix = Matrix::zeros(rows, d).ok_or_else(|| too_large(bytes))?;
    watch.expect(bytes as u64);
    let mut rest = matrix.values_mut();
    for file in &mut *files {
        let (values, behind) = rest.split_at_mut(file.rows * d);
        file.read(values, watch).map_err(|stop| stop.of(&file.path))?;
        rest = behind;
    }
    // The rows of several files lie in none of them.
    Ok(match files {
        [one] => matrix.stored_in(one.stored.clone()),
        _ => matrix,
    })
}

/// The first of some values that is NaN or infinite; `before` are ahead of them.
fn not_finite<T: Float>(values: &[T], before: usize, d: usize) -> NpyError {
    let at = values.iter().position(|value| !value.is_finite()).unwrap_or_default();
    let index = before + at;
    NpyError::NotFinite { row: index / d, column: index % d, value: values[at].to_string() }
}

/// Everything ahead of the values, magic bytes included.
fn read_header(file: &mut File) -> Result<Vec<u8>, Stop> {
    let mut bytes = Vec::new();
    file.take(8).read_to_end(&mut bytes)?;
    if bytes.starts_with(b"PK\x03\x04") {
        return Err(NpyError::Npz.into());
    }
    let magic = b"\x93NUMPY";
    if bytes.is_empty() || !bytes.starts_with(&magic[..bytes.len().min(magic.len())]) {
        return Err(NpyError::NotNpy.into());
    }
    // Version 1 counts the header in two bytes, later ones in four. An unknown version is left for the parser to name.
    let counter_bytes = if bytes.get(6) == Some(&1) { 2 } else { 4 };
    file.take(counter_bytes).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != 8 + counter_bytes {
        return Err(NpyError::TruncatedHeader.into());
    }
    let text_bytes = bytes[8..].iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte));
    if text_bytes > HEADER_BYTES_MAX {
        let problem = format!("it claims {text_bytes} bytes, and at most {HEADER_BYTES_MAX} are read");
        return Err(NpyError::Header { problem }.into());
    }
    let start = bytes.len();
    file.take(text_bytes as u64).read_to_end(&mut bytes)?;
    if bytes.len() - start != text_bytes {
        return Err(NpyError::TruncatedHeader.into());
    }
    Ok(bytes)
}

/// Refuses what the header parser cannot take from a stranger: it recurses at each bracket, and multiplies the sides
/// of the shape without a look at overflow.
///
/// Outside of strings a header that numpy writes holds brackets, commas, colons, spaces, decimal numbers, `True` and
/// `False`; nothing else is let through.
fn check_header(bytes: &[u8]) -> Result<(), &'static str> {
    let start = if bytes[6] == 1 { 10 } else { 12 };
    let mut rest = &bytes[start..];
    let mut depth = 0;
    let mut product = 1_u64;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' if depth > 0 => depth -= 1,
            b' ' | b'\n' | b',' | b':' => {}
            b'\'' | b'"' => {
                let end = tail.iter().position(|byte| byte == first).ok_or("a string in it does not end")?;
                if tail[..end].contains(&b'\\') {
                    return Err("a string in it has an escape");
                }
                rest = &tail[end + 1..];
            }
            b'0'..=b'9' => {
                let digits = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let side = [&[*first], &tail[..digits]].concat().iter().try_fold(0_u64, |number, digit| {
                    number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
                });
                // A side of 0 does not shorten the others: the parser multiplies them in both directions.
                product = side
                    .and_then(|side| product.checked_mul(side.max(1)))
                    .ok_or("the shape has more values than a file can hold")?;
                rest = &tail[digits..];
            }
            b'T' if tail.starts_with(b"rue") => rest = &tail[3..],
            b'F' if tail.starts_with(b"alse") => rest = &tail[4..],
            _ => return Err("it is no dictionary of descr, fortran_order and shape"),
        }
        if depth > HEADER_DEPTH_MAX {
            return Err("its brackets are nested too deep");
        }
    }
    Ok(())
}

fn bytes_of(dtype: Dtype) -> usize {
    match dtype {
        Dtype::F32 => 4,
        Dtype::F64 => 8,
    }
}

fn float_type(dtype: &DType) -> Result<Dtype, NpyError> {
    let unknown = |conversion| Err(NpyError::Dtype { dtype: dtype.descr(), conversion });
    let DType::Plain(plain) = dtype else {
        return unknown(
            "numpy.save(path, numpy.lib.recfunctions.structured_to_unstructured(a).astype(\"<f8\"))",
        );
    };
    match (plain.type_char(), plain.endianness(), plain.size_field()) {
        (TypeChar::Float, Endianness::Little, 4) => Ok(Dtype::F32),
        (TypeChar::Float, Endianness::Little, 8) => Ok(Dtype::F64),
        _ => unknown(conversion(plain)),
    }
}

/// The line that makes floats of an array: of single precision where that loses nothing.
fn conversion(plain: &TypeStr) -> &'static str {
    match (plain.type_char(), plain.size_field()) {
        (TypeChar::Complex, _) => "numpy.save(path, numpy.hstack([a.real, a.imag]).astype(\"<f8\"))",
        (TypeChar::DateTime | TypeChar::TimeDelta, _) => {
            "numpy.save(path, a.astype(\"<i8\").astype(\"<f8\"))"
        }
        (TypeChar::Bool, _) | (TypeChar::Int | TypeChar::Uint, 1 | 2) | (TypeChar::Float, 2 | 4) => {
            "numpy.save(path, a.astype(\"<f4\"))"
        }
        _ => "numpy.save(path, a.astype(\"<f8\"))",
    }
}

/// The rows and columns of a two-dimensional array in C order; or of one that is to be a column.
fn check_shape(header: &NpyHeader, column: bool) -> Result<(u64, u64), NpyError> {
    let (rows, d) = match *header.shape() {
        [rows, d] => (rows, d),
        [rows] if column => (rows, 1),
        _ => return Err(NpyError::Dimensions { shape: header.shape().to_vec() }),
    };
    if rows == 0 || d == 0 {
        return Err(NpyError::NoValues { rows, d });
    }
    if header.order() == Order::Fortran {
        return Err(NpyError::FortranOrder);
    }
    Ok((rows, d))
}

/// The two types of values, as they are read from bytes.
trait Float: Scalar {
    /// The value whose little-endian bytes were read into place.
    fn swap_on_big_endian(self) -> Self;
}

impl Float for f32 {
    fn swap_on_big_endian(self) -> Self {
        Self::from_bits(u32::from_le(self.to_bits()))
    }
}

impl Float for f64 {
    fn swap_on_big_endian(self) -> Self {
        Self::from_bits(u64::from_le(self.to_bits()))
    }
}
