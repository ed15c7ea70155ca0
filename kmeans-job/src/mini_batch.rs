//! Mini-batch K-means, as an iterated map-reduce job.
//!
//! Source: Sculley, "Web-scale k-means clustering", WWW 2010. That moves a centroid by one row after the other; the rows of
//! a round that are nearest to it together move it to the same place, whatever their order.

use crate::{
    centred::Centred,
    clock::Clock,
    fit::Iteration,
    iterations::Fitted,
    jobs::batch::{Batch, Draw},
    kmeans::Observer,
    numeric::{exact::ExactSum, grid::Grid, scalar::Scalar},
};
use mapreduce_core::{Iterative, Output, Result};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// What the last round counts in the smoothed shift. A round shifts centroids by chance too; and the first, from the start
/// centroids to the means, is to be forgotten after some ten more.
const SMOOTHING: f64 = 0.2;
/// Random numbers for the rows of a round: as many sequences after it as there are rounds.
const STREAM_BATCH: u64 = 0x6d69_6e69_0000_0000; // "mini"

/// Rounds over centred rows.
pub(crate) struct MiniBatches<'a, T: Scalar> {
    pub(crate) centred: &'a Centred<T>,
    /// The scales that rows are summed with.
    pub(crate) grid: &'a Grid<T>,
    pub(crate) k: usize,
    /// Rows that are drawn in a round, on average.
    pub(crate) batch: u64,
    pub(crate) seed: u64,
    /// The number of the run, for those who watch.
    pub(crate) run: u32,
    pub(crate) max_iter: u32,
    /// The smoothed sum of the centroids' squared shifts at which the rounds end.
    pub(crate) shift_max: f64,
    /// Row-major `k x d`, in the coordinates of the centred rows, as all centroids here.
    pub(crate) start: Vec<f64>,
    pub(crate) observer: &'a Observer,
    pub(crate) clock: Clock,
}

/// What is known between rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    centroids: Vec<f64>,
    /// What the rows weigh that each centroid has seen, in units of the grid: their number, if rows have no weights.
    seen: Vec<i128>,
    costs: Vec<f64>,
    /// The sum of the squared shifts, smoothed.
    smoothed: Option<f64>,
}

impl<T: Scalar> MiniBatches<'_, T> {
    /// The probability of a row to be drawn.
    fn share(&self) -> f64 {
        (self.batch as f64 / self.centred.rows() as f64).min(1.0)
    }
}

/// The smoothed sum of the squared shifts after one more round.
fn smooth(before: Option<f64>, shift: f64) -> f64 {
    before.map_or(shift, |before| before * (1.0 - SMOOTHING) + shift * SMOOTHING)
}

impl<T: Scalar> Iterative for MiniBatches<'_, T> {
    type Round = Batch<T>;
    type State = State;
    type Output = Fitted;

    fn start(&self) -> Result<State> {
        Ok(State { centroids: self.start.clone(), seen: vec![0; self.k], costs: Vec::new(), smoothed: None })
    }

    fn round(&self, state: &State) -> Result<(Batch<T>, Draw)> {
        let stream = STREAM_BATCH + state.costs.len() as u64;
        let draw = Draw { centroids: state.centroids.clone(), seed: self.seed, stream, share: self.share() };
        Ok((Batch { grid: self.grid.clone() }, draw))
    }

    fn advance(
        &self,
        _: u32,
        state: &mut State,
        output: Output<Batch<T>>,
    ) -> Result<ControlFlow<Self::Output>> {
        let d = self.centred.d();
        let (mut drawn, mut weight, mut squared) = (0, 0, ExactSum::new());
        let mut centroids = state.centroids.clone();
        for (cluster, rows) in output.pairs {
            let cluster = cluster as usize;
            drawn += rows.rows;
            weight += rows.count;
            squared += &rows.squared;
            if rows.count == 0 {
                continue;
            }
            state.seen[cluster] += i128::from(rows.count);
            let rate = rows.count as f64 / state.seen[cluster] as f64;
            for (j, x) in centroids[cluster * d..][..d].iter_mut().enumerate() {
                *x += (self.grid.mean(rows.sums[j], rows.count, j) - *x) * rate;
            }
        }
        let centroids = self.centred.settle(centroids, &state.centroids);
        let shift = centroids.iter().zip(&state.centroids).map(|(new, old)| (new - old) * (new - old)).sum();
        // A round that happens to draw no row that counts tells nothing.
        let cost = match weight {
            0 => state.costs.last().copied().unwrap_or_default(),
            _ => {
                let weighing = self.centred.weighing;
                let mean = self.centred.cost(squared.value()) / (weight as f64 * weighing.unit());
                mean * weighing.total()
            }
        };
        if weight > 0 {
            state.smoothed = Some(smooth(state.smoothed, shift));
        }
        state.costs.push(cost);
        state.centroids = centroids;
        let (k, run, number) = (self.k, self.run, state.costs.len() as u32);
        self.observer.tell(&Iteration {
            k,
            run,
            number,
            cost,
            moved: drawn,
            shift,
            seconds: self.clock.lap(),
        });

        let converged = state.smoothed.is_some_and(|shift| shift <= self.shift_max);
        if converged || number >= self.max_iter {
            let (centroids, costs) = (std::mem::take(&mut state.centroids), std::mem::take(&mut state.costs));
            return Ok(ControlFlow::Break(Fitted { centroids, converged, costs }));
        }
        Ok(ControlFlow::Continue(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mapreduce_core::codec;

    #[test]
    fn the_state_comes_back_from_its_bytes() {
        let state = State {
            centroids: vec![0.1, -0.0, 1e300, 5e-324],
            seen: vec![0, i128::MAX],
            costs: vec![3.5, 0.25],
            smoothed: Some(0.125),
        };
        let mut bytes = Vec::new();
        codec::encode(&state, &mut bytes).unwrap();
        assert_eq!(codec::decode::<State>(&bytes).unwrap(), state);
    }
}
