//! What the coordinator asks its driver to do.

use std::fmt;

use super::ids::{AttemptId, PeerId, Round};

/// One thing to do, from [`poll_action`](super::Coordinator::poll_action). Actions that concern one peer must reach
/// it in the order in which they were polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Run this attempt on this peer, which has a free slot. It must be answered exactly once, by
    /// [`handle_completed`](super::Coordinator::handle_completed) or
    /// [`handle_failed`](super::Coordinator::handle_failed), unless the peer is lost; until then it holds the slot.
    ///
    /// Every map task has committed when a reduce attempt starts, and
    /// [`outputs`](super::Coordinator::outputs) tells where the output of each is.
    Start {
        /// Where to run it.
        peer: PeerId,
        /// What to run.
        attempt: AttemptId,
        /// Another attempt of the task is running on another peer.
        backup: bool,
    },
    /// Stop this attempt: it can no longer commit. The peer still answers its `Start`; an answer that crosses this
    /// action is discarded. A peer that cannot stop it answers [`Cancelled`](super::Failure::Cancelled) and shrinks
    /// its grant by the slot it lost ([`handle_peer_slots`](super::Coordinator::handle_peer_slots)).
    Cancel {
        /// Where it runs.
        peer: PeerId,
        /// What to stop.
        attempt: AttemptId,
    },
    /// Drop the committed map output of this attempt: it could not be fetched, and the map task runs again.
    DropOutput {
        /// Where the output is.
        peer: PeerId,
        /// Whose output it is.
        attempt: AttemptId,
    },
    /// The round is over: every peer may drop its map outputs and broadcast values.
    EndRound {
        /// The round.
        round: Round,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { peer, attempt, backup: false } => write!(f, "start {attempt} on {peer}"),
            Self::Start { peer, attempt, backup: true } => write!(f, "start {attempt} on {peer} as backup"),
            Self::Cancel { peer, attempt } => write!(f, "cancel {attempt} on {peer}"),
            Self::DropOutput { peer, attempt } => write!(f, "drop output of {attempt} on {peer}"),
            Self::EndRound { round } => write!(f, "end {round}"),
        }
    }
}
