//! [`Hub`]: the driver's connections to all peers. It routes; what to do is decided by the jobs.

use super::{
    mailbox::Message,
    options::PoolOptions,
    outbox::Outbox,
    roster::{Problem, Roster, Welcome},
    serve::{self, DataStreams, Store, Stored},
    session,
};
use crate::{
    NodeId, Timing,
    mesh::{Incoming, Mesh},
    transfer::{Budget, FetchError, fetch_output},
    wire::message::{AttemptFailure, Command, Request},
};
use mapreduce_core::{
    FailureKind, Memory, TaskFailure,
    schedule::{AttemptId, PeerId, Time},
};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, mpsc},
    time::Instant,
};
use tokio::{
    runtime,
    sync::{mpsc as queue, watch},
    task::AbortHandle,
};

/// The driver's side of all sessions. Cheap to clone, and usable from any thread; nothing here waits. When the last clone
/// is dropped, all of it ends as with [`close`](Self::close).
#[derive(Clone)]
pub(crate) struct Hub(Arc<Handle>);

/// A hub, for as long as somebody else has it: this does not keep the sessions.
pub(super) struct WeakHub(Weak<Handle>);

struct Handle {
    shared: Arc<Shared>,
    runtime: runtime::Handle,
    /// What runs until the hub is closed.
    tasks: [AbortHandle; 2],
}

/// What the hub's tasks share.
pub(super) struct Shared {
    pub(super) mesh: Mesh,
    pub(super) name: String,
    pub(super) timing: Timing,
    pub(super) store: Arc<Store>,
    roster: Mutex<Roster>,
    /// How many there are; `None` once the hub is closed.
    sessions: watch::Sender<Option<usize>>,
    /// Output that was fetched counts in the memory at once: this bounds the streams only.
    streams: Budget,
    pub(super) memory: Memory,
    started: Instant,
}

/// A job that hears of the peers; dropping it ends that.
pub(crate) struct JobGuard {
    /// The job's number, by which peers know it.
    pub(crate) job: u64,
    hub: Hub,
}

impl Hub {
    /// Begins sessions with all members, and answers what they ask for. The tasks run on the current runtime.
    pub(crate) fn start(mesh: Mesh, incoming: queue::Receiver<Incoming>, options: &PoolOptions) -> Self {
        let shared = Arc::new(Shared {
            mesh,
            name: options.name(),
            timing: options.timing.clone(),
            store: Arc::default(),
            roster: Mutex::default(),
            sessions: watch::Sender::new(Some(0)),
            streams: Budget::new(0),
            memory: options.memory.clone(),
            started: Instant::now(),
        });
        let tasks = [
            tokio::spawn(session::keep_all(shared.clone())).abort_handle(),
            tokio::spawn(serve::serve_all(shared.clone(), incoming, options.splits_shipped_max))
                .abort_handle(),
        ];
        Self(Arc::new(Handle { shared, runtime: runtime::Handle::current(), tasks }))
    }

    /// The same hub, for who does not keep it.
    pub(super) fn downgrade(&self) -> WeakHub {
        WeakHub(Arc::downgrade(&self.0))
    }

    /// A job begins, on the splits of `dataset`. Its mailbox gets a [`Message::PeerJoined`] for each peer that is there,
    /// before this returns, and whatever happens from then on. It is closed when the hub is.
    pub(crate) fn subscribe(&self, mailbox: mpsc::Sender<Message>, dataset: u64) -> JobGuard {
        JobGuard { job: self.0.shared.roster().subscribe(mailbox, dataset), hub: self.clone() }
    }

    /// Sends a command to a peer. If the session is over it vanishes; the mailbox hears of the loss.
    pub(crate) fn send(&self, peer: PeerId, command: Command) {
        self.send_all(peer, [command]);
    }

    /// Sends several commands to a peer, in one go.
    pub(crate) fn send_all(&self, peer: PeerId, commands: impl IntoIterator<Item = Command>) {
        let outbox = self.0.shared.roster().outbox(peer);
        // A command that comes behind the end of the session is taken by nobody.
        if let Some(outbox) = outbox {
            outbox.extend(commands);
        }
    }

    /// Sends a command to all peers.
    pub(crate) fn send_to_all(&self, command: &Command) {
        self.0.shared.roster().outboxes().for_each(|outbox| outbox.push(command.clone()));
    }

    /// Keeps bytes that peers may fetch by their hash, for as long as the result lives.
    pub(crate) fn store(&self, bytes: Arc<[u8]>) -> Stored {
        Store::keep(&self.0.shared.store, bytes)
    }

