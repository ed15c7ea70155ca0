//! The choice of start centroids among weighted candidates: greedy k-means++.

use crate::kernel::isa::{Isa, Kind};
use crate::numeric::random::uniform;

/// Candidates whose distances are computed together. The sums of a block have a fixed order, and blocks are added in
/// order, so the result does not depend on the instruction set.
const BLOCK: usize = 64;

/// The stream of [`uniform`] that the first draw of step `s` uses; trial `t` is its row.
const STREAM: u64 = 0x6772_6565_6479; // "greedy"

/// Chooses up to `k` of the candidates (row-major `m x d`) as start centroids; returns their indices in the order
/// chosen.
///
/// The first is drawn with probability proportional to its weight. Then in each step `2 + floor(ln k)` candidates are
/// drawn with probability proportional to weight times squared distance to the nearest one chosen, and the one that
/// lowers the weighted sum of squared distances most is kept; of equals the first drawn. This is k-means++ (Arthur
/// and Vassilvitskii, SODA 2007) with the greedy step and the number of trials that scikit-learn has.
///
/// Fewer than `k` come back when every candidate of positive weight coincides with a chosen one: then there are only
/// so many distinct points. Weights are finite and not negative. The same arguments give the same choice everywhere.
///
/// ```
/// use kmeans_job::kernel::greedy::choose;
///
/// let mut chosen = choose(&[0.0, 0.1, 5.0, 5.1, 9.0], &[1.0; 5], 1, 3, 7);
/// chosen.sort();
/// assert_eq!(chosen.len(), 3);
/// assert_eq!(choose(&[2.0, 2.0, 2.0], &[1.0; 3], 1, 2, 7).len(), 1);
/// ```
///
/// # Panics
///
/// If `d` is 0, or there is not one weight for each row of candidates.
#[must_use]
pub fn choose(candidates: &[f64], weights: &[f64], d: usize, k: usize, seed: u64) -> Vec<usize> {
    choose_until(&|| false, candidates, weights, d, k, seed)
}

/// As [`choose`]; `interrupted` is asked ahead of each choice, and once it answers `true` those made so far come
/// back. With thousands of centroids the whole takes seconds to minutes.
///
/// # Panics
///
/// As `choose`.
#[must_use]
pub fn choose_until(
    interrupted: &dyn Fn() -> bool,
    candidates: &[f64],
    weights: &[f64],
    d: usize,
    k: usize,
    seed: u64,
) -> Vec<usize> {
    choose_on(Isa::detect(), interrupted, candidates, weights, d, k, seed)
}

/// [`choose_until`] on an instruction set.
pub(crate) fn choose_on(
    isa: Isa,
    interrupted: &dyn Fn() -> bool,
    candidates: &[f64],
    weights: &[f64],
    d: usize,
    k: usize,
    seed: u64,
) -> Vec<usize> {
    assert!(d > 0 && candidates.len() == weights.len() * d, "one weight for each row of d > 0 columns");
    let blocks = Blocks::new(candidates, weights, d);
    let trials = 2 + libm::log(k as f64).max(0.0) as usize;
    let mut chosen = Vec::with_capacity(k.min(weights.len()));
    // Before the first, every candidate is equally far from the empty choice.
    let mut closest = vec![1.0; blocks.padded()];
    let mut cumulative = vec![0.0; weights.len()];
    let mut tried = vec![Trial::new(&blocks); trials];
    while chosen.len() < k && !interrupted() {
        let mut total = 0.0;
        for (cumulative, (weight, closest)) in cumulative.iter_mut().zip(weights.iter().zip(&closest)) {
            total += weight * closest;
            *cumulative = total;
        }
        if total.is_nan() || total <= 0.0 {
            break;
        }
        let step = chosen.len() as u64;
        let drawn = if step == 0 { 1 } else { trials };
        for (t, trial) in tried[..drawn].iter_mut().enumerate() {
            let threshold = (1.0 - uniform(seed, STREAM + step, t as u64)) * total;
            trial.candidate = draw(&cumulative, threshold);
        }
        if step == 0 {
            closest.fill(f64::INFINITY);
        }
        blocks.evaluate(isa, candidates, &closest, &mut tried[..drawn]);
        let best = tried[..drawn]
            .iter_mut()
            .reduce(|best, trial| if trial.potential < best.potential { trial } else { best });
        let best = best.expect("at least one candidate is drawn");
        chosen.push(best.candidate);
        std::mem::swap(&mut closest, &mut best.closest);
    }
    chosen
}

/// The first candidate whose cumulative weight exceeds `threshold`.
fn draw(cumulative: &[f64], threshold: f64) -> usize {
    let index = cumulative.partition_point(|&sum| sum <= threshold);
    if index < cumulative.len() {
        return index;
    }
    // The threshold was rounded up to the total: the last candidate that added anything.
    let total = cumulative.last().copied().unwrap_or(0.0);
    cumulative.partition_point(|&sum| sum < total)
}

