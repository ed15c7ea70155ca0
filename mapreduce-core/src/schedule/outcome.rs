//! What becomes of tasks: commits, failures, losses, and the end of rounds and jobs.

use super::action::Action;
use super::coordinator::{Coordinator, Phase};
use super::error::JobError;
use super::event::Event;
use super::ids::{AttemptId, PeerId, Stage, TaskId};
use super::list::NONE;
use super::queue::Place;
use super::report::{Failure, TaskReport};
use super::task::TaskState;
use super::time::Time;

impl Coordinator {
    /// An attempt has finished, and is the one that counts.
    pub(super) fn commit(&mut self, id: AttemptId, peer: u32, started: Time, report: TaskReport) {
        let stage = id.task.stage();
        let [slower, _] = self.tasks.at(id.task).running;
        if slower != NONE {
            self.stats.attempts_cancelled += 1;
            self.stop(slower);
        }
        let task = self.tasks.at(id.task);
        task.state = TaskState::Committed;
        task.committed = id.number;
        *self.tasks.missing(stage) -= 1;
        self.running_times[stage as usize].record(self.now.since(started));
        self.stats.tasks_committed += 1;

        let committer = self.peers.at_mut(peer);
        committer.committed += 1;
        committer.node_failures = 0;
        self.events.push_back(Event::TaskCommitted { attempt: id, peer: committer.id, report });
        match id.task {
            TaskId::Map(split) => self.keep_output(split, peer, report.checksum),
            TaskId::Reduce(_) if self.tasks.reduces_missing == 0 => self.finish_round(),
            TaskId::Reduce(_) => {}
        }
    }

    /// An attempt has ended without output: charges that to whom it belongs, and tries again if it may help.
    pub(super) fn after_failure(&mut self, id: AttemptId, peer: u32, started: Time, failure: Failure) {
        self.stats.attempts_failed += 1;
        let peer_id = self.peers.at(peer).id;
        self.events.push_back(Event::AttemptFailed { attempt: id, peer: peer_id, failure: failure.clone() });
        let error = match failure {
            Failure::Task { message, permanent: true } => {
                Some(JobError::Permanent { task: id.task, message })
            }
            Failure::Task { message, permanent: false } => self.charge(id.task, message),
            Failure::Deadline => self.charge(id.task, Failure::Deadline.to_string()),
            Failure::Node { message } => {
                self.node_failure = Some(message);
                self.count_node_failure(peer);
                None
            }
            Failure::Cancelled => {
                self.count_node_failure(peer);
                None
            }
            Failure::FetchFailed { from } => self.count_fetch_failure(id.task, peer, started, from),
        };
        if let Some(error) = error {
            self.fail_job(error);
        } else {
            self.retry(id.task);
        }
    }

    /// A peer is gone, with all it ran and held.
    pub(super) fn lose_peer(&mut self, index: u32) {
        let peer = self.peers.at_mut(index);
        // Without slots it is in no list of free peers.
        peer.slots = 0;
        let id = peer.id;
        let running = std::mem::take(&mut peer.running);
        self.place(index);
        self.stats.peers_lost += 1;
        self.events.push_back(Event::PeerLost { peer: id });

        let mut culprit = None;
        for &attempt in &running {
            culprit = self.lose_attempt(attempt, id).or(culprit);
        }
        self.lose_outputs(index, false);
        while let Some(split) = self.pins.first(index) {
            self.pins.unpin(split);
        }
        self.peers.remove(index);
        if let Some(error) = culprit {
            self.fail_job(error);
        }
    }

    /// The job is over, and this is why.
    pub(super) fn fail_job(&mut self, error: JobError) {
        self.end_job(Event::JobFailed { error });
    }

    /// Ends the job with its last event.
    pub(super) fn end_job(&mut self, last: Event) {
        self.events.push_back(last);
        if self.phase == Phase::Running {
            self.wind_up(Phase::Ended);
        }
        self.phase = Phase::Ended;
    }

    /// Every task has committed.
    pub(super) fn finish_round(&mut self) {
        self.stats.rounds_finished += 1;
        self.events.push_back(Event::RoundFinished { round: self.round });
        self.wind_up(Phase::Idle);
    }

    /// Tells a draining peer when nothing keeps it any longer.
    pub(super) fn check_drained(&mut self, index: u32) {
        let needed = self.phase == Phase::Running && self.tasks.outputs_needed();
        let peer = self.peers.at_mut(index);
        if peer.draining && !peer.drained && peer.running.is_empty() && !(needed && peer.outputs > 0) {
            peer.drained = true;
            self.events.push_back(Event::PeerDrained { peer: peer.id });
        }
    }

    /// Stops what still runs in this round, forgets what is pending, and lets peers drop its outputs.
    fn wind_up(&mut self, phase: Phase) {
        while let Some(attempt) = self.attempts.oldest() {
            self.stats.attempts_cancelled += 1;
            self.stop(attempt);
        }
        self.map_queue.clear();
        self.reduce_queue.clear();
        self.phase = phase;
        self.actions.push_back(Action::EndRound { round: self.round });
        // Which peers wait for their own queue, and which for their outputs, has changed.
        for index in 0..self.peers.capacity() {
            self.place(index);
            self.check_drained(index);
        }
    }

