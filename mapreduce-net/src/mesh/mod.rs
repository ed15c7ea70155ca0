//! The nodes of a pool and the way to each of them.
//!
//! Every node of a pool, whether a peer that works or a driver that submits, has one [`Mesh`]: it keeps a control
//! connection with each member, by which all learn of each other, and opens streams to whoever is meant.
//!
//! | file | subject |
//! |---|---|
//! | `table.rs` | what a node knows of the members: a state machine without I/O |
//! | `gossip.rs` | the task that owns the table, and whom it tells what |
//! | `converse.rs` | the membership stream of a control connection |
//! | `events.rs` | changes as a stream |
//! | `reach.rs` | the addresses at which this node can be reached |
//! | `links.rs` | the connections there are |
//! | `dialler.rs`, `dial.rs` | making those that are missing |
//! | `data.rs` | data connections, made on demand |
//! | `streams.rs` | opening streams, and taking those of others |
//! | `relay.rs` | streams between nodes that have no connection |
//! | `node.rs` | what the tasks share |

mod converse;
mod data;
mod dial;
mod dialler;
mod events;
mod gossip;
mod links;
mod node;
mod random;
mod reach;
mod relay;
mod streams;
mod table;

pub use events::MemberEvents;

use crate::{
    Identity, NodeId, Role, Timing,
    pool_file::PoolAddress,
    transport::{BindError, Channel, Endpoint, Limits},
    wire::{
        FrameReader, FrameWriter, WireError,
        message::{Open, Record},
    },
};
use mapreduce_core::{JobId, schedule::Time};
use node::{Node, Parts, close};
use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use table::{JOBS_MAX, NAME_BYTES_MAX, Table};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout},
};

/// Streams of others that wait to be taken.
const INCOMING_MAX: usize = 64;
/// News of the pool that wait to be looked at.
const HEARD_MAX: usize = 64;
/// How long a node that leaves waits for the others to hear it, and then for its connections to close.
const LEAVE_PATIENCE: Duration = Duration::from_secs(1);

/// A node of a pool, as far as the network goes. Cheap to clone; it is closed with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct Mesh(Arc<Handle>);

/// Closes the node when it is dropped. The tasks hold the node, but not this.
#[derive(Debug)]
struct Handle(Arc<Node>);

/// How a node takes part. A client neither listens nor is in the member table.
#[derive(Clone, Debug)]
pub(crate) struct MeshConfig {
    pub(crate) identity: Identity,
    /// Addresses to join through. The node's own may be among them.
    pub(crate) join: Vec<PoolAddress>,
    /// Where to listen; `None` for a node that only dials out.
    pub(crate) listen: Option<SocketAddr>,
    /// What others are told to dial instead of what the node is seen at.
    pub(crate) advertise: Vec<PoolAddress>,
    /// What a member offers; `None` for a driver, which is in no table even if its role is member.
    pub(crate) offer: Option<Offer>,
    pub(crate) limits: Limits,
    pub(crate) timing: Timing,
}

/// What a peer offers to drivers.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) threads: u32,
    pub(crate) jobs: Vec<JobId>,
}

/// A member of the pool, as last heard.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Who it is.
    pub node: NodeId,
    /// Where it may be reached, the best first: `host:port`.
    pub addresses: Vec<String>,
    /// Threads that work on tasks.
    pub threads: u32,
    /// The jobs that it has.
    pub jobs: Vec<JobId>,
    /// The version of this library that it runs.
    pub build: String,
}

/// A change in the pool. Whoever subscribes hears first of the members that are there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemberEvent {
    /// A member is there that was not.
    Joined(Member),
    /// What a member says of itself has changed.
    Changed(Member),
    /// A member has said that it leaves.
    Left(NodeId),
    /// Nobody has heard of a member for [`Timing::member_timeout`].
    Lost(NodeId),
}

/// A stream that another node has opened to this one. [`Open::Membership`] and relaying are the mesh's own business and do
/// not come up here.
pub(crate) struct Incoming {
    pub(crate) from: NodeId,
    pub(crate) role: Role,
    pub(crate) open: Open,
    pub(crate) writer: FrameWriter,
    pub(crate) reader: FrameReader,
}

