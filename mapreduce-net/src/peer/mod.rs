//! Stand-in.
#![allow(missing_docs, unused, missing_debug_implementations)]
use crate::{Identity, MemberEvent, NodeId, Timing, pool_file::PoolAddress, transport::Limits};
use mapreduce_core::Registry;
use std::net::SocketAddr;
use tokio::sync::mpsc;

#[derive(Clone, Debug)]
pub struct PeerOptions {
    pub listen: SocketAddr,
    pub advertise: Vec<PoolAddress>,
    pub threads: usize,
    pub limits: Limits,
    pub timing: Timing,
}
impl Default for PeerOptions {
    fn default() -> Self {
        Self {
            listen: ([0, 0, 0, 0], 7077).into(),
            advertise: Vec::new(),
            threads: 0,
            limits: Limits::default(),
            timing: Timing::default(),
        }
    }
}
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    #[error("stand-in")]
    StandIn,
}
pub struct Peer;
impl Peer {
    pub async fn start(
        _: Identity,
        _: Vec<PoolAddress>,
        _: Registry,
        _: PeerOptions,
    ) -> Result<Self, PeerError> {
        Err(PeerError::StandIn)
    }
    pub fn node_id(&self) -> NodeId {
        unreachable!()
    }
    pub fn local_address(&self) -> SocketAddr {
        unreachable!()
    }
    pub fn addresses(&self) -> Vec<String> {
        unreachable!()
    }
    pub fn threads(&self) -> usize {
        1
    }
    pub fn events(&mut self) -> mpsc::Receiver<MemberEvent> {
        unreachable!()
    }
    pub async fn drain(&self) {}
    pub fn close(&self) {}
}
