//! [`SharedStaging`]: a folder in the making as another node sees it, and [`SharedPart`]: what that node says it has written
//! there.
//!
//! That the folder is the same one is what the user says. It is checked by a marker: the driver puts a file `_shared` into
//! the folder, of two lines: `mapreduce output in the making`, and a random number of 32 hexadecimal digits. Who is told
//! the number writes only where it finds it. So a driver can have no file written in a place where it cannot write itself.
//!
//! When the job ends, the marker is removed first. An attempt that ends looks for it again, and removes its files if it is
//! gone. Those that were made before vanish with the folder: what counts has been moved elsewhere.

use super::{
    AttemptFile, Format, StagedPart,
    attempt_file::{NewFile, Unpublished, attempt_name, side_name},
    staging::{Staged, StagedFile},
};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    fs::{self, File},
    hash::{BuildHasher, RandomState},
    io::{self, Read},
    path::{self, MAIN_SEPARATOR, Path, PathBuf},
};

const MARKER: &str = "_shared";
const MARKER_TITLE: &str = "mapreduce output in the making";

/// What a node has to know to write part files into a folder that a driver has in the making: see
/// [`Staging::shared`](super::Staging::shared).
///
/// Of what a node was sent nothing is believed: it writes to no folder but one in which it finds the driver's marker.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedStaging {
    /// An absolute path.
    folder: String,
    token: u128,
    format: Format,
}

/// Why a node cannot write into a folder that the driver has in the making. The attempt can return its output instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotShared {
    /// There is no telling which folder is meant, or which file.
    #[error("{name:?} is not the absolute path of a folder or not the name of an attempt")]
    Name {
        /// What it is called.
        name: String,
    },
    /// The marker is not there.
    #[error("{}: {source}; the folder of the output is not the driver's here", path.display())]
    NoMarker {
        /// Where it was looked for.
        path: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// There is a marker, but another one.
    #[error("{}: is not the driver's marker; the folder of the output is another one here", path.display())]
    Foreign {
        /// Where it is.
        path: PathBuf,
    },
    /// The folder is the driver's, but no file can be made there.
    #[error("{}: {source}; let this user write where the driver does", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl SharedStaging {
    /// Makes the file for an attempt of that name, which is unique in the job. Nothing is made unless the folder has the
    /// driver's marker.
    ///
    /// # Errors
    /// When the folder is not the driver's here, or this user cannot write to it. The driver then takes the output of the
    /// attempt as a run.
    pub fn create_file(&self, attempt: &str) -> Result<AttemptFile, NotShared> {
        if attempt.contains(['/', '\\', '\0', MAIN_SEPARATOR]) {
            return Err(NotShared::Name { name: attempt.to_string() });
        }
        self.check()?;
        let file = NewFile::create(Path::new(&self.folder), attempt_name(attempt)).map_err(|error| {
            let (path, source) = error.into_parts();
            NotShared::Create { path, source }
        })?;
        Ok(AttemptFile { file, format: self.format, shared: Some(self.clone()) })
    }

    /// Looks for the marker.
    pub(super) fn check(&self) -> Result<(), NotShared> {
        let folder = Path::new(&self.folder);
        if !folder.is_absolute() {
            return Err(NotShared::Name { name: self.folder.clone() });
        }
        let path = folder.join(MARKER);
        let expected = self.marker();
        let read = || {
            // Nothing that would block or never end.
            if !fs::symlink_metadata(&path)?.is_file() {
                return Err(io::Error::other("it is not a file"));
            }
            let mut found = Vec::new();
            File::open(&path)?.take(expected.len() as u64 + 1).read_to_end(&mut found)?;
            Ok(found)
        };
        match read() {
            Ok(found) if found == expected.as_bytes() => Ok(()),
            Ok(_) => Err(NotShared::Foreign { path }),
            Err(source) => Err(NotShared::NoMarker { path, source }),
        }
    }

    /// What is in the marker.
    fn marker(&self) -> String {
        format!("{MARKER_TITLE}\n{:032x}\n", self.token)
    }
}

/// The number is left out: who knows it can have nodes write there.
impl fmt::Debug for SharedStaging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, format, .. } = self;
        f.debug_struct("SharedStaging")
            .field("folder", folder)
            .field("format", format)
            .finish_non_exhaustive()
    }
}

