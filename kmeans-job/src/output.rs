//! Files that appear whole or not at all, and labels, distances and centroids in them.
//!
//! A file is written under a private name in the folder of its target, and renamed over the target when it is
//! complete. Whoever opens the target sees the old file or the new one, never a part; an error, a panic or an
//! interruption leaves the old one. (A process that is killed outright leaves a `.kmeans-job-*.partial` file behind.)

mod arrays;
mod column;
mod error;
mod folder;
#[cfg(feature = "parquet")]
pub(crate) mod parquet;

use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

pub(crate) use arrays::{little_endian, write_npy_header};
pub use arrays::{stage_centroids_npy, stage_distances, stage_labels, stage_labels_npy, write_labels_npy};
pub use column::{ColumnFile, ColumnValue};
pub use error::OutputError;
pub use folder::AtomicFolder;

/// Links followed from one to the next, as many as Linux follows.
const LINKS_MAX: usize = 40;

/// A file that is being written and that nobody sees before [`commit`](Self::commit). Dropped without it, the file is
/// gone.
///
/// ```
/// use kmeans_job::output::AtomicFile;
/// use std::io::Write;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("notes.txt");
/// let mut file = AtomicFile::create(&path)?;
/// file.write_all(b"three words here")?;
/// assert!(!path.exists());
/// file.commit()?;
/// assert_eq!(std::fs::read(&path)?, b"three words here");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AtomicFile {
    /// As the caller named it, for messages.
    path: PathBuf,
    /// What the file is renamed to: the path, or the file that it links to.
    target: PathBuf,
    partial: BufWriter<NamedTempFile>,
}

impl AtomicFile {
    /// Opens a private file that will replace `path`, or appear there.
    ///
    /// A symbolic link is followed: the file it leads to is replaced or made. A new file gets the permissions that the
    /// user's umask gives to any new file; a replaced one hands its permissions on.
    ///
    /// # Errors
    /// [`OutputError`] if the folder is missing or no file can be made in it, or if `path` is there and is read-only or
    /// no regular file.
    pub fn create(path: &Path) -> Result<Self, OutputError> {
        let existing = existing_file(path)?;
        let target = match &existing {
            Some(_) => fs::canonicalize(path).map_err(|problem| OutputError::new(path, problem))?,
            None => follow(path),
        };
        let folder = folder_of(&target);
        check_folder(path, folder)?;
        let partial = private(0o666, |builder| builder.tempfile_in(folder))
            .map_err(|problem| OutputError::new(path, problem))?;
        if let Some(existing) = existing {
            partial
                .as_file()
                .set_permissions(existing.permissions())
                .map_err(|problem| OutputError::new(path, problem))?;
        }
        Ok(Self { path: path.to_owned(), target, partial: BufWriter::new(partial) })
    }

    /// Another handle of the private file, with a position of its own: for threads that each write a piece of it. What
    /// was written here is ahead of it.
    pub(crate) fn reopen(&mut self) -> Result<File, OutputError> {
        let failed = |problem| OutputError::new(&self.path, problem);
        self.partial.flush().map_err(failed)?;
        self.partial.get_ref().reopen().map_err(failed)
    }

    /// Puts the file in its place, replacing the one that is there.
    ///
    /// The content is forced to disk before the rename, so a power cut leaves the old file or the whole new one. The
    /// folder is not: right after a power cut it may still be the old one.
    ///
    /// # Errors
    /// [`OutputError`] if the disk is full or the target cannot be replaced; the target is as it was.
    pub fn commit(self) -> Result<(), OutputError> {
        self.complete()?.replace()
    }

    /// Forces the content to disk.
    fn complete(self) -> Result<Complete, OutputError> {
        let Self { path, target, partial } = self;
        let partial = partial.into_inner().map_err(|error| OutputError::new(&path, error.into_error()))?;
        partial.as_file().sync_all().map_err(|problem| OutputError::new(&path, problem))?;
        Ok(Complete { path, target, partial })
    }
}

/// A file whose content is on disk and that is still private.
struct Complete {
    path: PathBuf,
    target: PathBuf,
    partial: NamedTempFile,
}

impl Complete {
    fn replace(self) -> Result<(), OutputError> {
        let Self { path, target, partial } = self;
        partial.persist(&target).map_err(|error| OutputError::new(&path, error.error))?;
        Ok(())
    }
}

