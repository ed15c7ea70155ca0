//! Compression of bodies on their way, where that pays.
//!
//! A compressed body is cut into blocks of at most 64 KiB. Each is its length and its length on the way, two `u32`, and the
//! bytes: as an LZ4 block, or as they are if both lengths are the same. Credits count the bytes of the body, so a block is
//! never longer than what was granted.

use super::FetchError;
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};

/// Whether map and reduce output is compressed on its way to another node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// On paths that carry less than 250 MB/s at the moment, as far as the output can be made smaller; not within a
    /// machine.
    #[default]
    Auto,
    /// Everywhere, as far as the output can be made smaller.
    Always,
    /// Nowhere. The node can read what others have compressed all the same.
    Never,
}

/// On faster paths, compressing and decompressing takes longer than what it saves: LZ4 at a ratio of two gains as much as
/// it costs at about this rate.
const RATE_MAX: u64 = 250_000_000;

impl Compression {
    /// Whether a body is to be compressed on a path of so many bytes a second. `None` stands for no path at all: the other
    /// node is on this machine.
    pub(super) fn pays(self, rate: Option<u64>) -> bool {
        match self {
            Self::Auto => rate.is_some_and(|rate| rate < RATE_MAX),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// The longest block before compression.
pub(super) const BLOCK_BYTES: usize = 64 << 10;

/// Bytes in front of a block.
pub(super) const BLOCK_HEADER_BYTES: usize = 8;

/// Blocks that are sent as they are after one that compression did not make smaller.
const INCOMPRESSIBLE: u32 = 7;

/// Makes blocks.
#[derive(Default)]
pub(super) struct Packer {
    block: Vec<u8>,
    /// Blocks that are not worth an attempt.
    incompressible: u32,
}

impl Packer {
    /// A block of up to [`BLOCK_BYTES`].
    pub(super) fn pack(&mut self, bytes: &[u8]) -> &[u8] {
        let tried = self.incompressible == 0;
        self.block.clear();
        self.block
            .resize(BLOCK_HEADER_BYTES + if tried { get_maximum_output_size(bytes.len()) } else { 0 }, 0);
        let compressed = match tried {
            true => compress_into(bytes, &mut self.block[BLOCK_HEADER_BYTES..]).ok(),
            false => None,
        };
        let stored = match compressed.filter(|stored| *stored < bytes.len() - bytes.len() / 8) {
            Some(stored) => {
                self.block.truncate(BLOCK_HEADER_BYTES + stored);
                stored
            }
            None => {
                self.incompressible = self.incompressible.checked_sub(1).unwrap_or(INCOMPRESSIBLE);
                self.block.truncate(BLOCK_HEADER_BYTES);
                self.block.extend_from_slice(bytes);
                bytes.len()
            }
        };
        self.block[..4].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.block[4..8].copy_from_slice(&(stored as u32).to_le_bytes());
        &self.block
    }
}

/// Takes blocks apart.
#[derive(Default)]
pub(super) struct Unpacker {
    block: Vec<u8>,
    used: usize,
    /// The block as it came.
    pub(super) stored: Vec<u8>,
}

impl Unpacker {
    /// Up to `bytes_max` bytes of the block; none if all were taken.
    pub(super) fn take(&mut self, bytes_max: usize) -> &[u8] {
        let start = self.used;
        self.used = self.block.len().min(start + bytes_max);
        &self.block[start..self.used]
    }

    /// What the next block has, and how much of that comes: from what is in front of it. It may not have more than
    /// `bytes_max`.
    pub(super) fn lengths(
        header: [u8; BLOCK_HEADER_BYTES],
        bytes_max: u64,
    ) -> Result<(usize, usize), FetchError> {
        let [raw, stored] = [0, 4].map(|at| {
            let length = [header[at], header[at + 1], header[at + 2], header[at + 3]];
            u64::from(u32::from_le_bytes(length))
        });
        let raw_max = bytes_max.min(BLOCK_BYTES as u64);
        for (what, found, expected) in
            [("a block has bytes:", raw, raw_max), ("a block comes as bytes:", stored, raw)]
        {
            if found == 0 || found > expected {
                return Err(FetchError::Corrupt { what, found, expected });
            }
        }
        Ok((raw as usize, stored as usize))
    }

    /// Makes what has come the block of which [`take`](Self::take) gives parts.
    pub(super) fn unpack(&mut self, raw: usize) -> Result<(), FetchError> {
        self.used = 0;
        if self.stored.len() == raw {
            std::mem::swap(&mut self.block, &mut self.stored);
            return Ok(());
        }
        self.block.clear();
        self.block.resize(raw, 0);
        match decompress_into(&self.stored, &mut self.block) {
            Ok(found) if found == raw => Ok(()),
            other => Err(FetchError::Corrupt {
                what: "a block is made of bytes:",
                found: other.unwrap_or(0) as u64,
                expected: raw as u64,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xxhash_rust::xxh3::xxh3_64;

    #[test]
    fn slow_paths_are_worth_it_and_the_machine_itself_is_not() {
        let paths = [None, Some(1_000_000), Some(118_000_000), Some(1_000_000_000)];
        assert_eq!(paths.map(|rate| Compression::Auto.pays(rate)), [false, true, true, false]);
        assert_eq!(paths.map(|rate| Compression::Always.pays(rate)), [true; 4]);
        assert_eq!(paths.map(|rate| Compression::Never.pays(rate)), [false; 4]);
    }

    #[test]
    fn after_a_block_that_does_not_get_smaller_some_are_not_tried() {
        let noise: Vec<u8> = (0..125u64).flat_map(|i| xxh3_64(&i.to_le_bytes()).to_le_bytes()).collect();
        let (mut packer, zeros) = (Packer::default(), [0; 1_000]);
        assert!(packer.pack(&zeros).len() < 100);
        assert_eq!(packer.pack(&noise).len(), 1_008);
        for _ in 0..INCOMPRESSIBLE {
            assert_eq!(packer.pack(&zeros).len(), 1_008);
        }
        assert!(packer.pack(&zeros).len() < 100);
    }
}
