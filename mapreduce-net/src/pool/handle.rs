//! Jobs on an async [`Pool`]: started in the background, waited for without blocking.

use super::{Driving, Pool};
use mapreduce_core::{
    Cancel, Dataset, Engine, Error, Input, InputOf, Iterated, Iterative, Job, Options, Output, PartFiles, Written,
    schedule::Event,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};
use tokio::sync::{mpsc, oneshot};

/// Events kept for a reader that is slower than the job. Later ones are dropped.
const EVENTS_KEPT: usize = 65_536;

/// A job that was submitted to a [`Pool`]. Dropping the handle leaves the job running to its end.
#[derive(Debug)]
pub struct JobHandle<T> {
    result: oneshot::Receiver<Result<T, Error>>,
    events: mpsc::Receiver<Event>,
    cancel: Cancel,
}

impl<T> JobHandle<T> {
    /// What happens in the job next; `None` when it has ended. Cancel-safe. If 65 536 events wait to be read, further ones
    /// are dropped: the outcome is what [`wait`](Self::wait) gives.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Asks this job to stop; [`wait`](Self::wait) then gives [`Error::Cancelled`], unless it was done before.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Waits for the job to end.
    ///
    /// # Errors
    /// What the job failed with.
    pub async fn wait(self) -> Result<T, Error> {
        let gone = |_| Err(Error::DriverPanicked { message: "it left no result".into() });
        self.result.await.unwrap_or_else(gone)
    }
}

/// Drives jobs on a thread of their own. (An async function must not: it would hold up its runtime.)
#[derive(Clone)]
struct Driver(Pool);

impl Engine for Driver {
    type Rounds<'e> = Driving<'e>;

    fn begin<'e>(
        &'e self,
        job: &'static str,
        options: &'e Options,
        events: &'e mut dyn FnMut(Event),
    ) -> Result<Driving<'e>, Error> {
        self.0.drive(job, options, events)
    }

    fn is_own_thread(&self) -> bool {
        self.0.is_own_thread()
    }
}