/// Puts several files in their places, once all of them are on disk: a disk that is too small for the last one leaves
/// the targets of all as they were.
///
/// # Errors
/// [`OutputError`] of the first that cannot be written. If that is found out only as it is renamed (its folder has
/// just been removed, say), those ahead of it are in their places already.
///
/// ```
/// use kmeans_job::output::{AtomicFile, commit_all};
/// use std::io::Write;
///
/// let folder = tempfile::tempdir()?;
/// let paths = ["words.txt", "counts.txt"].map(|name| folder.path().join(name));
/// let mut files = Vec::new();
/// for path in &paths {
///     let mut file = AtomicFile::create(path)?;
///     file.write_all(b"three words here")?;
///     files.push(file);
/// }
/// assert!(!paths[0].exists());
/// commit_all(files)?;
/// assert!(paths.iter().all(|path| path.exists()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn commit_all(files: impl IntoIterator<Item = AtomicFile>) -> Result<(), OutputError> {
    let complete: Vec<Complete> = files.into_iter().map(AtomicFile::complete).collect::<Result<_, _>>()?;
    complete.into_iter().try_for_each(Complete::replace)
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.partial.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.partial.flush()
    }
}

/// Writes a whole file: `content` fills it, then it takes its place.
///
/// # Errors
/// [`OutputError`], also for an error of `content`; the target is as it was.
pub fn write_file(
    path: &Path,
    content: impl FnOnce(&mut AtomicFile) -> io::Result<()>,
) -> Result<(), OutputError> {
    stage_file(path, content)?.commit()
}

/// As [`write_file`], up to the point where the file would take its place.
///
/// # Errors
/// [`OutputError`], also for an error of `content`; the target is as it was.
pub fn stage_file(
    path: &Path,
    content: impl FnOnce(&mut AtomicFile) -> io::Result<()>,
) -> Result<AtomicFile, OutputError> {
    let mut file = AtomicFile::create(path)?;
    content(&mut file).map_err(|problem| OutputError::new(path, problem))?;
    Ok(file)
}

/// Checks that a file can be written at `path`, without writing one: for the start of a long computation.
///
/// # Errors
/// The [`OutputError`] that [`AtomicFile::create`] gives.
pub fn check_writable(path: &Path) -> Result<(), OutputError> {
    AtomicFile::create(path).map(drop)
}

/// Makes a file or folder under a private name, with the mode that any program asks for; the umask takes its bits off.
fn private<T>(mode: u32, make: impl FnOnce(&tempfile::Builder<'_, '_>) -> io::Result<T>) -> io::Result<T> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".kmeans-job-").suffix(".partial");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    make(&builder)
}

/// The file at `path`, if there is one; an error if what is there is no regular file, or nothing can be there.
fn existing_file(path: &Path) -> Result<Option<Metadata>, OutputError> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => {
            // `results/` names a folder, though the last component of the path is `results`.
            let ends_as_folder = path.as_os_str().to_string_lossy().ends_with(std::path::is_separator);
            if path.file_name().is_none() || ends_as_folder {
                return Err(OutputError::NoFileName { path: path.to_owned() });
            }
            return Ok(None);
        }
        Err(problem) if problem.kind() == io::ErrorKind::NotADirectory => {
            let folder = folder_of(path).to_owned();
            return Err(OutputError::NotAFolder { path: path.to_owned(), folder });
        }
        Err(problem) => return Err(OutputError::new(path, problem)),
    };
    if metadata.is_dir() {
        return Err(OutputError::Folder { path: path.to_owned() });
    }
    // A rename would put a file in the place of, say, /dev/null.
    if !metadata.is_file() {
        return Err(OutputError::NotRegular { path: path.to_owned() });
    }
    // A rename asks for the permission of the folder alone. Whoever took the file's away meant the content.
    if metadata.permissions().readonly() {
        return Err(OutputError::ReadOnly { path: path.to_owned() });
    }
    Ok(Some(metadata))
}

/// Where a path that leads to no file yet would make one: a link may point to a name that is free.
fn follow(path: &Path) -> PathBuf {
    let mut target = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::read_link(&target) {
            Ok(next) => target = folder_of(&target).join(next),
            Err(_) => break,
        }
    }
    target
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn check_folder(path: &Path, folder: &Path) -> Result<(), OutputError> {
    let (path, folder) = (path.to_owned(), folder.to_owned());
    match fs::metadata(&folder) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(OutputError::NotAFolder { path, folder }),
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => {
            Err(OutputError::NoFolder { path, folder })
        }
        Err(problem) => Err(OutputError::new(&path, problem)),
    }
}
