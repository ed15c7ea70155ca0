//! [`Budget`]: how many bytes of fetched data a node holds at once.

use std::{fmt, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that one permit of the semaphore stands for. What is fetched is rounded up to it.
const UNIT_BYTES: u64 = 1 << 10;

/// How many fetches have streams open at once. A connection allows twice as many streams
/// in each direction, so none of them waits for a stream that another one holds.
const FETCHES_MAX: usize = 32;

/// Bytes of fetched data that a node holds at once, over all transfers. Clones share it.
///
/// Whoever comes first is served first, so a large transfer is not starved by small ones. One that is larger than the
/// whole budget is let in when it is alone, and has all of it.
#[derive(Clone)]
pub(crate) struct Budget {
    units: Arc<Semaphore>,
    units_max: u32,
    fetches: Arc<Semaphore>,
}

/// A part of a budget, which is given back when this is dropped. Whoever has one must not wait for another fetch with the
/// same budget: two that do so would wait for each other.
pub(crate) struct Portion(Option<OwnedSemaphorePermit>);

impl Budget {
    /// A budget of `bytes`, of which up to 4 TiB count.
    pub(crate) fn new(bytes: u64) -> Self {
        let permits_max = u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
        let units_max = units(bytes).clamp(1, permits_max);
        Self {
            units: Arc::new(Semaphore::new(units_max as usize)),
            units_max,
            fetches: Arc::new(Semaphore::new(FETCHES_MAX)),
        }
    }

    /// Bytes that are not taken.
    pub(crate) fn free_bytes(&self) -> u64 {
        self.units.available_permits() as u64 * UNIT_BYTES
    }

    /// Waits until another fetch may open streams, in the order of the calls.
    pub(super) async fn turn(&self) -> OwnedSemaphorePermit {
        self.fetches.clone().acquire_owned().await.expect("the semaphore is never closed")
    }

    /// Waits for as many bytes as the parts have in sum, in the order of the calls, and gives each its own.
    pub(super) async fn acquire(&self, parts: &[u64]) -> Vec<Portion> {
        let sum = parts.iter().fold(0u32, |sum, &bytes| sum.saturating_add(units(bytes)));
        let permit = match sum.min(self.units_max) {
            // Nothing does not have to queue.
            0 => None,
            units => {
                let units = self.units.clone().acquire_many_owned(units).await;
                Some(units.expect("the semaphore is never closed"))
            }
        };
        let mut whole = Portion(permit);
        parts.iter().map(|&bytes| whole.take(units(bytes))).collect()
    }
}

impl Portion {
    /// How many bytes it is.
    pub(super) fn bytes(&self) -> u64 {
        self.0.as_ref().map_or(0, |permit| permit.num_permits() as u64 * UNIT_BYTES)
    }

    /// Takes as many units out of this as there are, at most `units`.
    fn take(&mut self, units: u32) -> Self {
        let Some(permit) = &mut self.0 else { return Self(None) };
        Self(permit.split(permit.num_permits().min(units as usize)))
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("free_bytes", &self.free_bytes()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Portion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Portion({} bytes)", self.bytes())
    }
}
