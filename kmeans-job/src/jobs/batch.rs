//! One round of mini-batch K-means: rows are drawn, go to their nearest centroids, and are summed up.

use super::{
    first_row, name_for, rounded,
    rows::{CentredRows, weight_of},
};
use crate::{
    kernel::{assign::assign, distance::squared_distances, isa::Isa, pack::Packed},
    numeric::{
        exact::ExactSum,
        grid::{Grid, accumulate},
        random::uniform,
        scalar::Scalar,
    },
};
use mapreduce_core::{Block, RowBlock, prelude::*};
use std::ops::AddAssign;

/// A round of mini-batch K-means.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub struct Batch<T> {
    /// The scales that rows are summed with; one for each column.
    pub grid: Grid<T>,
}

/// What is broadcast for a round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Draw {
    /// Row-major `k x d`, in the coordinates of the centred rows.
    pub centroids: Vec<f64>,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Which sequence of random numbers of that seed.
    pub stream: u64,
    /// The probability of a row to be drawn.
    pub share: f64,
}

/// The rows that were drawn of a cluster.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub struct Drawn<T: Scalar> {
    /// How many rows.
    pub rows: u64,
    /// What they weigh, in units of the grid.
    pub count: i64,
    /// Their sum, on the grid.
    pub sums: Block<T::Sum>,
    /// The sum of their squared distances to the centroid, each as often as its row weighs.
    pub squared: ExactSum,
}

impl<T: Scalar> AddAssign<&Drawn<T>> for Drawn<T> {
    fn add_assign(&mut self, other: &Drawn<T>) {
        self.rows += other.rows;
        self.count += other.count;
        self.sums += &other.sums;
        self.squared += &other.squared;
    }
}

/// The mapper of [`Batch`]: the centroids, packed for the kernel.
pub struct Drawer<T> {
    grid: Grid<T>,
    draw: Draw,
    packed: Packed<T>,
}

/// What a split comes to, and the rows that were drawn but not yet looked at.
struct Tally<T: Scalar> {
    width: usize,
    values: Vec<T>,
    labels: Vec<u32>,
    distances: Vec<f64>,
    drawn: Vec<u64>,
    counts: Vec<i64>,
    sums: Vec<T::Sum>,
    squared: Vec<ExactSum>,
}

/// Rows looked at in one go.
const ROWS: usize = 1024;

impl<T: Scalar> Drawer<T> {
    /// Looks at the rows that were drawn.
    fn assign(&self, tally: &mut Tally<T>) {
        let (d, isa) = (self.grid.columns(), Isa::detect());
        let Tally { width, values, labels, distances, drawn, counts, sums, squared } = tally;
        let rows = RowBlock { width: *width, values };
        labels.resize(rows.len(), 0);
        distances.resize(rows.len(), 0.0);
        assign(isa, &self.packed, rows, labels, None);
        accumulate(isa, rows, labels, &self.grid, sums, counts);
        squared_distances(isa, rows, d, labels, &self.draw.centroids, distances);
        for ((row, &label), &distance) in rows.into_iter().zip(&*labels).zip(&*distances) {
            drawn[label as usize] += 1;
            squared[label as usize].add_product(weight_of(row, d), distance);
        }
        values.clear();
    }
}

impl<T: Scalar> Mapper for Drawer<T> {
    type Input = CentredRows<T>;
    type Key = u32;
    type Value = Drawn<T>;

    fn map(&self, _: &[T], _: &mut impl Emit<u32, Drawn<T>>) -> Result {
        Err("a row's random number depends on its index, which only a split knows".into())
    }

    fn map_split(&self, split: &mut Split<'_, CentredRows<T>>, out: &mut impl Emit<u32, Drawn<T>>) -> Result {
        let (k, d) = (self.packed.k(), self.grid.columns());
        let (progress, mut row) = (split.progress(), first_row(split)?);
        let &Draw { seed, stream, share, .. } = &self.draw;
        let mut tally = Tally {
            width: d,
            values: Vec::with_capacity(ROWS * d),
            labels: Vec::new(),
            distances: Vec::new(),
            drawn: vec![0; k],
            counts: vec![0; k],
            sums: vec![T::Sum::default(); k * d],
            squared: vec![ExactSum::new(); k],
        };
        while let Some(block) = split.next_block()? {
            progress.records(block.len() as u64);
            tally.width = block.width;
            for values in block {
                if uniform(seed, stream, row) <= share {
                    tally.values.extend_from_slice(values);
                    if tally.values.len() == ROWS * block.width {
                        self.assign(&mut tally);
                    }
                }
                row += 1;
            }
        }
        self.assign(&mut tally);
        let Tally { drawn, counts, sums, squared, .. } = tally;
        for (cluster, squared) in squared.into_iter().enumerate().filter(|(cluster, _)| drawn[*cluster] > 0) {
            let sums = Block::from(sums[cluster * d..][..d].to_vec());
            let drawn = Drawn { rows: drawn[cluster], count: counts[cluster], sums, squared };
            out.emit(&(cluster as u32), &drawn)?;
        }
        Ok(())
    }
}

impl<T: Scalar> Job for Batch<T> {
    const NAME: &'static str = name_for::<T>("k-means/batch/f32", "k-means/batch/f64");
    type Shared = Draw;
    type Mapper = Drawer<T>;
    type Combiner = Sum;
    type Reducer = Fold<Sum>;

    fn mapper(&self, draw: &Draw) -> Result<Drawer<T>> {
        let packed = Packed::new(&rounded::<T>(&draw.centroids), self.grid.columns());
        Ok(Drawer { grid: self.grid.clone(), draw: draw.clone(), packed })
    }

    fn combiner(&self) -> Sum {
        Sum
    }

    fn reducer(&self, _: &Draw) -> Result<Fold<Sum>> {
        Ok(Fold(Sum))
    }
}
