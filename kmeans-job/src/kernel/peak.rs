//! The most multiply-adds that this machine does in a second: what the speed of the kernels is a share of.

use std::{
    hint::black_box,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

/// Measurements of which the best counts: whatever else runs can only make one worse.
const TRIES: usize = 5;

/// Floating-point operations a second of `threads` threads together, in f32: the most that chains of fused multiply-adds
/// reach which touch no memory and do not wait for each other, on the widest vectors of this machine. A multiply-add is two
/// operations. The chains have `length` links; a million take some milliseconds.
///
/// Meant for measurements: other work at the same time makes it less.
///
/// # Panics
/// If a thread cannot be started.
#[must_use]
pub fn flops(threads: usize, length: u64) -> f64 {
    let (chains, lanes, run) = chains();
    let operations = 2 * length * (chains * lanes * threads) as u64;
    let best = (0..TRIES).map(|_| together(threads, || run(length))).min().unwrap_or(Duration::MAX);
    operations as f64 / best.as_secs_f64()
}

/// The time from the first thread's begin to the last one's end.
fn together<T>(threads: usize, work: impl Fn() -> T + Sync) -> Duration {
    let barrier = Barrier::new(threads);
    thread::scope(|scope| {
        let run = |_| {
            scope.spawn(|| {
                barrier.wait();
                let begun = Instant::now();
                black_box(work());
                (begun, Instant::now())
            })
        };
        let running: Vec<_> = (0..threads).map(run).collect();
        let spans = running.into_iter().map(|thread| thread.join().expect("the work does not panic"));
        let ends = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        ends.map_or(Duration::MAX, |(begun, ended)| ended - begun)
    })
}

/// How many chains, lanes of each, and the function that lengthens all of them by so many multiply-adds.
type Chains = (usize, usize, fn(u64) -> f32);

/// Those of the widest vectors. A chain waits for its own last result, four cycles or so: there are enough of them to keep
/// two to four units busy, and no more than registers.
fn chains() -> Chains {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return (16, 16, |length| {
                #[expect(unsafe_code, reason = "enters code compiled for more than the baseline")]
                // SAFETY: the machine has the feature, as was just asked.
                unsafe {
                    x86::avx512(length)
                }
            });
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return (12, 8, |length| {
                #[expect(unsafe_code, reason = "enters code compiled for more than the baseline")]
                // SAFETY: the machine has both features, as was just asked.
                unsafe {
                    x86::avx2(length)
                }
            });
        }
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("neon") {
        return (24, 4, |length| {
            #[expect(unsafe_code, reason = "enters code compiled for more than the baseline")]
            // SAFETY: the machine has the feature, as was just asked.
            unsafe {
                arm::neon(length)
            }
        });
    }
    (12, 1, |length| {
        let (factor, mut chains) = (black_box(0.5_f32), [1.0_f32; 12]);
        for _ in 0..length {
            chains.iter_mut().for_each(|chain| *chain = chain.mul_add(factor, factor));
        }
        chains.iter().sum()
    })
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::{arch::x86_64::*, hint::black_box};

    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512(length: u64) -> f32 {
        let (factor, mut chains) = (_mm512_set1_ps(black_box(0.5)), [_mm512_set1_ps(1.0); 16]);
        for _ in 0..length {
            for chain in &mut chains {
                *chain = _mm512_fmadd_ps(*chain, factor, factor);
            }
        }
        chains.iter().map(|&chain| _mm512_reduce_add_ps(chain)).sum()
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2(length: u64) -> f32 {
        let (factor, mut chains) = (_mm256_set1_ps(black_box(0.5)), [_mm256_set1_ps(1.0); 12]);
        for _ in 0..length {
            for chain in &mut chains {
                *chain = _mm256_fmadd_ps(*chain, factor, factor);
            }
        }
        chains.iter().map(|&chain| _mm256_cvtss_f32(chain)).sum()
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::{arch::aarch64::*, hint::black_box};

    #[target_feature(enable = "neon")]
    pub(super) fn neon(length: u64) -> f32 {
        let (factor, mut chains) = (vdupq_n_f32(black_box(0.5)), [vdupq_n_f32(1.0); 24]);
        for _ in 0..length {
            for chain in &mut chains {
                *chain = vfmaq_f32(factor, *chain, factor);
            }
        }
        chains.iter().map(|&chain| vaddvq_f32(chain)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_converge_to_the_fixed_point_in_every_lane() {
        // x = x / 2 + 1 / 2 stays at 1.
        let (chains, lanes, run) = chains();
        let sum = run(1_000);
        assert!(sum == (chains * lanes) as f32 || sum == chains as f32, "{sum}");
    }

    #[test]
    fn the_rate_is_positive_and_finite() {
        let rate = flops(2, 1_000);
        assert!(rate > 0.0 && rate.is_finite(), "{rate}");
    }
}