    /// Fetches the output of a reduce attempt into `memory` and posts a [`Message::Reduced`] to the job.
    pub(crate) fn fetch_reduced(&self, peer: PeerId, job: u64, attempt: AttemptId, memory: Memory) {
        let shared = self.0.shared.clone();
        let node = self.node(peer);
        let mut sessions = shared.sessions.subscribe();
        self.0.runtime.spawn(async move {
            let fetched = async {
                let node = node.ok_or_else(|| of_peer("it is gone"))?;
                let (streams, request) = (DataStreams(&shared.mesh), Request::Reduced { job, attempt });
                let fetched = fetch_output(&streams, node, request, &shared.streams, &memory).await;
                let mut runs = fetched.map_err(not_fetched)?;
                match (runs.pop(), runs.len()) {
                    (Some(run), 0) => Ok(run),
                    _ => Err(of_peer("the output did not come in one piece")),
                }
            };
            let result = tokio::select! {
                result = fetched => result,
                _ = sessions.wait_for(Option::is_none) => return,
            };
            shared.roster().handle_reduced(peer, job, attempt, result);
        });
    }

    /// The memory for the output of all jobs.
    pub(crate) fn memory(&self) -> &Memory {
        &self.0.shared.memory
    }

    /// The node of a peer that there is a session with.
    pub(crate) fn node(&self, peer: PeerId) -> Option<NodeId> {
        self.0.shared.roster().node(peer)
    }

    /// The peer that a node is now.
    pub(crate) fn peer_of(&self, node: NodeId) -> Option<PeerId> {
        self.0.shared.roster().peer_of(node)
    }

    /// A job needs nothing more of a peer that wants to leave. It may go when all jobs that it was announced to have said
    /// so, or are over.
    pub(crate) fn drained(&self, job: u64, peer: PeerId) {
        self.0.shared.roster().drained(job, peer);
    }

    /// Waits until there are sessions with `wanted` peers at once; `false` if the hub is closed before.
    pub(crate) async fn wait_for(&self, wanted: usize) -> bool {
        let mut sessions = self.0.shared.sessions.subscribe();
        let found = sessions.wait_for(|sessions| sessions.is_none_or(|sessions| sessions >= wanted)).await;
        found.is_ok_and(|sessions| sessions.is_some())
    }

    /// How many peers there are sessions with.
    pub(crate) fn sessions(&self) -> usize {
        self.0.shared.sessions.borrow().unwrap_or(0)
    }

    /// Why there is no session with a member, as far as that is known.
    pub(super) fn problem(&self, node: NodeId) -> Option<Problem> {
        self.0.shared.roster().problem(node).cloned()
    }

    /// Ends all sessions. The mailboxes of all jobs are closed.
    pub(crate) fn close(&self) {
        self.0.close();
    }
}

/// Why the output of a peer is not here.
fn not_fetched(error: FetchError) -> AttemptFailure {
    match error {
        // This node's fault: no other peer could do better.
        FetchError::Spill(error) => AttemptFailure::Task {
            failure: TaskFailure::new(FailureKind::Spill, error.to_string()),
            permanent: false,
        },
        error => of_peer(error.to_string()),
    }
}

fn of_peer(message: impl Into<String>) -> AttemptFailure {
    AttemptFailure::Node { message: message.into() }
}

impl WeakHub {
    /// The hub, if it is still there.
    pub(super) fn upgrade(&self) -> Option<Hub> {
        self.0.upgrade().map(Hub)
    }
}

impl Handle {
    fn close(&self) {
        self.tasks.iter().for_each(AbortHandle::abort);
        self.shared.close();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

impl Drop for JobGuard {
    fn drop(&mut self) {
        self.hub.0.shared.roster().unsubscribe(self.job);
    }
}

impl Shared {
    pub(super) fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time by this hub's own clock.
    pub(super) fn now(&self) -> Time {
        Time::from_micros(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// There are no more sessions.
    pub(super) fn close(&self) {
        let mut roster = self.roster();
        roster.close();
        self.sessions.send_replace(roster.sessions());
    }

    /// A session has begun.
    pub(super) fn joined(&self, welcome: Welcome, outbox: Arc<Outbox>) -> PeerId {
        let mut roster = self.roster();
        let peer = roster.handle_joined(welcome, outbox);
        self.sessions.send_replace(roster.sessions());
        peer
    }

    /// A session is over.
    pub(super) fn lost(&self, peer: PeerId, reason: &str) {
        let mut roster = self.roster();
        roster.handle_lost(peer, reason);
        self.sessions.send_replace(roster.sessions());
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("name", &self.0.shared.name).field("sessions", &self.sessions()).finish()
    }
}

impl fmt::Debug for JobGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobGuard").field("job", &self.job).finish_non_exhaustive()
    }
}
