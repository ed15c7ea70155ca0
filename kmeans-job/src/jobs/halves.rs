//! Which of two given centroids each row is nearest to, and the inertia of either: what comes of a cluster that is split.

use super::{first_row, label::Nearest, name_for, rows::CentredRows, rows::weight_of};
use crate::numeric::{exact::ExactSum, scalar::Scalar};
use mapreduce_core::{Block, prelude::*};
use std::marker::PhantomData;

/// Tells the rows of two clusters apart.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub struct Halve<T> {
    d: u64,
    scalar: PhantomData<fn() -> T>,
}

impl<T> Halve<T> {
    /// For rows of `d` columns.
    pub fn new(d: usize) -> Self {
        Self { d: d as u64, scalar: PhantomData }
    }
}

/// Consecutive rows in two clusters.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Halved {
    rows: u64,
    /// A bit for each row, the lowest first: whether it is in the second.
    bits: Block<u64>,
    /// The sums of the squared distances to the centroids, each as often as its row weighs.
    pub inertias: [ExactSum; 2],
}

impl Halved {
    /// Whether each row is in the second cluster, in the order of the rows.
    pub fn in_second(&self) -> impl Iterator<Item = bool> + '_ {
        let bits = |row: u64| self.bits.get((row / 64) as usize).copied().unwrap_or_default();
        (0..self.rows).map(move |row| bits(row) >> (row % 64) & 1 == 1)
    }

    /// The rows of either cluster.
    pub fn counts(&self) -> [u64; 2] {
        let second = self.bits.iter().map(|bits| u64::from(bits.count_ones())).sum();
        [self.rows.saturating_sub(second), second]
    }
}

/// The mapper of [`Halve`]. Its key is the index of the first row of a split.
pub struct Halver<T> {
    nearest: Nearest<T>,
    d: usize,
}

impl<T: Scalar> Mapper for Halver<T> {
    type Input = CentredRows<T>;
    type Key = u64;
    type Value = Halved;

    fn map(&self, _: &[T], _: &mut impl Emit<u64, Halved>) -> Result {
        Err("a row's index is known to its split only".into())
    }

    fn map_split(&self, split: &mut Split<'_, CentredRows<T>>, out: &mut impl Emit<u64, Halved>) -> Result {
        let first = first_row(split)?;
        let (mut rows, mut bits, mut inertias) = (0, Vec::new(), [ExactSum::new(), ExactSum::new()]);
        self.nearest.each_block(split, |block, labels, squared| {
            for ((row, &label), &squared) in block.into_iter().zip(labels).zip(squared) {
                if rows % 64 == 0 {
                    bits.push(0);
                }
                *bits.last_mut().expect("the first row has pushed one") |= u64::from(label) << (rows % 64);
                inertias[label as usize].add_product(weight_of(row, self.d), squared);
                rows += 1;
            }
        })?;
        out.emit(&first, &Halved { rows, bits: bits.into(), inertias })
    }
}

impl<T: Scalar> Job for Halve<T> {
    const NAME: &'static str = name_for::<T>("k-means/halves/f32", "k-means/halves/f64");
    /// Two centroids, row-major `2 x d`, in the coordinates of the centred rows.
    type Shared = Vec<f64>;
    type Mapper = Halver<T>;
    type Combiner = NoCombiner;
    type Reducer = Identity;

    fn mapper(&self, centroids: &Vec<f64>) -> Result<Halver<T>> {
        let d = self.d as usize;
        if centroids.len() != 2 * d {
            return Err(format!("{} numbers are no two centroids of {d} columns", centroids.len()).into());
        }
        Ok(Halver { nearest: Nearest::new(centroids, d), d })
    }

    fn combiner(&self) -> NoCombiner {
        NoCombiner
    }

    fn reducer(&self, _: &Vec<f64>) -> Result<Identity> {
        Ok(Identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_apart_by_their_bits() {
        let bits: Vec<u64> = vec![1 << 63 | 0b101, 0b10];
        let halved = Halved { rows: 66, bits: bits.into(), ..Halved::default() };
        let second: Vec<usize> =
            (0..).zip(halved.in_second()).filter_map(|(i, is)| is.then_some(i)).collect();
        assert_eq!((second, halved.in_second().count()), (vec![0, 2, 63, 65], 66));
        assert_eq!(halved.counts(), [62, 4]);
    }
}
