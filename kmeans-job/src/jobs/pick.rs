//! Picks a few distinct rows at random: the start centroids of `random`, the first candidate of k-means||.

use super::{
    Candidate, TopRows, first_row, name_for,
    rows::{CentredRows, weight_of},
};
use crate::numeric::{
    random::{sampling_key, uniform},
    scalar::Scalar,
};
use mapreduce_core::prelude::*;
use std::marker::PhantomData;

/// Picks rows with the smallest random keys, in proportion to their weights if they have any: a row of weight 0 never.
/// Rows with the same coordinates count once.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub struct PickRows<T> {
    /// How many.
    pub count: u64,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Which sequence of random numbers of that seed.
    pub stream: u64,
    /// Columns of a row.
    pub d: u64,
    scalar: PhantomData<fn() -> T>,
}

impl<T> PickRows<T> {
    /// Picks `count` rows of `d` columns.
    pub fn new(count: usize, seed: u64, stream: u64, d: usize) -> Self {
        Self { count: count as u64, seed, stream, d: d as u64, scalar: PhantomData }
    }
}

impl<T: Scalar> Mapper for PickRows<T> {
    type Input = CentredRows<T>;
    type Key = ();
    type Value = TopRows;

    fn map(&self, _: &[T], _: &mut impl Emit<(), TopRows>) -> Result {
        Err("a row's random number depends on its index, which only a split knows".into())
    }

    fn map_split(&self, split: &mut Split<'_, CentredRows<T>>, out: &mut impl Emit<(), TopRows>) -> Result {
        let (progress, mut row) = (split.progress(), first_row(split)?);
        let (mut best, d) = (TopRows::new(self.count as usize), self.d as usize);
        while let Some(block) = split.next_block()? {
            progress.records(block.len() as u64);
            for values in block {
                let (u, weight) = (uniform(self.seed, self.stream, row), weight_of(values, d));
                // In the order of the numbers themselves where all weights are 1: then no logarithm is needed.
                let key = if block.width > d { exponential_key(u, weight) } else { u };
                if weight > 0.0 && best.admits(key) {
                    let point = values[..d].iter().map(|x| x.to_f64()).collect();
                    best.add(Candidate { key, row, label: 0, weight, point });
                }
                row += 1;
            }
        }
        out.emit(&(), &best)
    }
}

impl<T: Scalar> SimpleJob for PickRows<T> {
    const NAME: &'static str = name_for::<T>("k-means/pick/f32", "k-means/pick/f64");
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

/// As [`sampling_key`], but the smaller `u` is the smaller is the key.
fn exponential_key(u: f64, weight: f64) -> f64 {
    // At least 2^-53: no key is infinite but that of no weight.
    sampling_key((1.0 - u).max(f64::EPSILON / 2.0), weight)
}

/// Fetches rows by their indices, without their weights.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub struct FetchRows<T> {
    /// The indices, ascending.
    pub rows: Vec<u64>,
    /// Columns of a row.
    pub d: u64,
    scalar: PhantomData<fn() -> T>,
}

impl<T> FetchRows<T> {
    /// Fetches `rows` of `d` columns.
    pub fn new(mut rows: Vec<u64>, d: usize) -> Self {
        rows.sort_unstable();
        Self { rows, d: d as u64, scalar: PhantomData }
    }
}

impl<T: Scalar> Mapper for FetchRows<T> {
    type Input = CentredRows<T>;
    type Key = u64;
    type Value = Vec<f64>;

    fn map(&self, _: &[T], _: &mut impl Emit<u64, Vec<f64>>) -> Result {
        Err("a row's index is known to its split only".into())
    }

    fn map_split(&self, split: &mut Split<'_, CentredRows<T>>, out: &mut impl Emit<u64, Vec<f64>>) -> Result {
        let mut first = first_row(split)?;
        while let Some(block) = split.next_block()? {
            let end = first + block.len() as u64;
            let wanted = &self.rows[self.rows.partition_point(|&row| row < first)..];
            for &row in wanted.iter().take_while(|&&row| row < end) {
                let at = (row - first) as usize * block.width;
                let point = block.values[at..at + self.d as usize].iter().map(|x| x.to_f64()).collect();
                out.emit(&row, &point)?;
            }
            first = end;
        }
        Ok(())
    }
}

impl<T: Scalar> SimpleJob for FetchRows<T> {
    const NAME: &'static str = name_for::<T>("k-means/fetch/f32", "k-means/fetch/f64");
    type Combiner = NoCombiner;
    type Reducer = Identity;
}
