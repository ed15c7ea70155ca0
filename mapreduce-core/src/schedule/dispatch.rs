//! Who gets which task next, who gets a backup attempt, and what there is to wait for.

use super::action::Action;
use super::attempts::{Attempt, Watch};
use super::coordinator::{Coordinator, Phase};
use super::error::JobError;
use super::event::Event;
use super::ids::{AttemptId, Stage, TaskId};
use super::list::NONE;
use super::queue::Place;
use super::report::Failure;
use super::task::TaskState;
use super::time::Time;
use super::timers::Timer;
use std::time::Duration;

/// How long a job waits for other peers when all that are there are quarantined: those of a pool that has just been joined
/// come one after the other.
const QUARANTINED_WAIT: Duration = Duration::from_secs(1);

/// An attempt that may get a backup on an idle peer, from a time on.
struct Backup {
    attempt: u32,
    peer: u32,
    due: Time,
}

impl Coordinator {
    /// Hands out tasks until no free peer may take any of those left.
    ///
    /// A peer takes what is pinned to it, then what is pinned to nobody, then what has waited for another peer for
    /// long enough. Peers take turns, one task each. Backups come last, when nothing of their stage is pending.
    pub(super) fn dispatch(&mut self) {
        if self.phase != Phase::Running {
            return;
        }
        while let Some(peer) = self.peers.ready() {
            let map = self.map_queue.pop_own(peer).expect("a ready peer has tasks in its own queue");
            self.stats.pinned_started += 1;
            self.start(TaskId::Map(map), peer, false);
        }
        while let Some(peer) = self.peers.idle() {
            let Some(task) = self.next_shared() else { break };
            self.start(task, peer, false);
        }
        while let Some(Backup { attempt, peer, due }) = self.next_backup() {
            if due > self.now {
                break;
            }
            self.start(self.attempts.get(attempt).id.task, peer, true);
        }
    }

    /// Makes `task` pending and lines it up.
    pub(super) fn enqueue(&mut self, task: TaskId, place: Place) {
        self.tasks.at(task).state = TaskState::Pending;
        match (task, place) {
            (TaskId::Reduce(index), Place::Front) => self.reduce_queue.push_front(index),
            (TaskId::Reduce(index), Place::Back) => self.reduce_queue.push_back(index),
            (TaskId::Map(split), _) => match self.pins.holder(split) {
                Some(peer) if self.peers.at(peer).is_usable() => {
                    self.map_queue.push_own(peer, split, place, self.now);
                    self.place(peer);
                }
                _ => self.map_queue.push_common(split, place),
            },
        }
    }

    /// Brings the lists of free peers up to date with this one. If it can take no more work, others get its tasks.
    pub(super) fn place(&mut self, peer: u32) {
        if self.peers.place(peer, self.map_queue.has_own(peer)) {
            self.map_queue.release(peer);
        }
    }

    /// What any idle peer may take.
    fn next_shared(&mut self) -> Option<TaskId> {
        if let Some(map) = self.map_queue.pop_common() {
            return Some(TaskId::Map(map));
        }
        // The peer that loses it has no free slot, or it would have taken it before: its place stays the same.
        if let Some(map) = self.map_queue.pop_waited(self.now, self.config.locality_wait) {
            return Some(TaskId::Map(map));
        }
        // Reduce tasks wait until every map output is there.
        if self.tasks.maps_missing == 0 { self.reduce_queue.pop_front().map(TaskId::Reduce) } else { None }
    }

    fn start(&mut self, task: TaskId, peer: u32, backup: bool) {
        let state = self.tasks.at(task);
        state.attempts += 1;
        let id = AttemptId { round: self.round, task, number: state.attempts };
        let running = &mut self.peers.at_mut(peer).running;
        let index = self.attempts.insert(id, peer, running.len() as u32, self.now);
        running.push(index);
        let first = state.running[0];
        state.attach(index);
        if backup {
            self.attempts.unwatch(first);
            self.stats.backups_started += 1;
            self.events.push_back(Event::BackupStarted { attempt: id, peer: self.peers.at(peer).id });
        } else {
            self.attempts.watch(index, Watch::Straggler);
        }
        self.stats.attempts_started += 1;
        self.actions.push_back(Action::Start { peer: self.peers.at(peer).id, attempt: id, backup });
        self.place(peer);
    }

    /// The attempt that may get a backup first, if there is a peer to run it.
    fn next_backup(&self) -> Option<Backup> {
        let idle = self.peers.idle()?;
        let maps = if self.map_queue.is_empty() { self.next_backup_of(Stage::Map, idle) } else { None };
        let reduces = if self.reduce_queue.is_empty() && self.tasks.maps_missing == 0 {
            self.next_backup_of(Stage::Reduce, idle)
        } else {
            None
        };
        [maps, reduces].into_iter().flatten().min_by_key(|backup| backup.due)
    }

