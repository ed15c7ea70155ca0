//! A sample of the records of an input: a few from many places of every split, the same every time.

use super::{Input, Records, SplitInfo};
use crate::Error;

/// Places of a split that are looked at. Each costs a block that is read.
const PLACES: usize = 8;

/// Up to `per_split` records of every split, in the order of the input.
pub(super) fn sample<I: Input, T>(
    input: &I,
    splits: &[SplitInfo],
    per_split: usize,
    mut record: impl FnMut(<I::Records as Records>::Record<'_>) -> T,
) -> Result<Vec<T>, Error> {
    let mut sample = Vec::new();
    if per_split == 0 {
        return Ok(sample);
    }
    for (split, seed) in splits.iter().zip(0..) {
        let excerpts = input.excerpts(split, PLACES);
        let mut random = Random(seed);
        if excerpts.is_empty() {
            let mut reservoir = Reservoir::new(per_split);
            let mut blocks = input.open(split)?;
            while let Some(block) = blocks.next_block()? {
                block.into_iter().for_each(|each| reservoir.offer(&mut random, || record(each)));
            }
            sample.extend(reservoir.into_sample());
            continue;
        }
        let share = |place: usize| place * per_split / excerpts.len();
        for (place, excerpt) in excerpts.iter().enumerate() {
            let mut reservoir = Reservoir::new(share(place + 1) - share(place));
            if reservoir.size == 0 {
                continue;
            }
            let mut blocks = input.open(excerpt)?;
            if let Some(block) = blocks.next_block()? {
                block.into_iter().for_each(|each| reservoir.offer(&mut random, || record(each)));
            }
            sample.extend(reservoir.into_sample());
        }
    }
    Ok(sample)
}

/// Keeps so many of what it is offered, each with the same probability (J. S. Vitter, "Random Sampling with a Reservoir",
/// 1985, algorithm R).
struct Reservoir<T> {
    size: usize,
    offered: u64,
    /// With their numbers.
    kept: Vec<(u64, T)>,
}

impl<T> Reservoir<T> {
    fn new(size: usize) -> Self {
        Self { size, offered: 0, kept: Vec::new() }
    }

    /// `make` is called for what is kept, at least for now.
    #[inline]
    fn offer(&mut self, random: &mut Random, make: impl FnOnce() -> T) {
        let number = self.offered;
        self.offered += 1;
        if self.kept.len() < self.size {
            self.kept.push((number, make()));
        } else if let Some(place) = self.kept.get_mut(random.below(self.offered) as usize) {
            *place = (number, make());
        }
    }

    /// What was kept, in the order in which it was offered.
    fn into_sample(mut self) -> impl Iterator<Item = T> {
        self.kept.sort_unstable_by_key(|(number, _)| *number);
        self.kept.into_iter().map(|(_, kept)| kept)
    }
}

/// SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(mixed ^ (mixed >> 31)) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reservoir_keeps_each_with_the_same_probability() {
        let mut kept = [0u32; 100];
        for seed in 0..2_000 {
            let (mut random, mut reservoir) = (Random(seed), Reservoir::new(10));
            (0..100usize).for_each(|n| reservoir.offer(&mut random, || n));
            let sample: Vec<usize> = reservoir.into_sample().collect();
            assert!(sample.len() == 10 && sample.is_sorted());
            sample.into_iter().for_each(|n| kept[n] += 1);
        }
        assert!(kept.iter().all(|n| (140..260).contains(n)), "{kept:?}");
    }

    #[test]
    fn a_reservoir_keeps_all_of_a_few() {
        let mut reservoir = Reservoir::new(5);
        (0..3).for_each(|n| reservoir.offer(&mut Random(0), || n));
        assert!(reservoir.into_sample().eq(0..3));
    }
}
