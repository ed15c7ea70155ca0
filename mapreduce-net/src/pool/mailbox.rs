//! [`Message`]: what a job is told by the driver's connections.

use crate::{
    NodeId,
    transfer::{Arrived, Refusal},
    wire::message::{AttemptFailure, Completed},
};
use mapreduce_core::{
    JobId,
    schedule::{AttemptId, PeerId},
};
use std::{fmt, sync::Arc};
use tokio::sync::oneshot;

/// What happened that concerns a job. Comes in the order in which it happened at each peer, with `PeerJoined` first and
/// nothing behind `PeerLost`, except for `Reduced` of a peer that is lost.
#[derive(Debug)]
pub(crate) enum Message {
    /// There is a session with a peer. A node that is lost and comes back is another peer.
    PeerJoined {
        peer: PeerId,
        node: NodeId,
        /// Attempts that this job may have there at once.
        slots: u32,
        /// Threads that work on tasks there.
        threads: u32,
        /// The jobs that it has.
        jobs: Arc<[JobId]>,
    },
    /// The job may have another number of attempts at a peer.
    PeerSlots { peer: PeerId, slots: u32 },
    /// A peer may be dead. `PeerTrusted` or `PeerLost` follows.
    PeerSuspected { peer: PeerId },
    /// A suspected peer is alive.
    PeerTrusted { peer: PeerId },
    /// A peer wants to leave. It waits until [`Hub::drained`](super::hub::Hub::drained), or until the job is over.
    PeerDraining { peer: PeerId },
    /// The session with a peer is over. What was sent to it may or may not have arrived.
    PeerLost { peer: PeerId, reason: String },
    /// An attempt is done.
    Completed { peer: PeerId, completed: Box<Completed> },
    /// An attempt failed.
    Failed { peer: PeerId, attempt: AttemptId, failure: AttemptFailure },
    /// What [`Hub::fetch_reduced`](super::hub::Hub::fetch_reduced) was asked for.
    Reduced { peer: PeerId, attempt: AttemptId, result: Result<Arrived, AttemptFailure> },
    /// A peer wants a split of the job's dataset.
    WantSplit { dataset: u64, split: u32, reply: SplitReply },
    /// The program has closed the pool. Nothing follows.
    Closed,
    /// Nothing happened out there: for whoever wants to be heard by the job's thread.
    Wake,
}

/// To be answered once, from any thread. If it is dropped the split is refused.
pub(crate) struct SplitReply(oneshot::Sender<Result<Vec<Vec<u8>>, Refusal>>);

impl SplitReply {
    /// The reply, and what becomes of it.
    #[expect(clippy::type_complexity, reason = "the two ends of one channel")]
    pub(super) fn new() -> (Self, oneshot::Receiver<Result<Vec<Vec<u8>>, Refusal>>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }

    /// Sends the blocks of whole records that make up the split, or says why there are none.
    pub(crate) fn answer(self, blocks: Result<Vec<Vec<u8>>, Refusal>) {
        // Whoever wanted it may be gone.
        let _ = self.0.send(blocks);
    }

    /// Whether nobody waits for the answer any more.
    pub(crate) fn is_unwanted(&self) -> bool {
        self.0.is_closed()
    }
}

impl fmt::Debug for SplitReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SplitReply")
    }
}
