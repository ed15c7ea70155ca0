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

use crate::{
    Memory,
    positioned::{read_exact_at, write_all_at},
};
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};
use std::{
    cell::RefCell,
    fs::{self, File},
    io, mem,
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
    /// The folder for what does not fit is not there. Said when a job begins, whether or not it would spill.
    #[error(
        "{}: nothing can be spilled there: {source}; make the folder, or spill to another (`Memory::spilling_to`)",
        folder.display()
    )]
    NoFolder {
        /// The folder of the spill files.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
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
    /// What writers that have ended worked with.
    buffers: Mutex<Vec<Buffers>>,
}

/// Buffers that are kept for other writers.
const BUFFERS_KEPT: usize = 8;

impl SpillFiles {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, open: Mutex::default(), buffers: Mutex::default() }
    }

    /// Whether the folder is there.
    pub(crate) fn check(&self) -> Result<(), SpillError> {
        let found = match fs::metadata(&self.folder) {
            Ok(found) if found.is_dir() => return Ok(()),
            Ok(_) => io::ErrorKind::NotADirectory.into(),
            Err(error) => error,
        };
        Err(SpillError::NoFolder { folder: self.folder.clone(), source: found })
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

    fn take_buffers(&self) -> Buffers {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.pop().unwrap_or_default()
    }

    fn put_buffers_back(&self, used: Buffers) {
        let mut buffers = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.len() < BUFFERS_KEPT {
            buffers.push(used);
        }
    }
}

/// What a writer works with.
#[derive(Default)]
struct Buffers {
    /// What has not made up a block yet.
    block: Vec<u8>,
    /// Blocks as they are to be written, and behind them room for another. It is as long from the first block on, because
    /// filling it with zeros for each costs as much as copying.
    out: Vec<u8>,
}

impl Buffers {
    /// Room for the longest block behind so many bytes.
    fn room(&mut self, filled: usize) -> &mut [u8] {
        if self.out.is_empty() {
            self.out = vec![0; WRITE_BYTES + HEADER_BYTES + get_maximum_output_size(BLOCK_BYTES)];
        }
        &mut self.out[filled..]
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
    /// Where the blocks go that have not been written yet, and how long they are.
    at: u64,
    filled: usize,
    buffers: Buffers,
    checksum: Box<Xxh3>,
    /// Blocks that are not worth an attempt at compressing them.
    incompressible: u32,
}

impl SpillWriter {
    pub(super) fn create(memory: &Memory) -> Result<Self, SpillError> {
        let (file, end) = memory.files().take()?;
        let mut buffers = memory.files().take_buffers();
        buffers.block.clear();
        buffers.block.reserve_exact(BLOCK_BYTES);
        Ok(Self {
            memory: memory.clone(),
            file,
            end,
            at: end,
            filled: 0,
            buffers,
            checksum: Box::default(),
            incompressible: 0,
        })
    }

    /// Where in the file the next block goes.
    pub(super) fn offset(&self) -> u64 {
        self.at + self.filled as u64
    }

    #[inline]
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), SpillError> {
        loop {
            let block = &mut self.buffers.block;
            let room = BLOCK_BYTES - block.len();
            if bytes.len() < room {
                block.extend_from_slice(bytes);
                return Ok(());
            }
            let (fits, rest) = bytes.split_at(room);
            block.extend_from_slice(fits);
            self.end_block()?;
            bytes = rest;
        }
    }

