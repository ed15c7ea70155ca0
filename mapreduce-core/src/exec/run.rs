//! [`Run`]: pairs of encoded keys and values, one after the other, in memory or in a spill file.
//!
//! Layout: for each pair `key length | value length | key | value`, the lengths as LEB128 ([`lengths`]). A run of a map
//! task is sorted by the bytes of its keys; pairs of the same key keep the order in which they were emitted.

use super::{
    lengths,
    reader::RunReader,
    spill::{BLOCK_BYTES, SpillBlocks, SpillError, SpillFile},
};
use crate::{hash, memory::Held};
use std::{ops::Range, sync::Arc};

/// Encoded pairs: what a map task leaves for one partition, or a reduce task for its driver. [`Run::default`] has none.
///
/// Where the pairs lie, in memory or in a [spill file](crate::Memory), cannot be told from what they are. Cloning is
/// cheap; when the last clone of the runs of a task is dropped, so is what they hold.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The runs of one task share what they lie in. `None` if there are no pairs.
    stored: Option<(Arc<Stored>, u32)>,
}

/// What some runs lie in.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) place: Place,
    /// Of the runs that have pairs, in the order of the partitions, one behind the other.
    pub(super) extents: Vec<Extent>,
    /// Where the last of them ends.
    pub(super) end: u64,
    /// What of it is in memory, if that is counted.
    pub(super) held: Option<Held>,
}

#[derive(Debug)]
pub(super) enum Place {
    Memory(Vec<u8>),
    File(Arc<SpillFile>),
}

/// Where a run lies, and what is in it. There may be as many as partitions in every segment, so it is small.
#[derive(Clone, Debug, Default)]
pub(super) struct Extent {
    pub(super) partition: u32,
    /// The bytes of the longest pair, or as many as fit here.
    pub(super) longest: u32,
    pub(super) pairs: u64,
    /// The bytes of the pairs.
    pub(super) raw: u64,
    /// Their xxh3.
    pub(super) checksum: u64,
    /// Where it begins, in memory or in the file.
    pub(super) start: u64,
}

impl Extent {
    /// Adds a pair of so many bytes.
    #[inline]
    pub(super) fn add(&mut self, pair: usize) {
        self.pairs += 1;
        self.raw += pair as u64;
        self.longest = self.longest.max(u32::try_from(pair).unwrap_or(u32::MAX));
    }
}

impl Stored {
    /// The place of an extent.
    pub(super) fn range(&self, i: usize) -> Range<u64> {
        self.extents[i].start..self.extents.get(i + 1).map_or(self.end, |next| next.start)
    }

    /// The bytes that it takes in memory.
    pub(super) fn bytes(&self) -> u64 {
        let content = match &self.place {
            Place::Memory(bytes) => bytes.capacity(),
            Place::File(_) => 0,
        };
        (content + self.extents.capacity() * size_of::<Extent>()) as u64
    }
}

impl Run {
    /// Extent `i` of what is stored.
    pub(super) fn of(stored: Arc<Stored>, i: usize) -> Self {
        Self { stored: Some((stored, i as u32)) }
    }

    fn extent(&self) -> Option<&Extent> {
        self.stored.as_ref().map(|(stored, i)| &stored.extents[*i as usize])
    }

    /// The number of pairs.
    pub fn pairs(&self) -> u64 {
        self.extent().map_or(0, |extent| extent.pairs)
    }

    /// The number of [bytes](Self::chunks).
    pub fn byte_len(&self) -> u64 {
        self.extent().map_or(0, |extent| extent.raw)
    }

    /// xxh3 of the [bytes](Self::chunks), from when they were made.
    pub fn checksum(&self) -> u64 {
        self.extent().map_or_else(|| hash::checksum(&[]), |extent| extent.checksum)
    }

    /// The bytes of the longest pair, its lengths included.
    pub(super) fn longest_pair(&self) -> u64 {
        self.extent().map_or(0, |extent| u64::from(extent.longest))
    }

    /// The pairs' bytes in the layout of the module's description, unless they lie in a file.
    pub fn in_memory(&self) -> Option<&[u8]> {
        let Some((stored, i)) = &self.stored else { return Some(&[]) };
        match &stored.place {
            Place::Memory(bytes) => {
                let Range { start, end } = stored.range(*i as usize);
                Some(&bytes[start as usize..end as usize])
            }
            Place::File(_) => None,
        }
    }

    /// The pairs' bytes in the layout of the module's description, wherever they lie. A chunk need not end where a pair
    /// does.
    pub fn chunks(&self) -> RunChunks {
        RunChunks { run: self.clone(), blocks: self.blocks(), block: Vec::new(), before: 0 }
    }

