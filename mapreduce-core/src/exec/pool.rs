//! [`Pool`]: what the tasks of a round work with, kept from one to the next.
//!
//! The buffers of an emitter are large. An allocator that gets one back from each task and gives one to the next keeps more
//! than either needs, one for each thread, and the system has to map and clear their pages again.

use std::sync::{Mutex, PoisonError};

/// What nobody works with at the moment. There is never more than there were tasks at once.
pub(super) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Pool<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Something that was put back, or new.
    pub(super) fn take_or(&self, new: impl FnOnce() -> T) -> T {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        kept.unwrap_or_else(new)
    }

    pub(super) fn put_back(&self, used: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(used);
    }

    /// Gives up what is kept.
    pub(super) fn clear(&self) {
        let kept = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        drop(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_back_is_taken_until_it_is_given_up() {
        let pool = Pool::new();
        pool.put_back(1);
        assert_eq!([pool.take_or(|| 2), pool.take_or(|| 2)], [1, 2]);
        pool.put_back(3);
        pool.clear();
        assert_eq!(pool.take_or(|| 4), 4);
    }
}
