//! [`Cancel`]: stopping a job from outside, and how its attempts learn of it.

use crate::Result;
use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Stops the jobs it was given to, from any thread: a signal handler, a user interface, a deadline.
///
/// Clones are the same token. A job stops at its tasks' next block or emitted pair; code in a mapper or reducer that
/// does neither for long is not interrupted. The job then ends with [`Error::Cancelled`](crate::Error::Cancelled)
/// and nothing of its output appears.
///
/// ```
/// use mapreduce_core::Cancel;
///
/// let cancel = Cancel::new();
/// let token = cancel.clone();
/// std::thread::spawn(move || token.cancel()).join().unwrap();
/// assert!(cancel.is_cancelled());
/// ```
#[derive(Clone, Default)]
pub struct Cancel(Arc<State>);

#[derive(Default)]
struct State {
    cancelled: AtomicBool,
    wakers: Mutex<Wakers>,
}

#[derive(Default)]
struct Wakers {
    next: u64,
    waiting: Vec<(u64, Box<dyn Fn() + Send>)>,
}

impl Cancel {
    /// A token that has not been used.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the jobs that were given this token, and those that will be.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
        for (_, wake) in &self.wakers().waiting {
            wake();
        }
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// Calls `wake` when the token is cancelled, until the registration is dropped. At once if it already is.
    pub(crate) fn on_cancel(&self, wake: impl Fn() + Send + 'static) -> Registration<'_> {
        let mut wakers = self.wakers();
        let id = wakers.next;
        wakers.next += 1;
        if self.is_cancelled() {
            wake();
        }
        wakers.waiting.push((id, Box::new(wake)));
        Registration { cancel: self, id }
    }

    fn wakers(&self) -> std::sync::MutexGuard<'_, Wakers> {
        self.0.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel").field("cancelled", &self.is_cancelled()).finish()
    }
}

/// Keeps a waker registered.
pub(crate) struct Registration<'a> {
    cancel: &'a Cancel,
    id: u64,
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        self.cancel.wakers().waiting.retain(|(id, _)| *id != self.id);
    }
}

/// Whether one attempt is still wanted: its job may be cancelled, or the attempt alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempt {
    job: Cancel,
    cancelled: Arc<AtomicBool>,
}

impl Attempt {
    pub(crate) fn of(job: &Cancel) -> Self {
        Self { job: job.clone(), cancelled: Arc::default() }
    }

    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || self.job.0.cancelled.load(Ordering::Relaxed)
    }

    /// An error if the attempt is no longer wanted.
    #[inline]
    pub(crate) fn check(&self) -> Result {
        if self.is_cancelled() { Err(Box::new(AttemptCancelled)) } else { Ok(()) }
    }
}

/// What a cancelled attempt's emit and `next_block` answer.
#[derive(Debug, thiserror::Error)]
#[error("the attempt has been cancelled")]
pub(crate) struct AttemptCancelled;
