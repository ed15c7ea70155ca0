//! Rounds of tasks that do no work, and when what happened in them.

use crate::Failure;
use mapreduce_core::{Input, engine::whole, prelude::*, schedule::Event};
use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

/// Emits one pair for each record and does nothing with it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Empty;

impl Mapper for Empty {
    type Input = Items<u8>;
    type Key = ();
    type Value = u64;
    fn map(&self, _: &u8, out: &mut impl Emit<(), u64>) -> Result {
        out.emit(&(), &1)
    }
}

impl SimpleJob for Empty {
    const NAME: &'static str = "empty";
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

/// As many rounds of [`Empty`] as are asked for.
pub struct Rounds {
    /// Map tasks of a round.
    pub tasks: u64,
    /// Rounds.
    pub rounds: u32,
}

impl Iterative for Rounds {
    type Round = Empty;
    type State = ();
    type Output = ();

    fn start(&self) -> Result {
        Ok(())
    }

    fn round(&self, (): &()) -> Result<(Empty, ())> {
        Ok((Empty, ()))
    }

    fn advance(&self, round: u32, _: &mut (), output: Output<Empty>) -> Result<ControlFlow<()>> {
        assert_eq!(output.pairs, [((), self.tasks)], "every task has run");
        Ok(if round + 1 == self.rounds { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

/// Items of which each is a split of its own.
///
/// # Errors
/// None that such items bring about.
pub fn splits(items: &[u8]) -> Result<Dataset<ItemSlice<u8, &[u8]>>> {
    let data = Dataset::with_split_bytes(ItemSlice::new(items), 1)?;
    assert_eq!(data.splits().len(), items.len());
    Ok(data)
}

/// The times of a round.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// From its beginning to that of the next one.
    pub whole: Duration,
    /// From its beginning until the first map task is done.
    pub first_map: Duration,
    /// From there until the last one is.
    pub other_maps: Duration,
    /// From there until the reduce task is.
    pub reduce: Duration,
    /// From there to the beginning of the next round.
    pub between: Duration,
}

/// The times of all rounds but the last one, which is followed by none.
///
/// # Errors
/// When the rounds fail.
pub fn times<I>(engine: &impl Engine, job: &Rounds, data: &Dataset<I>) -> Result<Vec<Times>, Failure>
where
    I: Input<Records = Items<u8>>,
{
    // Begin, first map task, last one, end.
    let mut rounds: Vec<[Instant; 4]> = Vec::with_capacity(job.rounds as usize);
    let mut note = |event: Event| {
        let now = Instant::now();
        match (event, rounds.last_mut()) {
            (Event::RoundStarted { .. }, _) => rounds.push([now; 4]),
            (Event::TaskCommitted { .. }, Some([start, first, ..])) if start == first => *first = now,
            (Event::MapsFinished { .. }, Some([_, _, last, _])) => *last = now,
            (Event::RoundFinished { .. }, Some([_, _, _, end])) => *end = now,
            _ => {}
        }
    };
    whole::iterate(engine, job, data, &Options::default(), &mut note)?;
    let times = rounds.windows(2).map(|pair| {
        let ([start, first, last, end], next) = (pair[0], pair[1][0]);
        Times {
            whole: next - start,
            first_map: first - start,
            other_maps: last - first,
            reduce: end - last,
            between: next - end,
        }
    });
    Ok(times.collect())
}
