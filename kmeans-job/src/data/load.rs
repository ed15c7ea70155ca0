//! [`load`] and [`load_all`]: points of one file, or of several and of folders of them.

use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::sink::{Kept, Sink};
use super::watch::{self, Watch};
use super::{
    Difference, Dtype, FileError, LoadError, PointFiles, Points, Progress, RowsOfDtype, csv, image, npy,
};

/// How points are loaded.
///
/// ```
/// use kmeans_job::data::LoadOptions;
///
/// let columns = ["x".to_owned(), "y".to_owned()];
/// let options = LoadOptions { columns: &columns, ..LoadOptions::default() };
/// assert_eq!(options.columns.len(), 2);
/// ```
#[derive(Clone, Copy)]
pub struct LoadOptions<'a> {
    /// The columns of Parquet files, in this order; by default all, in the order of the first file. A field of a group
    /// has a dot in its name: `position.x`.
    pub columns: &'a [String],
    /// Is told how far loading is before every few hundred kilobytes of a matrix or a table, and before and after an
    /// image is decoded. Once it breaks, loading ends with [`LoadError::Interrupted`].
    pub observe: &'a dyn Fn(Progress) -> ControlFlow<()>,
    /// The most bytes of memory that the points may take; default [`u64::MAX`]. If they take more, it depends on
    /// [`overflow`](Self::overflow) where they are; without it, that is [`LoadError::OverLimit`].
    pub bytes_max: u64,
    /// Bytes to be counted for each row besides its values: of what is going to be kept of it. Default 0.
    pub row_bytes: u64,
    /// The folder for points that do not fit into `bytes_max`, best on a disk: then [`load_all`] gives
    /// [`Points::Files`]. Default none.
    ///
    /// Tables and images are read once, as ever: values are kept in memory up to `bytes_max`, and from there on all of them
    /// in a temporary file without a name, which each pass reads: 8 bytes a value of tables, 4 of images. An image is
    /// decoded in memory all the same, one at a time. `.npy` and Parquet files stay where they are, as
    /// [`PointFiles::open`] leaves them; the folder is not used for them.
    pub overflow: Option<&'a Path>,
}

impl Default for LoadOptions<'_> {
    fn default() -> Self {
        Self {
            columns: &[],
            observe: &|_| ControlFlow::Continue(()),
            bytes_max: u64::MAX,
            row_bytes: 0,
            overflow: None,
        }
    }
}

impl std::fmt::Debug for LoadOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadOptions")
            .field("columns", &self.columns)
            .field("bytes_max", &self.bytes_max)
            .field("row_bytes", &self.row_bytes)
            .field("overflow", &self.overflow)
            .finish_non_exhaustive()
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
    let observe = watch::unless(interrupted);
    load_files(&[path.to_owned()], LoadOptions { observe: &observe, ..LoadOptions::default() })
}

/// Loads the points of several files, one after the other, as [`list`] gives them.
///
/// All are of one format and have the same number of columns and type of values, and the same names of columns if they
/// have names. The points of several files are [stored](Points::stored) in none. Those that do not fit into the memory
/// they may have are [`Points::Files`] if there is [a folder](LoadOptions::overflow) for it.
///
/// # Errors
/// [`LoadError`], each naming the file, what is wrong in it and where, and what to do about it. [`LoadError::Unlike`] if
/// a file is of another kind than the first one.
///
/// ```
/// use kmeans_job::data::{LoadOptions, Points, load_all};
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("b.csv"), "5,6\n")?;
/// std::fs::write(folder.path().join("a.csv"), "1,2\n3,4\n")?;
/// let points = load_all(&[folder.path()], LoadOptions::default())?;
/// assert_eq!((points.rows(), points.d()), (3, 2));
///
/// // Without memory for a single value:
/// let disk = tempfile::tempdir()?;
/// let options = LoadOptions { bytes_max: 0, overflow: Some(disk.path()), ..LoadOptions::default() };
/// let kept = load_all(&[folder.path()], options)?;
/// assert!(matches!(kept, Points::Files(_)));
/// assert_eq!((kept.rows(), kept.d()), (3, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load_all(paths: &[impl AsRef<Path>], options: LoadOptions<'_>) -> Result<Points, LoadError> {
    load_files(&list(paths)?, options)
}

/// The files that paths stand for, in the order of the paths. A folder stands for the files in it, in the order of their
/// names; those whose names begin with `.` or `_`, and folders in it, are passed over.
///
/// # Errors
/// [`LoadError::NoFiles`], [`LoadError::EmptyFolder`], or [`LoadError::File`] if a path leads nowhere.
pub fn list(paths: &[impl AsRef<Path>]) -> Result<Vec<PathBuf>, LoadError> {
    let mut files = Vec::new();
    for path in paths.iter().map(AsRef::as_ref) {
        let metadata = fs::metadata(path).map_err(|problem| FileError::new(path, problem))?;
        if metadata.is_dir() {
            files.append(&mut list_folder(path)?);
        } else {
            files.push(path.to_owned());
        }
    }
    if files.is_empty() { Err(LoadError::NoFiles) } else { Ok(files) }
}

