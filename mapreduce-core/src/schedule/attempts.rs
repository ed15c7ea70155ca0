//! The attempts that peers are running, in the orders in which the coordinator looks for them.

use super::ids::{AttemptId, Stage};
use super::list::{Ends, Links};
use super::time::Time;

#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) id: AttemptId,
    pub(super) peer: u32,
    /// Where it stands in its peer's list of running attempts.
    pub(super) position: u32,
    pub(super) started: Time,
    /// It was told to stop and can no longer commit, but holds its slot until its peer answers.
    pub(super) cancelled: bool,
    watch: Option<Watch>,
}

/// Why an attempt that is alone with its task may get company.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watch {
    /// It may turn out to be a straggler. In order of start.
    Straggler,
    /// Its peer is suspected.
    Suspect,
}

/// A slab of attempts with three lists through it.
#[derive(Debug)]
pub(super) struct Attempts {
    slab: Vec<Attempt>,
    vacant: Vec<u32>,
    /// All that are not cancelled, by start: the first is the first to meet the deadline.
    live_links: Links,
    live: Ends,
    /// Those without a second attempt at the same task, per stage.
    watch_links: Links,
    stragglers: [Ends; 2],
    suspects: [Ends; 2],
}

impl Attempts {
    pub(super) fn new() -> Self {
        Self {
            slab: Vec::new(),
            vacant: Vec::new(),
            live_links: Links::default(),
            live: Ends::EMPTY,
            watch_links: Links::default(),
            stragglers: [Ends::EMPTY; 2],
            suspects: [Ends::EMPTY; 2],
        }
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> &Attempt {
        &self.slab[index as usize]
    }

    pub(super) fn set_position(&mut self, index: u32, position: u32) {
        self.slab[index as usize].position = position;
    }

    pub(super) fn insert(&mut self, id: AttemptId, peer: u32, position: u32, started: Time) -> u32 {
        let attempt = Attempt { id, peer, position, started, cancelled: false, watch: None };
        let index = match self.vacant.pop() {
            Some(index) => {
                self.slab[index as usize] = attempt;
                index
            }
            None => {
                self.slab.push(attempt);
                self.live_links.resize(self.slab.len());
                self.watch_links.resize(self.slab.len());
                (self.slab.len() - 1) as u32
            }
        };
        // Time does not run backwards, so the newest belongs at the end.
        self.live_links.push_back(&mut self.live, index);
        index
    }

    /// The attempt can no longer commit; its peer still runs it.
    pub(super) fn retire(&mut self, index: u32) {
        debug_assert!(!self.slab[index as usize].cancelled);
        self.unwatch(index);
        self.live_links.remove(&mut self.live, index);
        self.slab[index as usize].cancelled = true;
    }

    /// The peer no longer runs it.
    pub(super) fn remove(&mut self, index: u32) {
        if !self.slab[index as usize].cancelled {
            self.retire(index);
        }
        self.vacant.push(index);
    }

    pub(super) fn watch(&mut self, index: u32, watch: Watch) {
        self.unwatch(index);
        let Self { slab, watch_links, stragglers, suspects, .. } = self;
        let Attempt { id, started, .. } = slab[index as usize];
        let stage = id.task.stage() as usize;
        match watch {
            Watch::Straggler => watch_links
                .insert_sorted(&mut stragglers[stage], index, |other| slab[other as usize].started > started),
            Watch::Suspect => watch_links.push_back(&mut suspects[stage], index),
        }
        slab[index as usize].watch = Some(watch);
    }

    pub(super) fn unwatch(&mut self, index: u32) {
        let attempt = &mut self.slab[index as usize];
        let stage = attempt.id.task.stage() as usize;
        let ends = match attempt.watch.take() {
            None => return,
            Some(Watch::Straggler) => &mut self.stragglers[stage],
            Some(Watch::Suspect) => &mut self.suspects[stage],
        };
        self.watch_links.remove(ends, index);
    }

    pub(super) fn is_watched(&self, index: u32) -> bool {
        self.get(index).watch.is_some()
    }

    /// The live attempt that started first.
    pub(super) fn oldest(&self) -> Option<u32> {
        self.live.first()
    }

    pub(super) fn any_live(&self) -> bool {
        !self.live.is_empty()
    }

    pub(super) fn suspect(&self, stage: Stage) -> Option<u32> {
        self.suspects[stage as usize].first()
    }

    pub(super) fn stragglers(&self, stage: Stage) -> impl Iterator<Item = u32> + '_ {
        self.watch_links.iter(self.stragglers[stage as usize])
    }

    pub(super) fn live(&self) -> impl Iterator<Item = u32> + '_ {
        self.live_links.iter(self.live)
    }
}
