//! [`Splits`]: what a peer keeps of datasets for later tasks: bytes that drivers have sent, and what mappers have put into
//! the caches of splits.

use crate::transfer;
use mapreduce_core::{Held, input::SplitCache};
use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The splits of all sessions.
///
/// Their bytes are bounded; those that were used longest ago go first. A split that an attempt uses stays, so the bound
/// may be exceeded by what is in use. A dataset has to be [opened](Splits::open) for anything of it to be kept.
pub(super) struct Splits {
    bytes_max: u64,
    state: Mutex<State>,
}

/// A dataset: the epoch of the driver's session, and the driver's number for it.
pub(super) type DatasetKey = (u64, u64);

/// The encoded blocks of a split.
#[derive(Debug)]
pub(super) struct SplitBytes {
    pub(super) blocks: Vec<Vec<u8>>,
    _counted: Counted,
}

/// Where the bytes of a split count.
#[derive(Debug)]
#[expect(dead_code, reason = "they are kept for as long as the bytes are")]
pub(super) enum Counted {
    /// In the memory of the node.
    InMemory(Held),
    /// In what is fetched.
    Fetched(transfer::Portion),
}

/// What mappers have left about a split. Dropping it runs their code, so let that happen on a thread for it.
#[derive(Debug, Default)]
pub(super) struct Leftovers(pub(super) SplitCache);

#[derive(Default)]
struct State {
    datasets: HashMap<DatasetKey, Dataset>,
    /// The splits that have bytes here, the one that was used longest ago first.
    by_use: BTreeMap<u64, (DatasetKey, u32)>,
    /// Counts uses.
    uses: u64,
    bytes: u64,
}

#[derive(Default)]
struct Dataset {
    bytes: HashMap<u32, Kept>,
    leftovers: HashMap<u32, Leftovers>,
}

struct Kept {
    bytes: Arc<SplitBytes>,
    used: u64,
}

