//! The nodes of a pool and the way to each of them.

use crate::{
    Identity, NodeId, Role, Timing,
    pool_file::PoolAddress,
    transport::{BindError, Channel, Limits},
    wire::{FrameReader, FrameWriter, WireError, message::Open},
};
use mapreduce_core::JobId;
use std::{net::SocketAddr, time::Duration};
use tokio::sync::mpsc;

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