    /// A map task has committed on `peer`.
    fn keep_output(&mut self, split: u32, peer: u32, checksum: u64) {
        self.pins.pin(split, peer);
        self.peers.at_mut(peer).outputs += 1;
        let task = self.tasks.at(TaskId::Map(split));
        task.holder = peer;
        let before = task.checksum.replace(checksum);
        if let Some(before) = before.filter(|&before| before != checksum) {
            if self.tasks.reduces_committed() > 0 {
                let task = TaskId::Map(split);
                self.fail_job(JobError::NonDeterministic { task, before, after: checksum });
                return;
            }
            self.restart_consumers();
        }
        if self.tasks.maps_missing == 0 {
            self.events.push_back(Event::MapsFinished { round: self.round });
            if self.tasks.partitions() == 0 {
                self.finish_round();
            }
        }
    }

    /// Running reduce attempts may have read an output that has been replaced by a different one.
    fn restart_consumers(&mut self) {
        let stage = |index: &u32| self.attempts.get(*index).id.task.stage();
        let consumers: Vec<u32> =
            self.attempts.live().filter(|index| stage(index) == Stage::Reduce).collect();
        for index in consumers {
            let (attempt, peer) = (self.attempts.get(index).id, self.attempts.get(index).peer);
            self.stats.attempts_cancelled += 1;
            self.stop(index);
            self.events.push_back(Event::ConsumerRestarted { attempt, peer: self.peers.at(peer).id });
            self.retry(attempt.task);
        }
    }

    /// Makes a task pending again that has lost an attempt, unless it has another one.
    fn retry(&mut self, task: TaskId) {
        if self.phase == Phase::Running && self.tasks.at(task).running == [NONE; 2] {
            self.enqueue(task, Place::Front);
        }
    }

    fn charge(&mut self, task: TaskId, last: String) -> Option<JobError> {
        let failures = bump(&mut self.tasks.at(task).failures);
        (failures >= self.config.attempts_max).then_some(JobError::AttemptsExhausted { task, failures, last })
    }

    fn count_node_failure(&mut self, peer: u32) {
        if bump(&mut self.peers.at_mut(peer).node_failures) >= self.config.node_failures_max {
            self.quarantine(peer);
        }
    }

    /// The rule for failed fetches: reports are counted against the peer that was fetched from, unless they come
    /// from a peer that is itself in doubt, or from an attempt that is older than the peer's membership. At the
    /// bound, all that it holds is made again, elsewhere if there is anybody else.
    fn count_fetch_failure(
        &mut self,
        task: TaskId,
        reporter: u32,
        started: Time,
        from: PeerId,
    ) -> Option<JobError> {
        let failures = bump(&mut self.tasks.at(task).fetch_failures);
        if failures >= self.config.task_fetch_failures_max {
            return Some(JobError::FetchFailed { task, from, failures });
        }
        let reporter = self.peers.at(reporter);
        if reporter.suspected || reporter.quarantined {
            return None;
        }
        let source = self.peers.find(from)?;
        let peer = self.peers.at_mut(source);
        if peer.joined > started {
            return None;
        }
        if bump(&mut peer.fetch_failures) >= self.config.fetch_failures_max {
            peer.fetch_failures = 0;
            let only_usable = peer.is_usable() && self.peers.count_usable() == 1;
            if !only_usable {
                self.quarantine(source);
            }
            self.lose_outputs(source, true);
            self.check_drained(source);
        }
        None
    }

    fn quarantine(&mut self, index: u32) {
        let peer = self.peers.at_mut(index);
        if !std::mem::replace(&mut peer.quarantined, true) {
            self.stats.peers_quarantined += 1;
            self.events.push_back(Event::PeerQuarantined { peer: peer.id });
            self.place(index);
        }
    }

    /// An attempt went down with its peer. An error if its task has taken too many peers with it.
    fn lose_attempt(&mut self, index: u32, peer: PeerId) -> Option<JobError> {
        let (id, cancelled) = (self.attempts.get(index).id, self.attempts.get(index).cancelled);
        if cancelled {
            self.attempts.remove(index);
            return None;
        }
        self.stats.attempts_lost += 1;
        self.events.push_back(Event::AttemptLost { attempt: id, peer });
        self.detach(index);
        self.attempts.remove(index);
        let peers = bump(&mut self.tasks.at(id.task).peers_lost);
        self.retry(id.task);
        (peers >= self.config.peers_lost_max).then_some(JobError::PeersLost { task: id.task, peers })
    }

    /// The map outputs that `holder` has are gone. Those that are needed are made again.
    fn lose_outputs(&mut self, holder: u32, reachable: bool) {
        let needed = self.phase == Phase::Running && self.tasks.outputs_needed();
        self.peers.at_mut(holder).outputs = 0;
        let peer = self.peers.at(holder).id;
        // Whoever holds the output of a split committed it last, so the split is pinned to it.
        let mut next = self.pins.first(holder);
        while let Some(split) = next {
            next = self.pins.next(split);
            let Some(task) = self.tasks.get(TaskId::Map(split)).filter(|task| task.holder == holder) else {
                continue;
            };
            let attempt = AttemptId { round: self.round, task: TaskId::Map(split), number: task.committed };
            self.tasks.at(attempt.task).holder = NONE;
            if !needed {
                continue;
            }
            self.tasks.maps_missing += 1;
            self.stats.outputs_lost += 1;
            self.events.push_back(Event::OutputLost { attempt, peer });
            if reachable {
                self.actions.push_back(Action::DropOutput { peer, attempt });
            }
            self.enqueue(attempt.task, Place::Back);
        }
    }
}

/// Counts one more. Saturates, as no bound lies beyond.
fn bump(count: &mut u16) -> u16 {
    *count = count.saturating_add(1);
    *count
}