/// Why a node could not be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OpenError {
    /// Neither directly nor through another member.
    #[error("node {node} cannot be reached: {reason}")]
    Unreachable { node: NodeId, reason: String },
    /// The stream broke as it was opened.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// What came of dialling an address, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dialled {
    /// The address, as it was given.
    pub address: String,
    /// Attempts so far.
    pub attempts: u32,
    /// What the last one failed with; `None` if there is a connection.
    pub problem: Option<String>,
}

impl Mesh {
    /// Binds, and starts the background tasks on the current tokio runtime: they begin to dial, and end with
    /// [`close`](Self::close). Streams that others open arrive at the receiver; while nobody takes them, no more are
    /// read.
    ///
    /// # Errors
    /// Those of [`Endpoint::listen`] and [`Endpoint::dial_only`].
    pub(crate) fn start(config: MeshConfig) -> Result<(Self, mpsc::Receiver<Incoming>), BindError> {
        let MeshConfig { identity, join, listen, advertise, offer, limits, timing } = config;
        let (endpoint, acceptor) = match listen {
            Some(listen) => {
                let (endpoint, acceptor) = Endpoint::listen(listen, identity, &limits)?;
                (endpoint, Some(acceptor))
            }
            None => (Endpoint::dial_only(identity, &limits)?, None),
        };
        let (id, role) = (endpoint.identity().node_id(), endpoint.identity().role());
        let reach = reach::Reach::new(&advertise, listen.map(|_| endpoint.local_address()));
        let own =
            offer.filter(|_| role == Role::Member).map(|offer| own_record(id, offer, reach.addresses()));
        let table = Table::new(Time::ZERO, id, own, timing.gossip, timing.member_timeout);
        let (roster, seen) = watch::channel(Arc::new(gossip::roster(&table)));
        let (inputs, heard) = mpsc::channel(HEARD_MAX);
        let (incoming, taken) = mpsc::channel(INCOMING_MAX);
        let node = Arc::new(Node::new(Parts {
            endpoint,
            limits,
            timing,
            roster: seen,
            gossip: inputs,
            incoming: incoming.downgrade(),
        }));
        let not_dialled = |address: &PoolAddress| Dialled {
            address: address.to_string(),
            attempts: 0,
            problem: Some("not dialled yet".to_owned()),
        };
        node.join_dials.send_replace(join.iter().map(not_dialled).collect());
        node.spawn(gossip::Gossip::new(table, reach, roster, incoming, Instant::now()).run(heard));
        if let Some(acceptor) = acceptor {
            node.spawn(node::accept(node.clone(), acceptor));
        }
        node.spawn(dialler::run(node.clone(), join));
        Ok((Self(Arc::new(Handle(node))), taken))
    }

    /// Who this node is.
    pub(crate) fn node_id(&self) -> NodeId {
        self.node().id
    }

    /// What its socket is bound to.
    pub(crate) fn local_address(&self) -> SocketAddr {
        self.node().endpoint.local_address()
    }

