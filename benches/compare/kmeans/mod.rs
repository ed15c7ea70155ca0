//! The contests of K-means: the same points, the same start centroids and as many iterations for everybody.
//!
//! Contestants are processes that have loaded the points and fit when they are told to. A turn is two fits, of one iteration
//! and of all: the difference is what iterations take, without whatever comes before and behind them, and the longer one is
//! what a user waits for.
//!
//! # Layout
//!
//! * [`workload`]: which points, how many clusters, and what this project set out for.
//! * [`contestants`]: who takes part. [`process`]: how they are asked.
//! * [`report`]: what is told of it.
//! * [`start`]: the contest of start centroids, which has contestants and tables of its own.
//! * Contestants: `fit_kmeans.rs`, `fit_linfa.rs` and `start_kmeans.rs` are programs, `peer_*.py` scripts.

mod contestants;
mod process;
mod report;
pub(crate) mod start;
mod workload;

pub(crate) use workload::Workload;

use crate::{contests::Setup, report::Section, workshop::remove};
use benches::{
    Failure,
    limits::{fma_peak, read_bandwidth},
};
use contestants::{Contestant, Contestants, Role};
use mapreduce_core::Cancel;
use process::OnDemand;
use report::{Limits, Outcome, Performance, Turn};
use std::{fs, time::Duration};

/// How contestants take turns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Turns of each.
    pub(crate) runs: u32,
    /// Those whose first turn takes longer have no other.
    pub(crate) slow: Duration,
    /// No fit takes longer.
    pub(crate) limit: Duration,
    /// Few points and iterations.
    pub(crate) quick: bool,
}

/// Relative difference of the inertia of those that do the same.
const SAME_INERTIA: f64 = 1e-3;
/// What the bandwidth is measured on: more than any cache.
const BANDWIDTH_BYTES: usize = 1 << 30;

/// Makes the points, has everybody take turns, and tells what came of it.
///
/// # Errors
/// When there are no points, or it is interrupted. What a contestant does wrong is told in the section.
pub(crate) fn hold(
    workload: Workload,
    setup: Setup<'_>,
    rules: Rules,
    cancel: &Cancel,
) -> Result<Section, Failure> {
    let task = workload.task(setup.workshop, rules.quick)?;
    // For what contestants leave on disk.
    fs::create_dir_all(&setup.workshop.spill)?;
    println!("\n{}", task.title());
    let limits = Limits {
        operations: fma_peak(setup.threads),
        bytes: read_bandwidth(setup.threads, BANDWIDTH_BYTES),
        threads: setup.threads,
    };
    let Contestants { steady, slow, absent } = Contestants::of(&task, setup);
    let mut outcome = Outcome { task, limits, results: Vec::new(), absent };

    let mut ready: Vec<Option<OnDemand>> = Vec::new();
    for contestant in steady {
        let (process, performance) = begin(contestant, setup, rules, cancel)?;
        ready.push(process);
        outcome.results.push(performance);
    }
    for round in 0..rules.runs as usize {
        for place in 0..ready.len() {
            // Each time another one begins, so that nobody always has the same one in front.
            let at = (round + place) % ready.len();
            let first = outcome.results[at].turns.first();
            if first.is_none_or(|turn| turn.seconds() <= rules.slow.as_secs_f64()) {
                outcome.turn(at, &mut ready[at], rules, cancel)?;
            }
        }
    }
    drop(ready);
    // One at a time, for they take much memory as well.
    for contestant in slow {
        let (mut process, performance) = begin(contestant, setup, rules, cancel)?;
        outcome.results.push(performance);
        outcome.turn(outcome.results.len() - 1, &mut process, rules, cancel)?;
    }
    // What a process that is about to end still holds there is removed after the next contest.
    let _ = remove(&setup.workshop.spill);
    Ok(outcome.section())
}