    /// Ends a run, and gives the checksum of its bytes.
    pub(super) fn end_run(&mut self) -> Result<u64, SpillError> {
        if !self.buffers.block.is_empty() {
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
        let offset = self.offset();
        let block = mem::take(&mut self.buffers.block);
        self.checksum.update(&block);
        let (header, content) = self.buffers.room(self.filled).split_at_mut(HEADER_BYTES);
        let compressed = match self.incompressible {
            0 => compress_into(&block, content).ok(),
            _ => None,
        };
        let stored = match compressed.filter(|len| *len < block.len() - block.len() / 8) {
            Some(len) => len,
            None => {
                self.incompressible = self.incompressible.checked_sub(1).unwrap_or(INCOMPRESSIBLE);
                content[..block.len()].copy_from_slice(&block);
                block.len()
            }
        };
        header.copy_from_slice(&Header::of(block.len(), offset, &content[..stored]));
        self.filled += HEADER_BYTES + stored;
        self.buffers.block = block;
        self.buffers.block.clear();
        match self.filled >= WRITE_BYTES {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), SpillError> {
        write_all_at(&self.file.file, &self.buffers.out[..self.filled], self.at)
            .map_err(|source| SpillError::Write { folder: self.file.folder.clone(), source })?;
        self.at += self.filled as u64;
        self.filled = 0;
        Ok(())
    }
}

impl Drop for SpillWriter {
    fn drop(&mut self) {
        let files = self.memory.files();
        files.put_back(&self.file, self.end);
        files.put_buffers_back(mem::take(&mut self.buffers));
    }
}

/// The first bytes of a block.
#[derive(Clone, Copy, Debug)]
struct Header {
    raw: usize,
    stored: usize,
    lengths: u64,
    checksum: u64,
}

impl Header {
    /// That of a block with so many bytes, which lie in the file as `stored`.
    fn of(raw: usize, offset: u64, stored: &[u8]) -> [u8; HEADER_BYTES] {
        let lengths = (stored.len() as u64) << 32 | raw as u64;
        let checksum = Self::checksum(lengths, offset, stored);
        (u128::from(checksum) << 64 | u128::from(lengths)).to_le_bytes()
    }

    fn checksum(lengths: u64, offset: u64, stored: &[u8]) -> u64 {
        xxh3_64_with_seed(stored, lengths.wrapping_add(offset))
    }

    /// `None` if no block begins like that which ends `within` so many bytes.
    fn parse(bytes: &[u8; HEADER_BYTES], within: u64) -> Option<Self> {
        let both = u128::from_le_bytes(*bytes);
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
    /// That of the next block, if it came with the one before: a block then takes one read.
    next: Option<[u8; HEADER_BYTES]>,
}

thread_local! {
    /// A block as it was read, until it is decompressed. One for each thread rather than for each run that is read: a merge
    /// reads hundreds.
    static STORED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl SpillBlocks {
    /// The blocks in a range of bytes of a file.
    pub(super) fn new(file: Arc<SpillFile>, at: u64, end: u64) -> Self {
        Self { file, at, end, next: None }
    }

    /// Passes over so many blocks. All of a run but the last have [`BLOCK_BYTES`].
    pub(super) fn skip(&mut self, blocks: u64) -> Result<(), SpillError> {
        for _ in 0..blocks {
            if self.at == self.end {
                return Ok(());
            }
            let header = self.header()?;
            self.at += (HEADER_BYTES + header.stored) as u64;
            self.next = None;
        }
        Ok(())
    }

    fn header(&mut self) -> Result<Header, SpillError> {
        let header = match self.next {
            Some(header) => header,
            None => {
                let mut header = [0; HEADER_BYTES];
                self.read(&mut header, self.at)?;
                header
            }
        };
        Header::parse(&header, self.end - self.at).ok_or_else(|| self.damaged())
    }

    fn read(&self, bytes: &mut [u8], at: u64) -> Result<(), SpillError> {
        match read_exact_at(&self.file.file, bytes, at) {
            // What was written is not there: someone has cut the file.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.damaged()),
            Err(source) => Err(SpillError::Read { folder: self.file.folder.clone(), source }),
            Ok(()) => Ok(()),
        }
    }

    /// Replaces `content` by that of the next block. False behind the last one.
    pub(super) fn next_block(&mut self, content: &mut Vec<u8>) -> Result<bool, SpillError> {
        if self.at == self.end {
            content.clear();
            return Ok(false);
        }
        let read = STORED.with_borrow_mut(|stored| self.read_block(stored, content));
        if read.is_err() {
            content.clear();
        }
        read.map(|()| true)
    }

    fn read_block(&mut self, stored: &mut Vec<u8>, content: &mut Vec<u8>) -> Result<(), SpillError> {
        let header = self.header()?;
        let from = self.at + HEADER_BYTES as u64;
        let next = from + header.stored as u64;
        // Only the bytes that the vector did not have before are filled with zeros, here and below.
        let behind = if next < self.end { HEADER_BYTES } else { 0 };
        stored.resize(header.stored + behind, 0);
        self.read(stored, from)?;
        let (block, behind) = stored.split_at(header.stored);
        if Header::checksum(header.lengths, self.at, block) != header.checksum {
            return Err(self.damaged());
        }
        if header.stored == header.raw {
            content.clear();
            content.extend_from_slice(block);
        } else {
            content.resize(header.raw, 0);
            match decompress_into(block, content) {
                Ok(len) if len == header.raw => {}
                _ => return Err(self.damaged()),
            }
        }
        (self.at, self.next) = (next, behind.first_chunk().copied());
        Ok(())
    }

    /// The block that is to be read next is not what was written.
    pub(super) fn damaged(&self) -> SpillError {
        SpillError::Damaged { folder: self.file.folder.clone(), offset: self.at }
    }
}

#[cfg(test)]
mod tests;