    fn next_backup_of(&self, stage: Stage, idle: u32) -> Option<Backup> {
        if let Some(attempt) = self.attempts.suspect(stage) {
            return Some(Backup { attempt, peer: idle, due: Time::ZERO });
        }
        // A peer does not back itself up, so a single peer has nobody to look for.
        if self.peers.count() < 2 {
            return None;
        }
        let median_us = self.running_times[stage as usize].median_us()?;
        // Float to integer conversion saturates, and takes a nonsensical factor for zero.
        let slow_us = (median_us as f64 * self.config.backup_factor) as u64;
        let slow = self.config.backup_after_min.max(Duration::from_micros(slow_us));
        // All but the slots of one idle peer are eligible: the search ends soon.
        self.attempts.stragglers(stage).find_map(|attempt| {
            let running = self.attempts.get(attempt);
            let peer = self.peers.idle_except(running.peer)?;
            Some(Backup { attempt, peer, due: running.started + slow })
        })
    }

    /// Recomputes what there is to wait for. O(1) as long as there is work or a peer for it, so it is done after every call.
    pub(super) fn set_timers(&mut self) {
        let running = self.phase == Phase::Running;
        let deserted = running && self.peers.count_usable() == 0 && !self.attempts.any_live();
        let no_peers = match self.timers.get(Timer::NoPeers) {
            since if deserted => since.or(Some(self.now + self.config.no_peers_timeout)),
            _ => None,
        };
        let quarantined = match self.timers.get(Timer::Quarantined) {
            since if deserted && self.peers.are_all_quarantined() => {
                since.or(Some(self.now + QUARANTINED_WAIT))
            }
            _ => None,
        };
        let deadline = match (self.config.task_deadline, self.attempts.oldest()) {
            (Some(deadline), Some(oldest)) => Some(self.attempts.get(oldest).started + deadline),
            _ => None,
        };
        let locality = match self.peers.idle() {
            Some(_) if running => self.map_queue.next_waited(self.config.locality_wait),
            _ => None,
        };
        let backup = if running { self.next_backup().map(|backup| backup.due) } else { None };
        self.timers.set(Timer::NoPeers, no_peers);
        self.timers.set(Timer::Quarantined, quarantined);
        self.timers.set(Timer::Deadline, deadline);
        self.timers.set(Timer::Locality, locality);
        self.timers.set(Timer::Backup, backup);
    }

    /// Acts on the timers that are due, except for those that [`dispatch`](Self::dispatch) looks at itself.
    pub(super) fn expire(&mut self) {
        if self.timers.is_expired(Timer::NoPeers, self.now) {
            let waited = self.config.no_peers_timeout;
            let node_failure = self.node_failure.take();
            self.fail_job(JobError::NoPeers { waited, node_failure });
        } else if self.timers.is_expired(Timer::Quarantined, self.now) {
            let (peers, node_failure) = (self.peers.count(), self.node_failure.take());
            self.fail_job(JobError::AllQuarantined { peers, node_failure });
        }
        let Some(deadline) = self.config.task_deadline else { return };
        while let Some(oldest) = self.attempts.oldest() {
            if self.attempts.get(oldest).started + deadline > self.now {
                break;
            }
            self.overrun(oldest);
        }
    }

    /// The attempt exceeded its deadline: it is told to stop, keeps its slot until it has, and counts as failed.
    fn overrun(&mut self, index: u32) {
        let Attempt { id, peer, started, .. } = *self.attempts.get(index);
        self.stop(index);
        self.after_failure(id, peer, started, Failure::Deadline);
    }

    /// Tells the peer to stop a live attempt. Its task must be dealt with by the caller.
    pub(super) fn stop(&mut self, index: u32) {
        let attempt = self.attempts.get(index);
        let peer = self.peers.at(attempt.peer).id;
        self.actions.push_back(Action::Cancel { peer, attempt: attempt.id });
        self.detach(index);
        self.attempts.retire(index);
    }

    /// Separates an attempt from its task. The one that stays behind is alone again and may get a backup.
    pub(super) fn detach(&mut self, index: u32) {
        let task = self.attempts.get(index).id.task;
        if let Some(other) = self.tasks.at(task).detach(index) {
            let suspected = self.peers.at(self.attempts.get(other).peer).suspected;
            self.attempts.watch(other, if suspected { Watch::Suspect } else { Watch::Straggler });
        }
    }

    /// The attempt's peer no longer runs it: its slot is free.
    pub(super) fn release(&mut self, index: u32) {
        let (peer, position) = (self.attempts.get(index).peer, self.attempts.get(index).position);
        let running = &mut self.peers.at_mut(peer).running;
        running.swap_remove(position as usize);
        if let Some(&moved) = running.get(position as usize) {
            self.attempts.set_position(moved, position);
        }
        self.attempts.remove(index);
        self.place(peer);
    }

    /// The attempt a peer talks about, if the peer runs it.
    pub(super) fn find(&self, peer: super::PeerId, attempt: AttemptId) -> Option<u32> {
        let peer = self.peers.find(peer)?;
        let matches = |&index: &u32| {
            index != NONE && self.attempts.get(index).id == attempt && self.attempts.get(index).peer == peer
        };
        let current =
            self.tasks.get(attempt.task).and_then(|task| task.running.iter().copied().find(matches));
        // Only the few that were cancelled are not with their task.
        current.or_else(|| self.peers.at(peer).running.iter().copied().find(matches))
    }
}
