//! Segments: what the emitters of a map task hand over when they have as much as [`Options::segment_bytes`] says, and
//! what becomes of several.
//!
//! Where a segment is cut depends on the data and that option alone. Whether it lies in memory or in a spill file is the
//! [budget's](Memory) matter and shows nowhere in the output.
//!
//! [`Options::segment_bytes`]: crate::Options::segment_bytes

use super::{
    Attempt,
    merge::Merge,
    narrow::narrow,
    run::{Extent, Place, Run, Stored, pair_bytes, put_lengths},
    spill::{SpillError, SpillWriter},
};
use crate::{Memory, Result, hash, memory::Held};
use std::sync::Arc;

/// The segments of a map attempt, one after the other.
pub(super) struct Segments<'a> {
    memory: &'a Memory,
    partitions: u32,
    /// At so many bytes, what has been emitted is cut into a segment.
    segment_bytes: usize,
    done: Vec<Segment>,
}

impl<'a> Segments<'a> {
    pub(super) fn new(memory: &'a Memory, partitions: u32, segment_bytes: usize) -> Self {
        Self { memory, partitions, segment_bytes, done: Vec::new() }
    }

    pub(super) fn partitions(&self) -> u32 {
        self.partitions
    }

    pub(super) fn segment_bytes(&self) -> usize {
        self.segment_bytes
    }

    /// A writer for the next segment; see [`SegmentWriter::new`].
    pub(super) fn begin(&self, raw_bytes_estimate: usize) -> Result<SegmentWriter, SpillError> {
        SegmentWriter::new(self.memory, self.partitions, raw_bytes_estimate)
    }

    /// Ends a segment.
    pub(super) fn end(&mut self, segment: SegmentWriter) -> Result<(), SpillError> {
        self.done.push(segment.finish()?);
        Ok(())
    }

    /// The segments.
    pub(super) fn into_segments(self) -> Vec<Segment> {
        self.done
    }

    /// A run for each partition. Of one segment, which is the usual case, they are its own.
    pub(super) fn finish(mut self, attempt: &Attempt) -> Result<Vec<Run>> {
        let segment = match self.done.len() {
            0 => return Ok(vec![Run::default(); self.partitions as usize]),
            1 => self.done.remove(0),
            _ => self.merge(attempt)?,
        };
        Ok(segment.into_runs(self.partitions))
    }

    /// Makes one segment of all: equal keys come in the order of the segments.
    fn merge(&self, attempt: &Attempt) -> Result<Segment> {
        let bytes: u64 = self.done.iter().flat_map(Segment::runs).map(|(_, run)| run.byte_len()).sum();
        let mut writer = self.begin(bytes as usize)?;
        for partition in 0..self.partitions {
            let runs = self.done.iter().filter_map(|segment| segment.run(partition)).collect();
            let runs = narrow(self.memory, runs, attempt)?;
            Merge::new(&runs, attempt)?.drain(partition, &mut writer)?;
        }
        Ok(writer.finish()?)
    }
}

/// A part of the output of a map attempt: a sorted run for each partition.
///
/// Only those that have pairs are kept, and one is found by its partition: a list of all for each segment would be most of
/// what is held if there are very many partitions.
pub(crate) struct Segment(Arc<Stored>);

impl Segment {
    /// The run of a partition, if that has pairs.
    pub(crate) fn run(&self, partition: u32) -> Option<Run> {
        let i = self.0.extents.binary_search_by_key(&partition, |extent| extent.partition).ok()?;
        Some(Run::of(self.0.clone(), i))
    }

    /// The runs that have pairs, each with its partition.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (u32, Run)> {
        let run = |(i, extent): (usize, &Extent)| (extent.partition, Run::of(self.0.clone(), i));
        self.0.extents.iter().enumerate().map(run)
    }

    /// The run of the only partition.
    pub(crate) fn into_run(self) -> Run {
        self.run(0).unwrap_or_default()
    }

    /// A run for each partition.
    fn into_runs(mut self, partitions: u32) -> Vec<Run> {
        let list = size_of::<Run>() as u64 * u64::from(partitions);
        if let Some(held) = Arc::get_mut(&mut self.0).and_then(|stored| stored.held.as_mut()) {
            held.resize(held.bytes() + list);
        }
        let mut runs = vec![Run::default(); partitions as usize];
        self.runs().for_each(|(partition, run)| runs[partition as usize] = run);
        runs
    }
}

/// Writes a segment, to memory or to a spill file.
pub(crate) struct SegmentWriter {
    memory: Memory,
    partitions: u32,
    to: To,
    /// The runs that have ended.
    extents: Vec<Extent>,
    /// The run that has begun.
    run: Extent,
}

enum To {
    Memory { bytes: Vec<u8>, held: Held },
    File(SpillWriter),
}

