//! [`PartFile`]: the bytes of one part file on their way to disk.

use super::staging::StagedFile;
use crate::{Error, error::way_out};
use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
};
use xxhash_rust::xxh3::Xxh3;

/// A part file that grows by whole records. What is written is counted and hashed.
///
/// One that is dropped before it is finished is removed: what failed attempts have written would take room until the job
/// ends.
pub(super) struct PartFile {
    file: File,
    pending: Pending,
    /// What has not been written yet.
    buffer: Vec<u8>,
    checksum: Box<Xxh3>,
    records: u64,
    bytes: u64,
}

/// Bytes gathered between two writes.
const WRITE_BYTES: usize = 256 << 10;

impl PartFile {
    /// Creates the file.
    pub(super) fn create(path: PathBuf) -> Result<Self, WriteError> {
        let file = match File::create(&path) {
            Ok(file) => file,
            Err(source) => return Err(WriteError { path, source }),
        };
        let pending = Pending(Some(path));
        Ok(Self { file, pending, buffer: Vec::new(), checksum: Box::new(Xxh3::new()), records: 0, bytes: 0 })
    }

    /// Where the next bytes of the file are to be appended.
    #[inline]
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Notes that so many records have been appended, now or before.
    #[inline]
    pub(super) fn appended(&mut self, records: u64) -> Result<(), WriteError> {
        self.records += records;
        if self.buffer.len() < WRITE_BYTES { Ok(()) } else { self.flush() }
    }

    /// Writes what is still in the buffer.
    pub(super) fn finish(mut self) -> Result<StagedFile, WriteError> {
        self.flush()?;
        let Self { mut pending, records, bytes, checksum, .. } = self;
        let path = pending.0.take().unwrap_or_default();
        Ok(StagedFile { path, records, bytes, checksum: checksum.digest() })
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        self.checksum.update(&self.buffer);
        self.bytes += self.buffer.len() as u64;
        let written = self.file.write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(|source| WriteError { path: self.pending.0.clone().unwrap_or_default(), source })
    }
}

/// Where the file is, until it is finished.
struct Pending(Option<PathBuf>);

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // The folder goes with the job in any case.
            let _ = fs::remove_file(path);
        }
    }
}

/// A part file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}{}", path.display(), way_out(source))]
pub(crate) struct WriteError {
    path: PathBuf,
    source: std::io::Error,
}

#[cfg(feature = "parquet")]
impl WriteError {
    pub(super) fn new(path: &std::path::Path, source: std::io::Error) -> Self {
        Self { path: path.to_path_buf(), source }
    }

    /// What the system said.
    pub(super) fn into_source(self) -> std::io::Error {
        self.source
    }
}

impl From<WriteError> for Error {
    fn from(WriteError { path, source }: WriteError) -> Self {
        Self::Output { path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_finished_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part");
        let mut file = PartFile::create(path.clone()).unwrap();
        file.buffer().extend_from_slice(b"a\n");
        file.appended(1).unwrap();
        assert!(path.exists());
        drop(file);
        assert!(!path.exists());

        let mut file = PartFile::create(path.clone()).unwrap();
        file.buffer().extend_from_slice(b"a\n");
        let staged = file.finish().unwrap();
        assert_eq!((fs::read(&path).unwrap(), staged.bytes), (b"a\n".to_vec(), 2));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn an_error_of_a_full_disk_names_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part");
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let mut file = PartFile::create(path.clone()).unwrap();
        file.buffer().extend_from_slice(b"a\n");
        let error = file.finish().err().unwrap();
        let expected = "; make room there, or write to another folder";
        assert!(error.to_string().ends_with(expected), "{error}");
        let error = Error::from(error).to_string();
        assert!(error.starts_with(&path.display().to_string()) && error.ends_with(expected), "{error}");
    }
}
