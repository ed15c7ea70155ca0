//! Time as the coordinator knows it: what its driver says it is.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

/// A point in time, in microseconds since a start that the driver chooses (the job's submission, say).
///
/// Take it from a monotonic clock, or make it up in a test. Sums saturate.
///
/// ```
/// use std::time::Duration;
/// use mapreduce_core::schedule::Time;
/// let later = Time::ZERO + Duration::from_millis(3);
/// assert_eq!(later, Time::from_micros(3_000));
/// assert_eq!(later.since(Time::ZERO), Duration::from_millis(3));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The driver's start.
    pub const ZERO: Self = Self(0);

    /// The point `micros` microseconds after the start.
    #[inline]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the start.
    #[inline]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[inline]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    #[inline]
    fn add(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

/// As a duration since the start, such as `1.5s`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Duration::from_micros(self.0), f)
    }
}
