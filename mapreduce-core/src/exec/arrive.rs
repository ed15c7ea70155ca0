//! Runs that come from elsewhere: whole and in memory, or piece by piece into a spill file.

use super::{
    lengths,
    run::{Extent, Place, Run, Stored, take_pair},
    spill::{SpillError, SpillWriter},
};
use crate::{Memory, hash, memory::Held};
use std::sync::Arc;

impl Run {
    /// A run of bytes that have come from elsewhere. `None` unless they are exactly `pairs` whole pairs.
    ///
    /// ```
    /// use mapreduce_core::exec::Run;
    ///
    /// // A key of one byte and a value of two.
    /// let run = Run::from_bytes(b"\x01\x02kvv".to_vec(), 1).ok_or("whole")?;
    /// assert_eq!(run.reader().next_pair()?, Some((&b"k"[..], &b"vv"[..])));
    /// assert_eq!(Run::from_bytes(b"\x01\x02kv".to_vec(), 1), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_bytes(bytes: Vec<u8>, pairs: u64) -> Option<Self> {
        Self::of_bytes(bytes, pairs, None)
    }

    /// As [`from_bytes`](Self::from_bytes); the bytes count as `held` for as long as they are there.
    pub fn from_held_bytes(bytes: Vec<u8>, pairs: u64, held: Held) -> Option<Self> {
        Self::of_bytes(bytes, pairs, Some(held))
    }

    fn of_bytes(bytes: Vec<u8>, pairs: u64, held: Option<Held>) -> Option<Self> {
        let mut rest = &bytes[..];
        let mut extent = Extent::default();
        while !rest.is_empty() {
            let before = rest.len();
            take_pair(&mut rest)?;
            extent.add(before - rest.len());
        }
        if extent.pairs != pairs {
            return None;
        }
        if pairs == 0 {
            return Some(Self::default());
        }
        let (end, checksum) = (extent.raw, hash::checksum(&bytes));
        let extents = vec![Extent { checksum, ..extent }];
        Some(Self::of(Arc::new(Stored { place: Place::Memory(bytes), extents, end, held }), 0))
    }

    /// As [`from_bytes`](Self::from_bytes), in memory if it fits into the budget, else in a spill file. Blocks while it
    /// writes.
    ///
    /// # Errors
    /// When the spill file cannot be written.
    pub fn keep(memory: &Memory, bytes: Vec<u8>, pairs: u64) -> Result<Option<Self>, SpillError> {
        if let Some(held) = memory.try_hold_output(bytes.len() as u64) {
            return Ok(Self::from_held_bytes(bytes, pairs, held));
        }
        let mut spiller = RunSpiller::create(memory)?;
        spiller.push(&bytes)?;
        spiller.finish(pairs)
    }
}

/// Takes the bytes of a run as they arrive, and keeps them in a spill file. For a run that does not fit into memory; it
/// takes half a megabyte of it while it writes.
///
/// ```
/// use mapreduce_core::{Memory, exec::RunSpiller};
///
/// let mut spiller = RunSpiller::create(&Memory::limited(0))?;
/// spiller.push(b"\x01\x02k")?;
/// spiller.push(b"vv")?;
/// let run = spiller.finish(1)?.ok_or("whole")?;
/// assert_eq!(run.in_memory(), None);
/// assert_eq!(run.reader().next_pair()?, Some((&b"k"[..], &b"vv"[..])));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RunSpiller {
    memory: Memory,
    file: SpillWriter,
    start: u64,
    bytes: u64,
    pairs: PairCounter,
}

impl RunSpiller {
    /// Begins a run in a spill file of `memory`.
    ///
    /// # Errors
    /// When there can be no such file.
    pub fn create(memory: &Memory) -> Result<Self, SpillError> {
        let file = SpillWriter::create(memory)?;
        let start = file.offset();
        Ok(Self { memory: memory.clone(), file, start, bytes: 0, pairs: PairCounter::default() })
    }

    /// Adds bytes, which may end anywhere. Blocks while it writes.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), SpillError> {
        self.bytes += bytes.len() as u64;
        self.pairs.count(bytes);
        self.file.write(bytes)
    }

    /// Ends the run. `None` unless what has come is exactly `pairs` whole pairs.
    ///
    /// # Errors
    /// When the rest cannot be written.
    pub fn finish(self, pairs: u64) -> Result<Option<Run>, SpillError> {
        let Self { memory, mut file, start, bytes, pairs: counted } = self;
        if counted.whole() != Some(pairs) {
            return Ok(None);
        }
        if pairs == 0 {
            return Ok(Some(Run::default()));
        }
        let checksum = file.end_run()?;
        let end = file.offset();
        let longest = u32::try_from(counted.longest).unwrap_or(u32::MAX);
        let extents = vec![Extent { partition: 0, longest, pairs, raw: bytes, checksum, start }];
        let held = memory.hold(size_of::<Extent>() as u64);
        let stored = Stored { place: Place::File(file.finish()?), extents, end, held: Some(held) };
        Ok(Some(Run::of(Arc::new(stored), 0)))
    }
}