    /// Where others are told to dial this node, the best first. A node that listens on all addresses of its host has
    /// none until others have told it.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let roster = self.node().roster.borrow();
        roster.own.as_ref().map(|own| own.addresses.clone()).unwrap_or_default()
    }

    /// The members that are there, this node included if it is one, by id.
    pub(crate) fn members(&self) -> Vec<Member> {
        let roster = self.node().roster.borrow().clone();
        let mut members: Vec<Member> =
            roster.own.iter().chain(roster.others.values()).map(|member| (**member).clone()).collect();
        members.sort_unstable_by_key(|member| member.node);
        members
    }

    /// The changes in the pool, beginning with the members that are there, this node never included.
    pub(crate) fn events(&self) -> MemberEvents {
        MemberEvents::new(self.node().roster.clone())
    }

    /// A new stream to a node, with `open` sent ahead: on a connection of the channel, else on the control connection,
    /// else passed on by a member that has a connection with the node. Connections are used in whichever direction they
    /// were made; a data connection is made when it is first needed.
    ///
    /// Waits while the other side has as many streams as it allows, and for the first attempt to dial a member that was just
    /// heard of. A connection whose other side has died without a word counts until it times out or
    /// [`disconnect`](Self::disconnect) closes it.
    ///
    /// # Errors
    /// There is no way to the node, or there is one that breaks.
    pub(crate) async fn open(
        &self,
        to: NodeId,
        channel: Channel,
        open: &Open,
    ) -> Result<(FrameWriter, FrameReader), OpenError> {
        streams::open(self.node(), to, channel, open).await
    }

    /// Where a node's packets come from, if there is a connection with it.
    pub(crate) fn direct_address(&self, node: NodeId) -> Option<SocketAddr> {
        self.node().links.newest(node, Channel::Control).map(|link| link.connection.remote_address())
    }

    /// What came of dialling each of the addresses to join through.
    pub(crate) fn dialled(&self) -> Vec<Dialled> {
        self.node().join_dials.borrow().clone()
    }

    /// Waits until there is a connection with another member; for ever if the mesh is closed before.
    #[cfg(test)]
    pub(crate) async fn connected(&self) {
        let node = self.node();
        let (mut roster, mut links) = (node.roster.clone(), node.links.subscribe());
        loop {
            let linked = node.links.linked();
            if roster.borrow_and_update().others.keys().any(|member| linked.contains(member)) {
                return;
            }
            tokio::select! {
                changed = roster.changed() => if changed.is_err() {
                    // Closed: it will never be.
                    std::future::pending().await
                },
                _ = links.changed() => {}
            }
        }
    }

    /// Closes all connections with a node, which was taken for lost. If it is a member, it is dialled anew.
    pub(crate) fn disconnect(&self, node: NodeId, reason: &str) {
        for link in self.node().links.remove_all(node) {
            link.connection.close(close::LOST, reason);
        }
        self.node().data_dials.forget(node);
    }

    /// Tells all that this member leaves, gives that a moment to arrive, and closes everything.
    pub(crate) async fn leave(&self) {
        let node = self.node();
        node.leaving.store(true, Ordering::Relaxed);
        let (sender, ends) = oneshot::channel();
        let told = async {
            if node.gossip.send(gossip::Input::Leave(sender)).await.is_err() {
                return;
            }
            for end in ends.await.unwrap_or_default() {
                // Gone without an answer is over, too.
                let _ = end.await;
            }
        };
        // Who has not heard it by then finds out.
        let _ = timeout(LEAVE_PATIENCE, told).await;
        node.close("the node has left");
        let _ = timeout(LEAVE_PATIENCE, node.endpoint.wait_idle()).await;
    }

    /// Closes everything at once, without leaving: the others take a member for lost after a while.
    pub(crate) fn close(&self) {
        self.node().close("the node was closed");
    }

    /// Waits after [`close`](Self::close) until the others were told, but not for long: who has not heard it finds out.
    pub(crate) async fn closed(&self) {
        let _ = timeout(LEAVE_PATIENCE, self.node().endpoint.wait_idle()).await;
    }

    fn node(&self) -> &Arc<Node> {
        &self.0.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close("the node is gone");
    }
}

/// What a member says of itself. What others would refuse is left out.
fn own_record(node: NodeId, offer: Offer, addresses: Vec<String>) -> Record {
    let mut jobs = offer.jobs;
    let offered = jobs.len();
    jobs.retain(|job| job.name.len() <= NAME_BYTES_MAX);
    jobs.truncate(JOBS_MAX);
    if jobs.len() < offered {
        tracing::warn!(
            told = jobs.len(),
            offered,
            "others are not told of jobs beyond {JOBS_MAX}, or whose names have more than {NAME_BYTES_MAX} bytes"
        );
    }
    Record {
        node,
        version: 1,
        left: false,
        addresses,
        threads: offer.threads,
        jobs,
        build: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

#[cfg(test)]
mod tests;
