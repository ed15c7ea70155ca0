//! Jobs that a test holds by the hand: one that pauses, and one that runs in rounds.

use super::probe::{self, Probe};
use mapreduce_core::{Output, prelude::*};
use std::{
    ops::ControlFlow,
    sync::{Mutex, mpsc},
};

/// A job that says when its mapper runs, and goes on when it is told to, or when it is cancelled.
pub(crate) fn paused(at: u64) -> (Probe, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (reached, is_reached) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let may_go_on = Mutex::new(may_go_on);
    let job = Probe::default().on_map(move |n, out| {
        if n == at {
            reached.send(())?;
            // An error when the sender is gone: then nobody waits any more.
            let _ = may_go_on.lock().unwrap().recv();
        }
        probe::by_last_digit(n, out)
    });
    (job, is_reached, go_on)
}

/// Runs a probe as often as asked for, and keeps the sums of all rounds.
pub(crate) struct Countdown {
    rounds: u32,
    job: Probe,
    advance: fn(u32) -> Result,
}

impl Countdown {
    pub(crate) fn from(rounds: u32) -> Self {
        Self { rounds, job: Probe::default(), advance: |_| Ok(()) }
    }

    pub(crate) fn over(self, job: Probe) -> Self {
        Self { job, ..self }
    }

    pub(crate) fn advance(self, advance: fn(u32) -> Result) -> Self {
        Self { advance, ..self }
    }
}

impl Iterative for Countdown {
    type Round = Probe;
    type State = Vec<u64>;
    type Output = Vec<u64>;

    fn start(&self) -> Result<Vec<u64>> {
        Ok(Vec::new())
    }

    fn round(&self, _: &Vec<u64>) -> Result<(Probe, ())> {
        Ok((self.job.clone(), ()))
    }

    fn advance(
        &self,
        round: u32,
        state: &mut Vec<u64>,
        output: Output<Probe>,
    ) -> Result<ControlFlow<Vec<u64>>> {
        assert_eq!(round as usize, state.len());
        (self.advance)(round)?;
        state.push(output.pairs.iter().map(|(_, sum)| sum).sum());
        let done = state.len() as u32 == self.rounds;
        Ok(if done { ControlFlow::Break(state.clone()) } else { ControlFlow::Continue(()) })
    }
}
