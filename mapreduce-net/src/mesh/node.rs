//! [`Node`]: what the background tasks of a mesh share, and the tasks themselves.

use super::{
    Dialled, Incoming, converse, data,
    events::Roster,
    gossip,
    links::{Link, Links},
    relay, streams,
};
use crate::{
    NodeId, Role, Timing,
    transport::{Acceptor, Channel, Connection, Endpoint, Limits},
};
use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
};

/// Codes with which connections are closed.
pub(super) mod close {
    /// Nothing is wrong: the node leaves or ends.
    pub(in crate::mesh) const OVER: u32 = 0;
    /// The other side broke the protocol.
    pub(in crate::mesh) const PROTOCOL: u32 = 1;
    /// The other side was taken for lost.
    pub(in crate::mesh) const LOST: u32 = 2;
    /// There are other connections between the two.
    pub(in crate::mesh) const SURPLUS: u32 = 3;
}

/// Codes with which streams are reset and stopped.
pub(super) mod reset {
    /// The other side broke the protocol.
    pub(in crate::mesh) const PROTOCOL: u32 = 1;
    /// This node does not pass the stream on: it has no connection to whom it is meant for, or too many such streams.
    pub(in crate::mesh) const NOT_RELAYED: u32 = 2;
}

/// Own addresses that were dialled by mistake, at most.
const OWN_ADDRESSES_MAX: usize = 256;

/// What the tasks of a mesh share.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) role: Role,
    pub(super) endpoint: Endpoint,
    pub(super) limits: Limits,
    pub(super) timing: Timing,
    pub(super) links: Links,
    pub(super) roster: watch::Receiver<Arc<Roster>>,
    pub(super) gossip: mpsc::Sender<gossip::Input>,
    /// Ends with the gossip task, which holds the strong one.
    pub(super) incoming: mpsc::WeakSender<Incoming>,
    pub(super) relayed: Arc<Semaphore>,
    pub(super) data_dials: data::DataDials,
    pub(super) join_dials: watch::Sender<Vec<Dialled>>,
    /// Set when it leaves: nobody is dialled any more.
    pub(super) leaving: AtomicBool,
    own_addresses: Mutex<HashSet<SocketAddr>>,
    tasks: Tasks,
}

/// Parts of a [`Node`] that its maker has.
pub(super) struct Parts {
    pub(super) endpoint: Endpoint,
    pub(super) limits: Limits,
    pub(super) timing: Timing,
    pub(super) roster: watch::Receiver<Arc<Roster>>,
    pub(super) gossip: mpsc::Sender<gossip::Input>,
    pub(super) incoming: mpsc::WeakSender<Incoming>,
}

impl Node {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { endpoint, limits, timing, roster, gossip, incoming } = parts;
        Self {
            id: endpoint.identity().node_id(),
            role: endpoint.identity().role(),
            endpoint,
            limits,
            timing,
            links: Links::new(),
            roster,
            gossip,
            incoming,
            relayed: Arc::new(Semaphore::new(relay::RELAYED_MAX)),
            data_dials: data::DataDials::default(),
            join_dials: watch::Sender::default(),
            leaving: AtomicBool::new(false),
            own_addresses: Mutex::default(),
            tasks: Tasks::new(),
        }
    }

    /// Runs `task` in the background until it ends or the mesh is closed.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Ends everything at once.
    pub(super) fn close(&self, reason: &str) {
        self.tasks.abort();
        self.endpoint.close(close::OVER, reason);
    }

    /// Takes a new connection into use. `false` if it was one with this node itself, which is closed.
    pub(super) fn attach(self: &Arc<Self>, connection: Connection, dialled: bool) -> bool {
        if connection.peer_id() == self.id {
            connection.close(close::SURPLUS, "this is the same node");
            return false;
        }
        let (link, surplus) = self.links.add(connection, dialled);
        for link in surplus {
            link.connection.close(close::SURPLUS, "there are newer connections");
        }
        tracing::debug!(
            node = %link.node(), address = %link.connection.remote_address(), channel = ?link.connection.channel(), dialled,
            "connected"
        );
        self.spawn(serve(self.clone(), link));
        true
    }

    /// The time a node has to say something that it is expected to say at once.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_millis(self.limits.handshake_timeout_ms.into())
    }

    /// Whether `address` turned out to be one of this node.
    pub(super) fn is_own_address(&self, address: SocketAddr) -> bool {
        lock(&self.own_addresses).contains(&address)
    }

    pub(super) fn note_own_address(&self, address: SocketAddr) {
        let mut own = lock(&self.own_addresses);
        if own.len() < OWN_ADDRESSES_MAX {
            own.insert(address);
        }
    }
}

/// Gives the connections that others make.
pub(super) async fn accept(node: Arc<Node>, mut acceptor: Acceptor) {
    while let Some(connection) = acceptor.accept().await {
        node.attach(connection, false);
    }
}

/// Serves a connection until it is no more.
async fn serve(node: Arc<Node>, link: Link) {
    if link.dialled && link.connection.channel() == Channel::Control && link.begin_gossip() {
        node.spawn(converse::dialled(node.clone(), link.clone()));
    }
    let error = loop {
        match link.connection.accept_bi().await {
            Ok((send, receive)) => node.spawn(streams::serve(node.clone(), link.clone(), send, receive)),
            Err(error) => break error,
        }
    };
    tracing::debug!(node = %link.node(), channel = ?link.connection.channel(), %error, "a connection ended");
    node.links.remove(&link);
}

/// Background tasks that end together.
#[derive(Debug)]
struct Tasks {
    runtime: Handle,
    /// `None` once they were told to end.
    running: Mutex<Option<JoinSet<()>>>,
}

impl Tasks {
    /// Must be called in a tokio runtime.
    fn new() -> Self {
        Self { runtime: Handle::current(), running: Mutex::new(Some(JoinSet::new())) }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut running = lock(&self.running);
        let Some(running) = &mut *running else { return };
        while let Some(ended) = running.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of the mesh panicked");
            }
        }
        running.spawn_on(task, &self.runtime);
    }

    fn abort(&self) {
        // Taken out first: tasks hold the node, and dropping one may come back here.
        let running = lock(&self.running).take();
        drop(running);
    }
}

/// Locks what is whole whenever it is not locked, also after a panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
