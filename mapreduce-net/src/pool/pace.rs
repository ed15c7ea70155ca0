//! [`Pace`]: how many attempts a peer is handed at a time.
//!
//! While one attempt runs on a thread, others wait at the peer, so that the thread does not idle for a round trip when it
//! is done. What waits at one peer cannot be taken by another one that is done with its own, so there is no more of it
//! than pays: many short attempts, few long ones.

/// Running time that is handed to a thread at a time, in microseconds: many times the way to the driver and back, which it
/// hides, and not long for another peer to wait for the last of it.
const HANDED_OUT_US: u64 = 8_000;
/// Attempts of a thread when they are long, or not known yet: one that runs and one that waits.
const DEPTH_MIN: u32 = 2;
/// Attempts of a thread when they are very short. A message with so many costs little more than one with a few.
const DEPTH_MAX: u32 = 32;
/// The newest attempt counts one part in so many.
const MEMORY: u64 = 8;

/// How many attempts are handed out for each thread of a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    depth: u32,
    /// What the depth is to become.
    wanted: u32,
    mean_us: Option<u64>,
    /// A deadline counts from when an attempt is handed out: it must not wait for others first.
    fixed: bool,
}

impl Pace {
    /// At the start. With a deadline every attempt gets a thread at once.
    pub(super) fn new(has_deadline: bool) -> Self {
        let depth = if has_deadline { 1 } else { DEPTH_MIN };
        Self { depth, wanted: depth, mean_us: None, fixed: has_deadline }
    }

    /// Attempts for a peer of so many threads, which grants so many.
    pub(super) fn slots(&self, granted: u32, threads: u32) -> u32 {
        granted.min(threads.saturating_mul(self.depth))
    }

    /// Takes note of the running time of an attempt. Answers whether [`advance`](Self::advance) is to be called.
    pub(super) fn observe(&mut self, run_us: u64) -> bool {
        let mean = self
            .mean_us
            .map_or(run_us, |mean| mean.saturating_mul(MEMORY - 1).saturating_add(run_us) / MEMORY);
        self.mean_us = Some(mean);
        let wanted = u32::try_from(HANDED_OUT_US / mean.max(1)).unwrap_or(DEPTH_MAX);
        let wanted = wanted.clamp(DEPTH_MIN, DEPTH_MAX);
        // Not with every small change.
        if !self.fixed && (wanted >= 2 * self.depth || 2 * wanted <= self.depth) {
            self.wanted = wanted;
        }
        self.wanted != self.depth
    }

    /// Changes what [`slots`](Self::slots) gives, until it answers `false`. It grows by one attempt for a thread: all
    /// peers are to have that before the first of them gets another, or it would take all that is left for itself.
    pub(super) fn advance(&mut self) -> bool {
        let next = self.wanted.min(self.depth + 1);
        std::mem::replace(&mut self.depth, next) != next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether so long an attempt changes anything, once it is done.
    fn changes(pace: &mut Pace, run_us: u64) -> bool {
        let changes = pace.observe(run_us);
        while pace.advance() {}
        changes
    }

    #[test]
    fn short_attempts_are_handed_out_more_at_a_time() {
        let mut pace = Pace::new(false);
        assert_eq!(pace.slots(100, 2), 4);
        assert!(changes(&mut pace, 1_000));
        assert_eq!((pace.slots(100, 2), pace.slots(5, 2)), (16, 5));
        // One slow attempt among many does not change it, a few do.
        assert!(!changes(&mut pace, 5_000));
        assert!((0..10).any(|_| changes(&mut pace, 5_000)));
        assert!((0..100).any(|_| changes(&mut pace, 5_000)));
        assert_eq!(pace.slots(100, 2), 4);
        // A little faster is not enough.
        assert!((0..100).all(|_| !changes(&mut pace, 2_500)));
    }

    #[test]
    fn there_are_bounds_to_how_many_are_handed_out() {
        let mut pace = Pace::new(false);
        assert!(changes(&mut pace, 0));
        assert_eq!(pace.slots(1_000, 1), DEPTH_MAX);
        assert!((0..100).any(|_| changes(&mut pace, u64::MAX)));
        assert_eq!(pace.slots(1_000, 1), DEPTH_MIN);
    }

    #[test]
    fn more_is_handed_out_one_by_one_and_less_at_once() {
        let mut pace = Pace::new(false);
        assert!(pace.observe(1_000));
        let steps: Vec<u32> = std::iter::from_fn(|| pace.advance().then(|| pace.slots(100, 1))).collect();
        assert_eq!(steps, [3, 4, 5, 6, 7, 8]);
        assert!((0..100).any(|_| pace.observe(100_000)));
        assert!(pace.advance() && !pace.advance());
        assert!(pace.slots(100, 1) < 8);
    }

    #[test]
    fn with_a_deadline_nothing_waits() {
        let mut pace = Pace::new(true);
        assert!(!pace.observe(1));
        assert_eq!(pace.slots(100, 3), 3);
    }
}