fn list_folder(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let failed = |problem| FileError::new(folder, problem);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_hidden = matches!(entry.file_name().as_encoded_bytes().first(), Some(b'.' | b'_'));
        // Links are followed; one that leads nowhere is an error when it is opened.
        if !is_hidden && !entry.path().is_dir() {
            files.push(entry.path());
        }
    }
    if files.is_empty() {
        return Err(LoadError::EmptyFolder { path: folder.to_owned() });
    }
    files.sort_unstable();
    Ok(files)
}

/// Whether [`load_all`] could begin: the files can be opened, and their extensions name one format. For those who have
/// other work to do first that would be in vain.
///
/// # Errors
/// Those of [`load_all`].
pub fn check(paths: &[impl AsRef<Path>]) -> Result<(), LoadError> {
    format_of_all(&list(paths)?).map(drop)
}

/// Loads files, none of them a folder.
fn load_files(paths: &[PathBuf], options: LoadOptions<'_>) -> Result<Points, LoadError> {
    let format = format_for(paths, options.columns)?;
    let LoadOptions { columns, bytes_max, row_bytes, overflow, .. } = options;
    let watch = Watch::new(options.observe).within(bytes_max, row_bytes);
    let loaded = match format {
        Format::Npy => npy::points(&mut open_npy(paths)?, &watch),
        Format::Csv => load_tables(paths, b',', Sink::new(&watch, overflow)),
        Format::Tsv => load_tables(paths, b'\t', Sink::new(&watch, overflow)),
        #[cfg(feature = "parquet")]
        Format::Parquet => super::parquet::points(&mut open_parquet(paths, columns)?, &watch),
        #[cfg(not(feature = "parquet"))]
        Format::Parquet => Err(LoadError::NoParquet { path: paths[0].clone() }),
        Format::Image => load_images(paths, Sink::new(&watch, overflow)),
    };
    match loaded {
        // Said of tables and images if there is no folder alone, of others ahead of their values.
        Err(LoadError::OverLimit { .. }) if overflow.is_some() => open_all(paths, columns).map(Points::Files),
        loaded => loaded,
    }
}

/// Opens files, none of them a folder, of which the values stay there.
pub(super) fn open_all(paths: &[PathBuf], columns: &[String]) -> Result<PointFiles, LoadError> {
    let rows = match format_for(paths, columns)? {
        Format::Npy => npy::file_rows(&open_npy(paths)?)?,
        #[cfg(feature = "parquet")]
        Format::Parquet => super::parquet::file_rows(open_parquet(paths, columns)?)?,
        format => return Err(LoadError::NotStoredAsRows { path: paths[0].clone(), what: format.name() }),
    };
    Ok(PointFiles::new(paths.to_vec(), rows))
}

/// The format of files of which columns may have been chosen.
fn format_for(paths: &[PathBuf], columns: &[String]) -> Result<Format, LoadError> {
    let format = format_of_all(paths)?;
    match paths {
        [path, ..] if format != Format::Parquet && !columns.is_empty() => {
            Err(LoadError::NoColumnNames { path: path.clone() })
        }
        _ => Ok(format),
    }
}

fn open_npy(paths: &[PathBuf]) -> Result<Vec<npy::NpyFile>, LoadError> {
    let files = paths.iter().map(|path| npy::NpyFile::open(path)).collect::<Result<Vec<_>, _>>()?;
    let kinds = files.iter().map(|file| Kind { path: &file.path, d: file.d, dtype: file.dtype, names: None });
    check_alike(kinds)?;
    Ok(files)
}

#[cfg(feature = "parquet")]
fn open_parquet(
    paths: &[PathBuf],
    columns: &[String],
) -> Result<Vec<super::parquet::ParquetFile>, LoadError> {
    let open = |path: &PathBuf| super::parquet::ParquetFile::open(path, columns);
    let files = paths.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let kinds = files.iter().map(|file| Kind {
        path: &file.path,
        d: file.names.len(),
        dtype: file.dtype,
        names: Some(&file.names),
    });
    check_alike(kinds)?;
    Ok(files)
}

fn load_tables(paths: &[PathBuf], delimiter: u8, mut sink: Sink<'_, f64>) -> Result<Points, LoadError> {
    expect(paths, sink.watch)?;
    let mut rows = 0;
    let mut first: Option<csv::Table> = None;
    for path in paths {
        let table = csv::append(path, delimiter, rows, &mut sink)?;
        rows += table.rows;
        if let Some(first) = &first {
            // A file without a header has what the others have.
            let names = first.names.as_ref().zip(table.names.as_ref());
            let kind = |path, d, names| Kind { path, d, dtype: Dtype::F64, names };
            check_alike([
                kind(&paths[0], first.d, names.map(|(first, _)| first)),
                kind(path, table.d, names.map(|(_, found)| found)),
            ])?;
        }
        first.get_or_insert(table);
    }
    let Some(csv::Table { d, .. }) = first else { return Err(LoadError::NoFiles) };
    Ok(match sink.finish(rows, d)? {
        Kept::Memory(matrix) => Points::F64(matrix),
        Kept::File(rows) => PointFiles::new(paths.to_vec(), RowsOfDtype::F64(rows)).into(),
    })
}