    /// The [chunks](Self::chunks) from byte `at` on.
    ///
    /// # Errors
    /// When a spill file cannot be read or is damaged.
    pub(crate) fn chunks_from(&self, at: u64) -> Result<RunChunks, SpillError> {
        let mut chunks = self.chunks();
        chunks.before = match &mut chunks.blocks {
            Some(blocks) => {
                blocks.skip(at / BLOCK_BYTES as u64)?;
                at as usize % BLOCK_BYTES
            }
            None => at as usize,
        };
        Ok(chunks)
    }

    /// Reads the pairs in order.
    pub fn reader(&self) -> RunReader<'_> {
        match (self.in_memory(), self.blocks()) {
            (None, Some(blocks)) => RunReader::of_file(blocks),
            (bytes, _) => RunReader::of_memory(bytes.unwrap_or_default()),
        }
    }

    /// The blocks of the file that the run lies in, if it lies in one.
    fn blocks(&self) -> Option<SpillBlocks> {
        let (stored, i) = self.stored.as_ref()?;
        let Range { start, end } = stored.range(*i as usize);
        match &stored.place {
            Place::Memory(_) => None,
            Place::File(file) => Some(SpillBlocks::new(file.clone(), start, end)),
        }
    }
}

impl PartialEq for Run {
    /// Whether both have as many pairs and bytes, and the same checksum.
    fn eq(&self, other: &Self) -> bool {
        let seen = |run: &Self| (run.pairs(), run.byte_len(), run.checksum());
        seen(self) == seen(other)
    }
}

impl Eq for Run {}

/// The bytes of a [`Run`], a chunk at a time.
#[derive(Debug)]
pub struct RunChunks {
    run: Run,
    blocks: Option<SpillBlocks>,
    block: Vec<u8>,
    /// Bytes in front of the next chunk: of the run in memory, or of the next block of the file.
    before: usize,
}

impl RunChunks {
    /// The next chunk, or `None` behind the last: all of the run if it is in memory, else at most 64 KiB.
    ///
    /// # Errors
    /// When a spill file cannot be read or is damaged.
    pub fn next_chunk(&mut self) -> Result<Option<&[u8]>, SpillError> {
        let before = self.before;
        let bytes = match &mut self.blocks {
            Some(blocks) => {
                blocks.next_block(&mut self.block)?;
                self.before = 0;
                &self.block[..]
            }
            None => {
                // It comes in one piece.
                self.before = usize::MAX;
                self.run.in_memory().unwrap_or_default()
            }
        };
        Ok(bytes.get(before..).filter(|bytes| !bytes.is_empty()))
    }
}

/// The most bytes that the two lengths of a pair take.
pub(crate) const LENGTHS_BYTES_MAX: usize = 2 * lengths::LENGTH_BYTES_MAX;

/// A key and a value, encoded.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// How many bytes a pair takes in a run.
#[inline]
pub(crate) fn pair_bytes(key: usize, value: usize) -> usize {
    lengths::bytes_of(key) + lengths::bytes_of(value) + key + value
}

/// The two lengths in front of a pair, in `room`.
#[inline]
pub(crate) fn put_lengths(room: &mut [u8; LENGTHS_BYTES_MAX], key: usize, value: usize) -> &[u8] {
    let mut len = 0;
    for length in [key, value] {
        lengths::put(length, |byte| {
            room[len] = byte;
            len += 1;
        });
    }
    &room[..len]
}

/// Takes a pair off the front of the bytes of a run.
#[inline]
pub(crate) fn take_pair<'a>(bytes: &mut &'a [u8]) -> Option<Pair<'a>> {
    let key = lengths::take(bytes)?;
    let value = lengths::take(bytes)?;
    let (key, rest) = bytes.split_at_checked(key)?;
    let (value, rest) = rest.split_at_checked(value)?;
    *bytes = rest;
    Some((key, value))
}

