//! [`PartFiles`]: output as a folder of part files that appears whole or not at all.
//!
//! | file | content |
//! |---|---|
//! | `part-00000`, `part-00001`, ... (more digits if there are more than 100 000) | the output of each partition, in the [`Format`] that was asked for |
//! | `NAME-00000`, ... | the lines of the [side output](crate::Job::SIDE_OUTPUTS) of that name; files without lines are left out |
//! | `_MANIFEST.json` | the job, the format, and of each file its name, records, bytes and xxh3 in hexadecimal |
//! | `_SUCCESS` | nothing; for tools that look for it |
//!
//! Attempts write into a hidden folder beside the target, each to files of its own whose names begin with `_attempt`; see
//! [`SharedStaging`](super::SharedStaging) for those of other nodes. When the last part has committed and the manifest is
//! written, that folder is renamed to the target: one step, after which everything is there.

use super::{Format, Report};
use crate::{Counters, Error};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

pub(super) const MANIFEST: &str = "_MANIFEST.json";

/// A folder of files to write a job's output to: text, unless [another format](Self::with_format) is asked for.
///
/// ```
/// use mapreduce_core::PartFiles;
///
/// let counts = PartFiles::new("counts");
/// let counts_again = PartFiles::new("counts").overwrite(true);
/// assert!(!counts.overwrites() && counts_again.overwrites());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartFiles {
    path: PathBuf,
    overwrite: bool,
    format: Format,
    shared: bool,
}

impl PartFiles {
    /// Writes to the folder `path`, which must not be there yet, in a folder that is.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), overwrite: false, format: Format::Text, shared: false }
    }

    /// Whether to replace a folder that an earlier job has written. It stays until the new output is complete and only
    /// has to be renamed; between the two renames of the exchange there is neither.
    /// A folder that no job has written is never replaced.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Writes files of that format.
    #[must_use]
    pub fn with_format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Whether the path of the folder is the same folder for every peer: it lies on a file server that all have mounted in
    /// the same place, or the peers run on the driver's machine. By default that is not assumed.
    ///
    /// Peers of a pool then write the files themselves, instead of sending what is in them to the driver. A peer that does
    /// not find the driver's marker in the folder, or cannot write there, sends it all the same. The content of the files
    /// does not depend on it. On threads of this process it makes no difference.
    #[must_use]
    pub fn on_shared_storage(mut self, shared: bool) -> Self {
        self.shared = shared;
        self
    }

    /// The format of the files.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether an earlier output is replaced.
    pub fn overwrites(&self) -> bool {
        self.overwrite
    }

    /// Whether peers are to write the files themselves.
    pub fn is_on_shared_storage(&self) -> bool {
        self.shared
    }

    /// Whether the folder may be written. A job asks before it starts; this is for a program that has much to do before.
    ///
    /// # Errors
    /// When the folder is there and may not be replaced, or it cannot be seen whether it is.
    pub fn check(&self) -> Result<(), Error> {
        let path = self.path.clone();
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(Error::Output { path, source }),
            Ok(_) if !self.overwrite => Err(Error::OutputExists { path }),
            Ok(_) if path.join(MANIFEST).is_file() => Ok(()),
            Ok(_) => Err(Error::OutputForeign { path }),
        }
    }
}

/// What was written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Written {
    /// The part files, in order.
    pub parts: Vec<Part>,
    /// The files of each [side output](crate::Job::SIDE_OUTPUTS), in order: none where there were no lines.
    pub sides: BTreeMap<String, Vec<Part>>,
    /// What mappers and reducers have counted.
    pub counters: Counters,
    /// How the run went.
    pub report: Report,
}

/// One part file, or file of a side output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Part {
    /// Its name in the folder.
    pub name: String,
    /// The pairs in it, or the lines.
    pub records: u64,
    /// Its length.
    pub bytes: u64,
    /// xxh3 of its content. In the manifest 16 hexadecimal digits: many readers of JSON round numbers so large.
    #[serde(with = "hex")]
    pub xxh3: u64,
}

mod hex {
    //! A number as 16 hexadecimal digits.

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{number:016x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        u64::from_str_radix(&String::deserialize(deserializer)?, 16).map_err(D::Error::custom)
    }
}
