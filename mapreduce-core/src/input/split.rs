//! [`Split`]: what a mapper sees of the split it works on, and [`Progress`]: how far it has come.

use super::{Blocks, Records, SplitCache, SplitInfo};
use crate::{Result, cancel::Attempt};
use std::cell::Cell;

/// The split a map task works on: its blocks, where it lies in the input, and its cache.
pub struct Split<'s, R: Records> {
    blocks: &'s mut dyn Blocks<R>,
    info: &'s SplitInfo,
    cache: &'s mut SplitCache,
    progress: &'s Progress,
    attempt: &'s Attempt,
}

impl<'s, R: Records> Split<'s, R> {
    pub(crate) fn new(
        blocks: &'s mut dyn Blocks<R>,
        info: &'s SplitInfo,
        cache: &'s mut SplitCache,
        progress: &'s Progress,
        attempt: &'s Attempt,
    ) -> Self {
        Self { blocks, info, cache, progress, attempt }
    }

    /// The next block of records, or `None` behind the last one.
    ///
    /// # Errors
    /// When the split cannot be read or the attempt has been cancelled.
    pub fn next_block(&mut self) -> Result<Option<R::Block<'_>>> {
        self.attempt.check()?;
        Ok(self.blocks.next_block()?)
    }

    /// The index of the split's first record in the whole input. `None` where the input cannot tell: lines of text.
    pub fn first_record(&self) -> Option<u64> {
        self.info.first_record
    }

    /// Where to note how far the mapper has come; an error message names the record noted last. The default
    /// [`map_split`](crate::Mapper::map_split) does this for every record.
    pub fn progress(&self) -> &'s Progress {
        self.progress
    }

    /// Takes what an earlier task on this split of the dataset has left for its successors, if it is still there.
    ///
    /// A cache is only ever a shortcut: it may be gone, as when an attempt has failed or the split is worked on
    /// elsewhere, and the mapper must then come to the same result without it. There is one entry per
    /// type, so that different jobs over one dataset do not disturb each other.
    pub fn take_cache<C: Send + 'static>(&mut self) -> Option<Box<C>> {
        self.cache.take()
    }

    /// Leaves `value` for the next task on this split. It is kept only if this attempt commits.
    ///
    /// It is counted nowhere: for what is small, whatever the split. Else see
    /// [`put_cache_of_bytes`](Self::put_cache_of_bytes).
    pub fn put_cache<C: Send + 'static>(&mut self, value: Box<C>) {
        self.cache.put(value, 0);
    }

    /// As [`put_cache`](Self::put_cache), for a value that takes about `bytes` bytes of memory. Those count in the
    /// [`Memory`](crate::Memory) of the node; where it has no room for them, the value is dropped.
    pub fn put_cache_of_bytes<C: Send + 'static>(&mut self, value: Box<C>, bytes: u64) {
        self.cache.put(value, bytes);
    }
}

/// How far a task has come in its split.
#[derive(Debug, Default)]
pub struct Progress {
    records: Cell<u64>,
}

impl Progress {
    /// Notes that the next record is begun.
    pub fn record(&self) {
        self.records.set(self.records.get() + 1);
    }

    /// Notes that `n` records are begun at once: a block.
    pub fn records(&self, n: u64) {
        self.records.set(self.records.get() + n);
    }

    /// How many records have been begun.
    pub fn begun(&self) -> u64 {
        self.records.get()
    }
}
