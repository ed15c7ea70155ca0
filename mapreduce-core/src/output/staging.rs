//! [`Staging`]: an output folder in the making. Attempts write into one hidden folder, each for itself; committing moves the
//! files of those that count into another one, where nobody else writes, and gives that the output's name.

use super::{
    AttemptFile, Format, Part, PartFiles, PartWriter, RefusedPart, SharedPart, SharedStaging, WriteError,
    attempt_file::{NewFile, Unpublished, attempt_name},
    parts::MANIFEST,
    shared_staging::Marker,
};
use crate::{
    Datum, Error, Job, OutputKeyOf, OutputValueOf, Result,
    exec::{Attempt, AttemptError, PairWriter, Returned, Run, guard, set_up},
    schedule::TaskReport,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, io, path::Path, thread};
use tempfile::TempDir;

const SUCCESS: &str = "_SUCCESS";
const PART: &str = "part-";
/// The most of the target's name that the name of a hidden folder repeats: a name has a limit, and more is added to it.
const NAME_SHOWN: usize = 32;
/// How often a folder is emptied that is filled at the same time.
const REMOVALS_MAX: u32 = 100;

/// An output folder in the making, which the part files of one job are written to. Dropped before it is committed, it
/// vanishes.
#[derive(Debug)]
pub struct Staging {
    target: PartFiles,
    /// On shared storage. Goes ahead of the folder, so that hardly a file is begun while that is being removed.
    marker: Option<Marker>,
    /// What attempts write to.
    folder: TempDir,
}

/// What an attempt has written to a folder in the making: a part file, and the files of side outputs. Dropped before they
/// are published, they are removed.
#[derive(Debug)]
pub struct StagedPart {
    pub(super) part: Staged,
    /// The numbers of side outputs, ascending, and the files with lines for them.
    pub(super) sides: Vec<(u32, Staged)>,
}

/// One of these files, and what removes it.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) file: StagedFile,
    pub(super) unpublished: Unpublished,
}

/// A file of a [`StagedPart`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedFile {
    /// Its name in the folder.
    pub name: String,
    /// The pairs in it, or the lines.
    pub records: u64,
    /// Its length.
    pub bytes: u64,
    /// xxh3 of its content.
    pub checksum: u64,
}

impl StagedPart {
    /// All of it, in numbers.
    pub fn report(&self) -> TaskReport {
        let StagedFile { records, bytes, checksum, .. } = self.part.file;
        let mut report = TaskReport { records, bytes, checksum };
        for side in self.sides.iter().map(|(_, side)| &side.file) {
            // Other nodes may say what they like.
            report.records = report.records.saturating_add(side.records);
            report.bytes = report.bytes.saturating_add(side.bytes);
            // Which file has what counts.
            report.checksum = report.checksum.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ side.checksum;
        }
        report
    }
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
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sides: &'a BTreeMap<String, Vec<Part>>,
}

impl Staging {
    /// Checks that the output can be written, and makes a private folder beside it.
    pub(crate) fn create<J: Job>(target: &PartFiles) -> Result<Self, Error> {
        let path = target.path();
        target.format().check::<J>()?;
        target.check()?;
        let folder = hidden_folder(path)?;
        let marker = match target.is_on_shared_storage() {
            true => Some(Marker::put(folder.path(), target.format()).map_err(failed(path))?),
            false => None,
        };
        Ok(Self { target: target.clone(), marker, folder })
    }

    /// What another node needs to write to the folder itself, if the output is
    /// [on shared storage](PartFiles::on_shared_storage).
    pub fn shared(&self) -> Option<&SharedStaging> {
        self.marker.as_ref().map(Marker::shared)
    }

    /// What an attempt of a job writes its partition with. `attempt` is unique in the job.
    pub(crate) fn open<J: Job>(&self, attempt: &str) -> Result<PartWriter> {
        PartWriter::new::<OutputKeyOf<J>, OutputValueOf<J>>(self.new_file(attempt)?)
    }

