//! Which map task comes next for which peer, and which peer a split is pinned to.
//!
//! A pending map task is in exactly one queue: that of the peer its split is pinned to, or the common one. Those in
//! a peer's queue are also in one list by the time they began to wait, so that after the locality wait any idle
//! peer may take the one that has waited longest. Every step is O(1).

use std::time::Duration;

use super::list::{Ends, Links, NONE};
use super::time::Time;

/// The end of its queue at which a task lines up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// For tasks that were already tried: if they fail for good, the user learns it now and not after all the others.
    Front,
    Back,
}

/// Pending map tasks.
#[derive(Debug)]
pub(super) struct MapQueue {
    links: Links,
    common: Ends,
    own: Vec<Ends>,
    waiting_links: Links,
    waiting: Ends,
    /// Per task: the peer in whose queue it is, and since when. Only meaningful while it is in one.
    waits: Vec<Wait>,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    peer: u32,
    since: Time,
}

impl MapQueue {
    pub(super) fn new() -> Self {
        Self {
            links: Links::default(),
            common: Ends::EMPTY,
            own: Vec::new(),
            waiting_links: Links::default(),
            waiting: Ends::EMPTY,
            waits: Vec::new(),
            len: 0,
        }
    }

    /// Empties all queues and makes room for `splits` tasks.
    pub(super) fn reset(&mut self, splits: u32) {
        let splits = splits as usize;
        self.links.resize(splits);
        self.waiting_links.resize(splits);
        self.waits.resize(splits, Wait { peer: NONE, since: Time::ZERO });
        self.clear();
    }

    pub(super) fn clear(&mut self) {
        if self.len > 0 {
            self.own.fill(Ends::EMPTY);
            (self.common, self.waiting, self.len) = (Ends::EMPTY, Ends::EMPTY, 0);
        }
    }

    /// Makes room for the queue of a peer.
    pub(super) fn resize_peers(&mut self, peers: u32) {
        self.own.resize(peers as usize, Ends::EMPTY);
    }

    pub(super) fn push_common(&mut self, map: u32, place: Place) {
        match place {
            Place::Front => self.links.push_front(&mut self.common, map),
            Place::Back => self.links.push_back(&mut self.common, map),
        }
        self.len += 1;
    }

    pub(super) fn push_own(&mut self, peer: u32, map: u32, place: Place, now: Time) {
        let own = &mut self.own[peer as usize];
        match place {
            Place::Front => self.links.push_front(own, map),
            Place::Back => self.links.push_back(own, map),
        }
        self.waiting_links.push_back(&mut self.waiting, map);
        self.waits[map as usize] = Wait { peer, since: now };
        self.len += 1;
    }

    pub(super) fn has_own(&self, peer: u32) -> bool {
        !self.own[peer as usize].is_empty()
    }

    pub(super) fn pop_own(&mut self, peer: u32) -> Option<u32> {
        let map = self.own[peer as usize].first()?;
        self.remove_own(peer, map);
        self.len -= 1;
        Some(map)
    }

    pub(super) fn pop_common(&mut self) -> Option<u32> {
        let map = self.common.first()?;
        self.links.remove(&mut self.common, map);
        self.len -= 1;
        Some(map)
    }

    /// The pinned task that has waited longest, if that is at least `locality_wait`.
    pub(super) fn pop_waited(&mut self, now: Time, locality_wait: Duration) -> Option<u32> {
        let map = self.waiting.first()?;
        let Wait { peer, since } = self.waits[map as usize];
        if since + locality_wait > now {
            return None;
        }
        self.remove_own(peer, map);
        self.len -= 1;
        Some(map)
    }

    /// When the next pinned task has waited long enough.
    pub(super) fn next_waited(&self, locality_wait: Duration) -> Option<Time> {
        self.waiting.first().map(|map| self.waits[map as usize].since + locality_wait)
    }

    /// Moves what waits for `peer` to the common queue. O(1) per task moved.
    pub(super) fn release(&mut self, peer: u32) {
        while let Some(map) = self.own[peer as usize].first() {
            self.remove_own(peer, map);
            self.links.push_back(&mut self.common, map);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn remove_own(&mut self, peer: u32, map: u32) {
        self.links.remove(&mut self.own[peer as usize], map);
        self.waiting_links.remove(&mut self.waiting, map);
    }
}

/// The peer that last committed the map task of each split, and therefore may have it cached. Outlives rounds.
#[derive(Debug, Default)]
pub(super) struct Pins {
    holder: Vec<u32>,
    links: Links,
    of: Vec<Ends>,
}

impl Pins {
    /// Makes room for `splits`; those beyond are forgotten.
    pub(super) fn resize(&mut self, splits: u32) {
        for split in splits..self.holder.len() as u32 {
            self.unpin(split);
        }
        self.holder.resize(splits as usize, NONE);
        self.links.resize(splits as usize);
    }

    pub(super) fn resize_peers(&mut self, peers: u32) {
        self.of.resize(peers as usize, Ends::EMPTY);
    }

    pub(super) fn pin(&mut self, split: u32, peer: u32) {
        if self.holder[split as usize] != peer {
            self.unpin(split);
            self.holder[split as usize] = peer;
            self.links.push_back(&mut self.of[peer as usize], split);
        }
    }

    pub(super) fn unpin(&mut self, split: u32) {
        let holder = std::mem::replace(&mut self.holder[split as usize], NONE);
        if holder != NONE {
            self.links.remove(&mut self.of[holder as usize], split);
        }
    }

    pub(super) fn holder(&self, split: u32) -> Option<u32> {
        self.holder.get(split as usize).copied().filter(|&holder| holder != NONE)
    }

    pub(super) fn first(&self, peer: u32) -> Option<u32> {
        self.of[peer as usize].first()
    }

    /// The split behind `split` in its peer's list.
    pub(super) fn next(&self, split: u32) -> Option<u32> {
        self.links.next(split)
    }

    pub(super) fn len(&self) -> u32 {
        self.holder.len() as u32
    }
}