/// The marker in a folder in the making, for as long as other nodes may begin files there.
#[derive(Debug)]
pub(super) struct Marker {
    path: PathBuf,
    shared: SharedStaging,
}

impl Marker {
    /// Puts one into a folder.
    pub(super) fn put(folder: &Path, format: Format) -> io::Result<Self> {
        let absolute = path::absolute(folder)?;
        let Some(name) = absolute.to_str() else {
            let message = "is not UTF-8, so that it cannot be named to other nodes; rename it";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        };
        let shared = SharedStaging { folder: name.to_string(), token: random(), format };
        let path = absolute.join(MARKER);
        fs::write(&path, shared.marker())?;
        Ok(Self { path, shared })
    }

    pub(super) fn shared(&self) -> &SharedStaging {
        &self.shared
    }
}

impl Drop for Marker {
    fn drop(&mut self) {
        // Otherwise it goes with the folder.
        let _ = fs::remove_file(&self.path);
    }
}

/// A number that nobody can guess: the keys of the standard library's hash maps come from the system's random numbers.
fn random() -> u128 {
    let half = |i: u8| u128::from(RandomState::new().hash_one(i));
    half(0) << 64 | half(1)
}

/// What a node says it has written for an attempt: a part file and files of side outputs. It is a claim until
/// [`Staging::accept`](super::Staging::accept) has looked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedPart {
    /// The part file.
    pub part: StagedFile,
    /// The numbers of side outputs, ascending, and the files with lines for them.
    pub sides: Vec<(u32, StagedFile)>,
}

impl From<StagedPart> for SharedPart {
    /// From here on the files are the driver's.
    fn from(StagedPart { part, sides }: StagedPart) -> Self {
        let hand_over = |Staged { file, unpublished }| {
            unpublished.keep();
            file
        };
        let sides = sides.into_iter().map(|(output, side)| (output, hand_over(side))).collect();
        Self { part: hand_over(part), sides }
    }
}

/// Why what a node says it has written for an attempt does not count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedPart {
    /// The file is not that of the attempt.
    #[error("says it has written {found:?}, which is not the attempt's file {expected:?}")]
    Name {
        /// The name that the file has to have.
        expected: String,
        /// The one that it is said to have.
        found: String,
    },
    /// The job has no side output of that number, or it was named before.
    #[error(
        "says it has written lines for side output {output}, which the job does not have or which was named before"
    )]
    Side {
        /// The number.
        output: u32,
    },
    /// The file is not there.
    #[error("says it has written {}, which cannot be found: {source}", path.display())]
    Missing {
        /// Where it would be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what it is said to be.
    #[error("says it has written {bytes} bytes to {}, which has {found}", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// The bytes it is said to have.
        bytes: u64,
        /// The bytes it has.
        found: u64,
    },
}

impl SharedPart {
    /// Looks whether these are the files of an attempt in a folder, for a job of so many side outputs.
    pub(super) fn verify(
        self,
        folder: &Path,
        attempt: &str,
        outputs: usize,
    ) -> Result<StagedPart, RefusedPart> {
        let name = attempt_name(attempt);
        let mut next = 0;
        for &(output, ref file) in &self.sides {
            if output < next || output as usize >= outputs {
                return Err(RefusedPart::Side { output });
            }
            next = output + 1;
            verify(file, folder, side_name(&name, output))?;
        }
        verify(&self.part, folder, name)?;
        let take = |file: StagedFile| {
            let unpublished = Unpublished::new(folder.join(&file.name));
            Staged { file, unpublished }
        };
        let sides = self.sides.into_iter().map(|(output, file)| (output, take(file))).collect();
        Ok(StagedPart { part: take(self.part), sides })
    }
}

fn verify(file: &StagedFile, folder: &Path, expected: String) -> Result<(), RefusedPart> {
    if file.name != expected {
        return Err(RefusedPart::Name { expected, found: file.name.clone() });
    }
    let path = folder.join(expected);
    // A link would be published as one.
    let found = match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(_) => return Err(RefusedPart::Missing { path, source: io::Error::other("it is not a file") }),
        Err(source) => return Err(RefusedPart::Missing { path, source }),
    };
    match found == file.bytes {
        true => Ok(()),
        false => Err(RefusedPart::Length { path, bytes: file.bytes, found }),
    }
}

#[cfg(test)]
mod tests;
