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
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    /// Contents of any length around that of a block, half of them compressible.
    fn content() -> impl Strategy<Value = Vec<u8>> {
        let len = prop_oneof![0..300usize, BLOCK_BYTES - 2..BLOCK_BYTES + 3, 0..3 * BLOCK_BYTES];
        (len, any::<u64>(), any::<bool>()).prop_map(|(len, seed, plain)| {
            let noise = (0..len as u64).map(|i| ((i + 1).wrapping_mul(seed | 1) >> 40) as u8);
            noise.map(|byte| if plain { byte & 1 } else { byte }).collect()
        })
    }

    /// Where a run of that content lies.
    fn write(memory: &Memory, content: &[u8]) -> (Arc<SpillFile>, u64, u64) {
        let mut writer = SpillWriter::create(memory).unwrap();
        let begin = writer.offset();
        writer.write(content).unwrap();
        writer.end_run().unwrap();
        let end = writer.offset();
        (writer.finish().unwrap(), begin, end)
    }

    fn read(file: &Arc<SpillFile>, begin: u64, end: u64) -> Result<Vec<u8>, SpillError> {
        let mut blocks = SpillBlocks::new(file.clone(), begin, end);
        let (mut all, mut block) = (Vec::new(), Vec::new());
        while blocks.next_block(&mut block)? {
            assert!((1..=BLOCK_BYTES).contains(&block.len()));
            all.extend_from_slice(&block);
        }
        Ok(all)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn runs_come_back_as_they_were_written(contents in vec(content(), 1..6)) {
            let memory = Memory::limited(0);
            let mut writer = SpillWriter::create(&memory).unwrap();
            let mut ends = vec![0];
            for content in &contents {
                let (one, other) = content.split_at(content.len() / 3);
                writer.write(one).unwrap();
                writer.write(other).unwrap();
                prop_assert_eq!(writer.end_run().unwrap(), crate::hash::checksum(content));
                ends.push(writer.offset());
            }
            let file = writer.finish().unwrap();
            for (content, range) in contents.iter().zip(ends.windows(2)) {
                prop_assert!(read(&file, range[0], range[1]).unwrap() == *content);
            }
            prop_assert_eq!(memory.spilled_bytes(), *ends.last().unwrap());
        }
    }

    #[test]
    fn what_compresses_takes_less_room_and_what_does_not_hardly_more() {
        let memory = Memory::limited(0);
        let (_file, begin, end) = write(&memory, &[b'x'; 10 * BLOCK_BYTES]);
        assert!(end - begin < BLOCK_BYTES as u64);
        let noise: Vec<u8> =
            (0..10 * BLOCK_BYTES as u64).map(|i| (crate::hash::partition(&i.to_le_bytes())) as u8).collect();
        let (_file, begin, end) = write(&memory, &noise);
        assert_eq!(end - begin, 10 * (BLOCK_BYTES + HEADER_BYTES) as u64);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let memory = Memory::limited(0);
        let (_first, ..) = write(&memory, b"in front");
        let (file, begin, end) = write(&memory, b"spilled spilled spilled spilled spilled");
        assert!(begin > 0);
        for at in begin..end {
            let mut byte = [0];
            read_at(&file.file, &mut byte, at).unwrap();
            for bit in 0..8 {
                write_at(&file.file, &[byte[0] ^ 1 << bit], at).unwrap();
                let error = read(&file, begin, end).unwrap_err();
                assert!(matches!(error, SpillError::Damaged { offset, .. } if offset == begin), "{error}");
            }
            write_at(&file.file, &byte, at).unwrap();
        }
        assert_eq!(read(&file, begin, end).unwrap(), b"spilled spilled spilled spilled spilled");
    }

    #[test]
    fn a_file_that_was_cut_or_a_block_that_moved_is_noticed() {
        let memory = Memory::limited(0);
        let (file, begin, end) = write(&memory, &[7; 100]);
        let mut block = vec![0; (end - begin) as usize];
        read_at(&file.file, &mut block, begin).unwrap();
        write_at(&file.file, &block, end).unwrap();
        assert!(matches!(read(&file, end, 2 * end), Err(SpillError::Damaged { .. })));
        file.file.set_len(end - 1).unwrap();
        let error = read(&file, begin, end).unwrap_err().to_string();
        let folder = std::env::temp_dir();
        assert!(
            error.starts_with(&format!("{}: a spill file is damaged at byte 0", folder.display())),
            "{error}"
        );
    }

    #[test]
    fn writers_share_a_file_and_its_space_goes_with_the_last_run() {
        let memory = Memory::limited(0);
        let abandoned = SpillWriter::create(&memory).unwrap();
        let (first, _, end) = write(&memory, b"first");
        assert_eq!(memory.files().open.lock().unwrap().len(), 1, "the abandoned writer still has its own");
        let mut unfinished = SpillWriter::create(&memory).unwrap();
        unfinished.write(&[1; 3 * WRITE_BYTES]).unwrap();
        drop((unfinished, abandoned));
        let (second, begin, _) = write(&memory, b"second");
        assert!(begin == 0 || (Arc::ptr_eq(&first, &second) && begin == end));
        let gone = [Arc::downgrade(&first), Arc::downgrade(&second)];
        drop((first, second));
        assert!(gone.iter().all(|file| file.upgrade().is_none()));
        assert_eq!(write(&memory, b"third").1, 0);
    }

    #[test]
    fn a_long_file_is_not_appended_to() {
        let memory = Memory::limited(0);
        let (file, ..) = write(&memory, b"first");
        memory.files().open.lock().unwrap().clear();
        memory.files().put_back(&file, FILE_BYTES);
        assert!(!Arc::ptr_eq(&file, &write(&memory, b"second").0));
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::limited(0).spilling_to(folder.path().join("gone"));
        let error = SpillWriter::create(&memory).err().unwrap().to_string();
        let gone = folder.path().join("gone").display().to_string();
        assert!(
            error.starts_with(&format!("{gone}: cannot spill: ")) && error.contains("spilling_to"),
            "{error}"
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_told() {
        let memory = Memory::limited(0);
        let full = File::options().read(true).write(true).open("/dev/full").unwrap();
        let full = Arc::new(SpillFile { file: full, folder: "the folder".into() });
        memory.files().put_back(&full, 0);
        let mut writer = SpillWriter::create(&memory).unwrap();
        writer.write(b"anything").unwrap();
        writer.end_run().unwrap();
        let error = writer.finish().unwrap_err();
        assert!(
            matches!(&error, SpillError::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull)
        );
        assert!(error.to_string().starts_with("the folder: cannot spill: No space left"), "{error}");
    }
}
