//! [`PartFile`]: the bytes of one part file on their way to disk.

use super::staging::StagedFile;
use crate::{Error, error::room_for};
use std::{fs::File, io::Write, path::PathBuf};
use xxhash_rust::xxh3::Xxh3;

/// A part file that grows by whole records. What is written is counted and hashed.
pub(super) struct PartFile {
    path: PathBuf,
    file: File,
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
        Ok(Self { path, file, buffer: Vec::new(), checksum: Box::new(Xxh3::new()), records: 0, bytes: 0 })
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
        let Self { path, records, bytes, checksum, .. } = self;
        Ok(StagedFile { path, records, bytes, checksum: checksum.digest() })
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        self.checksum.update(&self.buffer);
        self.bytes += self.buffer.len() as u64;
        let written = self.file.write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(|source| WriteError { path: self.path.clone(), source })
    }
}

/// A part file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}{}", path.display(), room_for(source))]
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
