//! One round of Lloyd's algorithm: every row goes to its nearest centroid, and each cluster is summed up.

use super::{
    TopRows,
    assign::{Assign, Previous},
    fingerprint, name_for, rounded,
};
use crate::{
    kernel::{bounds::Drift, boxes::Rivals, isa::Isa, pack::Packed},
    numeric::{grid::Grid, scalar::Scalar},
};
use mapreduce_core::{Block, prelude::*};
use std::ops::AddAssign;

/// The counter of rows whose label is another one than in the round before.
pub const MOVED: &str = "moved";

/// A round of Lloyd's algorithm.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub struct Lloyd<T> {
    /// The scales that rows are summed with; one for each column.
    pub grid: Grid<T>,
    /// Whether weights behind the rows say how many equal rows each stands for. Then that many are counted as
    /// [`MOVED`]; else a row is one row, whatever it weighs.
    pub weights_are_copies: bool,
    /// Whether rows that follow each other are near each other: then boxes are kept around runs of them, by which most
    /// centroids are passed over. The result is the same either way.
    pub are_near: bool,
}

/// What is broadcast for a round. Centroids are row-major `k x d` and in the coordinates of the centred rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Centroids {
    /// Those to assign the rows to.
    pub current: Vec<f64>,
    /// Those of the round before; empty in the first. From them a node that has lost the labels of a split makes
    /// them again, so that the count of moved rows does not depend on what was lost.
    pub previous: Vec<f64>,
    /// What to find out.
    pub step: Step,
}

/// What a round finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// The sums of the clusters.
    Assign,
    /// What the sums are now, less what they were with the centroids of the round before. Cheaper where few rows change
    /// their cluster. The same as `Assign` in a first round.
    Change,
    /// The rows farthest from their centroids, for clusters that are empty.
    Farthest {
        /// How many rows, with distinct coordinates.
        count: u64,
    },
}

/// What is known of a cluster, or has changed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub struct Cluster<T: Scalar> {
    /// What its rows weigh, in units of the grid: their number, if rows have no weights.
    pub count: i64,
    /// Their sum, on the grid.
    pub sums: Block<T::Sum>,
    /// The farthest rows, in a round that looks for them. Their keys are the negative squared distances.
    pub farthest: Option<TopRows>,
}

impl<T: Scalar> AddAssign<&Cluster<T>> for Cluster<T> {
    fn add_assign(&mut self, other: &Cluster<T>) {
        self.count += other.count;
        self.sums += &other.sums;
        if let Some(farthest) = &other.farthest {
            *self.farthest.get_or_insert_default() += farthest;
        }
    }
}

impl<T: Scalar> Job for Lloyd<T> {
    const NAME: &'static str = name_for::<T>("k-means/lloyd/f32", "k-means/lloyd/f64");
    type Shared = Centroids;
    type Mapper = Assign<T>;
    type Combiner = Sum;
    type Reducer = Fold<Sum>;

    fn mapper(&self, shared: &Centroids) -> Result<Assign<T>> {
        let Centroids { current, previous, step } = shared;
        let in_t = rounded::<T>(current);
        let packed = Packed::new(&in_t, self.grid.columns());
        let previous = (!previous.is_empty()).then(|| {
            let before = rounded::<T>(previous);
            let drift = Drift::new(&before, &in_t, &packed);
            let packed = Packed::new(&before, self.grid.columns());
            Previous { packed, fingerprint: fingerprint(previous), drift }
        });
        let is_assignment = matches!(step, Step::Assign | Step::Change);
        Ok(Assign {
            isa: Isa::detect(),
            grid: self.grid.clone(),
            weights_are_copies: self.weights_are_copies,
            step: *step,
            centroids: current.clone(),
            fingerprint: fingerprint(current),
            rivals: (self.are_near && is_assignment).then(|| Rivals::new(&packed)),
            packed,
            previous,
        })
    }

    fn combiner(&self) -> Sum {
        Sum
    }

    fn reducer(&self, _: &Centroids) -> Result<Fold<Sum>> {
        Ok(Fold(Sum))
    }
}
