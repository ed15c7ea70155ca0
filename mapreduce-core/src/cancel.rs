//! [`Cancel`]: stopping a job from outside, and how its driver and its attempts learn of it.

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
/// Clones are the same token. A running task notices when it asks for its next block, has emitted another thousand
/// pairs, or begins another key; code in a mapper or reducer that does none of these for long is not interrupted. The
/// job then ends with [`Error::Cancelled`](crate::Error::Cancelled) and nothing of its output appears.
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
    /// The token that stops this one's job and others too.
    parent: Option<Cancel>,
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
        self.is_set(Ordering::Acquire)
    }

    /// A token that is cancelled with this one, or alone.
    pub(crate) fn child(&self) -> Self {
        Self(Arc::new(State { parent: Some(self.clone()), ..State::default() }))
    }

    fn is_set(&self, ordering: Ordering) -> bool {
        self.0.cancelled.load(ordering)
            || self.0.parent.as_ref().is_some_and(|parent| parent.is_set(ordering))
    }

    /// Calls `wake` when the token is cancelled, until the registration is dropped. At once if it already is.
    ///
    /// For what waits and cannot look at [`is_cancelled`](Self::is_cancelled) meanwhile, such as an
    /// [engine](crate::engine)'s driver. `wake` runs on the thread that cancels, perhaps more than once, and should do
    /// no more than wake somebody up; it must not register with this token, or it waits for itself.
    ///
    /// ```
    /// use mapreduce_core::Cancel;
    /// use std::sync::mpsc;
    ///
    /// let cancel = Cancel::new();
    /// let (wake, woken) = mpsc::channel();
    /// let registration = cancel.on_cancel(move || wake.send(()).unwrap_or(()));
    /// cancel.cancel();
    /// assert!(woken.recv().is_ok());
    /// drop(registration);
    /// ```
    pub fn on_cancel(&self, wake: impl Fn() + Clone + Send + 'static) -> CancelRegistration<'_> {
        let parent = self.0.parent.as_ref().map(|parent| Box::new(parent.on_cancel(wake.clone())));
        let mut wakers = self.wakers();
        let id = wakers.next;
        wakers.next += 1;
        if self.is_cancelled() {
            wake();
        }
        wakers.waiting.push((id, Box::new(wake)));
        CancelRegistration { cancel: self, id, _parent: parent }
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

/// Keeps a waker registered; see [`Cancel::on_cancel`].
#[must_use = "a waker is forgotten when its registration is dropped"]
pub struct CancelRegistration<'a> {
    cancel: &'a Cancel,
    id: u64,
    _parent: Option<Box<CancelRegistration<'a>>>,
}

impl fmt::Debug for CancelRegistration<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelRegistration").field("cancel", self.cancel).finish_non_exhaustive()
    }
}

impl Drop for CancelRegistration<'_> {
    fn drop(&mut self) {
        self.cancel.wakers().waiting.retain(|(id, _)| *id != self.id);
    }
}

/// Whether one attempt is still wanted: its job may be cancelled, or the attempt alone. Clones are the same attempt.
///
/// ```
/// use mapreduce_core::{Cancel, exec::Attempt};
///
/// let job = Cancel::new();
/// let (one, other) = (Attempt::of(&job), Attempt::of(&job));
/// one.cancel();
/// assert!(one.is_cancelled() && !other.is_cancelled());
/// job.cancel();
/// assert!(other.is_cancelled());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Attempt {
    job: Cancel,
    cancelled: Arc<AtomicBool>,
}

impl Attempt {
    /// An attempt that ends with its job. That of [`Attempt::default`] ends alone.
    pub fn of(job: &Cancel) -> Self {
        Self { job: job.clone(), cancelled: Arc::default() }
    }

    /// Asks the attempt to stop; see [`Cancel`] for when it notices.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// Whether the attempt is no longer wanted.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || self.job.is_set(Ordering::Relaxed)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn wakers_are_called_when_the_token_is_used() {
        let cancel = Cancel::new();
        let (woken, is_woken) = mpsc::channel();
        let registration = cancel.on_cancel(move || woken.send(()).unwrap());
        assert!(is_woken.try_recv().is_err());
        cancel.clone().cancel();
        assert!(is_woken.try_recv().is_ok());
        drop(registration);
        // With the waker went the sender.
        cancel.cancel();
        assert_eq!(is_woken.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }

    #[test]
    fn a_waker_that_comes_too_late_is_called_at_once() {
        let cancel = Cancel::new();
        cancel.cancel();
        let (woken, is_woken) = mpsc::channel();
        let _registration = cancel.on_cancel(move || woken.send(()).unwrap());
        assert!(is_woken.try_recv().is_ok());
    }

    #[test]
    fn registrations_end_in_any_order() {
        let cancel = Cancel::new();
        let (woken, is_woken) = mpsc::channel();
        let register = |name| {
            let woken = woken.clone();
            cancel.on_cancel(move || woken.send(name).unwrap())
        };
        let (first, _second, third) = (register(1), register(2), register(3));
        drop((third, first));
        cancel.cancel();
        assert_eq!(is_woken.try_iter().collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_child_ends_with_its_parent_or_alone() {
        let parent = Cancel::new();
        let (one, other) = (parent.child(), parent.child());
        let (woken, is_woken) = mpsc::channel();
        let wake = |name| {
            let woken = woken.clone();
            move || woken.send(name).unwrap()
        };
        let _registrations = (one.on_cancel(wake("one")), other.on_cancel(wake("other")));
        one.cancel();
        assert!(one.is_cancelled() && !other.is_cancelled() && !parent.is_cancelled());
        assert_eq!(is_woken.try_iter().collect::<Vec<_>>(), ["one"]);
        parent.cancel();
        assert!(other.is_cancelled() && Attempt::of(&other).check().is_err());
        assert_eq!(is_woken.try_iter().collect::<Vec<_>>(), ["one", "other"]);
    }

    #[test]
    fn an_attempt_ends_with_its_job_or_alone() {
        let cancel = Cancel::new();
        let (one, other) = (Attempt::of(&cancel), Attempt::of(&cancel));
        one.clone().cancel();
        assert!(one.check().is_err_and(|error| error.is::<AttemptCancelled>()));
        assert!(other.check().is_ok() && !cancel.is_cancelled());
        cancel.cancel();
        assert!(other.is_cancelled() && !Attempt::default().is_cancelled());
    }

    #[test]
    fn a_token_shows_its_state() {
        let cancel = Cancel::new();
        assert_eq!(format!("{cancel:?}"), "Cancel { cancelled: false }");
        cancel.cancel();
        assert_eq!(format!("{cancel:?}"), "Cancel { cancelled: true }");
    }
}
