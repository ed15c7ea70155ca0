//! The peers that take part, and which of them can take work.

use std::collections::BTreeMap;

use super::ids::PeerId;
use super::list::{Ends, Links};
use super::time::Time;

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) id: PeerId,
    pub(super) slots: u32,
    pub(super) joined: Time,
    /// Attempts that hold a slot, the cancelled ones included: indices into `Attempts`.
    pub(super) running: Vec<u32>,
    pub(super) suspected: bool,
    pub(super) draining: bool,
    pub(super) drained: bool,
    pub(super) quarantined: bool,
    pub(super) node_failures: u16,
    pub(super) fetch_failures: u16,
    /// Committed map outputs of this round that it holds.
    pub(super) outputs: u32,
    /// Tasks it committed in this job.
    pub(super) committed: u64,
    /// Pinned splits it may still get in the round that is being started.
    pub(super) quota: u64,
    usable: bool,
    free: Option<Free>,
}

impl Peer {
    /// Whether it may get new attempts as soon as it has a free slot.
    #[inline]
    pub(super) fn is_usable(&self) -> bool {
        self.usable
    }
}

/// A usable peer with a free slot is in one of two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Free {
    /// Tasks wait in its own queue.
    Ready,
    /// It would take any task.
    Idle,
}

/// The peers by index (a slab, so that tables can be indexed by it) and by id.
#[derive(Debug)]
pub(super) struct Peers {
    slab: Vec<Peer>,
    vacant: Vec<u32>,
    index: BTreeMap<PeerId, u32>,
    links: Links,
    ready: Ends,
    idle: Ends,
    usable: u32,
}

impl Peers {
    pub(super) fn new() -> Self {
        Self {
            slab: Vec::new(),
            vacant: Vec::new(),
            index: BTreeMap::new(),
            links: Links::default(),
            ready: Ends::EMPTY,
            idle: Ends::EMPTY,
            usable: 0,
        }
    }

    /// The id must be new. The peer gets no work before the first [`place`](Self::place).
    pub(super) fn insert(&mut self, id: PeerId, slots: u32, joined: Time) -> u32 {
        let mut peer = Peer {
            id,
            slots,
            joined,
            running: Vec::new(),
            suspected: false,
            draining: false,
            drained: false,
            quarantined: false,
            node_failures: 0,
            fetch_failures: 0,
            outputs: 0,
            committed: 0,
            quota: 0,
            usable: false,
            free: None,
        };
        let index = match self.vacant.pop() {
            Some(index) => {
                let old = &mut self.slab[index as usize];
                std::mem::swap(&mut peer.running, &mut old.running);
                *old = peer;
                index
            }
            None => {
                self.slab.push(peer);
                self.links.resize(self.slab.len());
                (self.slab.len() - 1) as u32
            }
        };
        self.index.insert(id, index);
        index
    }

    /// Its attempts must be gone and its slots zero, so that it is in no list.
    pub(super) fn remove(&mut self, index: u32) {
        debug_assert!(self.at(index).running.is_empty() && !self.at(index).usable);
        let peer = &mut self.slab[index as usize];
        peer.draining = false;
        self.index.remove(&peer.id);
        self.vacant.push(index);
    }

    #[inline]
    pub(super) fn find(&self, id: PeerId) -> Option<u32> {
        self.index.get(&id).copied()
    }

    #[inline]
    pub(super) fn at(&self, index: u32) -> &Peer {
        &self.slab[index as usize]
    }

    #[inline]
    pub(super) fn at_mut(&mut self, index: u32) -> &mut Peer {
        &mut self.slab[index as usize]
    }

    /// All indices below this one may be in use. Those of peers that left stand for peers without slots.
    pub(super) fn capacity(&self) -> u32 {
        self.slab.len() as u32
    }

    /// In the order of their ids.
    pub(super) fn indices(&self) -> impl Iterator<Item = u32> + '_ {
        self.index.values().copied()
    }

    pub(super) fn count(&self) -> usize {
        self.index.len()
    }

    /// Whether nobody who takes part can get work in this round any more.
    pub(super) fn are_all_quarantined(&self) -> bool {
        self.count() > 0 && self.indices().all(|index| self.at(index).quarantined)
    }

    pub(super) fn count_usable(&self) -> u32 {
        self.usable
    }

    /// Puts the peer at the end of the list it belongs to now. To be called after every change to the peer or to
    /// its own queue. Answers whether the peer has just ceased to be usable.
    pub(super) fn place(&mut self, index: u32, has_own: bool) -> bool {
        let peer = &mut self.slab[index as usize];
        match peer.free.take() {
            Some(Free::Ready) => self.links.remove(&mut self.ready, index),
            Some(Free::Idle) => self.links.remove(&mut self.idle, index),
            None => {}
        }
        let was_usable = peer.usable;
        peer.usable = peer.slots > 0 && !peer.suspected && !peer.draining && !peer.quarantined;
        self.usable = self.usable + u32::from(peer.usable) - u32::from(was_usable);
        if peer.usable && peer.running.len() < peer.slots as usize {
            let (free, ends) =
                if has_own { (Free::Ready, &mut self.ready) } else { (Free::Idle, &mut self.idle) };
            peer.free = Some(free);
            self.links.push_back(ends, index);
        }
        was_usable && !peer.usable
    }

    /// A peer with a free slot and tasks in its own queue.
    pub(super) fn ready(&self) -> Option<u32> {
        self.ready.first()
    }

    /// The peer that has been idle longest.
    pub(super) fn idle(&self) -> Option<u32> {
        self.idle.first()
    }

    /// An idle peer that is not `other`.
    pub(super) fn idle_except(&self, other: u32) -> Option<u32> {
        let first = self.idle.first()?;
        if first == other { self.links.next(first) } else { Some(first) }
    }
}
