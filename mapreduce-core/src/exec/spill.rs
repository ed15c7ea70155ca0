//! Spill files: sorted runs that do not fit into memory.
//!
//! A spill file is a sequence of blocks; a run is a number of whole blocks one after the other. What is where, and a
//! checksum of each run, is kept in memory: the files are unnamed and end with the process.
//!
//! | bytes | content of a block |
//! |---|---|
//! | 4 | length of the content, at most 64 KiB, little-endian as all numbers here |
//! | 4 | length of the content as it lies here; the same if it is not compressed |
//! | 8 | xxh3 of the content as it lies here, seeded with the sum of the first eight bytes and of the block's offset |
//! | | the content, compressed as an LZ4 block unless that does not pay |

use crate::Memory;
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

/// The longest content of a block.
pub(crate) const BLOCK_BYTES: usize = 64 << 10;
const HEADER_BYTES: usize = 16;
/// Blocks gathered between two writes, in bytes.
const WRITE_BYTES: usize = 256 << 10;
/// A file that is longer is not appended to: its space is given back when the last run in it is dropped.
const FILE_BYTES: u64 = 256 << 20;
/// Blocks that are stored as they are after one that compression did not make smaller.
const INCOMPRESSIBLE: u32 = 7;

/// What does not fit into memory could not be written, or not be read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpillError {
    /// The folder is not there or full, or may not be written to.
    #[error(
        "{}: cannot spill: {source}; make room there, spill to another folder (`Memory::spilling_to`) or give more memory",
        folder.display()
    )]
    Write {
        /// The folder of the spill files.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was written cannot be read.
    #[error("{}: a spill file cannot be read: {source}", folder.display())]
    Read {
        /// The folder of the spill files.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was read is not what was written.
    #[error(
        "{}: a spill file is damaged at byte {offset}: its checksum is wrong; check the disk, or spill to another (`Memory::spilling_to`)",
        folder.display()
    )]
    Damaged {
        /// The folder of the spill files.
        folder: PathBuf,
        /// Where the damaged block begins.
        offset: u64,
    },
}

impl SpillError {
    /// Whether another attempt fails in the same way: what is damaged stays so, room may be found.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}

/// The spill files of a node. A file is appended to by one writer at a time, so that there are about as many files as
/// threads, and more only as they grow.
pub(crate) struct SpillFiles {
    folder: PathBuf,
    /// Files with room that nobody writes to, and where they end. When the last run of a file is dropped, so is the file.
    open: Mutex<Vec<(Weak<SpillFile>, u64)>>,
}

impl SpillFiles {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, open: Mutex::default() }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file to append to, and where it ends.
    fn take(&self) -> Result<(Arc<SpillFile>, u64), SpillError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((file, end)) = open.pop() {
            if let Some(file) = file.upgrade() {
                return Ok((file, end));
            }
        }
        drop(open);
        match tempfile::tempfile_in(&self.folder) {
            Ok(file) => Ok((Arc::new(SpillFile { file, folder: self.folder.clone() }), 0)),
            Err(source) => Err(SpillError::Write { folder: self.folder.clone(), source }),
        }
    }

    fn put_back(&self, file: &Arc<SpillFile>, end: u64) {
        if end < FILE_BYTES {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.push((Arc::downgrade(file), end));
        }
    }
}

/// An unnamed file.
#[derive(Debug)]
pub(super) struct SpillFile {
    file: File,
    folder: PathBuf,
}

/// Appends runs to a spill file. What was not [finished](Self::finish) is overwritten by the next writer.
pub(super) struct SpillWriter {
    memory: Memory,
    file: Arc<SpillFile>,
    /// Where the file ends for others.
    end: u64,
    /// Where the blocks in `out` go.
    at: u64,
    out: Vec<u8>,
    block: Vec<u8>,
    checksum: Box<Xxh3>,
    /// Blocks that are not worth an attempt at compressing them.
    incompressible: u32,
}

impl SpillWriter {
    pub(super) fn create(memory: &Memory) -> Result<Self, SpillError> {
        let (file, end) = memory.files().take()?;
        Ok(Self {
            memory: memory.clone(),
            file,
            end,
            at: end,
            out: Vec::with_capacity(WRITE_BYTES + HEADER_BYTES + get_maximum_output_size(BLOCK_BYTES)),
            block: Vec::with_capacity(BLOCK_BYTES),
            checksum: Box::default(),
            incompressible: 0,
        })
    }

    /// Where in the file the next block goes.
    pub(super) fn offset(&self) -> u64 {
        self.at + self.out.len() as u64
    }

