//! [`Outputs`]: what finished attempts have left, until their round ends; and [`Shelves`], where it is found by driver.

use crate::NodeId;
use mapreduce_core::{
    exec::{MapOutput, Run},
    schedule::Round,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The outputs of all drivers. A driver has one shelf: that of its newest session.
#[derive(Default)]
pub(super) struct Shelves(Mutex<HashMap<NodeId, Arc<Outputs>>>);

/// The outputs of one session, by round.
#[derive(Default)]
pub(super) struct Outputs(Mutex<HashMap<(u64, Round), OfRound>>);

/// Split or partition, and attempt number.
type Which = (u32, u32);

#[derive(Default)]
struct OfRound {
    maps: HashMap<Which, Arc<MapOutput>>,
    reduces: HashMap<Which, Arc<Run>>,
}

impl Shelves {
    /// A new shelf for `driver`; one that it has is no longer found.
    pub(super) fn add(&self, driver: NodeId) -> Arc<Outputs> {
        let outputs = Arc::<Outputs>::default();
        lock(&self.0).insert(driver, outputs.clone());
        outputs
    }

    /// Takes a shelf away, if it is still that of the driver.
    pub(super) fn remove(&self, driver: NodeId, outputs: &Arc<Outputs>) {
        let mut shelves = lock(&self.0);
        if shelves.get(&driver).is_some_and(|shelf| Arc::ptr_eq(shelf, outputs)) {
            shelves.remove(&driver);
        }
    }

    pub(super) fn of(&self, driver: NodeId) -> Option<Arc<Outputs>> {
        lock(&self.0).get(&driver).cloned()
    }
}

impl Outputs {
    /// Makes room for the outputs of a round. Those of other rounds are not kept.
    pub(super) fn begin(&self, job: u64, round: Round) {
        lock(&self.0).entry((job, round)).or_default();
    }

    /// Drops the outputs of a round.
    pub(super) fn end(&self, job: u64, round: Round) {
        lock(&self.0).remove(&(job, round));
    }

    pub(super) fn put_map(&self, job: u64, round: Round, which: Which, output: Arc<MapOutput>) {
        if let Some(of_round) = lock(&self.0).get_mut(&(job, round)) {
            of_round.maps.insert(which, output);
        }
    }

    pub(super) fn put_reduced(&self, job: u64, round: Round, which: Which, run: Arc<Run>) {
        if let Some(of_round) = lock(&self.0).get_mut(&(job, round)) {
            of_round.reduces.insert(which, run);
        }
    }

    pub(super) fn map(&self, job: u64, round: Round, which: Which) -> Option<Arc<MapOutput>> {
        lock(&self.0).get(&(job, round))?.maps.get(&which).cloned()
    }

    pub(super) fn reduced(&self, job: u64, round: Round, which: Which) -> Option<Arc<Run>> {
        lock(&self.0).get(&(job, round))?.reduces.get(&which).cloned()
    }

    /// Drops the output of a map attempt.
    pub(super) fn discard_map(&self, job: u64, round: Round, which: Which) {
        if let Some(of_round) = lock(&self.0).get_mut(&(job, round)) {
            of_round.maps.remove(&which);
        }
    }

    /// Drops the output of a reduce attempt.
    pub(super) fn discard_reduced(&self, job: u64, round: Round, which: Which) {
        if let Some(of_round) = lock(&self.0).get_mut(&(job, round)) {
            of_round.reduces.remove(&which);
        }
    }
}

/// No code of a job runs under these locks, and every change is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_live_as_long_as_their_round() {
        let outputs = Outputs::default();
        let run = || Arc::new(Run::default());
        outputs.put_reduced(1, Round(1), (0, 1), run());
        assert!(outputs.reduced(1, Round(1), (0, 1)).is_none(), "the round was not begun");
        outputs.begin(1, Round(1));
        outputs.put_reduced(1, Round(1), (0, 1), run());
        assert!(outputs.reduced(1, Round(1), (0, 1)).is_some());
        assert!(outputs.reduced(2, Round(1), (0, 1)).is_none());
        outputs.discard_reduced(1, Round(1), (0, 1));
        assert!(outputs.reduced(1, Round(1), (0, 1)).is_none());
        outputs.put_reduced(1, Round(1), (0, 2), run());
        outputs.end(1, Round(1));
        assert!(outputs.reduced(1, Round(1), (0, 2)).is_none());
    }

    #[test]
    fn a_newer_session_of_a_driver_is_not_robbed_by_the_end_of_the_older() {
        let (shelves, driver) = (Shelves::default(), NodeId::from_bytes([1; 16]));
        let old = shelves.add(driver);
        let new = shelves.add(driver);
        shelves.remove(driver, &old);
        assert!(shelves.of(driver).is_some_and(|found| Arc::ptr_eq(&found, &new)));
        shelves.remove(driver, &new);
        assert!(shelves.of(driver).is_none());
    }
}
