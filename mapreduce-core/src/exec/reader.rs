//! [`RunReader`]: the pairs of a run, from memory or from a spill file.

use super::{
    lengths,
    run::{LENGTHS_BYTES_MAX, Pair, take_pair},
    spill::{SpillBlocks, SpillError},
};
use std::ops::Range;

/// Reads the pairs of a [`Run`](super::Run).
///
/// Not an iterator: what comes from a file is lent, until the next pair is asked for.
#[derive(Debug)]
pub struct RunReader<'a> {
    from: Source<'a>,
}

#[derive(Debug)]
enum Source<'a> {
    Memory { rest: &'a [u8], pair: Pair<'a> },
    File(Box<FileReader>),
}

impl<'a> RunReader<'a> {
    pub(super) fn of_memory(rest: &'a [u8]) -> Self {
        Self { from: Source::Memory { rest, pair: (&[], &[]) } }
    }

    pub(super) fn of_file(blocks: SpillBlocks) -> Self {
        Self { from: Source::File(Box::new(FileReader::new(blocks))) }
    }

    /// The next pair, encoded key and encoded value, or `None` behind the last.
    ///
    /// # Errors
    /// When a spill file cannot be read or is damaged.
    pub fn next_pair(&mut self) -> Result<Option<Pair<'_>>, SpillError> {
        Ok(self.advance()?.then(|| self.pair()))
    }

    /// Goes on to the next pair. False behind the last.
    #[inline]
    pub(super) fn advance(&mut self) -> Result<bool, SpillError> {
        match &mut self.from {
            Source::Memory { rest, pair } => match take_pair(rest) {
                Some(next) => {
                    *pair = next;
                    Ok(true)
                }
                None => Ok(false),
            },
            Source::File(reader) => reader.advance(),
        }
    }

    /// The pair that it has advanced to.
    #[inline]
    pub(super) fn pair(&self) -> Pair<'_> {
        match &self.from {
            Source::Memory { pair, .. } => *pair,
            Source::File(reader) => reader.pair(),
        }
    }

    #[inline]
    pub(super) fn key(&self) -> &[u8] {
        self.pair().0
    }

    /// The key for as long as the run is there, if it is in memory.
    #[inline]
    pub(super) fn lasting_key(&self) -> Option<&'a [u8]> {
        match &self.from {
            Source::Memory { pair, .. } => Some(pair.0),
            Source::File(_) => None,
        }
    }
}

/// Reads the pairs of a run in a spill file. Most lie within a block and are read where they are.
#[derive(Debug)]
struct FileReader {
    blocks: SpillBlocks,
    block: Vec<u8>,
    /// How much of the block was read.
    read: usize,
    /// A pair that spans blocks.
    spanning: Vec<u8>,
    spans: bool,
    /// Where in either of them key and value are.
    key: Range<usize>,
    value: Range<usize>,
}

/// A longer buffer for pairs that span blocks is not kept.
const SPANNING_KEPT: usize = 1 << 20;

impl FileReader {
    fn new(blocks: SpillBlocks) -> Self {
        let none = 0..0;
        Self {
            blocks,
            block: Vec::new(),
            read: 0,
            spanning: Vec::new(),
            spans: false,
            key: none.clone(),
            value: none,
        }
    }

    fn pair(&self) -> Pair<'_> {
        let bytes = if self.spans { &self.spanning } else { &self.block };
        (&bytes[self.key.clone()], &bytes[self.value.clone()])
    }

    fn advance(&mut self) -> Result<bool, SpillError> {
        if self.read == self.block.len() && !self.next_block()? {
            return Ok(false);
        }
        let rest = &self.block[self.read..];
        if let Some(shape) = Shape::of(rest)
            && shape.end <= rest.len()
        {
            self.spans = false;
            self.place(&shape, self.read);
            self.read += shape.end;
            return Ok(true);
        }
        self.spanning.clear();
        self.spanning.shrink_to(SPANNING_KEPT);
        self.spanning.extend_from_slice(rest);
        self.read = self.block.len();
        let shape = loop {
            match Shape::of(&self.spanning) {
                Some(shape) => break shape,
                // The lengths themselves span blocks.
                None => {
                    self.need_block()?;
                    let taken = self.block.len().min(LENGTHS_BYTES_MAX);
                    self.spanning.extend_from_slice(&self.block[..taken]);
                    self.read = taken;
                }
            }
        };
        match self.spanning.len().checked_sub(shape.end) {
            // More was taken than the pair has.
            Some(surplus) => self.read -= surplus,
            None => {
                self.spanning.reserve_exact(shape.end - self.spanning.len());
                while self.spanning.len() < shape.end {
                    if self.read == self.block.len() {
                        self.need_block()?;
                    }
                    let missing = shape.end - self.spanning.len();
                    let rest = &self.block[self.read..];
                    let taken = &rest[..missing.min(rest.len())];
                    self.spanning.extend_from_slice(taken);
                    self.read += taken.len();
                }
            }
        }
        self.spans = true;
        self.place(&shape, 0);
        Ok(true)
    }

    fn place(&mut self, shape: &Shape, base: usize) {
        let split = base + shape.lengths + shape.key;
        self.key = base + shape.lengths..split;
        self.value = split..base + shape.end;
    }

    /// The next block, which has the rest of a pair.
    fn need_block(&mut self) -> Result<(), SpillError> {
        match self.next_block()? {
            true => Ok(()),
            false => Err(self.blocks.damaged()),
        }
    }

    fn next_block(&mut self) -> Result<bool, SpillError> {
        self.read = 0;
        self.blocks.next_block(&mut self.block)
    }
}

/// How long a pair is.
struct Shape {
    /// The bytes of the two lengths.
    lengths: usize,
    key: usize,
    /// All bytes.
    end: usize,
}

impl Shape {
    /// `None` if the lengths do not end within the bytes.
    #[inline]
    fn of(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let key = lengths::take(&mut rest)?;
        let value = lengths::take(&mut rest)?;
        let lengths = bytes.len() - rest.len();
        // What a damaged length says is nowhere: it ends behind all there is.
        Some(Self { lengths, key, end: lengths.saturating_add(key).saturating_add(value) })
    }
}
