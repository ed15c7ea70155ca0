//! [`Iterative`]: a job that repeats in rounds, each with a new broadcast value.

use super::Job;
use crate::{Output, Result};
use serde::{Serialize, de::DeserializeOwned};
use std::ops::ControlFlow;

/// An iterated job. `State` stays with the program that drives the job and is what a checkpoint holds; the rounds'
/// [`Job::Shared`] is what nodes see of it.
///
/// The driving loop is: [`start`](Self::start), then for every round [`round`](Self::round), the map-reduce, and
/// [`advance`](Self::advance) until that breaks with the result.
///
/// ```
/// use mapreduce_core::prelude::*;
/// use std::ops::ControlFlow;
///
/// /// Counts the numbers below a threshold that falls by ten each round, until there is none.
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Below;
/// # struct BelowMapper(u64);
/// # impl Mapper for BelowMapper {
/// #     type Input = Items<u64>;
/// #     type Key = ();
/// #     type Value = u64;
/// #     fn map(&self, n: &u64, out: &mut impl Emit<(), u64>) -> Result {
/// #         if *n < self.0 { out.emit(&(), &1) } else { Ok(()) }
/// #     }
/// # }
/// # impl Job for Below {
/// #     const NAME: &'static str = "below";
/// #     type Shared = u64;
/// #     type Mapper = BelowMapper;
/// #     type Combiner = Sum;
/// #     type Reducer = Fold<Sum>;
/// #     fn mapper(&self, shared: &u64) -> Result<BelowMapper> { Ok(BelowMapper(*shared)) }
/// #     fn combiner(&self) -> Sum { Sum }
/// #     fn reducer(&self, _: &u64) -> Result<Fold<Sum>> { Ok(Fold(Sum)) }
/// # }
///
/// impl Iterative for Below {
///     type Round = Below;
///     type State = u64;
///     type Output = u64;
///     fn start(&self) -> Result<u64> {
///         Ok(25)
///     }
///     fn round(&self, threshold: &u64) -> Result<(Below, u64)> {
///         Ok((Below, *threshold))
///     }
///     fn advance(&self, _: u32, threshold: &mut u64, output: Output<Below>) -> Result<ControlFlow<u64>> {
///         if output.pairs.is_empty() {
///             return Ok(ControlFlow::Break(*threshold));
///         }
///         *threshold -= 10;
///         Ok(ControlFlow::Continue(()))
///     }
/// }
///
/// let numbers: Vec<u64> = (8..100).collect();
/// let below = Local::new(2)?.iterate(&Below, &Dataset::new(ItemSlice::new(&numbers))?)?;
/// assert_eq!((below.output, below.rounds), (5, 3));
/// # Ok::<(), mapreduce_core::Error>(())
/// ```
pub trait Iterative: Send + Sync {
    /// The job of one round.
    type Round: Job;
    /// What the driver knows between rounds.
    type State: Send + Serialize + DeserializeOwned;
    /// The result.
    type Output;

    /// The state before the first round.
    ///
    /// # Errors
    /// Any error ends the job.
    fn start(&self) -> Result<Self::State>;

    /// Called before every round: its job and the value to broadcast.
    ///
    /// # Errors
    /// Any error ends the job.
    fn round(&self, state: &Self::State) -> Result<(Self::Round, <Self::Round as Job>::Shared)>;

    /// Called with the output of round number `round`, which counts from 0. `Continue` asks for another round.
    ///
    /// # Errors
    /// Any error ends the job.
    fn advance(
        &self,
        round: u32,
        state: &mut Self::State,
        output: Output<Self::Round>,
    ) -> Result<ControlFlow<Self::Output>>;
}
