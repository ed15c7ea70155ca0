//! [`AtomicFolder`]: a folder that appears whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::OutputError;

/// A folder that is being filled and that nobody sees before [`commit`](Self::commit). Dropped without it, the folder is
/// gone.
///
/// ```
/// use kmeans_job::output::AtomicFolder;
///
/// let scratch = tempfile::tempdir()?;
/// let path = scratch.path().join("results");
/// let folder = AtomicFolder::create(&path)?;
/// std::fs::write(folder.partial().join("notes.txt"), "three words here")?;
/// assert!(!path.exists());
/// folder.commit()?;
/// assert_eq!(std::fs::read(path.join("notes.txt"))?, b"three words here");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AtomicFolder {
    /// As the caller named it.
    path: PathBuf,
    partial: TempDir,
}

impl AtomicFolder {
    /// Makes a private folder beside `path`.
    ///
    /// # Errors
    /// [`OutputError`] if no folder can be made there, or if something is there that is no empty folder.
    pub fn create(path: &Path) -> Result<Self, OutputError> {
        if !is_free(path)? {
            return Err(OutputError::NotEmpty { path: path.to_owned() });
        }
        if path.file_name().is_none() {
            return Err(OutputError::NoFileName { path: path.to_owned() });
        }
        let folder = super::folder_of(path);
        super::check_folder(path, folder)?;
        let partial = super::private(0o777, |builder| builder.tempdir_in(folder))
            .map_err(|problem| OutputError::new(path, problem))?;
        Ok(Self { path: path.to_owned(), partial })
    }

    /// The private folder, to be filled.
    pub fn partial(&self) -> &Path {
        self.partial.path()
    }

    /// Puts the folder in its place. Files in it have to be on disk, as those are that were
    /// [committed](super::AtomicFile::commit).
    ///
    /// # Errors
    /// [`OutputError`] if somebody else has put something in its place meanwhile; that stays as it is.
    pub fn commit(self) -> Result<(), OutputError> {
        let Self { path, partial } = self;
        let failed = |problem| OutputError::new(&path, problem);
        // Not every system renames over an empty folder.
        match fs::remove_dir(&path) {
            Err(problem) if problem.kind() == io::ErrorKind::DirectoryNotEmpty => {
                return Err(OutputError::NotEmpty { path });
            }
            Err(problem) if problem.kind() != io::ErrorKind::NotFound => return Err(failed(problem)),
            _ => {}
        }
        fs::rename(partial.path(), &path).map_err(failed)?;
        // There is nothing left to remove.
        let _ = partial.keep();
        Ok(())
    }
}

/// Whether nothing is there, or an empty folder.
fn is_free(path: &Path) -> Result<bool, OutputError> {
    let not_a_folder =
        |folder: &Path| OutputError::NotAFolder { path: path.to_owned(), folder: folder.to_owned() };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let mut entries = fs::read_dir(path).map_err(|problem| OutputError::new(path, problem))?;
            Ok(entries.next().is_none())
        }
        Ok(_) => Err(not_a_folder(path)),
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(problem) if problem.kind() == io::ErrorKind::NotADirectory => {
            Err(not_a_folder(super::folder_of(path)))
        }
        Err(problem) => Err(OutputError::new(path, problem)),
    }
}