/// A drawn candidate and what choosing it would leave.
#[derive(Clone)]
struct Trial {
    candidate: usize,
    /// The squared distance of each candidate to the nearest chosen one.
    closest: Vec<f64>,
    /// The weighted sum of `closest`.
    potential: f64,
}

impl Trial {
    fn new(blocks: &Blocks) -> Self {
        Trial { candidate: 0, closest: vec![0.0; blocks.padded()], potential: 0.0 }
    }
}

/// The candidates in blocks, column by column within a block; the last is filled up with weights of zero.
struct Blocks {
    d: usize,
    columns: Vec<[f64; BLOCK]>,
    weights: Vec<[f64; BLOCK]>,
}

impl Blocks {
    fn new(candidates: &[f64], weights: &[f64], d: usize) -> Self {
        let blocks = weights.len().div_ceil(BLOCK);
        let mut packed =
            Blocks { d, columns: vec![[0.0; BLOCK]; blocks * d], weights: vec![[0.0; BLOCK]; blocks] };
        for (i, (row, &weight)) in candidates.chunks_exact(d).zip(weights).enumerate() {
            let (block, lane) = (i / BLOCK, i % BLOCK);
            packed.weights[block][lane] = weight;
            for (column, &x) in packed.columns[block * d..].iter_mut().zip(row) {
                column[lane] = x;
            }
        }
        packed
    }

    /// The number of candidates and of those that fill up the last block.
    fn padded(&self) -> usize {
        self.weights.len() * BLOCK
    }

