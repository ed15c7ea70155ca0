//! [`Destination`]: where the output of reduce attempts goes: back to the program, or to part files.

use crate::wire::message::AttemptFailure;
use mapreduce_core::{
    Counters, Job, Memory,
    engine::{SharedPart, SharedStaging, StagedPart, Staging},
    exec::{Attempt, AttemptError, ErasedRound, ReducedFile, ReducedPartition, Run},
    schedule::{AttemptId, TaskReport},
};

/// Where the reduce attempts of a round leave their output, each for itself. What an attempt has left counts only if it
/// commits.
pub(super) trait Destination<J: Job>: Sync {
    /// The output of one partition.
    type Part: Send;

    /// Whether [`take`](Self::take) is work for the driver's threads, and not for the loop that drives the job.
    const TAKES_LONG: bool;

    /// What peers are told, if they are to write part files themselves.
    fn shared(&self) -> Option<&SharedStaging>;

    /// Runs a reduce attempt at the driver.
    fn reduce(
        &self,
        round: &dyn ErasedRound,
        attempt: AttemptId,
        runs: &[&Run],
        token: &Attempt,
        memory: &Memory,
    ) -> Result<Reduced<Self::Part>, AttemptError>;

    /// Takes the output of an attempt at a peer.
    fn take(
        &self,
        attempt: AttemptId,
        output: Arrived,
        token: &Attempt,
    ) -> Result<(Self::Part, TaskReport), AttemptFailure>;
}

/// What a reduce attempt leaves.
pub(super) struct Reduced<P> {
    pub(super) part: P,
    pub(super) report: TaskReport,
    pub(super) counters: Counters,
    pub(super) keys: u64,
}

/// The output of a reduce attempt at a peer, as it comes to the driver.
pub(super) enum Arrived {
    /// The pairs.
    Run(Run),
    /// The peer's word for it that they are in files.
    Files(SharedPart),
}

/// Back to the program, encoded.
pub(super) struct Returned;

impl<J: Job> Destination<J> for Returned {
    type Part = Run;

    const TAKES_LONG: bool = false;

    fn shared(&self) -> Option<&SharedStaging> {
        None
    }

    fn reduce(
        &self,
        round: &dyn ErasedRound,
        attempt: AttemptId,
        runs: &[&Run],
        token: &Attempt,
        memory: &Memory,
    ) -> Result<Reduced<Run>, AttemptError> {
        let ReducedPartition { run, counters, keys } =
            round.reduce(attempt.task.index(), runs, token, memory)?;
        let report = report(&run);
        Ok(Reduced { part: run, report, counters, keys })
    }

    fn take(&self, _: AttemptId, output: Arrived, _: &Attempt) -> Result<(Run, TaskReport), AttemptFailure> {
        match output {
            Arrived::Run(run) => {
                let report = report(&run);
                Ok((run, report))
            }
            Arrived::Files(_) => Err(node("says it has written files, which nobody has asked for".into())),
        }
    }
}

impl<J: Job> Destination<J> for Staging {
    type Part = StagedPart;

    const TAKES_LONG: bool = true;

    fn shared(&self) -> Option<&SharedStaging> {
        Staging::shared(self)
    }

    fn reduce(
        &self,
        round: &dyn ErasedRound,
        attempt: AttemptId,
        runs: &[&Run],
        token: &Attempt,
        memory: &Memory,
    ) -> Result<Reduced<StagedPart>, AttemptError> {
        let file = self.create_file(&attempt.to_string())?;
        let ReducedFile { part, counters, keys } =
            round.reduce_to_file(attempt.task.index(), runs, token, memory, file)?;
        let report = part.report();
        Ok(Reduced { part, report, counters, keys })
    }

    fn take(
        &self,
        attempt: AttemptId,
        output: Arrived,
        token: &Attempt,
    ) -> Result<(StagedPart, TaskReport), AttemptFailure> {
        let part = match output {
            Arrived::Run(run) => {
                // Not the name that the peer would have given it: it may have begun to write.
                let name = format!("{attempt} as it came");
                self.write_in::<J>(&name, &run, token).map_err(|AttemptError { failure, permanent }| {
                    AttemptFailure::Task { failure, permanent }
                })?
            }
            Arrived::Files(part) => {
                let accepted = self.accept::<J>(&attempt.to_string(), part);
                accepted.map_err(|error| node(error.to_string()))?
            }
        };
        let report = part.report();
        Ok((part, report))
    }
}

fn report(run: &Run) -> TaskReport {
    TaskReport { records: run.pairs(), bytes: run.byte_len(), checksum: run.checksum() }
}

fn node(message: String) -> AttemptFailure {
    AttemptFailure::Node { message }
}
