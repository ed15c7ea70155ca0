//! Segments: what the emitters of a map task hand over when they have as much as [`Options::segment_bytes`] says, and
//! what becomes of several.
//!
//! Where a segment is cut depends on the data and that option alone. Whether it lies in memory or in a spill file is the
//! [budget's](Memory) matter and shows nowhere in the output.
//!
//! [`Options::segment_bytes`]: crate::Options::segment_bytes

use super::{
    merge::{Merge, narrow},
    run::{Extent, Place, Run, Stored, pair_bytes, put_lengths},
    spill::{SpillError, SpillWriter},
};
use crate::{Memory, hash, memory::Held};

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

    #[expect(dead_code, reason = "the emitters make one segment as yet")]
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

    /// A run for each partition. Of one segment, which is the usual case, they are its own.
    pub(super) fn finish(self) -> Result<Vec<Run>, SpillError> {
        merge_segments(self.memory, self.done, self.partitions)
    }
}

/// A part of the output of a map attempt: a sorted run for each partition.
pub(super) struct Segment {
    pub(super) runs: Vec<Run>,
}

/// Writes a segment, to memory or to a spill file.
pub(super) struct SegmentWriter {
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
    pub(super) fn new(
        memory: &Memory,
        partitions: u32,
        raw_bytes_estimate: usize,
    ) -> Result<Self, SpillError> {
        let mut run = Extent::default();
        let to = match memory.try_hold(raw_bytes_estimate as u64) {
            Some(held) => To::Memory { bytes: Vec::with_capacity(raw_bytes_estimate), held },
            None => {
                let file = SpillWriter::create(memory)?;
                run.at.start = file.offset();
                To::File(file)
            }
        };
        let (memory, extents) = (memory.clone(), Vec::new());
        Ok(Self { memory, partitions, to, extents, run })
    }

    /// Adds a pair: partitions ascending, keys ascending within, equal keys in the order of their emission.
    #[inline]
    pub(super) fn push(&mut self, partition: u32, key: &[u8], value: &[u8]) -> Result<(), SpillError> {
        debug_assert!(self.run.partition <= partition && partition < self.partitions);
        if partition != self.run.partition {
            self.end_run()?;
            self.run.partition = partition;
        }
        let len = pair_bytes(key.len(), value.len());
        self.run.pairs += 1;
        self.run.raw += len as u64;
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
    pub(super) fn finish(mut self) -> Result<Segment, SpillError> {
        self.end_run()?;
        let Self { memory, partitions, to, extents, .. } = self;
        let index = (size_of::<Extent>() * extents.len()) as u64;
        let (place, held) = match to {
            To::Memory { mut bytes, mut held } => {
                if bytes.len() < bytes.capacity() - bytes.capacity() / 8 {
                    bytes.shrink_to_fit();
                }
                // The index is there whatever the budget says, and small beside what it is of.
                let all = bytes.capacity() as u64 + index;
                if !held.try_resize(all) {
                    held = memory.hold(all);
                }
                (Place::Memory(bytes), held)
            }
            To::File(file) => (Place::File(file.finish()?), memory.hold(index)),
        };
        Ok(Segment { runs: Run::all(Stored { place, extents, _held: Some(held) }, partitions) })
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
        if held.try_resize(capacity as u64) {
            bytes.reserve_exact(capacity - bytes.len());
            return Ok(());
        }
        let mut file = SpillWriter::create(&self.memory)?;
        for extent in &mut self.extents {
            let begin = file.offset();
            file.write(&bytes[extent.at.start as usize..extent.at.end as usize])?;
            file.end_run()?;
            extent.at = begin..file.offset();
        }
        let begin = file.offset();
        file.write(&bytes[self.run.at.start as usize..])?;
        self.run.at.start = begin;
        self.to = To::File(file);
        Ok(())
    }

    fn end_run(&mut self) -> Result<(), SpillError> {
        let begin = self.run.at.start;
        let (end, checksum) = match &mut self.to {
            To::Memory { bytes, .. } => (bytes.len() as u64, hash::checksum(&bytes[begin as usize..])),
            To::File(file) if self.run.pairs == 0 => (file.offset(), 0),
            To::File(file) => {
                let checksum = file.end_run()?;
                (file.offset(), checksum)
            }
        };
        let next = Extent { partition: self.run.partition, at: end..end, ..Extent::default() };
        let run = std::mem::replace(&mut self.run, next);
        if run.pairs > 0 {
            self.extents.push(Extent { checksum, at: begin..end, ..run });
        }
        Ok(())
    }
}

/// What a segment in memory grows by at most, in bytes.
const GROWTH_BYTES_MAX: usize = 8 << 20;

/// Makes one run for each partition of several segments: equal keys come in the order of the segments.
pub(super) fn merge_segments(
    memory: &Memory,
    mut segments: Vec<Segment>,
    partitions: u32,
) -> Result<Vec<Run>, SpillError> {
    match segments.pop() {
        None => return Ok(vec![Run::default(); partitions as usize]),
        Some(Segment { runs }) if segments.is_empty() => return Ok(runs),
        Some(last) => segments.push(last),
    }
    let bytes: u64 = segments.iter().flat_map(|segment| &segment.runs).map(Run::byte_len).sum();
    let mut writer = SegmentWriter::new(memory, partitions, bytes as usize)?;
    for partition in 0..partitions {
        let runs = segments.iter().map(|segment| segment.runs[partition as usize].clone()).collect();
        let runs = narrow(memory, runs, memory.fan_in())?;
        Merge::new(&runs)?.drain(partition, &mut writer)?;
    }
    Ok(writer.finish()?.runs)
}
