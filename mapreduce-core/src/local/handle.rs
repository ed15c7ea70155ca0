//! [`Handle`]: a job that runs in the background.

use crate::{Cancel, Error, exec::panic_message, schedule::Event};
use std::{
    sync::mpsc::{self, Receiver, SyncSender},
    thread::{self, JoinHandle},
};

/// Events kept for a reader that is slower than the job. Later ones are dropped.
const EVENTS_KEPT: usize = 65_536;

/// A submitted job. Dropping the handle leaves the job running to its end.
#[derive(Debug)]
pub struct Handle<T> {
    thread: JoinHandle<Result<T, Error>>,
    events: Receiver<Event>,
    cancel: Cancel,
}

impl<T: Send + 'static> Handle<T> {
    /// Starts `job` on a thread of its own, which drives it but does none of its work.
    pub(super) fn spawn(
        cancel: Cancel,
        job: impl FnOnce(&mut dyn FnMut(Event)) -> Result<T, Error> + Send + 'static,
    ) -> Result<Self, Error> {
        let (sender, events): (SyncSender<Event>, _) = mpsc::sync_channel(EVENTS_KEPT);
        let thread = thread::Builder::new()
            .name("mapreduce-driver".to_string())
            .spawn(move || {
                job(&mut |event| {
                    // Nobody has to listen, and nobody who does not may hold up the job.
                    let _ = sender.try_send(event);
                })
            })
            .map_err(|error| Error::Threads { threads: 1, message: error.to_string() })?;
        Ok(Self { thread, events, cancel })
    }

    /// What happens in the job, as it happens; ends with the job. If 65 536 events wait to be read, further ones are
    /// dropped: the outcome is what [`wait`](Self::wait) gives.
    pub fn events(&self) -> Events<'_> {
        Events(&self.events)
    }

    /// Asks the job to stop; [`wait`](Self::wait) then gives [`Error::Cancelled`], unless it was done before.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Whether the job has ended, so that [`wait`](Self::wait) would not wait.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the job to end.
    ///
    /// # Errors
    /// What the job failed with.
    pub fn wait(self) -> Result<T, Error> {
        match self.thread.join() {
            Ok(result) => result,
            Err(panic) => Err(Error::DriverPanicked { message: panic_message(&*panic) }),
        }
    }
}

/// The events of a job; see [`Handle::events`]. Waits for the next one, and ends with the job.
#[derive(Debug)]
pub struct Events<'h>(&'h Receiver<Event>);

impl Iterator for Events<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.0.recv().ok()
    }
}