/// Counts pairs in bytes that come in pieces.
#[derive(Debug, Default)]
struct PairCounter {
    pairs: u64,
    /// Lengths of the pair that have been read, and the one that is being.
    lengths: u8,
    length: lengths::Begun,
    /// Bytes of the pair behind its lengths that are still to come.
    missing: u64,
    /// The bytes of the pair so far, its lengths included, and of the longest one.
    passed: u64,
    longest: u64,
    /// No pair has such lengths.
    broken: bool,
}

impl PairCounter {
    fn count(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.broken {
            if self.lengths == 2 {
                let passed = usize::try_from(self.missing).unwrap_or(usize::MAX).min(bytes.len());
                self.missing -= passed as u64;
                self.passed += passed as u64;
                bytes = &bytes[passed..];
            } else {
                let byte = bytes[0];
                self.passed += 1;
                bytes = &bytes[1..];
                match self.length.add(byte) {
                    Ok(None) => {}
                    Ok(Some(length)) => {
                        self.missing = self.missing.saturating_add(length as u64);
                        self.lengths += 1;
                    }
                    Err(_) => self.broken = true,
                }
            }
            if self.lengths == 2 && self.missing == 0 {
                self.pairs += 1;
                self.lengths = 0;
                self.longest = self.longest.max(std::mem::take(&mut self.passed));
            }
        }
    }

    /// How many pairs there were, if the last one was whole.
    fn whole(&self) -> Option<u64> {
        (!self.broken && self.lengths == 0 && self.length.is_empty()).then_some(self.pairs)
    }
}

impl std::fmt::Debug for RunSpiller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunSpiller").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::run::put_lengths;
    use proptest::{collection::vec, prelude::*};

    fn push_pair(bytes: &mut Vec<u8>, key: &[u8], value: &[u8]) {
        bytes.extend_from_slice(put_lengths(&mut Default::default(), key.len(), value.len()));
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
    }

    fn spilled(bytes: &[u8], piece: usize, pairs: u64) -> Option<Run> {
        let mut spiller = RunSpiller::create(&Memory::limited(0)).unwrap();
        bytes.chunks(piece).for_each(|piece| spiller.push(piece).unwrap());
        spiller.finish(pairs).unwrap()
    }

    proptest! {
        #[test]
        fn a_run_that_comes_in_pieces_is_the_one_that_comes_whole(
            pairs in vec((vec(any::<u8>(), 0..200), vec(any::<u8>(), 0..200)), 0..6),
            piece in 1..300usize,
            cut in any::<proptest::sample::Index>(),
            other in 0..8u64,
        ) {
            let mut bytes = Vec::new();
            pairs.iter().for_each(|(key, value)| push_pair(&mut bytes, key, value));
            for bytes in [&bytes[..], &bytes[..cut.index(bytes.len() + 1)]] {
                for count in [pairs.len() as u64, other] {
                    let whole = Run::from_bytes(bytes.to_vec(), count);
                    let run = spilled(bytes, piece, count);
                    prop_assert_eq!(&run, &whole);
                    prop_assert_eq!(run.as_ref().map(Run::longest_pair), whole.as_ref().map(Run::longest_pair));
                    prop_assert!(run.is_none_or(|run| run.pairs() == 0 || run.in_memory().is_none()));
                    for memory in [Memory::limited(0), Memory::limited(1 << 20)] {
                        prop_assert_eq!(&Run::keep(&memory, bytes.to_vec(), count).unwrap(), &whole);
                    }
                }
            }
        }
    }

    #[test]
    fn lengths_without_an_end_are_no_pair() {
        assert_eq!(spilled(&[0xff; 20], 3, 0), None);
        assert_eq!(spilled(&[0xff; 20], 20, 1), None);
        assert_eq!(spilled(&[0x80], 1, 0), None);
    }

    #[test]
    fn what_is_kept_in_memory_counts_until_it_is_dropped() {
        let memory = Memory::limited(100);
        let run = Run::keep(&memory, b"\x01\x02kvv".to_vec(), 1).unwrap();
        assert_eq!(memory.held_bytes(), 5);
        drop(run);
        assert_eq!(memory.held_bytes(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let memory = Memory::limited(0).spilling_to("/nowhere/at/all");
        assert!(matches!(RunSpiller::create(&memory), Err(SpillError::Write { .. })));
        assert!(Run::keep(&memory, b"\x01\x02kvv".to_vec(), 1).is_err());
    }
}