/// The first eight bytes of a key as a number that compares as they do. Most comparisons of keys end here.
#[inline]
pub(crate) fn prefix(key: &[u8]) -> u64 {
    // Of short keys, too, without a loop over their bytes: they are what many keys are.
    let four = |four: &[u8; 4]| u64::from(u32::from_be_bytes(*four));
    match (key.first_chunk::<8>(), key.first_chunk::<4>(), key.last_chunk::<4>(), key) {
        (Some(first), ..) => u64::from_be_bytes(*first),
        (_, Some(first), Some(last), _) => {
            // The two overlap.
            let behind = (four(last) << (8 * (8 - key.len()))) & 0xffff_ffff;
            four(first) << 32 | behind
        }
        (.., &[a, b, c]) => u64::from_be_bytes([a, b, c, 0, 0, 0, 0, 0]),
        (.., &[a, b]) => u64::from_be_bytes([a, b, 0, 0, 0, 0, 0, 0]),
        (.., &[a]) => u64::from_be_bytes([a, 0, 0, 0, 0, 0, 0, 0]),
        _ => 0,
    }
}

/// The same of sixteen bytes.
#[inline]
pub(super) fn wide_prefix(key: &[u8]) -> u128 {
    match (key.first_chunk::<16>(), key.last_chunk::<8>()) {
        (Some(first), _) => u128::from_be_bytes(*first),
        (None, Some(last)) => {
            // The two eights overlap.
            let behind = u128::from(u64::from_be_bytes(*last)) << (8 * (16 - key.len()));
            u128::from(prefix(key)) << 64 | (behind & u128::from(u64::MAX))
        }
        (None, None) => u128::from(prefix(key)) << 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    proptest! {
        #[test]
        fn prefixes_are_the_first_bytes_or_all_of_them_and_zeros(key in vec(any::<u8>(), 0..20)) {
            let mut padded = key.clone();
            padded.resize(20, 0);
            prop_assert_eq!(&prefix(&key).to_be_bytes()[..], &padded[..8]);
            prop_assert_eq!(&wide_prefix(&key).to_be_bytes()[..], &padded[..16]);
        }

        #[test]
        fn prefixes_never_contradict_the_order_of_the_keys(a in vec(0..2u8, 0..10), b in vec(0..2u8, 0..10)) {
            // Equal prefixes do not mean equal keys even if both are short: zeros pad the prefix.
            let by_prefix = prefix(&a).cmp(&prefix(&b));
            prop_assert!(by_prefix.is_eq() || by_prefix == a.cmp(&b));
        }

        #[test]
        fn bytes_are_a_run_only_if_they_are_as_many_whole_pairs_as_said(
            pairs in vec((vec(any::<u8>(), 0..200), vec(any::<u8>(), 0..200)), 0..6),
            other in any::<u64>(),
        ) {
            let (mut bytes, mut ends) = (Vec::new(), vec![0]);
            for (key, value) in &pairs {
                bytes.extend_from_slice(put_lengths(&mut Default::default(), key.len(), value.len()));
                bytes.extend([&key[..], value].concat());
                ends.push(bytes.len());
                prop_assert_eq!(pair_bytes(key.len(), value.len()), bytes.len() - ends[ends.len() - 2]);
            }
            let count = pairs.len() as u64;
            for len in 0..bytes.len() {
                let cut = bytes[..len].to_vec();
                prop_assert_eq!(Run::from_bytes(cut.clone(), count), None);
                // What ends with a pair is a run of fewer.
                let whole = ends.iter().position(|end| *end == len);
                for pairs in 0..count {
                    prop_assert_eq!(Run::from_bytes(cut.clone(), pairs).is_some(), whole == Some(pairs as usize));
                }
            }
            for count in [count + 1, count.wrapping_sub(1), other].into_iter().filter(|n| *n != count) {
                prop_assert_eq!(Run::from_bytes(bytes.clone(), count), None);
            }
            let longer = [&bytes[..], &[0]].concat();
            prop_assert_eq!(Run::from_bytes(longer, count), None);
            let run = Run::from_bytes(bytes.clone(), count).unwrap();
            prop_assert_eq!((run.pairs(), run.byte_len()), (count, bytes.len() as u64));
            prop_assert_eq!((run.in_memory(), run.checksum()), (Some(&bytes[..]), hash::checksum(&bytes)));
            let mut reader = run.reader();
            for (key, value) in &pairs {
                prop_assert_eq!(reader.next_pair().unwrap(), Some((&key[..], &value[..])));
            }
            prop_assert!(reader.next_pair().unwrap().is_none());
        }
    }

    /// A run may have come over a network.
    #[test]
    fn a_pair_that_is_cut_short_is_none() {
        let mut bytes = put_lengths(&mut Default::default(), 200, 200).to_vec();
        bytes.extend([1; 400]);
        for len in 0..bytes.len() {
            assert_eq!(take_pair(&mut &bytes[..len]), None);
        }
        assert_eq!(take_pair(&mut &[0xff; 20][..]), None);
        assert!(take_pair(&mut &bytes[..]).is_some());
    }
}
