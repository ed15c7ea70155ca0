//! [`DatasetOnPool`]: what a pool knows of a dataset between jobs. It goes with the dataset, and peers are told then.

use super::hub::{Hub, WeakHub};
use crate::wire::message::Command;
use mapreduce_core::{Dataset, Error, Input, ReadError, schedule::PeerId};
use rayon::{ThreadPool, prelude::*};
use std::{
    collections::BTreeMap,
    sync::{Mutex, OnceLock, PoisonError},
};

/// Which peer has which split, and what the files of splits are known by.
pub(super) struct DatasetOnPool {
    /// A program may keep a dataset for longer than the pool.
    hub: WeakHub,
    dataset: u64,
    /// By split. A peer that is lost and comes back has another number: what it had is gone.
    pins: Mutex<BTreeMap<u32, PeerId>>,
    /// Of each split, if peers read the input themselves.
    fingerprints: OnceLock<Vec<u64>>,
}

impl DatasetOnPool {
    pub(super) fn new(hub: &Hub, dataset: u64) -> Self {
        Self { hub: hub.downgrade(), dataset, pins: Mutex::default(), fingerprints: OnceLock::new() }
    }

    /// Looks at the files of a dataset on shared storage, once.
    pub(super) fn take_fingerprints<I: Input>(
        &self,
        data: &Dataset<I>,
        threads: &ThreadPool,
    ) -> Result<(), Error> {
        let Some(files) = data.shared_files().filter(|_| self.fingerprints.get().is_none()) else {
            return Ok(());
        };
        let fingerprint = |split| files.fingerprint(split);
        let fingerprints = threads
            .install(|| data.splits().par_iter().map(fingerprint).collect::<Result<_, ReadError>>())?;
        // Another job over the dataset may have come to the same.
        let _ = self.fingerprints.set(fingerprints);
        Ok(())
    }

    /// What the files of a split must have, if peers read them.
    pub(super) fn fingerprint(&self, split: u32) -> Option<u64> {
        self.fingerprints.get()?.get(split as usize).copied()
    }

    /// Where splits are cached.
    pub(super) fn pins(&self) -> impl Iterator<Item = (u32, PeerId)> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner).clone().into_iter()
    }

    /// Remembers where splits are cached.
    pub(super) fn keep_pins(&self, pins: impl Iterator<Item = (u32, PeerId)>) {
        *self.pins.lock().unwrap_or_else(PoisonError::into_inner) = pins.collect();
    }
}

impl Drop for DatasetOnPool {
    fn drop(&mut self) {
        if let Some(hub) = self.hub.upgrade() {
            hub.send_to_all(&Command::DropDataset { dataset: self.dataset });
        }
    }
}