impl Splits {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, state: Mutex::default() }
    }

    /// Makes room for a dataset.
    pub(super) fn open(&self, dataset: DatasetKey) {
        self.state().datasets.entry(dataset).or_default();
    }

    /// The bytes of a split, if they are here.
    pub(super) fn bytes(&self, dataset: DatasetKey, split: u32) -> Option<Arc<SplitBytes>> {
        let State { datasets, by_use, uses, .. } = &mut *self.state();
        let kept = datasets.get_mut(&dataset)?.bytes.get_mut(&split)?;
        by_use.remove(&kept.used);
        *uses += 1;
        kept.used = *uses;
        by_use.insert(*uses, (dataset, split));
        Some(kept.bytes.clone())
    }

    /// Keeps the bytes of a split, in place of those that are here.
    pub(super) fn keep_bytes(&self, dataset: DatasetKey, split: u32, bytes: Arc<SplitBytes>) {
        let mut state = self.state();
        if !state.datasets.contains_key(&dataset) {
            return;
        }
        state.forget(dataset, split);
        let State { datasets, by_use, uses, bytes: total } = &mut *state;
        *uses += 1;
        by_use.insert(*uses, (dataset, split));
        *total += bytes.len();
        datasets.entry(dataset).or_default().bytes.insert(split, Kept { bytes, used: *uses });
        state.trim(self.bytes_max);
    }

    /// Brings the bytes back to their bound: after a split is no longer used.
    pub(super) fn trim(&self) {
        self.state().trim(self.bytes_max);
    }

    /// Takes what mappers have left about a split.
    pub(super) fn take_leftovers(&self, dataset: DatasetKey, split: u32) -> Leftovers {
        let mut state = self.state();
        let dataset = state.datasets.get_mut(&dataset);
        dataset.and_then(|dataset| dataset.leftovers.remove(&split)).unwrap_or_default()
    }

    /// Keeps what mappers have left about a split. Gives back what is to be dropped instead.
    pub(super) fn keep_leftovers(
        &self,
        dataset: DatasetKey,
        split: u32,
        leftovers: Leftovers,
    ) -> Option<Leftovers> {
        match self.state().datasets.get_mut(&dataset) {
            Some(dataset) => dataset.leftovers.insert(split, leftovers),
            None => Some(leftovers),
        }
    }

    /// Forgets a dataset, and gives back what mappers have left about its splits.
    pub(super) fn close(&self, dataset: DatasetKey) -> Vec<Leftovers> {
        self.state().close(dataset)
    }

    /// Forgets all datasets of a session.
    pub(super) fn close_all(&self, epoch: u64) -> Vec<Leftovers> {
        let mut state = self.state();
        let of_session: Vec<_> = state.datasets.keys().copied().filter(|key| key.0 == epoch).collect();
        of_session.into_iter().flat_map(|dataset| state.close(dataset)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code of a job runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget(&mut self, dataset: DatasetKey, split: u32) {
        let kept = self.datasets.get_mut(&dataset).and_then(|dataset| dataset.bytes.remove(&split));
        if let Some(kept) = kept {
            self.by_use.remove(&kept.used);
            self.bytes -= kept.bytes.len();
        }
    }

    fn trim(&mut self, bytes_max: u64) {
        if self.bytes <= bytes_max {
            return;
        }
        let mut excess = self.bytes - bytes_max;
        let mut unwanted = Vec::new();
        for &(dataset, split) in self.by_use.values() {
            let kept = &self.datasets[&dataset].bytes[&split];
            // The other owners are attempts.
            if Arc::strong_count(&kept.bytes) == 1 {
                unwanted.push((dataset, split));
                excess = excess.saturating_sub(kept.bytes.len());
                if excess == 0 {
                    break;
                }
            }
        }
        for (dataset, split) in unwanted {
            self.forget(dataset, split);
        }
    }

    fn close(&mut self, key: DatasetKey) -> Vec<Leftovers> {
        let Some(dataset) = self.datasets.remove(&key) else { return Vec::new() };
        for kept in dataset.bytes.values() {
            self.by_use.remove(&kept.used);
            self.bytes -= kept.bytes.len();
        }
        dataset.leftovers.into_values().collect()
    }
}

impl SplitBytes {
    pub(super) fn new(blocks: Vec<Vec<u8>>, counted: Counted) -> Self {
        Self { blocks, _counted: counted }
    }

    fn len(&self) -> u64 {
        self.blocks.iter().map(|block| block.len() as u64).sum()
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        mem::take(&mut self.0).discard();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mapreduce_core::Memory;

    const DATASET: DatasetKey = (1, 1);

    fn bytes(len: usize) -> Arc<SplitBytes> {
        let held = Memory::limited(u64::MAX).hold(len as u64);
        Arc::new(SplitBytes::new(vec![vec![0; len]], Counted::InMemory(held)))
    }

    fn here(splits: &Splits, dataset: DatasetKey) -> Vec<u32> {
        let state = splits.state();
        let mut here: Vec<_> = state.datasets[&dataset].bytes.keys().copied().collect();
        here.sort_unstable();
        here
    }

    #[test]
    fn the_split_that_was_used_longest_ago_goes_first() {
        let splits = Splits::new(30);
        splits.open(DATASET);
        for split in 0..3 {
            splits.keep_bytes(DATASET, split, bytes(10));
        }
        assert!(splits.bytes(DATASET, 0).is_some());
        splits.keep_bytes(DATASET, 3, bytes(10));
        assert_eq!(here(&splits, DATASET), [0, 2, 3]);
        assert!(splits.bytes(DATASET, 1).is_none());
        splits.keep_bytes(DATASET, 2, bytes(30));
        assert_eq!(
            here(&splits, DATASET),
            [2],
            "a split that is sent again takes the place of the first one"
        );
    }

    #[test]
    fn what_is_in_use_stays_until_it_is_not() {
        let splits = Splits::new(10);
        splits.open(DATASET);
        let used = bytes(10);
        splits.keep_bytes(DATASET, 0, used.clone());
        splits.keep_bytes(DATASET, 1, bytes(5));
        assert_eq!(here(&splits, DATASET), [0]);
        let also = bytes(5);
        splits.keep_bytes(DATASET, 1, also.clone());
        assert_eq!(here(&splits, DATASET), [0, 1]);
        drop(used);
        splits.trim();
        assert_eq!(here(&splits, DATASET), [1]);
        assert_eq!(splits.state().bytes, 5);
    }

    #[test]
    fn nothing_is_kept_of_a_dataset_that_is_closed() {
        let splits = Splits::new(100);
        splits.keep_bytes(DATASET, 0, bytes(1));
        assert!(splits.bytes(DATASET, 0).is_none());
        assert!(splits.keep_leftovers(DATASET, 0, Leftovers::default()).is_some());
        for dataset in [DATASET, (1, 2), (2, 1)] {
            splits.open(dataset);
            splits.keep_bytes(dataset, 0, bytes(1));
            assert!(splits.keep_leftovers(dataset, 0, Leftovers::default()).is_none());
        }
        assert_eq!(splits.close(DATASET).len(), 1);
        assert!(splits.bytes(DATASET, 0).is_none());
        assert_eq!(splits.close_all(1).len(), 1);
        assert!(splits.bytes((1, 2), 0).is_none());
        assert!(splits.bytes((2, 1), 0).is_some(), "of another session");
        assert_eq!(splits.state().by_use.len(), 1);
    }
}
