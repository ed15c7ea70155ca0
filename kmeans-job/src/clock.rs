//! [`Clock`]: how long each iteration takes.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// When the last lap ended.
pub(crate) struct Clock(Mutex<Instant>);

impl Clock {
    /// Begins the first lap.
    pub(crate) fn start() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    /// Seconds of the lap that ends now; the next begins.
    pub(crate) fn lap(&self) -> f64 {
        let now = Instant::now();
        let begun = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), now);
        (now - begun).as_secs_f64()
    }
}
