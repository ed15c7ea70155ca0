//! [`Handle`]: a job that runs in the background.

use crate::{Cancel, Error, exec::panic_message, schedule::Event};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver},
    },
    thread::{self, JoinHandle},
};

/// Events kept for a reader that is slower than the job. Later ones are dropped.
const EVENTS_KEPT: usize = 65_536;

/// A submitted job. Dropping the handle leaves the job running to its end.
pub struct Handle<T> {
    thread: JoinHandle<Result<T, Error>>,
    events: Receiver<Event>,
    /// Events that wait to be read. A channel that is bounded itself takes the memory for all of them at once, some
    /// megabytes a job.
    waiting: Arc<AtomicUsize>,
    cancel: Cancel,
    /// Whether the calling thread is one that the job may need.
    is_own_thread: Box<dyn Fn() -> bool + Send + Sync>,
}

impl<T: Send + 'static> Handle<T> {
    /// Starts `job` on a thread of its own, which drives it but does none of its work.
    pub(super) fn spawn(
        is_own_thread: impl Fn() -> bool + Send + Sync + 'static,
        cancel: Cancel,
        job: impl FnOnce(&mut dyn FnMut(Event)) -> Result<T, Error> + Send + 'static,
    ) -> Result<Self, Error> {
        let (sender, events) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let sent = waiting.clone();
        let thread = thread::Builder::new()
            .name("mapreduce-driver".to_string())
            .spawn(move || {
                job(&mut |event| {
                    // Nobody has to listen, and nobody who does not may hold up the job.
                    if sent.load(Ordering::Relaxed) < EVENTS_KEPT {
                        sent.fetch_add(1, Ordering::Relaxed);
                        let _ = sender.send(event);
                    }
                })
            })
            .map_err(|error| Error::Threads { threads: 1, message: error.to_string() })?;
        Ok(Self { thread, events, waiting, cancel, is_own_thread: Box::new(is_own_thread) })
    }

    /// What happens in the job, as it happens; ends with the job. If 65 536 events wait to be read, further ones are
    /// dropped: the outcome is what [`wait`](Self::wait) gives.
    pub fn events(&self) -> Events<'_> {
        Events { events: &self.events, waiting: &self.waiting }
    }

    /// Asks this job to stop; [`wait`](Self::wait) then gives [`Error::Cancelled`], unless it was done before. Other
    /// jobs that were given the same [`Options::cancel`](crate::Options::cancel) go on.
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
    /// What the job failed with, and [`Error::Reentrant`] from one of the threads that work on it, unless it is
    /// [finished](Self::is_finished): they would wait for each other. The job goes on.
    pub fn wait(self) -> Result<T, Error> {
        if (self.is_own_thread)() && !self.is_finished() {
            return Err(Error::Reentrant);
        }
        match self.thread.join() {
            Ok(result) => result,
            Err(panic) => Err(Error::DriverPanicked { message: panic_message(&*panic) }),
        }
    }
}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("finished", &self.thread.is_finished()).finish_non_exhaustive()
    }
}

/// The events of a job; see [`Handle::events`]. Waits for the next one, and ends with the job.
#[derive(Debug)]
pub struct Events<'h> {
    events: &'h Receiver<Event>,
    waiting: &'h AtomicUsize,
}

impl Iterator for Events<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let event = self.events.recv().ok()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::PeerId;

    #[test]
    fn events_that_nobody_reads_are_dropped_and_do_not_hold_up_the_job() {
        let (go_on, may_go_on) = mpsc::channel();
        let send = |events: &mut dyn FnMut(Event), n: usize| {
            (0..n as u64).for_each(|i| events(Event::PeerJoined { peer: PeerId(i) }));
        };
        let (filled, is_filled) = mpsc::channel();
        let handle = Handle::spawn(
            || false,
            Cancel::new(),
            move |events| {
                send(events, EVENTS_KEPT + 10);
                filled.send(()).unwrap();
                may_go_on.recv().unwrap();
                send(events, 10);
                filled.send(()).unwrap();
                Ok(())
            },
        )
        .unwrap();
        is_filled.recv().unwrap();
        let read: Vec<Event> = handle.events().take(5).collect();
        assert_eq!(read.last(), Some(&Event::PeerJoined { peer: PeerId(4) }));
        // What was read has made room.
        go_on.send(()).unwrap();
        is_filled.recv().unwrap();
        assert_eq!(handle.events().count(), EVENTS_KEPT);
        handle.wait().unwrap();
    }
}
