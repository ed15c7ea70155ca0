//! [`Pace`]: how many attempts a peer is handed at a time.
//!
//! While one attempt runs on a thread, others wait at the peer, so that the thread does not idle for a round trip when it
//! is done. What waits at one peer cannot be taken by another one that is done with its own, so there is no more of it
//! than pays: many short attempts, few long ones.

/// Attempts of a thread when they are short.
const DEPTH_SHORT: u32 = 8;
/// Attempts of a thread when they are long, or not known yet.
const DEPTH_LONG: u32 = 2;
/// Microseconds of running time below which attempts become short, and above which they become long.
const SHORT_BELOW_US: u64 = 2_000;
const LONG_ABOVE_US: u64 = 4_000;
/// The newest attempt counts one part in so many.
const MEMORY: u64 = 8;

/// How many attempts are handed out for each thread of a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    depth: u32,
    mean_us: Option<u64>,
    /// A deadline counts from when an attempt is handed out: it must not wait for others first.
    fixed: bool,
}

impl Pace {
    /// At the start. With a deadline every attempt gets a thread at once.
    pub(super) fn new(has_deadline: bool) -> Self {
        let depth = if has_deadline { 1 } else { DEPTH_LONG };
        Self { depth, mean_us: None, fixed: has_deadline }
    }

    /// Attempts for a peer of so many threads, which grants so many.
    pub(super) fn slots(&self, granted: u32, threads: u32) -> u32 {
        granted.min(threads.saturating_mul(self.depth))
    }

    /// Takes note of the running time of an attempt. Answers whether the slots of the peers change.
    pub(super) fn observe(&mut self, run_us: u64) -> bool {
        let mean = self
            .mean_us
            .map_or(run_us, |mean| mean.saturating_mul(MEMORY - 1).saturating_add(run_us) / MEMORY);
        self.mean_us = Some(mean);
        let depth = match mean {
            _ if self.fixed => return false,
            ..SHORT_BELOW_US => DEPTH_SHORT,
            LONG_ABOVE_US.. => DEPTH_LONG,
            _ => self.depth,
        };
        std::mem::replace(&mut self.depth, depth) != depth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_attempts_are_handed_out_more_at_a_time() {
        let mut pace = Pace::new(false);
        assert_eq!(pace.slots(100, 2), 4);
        assert!(pace.observe(100));
        assert_eq!((pace.slots(100, 2), pace.slots(5, 2)), (16, 5));
        // One slow attempt among many does not change it, a few do.
        assert!(!pace.observe(10_000));
        assert!((0..10).any(|_| pace.observe(10_000)));
        assert_eq!(pace.slots(100, 2), 4);
        // In between it stays as it is.
        assert!((0..100).all(|_| !pace.observe(3_000)));
    }

    #[test]
    fn a_peer_that_tells_nonsense_does_no_harm() {
        let mut pace = Pace::new(false);
        for _ in 0..3 {
            pace.observe(u64::MAX);
        }
        assert_eq!(pace.slots(u32::MAX, u32::MAX), u32::MAX);
    }

    #[test]
    fn with_a_deadline_nothing_waits() {
        let mut pace = Pace::new(true);
        assert!(!pace.observe(1));
        assert_eq!(pace.slots(100, 3), 3);
    }
}
