//! [`Shipping`]: how many splits a driver has in memory on their way to peers.

use mapreduce_core::{Held, Memory};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

/// What a split is taken for before the first one was read, in bytes.
const UNKNOWN_BYTES: u64 = 4 << 20;

/// The part of the memory's budget that splits take together: what they leave is not given back to the system at once, and
/// output comes behind them.
const PART: u64 = 4;

/// Lets splits be read, as far as their number and the memory allow. One is always let through: it has to be in memory, and
/// that it is more than there is room for makes others spill the sooner.
pub(super) struct Shipping {
    memory: Memory,
    turns: Semaphore,
    state: Mutex<State>,
    /// A shipment is over.
    over: Notify,
}

struct State {
    shipments: usize,
    /// What they hold.
    bytes: u64,
    /// The bytes of the split that was read last. Those of a dataset are much alike.
    last_bytes: u64,
}

/// A split that is read and sent, until this is dropped.
pub(super) struct Shipment<'a> {
    shipping: &'a Shipping,
    held: Option<Held>,
    _turn: Option<SemaphorePermit<'a>>,
}

impl Shipping {
    /// At most `splits_max` at once, in `memory`.
    pub(super) fn new(splits_max: usize, memory: Memory) -> Self {
        let turns = Semaphore::new(splits_max.clamp(1, Semaphore::MAX_PERMITS));
        let state = Mutex::new(State { shipments: 0, bytes: 0, last_bytes: UNKNOWN_BYTES });
        Self { memory, turns, state, over: Notify::new() }
    }

    /// Waits until another split may be read.
    pub(super) async fn begin(&self) -> Shipment<'_> {
        // The semaphore is never closed.
        let turn = self.turns.acquire().await.ok();
        loop {
            let over = self.over.notified();
            {
                let mut state = self.state();
                let bytes = state.last_bytes;
                let fits = state.bytes + bytes <= self.memory.budget_bytes() / PART;
                let held = match state.shipments {
                    0 => Some(self.memory.hold(bytes)),
                    _ if fits => self.memory.try_hold(bytes),
                    _ => None,
                };
                if held.is_some() {
                    state.shipments += 1;
                    state.bytes += bytes;
                    return Shipment { shipping: self, held, _turn: turn };
                }
            }
            over.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shipment<'_> {
    /// The split was read, and has so many bytes.
    pub(super) fn has(&mut self, bytes: u64) {
        let mut state = self.shipping.state();
        state.bytes = state.bytes - self.bytes() + bytes;
        state.last_bytes = bytes;
        self.held = None;
        self.held = Some(self.shipping.memory.hold(bytes));
    }

    fn bytes(&self) -> u64 {
        self.held.as_ref().map_or(0, Held::bytes)
    }
}

impl Drop for Shipment<'_> {
    fn drop(&mut self) {
        let mut state = self.shipping.state();
        state.shipments -= 1;
        state.bytes -= self.bytes();
        drop(state);
        self.held = None;
        // All of them: there may be room for several, and who finds none waits again.
        self.shipping.over.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::Future, pin::pin, task::Poll};

    /// Whether it may begin now.
    async fn begins<'a>(shipping: &'a Shipping) -> Option<Shipment<'a>> {
        let mut begin = pin!(shipping.begin());
        std::future::poll_fn(|context| match begin.as_mut().poll(context) {
            Poll::Ready(shipment) => Poll::Ready(Some(shipment)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    #[tokio::test]
    async fn splits_wait_for_memory_but_for_one() {
        let memory = Memory::limited(100);
        let shipping = Shipping::new(8, memory.clone());
        let mut first = begins(&shipping).await.unwrap();
        assert_eq!(memory.held_bytes(), UNKNOWN_BYTES, "whatever there is");
        assert!(begins(&shipping).await.is_none());
        first.has(10);
        let second = begins(&shipping).await.unwrap();
        assert_eq!(memory.held_bytes(), 20);
        assert!(begins(&shipping).await.is_none(), "a quarter is for splits");
        let mut third = pin!(shipping.begin());
        let (third, ()) = tokio::join!(third.as_mut(), async { drop(first) });
        assert_eq!(memory.held_bytes(), 20);
        drop((second, third));
        assert_eq!(memory.held_bytes(), 0);
        let others = memory.hold(90);
        let alone = begins(&shipping).await.unwrap();
        assert!(begins(&shipping).await.is_none());
        drop((alone, others));
    }

    #[tokio::test]
    async fn no_more_begin_than_may_be_on_their_way() {
        let shipping = Shipping::new(2, Memory::limited(1 << 30));
        let first = begins(&shipping).await.unwrap();
        let second = begins(&shipping).await;
        assert!(second.is_some() && begins(&shipping).await.is_none());
        drop(first);
        assert!(begins(&shipping).await.is_some());
    }
}
