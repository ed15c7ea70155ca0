//! [`PartFile`]: the bytes of one part file on their way to disk.

use super::{
    attempt_file::NewFile,
    staging::{Staged, StagedFile},
};
use crate::{Error, error::way_out};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};
use xxhash_rust::xxh3::Xxh3;

/// A part file that grows by whole records. What is written is counted and hashed. Unless it is finished, it is removed.
pub(super) struct PartFile {
    file: NewFile,
    /// What has not been written yet.
    buffer: Vec<u8>,
    checksum: Box<Xxh3>,
    records: u64,
    bytes: u64,
}

/// Bytes gathered between two writes.
const WRITE_BYTES: usize = 256 << 10;

impl PartFile {
    /// Begins to write a file, which is empty.
    pub(super) fn new(file: NewFile) -> Self {
        Self { file, buffer: Vec::new(), checksum: Box::new(Xxh3::new()), records: 0, bytes: 0 }
    }

    /// The file itself.
    pub(super) fn file(&self) -> &NewFile {
        &self.file
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

    /// Writes what is in the buffer.
    pub(super) fn flush(&mut self) -> Result<(), WriteError> {
        self.checksum.update(&self.buffer);
        self.bytes += self.buffer.len() as u64;
        let written = self.file.file.write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(|source| WriteError::new(self.file.path(), source))
    }

    /// Closes the file. Everything has been [flushed](Self::flush).
    pub(super) fn finish(self) -> Staged {
        let Self { file, records, bytes, checksum, .. } = self;
        let (name, unpublished) = file.close();
        Staged { file: StagedFile { name, records, bytes, checksum: checksum.digest() }, unpublished }
    }
}

/// A part file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}{}", path.display(), way_out(source))]
pub(crate) struct WriteError {
    path: PathBuf,
    source: io::Error,
}

impl WriteError {
    pub(super) fn new(path: &Path, source: io::Error) -> Self {
        Self { path: path.to_path_buf(), source }
    }

    /// The file, and what the system said.
    pub(super) fn into_parts(self) -> (PathBuf, io::Error) {
        (self.path, self.source)
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
    use std::fs;

    fn create(folder: &Path) -> PartFile {
        PartFile::new(NewFile::create(folder, "part".into()).unwrap())
    }

    #[test]
    fn a_file_that_is_not_finished_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part");
        let mut file = create(folder.path());
        file.buffer().extend_from_slice(b"a\n");
        file.appended(1).unwrap();
        assert!(path.exists());
        drop(file);
        assert!(!path.exists());

        let mut file = create(folder.path());
        file.buffer().extend_from_slice(b"a\n");
        file.flush().unwrap();
        let staged = file.finish();
        assert_eq!((fs::read(&path).unwrap(), staged.file.bytes), (b"a\n".to_vec(), 2));
        drop(staged);
        assert!(!path.exists());
    }

    #[test]
    fn an_error_of_a_full_disk_names_the_way_out() {
        let error = WriteError::new(Path::new("counts/part"), io::ErrorKind::StorageFull.into());
        let expected = "; make room there, or choose a folder on another disk";
        assert!(error.to_string().ends_with(expected), "{error}");
        let error = Error::from(error).to_string();
        assert!(error.starts_with("counts/part") && error.ends_with(expected), "{error}");
    }
}
