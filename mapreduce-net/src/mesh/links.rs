//! [`Links`]: the connections there are with other nodes, in whichever direction they were made.

use crate::{
    NodeId, Role,
    transport::{Channel, Connection},
};
use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::watch;

/// Connections of a channel with one node; of more, the oldest is closed. Two nodes that dial each other at the same
/// time keep both: each side would close another one.
const LINKS_MAX: usize = 4;

/// A connection, registered.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) id: u64,
    pub(super) connection: Connection,
    /// Whether this side has made it.
    pub(super) dialled: bool,
    gossiping: Arc<AtomicBool>,
}

impl Link {
    pub(super) fn node(&self) -> NodeId {
        self.connection.peer_id()
    }

    pub(super) fn role(&self) -> Role {
        self.connection.peer_role()
    }

    fn is_usable(&self, channel: Channel) -> bool {
        self.connection.channel() == channel && self.connection.close_reason().is_none()
    }

    /// Whether this is the first membership stream of the connection.
    pub(super) fn begin_gossip(&self) -> bool {
        !self.gossiping.swap(true, Ordering::Relaxed)
    }
}

/// All connections of a node, and what is known of the nodes that there is none with.
#[derive(Debug)]
pub(super) struct Links {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    /// Connections by node, the oldest first.
    nodes: HashMap<NodeId, Vec<Link>>,
    /// What the last attempt to dial a node without control connection failed with.
    problems: HashMap<NodeId, String>,
    /// Through whom a node was reached last.
    relays: HashMap<NodeId, NodeId>,
}

impl Links {
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), changed: watch::Sender::new(()) }
    }

    /// Adds a connection; gives it with those that became too many.
    pub(super) fn add(&self, connection: Connection, dialled: bool) -> (Link, Vec<Link>) {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        let link = Link { id, connection, dialled, gossiping: Arc::default() };
        let channel = link.connection.channel();
        if channel == Channel::Control {
            state.problems.remove(&link.node());
            state.relays.remove(&link.node());
        }
        let links = state.nodes.entry(link.node()).or_default();
        links.push(link.clone());
        let mut surplus = links
            .iter()
            .filter(|link| link.connection.channel() == channel)
            .count()
            .saturating_sub(LINKS_MAX);
        let mut closed = Vec::new();
        links.retain(|link| {
            let keep = surplus == 0 || link.connection.channel() != channel;
            if !keep {
                surplus -= 1;
                closed.push(link.clone());
            }
            keep
        });
        drop(state);
        self.changed.send_replace(());
        (link, closed)
    }

    /// Forgets a connection that is no more.
    pub(super) fn remove(&self, link: &Link) {
        let mut state = self.lock();
        if let Some(links) = state.nodes.get_mut(&link.node()) {
            links.retain(|other| other.id != link.id);
            if links.is_empty() {
                state.nodes.remove(&link.node());
            }
        }
        drop(state);
        self.changed.send_replace(());
    }

    /// Forgets all connections with a node, and gives them.
    pub(super) fn remove_all(&self, node: NodeId) -> Vec<Link> {
        let links = self.lock().nodes.remove(&node).unwrap_or_default();
        self.changed.send_replace(());
        links
    }

    /// The newest connection of a channel with a node: an older one may be one that the other side has lost.
    pub(super) fn newest(&self, node: NodeId, channel: Channel) -> Option<Link> {
        let state = self.lock();
        state.nodes.get(&node)?.iter().rev().find(|link| link.is_usable(channel)).cloned()
    }

    /// Whether there is a control connection with a node.
    pub(super) fn is_linked(&self, node: NodeId) -> bool {
        self.newest(node, Channel::Control).is_some()
    }

    /// All nodes that there is a control connection with.
    pub(super) fn linked(&self) -> HashSet<NodeId> {
        let state = self.lock();
        let usable = |links: &[Link]| links.iter().any(|link| link.is_usable(Channel::Control));
        state.nodes.iter().filter(|(_, links)| usable(links)).map(|(&node, _)| node).collect()
    }

    /// Where a node was dialled with success.
    pub(super) fn dialled_address(&self, node: NodeId) -> Option<SocketAddr> {
        let state = self.lock();
        let dialled = state.nodes.get(&node)?.iter().rev().find(|link| link.dialled)?;
        Some(dialled.connection.remote_address())
    }

    /// A node could not be dialled.
    pub(super) fn set_problem(&self, node: NodeId, problem: String) {
        self.lock().problems.insert(node, problem);
        self.changed.send_replace(());
    }

    /// What came of dialling a node that there is no connection with; `None` before the first attempt is over.
    pub(super) fn problem(&self, node: NodeId) -> Option<String> {
        self.lock().problems.get(&node).cloned()
    }

    /// Notes that `relay` has a connection with `node`.
    pub(super) fn set_relay(&self, node: NodeId, relay: NodeId) {
        self.lock().relays.insert(node, relay);
    }

    /// Who has had a connection with `node`.
    pub(super) fn relay(&self, node: NodeId) -> Option<NodeId> {
        self.lock().relays.get(&node).copied()
    }

    /// Forgets what is known of nodes that are not `known`.
    pub(super) fn forget(&self, known: impl Fn(NodeId) -> bool) {
        let mut state = self.lock();
        state.problems.retain(|&node, _| known(node));
        state.relays.retain(|&node, _| known(node));
    }

    /// Sees each change from now on.
    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// How many connections of a channel there are with a node.
    #[cfg(test)]
    pub(super) fn count(&self, node: NodeId, channel: Channel) -> usize {
        let state = self.lock();
        state.nodes.get(&node).map_or(0, |links| links.iter().filter(|link| link.is_usable(channel)).count())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is whole before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
