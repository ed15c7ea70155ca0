//! Distributions of times, as they are printed.

use std::{fmt, time::Duration};

/// Sorted times.
pub struct Distribution(Vec<Duration>);

impl Distribution {
    /// Of these times, of which there must be some.
    ///
    /// # Panics
    /// When there are none.
    pub fn new(times: impl IntoIterator<Item = Duration>) -> Self {
        let mut times: Vec<_> = times.into_iter().collect();
        assert!(!times.is_empty(), "no times");
        times.sort_unstable();
        Self(times)
    }

    /// The median.
    pub fn median(&self) -> Duration {
        self.quantile(0.5)
    }

    /// The time that so much of all stay below, from 0 to 1.
    pub fn quantile(&self, part: f64) -> Duration {
        self.0[((self.0.len() - 1) as f64 * part).round() as usize]
    }

    /// What the numbers are that this prints.
    pub const COLUMNS: &str = "      min   median      p90      p99      max";
}

/// In microseconds: minimum, median, 90th and 99th percentile, maximum.
impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quantiles = [0.0, 0.5, 0.9, 0.99, 1.0].map(|part| micros(self.quantile(part)));
        quantiles.iter().try_for_each(|us| write!(f, " {us:>8.0}"))
    }
}

/// A time in microseconds.
pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
