//! [`TextPart`]: one part file of text.

use super::StagedPart;
use crate::{Datum, Error, Result, exec::PairWriter};
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
};
use xxhash_rust::xxh3::Xxh3;

/// Writes the output as lines of text: key, tab, value.
pub(crate) struct TextPart {
    path: PathBuf,
    file: BufWriter<File>,
    line: Vec<u8>,
    checksum: Xxh3,
    records: u64,
    bytes: u64,
}

/// Lines gathered between two writes.
const WRITE_BYTES: usize = 256 << 10;

impl TextPart {
    /// Creates the file.
    pub(crate) fn create(path: PathBuf) -> Result<Self> {
        let file = File::create(&path).map_err(|source| WriteError { path: path.clone(), source })?;
        let file = BufWriter::with_capacity(WRITE_BYTES, file);
        Ok(Self { path, file, line: Vec::new(), checksum: Xxh3::new(), records: 0, bytes: 0 })
    }

    /// Writes what is still buffered.
    pub(crate) fn finish(self) -> Result<StagedPart> {
        let Self { path, mut file, checksum, records, bytes, .. } = self;
        match file.flush() {
            Ok(()) => Ok(StagedPart { path, records, bytes, checksum: checksum.digest() }),
            Err(source) => Err(WriteError { path, source }.into()),
        }
    }
}

impl<K: ?Sized + Datum, V: ?Sized + Datum> PairWriter<K, V> for TextPart {
    fn write(&mut self, key: &K, value: &V) -> Result {
        self.line.clear();
        key.write_text(&mut self.line)?;
        if !V::is_unit() {
            self.line.push(b'\t');
            value.write_text(&mut self.line)?;
        }
        self.line.push(b'\n');
        self.checksum.update(&self.line);
        self.records += 1;
        self.bytes += self.line.len() as u64;
        self.file
            .write_all(&self.line)
            .map_err(|source| WriteError { path: self.path.clone(), source }.into())
    }
}

/// A part file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub(crate) struct WriteError {
    path: PathBuf,
    source: std::io::Error,
}

impl From<WriteError> for Error {
    fn from(WriteError { path, source }: WriteError) -> Self {
        Self::Output { path, source }
    }
}
