//! What must hold after every step, kept by a second, simpler bookkeeping: plain maps, linear scans, no queues.
//!
//! It hears every call and every action and event, predicts the verdict of every completion and the end of the job,
//! and panics as soon as the coordinator does otherwise.

use std::collections::{BTreeMap, HashSet};

use mapreduce_core::schedule::{
    Action, AttemptId, Config, Coordinator, Event, Failure, JobError, PeerId, Round, RoundPlan, TaskId, Time,
    Verdict,
};

#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) slots: u32,
    pub(crate) suspected: bool,
    pub(crate) draining: bool,
    quarantined: bool,
    drained: bool,
    /// Attempts that were started and not answered.
    running: HashSet<AttemptId>,
}

impl View {
    fn usable(&self) -> bool {
        self.slots > 0 && !self.suspected && !self.draining && !self.quarantined
    }
}

#[derive(Debug, Default)]
struct Tally {
    charged: u16,
    peers_lost: u16,
    fetch_failures: u16,
}

#[derive(Debug)]
struct Live {
    peer: PeerId,
    started: Time,
    /// For a reduce attempt: the checksum of each map output when it started.
    consumed: Vec<u64>,
}

#[derive(Debug)]
pub(crate) struct Oracle {
    config: Config,
    plan: RoundPlan,
    pub(crate) round: Option<Round>,
    pub(crate) ended: Option<Event>,
    pub(crate) peers: BTreeMap<PeerId, View>,
    /// Attempts that may still commit.
    live: BTreeMap<AttemptId, Live>,
    started: HashSet<AttemptId>,
    /// Committed map tasks and where their output is (`None`: it was lost, but nobody needed it).
    outputs: BTreeMap<u32, (AttemptId, PeerId, u64)>,
    maps_done: HashSet<u32>,
    /// Committed reduce tasks and what they consumed.
    reduces_done: BTreeMap<u32, Vec<u64>>,
    tallies: BTreeMap<TaskId, Tally>,
    deserted_since: Option<Time>,
    /// An error that must come out of the current call.
    due: Option<Expected>,
    pub(crate) rounds_finished: u32,
    pub(crate) consumers_restarted: u32,
}

#[derive(Debug, PartialEq)]
enum Expected {
    Exhausted(TaskId),
    Permanent(TaskId),
    PeersLost(HashSet<TaskId>),
    Fetch(TaskId),
}