/// Starts a contestant and has it do one iteration that does not count.
fn begin(
    contestant: Contestant,
    setup: Setup<'_>,
    rules: Rules,
    cancel: &Cancel,
) -> Result<(Option<OnDemand>, Performance), Failure> {
    let Contestant { name, role, aim, iterations, command } = contestant;
    let mut performance = Performance::new(name, role, aim, iterations);
    let word: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let log = setup.workshop.fresh(&format!("{word}.log"))?;
    let started = OnDemand::start(command, &log, rules.limit, cancel).and_then(|mut process| {
        process.fit(1, rules.limit, cancel)?;
        Ok(process)
    });
    let process = match started {
        _ if cancel.is_cancelled() => return Err("interrupted".into()),
        Ok(process) => Some(process),
        Err(failure) => {
            performance.fail(failure);
            None
        }
    };
    Ok((process, performance))
}

impl Outcome {
    /// A turn of one contestant, if it is still there. It is not afterwards if it has failed.
    fn turn(
        &mut self,
        at: usize,
        process: &mut Option<OnDemand>,
        rules: Rules,
        cancel: &Cancel,
    ) -> Result<(), Failure> {
        let Some(running) = process else { return Ok(()) };
        let iterations = self.results[at].iterations;
        let fits = running.fit(1, rules.limit, cancel).and_then(|one| {
            let all = running.fit(iterations, rules.limit, cancel)?;
            Ok(Turn { first: one.seconds, whole: all.seconds, inertia: all.inertia })
        });
        if cancel.is_cancelled() {
            return Err("interrupted".into());
        }
        let peak_bytes = running.peak_bytes();
        let checked = fits.and_then(|turn| self.check(at, turn).map(|()| turn));
        let result = &mut self.results[at];
        result.peak_bytes = result.peak_bytes.max(peak_bytes);
        match checked {
            Ok(turn) => {
                let milliseconds = turn.per_iteration(iterations) * 1e3;
                println!("  {}: {milliseconds:.2} ms, {:.3} s", result.name, turn.whole);
                result.turns.push(turn);
            }
            Err(failure) => {
                result.fail(failure);
                *process = None;
            }
        }
        Ok(())
    }

    /// Whether a contestant that does the same as this project ended where this project did.
    fn check(&self, at: usize, turn: Turn) -> Result<(), Failure> {
        let result = &self.results[at];
        let same = |other: &&Performance| other.role.is_same() && other.iterations == result.iterations;
        let expected = self.results.iter().filter(same).find_map(|other| Some((other, other.turns.first()?)));
        match expected {
            Some((other, first)) if result.role.is_same() && !alike(turn.inertia, first.inertia) => {
                let (found, expected) = (turn.inertia, first.inertia);
                Err(format!("its inertia is {found}, and that of {} {expected}", other.name).into())
            }
            _ => Ok(()),
        }
    }
}

fn alike(a: f64, b: f64) -> bool {
    (a - b).abs() <= SAME_INERTIA * b.abs()
}

impl Role {
    /// Whether it has to end with the inertia of the others.
    fn is_same(self) -> bool {
        matches!(self, Self::Ours | Self::Pool | Self::PlainLoop | Self::Exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kmeans::report::tests::outcome;

    #[test]
    fn who_does_the_same_must_end_with_the_same_inertia() {
        let outcome = outcome();
        let turn = |inertia| Turn { first: 0.1, whole: 1.0, inertia };
        let at = |role| outcome.results.iter().position(|result| result.role == role).unwrap();
        let (exact, approximate) = (at(Role::Exact), at(Role::Approximate));
        let expected = outcome.results[0].turns[0].inertia;
        assert!(outcome.check(exact, turn(expected * 1.0009)).is_ok());
        let error = outcome.check(exact, turn(expected * 1.002)).unwrap_err().to_string();
        assert!(error.contains("and that of this project"), "{error}");
        assert!(outcome.check(exact, turn(f64::NAN)).is_err());
        assert!(outcome.check(approximate, turn(expected * 2.0)).is_ok());
    }

    #[test]
    fn fewer_iterations_need_not_end_there() {
        let mut outcome = outcome();
        let exact = outcome.results.iter().position(|result| result.role == Role::Exact).unwrap();
        outcome.results[exact].iterations = 2;
        outcome.results[exact].turns.clear();
        assert!(outcome.check(exact, Turn { first: 0.1, whole: 1.0, inertia: 1.0 }).is_ok());
    }
}
