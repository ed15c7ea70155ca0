//! [`OutputError`]: why a file or folder cannot be written.

use std::io;
use std::path::{Path, PathBuf};

/// Why a file cannot be written. Whatever stood in its place is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The path ends in no file name.
    #[error("{}: this names no file; give a path that ends in a file name", show(path))]
    NoFileName {
        /// The path.
        path: PathBuf,
    },
    /// The path names a folder.
    #[error("{path}: this is a folder; give the name of a file in it")]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// The path names a pipe, a device or a socket.
    #[error(
        "{path}: this is a pipe or a device, which cannot be replaced by a file; give the name of a file"
    )]
    NotRegular {
        /// The pipe or device.
        path: PathBuf,
    },
    /// The file is there and write-protected.
    #[error("{path}: this file is read-only; choose another name, or allow to replace it (`chmod u+w`)")]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The folder of the path is missing.
    #[error("{path}: the folder {folder} does not exist; create it (`mkdir -p`) or correct the path")]
    NoFolder {
        /// The file.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
    },
    /// What should be a folder is a file.
    #[error("{path}: {folder} is not a folder; correct the path")]
    NotAFolder {
        /// The file.
        path: PathBuf,
        /// What should be its folder.
        folder: PathBuf,
    },
    /// The user may not make files in the folder.
    #[error(
        "{path}: no permission to write in its folder; choose another one or change its mode (`ls -ld` shows it)"
    )]
    PermissionDenied {
        /// The file.
        path: PathBuf,
    },
    /// The disk or the user's share of it is full.
    #[error("{path}: the disk is full; free some space or choose another disk")]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// The folder that is to be made is there, with something in it.
    #[error("{path}: there is a folder of this name that is not empty; remove it or choose another name")]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// The extension names no format that is written here.
    #[error(
        "{path}: the extension names no format that is written here; give a path that ends in .npy or .parquet"
    )]
    Extension {
        /// The file.
        path: PathBuf,
    },
    /// There is not a value for each point.
    #[error("{path}: {written} values were written for {rows} points; write one for each")]
    Rows {
        /// The file.
        path: PathBuf,
        /// The points.
        rows: u64,
        /// The values.
        written: u64,
    },
    /// This program cannot write Parquet.
    #[error(
        "{path}: this program was built without Parquet; build it with the feature `parquet`, or write .npy"
    )]
    NoParquet {
        /// The file.
        path: PathBuf,
    },
    /// Any other failure of the operating system.
    #[error("{path}: cannot write it: {problem}; check the disk or choose another folder")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        problem: io::Error,
    },
}

impl OutputError {
    pub(crate) fn new(path: &Path, problem: io::Error) -> Self {
        use io::ErrorKind;

        let path = path.to_owned();
        match problem.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::PermissionDenied { path },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                Self::DiskFull { path }
            }
            ErrorKind::IsADirectory => Self::Folder { path },
            _ => Self::Io { path, problem },
        }
    }
}

/// An empty path would be invisible in a message.
fn show(path: &Path) -> String {
    if path.as_os_str().is_empty() { "(empty path)".to_owned() } else { path.display().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let path = Path::new("model.json");
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::FileTooLarge] {
            let error = OutputError::new(path, kind.into());
            assert!(matches!(&error, OutputError::DiskFull { path } if path.as_os_str() == "model.json"));
        }
        let error = OutputError::new(path, io::ErrorKind::TimedOut.into());
        assert!(matches!(error, OutputError::Io { .. }));
    }
}
