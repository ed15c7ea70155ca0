//! Lloyd's iterations, as an iterated map-reduce job.

use crate::{
    centred::Centred,
    clock::Clock,
    fit::Iteration,
    jobs::{
        TopRows,
        lloyd::{Centroids, Lloyd, MOVED, Step},
    },
    kmeans::{EmptyClusters, Observer},
    numeric::{cost::cost_from_sums, exact::ExactSum, grid::Grid, scalar::Scalar},
};
use mapreduce_core::{Iterative, Output, Result};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// Lloyd's iterations over centred rows. An iteration is one round, or two if a cluster became empty.
pub(crate) struct Iterations<'a, T: Scalar> {
    pub(crate) centred: &'a Centred<T>,
    /// The scales that rows are summed with.
    pub(crate) grid: &'a Grid<T>,
    /// Whether the rows are distinct ones, with the numbers of their copies.
    pub(crate) weights_are_copies: bool,
    /// Whether rows that follow each other are near each other.
    pub(crate) are_near: bool,
    /// The sum of the squares of all elements.
    pub(crate) squares: &'a ExactSum,
    pub(crate) k: usize,
    /// The number of the run, for those who watch.
    pub(crate) run: u32,
    pub(crate) max_iter: u32,
    /// The sum of the centroids' squared shifts at which the iterations end.
    pub(crate) shift_max: f64,
    pub(crate) empty: EmptyClusters,
    /// Row-major `k x d`, in the coordinates of the centred rows, as all centroids here.
    pub(crate) start: Vec<f64>,
    pub(crate) observer: &'a Observer,
    pub(crate) clock: Clock,
}

/// What the iterations come to.
pub(crate) struct Fitted {
    pub(crate) centroids: Vec<f64>,
    pub(crate) converged: bool,
    /// Of each iteration, before it moved the centroids.
    pub(crate) costs: Vec<f64>,
}

/// What is known between rounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
pub(crate) struct State<T: Scalar> {
    centroids: Vec<f64>,
    /// Those of the iteration before; empty in the first.
    previous: Vec<f64>,
    costs: Vec<f64>,
    /// Of the last iteration, as the rows were assigned.
    assigned: Option<Sums<T>>,
    /// Whether that waits for rows to move its empty clusters to.
    is_incomplete: bool,
}

/// The sums of an iteration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "T: Scalar")]
struct Sums<T: Scalar> {
    counts: Vec<i64>,
    /// Row-major `k x d`, on the grid.
    sums: Vec<T::Sum>,
    moved: u64,
}

/// Changes are found rather than sums once no more than this part of the rows moved in the round before. Taking a row
/// off one sum and adding it to another costs twice what adding it does.
const CHANGE_SHARE: u64 = 4;

impl<T: Scalar> Iterative for Iterations<'_, T> {
    type Round = Lloyd<T>;
    type State = State<T>;
    type Output = Fitted;

    fn start(&self) -> Result<State<T>> {
        Ok(State {
            centroids: self.start.clone(),
            previous: Vec::new(),
            costs: Vec::new(),
            assigned: None,
            is_incomplete: false,
        })
    }

    fn round(&self, state: &State<T>) -> Result<(Lloyd<T>, Centroids)> {
        let shared = Centroids {
            current: state.centroids.clone(),
            previous: state.previous.clone(),
            step: self.step(state),
        };
        let &Self { grid, weights_are_copies, are_near, .. } = self;
        Ok((Lloyd { grid: grid.clone(), weights_are_copies, are_near }, shared))
    }

    fn advance(
        &self,
        _: u32,
        state: &mut State<T>,
        output: Output<Lloyd<T>>,
    ) -> Result<ControlFlow<Self::Output>> {
        let step = self.step(state);
        if let Step::Farthest { .. } = step {
            state.is_incomplete = false;
            let mut sums = state.assigned.clone().ok_or("an iteration that is incomplete has sums")?;
            let relocated = self.fill_empty(&mut sums, output);
            return Ok(self.finish(state, &sums, relocated));
        }
        let sums = self.sums(state.assigned.take().filter(|_| step == Step::Change), output);
        state.costs.push(self.cost(state, &sums));
        state.is_incomplete = self.empty == EmptyClusters::Relocate && sums.counts.contains(&0);
        let next = match state.is_incomplete {
            true => ControlFlow::Continue(()),
            false => self.finish(state, &sums, false),
        };
        state.assigned = Some(sums);
        Ok(next)
    }
}

