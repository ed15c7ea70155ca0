//! Counter-based random numbers: a pure function of (seed, stream, row), with no state to share or to order.
//!
//! A number depends on the global index of the row it is drawn for, never on the split, thread or attempt that draws
//! it. The words are folded one after the other through the finalizer of SplitMix64 (Steele, Lea and Flood, "Fast
//! splittable pseudorandom number generators", OOPSLA 2014, with the constants of Stafford's variant 13), each step
//! offset by the golden-ratio increment so that zero words are no fixed point.

use std::collections::BTreeSet;

/// The increment of SplitMix64: 2^64 divided by the golden ratio, made odd.
const INCREMENT: u64 = 0x9e37_79b9_7f4a_7c15;

/// 64 random bits for a row.
///
/// `seed` is the user's, `stream` names the purpose and round of the draw, `row` is the global index.
///
/// ```
/// use kmeans_job::numeric::random::bits;
///
/// assert_eq!(bits(42, 0, 7), bits(42, 0, 7));
/// assert_ne!(bits(42, 0, 7), bits(42, 1, 7));
/// ```
#[inline]
#[must_use]
pub fn bits(seed: u64, stream: u64, row: u64) -> u64 {
    let state = finalize(seed.wrapping_add(INCREMENT));
    let state = finalize((state ^ stream).wrapping_add(INCREMENT));
    finalize((state ^ row).wrapping_add(INCREMENT))
}

/// A uniform random number in (0, 1], a multiple of 2^-53, for a row; arguments as for [`bits`].
#[inline]
#[must_use]
pub fn uniform(seed: u64, stream: u64, row: u64) -> f64 {
    const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
    ((bits(seed, stream, row) >> 11) + 1) as f64 * UNIT
}

/// The key of an item in weighted sampling without replacement: the `m` items with the smallest keys are the sample.
///
/// `u` is uniform in (0, 1]; the key is exponentially distributed with rate `weight`, so the smallest key is item
/// `i`'s with probability `weight_i / sum of weights`, and so on for the rest (Efraimidis and Spirakis, "Weighted
/// random sampling with a reservoir", Information Processing Letters 97, 2006). Samples of parts merge by taking the
/// smallest keys of both. An item whose weight is not positive has an infinite key: leave it out.
///
/// The logarithm is the `libm` crate's, so that every platform gives the same bits.
///
/// ```
/// use kmeans_job::numeric::random::sampling_key;
///
/// assert!(sampling_key(0.5, 2.0) < sampling_key(0.5, 1.0));
/// assert_eq!(sampling_key(0.5, 0.0), f64::INFINITY);
/// ```
#[must_use]
pub fn sampling_key(u: f64, weight: f64) -> f64 {
    if weight > 0.0 {
        // ln(1) = 0 would give -0.
        0.0 - libm::log(u) / weight
    } else {
        f64::INFINITY
    }
}

/// Up to `count` of `n` rows, ascending, each set of rows as likely as any other; `seed` and `stream` as for [`bits`].
///
/// Source: Floyd's algorithm, in Bentley and Floyd, "Programming pearls: a sample of brilliance", CACM 30(9), 1987.
pub(crate) fn sample(n: usize, count: usize, seed: u64, stream: u64) -> Vec<usize> {
    let mut rows = BTreeSet::new();
    for last in n.saturating_sub(count)..n {
        let drawn = (uniform(seed, stream, last as u64) * (last + 1) as f64).ceil() as usize - 1;
        if !rows.insert(drawn) {
            rows.insert(last);
        }
    }
    rows.into_iter().collect()
}

fn finalize(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_do_not_change_between_releases_or_platforms() {
        // Computed by another implementation of the same definition, in Python.
        let expected = [0xe68e6fc01df08360, 0xb815246f417cade2, 0xe930af93af0daf48];
        assert_eq!([0, 1, 2].map(|row| bits(1, 2, row)), expected);
    }

    #[test]
    fn the_first_output_of_splitmix64_is_the_finalizer_of_its_increment() {
        // Published with the reference implementation: seed 1234567 gives this first.
        assert_eq!(finalize(1_234_567_u64.wrapping_add(INCREMENT)), 6_457_827_717_110_365_317);
    }

    #[test]
    fn uniform_numbers_fill_the_half_open_interval() {
        let n = 100_000;
        let mut bins = [0_u32; 100];
        let mut sum = 0.0;
        for row in 0..n {
            let u = uniform(3, 1, row);
            assert!(u > 0.0 && u <= 1.0);
            bins[((u * 100.0).ceil() as usize) - 1] += 1;
            sum += u;
        }
        // Chi-square with 99 degrees of freedom: 160 is beyond the 99.99th percentile.
        let chi: f64 = bins.iter().map(|&count| (f64::from(count) - 1000.0).powi(2) / 1000.0).sum();
        assert!(chi < 160.0, "{chi}");
        assert!((sum / n as f64 - 0.5).abs() < 0.005);
    }

    #[test]
    fn one_bit_of_any_word_flips_half_of_the_output() {
        for word in 0..3 {
            for bit in 0..64 {
                let mut flips = 0;
                for i in 0..64 {
                    let mut words = [i, i * i, 1000 + i];
                    let before = bits(words[0], words[1], words[2]);
                    words[word] ^= 1 << bit;
                    flips += (before ^ bits(words[0], words[1], words[2])).count_ones();
                }
                assert!((1700..2400).contains(&flips), "word {word} bit {bit}: {flips} of 4096");
            }
        }
    }

    #[test]
    fn the_smallest_key_falls_on_an_item_in_proportion_to_its_weight() {
        let weights = [1.0, 0.0, 2.0, 5.0];
        let mut wins = [0_u32; 4];
        for trial in 0..40_000 {
            let keys = weights.iter().enumerate().map(|(i, &w)| sampling_key(uniform(9, trial, i as u64), w));
            let winner = keys.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0;
            wins[winner] += 1;
        }
        assert_eq!(wins[1], 0);
        for (won, weight) in wins.iter().zip(weights) {
            assert!((f64::from(*won) - 5000.0 * weight).abs() < 500.0, "{wins:?}");
        }
    }

    #[test]
    fn a_key_is_never_negative_not_even_minus_zero() {
        assert!(sampling_key(1.0, 3.0).is_sign_positive());
        assert!(sampling_key(1.0 - f64::EPSILON, 3.0) > 0.0);
    }

    #[test]
    fn a_sample_has_distinct_rows_spread_over_all_of_them() {
        assert_eq!(sample(7, 2000, 1, 0), [0, 1, 2, 3, 4, 5, 6]);
        let rows = sample(1_000_000, 2000, 1, 0);
        assert_eq!(rows.len(), 2000);
        assert!(rows.windows(2).all(|pair| pair[0] < pair[1]) && rows[1999] < 1_000_000);
        // A half of them, give or take five standard deviations.
        let low = rows.iter().filter(|&&row| row < 500_000).count();
        assert!(low.abs_diff(1000) < 112, "{low}");
        assert_ne!(rows, sample(1_000_000, 2000, 2, 0));
        assert_ne!(rows, sample(1_000_000, 2000, 1, 1));
    }
}