    #[inline]
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), SpillError> {
        loop {
            let room = BLOCK_BYTES - self.block.len();
            if bytes.len() < room {
                self.block.extend_from_slice(bytes);
                return Ok(());
            }
            let (fits, rest) = bytes.split_at(room);
            self.block.extend_from_slice(fits);
            self.end_block()?;
            bytes = rest;
        }
    }

    /// Ends a run, and gives the checksum of its bytes.
    pub(super) fn end_run(&mut self) -> Result<u64, SpillError> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        let checksum = self.checksum.digest();
        self.checksum.reset();
        Ok(checksum)
    }

    /// Writes what is left. The runs are in the file that this gives.
    pub(super) fn finish(mut self) -> Result<Arc<SpillFile>, SpillError> {
        self.flush()?;
        self.memory.spilled(self.at - self.end);
        self.end = self.at;
        Ok(self.file.clone())
    }

    fn end_block(&mut self) -> Result<(), SpillError> {
        self.checksum.update(&self.block);
        let begin = self.out.len();
        let content = begin + HEADER_BYTES;
        let raw = self.block.len();
        self.out.resize(content + get_maximum_output_size(raw), 0);
        let compressed = match self.incompressible {
            0 => compress_into(&self.block, &mut self.out[content..]).ok(),
            _ => None,
        };
        let stored = match compressed.filter(|len| *len < raw - raw / 8) {
            Some(len) => len,
            None => {
                self.incompressible = self.incompressible.checked_sub(1).unwrap_or(INCOMPRESSIBLE);
                self.out[content..content + raw].copy_from_slice(&self.block);
                raw
            }
        };
        self.out.truncate(content + stored);
        let lengths = Header::lengths(raw, stored);
        let checksum = Header::checksum(lengths, self.at + begin as u64, &self.out[content..]);
        self.out[begin..begin + 8].copy_from_slice(&lengths.to_le_bytes());
        self.out[begin + 8..content].copy_from_slice(&checksum.to_le_bytes());
        self.block.clear();
        match self.out.len() >= WRITE_BYTES {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), SpillError> {
        write_at(&self.file.file, &self.out, self.at)
            .map_err(|source| SpillError::Write { folder: self.file.folder.clone(), source })?;
        self.at += self.out.len() as u64;
        self.out.clear();
        Ok(())
    }
}

impl Drop for SpillWriter {
    fn drop(&mut self) {
        self.memory.files().put_back(&self.file, self.end);
    }
}

/// The first bytes of a block.
struct Header {
    raw: usize,
    stored: usize,
    lengths: u64,
    checksum: u64,
}

impl Header {
    fn lengths(raw: usize, stored: usize) -> u64 {
        (stored as u64) << 32 | raw as u64
    }

    fn checksum(lengths: u64, offset: u64, stored: &[u8]) -> u64 {
        xxh3_64_with_seed(stored, lengths.wrapping_add(offset))
    }

    /// `None` if no block begins like that which ends `within` so many bytes.
    fn parse(bytes: [u8; HEADER_BYTES], within: u64) -> Option<Self> {
        let both = u128::from_le_bytes(bytes);
        let (lengths, checksum) = (both as u64, (both >> 64) as u64);
        let (raw, stored) = (lengths as u32 as usize, (lengths >> 32) as usize);
        let whole = (1..=BLOCK_BYTES).contains(&raw) && (1..=raw).contains(&stored);
        (whole && (HEADER_BYTES + stored) as u64 <= within).then_some(Self { raw, stored, lengths, checksum })
    }
}

/// Reads the blocks of a run.
#[derive(Debug)]
pub(super) struct SpillBlocks {
    file: Arc<SpillFile>,
    at: u64,
    end: u64,
}

impl SpillBlocks {
    /// The blocks in a range of bytes of a file.
    pub(super) fn new(file: Arc<SpillFile>, at: u64, end: u64) -> Self {
        Self { file, at, end }
    }

    /// Passes over so many blocks. All of a run but the last have [`BLOCK_BYTES`].
    pub(super) fn skip(&mut self, blocks: u64) -> Result<(), SpillError> {
        for _ in 0..blocks {
            if self.at == self.end {
                return Ok(());
            }
            let header = self.header()?;
            self.at += (HEADER_BYTES + header.stored) as u64;
        }
        Ok(())
    }

    fn header(&self) -> Result<Header, SpillError> {
        let mut header = [0; HEADER_BYTES];
        self.read(&mut header, self.at)?;
        Header::parse(header, self.end - self.at).ok_or_else(|| self.damaged())
    }

    fn read(&self, bytes: &mut [u8], at: u64) -> Result<(), SpillError> {
        match read_at(&self.file.file, bytes, at) {
            // What was written is not there: someone has cut the file.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.damaged()),
            Err(source) => Err(SpillError::Read { folder: self.file.folder.clone(), source }),
            Ok(()) => Ok(()),
        }
    }

    /// Replaces `content` by that of the next block. False behind the last one.
    pub(super) fn next_block(&mut self, content: &mut Vec<u8>) -> Result<bool, SpillError> {
        content.clear();
        if self.at == self.end {
            return Ok(false);
        }
        let offset = self.at;
        let read = |bytes: &mut [u8], at| self.read(bytes, at);
        let header = self.header()?;
        let from = offset + HEADER_BYTES as u64;
        let verify = |stored: &[u8]| match Header::checksum(header.lengths, offset, stored) == header.checksum
        {
            true => Ok(()),
            false => Err(self.damaged()),
        };
        content.resize(header.raw, 0);
        if header.stored == header.raw {
            read(content, from)?;
            verify(content)?;
        } else {
            let mut stored = vec![0; header.stored];
            read(&mut stored, from)?;
            verify(&stored)?;
            match decompress_into(&stored, content) {
                Ok(len) if len == header.raw => {}
                _ => return Err(self.damaged()),
            }
        }
        self.at = from + header.stored as u64;
        Ok(true)
    }

    /// The block that is to be read next is not what was written.
    pub(super) fn damaged(&self) -> SpillError {
        SpillError::Damaged { folder: self.file.folder.clone(), offset: self.at }
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => (bytes, at) = (&mut bytes[n..], at + n as u64),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(windows)]
fn write_at(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_write(file, bytes, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => (bytes, at) = (&bytes[n..], at + n as u64),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