    /// Makes the file for a reduce attempt that runs at the driver. `attempt` is unique in the job, and says nothing but
    /// that: no separator of paths is in it.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create_file(&self, attempt: &str) -> Result<AttemptFile, AttemptError> {
        guard(|| Ok(self.new_file(attempt)?), String::new, || None)
    }

    fn new_file(&self, attempt: &str) -> Result<AttemptFile, WriteError> {
        let file = NewFile::create(self.folder.path(), attempt_name(attempt))?;
        Ok(AttemptFile { file, format: self.target.format(), shared: None })
    }

    /// Takes what another node says it has written for an attempt. `attempt` is what the node has given
    /// [`SharedStaging::create_file`].
    ///
    /// # Errors
    /// When these are not the attempt's files, or they are not there with the lengths that they are said to have.
    pub fn accept<J: Job>(&self, attempt: &str, told: SharedPart) -> Result<StagedPart, RefusedPart> {
        told.verify(self.folder.path(), attempt, J::SIDE_OUTPUTS.len())
    }

    /// Writes the output of a partition as a part file, for an engine whose reduce attempts did not. To be called once for each
    /// partition, from any thread.
    ///
    /// # Errors
    /// When the file cannot be written, or the pairs do not decode or have no place in the format.
    pub fn write<J: Job>(&self, partition: u32, run: &Run) -> Result<StagedPart, Error> {
        // Decoding may run code of the job's: a type's own `Deserialize`.
        let name = format!("partition {partition}");
        set_up::<J, _>("output", || match self.write_pairs::<J>(&name, run, &Attempt::default()) {
            Ok(part) => Ok(Ok(part)),
            Err(error) => error.downcast().map(|error| Err(WriteError::into(*error))),
        })?
    }

    /// As [`write`](Self::write), as a part of a reduce attempt, which may be stopped and may fail. `name` is unique in the
    /// job, and no separator of paths is in it.
    ///
    /// # Errors
    /// As for [`write`](Self::write), and when the attempt is stopped.
    pub fn write_in<J: Job>(
        &self,
        name: &str,
        run: &Run,
        attempt: &Attempt,
    ) -> Result<StagedPart, AttemptError> {
        guard(|| self.write_pairs::<J>(name, run, attempt), String::new, || None)
    }

    fn write_pairs<J: Job>(&self, name: &str, run: &Run, attempt: &Attempt) -> Result<StagedPart> {
        let mut part = self.open::<J>(name)?;
        let mut reader = run.reader();
        while let Some((key, value)) = reader.next_pair()? {
            attempt.check()?;
            let key = match Returned::of(key, J::SIDE_OUTPUTS.len())? {
                Returned::Pair(key) => <OutputKeyOf<J> as Datum>::decode(key)?,
                Returned::Line(output) => {
                    part.append_side(output as u32, value)?;
                    continue;
                }
            };
            let value = <OutputValueOf<J> as Datum>::decode(value)?;
            PairWriter::<OutputKeyOf<J>, OutputValueOf<J>>::write(&mut part, &key, &value)?;
        }
        part.finish()
    }

    /// Turns the committed attempts' files, in the order of the partitions, into the output.
    pub(crate) fn commit<J: Job>(self, mut files: Vec<StagedPart>) -> Result<Output, Error> {
        let target = self.target.path();
        let made = hidden_folder(target)?;
        let folder = made.path();
        let sides_width = index_width(files.len());
        let mut sides: BTreeMap<String, Vec<Part>> =
            J::SIDE_OUTPUTS.iter().map(|output| (output.to_string(), Vec::new())).collect();
        if !sides.is_empty() {
            // The last partition has lines of the mappers, which come first, and no pairs.
            files.rotate_right(1);
        }
        for (output, file) in files.iter_mut().flat_map(|staged| staged.sides.drain(..)) {
            let output = J::SIDE_OUTPUTS[output as usize];
            let named = sides.entry(output.to_string()).or_default();
            let name = format!("{output}-{:0sides_width$}", named.len());
            named.push(file.publish(folder, name)?);
        }
        if !sides.is_empty() {
            files.remove(0);
        }
        let width = index_width(files.len());
        let parts =
            (0..).zip(files).map(|(i, staged)| staged.part.publish(folder, format!("{PART}{i:0width$}")));
        let parts = parts.collect::<Result<Vec<Part>, Error>>()?;
        let manifest = Manifest {
            format: MANIFEST_FORMAT,
            job: J::NAME,
            job_version: J::VERSION,
            parts_format: self.target.format(),
            records: parts.iter().map(|part| part.records).sum(),
            bytes: parts.iter().map(|part| part.bytes).sum(),
            parts: &parts,
            sides: &sides,
        };
        let path = folder.join(MANIFEST);
        let json = serde_json::to_vec_pretty(&manifest).map_err(|error| failed(&path)(error.into()))?;
        fs::write(&path, json).map_err(failed(&path))?;
        let path = folder.join(SUCCESS);
        fs::write(&path, []).map_err(failed(&path))?;

        // A run beside this one may have been faster.
        self.target.check()?;
        // Without leave to overwrite, an output that appears at this moment makes the renaming fail.
        let replaced = match self.target.overwrites() && target.exists() {
            true => {
                let aside = hidden_folder(target)?;
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
        let _ = made.keep();
        Ok((parts, sides))
    }
}

impl Drop for Staging {
    /// A node that has looked for the marker just before it goes may begin one more file, even while the folder is being
    /// emptied. Under another name no node finds it any more.
    fn drop(&mut self) {
        self.marker = None;
        let aside = hidden_folder(self.target.path());
        let folder = match &aside {
            Ok(aside) if fs::rename(self.folder.path(), aside.path()).is_ok() => aside.path(),
            _ => self.folder.path(),
        };
        for _ in 0..REMOVALS_MAX {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => thread::yield_now(),
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return tracing::warn!(folder = %folder.display(), %error, "cannot remove the folder of attempts");
                }
                _ => return,
            }
        }
        tracing::warn!(folder = %folder.display(), "the folder of attempts is filled as it is removed, and stays");
    }
}

/// The files of an output: its parts, and those of each side output.
type Output = (Vec<Part>, BTreeMap<String, Vec<Part>>);

impl Staged {
    /// Gives the file its name in the folder.
    fn publish(self, folder: &Path, name: String) -> Result<Part, Error> {
        let to = folder.join(&name);
        fs::rename(self.unpublished.path(), &to).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => failed(self.unpublished.path())(error),
            _ => failed(&to)(error),
        })?;
        self.unpublished.keep();
        let StagedFile { records, bytes, checksum: xxh3, .. } = self.file;
        Ok(Part { name, records, bytes, xxh3 })
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Output { path, source }
}

/// The digits of a part's number: as many for each, so that the parts in the order of their names are in order.
fn index_width(parts: usize) -> usize {
    parts.saturating_sub(1).to_string().len().max(5)
}

/// A hidden folder beside `target`, on the same file system.
fn hidden_folder(target: &Path) -> Result<TempDir, Error> {
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
