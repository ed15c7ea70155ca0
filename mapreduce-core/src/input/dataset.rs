//! [`Dataset`]: an input, its plan, and what tasks have cached about its splits.

use super::{Blocks, Input, Records, SplitInfo};
use crate::Error;
use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

/// A handle to an input that jobs run over.
///
/// The cached values of its splits ([`Split::take_cache`](crate::Split::take_cache)) belong to the dataset, not to a
/// job: several jobs over one dataset share them, and they live as long as it does.
///
/// ```
/// use mapreduce_core::{Dataset, ItemSlice};
///
/// let words = ["to", "be"].map(String::from);
/// let data = Dataset::new(ItemSlice::new(&words))?; // borrows
/// assert_eq!(data.splits().len(), 2);
/// # Ok::<(), mapreduce_core::Error>(())
/// ```
pub struct Dataset<I> {
    input: I,
    splits: Vec<SplitInfo>,
    caches: SplitCaches,
}

impl<I: Input> Dataset<I> {
    /// Plans the splits of `input`, in the size that suits it.
    ///
    /// # Errors
    /// When the input is not there or cannot be cut.
    pub fn new(input: I) -> Result<Self, Error> {
        Self::plan(input, None)
    }

    /// Plans splits of about `bytes` bytes each. More and smaller splits balance better and cost more.
    ///
    /// # Errors
    /// When the input is not there or cannot be cut.
    pub fn with_split_bytes(input: I, bytes: u64) -> Result<Self, Error> {
        Self::plan(input, Some(bytes))
    }

    fn plan(input: I, split_bytes: Option<u64>) -> Result<Self, Error> {
        let splits = input.splits(split_bytes)?;
        if u32::try_from(splits.len()).is_err() {
            return Err(Error::TooManySplits { splits: splits.len() as u64 });
        }
        let caches = SplitCaches::new(splits.len());
        Ok(Self { input, splits, caches })
    }

    /// The input.
    pub fn input(&self) -> &I {
        &self.input
    }

    /// The splits, in the order of the input.
    pub fn splits(&self) -> &[SplitInfo] {
        &self.splits
    }

    /// About how many bytes the input has.
    pub fn bytes(&self) -> u64 {
        self.splits.iter().fold(0, |sum, split| sum.saturating_add(split.bytes))
    }

    /// Up to `per_split` records from the first block of every split, at even distances: for estimating the
    /// distribution of keys before a job runs. The same sample every time.
    ///
    /// # Errors
    /// When a split cannot be read.
    pub fn sample<T>(
        &self,
        per_split: usize,
        mut record: impl FnMut(<I::Records as Records>::Record<'_>) -> T,
    ) -> Result<Vec<T>, Error> {
        let mut sample = Vec::new();
        if per_split == 0 {
            return Ok(sample);
        }
        for split in &self.splits {
            let mut blocks = self.open(split)?;
            let Some(block) = blocks.next_block()? else { continue };
            let count = block.into_iter().count();
            let step = count.div_ceil(per_split).max(1);
            // A block is used up by being iterated; read it again rather than keep all its records.
            let mut blocks = self.open(split)?;
            let Some(block) = blocks.next_block()? else { continue };
            sample.extend(block.into_iter().step_by(step).map(&mut record));
        }
        Ok(sample)
    }

    fn open<'a>(&'a self, split: &'a SplitInfo) -> Result<Box<dyn Blocks<I::Records> + 'a>, Error> {
        Ok(self.input.open(split)?)
    }

    pub(crate) fn caches(&self) -> &SplitCaches {
        &self.caches
    }
}

impl<I: fmt::Debug> fmt::Debug for Dataset<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset").field("input", &self.input).field("splits", &self.splits.len()).finish()
    }
}

/// The caches of all splits of a dataset.
pub(crate) struct SplitCaches(Vec<Mutex<Cache>>);

impl SplitCaches {
    fn new(splits: usize) -> Self {
        Self((0..splits).map(|_| Mutex::default()).collect())
    }

    /// Takes the cache of a split for an attempt. A second attempt at the same time finds it empty.
    pub(crate) fn take(&self, split: u32) -> Cache {
        std::mem::take(&mut *self.0[split as usize].lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts back the cache of an attempt that has committed.
    pub(crate) fn put(&self, split: u32, cache: Cache) {
        *self.0[split as usize].lock().unwrap_or_else(PoisonError::into_inner) = cache;
    }
}

/// What tasks have left about one split: one value of each type.
#[derive(Default)]
pub(crate) struct Cache(HashMap<TypeId, Box<dyn Any + Send>>);

impl Cache {
    pub(super) fn take<C: Send + 'static>(&mut self) -> Option<Box<C>> {
        self.0.remove(&TypeId::of::<C>())?.downcast().ok()
    }

    pub(super) fn put<C: Send + 'static>(&mut self, value: Box<C>) {
        self.0.insert(TypeId::of::<C>(), value);
    }
}
