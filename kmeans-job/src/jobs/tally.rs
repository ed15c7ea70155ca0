//! What given centroids come to: how many rows each is nearest to, what those weigh, and the inertia. Of the labels, which
//! the job finds for it, none leaves its task.

use super::{
    label::Nearest,
    name_for,
    rows::{CentredRows, weight_of},
};
use crate::{
    numeric::{exact::ExactSum, scalar::Scalar},
    weighing::in_units,
};
use mapreduce_core::{Block, prelude::*};
use std::{marker::PhantomData, ops::AddAssign};

/// Counts the rows of each cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub struct Tally<T> {
    d: u64,
    weight_bits: u8,
    scalar: PhantomData<fn() -> T>,
}

impl<T> Tally<T> {
    /// For rows of `d` columns. Behind them may be a weight, which is counted in units of `2^-weight_bits`.
    pub fn new(d: usize, weight_bits: u8) -> Self {
        Self { d: d as u64, weight_bits, scalar: PhantomData }
    }
}

/// What rows come to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    /// The rows of each cluster.
    pub counts: Block<u64>,
    /// What they weigh, in units; zeros if rows have no weights.
    pub units: Block<i64>,
    /// The sum of the squared distances to the centroids, each as often as its row weighs.
    pub inertia: ExactSum,
}

impl AddAssign<&Totals> for Totals {
    fn add_assign(&mut self, other: &Totals) {
        self.counts += &other.counts;
        self.units += &other.units;
        self.inertia += &other.inertia;
    }
}

/// The mapper of [`Tally`].
pub struct Count<T> {
    nearest: Nearest<T>,
    d: usize,
    k: usize,
    weight_bits: u8,
}

impl<T: Scalar> Mapper for Count<T> {
    type Input = CentredRows<T>;
    type Key = ();
    type Value = Totals;

    fn map(&self, _: &[T], _: &mut impl Emit<(), Totals>) -> Result {
        Err("rows are counted by the split, of which labels may be known".into())
    }

    fn map_split(&self, split: &mut Split<'_, CentredRows<T>>, out: &mut impl Emit<(), Totals>) -> Result {
        let (mut counts, mut units) = (Block::<u64>::zeros(self.k), Block::<i64>::zeros(self.k));
        let mut inertia = ExactSum::new();
        self.nearest.each_block(split, |rows, labels, squared| {
            self.nearest.add_weighed(&mut inertia, rows, squared);
            labels.iter().for_each(|&label| counts[label as usize] += 1);
            if rows.width > self.d {
                for (row, &label) in rows.into_iter().zip(labels) {
                    units[label as usize] += in_units(weight_of(row, self.d), self.weight_bits);
                }
            }
        })?;
        out.emit(&(), &Totals { counts, units, inertia })
    }
}

impl<T: Scalar> Job for Tally<T> {
    const NAME: &'static str = name_for::<T>("k-means/tally/f32", "k-means/tally/f64");
    /// Centroids, row-major `k x d`, in the coordinates of the centred rows.
    type Shared = Vec<f64>;
    type Mapper = Count<T>;
    type Combiner = Sum;
    type Reducer = Fold<Sum>;

    fn mapper(&self, centroids: &Vec<f64>) -> Result<Count<T>> {
        let d = self.d as usize;
        let k = centroids.len() / d;
        Ok(Count { nearest: Nearest::new(centroids, d), d, k, weight_bits: self.weight_bits })
    }

    fn combiner(&self) -> Sum {
        Sum
    }

    fn reducer(&self, _: &Vec<f64>) -> Result<Fold<Sum>> {
        Ok(Fold(Sum))
    }
}