impl SegmentWriter {
    /// Decides at once, from about how many bytes there will be, whether the segment fits into the budget or goes to a
    /// file. If it was wrong it goes to a file later.
    pub(crate) fn new(
        memory: &Memory,
        partitions: u32,
        raw_bytes_estimate: usize,
    ) -> Result<Self, SpillError> {
        if let Some(writer) = Self::in_memory(memory, partitions, raw_bytes_estimate) {
            return Ok(writer);
        }
        let file = SpillWriter::create(memory)?;
        let run = Extent { start: file.offset(), ..Extent::default() };
        Ok(Self { memory: memory.clone(), partitions, to: To::File(file), extents: Vec::new(), run })
    }

    /// The same, if there is room for so many bytes in memory.
    pub(super) fn in_memory(memory: &Memory, partitions: u32, raw_bytes_estimate: usize) -> Option<Self> {
        let held = memory.try_hold_output(raw_bytes_estimate as u64)?;
        let to = To::Memory { bytes: Vec::with_capacity(raw_bytes_estimate), held };
        let (memory, run) = (memory.clone(), Extent::default());
        Some(Self { memory, partitions, to, extents: Vec::new(), run })
    }

    /// Adds a pair: partitions ascending, keys ascending within, equal keys in the order of their emission.
    #[inline]
    pub(crate) fn push(&mut self, partition: u32, key: &[u8], value: &[u8]) -> Result<(), SpillError> {
        debug_assert!(self.run.partition <= partition && partition < self.partitions);
        if partition != self.run.partition {
            self.end_run()?;
            self.run.partition = partition;
        }
        let len = pair_bytes(key.len(), value.len());
        self.run.add(len);
        self.make_room(len)?;
        let mut lengths = Default::default();
        let lengths = put_lengths(&mut lengths, key.len(), value.len());
        match &mut self.to {
            To::Memory { bytes, .. } => {
                bytes.extend_from_slice(lengths);
                bytes.extend_from_slice(key);
                bytes.extend_from_slice(value);
            }
            To::File(file) => {
                file.write(lengths)?;
                file.write(key)?;
                file.write(value)?;
            }
        }
        Ok(())
    }

    /// Ends the segment.
    pub(crate) fn finish(mut self) -> Result<Segment, SpillError> {
        self.end_run()?;
        let Self { memory, to, mut extents, run, .. } = self;
        extents.shrink_to_fit();
        let (place, mut held) = match to {
            To::Memory { mut bytes, held } => {
                if bytes.len() < bytes.capacity() - bytes.capacity() / 8 {
                    bytes.shrink_to_fit();
                }
                (Place::Memory(bytes), held)
            }
            To::File(file) => (Place::File(file.finish()?), memory.hold(0)),
        };
        let mut stored = Stored { place, extents, end: run.start, held: None };
        // The index is there whatever the budget says, and small beside what it is of.
        held.resize(stored.bytes());
        stored.held = Some(held);
        Ok(Segment(Arc::new(stored)))
    }

    /// Makes sure that so many bytes more fit, or that the segment lies in a file.
    #[inline]
    fn make_room(&mut self, more: usize) -> Result<(), SpillError> {
        match &self.to {
            To::Memory { bytes, .. } if bytes.capacity() - bytes.len() < more => self.grow(more),
            _ => Ok(()),
        }
    }

    #[cold]
    fn grow(&mut self, more: usize) -> Result<(), SpillError> {
        let To::Memory { bytes, held } = &mut self.to else { return Ok(()) };
        let needed = bytes.len() + more;
        // Small ones double, so that they are not copied often.
        let capacity = needed.max((bytes.capacity() * 2).min(bytes.capacity() + GROWTH_BYTES_MAX));
        if held.try_resize_output(capacity as u64) {
            bytes.reserve_exact(capacity - bytes.len());
            return Ok(());
        }
        let mut file = SpillWriter::create(&self.memory)?;
        for extent in &mut self.extents {
            let start = extent.start as usize;
            extent.start = file.offset();
            file.write(&bytes[start..start + extent.raw as usize])?;
            file.end_run()?;
        }
        let start = self.run.start as usize;
        self.run.start = file.offset();
        file.write(&bytes[start..])?;
        self.to = To::File(file);
        Ok(())
    }

    fn end_run(&mut self) -> Result<(), SpillError> {
        if self.run.pairs == 0 {
            return Ok(());
        }
        let (end, checksum) = match &mut self.to {
            To::Memory { bytes, .. } => {
                (bytes.len() as u64, hash::checksum(&bytes[self.run.start as usize..]))
            }
            To::File(file) => {
                let checksum = file.end_run()?;
                (file.offset(), checksum)
            }
        };
        let next = Extent { partition: self.run.partition, start: end, ..Extent::default() };
        let run = std::mem::replace(&mut self.run, next);
        self.extents.push(Extent { checksum, ..run });
        Ok(())
    }
}

