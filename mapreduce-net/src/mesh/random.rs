//! Random numbers for jitter and for the choice of whom to tell. Nothing about them is secret.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// 64 random bits: the hash of nothing under the standard library's random keys.
pub(super) fn bits() -> u64 {
    RandomState::new().hash_one(())
}

/// A number below `end`, which is not 0.
pub(super) fn below(end: usize) -> usize {
    (bits() % end as u64) as usize
}

/// Puts `items` into a random order.
pub(super) fn shuffle<T>(items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(last + 1));
    }
}

/// From half of `duration` to all of it.
pub(super) fn jitter(duration: Duration) -> Duration {
    let half = duration / 2;
    half + half.mul_f64(bits() as f64 / u64::MAX as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_keeps_the_items_and_changes_their_order() {
        let mut items: Vec<u32> = (0..100).collect();
        shuffle(&mut items);
        assert!(!items.is_sorted());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn jitter_takes_at_most_half() {
        for _ in 0..100 {
            let jittered = jitter(Duration::from_millis(100));
            assert!((50..=100).contains(&jittered.as_millis()), "{jittered:?}");
        }
    }
}
