//! The distances of all rows to given centroids.

use super::{first_row, name_for, rows::CentredRows};
use crate::{
    distance::Distance,
    kernel::{distance::squared_distances, isa::Isa},
    numeric::scalar::Scalar,
};
use mapreduce_core::{Block, prelude::*};
use std::marker::PhantomData;

/// Finds the distance of every row to every centroid.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub struct Distances<T> {
    d: u64,
    distance: Distance,
    scalar: PhantomData<fn() -> T>,
}

impl<T> Distances<T> {
    /// For rows of `d` elements, prepared as that distance needs them.
    pub fn new(d: usize, distance: Distance) -> Self {
        Self { d: d as u64, distance, scalar: PhantomData }
    }
}

/// The mapper of [`Distances`]. Its key is the index of the first of the rows whose distances, row by row, are the value.
pub struct Measure<T> {
    d: usize,
    distance: Distance,
    /// Row-major `k x d`.
    centroids: Vec<f64>,
    scalar: PhantomData<fn() -> T>,
}

impl<T: Scalar> Mapper for Measure<T> {
    type Input = CentredRows<T>;
    type Key = u64;
    type Value = Block<f64>;

    fn map(&self, _: &[T], _: &mut impl Emit<u64, Block<f64>>) -> Result {
        Err("a row's index is known to its split only".into())
    }

    fn map_split(
        &self,
        split: &mut Split<'_, CentredRows<T>>,
        out: &mut impl Emit<u64, Block<f64>>,
    ) -> Result {
        let (progress, mut row) = (split.progress(), first_row(split)?);
        let k = self.centroids.len() / self.d;
        let (isa, mut labels, mut of_one) = (Isa::detect(), Vec::new(), Vec::new());
        while let Some(block) = split.next_block()? {
            let rows = block.len();
            progress.records(rows as u64);
            labels.resize(rows, 0);
            of_one.resize(rows, 0.0);
            let mut distances = Block::zeros(rows * k);
            for c in 0..k {
                labels.fill(c as u32);
                squared_distances(isa, block, self.d, &labels, &self.centroids, &mut of_one);
                for (distances, squared) in distances.chunks_exact_mut(k).zip(&of_one) {
                    distances[c] = self.distance.of_squared(*squared);
                }
            }
            out.emit(&row, &distances)?;
            row += rows as u64;
        }
        Ok(())
    }
}

impl<T: Scalar> Job for Distances<T> {
    const NAME: &'static str = name_for::<T>("k-means/distances/f32", "k-means/distances/f64");
    /// Centroids, row-major `k x d`, in the coordinates of the centred rows.
    type Shared = Vec<f64>;
    type Mapper = Measure<T>;
    type Combiner = NoCombiner;
    type Reducer = Identity;

    fn mapper(&self, centroids: &Vec<f64>) -> Result<Measure<T>> {
        Ok(Measure {
            d: self.d as usize,
            distance: self.distance,
            centroids: centroids.clone(),
            scalar: PhantomData,
        })
    }

    fn combiner(&self) -> NoCombiner {
        NoCombiner
    }

    fn reducer(&self, _: &Vec<f64>) -> Result<Identity> {
        Ok(Identity)
    }
}