impl<T: Scalar> Iterations<'_, T> {
    fn d(&self) -> usize {
        self.centred.d()
    }

    /// What the next round is to find out.
    fn step(&self, state: &State<T>) -> Step {
        match &state.assigned {
            Some(sums) if state.is_incomplete => {
                Step::Farthest { count: sums.counts.iter().filter(|&&n| n == 0).count() as u64 }
            }
            Some(sums) if sums.moved <= self.centred.rows() as u64 / CHANGE_SHARE => Step::Change,
            _ => Step::Assign,
        }
    }

    /// The sums after a round, which has found them or how they differ from those `before`.
    fn sums(&self, before: Option<Sums<T>>, output: Output<Lloyd<T>>) -> Sums<T> {
        let d = self.d();
        let fresh = || Sums { counts: vec![0; self.k], sums: vec![T::Sum::default(); self.k * d], moved: 0 };
        let mut sums = before.unwrap_or_else(fresh);
        sums.moved = output.counters.get(MOVED);
        for (k, cluster) in output.pairs {
            let k = k as usize;
            sums.counts[k] += cluster.count;
            sums.sums[k * d..].iter_mut().zip(&*cluster.sums).for_each(|(sum, &x)| *sum += x);
        }
        sums
    }

    fn cost(&self, state: &State<T>, sums: &Sums<T>) -> f64 {
        let squared = cost_from_sums(self.squares, &sums.sums, &sums.counts, self.grid, &state.centroids);
        self.centred.cost(squared)
    }

    /// Moves the empty clusters, in their order, to the farthest rows, which their own clusters lose: a weight of 1, as if
    /// a row of weight 3 were three rows. False if no cluster was moved: as far as can be computed, every row lies on its
    /// centroid.
    fn fill_empty(&self, sums: &mut Sums<T>, output: Output<Lloyd<T>>) -> bool {
        let d = self.d();
        let farthest =
            output.pairs.into_iter().flat_map(|(_, cluster)| cluster.farthest).flat_map(TopRows::into_rows);
        let empty: Vec<usize> = (0..self.k).filter(|&k| sums.counts[k] == 0).collect();
        let mut moved = false;
        for (to, row) in empty.into_iter().zip(farthest) {
            let from = row.label as usize;
            let weighing = self.centred.weighing;
            let weight = (weighing.behind == 1).then(|| row.weight.min(weighing.one));
            let values: Vec<T> = row.point.iter().copied().chain(weight).map(T::from_f64).collect();
            let (on_grid, count) = self.grid.of_row(&values);
            sums.counts[from] -= count;
            sums.counts[to] += count;
            for (j, x) in on_grid.take(d).enumerate() {
                sums.sums[from * d + j] -= x;
                sums.sums[to * d + j] += x;
            }
            moved = true;
        }
        moved
    }

    /// Moves the centroids to the means of their clusters and decides whether that is the end.
    fn finish(&self, state: &mut State<T>, sums: &Sums<T>, relocated: bool) -> ControlFlow<Fitted> {
        let d = self.d();
        let mut centroids = state.centroids.clone();
        for (k, &count) in sums.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            for j in 0..d {
                centroids[k * d + j] = self.grid.mean(sums.sums[k * d + j], count, j);
            }
        }
        let centroids = self.centred.settle(centroids, &state.centroids);
        let shift = centroids.iter().zip(&state.centroids).map(|(new, old)| (new - old).powi(2)).sum();
        let number = state.costs.len() as u32;
        let cost = state.costs.last().copied().unwrap_or_default();
        let (k, run) = (self.k, self.run);
        let seconds = self.clock.lap();
        self.observer.tell(&Iteration { k, run, number, cost, moved: sums.moved, shift, seconds });

        // The same centroids give the same labels and means again, and the same labels the same centroids. A moved
        // cluster has yet to win its rows, so until it stays where it is a small shift means nothing.
        let converged = centroids == state.centroids || (!relocated && shift <= self.shift_max);
        state.previous = std::mem::replace(&mut state.centroids, centroids);
        if converged || number >= self.max_iter {
            let (centroids, costs) = (std::mem::take(&mut state.centroids), std::mem::take(&mut state.costs));
            return ControlFlow::Break(Fitted { centroids, converged, costs });
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mapreduce_core::codec;

    #[test]
    fn the_state_comes_back_from_its_bytes() {
        let sums = Sums::<f64> { counts: vec![2, 0], sums: vec![i128::MIN, i128::MAX, -1, 0], moved: 7 };
        let state = State {
            centroids: vec![0.1, -0.0, 1e300, 5e-324],
            previous: vec![1.0; 4],
            costs: vec![3.5, 0.25],
            assigned: Some(sums),
            is_incomplete: true,
        };
        let mut bytes = Vec::new();
        codec::encode(&state, &mut bytes).unwrap();
        let back: State<f64> = codec::decode(&bytes).unwrap();
        assert_eq!(format!("{back:?}"), format!("{state:?}"));
    }
}
