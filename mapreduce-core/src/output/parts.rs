//! [`PartFiles`]: output as a folder of part files that appears whole or not at all.
//!
//! | file | content |
//! |---|---|
//! | `part-00000`, `part-00001`, ... (more digits if there are more than 100 000) | the output of each partition, in the [`Format`] that was asked for |
//! | `_MANIFEST.json` | the job, the format, and of each part its name, records, bytes and xxh3 in hexadecimal |
//! | `_SUCCESS` | nothing; for tools that look for it |
//!
//! Attempts write into a hidden folder beside the target. When the last part has committed and the manifest is
//! written, that folder is renamed to the target: one step, after which everything is there.

use super::{Format, PartWriter, Report, WriteError};
use crate::{
    Counters, Datum, Error, Job, OutputKeyOf, OutputValueOf, Result,
    exec::{PairWriter, Run, set_up},
};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

const MANIFEST: &str = "_MANIFEST.json";
const SUCCESS: &str = "_SUCCESS";
const PART: &str = "part-";
/// The most of the target's name that the name of a hidden folder repeats: a name has a limit, and more is added to it.
const NAME_SHOWN: usize = 32;

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
}

impl PartFiles {
    /// Writes to the folder `path`, which must not be there yet, in a folder that is.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), overwrite: false, format: Format::Text }
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

    /// Whether the folder may be written. A job asks before it starts; this is for a program that has much to do before.
    ///
    /// # Errors
    /// When the folder is there and may not be replaced, or it cannot be seen whether it is.
    pub fn check(&self) -> Result<(), Error> {
        refuse_existing(self)
    }
}

/// What was written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Written {
    /// The part files, in order.
    pub parts: Vec<Part>,
    /// What mappers and reducers have counted.
    pub counters: Counters,
    /// How the run went.
    pub report: Report,
}

/// One part file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Part {
    /// Its name in the folder.
    pub name: String,
    /// The pairs in it.
    pub records: u64,
    /// Its length.
    pub bytes: u64,
    /// xxh3 of its content. In the manifest 16 hexadecimal digits: many readers of JSON round numbers so large.
    #[serde(with = "hex")]
    pub xxh3: u64,
}

/// The version of the manifest's form.
const MANIFEST_FORMAT: u32 = 1;

#[derive(Serialize)]
struct Manifest<'a> {
    format: u32,
    job: &'a str,
    job_version: u32,
    parts_format: Format,
    records: u64,
    bytes: u64,
    parts: &'a [Part],
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

/// An output folder in the making, which the part files of one job are written to. Dropped before it is committed, it
/// vanishes.
#[derive(Debug)]
pub struct Staging {
    target: PartFiles,
    folder: TempDir,
}

/// A part file in a folder in the making.
#[derive(Clone, Debug)]
pub struct StagedPart {
    pub(crate) path: PathBuf,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) checksum: u64,
}

impl Staging {
    /// Checks that the output can be written, and makes a private folder beside it.
    pub(crate) fn create<J: Job>(target: &PartFiles) -> Result<Self, Error> {
        let path = target.path();
        target.format.check::<J>()?;
        refuse_existing(target)?;
        let folder = staging_folder(path)?;
        Ok(Self { target: target.clone(), folder })
    }

    /// What an attempt of a job writes its partition with. `attempt` is unique in the job.
    pub(crate) fn open<J: Job>(&self, attempt: &str) -> Result<PartWriter> {
        let path = self.folder.path().join(format!("_attempt {attempt}"));
        PartWriter::create::<OutputKeyOf<J>, OutputValueOf<J>>(path, self.target.format)
    }

    /// Writes the output of a partition as a part file, for an engine whose reduce attempts did not. To be called once for each
    /// partition, from any thread.
    ///
    /// # Errors
    /// When the file cannot be written, or the pairs do not decode or have no place in the format.
    pub fn write<J: Job>(&self, partition: u32, run: &Run) -> Result<StagedPart, Error> {
        let write = || -> Result<StagedPart> {
            let mut part = self.open::<J>(&format!("partition {partition}"))?;
            let mut reader = run.reader();
            while let Some((key, value)) = reader.next_pair()? {
                let key = <OutputKeyOf<J> as Datum>::decode(key)?;
                let value = <OutputValueOf<J> as Datum>::decode(value)?;
                PairWriter::<OutputKeyOf<J>, OutputValueOf<J>>::write(&mut part, &key, &value)?;
            }
            part.finish()
        };
        // Decoding may run code of the job's: a type's own `Deserialize`.
        set_up::<J, _>("output", || match write() {
            Ok(part) => Ok(Ok(part)),
            Err(error) => error.downcast().map(|error| Err(WriteError::into(*error))),
        })?
    }