fn load_images(paths: &[PathBuf], mut sink: Sink<'_, f32>) -> Result<Points, LoadError> {
    let watch = sink.watch;
    expect(paths, watch)?;
    let mut rows = 0;
    for path in paths {
        watch.ask().map_err(|_| LoadError::Interrupted)?;
        let (_, length) = open(path)?;
        let image = image::load_rgb(path)?;
        image.append(path, rows, &mut sink)?;
        rows += image.pixels.len();
        watch.add(length);
    }
    watch.ask().map_err(|_| LoadError::Interrupted)?;
    Ok(match sink.finish(rows, 3)? {
        Kept::Memory(matrix) => Points::F32(matrix),
        Kept::File(rows) => PointFiles::new(paths.to_vec(), RowsOfDtype::F32(rows)).into(),
    })
}

/// Tells how many bytes the files have.
fn expect(paths: &[PathBuf], watch: &Watch<'_>) -> Result<(), LoadError> {
    for path in paths {
        watch.expect(open(path)?.1);
    }
    Ok(())
}

/// What all files that are loaded together have in common.
struct Kind<'a> {
    path: &'a Path,
    d: usize,
    dtype: Dtype,
    names: Option<&'a Vec<String>>,
}

/// Compares all files with the first.
fn check_alike<'a>(files: impl IntoIterator<Item = Kind<'a>>) -> Result<(), LoadError> {
    let mut files = files.into_iter();
    let Some(expected) = files.next() else { return Ok(()) };
    for found in files {
        let first = expected.path.to_owned();
        let difference = if found.d != expected.d {
            Difference::Width { first, expected: expected.d, found: found.d }
        } else if let Some((index, (name, other))) = differing_name(&expected, &found) {
            Difference::Name { first, number: index + 1, expected: name.clone(), found: other.clone() }
        } else if found.dtype != expected.dtype {
            Difference::Dtype { first, expected: expected.dtype, found: found.dtype }
        } else {
            continue;
        };
        return Err(LoadError::Unlike { path: found.path.to_owned(), difference });
    }
    Ok(())
}

fn differing_name<'a>(first: &Kind<'a>, other: &Kind<'a>) -> Option<(usize, (&'a String, &'a String))> {
    let (first, other) = first.names.zip(other.names)?;
    first.iter().zip(other).enumerate().find(|(_, (first, other))| first != other)
}

/// The formats that are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Npy,
    Csv,
    Tsv,
    Parquet,
    Image,
}

impl Format {
    fn of(path: &Path) -> Result<Self, LoadError> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        match extension.as_str() {
            "npy" => Ok(Self::Npy),
            "csv" => Ok(Self::Csv),
            "tsv" => Ok(Self::Tsv),
            "parquet" if cfg!(feature = "parquet") => Ok(Self::Parquet),
            "parquet" => Err(LoadError::NoParquet { path: path.to_owned() }),
            known if image::EXTENSIONS.contains(&known) => Ok(Self::Image),
            _ => Err(LoadError::UnknownExtension { path: path.to_owned() }),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Npy => "a numpy array",
            Self::Csv => "a table with commas",
            Self::Tsv => "a table with tabs",
            Self::Parquet => "a Parquet file",
            Self::Image => "an image",
        }
    }
}

/// The format of files that can all be opened.
fn format_of_all(paths: &[PathBuf]) -> Result<Format, LoadError> {
    let mut first: Option<(&Path, Format)> = None;
    for path in paths {
        // Ahead of a look at the extension: a misspelt path is the likelier mistake.
        open(path)?;
        let format = Format::of(path)?;
        match first {
            None => first = Some((path, format)),
            Some((_, expected)) if expected == format => {}
            Some((first, expected)) => {
                let first = first.to_owned();
                let difference =
                    Difference::Format { first, expected: expected.name(), found: format.name() };
                return Err(LoadError::Unlike { path: path.clone(), difference });
            }
        }
    }
    first.map(|(_, format)| format).ok_or(LoadError::NoFiles)
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
    fs::read(path).map_err(|problem| FileError::new(path, problem))
}

fn check_regular(path: &Path) -> Result<(), FileError> {
    let metadata = fs::metadata(path).map_err(|problem| FileError::new(path, problem))?;
    if metadata.is_dir() {
        return Err(FileError::Folder { path: path.to_owned() });
    }
    if !metadata.is_file() {
        return Err(FileError::NotRegular { path: path.to_owned() });
    }
    Ok(())
}
