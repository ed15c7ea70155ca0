//! How a job fails, and why a round cannot start.

use std::time::Duration;

use super::ids::{PeerId, Round, TaskId};

/// Why the job failed. The coordinator is done after that: every running attempt is cancelled, and no round starts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// A task failed as often as [`attempts_max`](super::Config::attempts_max) allows.
    #[error(
        "{task} failed {failures} times, the last time: {last}; fix the job or its input, or raise attempts_max"
    )]
    AttemptsExhausted {
        /// The task.
        task: TaskId,
        /// Its charged failures in this round.
        failures: u16,
        /// What its last failure said.
        last: String,
    },
    /// A task failed in a way that another attempt cannot mend.
    #[error("{task} cannot succeed: {message}; fix the job or its input")]
    Permanent {
        /// The task.
        task: TaskId,
        /// What its failure said.
        message: String,
    },
    /// [`peers_lost_max`](super::Config::peers_lost_max) peers were lost while they ran the same task.
    #[error(
        "{task} was running on {peers} peers as they were lost; see whether it aborts, overflows its stack or runs \
         out of memory there, or raise peers_lost_max"
    )]
    PeersLost {
        /// The task.
        task: TaskId,
        /// How many peers were lost under it in this round.
        peers: u16,
    },
    /// Work remained, but for [`no_peers_timeout`](super::Config::no_peers_timeout) nobody could do it.
    #[error(
        "no usable peer for {waited:?}{}; start a peer that has this job, or raise no_peers_timeout",
        .node_failure.as_ref().map(|message| format!(" (last node failure: {message})")).unwrap_or_default()
    )]
    NoPeers {
        /// How long the job waited.
        waited: Duration,
        /// What the last failure of a node said, if one was reported.
        node_failure: Option<String>,
    },
    /// Every peer that takes part is [quarantined](super::Event::PeerQuarantined), which ends with the round only.
    #[error(
        "{}{}; mend what fails there, and run the job again",
        match .peers {
            1 => "the only peer has failed too often to get more work".to_string(),
            peers => format!("all {peers} peers have failed too often to get more work"),
        },
        .node_failure.as_ref().map(|message| format!(" (last node failure: {message})")).unwrap_or_default()
    )]
    AllQuarantined {
        /// How many there are.
        peers: usize,
        /// What the last failure of a node said, if one was reported.
        node_failure: Option<String>,
    },
    /// A map task that ran again, because its output was lost, made another output than before; but a reduce task
    /// has already committed results made of the old one.
    #[error(
        "{task} is not deterministic: its output was lost and its re-execution differs (checksum {before:016x}, then \
         {after:016x}) after reduce tasks committed; make the mapper a pure function of its split, or run again"
    )]
    NonDeterministic {
        /// The map task.
        task: TaskId,
        /// Checksum of the lost output.
        before: u64,
        /// Checksum of the new output.
        after: u64,
    },
    /// The input of a reduce task could not be fetched, however often map tasks ran again.
    #[error(
        "{task} could not fetch its input {failures} times, the last time from {from}; see whether the peers reach \
         each other, or raise task_fetch_failures_max"
    )]
    FetchFailed {
        /// The reduce task.
        task: TaskId,
        /// The peer that it could not fetch from at last.
        from: PeerId,
        /// Its failed fetches in this round.
        failures: u16,
    },
}

/// Why [`start_round`](super::Coordinator::start_round) refused. The coordinator is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A round is running.
    #[error("{round} is still running; wait for its RoundFinished event")]
    Busy {
        /// The running round.
        round: Round,
    },
    /// The job failed or was cancelled.
    #[error("the job has ended; start another one with a new coordinator")]
    Ended,
    /// The plan has more tasks than [`tasks_max`](super::Config::tasks_max).
    #[error(
        "a round of {tasks} tasks exceeds tasks_max = {tasks_max}; use larger splits or fewer partitions"
    )]
    TooManyTasks {
        /// Splits plus partitions of the plan.
        tasks: u64,
        /// The bound.
        tasks_max: u32,
    },
    /// All round numbers are used up.
    #[error("the job has run {} rounds, the most that can be numbered; start another job", u32::MAX)]
    TooManyRounds,
}