    /// Turns the committed attempts' files, in the order of the partitions, into the output.
    pub(crate) fn commit(
        self,
        job: &str,
        job_version: u32,
        files: Vec<StagedPart>,
    ) -> Result<Vec<Part>, Error> {
        let folder = self.folder.path();
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| Error::Output { path, source }
        };
        let mut parts = Vec::with_capacity(files.len());
        let width = index_width(files.len());
        for (i, StagedPart { path: from, records, bytes, checksum }) in files.into_iter().enumerate() {
            let name = format!("{PART}{i:0width$}");
            let to = folder.join(&name);
            fs::rename(&from, &to).map_err(failed(&to))?;
            parts.push(Part { name, records, bytes, xxh3: checksum });
        }
        // What attempts have left that did not commit.
        for entry in fs::read_dir(folder).map_err(failed(folder))? {
            let entry = entry.map_err(failed(folder))?;
            if !entry.file_name().as_encoded_bytes().starts_with(PART.as_bytes()) {
                let path = entry.path();
                fs::remove_file(&path).map_err(failed(&path))?;
            }
        }
        let manifest = Manifest {
            format: MANIFEST_FORMAT,
            job,
            job_version,
            parts_format: self.target.format,
            records: parts.iter().map(|part| part.records).sum(),
            bytes: parts.iter().map(|part| part.bytes).sum(),
            parts: &parts,
        };
        let path = folder.join(MANIFEST);
        let json = serde_json::to_vec_pretty(&manifest).map_err(|error| failed(&path)(error.into()))?;
        fs::write(&path, json).map_err(failed(&path))?;
        let path = folder.join(SUCCESS);
        fs::write(&path, []).map_err(failed(&path))?;

        // A run beside this one may have been faster.
        refuse_existing(&self.target)?;
        let target = self.target.path();
        // Without leave to overwrite, an output that appears at this moment makes the renaming fail.
        let replaced = match self.target.overwrites() && target.exists() {
            true => {
                let aside = staging_folder(target)?;
                fs::rename(target, aside.path()).map_err(failed(target))?;
                Some(aside)
            }
            false => None,
        };
        if let Err(source) = fs::rename(folder, target) {
            if let Some(aside) = replaced
                && fs::rename(aside.path(), target).is_err()
                && !target.exists()
            {
                // Better under another name than gone.
                let _ = aside.keep();
            }
            return Err(failed(target)(source));
        }
        // Renamed: there is nothing left to remove under the old name.
        let _ = self.folder.keep();
        Ok(parts)
    }
}

/// The digits of a part's number: as many for each, so that the parts in the order of their names are in order.
fn index_width(parts: usize) -> usize {
    parts.saturating_sub(1).to_string().len().max(5)
}

fn refuse_existing(target: &PartFiles) -> Result<(), Error> {
    let path = target.path();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::Output { path: path.to_path_buf(), source }),
        Ok(_) if !target.overwrites() => Err(Error::OutputExists { path: path.to_path_buf() }),
        Ok(_) if path.join(MANIFEST).is_file() => Ok(()),
        Ok(_) => Err(Error::OutputForeign { path: path.to_path_buf() }),
    }
}

/// A hidden folder beside `target`, on the same file system.
fn staging_folder(target: &Path) -> Result<TempDir, Error> {
    let failed = |source| Error::Output { path: target.to_path_buf(), source };
    let parent = match target.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => {
            return Err(failed(io::Error::other(
                "names no folder that could be made; give the path of a new folder",
            )));
        }
    };
    if !parent.is_dir() {
        let message = format!("the folder {} does not exist; create it first", parent.display());
        return Err(failed(io::Error::new(io::ErrorKind::NotFound, message)));
    }
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let shown: String = name.chars().take(NAME_SHOWN).collect();
    let prefix = format!(".{shown}.");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix);
    // The folder becomes the output: it gets the permissions of any other new folder.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    builder.tempdir_in(parent).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_are_numbered_with_as_many_digits() {
        let widths = [0, 1, 100_000, 100_001, 1_000_001].map(index_width);
        assert_eq!(widths, [5, 5, 5, 6, 7]);
    }
}
