//! The labels of all rows under given centroids, and the inertia.

use super::{fingerprint, first_row, known::Known, name_for, rounded, rows::CentredRows};
use crate::{
    kernel::{assign::assign, distance::squared_distances, isa::Isa, pack::Packed},
    numeric::{exact::ExactSum, scalar::Scalar},
};
use mapreduce_core::{Block, RowBlock, prelude::*};
use std::marker::PhantomData;

/// Labels every row.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub struct Label<T> {
    d: u64,
    scalar: PhantomData<fn() -> T>,
}

impl<T> Label<T> {
    /// For rows of `d` elements.
    pub fn new(d: usize) -> Self {
        Self { d: d as u64, scalar: PhantomData }
    }
}

/// Consecutive rows with their labels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Labelled {
    /// The nearest centroid of each row.
    pub labels: Block<i32>,
    /// The sum of the squared distances to it, each as often as its row weighs.
    pub inertia: ExactSum,
}

/// The mapper of [`Label`]. Its key is the index of the first row of a split.
pub struct Labeller<T>(Nearest<T>);

impl<T: Scalar> Mapper for Labeller<T> {
    type Input = CentredRows<T>;
    type Key = u64;
    type Value = Labelled;

    fn map(&self, _: &[T], _: &mut impl Emit<u64, Labelled>) -> Result {
        Err("a row's index is known to its split only".into())
    }

    fn map_split(&self, split: &mut Split<'_, CentredRows<T>>, out: &mut impl Emit<u64, Labelled>) -> Result {
        let first = first_row(split)?;
        let (mut labels, mut inertia) = (Vec::new(), ExactSum::new());
        self.0.each_block(split, |rows, found, squared| {
            labels.extend(found.iter().map(|&label| label as i32));
            self.0.add_weighed(&mut inertia, rows, squared);
        })?;
        out.emit(&first, &Labelled { labels: labels.into(), inertia })
    }
}

/// Given centroids, of which the nearest is found for each row.
pub(super) struct Nearest<T> {
    d: usize,
    centroids: Vec<f64>,
    packed: Packed<T>,
    fingerprint: u64,
}

impl<T: Scalar> Nearest<T> {
    /// Of centroids of `d` columns, row-major.
    pub(super) fn new(centroids: &[f64], d: usize) -> Self {
        Self {
            d,
            centroids: centroids.to_vec(),
            packed: Packed::new(&rounded::<T>(centroids), d),
            fingerprint: fingerprint(centroids),
        }
    }

    /// Hands the rows of a split to `see`, block by block with their labels and squared distances.
    pub(super) fn each_block(
        &self,
        split: &mut Split<'_, CentredRows<T>>,
        mut see: impl FnMut(RowBlock<'_, T>, &[u32], &[f64]),
    ) -> Result {
        let (progress, isa) = (split.progress(), Isa::detect());
        // The last round of a fit that converged has assigned the rows to these very centroids.
        let known = split.take_cache::<Known<T>>().filter(|known| known.fingerprint == self.fingerprint);
        let (mut done, mut fresh, mut squared) = (0, Vec::new(), Vec::new());
        while let Some(block) = split.next_block()? {
            let rows = block.len();
            progress.records(rows as u64);
            let labels = match known.as_ref().and_then(|known| known.labels.get(done..done + rows)) {
                Some(known) => known,
                None => {
                    fresh.resize(rows, 0);
                    assign(isa, &self.packed, block, &mut fresh, None);
                    &fresh[..]
                }
            };
            squared.resize(rows, 0.0);
            squared_distances(isa, block, self.d, labels, &self.centroids, &mut squared);
            see(block, labels, &squared);
            done += rows;
        }
        if let Some(known) = known {
            known.keep(split);
        }
        Ok(())
    }

    /// Adds the squared distances of rows to their sum, each as often as its row weighs.
    pub(super) fn add_weighed(&self, sum: &mut ExactSum, rows: RowBlock<'_, T>, squared: &[f64]) {
        match rows.width == self.d {
            true => sum.extend(squared.iter().copied()),
            false => {
                for (row, &squared) in rows.into_iter().zip(squared) {
                    sum.add_product(row[self.d].to_f64(), squared);
                }
            }
        }
    }
}

impl<T: Scalar> Job for Label<T> {
    const NAME: &'static str = name_for::<T>("k-means/label/f32", "k-means/label/f64");
    /// Centroids, row-major `k x d`, in the coordinates of the centred rows.
    type Shared = Vec<f64>;
    type Mapper = Labeller<T>;
    type Combiner = NoCombiner;
    type Reducer = Identity;

    fn mapper(&self, centroids: &Vec<f64>) -> Result<Labeller<T>> {
        Ok(Labeller(Nearest::new(centroids, self.d as usize)))
    }

    fn combiner(&self) -> NoCombiner {
        NoCombiner
    }

    fn reducer(&self, _: &Vec<f64>) -> Result<Identity> {
        Ok(Identity)
    }
}