impl Oracle {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            plan: RoundPlan { splits: 0, partitions: 0 },
            round: None,
            ended: None,
            peers: BTreeMap::new(),
            live: BTreeMap::new(),
            started: HashSet::new(),
            outputs: BTreeMap::new(),
            maps_done: HashSet::new(),
            reduces_done: BTreeMap::new(),
            tallies: BTreeMap::new(),
            deserted_since: None,
            due: None,
            rounds_finished: 0,
            consumers_restarted: 0,
        }
    }

    // What the driver is about to report.

    pub(crate) fn round_starts(&mut self, plan: RoundPlan) {
        assert!(self.round.is_none() && self.live.is_empty());
        self.plan = plan;
        self.outputs.clear();
        self.maps_done.clear();
        self.reduces_done.clear();
        self.tallies.clear();
        self.peers.values_mut().for_each(|view| view.quarantined = false);
    }

    pub(crate) fn peer_joins(&mut self, peer: PeerId, slots: u32) {
        self.peer_is_lost(peer);
        self.peers.insert(peer, View { slots, ..View::default() });
    }

    pub(crate) fn peer_is_lost(&mut self, peer: PeerId) {
        let Some(view) = self.peers.remove(&peer) else { return };
        let mut blamed = HashSet::new();
        for attempt in view.running {
            if self.live.remove(&attempt).is_some() {
                let tally = self.tallies.entry(attempt.task).or_default();
                tally.peers_lost += 1;
                if tally.peers_lost >= self.config.peers_lost_max {
                    blamed.insert(attempt.task);
                }
            }
        }
        if !blamed.is_empty() {
            self.due = Some(Expected::PeersLost(blamed));
        }
        let needed = self.outputs_needed();
        self.outputs.retain(|split, (_, holder, _)| {
            let lost = *holder == peer;
            if lost && needed {
                self.maps_done.remove(split);
            }
            !lost
        });
    }

    pub(crate) fn attempt_completes(&mut self, peer: PeerId, attempt: AttemptId, checksum: u64) -> Verdict {
        self.answered(peer, attempt);
        if self.live.get(&attempt).is_none_or(|live| live.peer != peer) {
            return Verdict::Discard;
        }
        let live = self.live.remove(&attempt).expect("just found");
        match attempt.task {
            TaskId::Map(split) => {
                assert!(self.maps_done.insert(split), "{attempt} commits a second time");
                self.outputs.insert(split, (attempt, peer, checksum));
            }
            TaskId::Reduce(index) => {
                let twice = self.reduces_done.insert(index, live.consumed);
                assert_eq!(twice, None, "{attempt} commits a second time");
            }
        }
        Verdict::Commit
    }

    pub(crate) fn attempt_fails(&mut self, peer: PeerId, attempt: AttemptId, failure: &Failure) {
        self.answered(peer, attempt);
        if self.live.get(&attempt).is_none_or(|live| live.peer != peer) {
            return;
        }
        self.live.remove(&attempt);
        let tally = self.tallies.entry(attempt.task).or_default();
        match failure {
            Failure::Task { permanent: true, .. } => self.due = Some(Expected::Permanent(attempt.task)),
            Failure::Task { .. } | Failure::Deadline => {
                tally.charged += 1;
                if tally.charged >= self.config.attempts_max {
                    self.due = Some(Expected::Exhausted(attempt.task));
                }
            }
            Failure::FetchFailed { .. } => {
                tally.fetch_failures += 1;
                if tally.fetch_failures >= self.config.task_fetch_failures_max {
                    self.due = Some(Expected::Fetch(attempt.task));
                }
            }
            _ => {}
        }
    }

    fn answered(&mut self, peer: PeerId, attempt: AttemptId) {
        if let Some(view) = self.peers.get_mut(&peer) {
            view.running.remove(&attempt);
        }
    }

    // What the coordinator answers.

    pub(crate) fn hear_event(&mut self, now: Time, event: &Event) {
        assert!(self.ended.is_none() || event.task().is_none(), "{event} after the job ended");
        match event {
            Event::RoundStarted { round } => {
                assert!(self.round.is_none());
                self.round = Some(*round);
            }
            Event::AttemptFailed { attempt, peer, failure: Failure::Deadline } => {
                // The peer's own reports of it are known already; the rest the coordinator found out itself.
                if let Some(live) = self.live.get(attempt) {
                    let deadline = self.config.task_deadline.expect("only with a deadline");
                    assert!(now.since(live.started) >= deadline, "{attempt} overran its deadline too early");
                    let running = self.peers[peer].running.clone();
                    self.attempt_fails(*peer, *attempt, &Failure::Deadline);
                    // It keeps its slot.
                    self.peers.get_mut(peer).expect("takes part").running = running;
                }
            }
            Event::PeerQuarantined { peer } => {
                self.peers.get_mut(peer).expect("only peers that take part are quarantined").quarantined =
                    true;
            }
            Event::PeerDrained { peer } => {
                let needed = self.outputs_needed();
                let holds = self.outputs.values().any(|(_, holder, _)| holder == peer);
                let view = self.peers.get_mut(peer).expect("only peers that take part drain");
                assert!(
                    view.draining && view.running.is_empty() && !(holds && needed),
                    "{peer} drained too early"
                );
                assert!(!std::mem::replace(&mut view.drained, true), "{peer} drained twice");
            }
            // Those of lost peers are known already.
            Event::OutputLost { attempt, peer } if self.peers.contains_key(peer) => {
                self.outputs.remove(&attempt.task.index());
                self.maps_done.remove(&attempt.task.index());
            }
            Event::MapsFinished { .. } => assert!(self.maps_missing() == 0),
            Event::ConsumerRestarted { attempt, .. } => {
                assert_eq!(self.reduces_done.len(), 0, "{attempt}");
                self.consumers_restarted += 1;
            }
            Event::RoundFinished { round } => {
                assert_eq!(self.round.take(), Some(*round));
                assert_eq!(
                    self.reduces_done.len(),
                    self.plan.partitions as usize,
                    "all reduce tasks committed"
                );
                assert!(self.plan.partitions > 0 || self.maps_missing() == 0, "all map tasks committed");
                let mut consumed: Vec<&Vec<u64>> = self.reduces_done.values().collect();
                consumed.dedup();
                assert!(consumed.len() <= 1, "all reduce tasks have consumed the same map output");
                self.rounds_finished += 1;
            }
            Event::JobFailed { error } => {
                self.check_error(now, error);
                (self.ended, self.round) = (Some(event.clone()), None);
            }
            Event::Cancelled => (self.ended, self.round) = (Some(event.clone()), None),
            _ => {}
        }
    }

    fn check_error(&mut self, now: Time, error: &JobError) {
        match (error, self.due.take()) {
            (JobError::AttemptsExhausted { task, .. }, Some(Expected::Exhausted(due)))
            | (JobError::Permanent { task, .. }, Some(Expected::Permanent(due)))
            | (JobError::FetchFailed { task, .. }, Some(Expected::Fetch(due))) => assert_eq!(*task, due),
            (JobError::PeersLost { task, .. }, Some(Expected::PeersLost(due))) => assert!(due.contains(task)),
            (JobError::NoPeers { waited, .. }, None) => {
                let since = self.deserted_since.expect("some peer was usable, or something ran");
                assert!(now.since(since) >= *waited);
            }
            (JobError::AllQuarantined { peers, .. }, None) => {
                let since = self.deserted_since.expect("some peer was usable, or something ran");
                assert!(now > since && *peers > 0);
                assert_eq!(*peers, self.peers.len());
                assert!(self.peers.values().all(|view| view.quarantined));
            }
            (JobError::NonDeterministic { before, after, .. }, None) => {
                assert_ne!(before, after);
                assert!(!self.reduces_done.is_empty());
            }
            (error, due) => panic!("the job failed with `{error}`, expected was {due:?}"),
        }
    }

    /// To be called after the events of the same call: within one, starts come last.
    pub(crate) fn hear_action(&mut self, now: Time, action: Action) {
        match action {
            Action::Start { peer, attempt, backup } => self.start(now, peer, attempt, backup),
            Action::Cancel { peer, attempt } => {
                self.live.remove(&attempt);
                let view = self.peers.get(&peer).expect("only peers that take part are told to cancel");
                assert!(view.running.contains(&attempt), "{attempt} does not run on {peer}");
            }
            _ => {}
        }
    }

    fn start(&mut self, now: Time, peer: PeerId, attempt: AttemptId, backup: bool) {
        assert!(self.started.insert(attempt), "{attempt} starts a second time");
        assert_eq!(Some(attempt.round), self.round);
        let earlier = AttemptId { number: 0, ..attempt }..attempt;
        let others: Vec<PeerId> = self.live.range(earlier).map(|(_, live)| live.peer).collect();
        assert_eq!(others.len(), usize::from(backup), "{attempt} starts beside {others:?}");
        assert!(!others.contains(&peer), "{attempt} backs up its own peer");
        let view = self.peers.get_mut(&peer).unwrap_or_else(|| panic!("{attempt} starts on lost {peer}"));
        assert!(view.usable(), "{attempt} starts on {peer}, which is {view:?}");
        assert!(view.running.len() < view.slots as usize, "{attempt} exceeds the slots of {peer}");
        view.running.insert(attempt);
        let mut consumed = Vec::new();
        match attempt.task {
            TaskId::Map(split) => {
                assert!(
                    split < self.plan.splits && !self.maps_done.contains(&split),
                    "{attempt} is not pending"
                );
            }
            TaskId::Reduce(index) => {
                assert!(index < self.plan.partitions && !self.reduces_done.contains_key(&index));
                assert_eq!(
                    self.outputs.len(),
                    self.plan.splits as usize,
                    "{attempt} starts without all its input"
                );
                assert!(self.outputs.values().all(|(_, holder, _)| self.peers.contains_key(holder)));
                consumed.extend(self.outputs.values().map(|(_, _, checksum)| checksum));
            }
        }
        self.live.insert(attempt, Live { peer, started: now, consumed });
    }

    // What must hold between calls.

    /// Cheap, for after every call.
    pub(crate) fn check_call(&mut self, now: Time) {
        assert_eq!(self.due, None, "the job should have failed");
        let deserted = self.round.is_some() && self.live.is_empty() && !self.peers.values().any(View::usable);
        self.deserted_since = if deserted { self.deserted_since.or(Some(now)) } else { None };
    }

    /// Linear in tasks and peers.
    pub(crate) fn check_state(&self, now: Time, coordinator: &Coordinator) {
        assert_eq!(coordinator.running_round(), self.round);
        assert_eq!(coordinator.has_ended(), self.ended.is_some());
        if self.round.is_none() {
            assert!(self.live.is_empty() || self.ended.is_some());
            return;
        }
        let known = coordinator.outputs().map(|(split, peer, attempt)| (split, (attempt, peer)));
        assert!(known.eq(self.outputs.iter().map(|(&split, &(attempt, peer, _))| (split, (attempt, peer)))));

        // No peer is idle while there is something it may do.
        let running: HashSet<TaskId> = self.live.keys().map(|attempt| attempt.task).collect();
        let free = self.peers.values().any(|view| view.usable() && view.running.len() < view.slots as usize);
        let pending_map =
            (0..self.plan.splits).any(|i| !self.maps_done.contains(&i) && !running.contains(&TaskId::Map(i)));
        let pending_reduce = (0..self.plan.partitions)
            .any(|i| !self.reduces_done.contains_key(&i) && !running.contains(&TaskId::Reduce(i)));
        if free && pending_map {
            let due = coordinator.poll_timeout().expect("a free peer waits for a pinned split");
            assert!(due <= now + self.config.locality_wait);
        }
        assert!(
            !(free && pending_reduce && self.maps_missing() == 0),
            "a reduce task is pending, a peer is free"
        );
    }

    pub(crate) fn outputs(&self) -> impl Iterator<Item = (AttemptId, PeerId)> {
        self.outputs.values().map(|&(attempt, peer, _)| (attempt, peer))
    }

    fn outputs_needed(&self) -> bool {
        self.round.is_some() && self.reduces_done.len() < self.plan.partitions as usize
    }

    fn maps_missing(&self) -> usize {
        self.plan.splits as usize - self.maps_done.len()
    }
}