/// What a segment in memory grows by at most, in bytes.
const GROWTH_BYTES_MAX: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    /// Partition, key and value of pairs, sorted. Some of them are longer than a block of a spill file.
    fn pairs() -> impl Strategy<Value = Vec<(u32, Vec<u8>, Vec<u8>)>> {
        let bytes = |seed: u8, len: usize| vec![seed; len];
        let len = || prop_oneof![6 => 0..40usize, 2 => 65_500..65_560usize, 1 => 100_000..300_000usize];
        vec((0..5u32, 0..3u8, len(), len()), 0..12).prop_map(move |pairs| {
            let mut pairs: Vec<_> = (0..)
                .zip(pairs)
                .map(|(i, (partition, seed, key, value))| (partition, bytes(seed, key), bytes(i, value)))
                .collect();
            pairs.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
            pairs
        })
    }

    fn read(run: &Run) -> Vec<(Vec<u8>, Vec<u8>)> {
        let (mut pairs, mut reader) = (Vec::new(), run.reader());
        while let Some((key, value)) = reader.next_pair().unwrap() {
            pairs.push((key.to_vec(), value.to_vec()));
        }
        pairs
    }

    fn bytes(run: &Run) -> Vec<u8> {
        let (mut bytes, mut chunks) = (Vec::new(), run.chunks());
        while let Some(chunk) = chunks.next_chunk().unwrap() {
            bytes.extend_from_slice(chunk);
        }
        bytes
    }

    fn segment(memory: &Memory, estimate: usize, pairs: &[(u32, Vec<u8>, Vec<u8>)]) -> Segment {
        let mut writer = SegmentWriter::new(memory, 5, estimate).unwrap();
        for (partition, key, value) in pairs {
            writer.push(*partition, key, value).unwrap();
        }
        writer.finish().unwrap()
    }

    fn runs(segment: &Segment) -> Vec<Run> {
        let runs: Vec<_> = (0..5).map(|partition| segment.run(partition).unwrap_or_default()).collect();
        assert!(segment.runs().all(|(partition, run)| run == runs[partition as usize] && run.pairs() > 0));
        assert_eq!(segment.runs().count(), runs.iter().filter(|run| run.pairs() > 0).count());
        runs
    }

    fn of(pairs: &[(u32, Vec<u8>, Vec<u8>)], partition: u32) -> Vec<(Vec<u8>, Vec<u8>)> {
        let pairs = pairs.iter().filter(|pair| pair.0 == partition);
        pairs.map(|(_, key, value)| (key.clone(), value.clone())).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        /// With no memory all goes to a file at once; with some of it, when it is used up.
        #[test]
        fn where_a_segment_lies_cannot_be_told_from_its_runs(pairs in pairs(), budget in 0..1_000_000u64) {
            let in_memory = runs(&segment(&Memory::limited(u64::MAX), 10, &pairs));
            for memory in [Memory::limited(0), Memory::limited(budget)] {
                let other = runs(&segment(&memory, budget.min(50) as usize, &pairs));
                for (partition, (run, other)) in in_memory.iter().zip(&other).enumerate() {
                    let expected = of(&pairs, partition as u32);
                    let longest = expected.iter().map(|(key, value)| pair_bytes(key.len(), value.len()) as u64).max();
                    prop_assert_eq!([run, other].map(Run::longest_pair), [longest.unwrap_or(0); 2]);
                    prop_assert!(read(run) == expected && read(other) == expected);
                    prop_assert_eq!(run, other);
                    prop_assert!(run.in_memory() == Some(&bytes(other)[..]) && bytes(run) == bytes(other));
                    prop_assert_eq!((run.pairs(), run.byte_len()), (expected.len() as u64, bytes(run).len() as u64));
                    prop_assert_eq!(run.checksum(), hash::checksum(&bytes(run)));
                }
                drop(other);
                prop_assert_eq!(memory.held_bytes(), 0);
            }
        }

        #[test]
        fn segments_merge_into_one_run_for_each_partition(
            segments in vec(pairs(), 0..5),
            budget in 0..2_000_000u64,
        ) {
            let memory = Memory::limited(budget);
            let mut all = Segments::new(&memory, 5, 1);
            for pairs in &segments {
                all.done.push(segment(&memory, 100, pairs));
            }
            let runs = all.finish(&Attempt::default()).unwrap();
            let mut expected: Vec<_> = segments.into_iter().flatten().collect();
            expected.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
            prop_assert_eq!(runs.len(), 5);
            for (partition, run) in (0..).zip(&runs) {
                prop_assert!(read(run) == of(&expected, partition));
            }
        }
    }

    #[test]
    fn what_is_in_memory_is_held_until_the_last_run_is_dropped() {
        let memory = Memory::limited(1_000);
        let mut runs =
            segment(&memory, 100, &[(0, vec![1; 50], vec![]), (3, vec![1; 400], vec![])]).into_runs(5);
        assert!(runs[0].in_memory().is_some() && (450..1_000).contains(&memory.held_bytes()));
        let last = runs.remove(3);
        drop(runs);
        assert!(memory.held_bytes() >= 450);
        drop(last);
        assert_eq!(memory.held_bytes(), 0);
    }
}
