//! Where the map output of a round lies, and who is told.

use super::{Driving, Peer};
use crate::{
    NodeId,
    pool::{serve::Stored, work::payload},
    wire::message::{Command, Payload, Source},
};
use mapreduce_core::{
    codec,
    schedule::{PeerId, Round},
};
use std::collections::BTreeMap;

/// Where the map output of the running round lies, as peers are told.
pub(super) struct Sources {
    version: u64,
    payload: Payload,
    _stored: Vec<Stored>,
}

impl Driving<'_> {
    /// Map output has been made: what was said of where it lies holds no more. Peers may be fetching it still.
    pub(in crate::pool) fn sources_changed(&mut self) {
        self.old_sources.extend(self.sources.take());
    }

    /// All map output is there again: peers whose reduce attempts wait for what is gone are told where it is now.
    pub(in crate::pool) fn renew_sources(&mut self, round: Round) {
        let told = |(&peer, state): (&PeerId, &Peer)| {
            (state.begun == Some(round) && state.sources.is_some()).then_some(peer)
        };
        for peer in self.peers.iter().filter_map(told).collect::<Vec<_>>() {
            self.send_sources(peer, round);
        }
    }

    /// Tells a peer where the map output lies, unless it knows.
    pub(in crate::pool) fn send_sources(&mut self, peer: PeerId, round: Round) {
        if self.sources.is_none() {
            self.sources_version += 1;
            self.sources = Some(self.find_sources());
        }
        let Some(sources) = &self.sources else { return };
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if state.sources != Some(sources.version) {
            state.sources = Some(sources.version);
            let sources = sources.payload.clone();
            self.pool.hub.send(peer, Command::Sources { job: self.number(), round, sources });
        }
    }

    /// Tells those that may be fetching from a node that it is lost: they would find out much later.
    pub(super) fn source_lost(&self, node: NodeId) {
        let job = self.number();
        for (&peer, state) in self.peers.iter().filter(|(_, state)| state.sources.is_some()) {
            if let Some(round) = state.begun {
                self.pool.hub.send(peer, Command::SourceLost { job, round, node });
            }
        }
    }

    fn find_sources(&self) -> Sources {
        let mut outputs: BTreeMap<NodeId, Vec<(u32, u32)>> = BTreeMap::new();
        for (split, peer, attempt) in self.coordinator.outputs() {
            if let Some(peer) = self.peers.get(&peer) {
                outputs.entry(peer.node).or_default().push((split, attempt.number));
            }
        }
        let sources: Vec<_> = outputs.into_iter().map(|(node, outputs)| Source { node, outputs }).collect();
        let (mut bytes, mut stored) = (Vec::new(), Vec::new());
        codec::encode(&sources, &mut bytes)
            .expect("numbers can be encoded, and there are not a billion of them");
        let payload = payload(self.hub(), bytes, &mut stored);
        Sources { version: self.sources_version, payload, _stored: stored }
    }
}
