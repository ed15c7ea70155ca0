//! The emitter of a map task whose pairs are not reduced: they go into one run as they come.

use super::{
    map::{Collect, TaskContext},
    segment::{SegmentWriter, Segments},
    spill::SpillError,
};
use crate::{Datum, Emit, Key, Result};

/// Writes each pair to the run of one partition.
pub(super) struct Through<'a> {
    task: TaskContext<'a>,
    segments: Segments<'a>,
    writer: SegmentWriter,
    partition: u32,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl<'a> Through<'a> {
    /// The partitions are ranges of splits: all pairs of split `index` of `splits` go to one.
    pub(super) fn new(
        task: TaskContext<'a>,
        segments: Segments<'a>,
        index: u32,
        splits: u32,
    ) -> Result<Self, SpillError> {
        let partition = u64::from(index) * u64::from(segments.partitions()) / u64::from(splits.max(1));
        let writer = segments.begin(0)?;
        let (key, value) = (Vec::new(), Vec::new());
        Ok(Self { task, segments, writer, partition: partition as u32, key, value })
    }

    fn take<K: ?Sized + Key, V: ?Sized + Datum>(&mut self, key: &K, value: &V) -> Result {
        self.value.clear();
        value.encode(&mut self.value)?;
        Ok(self.writer.push(self.partition, key.encoded(&mut self.key), &self.value)?)
    }
}

impl<K: ?Sized + Key, V: ?Sized + Datum> Emit<K, V> for Through<'_> {
    #[inline]
    fn emit(&mut self, key: &K, value: &V) -> Result {
        let taken = self.take(key, value);
        self.task.emitted(taken)
    }

    fn count(&mut self, counter: &'static str, n: u64) {
        self.task.counters.add(counter, n);
    }

    fn side(&mut self, output: &'static str, line: &[u8]) -> Result {
        self.task.side(output, line)
    }
}

impl<'a> Collect<'a> for Through<'a> {
    fn finish(self) -> Result<(Segments<'a>, TaskContext<'a>)> {
        let Self { task, mut segments, writer, .. } = self;
        segments.end(writer)?;
        Ok((segments, task))
    }
}
