//! The table of the coordinator's timers, and the running times that set one of them.

use std::time::Duration;

use super::time::Time;

/// What the coordinator may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// When to give the job up because nobody is there to work on it.
    NoPeers = 0,
    /// When the attempt that has run longest exceeds its deadline.
    Deadline = 1,
    /// When an idle peer may take the pinned split that has waited longest.
    Locality = 2,
    /// When an attempt becomes a straggler that an idle peer may back up.
    Backup = 3,
    /// When to give the job up because whoever is there may not work on it any more.
    Quarantined = 4,
}

/// When each [`Timer`] goes off, if it is set.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TimerTable {
    times: [Option<Time>; 5],
}

impl TimerTable {
    pub(super) fn set(&mut self, timer: Timer, time: Option<Time>) {
        self.times[timer as usize] = time;
    }

    pub(super) fn get(&self, timer: Timer) -> Option<Time> {
        self.times[timer as usize]
    }

    pub(super) fn is_expired(&self, timer: Timer, now: Time) -> bool {
        self.get(timer).is_some_and(|time| time <= now)
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.times.iter().flatten().min().copied()
    }
}

/// Each power of two is cut into this many buckets, so the median is known to one part in eight.
const BUCKETS_PER_OCTAVE: usize = 8;
const OCTAVE_BITS: u32 = BUCKETS_PER_OCTAVE.trailing_zeros();
const BUCKETS: usize = (64 - OCTAVE_BITS as usize + 1) * BUCKETS_PER_OCTAVE;

/// The median of running times: a histogram with buckets of equal ratio and a cursor that follows its middle, so
/// that one more time costs O(1) and none is kept.
#[derive(Debug)]
pub(super) struct RunningTimes {
    counts: Box<[u32; BUCKETS]>,
    total: u32,
    /// The bucket of the median, and how many times lie in the buckets below it.
    cursor: usize,
    below: u32,
}

impl RunningTimes {
    pub(super) fn new() -> Self {
        Self { counts: Box::new([0; BUCKETS]), total: 0, cursor: 0, below: 0 }
    }

    pub(super) fn clear(&mut self) {
        if self.total > 0 {
            self.counts.fill(0);
            (self.total, self.cursor, self.below) = (0, 0, 0);
        }
    }

    pub(super) fn record(&mut self, time: Duration) {
        let bucket = bucket(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        self.counts[bucket] += 1;
        self.total += 1;
        if bucket < self.cursor {
            self.below += 1;
        }
        let middle = (self.total - 1) / 2;
        while middle < self.below {
            self.cursor -= 1;
            self.below -= self.counts[self.cursor];
        }
        while middle >= self.below + self.counts[self.cursor] {
            self.below += self.counts[self.cursor];
            self.cursor += 1;
        }
    }

    /// The (lower) median in microseconds, up to an eighth too large; `None` before the first time.
    pub(super) fn median_us(&self) -> Option<u64> {
        (self.total > 0).then(|| bucket_end(self.cursor))
    }
}

/// Times below eight microseconds have a bucket each; above, the three bits behind the leading one choose it.
fn bucket(micros: u64) -> usize {
    let octave = (u64::BITS - micros.leading_zeros()).saturating_sub(OCTAVE_BITS + 1);
    octave as usize * BUCKETS_PER_OCTAVE + (micros >> octave) as usize
}

/// The largest time of a bucket.
fn bucket_end(bucket: usize) -> u64 {
    if bucket < 2 * BUCKETS_PER_OCTAVE {
        return bucket as u64;
    }
    let octave = bucket / BUCKETS_PER_OCTAVE - 1;
    let mantissa = (bucket - octave * BUCKETS_PER_OCTAVE) as u64;
    (mantissa << octave) + ((1 << octave) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_earliest_set_timer_is_next() {
        let mut timers = TimerTable::default();
        assert_eq!(timers.next(), None);
        timers.set(Timer::Backup, Some(Time::from_micros(5)));
        timers.set(Timer::NoPeers, Some(Time::from_micros(7)));
        assert_eq!(timers.next(), Some(Time::from_micros(5)));
        assert!(timers.is_expired(Timer::Backup, Time::from_micros(5)));
        timers.set(Timer::Backup, None);
        assert_eq!(timers.next(), timers.get(Timer::NoPeers));
        assert!(!timers.is_expired(Timer::NoPeers, Time::from_micros(6)));
    }

    #[test]
    fn buckets_cover_all_times_without_gaps() {
        for micros in (0..5_000).chain([u64::MAX >> 1, u64::MAX - 1, u64::MAX]) {
            let bucket = bucket(micros);
            let end = bucket_end(bucket);
            assert!(micros <= end && end - micros <= micros / 8, "{micros} in bucket {bucket} up to {end}");
        }
    }

    proptest! {
        #[test]
        fn the_median_agrees_with_sorting(mut times in prop::collection::vec(0..1_000_000_u64, 1..200)) {
            let mut running = RunningTimes::new();
            running.record(Duration::from_secs(9));
            running.clear();
            prop_assert_eq!(running.median_us(), None);
            for &micros in &times {
                running.record(Duration::from_micros(micros));
            }
            times.sort_unstable();
            let median = times[(times.len() - 1) / 2];
            prop_assert_eq!(running.median_us(), Some(bucket_end(bucket(median))));
        }
    }
}