    /// Fills in `closest` and `potential` of each trial.
    fn evaluate(&self, isa: Isa, candidates: &[f64], closest: &[f64], tried: &mut [Trial]) {
        match isa.0 {
            Kind::Portable => self.evaluate_body(candidates, closest, tried),
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "enters code compiled for more than the baseline")]
            // SAFETY: an `Isa` of this kind exists only on a machine that has the features.
            Kind::Avx2 => unsafe { self.evaluate_avx2(candidates, closest, tried) },
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "enters code compiled for more than the baseline")]
            // SAFETY: as above.
            Kind::Avx512 => unsafe { self.evaluate_avx512(candidates, closest, tried) },
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => self.evaluate_body(candidates, closest, tried),
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn evaluate_avx2(&self, candidates: &[f64], closest: &[f64], tried: &mut [Trial]) {
        self.evaluate_body(candidates, closest, tried);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn evaluate_avx512(&self, candidates: &[f64], closest: &[f64], tried: &mut [Trial]) {
        self.evaluate_body(candidates, closest, tried);
    }

    #[inline(always)]
    fn evaluate_body(&self, candidates: &[f64], closest: &[f64], tried: &mut [Trial]) {
        for trial in &mut *tried {
            trial.potential = 0.0;
        }
        // Blocks outside and trials inside: a block is read from memory once for all trials.
        let blocks = self.columns.chunks_exact(self.d).zip(&self.weights).zip(closest.as_chunks::<BLOCK>().0);
        for (b, ((columns, weights), closest)) in blocks.enumerate() {
            for trial in &mut *tried {
                let center = &candidates[trial.candidate * self.d..][..self.d];
                let mut distances = [0.0; BLOCK];
                for (column, &c) in columns.iter().zip(center) {
                    for (distance, &x) in distances.iter_mut().zip(column) {
                        let difference = x - c;
                        *distance = difference.mul_add(difference, *distance);
                    }
                }
                let kept = &mut trial.closest[b * BLOCK..][..BLOCK];
                let mut potential = [0.0; 8];
                for i in 0..BLOCK {
                    kept[i] = if distances[i] < closest[i] { distances[i] } else { closest[i] };
                    potential[i % 8] += weights[i] * kept[i];
                }
                trial.potential += potential.iter().sum::<f64>();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::distance::squared_distance;

    fn integers(m: usize, d: usize, seed: u64) -> Vec<f64> {
        (0..(m * d) as u64).map(|i| (uniform(seed, 0, i) * 40.0).ceil()).collect()
    }

    /// The algorithm as it is told, on whole vectors. With integers all its sums are exact, so order is no matter.
    fn naive(candidates: &[f64], weights: &[f64], d: usize, k: usize, seed: u64) -> Vec<usize> {
        let distance =
            |a: usize, b: usize| squared_distance(&candidates[a * d..][..d], &candidates[b * d..][..d]);
        let mut chosen = Vec::new();
        let mut closest = vec![1.0; weights.len()];
        for step in 0..k {
            let mass: Vec<f64> = weights.iter().zip(&closest).map(|(w, c)| w * c).collect();
            let total: f64 = mass.iter().sum();
            if total == 0.0 {
                break;
            }
            let trials = if step == 0 { 1 } else { 2 + (k as f64).ln() as u64 };
            let drawn = (0..trials).map(|trial| {
                let mut rest = (1.0 - uniform(seed, STREAM + step as u64, trial)) * total;
                mass.iter()
                    .position(|m| {
                        rest -= m;
                        rest < 0.0
                    })
                    .unwrap()
            });
            let after = |candidate: usize| -> Vec<f64> {
                let old = |i: usize| if step == 0 { f64::INFINITY } else { closest[i] };
                (0..weights.len()).map(|i| distance(i, candidate).min(old(i))).collect()
            };
            let potential = |c: usize| after(c).iter().zip(weights).map(|(d, w)| d * w).sum::<f64>();
            let drawn: Vec<usize> = drawn.collect();
            let best = drawn.into_iter().min_by(|&a, &b| potential(a).total_cmp(&potential(b))).unwrap();
            closest = after(best);
            chosen.push(best);
        }
        chosen
    }

    #[test]
    fn every_instruction_set_chooses_as_the_naive_algorithm_does() {
        for (m, d, k, seed) in [(1, 1, 1, 1), (40, 2, 5, 2), (64, 3, 7, 3), (65, 1, 20, 4), (200, 9, 33, 5)] {
            let candidates = integers(m, d, seed);
            let weights: Vec<f64> = (0..m).map(|i| (i % 5) as f64 + f64::from(m == 1)).collect();
            let expected = naive(&candidates, &weights, d, k, seed);
            for isa in Isa::available() {
                assert_eq!(
                    choose_on(isa, &|| false, &candidates, &weights, d, k, seed),
                    expected,
                    "m = {m} on {isa}"
                );
            }
        }
    }

    #[test]
    fn the_instruction_set_does_not_show_in_fractions_either() {
        let candidates: Vec<f64> = (0..300 * 7).map(|i| uniform(8, 0, i)).collect();
        let weights: Vec<f64> = (0..300).map(|i| uniform(8, 1, i)).collect();
        let expected = choose_on(Isa::PORTABLE, &|| false, &candidates, &weights, 7, 40, 1);
        assert_eq!(expected.len(), 40);
        for isa in Isa::available() {
            assert_eq!(choose_on(isa, &|| false, &candidates, &weights, 7, 40, 1), expected, "on {isa}");
        }
    }

    #[test]
    fn clusters_far_apart_each_get_a_centroid() {
        let candidates: Vec<f64> = (0..100).map(|i| f64::from(i % 10) * 1e6 + f64::from(i / 10)).collect();
        for seed in 0..20 {
            let mut clusters: Vec<usize> =
                choose(&candidates, &[1.0; 100], 1, 10, seed).iter().map(|i| i % 10).collect();
            clusters.sort_unstable();
            assert_eq!(clusters, (0..10).collect::<Vec<_>>());
        }
    }

    #[test]
    fn fewer_come_back_when_fewer_points_are_distinct() {
        let candidates = [1.0, 2.0, 1.0, 3.0, 2.0, 9.0];
        let weights = [1.0, 1.0, 5.0, 2.0, 1.0, 0.0];
        let mut chosen: Vec<f64> =
            choose(&candidates, &weights, 1, 6, 3).iter().map(|&i| candidates[i]).collect();
        chosen.sort_by(f64::total_cmp);
        assert_eq!(chosen, [1.0, 2.0, 3.0]); // 9 weighs nothing
    }

    #[test]
    fn an_interrupted_choice_is_the_start_of_the_whole_one() {
        let candidates = integers(100, 2, 1);
        let asked = std::cell::Cell::new(0);
        let interrupted = || asked.replace(asked.get() + 1) == 3;
        let chosen = choose_until(&interrupted, &candidates, &[1.0; 100], 2, 9, 5);
        assert_eq!(chosen, choose(&candidates, &[1.0; 100], 2, 9, 5)[..3]);
    }

    #[test]
    fn nothing_is_chosen_from_nothing() {
        assert!(choose(&[], &[], 3, 4, 1).is_empty());
        assert!(choose(&[1.0], &[0.0], 1, 4, 1).is_empty());
        assert!(choose(&[1.0], &[1.0], 1, 0, 1).is_empty());
    }

    #[test]
    fn a_threshold_rounded_up_to_the_total_draws_the_last_that_weighs() {
        assert_eq!(draw(&[1.0, 3.0, 3.0], 3.0), 1);
        assert_eq!(draw(&[0.0, 3.0, 3.0], 0.0), 1);
    }

    #[test]
    fn the_seed_matters() {
        let candidates = integers(100, 2, 1);
        let choices: Vec<_> = (0..5).map(|seed| choose(&candidates, &[1.0; 100], 2, 3, seed)).collect();
        assert!(choices.windows(2).any(|pair| pair[0] != pair[1]));
    }
}
