//! What the coordinator tells its driver about the job.

use std::fmt;

use super::error::JobError;
use super::ids::{AttemptId, PeerId, Round, TaskId};
use super::report::{Failure, TaskReport};

/// Something that happened, from [`poll_event`](super::Coordinator::poll_event). Nothing needs to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A peer takes part from now on. If it took part before, its `PeerLost` came first.
    PeerJoined {
        /// The peer.
        peer: PeerId,
    },
    /// A draining peer runs nothing and holds no map output that is needed: it may leave. Once per drain.
    PeerDrained {
        /// The peer.
        peer: PeerId,
    },
    /// A peer gets no new attempt until the next round, because its node failed too often or its map output could
    /// not be fetched too often. The `AttemptFailed` that tipped the scales came first.
    PeerQuarantined {
        /// The peer.
        peer: PeerId,
    },
    /// A peer no longer takes part. An `AttemptLost` for each attempt it ran and an `OutputLost` for each map output
    /// that must be made again follow.
    PeerLost {
        /// The peer.
        peer: PeerId,
    },
    /// A round began. The first of a round; the `RoundFinished` of the round before came first.
    RoundStarted {
        /// The round.
        round: Round,
    },
    /// A second attempt of a running task started, since its first one is slow or on a suspected peer.
    BackupStarted {
        /// The new attempt.
        attempt: AttemptId,
        /// Where it runs.
        peer: PeerId,
    },
    /// An attempt committed. Once per task and round; again for a map task only after an `OutputLost`.
    TaskCommitted {
        /// The one that counts.
        attempt: AttemptId,
        /// Where it ran.
        peer: PeerId,
        /// What it produced.
        report: TaskReport,
    },
    /// An attempt that could have committed failed. Unless `JobFailed` follows, its task goes on.
    AttemptFailed {
        /// The attempt.
        attempt: AttemptId,
        /// Where it ran.
        peer: PeerId,
        /// Why.
        failure: Failure,
    },
    /// An attempt that could have committed went down with its peer, whose `PeerLost` came first.
    AttemptLost {
        /// The attempt.
        attempt: AttemptId,
        /// Where it ran.
        peer: PeerId,
    },
    /// A committed map output that is still needed is gone, with its peer or because it cannot be fetched. The map
    /// task is pending again; its `TaskCommitted` came first.
    OutputLost {
        /// The attempt that made it.
        attempt: AttemptId,
        /// The peer that held it.
        peer: PeerId,
    },
    /// A running reduce attempt was cancelled, because a map task that ran again made another output than the one
    /// it may have read. Its task is pending again. The map task's `TaskCommitted` came first.
    ConsumerRestarted {
        /// The attempt.
        attempt: AttemptId,
        /// Where it ran.
        peer: PeerId,
    },
    /// Every map task of the round has committed. Comes again if outputs were lost in between.
    MapsFinished {
        /// The round.
        round: Round,
    },
    /// Every task of the round has committed, and the coordinator is idle: a `TaskCommitted` for each came first.
    RoundFinished {
        /// The round.
        round: Round,
    },
    /// The job failed. The last event but for those about peers.
    JobFailed {
        /// Why.
        error: JobError,
    },
    /// The job was cancelled. The last event but for those about peers.
    Cancelled,
}

impl Event {
    /// The task the event is about, if it is about one.
    pub fn task(&self) -> Option<TaskId> {
        match self {
            Self::BackupStarted { attempt, .. }
            | Self::TaskCommitted { attempt, .. }
            | Self::AttemptFailed { attempt, .. }
            | Self::AttemptLost { attempt, .. }
            | Self::OutputLost { attempt, .. }
            | Self::ConsumerRestarted { attempt, .. } => Some(attempt.task),
            _ => None,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerJoined { peer } => write!(f, "{peer} joined"),
            Self::PeerDrained { peer } => write!(f, "{peer} drained"),
            Self::PeerQuarantined { peer } => write!(f, "{peer} quarantined"),
            Self::PeerLost { peer } => write!(f, "{peer} lost"),
            Self::RoundStarted { round } => write!(f, "{round} started"),
            Self::BackupStarted { attempt, peer } => write!(f, "backup {attempt} started on {peer}"),
            Self::TaskCommitted { attempt, peer, .. } => write!(f, "{attempt} committed on {peer}"),
            Self::AttemptFailed { attempt, peer, failure } => {
                write!(f, "{attempt} failed on {peer}: {failure}")
            }
            Self::AttemptLost { attempt, peer } => write!(f, "{attempt} lost with {peer}"),
            Self::OutputLost { attempt, peer } => write!(f, "output of {attempt} lost on {peer}"),
            Self::ConsumerRestarted { attempt, peer } => {
                write!(f, "{attempt} on {peer} restarts: its input changed")
            }
            Self::MapsFinished { round } => write!(f, "maps of {round} finished"),
            Self::RoundFinished { round } => write!(f, "{round} finished"),
            Self::JobFailed { error } => write!(f, "job failed: {error}"),
            Self::Cancelled => f.write_str("job cancelled"),
        }
    }
}
