//! What the machine can do at most: fused multiply-adds in registers, and bytes read from memory.

use kmeans_job::kernel::peak::flops;
use std::{
    hint::black_box,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

/// Measurements of which the best counts: whatever else runs can only make one worse.
const TRIES: usize = 7;
/// Fused multiply-adds of each chain in a measurement: some 10 ms.
const CHAIN_LENGTH: u64 = 10_000_000;

/// Floating-point operations a second of `threads` threads together; see [`flops`].
///
/// # Panics
/// When a thread cannot be started.
pub fn fma_peak(threads: usize) -> f64 {
    flops(threads, CHAIN_LENGTH)
}

/// Bytes a second that `threads` threads together read from an array of `bytes` bytes, of which each sums an equal part.
/// The array should be much larger than the caches.
///
/// # Panics
/// When a thread cannot be started.
pub fn read_bandwidth(threads: usize, bytes: usize) -> f64 {
    let numbers: Vec<u64> = (0..(bytes / 8).max(threads) as u64).collect();
    let part = numbers.len() / threads;
    let best = best(threads, |thread| black_box(sum(&numbers[thread * part..][..part])));
    (part * threads * 8) as f64 / best.as_secs_f64()
}

/// How long the fastest of some tries takes from the first thread's begin to the last one's end.
fn best<T>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Duration {
    let barrier = Barrier::new(threads);
    let once = || {
        thread::scope(|scope| {
            let run = |thread| {
                let (barrier, work) = (&barrier, &work);
                scope.spawn(move || {
                    barrier.wait();
                    let begun = Instant::now();
                    black_box(work(thread));
                    (begun, Instant::now())
                })
            };
            let running: Vec<_> = (0..threads).map(run).collect();
            let spans: Vec<(Instant, Instant)> =
                running.into_iter().map(|thread| thread.join().expect("the work does not panic")).collect();
            let begun = spans.iter().map(|span| span.0).min();
            let ended = spans.iter().map(|span| span.1).max();
            ended.zip(begun).map_or(Duration::MAX, |(ended, begun)| ended - begun)
        })
    };
    (0..TRIES).map(|_| once()).min().unwrap_or(Duration::MAX)
}

/// Independent sums, so that none waits for the one before and the compiler makes vectors of them.
fn sum(numbers: &[u64]) -> u64 {
    const LANES: usize = 32;
    let (blocks, rest) = numbers.as_chunks::<LANES>();
    let mut sums = [0_u64; LANES];
    for block in blocks {
        for (sum, number) in sums.iter_mut().zip(block) {
            *sum = sum.wrapping_add(*number);
        }
    }
    sums.iter().chain(rest).fold(0, |sum, &number| sum.wrapping_add(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_numbers_are_summed() {
        let numbers: Vec<u64> = (0..1_000).collect();
        assert_eq!(sum(&numbers), 499_500);
        assert_eq!(sum(&numbers[..7]), 21);
    }

    #[test]
    fn bytes_are_read_at_a_rate_that_is_positive_and_finite() {
        let rate = read_bandwidth(2, 1 << 16);
        assert!(rate > 0.0 && rate.is_finite(), "{rate}");
    }
}
