//! [`StoredRows`]: where the rows of a matrix lie in a file, so that others can read them there.

use std::{
    fs::{self, File},
    io,
    path::{self, Path, PathBuf},
    time::SystemTime,
};

/// Rows in a file: little-endian values row by row, without gaps, from an offset to the end of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRows {
    path: PathBuf,
    offset: u64,
    /// Length and time of the last change, when the rows were read.
    version: (u64, Option<SystemTime>),
}

impl StoredRows {
    /// Rows that are about to be read from byte `offset` of an open file on.
    pub(super) fn new(path: &Path, file: &File, offset: u64) -> io::Result<Self> {
        // Whoever reads the file may be in another folder, and so may we by then.
        Ok(Self { path: path::absolute(path)?, offset, version: version(&file.metadata()?) })
    }

    /// The file, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The byte that the first row begins at.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Makes sure that the file still is what was read: others are going to read it.
    ///
    /// # Errors
    /// [`ShareError::Changed`].
    pub fn check(&self) -> Result<(), ShareError> {
        match fs::metadata(&self.path) {
            Ok(metadata) if self.is(&metadata) => Ok(()),
            _ => Err(ShareError::Changed { path: self.path.clone() }),
        }
    }

    /// Whether these are the length and the time of the file as it was.
    pub(super) fn is(&self, metadata: &fs::Metadata) -> bool {
        version(metadata) == self.version
    }
}

fn version(metadata: &fs::Metadata) -> (u64, Option<SystemTime>) {
    // A system without times has the lengths.
    (metadata.len(), metadata.modified().ok())
}

/// Why peers cannot read the points themselves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// The points are not those of a file that has them as they are computed with.
    #[error(
        "peers can read points themselves from an .npy file only (f32 or f64, little-endian, C order), and these were not loaded from one; \
         convert them with `numpy.save(path, a)`, or leave `shared` away and they are sent"
    )]
    NotStored,
    /// The points have weights, which are not in their file.
    #[error(
        "peers cannot read points themselves that have weights, which are not in the file; leave `shared` away and they are sent"
    )]
    Weighted,
    /// The file is not what was loaded.
    #[error(
        "{}: was changed or removed after it was loaded; load it again, or leave `shared` away and the points are sent", path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
    },
}
