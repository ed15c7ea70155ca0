//! [`PartPiece`]: a piece of what an attempt writes, made while others are.

use super::format::Lines;
use crate::{
    Datum, Memory, Result,
    exec::{PairWriter, Run, SegmentWriter},
};

/// Lines for a part file and for side outputs: in memory if they fit, so that it does not matter how many a reducer emits.
pub(crate) struct PartPiece {
    lines: Lines,
    /// Lines of the part file, and how many there are.
    buffer: Vec<u8>,
    records: u64,
    segment: SegmentWriter,
}

/// Bytes of lines that are put away together.
const CHUNK_BYTES: usize = 64 << 10;

/// What a piece has, in order.
pub(super) enum Chunk<'a> {
    /// So many lines of the part file.
    Lines(u64, &'a [u8]),
    /// A line for the side output of that number.
    Side(u8, &'a [u8]),
}

impl PartPiece {
    pub(super) fn new(lines: Lines, memory: &Memory) -> Result<Self> {
        Ok(Self { lines, buffer: Vec::new(), records: 0, segment: SegmentWriter::new(memory, 1, 0)? })
    }

    /// Gives all that was written to `take`.
    pub(super) fn finish(mut self, mut take: impl FnMut(Chunk<'_>) -> Result) -> Result {
        self.put_away()?;
        let run: Run = self.segment.finish()?.into_run();
        let mut reader = run.reader();
        while let Some((key, bytes)) = reader.next_pair()? {
            take(match (<[u8; 8]>::try_from(key), key) {
                (Ok(records), _) => Chunk::Lines(u64::from_le_bytes(records), bytes),
                (_, &[output]) => Chunk::Side(output, bytes),
                _ => continue,
            })?;
        }
        Ok(())
    }

    fn put_away(&mut self) -> Result {
        let records = std::mem::take(&mut self.records);
        self.segment.push(0, &records.to_le_bytes(), &self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<K: ?Sized + Datum, V: ?Sized + Datum> PairWriter<K, V> for PartPiece {
    #[inline]
    fn write(&mut self, key: &K, value: &V) -> Result {
        self.lines.append(&mut self.buffer, key, value)?;
        self.records += 1;
        if self.buffer.len() < CHUNK_BYTES { Ok(()) } else { self.put_away() }
    }

    fn side(&mut self, output: u8, line: &[u8]) -> Result {
        Ok(self.segment.push(0, &[output], line)?)
    }
}
