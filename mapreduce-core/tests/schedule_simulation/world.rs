//! The simulated pool: nodes that run attempts for random times, fail, stall, die and come back, and a queue of
//! what will happen. Time jumps to whatever is next.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::time::Duration;

use mapreduce_core::schedule::{
    Action, AttemptId, Config, Coordinator, Failure, PeerId, RoundPlan, TaskId, TaskReport, Time, Verdict,
};

use crate::oracle::Oracle;
use crate::rng::Rng;

/// What kind of world it is.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) peers: u64,
    pub(crate) slots_max: u64,
    pub(crate) rounds: u32,
    pub(crate) plan: RoundPlan,
    pub(crate) config: Config,
    /// The least and the usual longest running time of an attempt.
    pub(crate) task_ms: (u64, u64),
    /// Mean time between mishaps of the pool.
    pub(crate) mishap_every_ms: u64,
    /// From then on nothing goes wrong any more, and at least one peer stays.
    pub(crate) calm_after: Duration,
    /// Out of a hundred attempts, how many fail in one way or another.
    pub(crate) failures_percent: u64,
    /// Whether some of those are beyond mending.
    pub(crate) permanent_failures: bool,
    pub(crate) deterministic: bool,
    /// Every how many steps to look at everything.
    pub(crate) check_every: u64,
}

/// How it went.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) oracle: Oracle,
    pub(crate) coordinator: Coordinator,
    pub(crate) steps: u64,
    pub(crate) now: Time,
}

#[derive(Clone, Debug)]
enum Happening {
    Report { node: PeerId, life: u32, attempt: AttemptId, result: Result<u64, Failure> },
    Mishap,
    Suspect { node: PeerId, life: u32 },
    Trust { node: PeerId, life: u32 },
    DeclareLost { node: PeerId, life: u32 },
    Join { node: PeerId },
    Calm,
}

#[derive(Debug, Default)]
struct Node {
    /// Counts restarts: what an earlier life said is not said by this one.
    life: u32,
    alive: bool,
    /// Until then its reports do not get through.
    stalled_until: Time,
    outputs: HashSet<AttemptId>,
}

pub(crate) struct World {
    scenario: Scenario,
    rng: Rng,
    coordinator: Coordinator,
    oracle: Oracle,
    now: Time,
    queue: BinaryHeap<Reverse<(Time, u64)>>,
    happenings: HashMap<u64, Happening>,
    happenings_made: u64,
    nodes: BTreeMap<PeerId, Node>,
    calm: bool,
    steps: u64,
}

impl World {
    pub(crate) fn new(scenario: Scenario, rng: Rng) -> Self {
        Self {
            coordinator: Coordinator::new(scenario.config.clone()),
            oracle: Oracle::new(scenario.config.clone()),
            scenario,
            rng,
            now: Time::ZERO,
            queue: BinaryHeap::new(),
            happenings: HashMap::new(),
            happenings_made: 0,
            nodes: BTreeMap::new(),
            calm: false,
            steps: 0,
        }
    }

    /// Runs until the job has ended, one way or the other.
    pub(crate) fn run(mut self, steps_max: u64) -> Outcome {
        for node in 1..=self.scenario.peers {
            self.join(PeerId(node));
        }
        self.happen_in(self.scenario.calm_after, Happening::Calm);
        self.happen_in(Duration::ZERO, Happening::Mishap);
        while self.oracle.ended.is_none() && self.oracle.rounds_finished < self.scenario.rounds {
            if self.oracle.round.is_none() {
                self.oracle.round_starts(self.scenario.plan);
                self.coordinator.start_round(self.now, self.scenario.plan).expect("no round is running");
                self.drain();
            } else {
                self.step();
            }
            self.steps += 1;
            if self.steps.is_multiple_of(self.scenario.check_every) {
                self.oracle.check_state(self.now, &self.coordinator);
            }
            assert!(
                self.steps < steps_max,
                "no end in sight at {}: {:?}",
                self.now,
                self.coordinator.stats()
            );
        }
        self.oracle.check_state(self.now, &self.coordinator);
        let stats = self.coordinator.stats();
        assert_eq!(
            stats.attempts_started,
            stats.tasks_committed + stats.attempts_failed + stats.attempts_lost + stats.attempts_cancelled,
            "every attempt has come to one end: {stats:?}"
        );
        let Self { oracle, coordinator, steps, now, .. } = self;
        Outcome { oracle, coordinator, steps, now }
    }

    /// Jumps to the next happening or timeout.
    fn step(&mut self) {
        let next = self.queue.peek().map(|&Reverse((time, _))| time);
        let timeout = self.coordinator.poll_timeout();
        if timeout.is_some_and(|timeout| next.is_none_or(|next| timeout < next)) {
            let timeout = timeout.expect("just checked");
            self.now = self.now.max(timeout);
            self.coordinator.handle_timeout(self.now);
            self.drain();
            let again = self.coordinator.poll_timeout();
            assert!(again.is_none_or(|again| again > self.now), "a timeout that was handled is over");
            return;
        }
        let Reverse((time, number)) = self.queue.pop().expect("a job that waits for nothing is stuck");
        self.now = self.now.max(time);
        let happening = self.happenings.remove(&number).expect("queued with it");
        self.happen(happening);
        self.drain();
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Report { node, life, attempt, result } => self.report(node, life, attempt, result),
            Happening::Mishap if !self.calm => {
                self.mishap();
                let mean = self.scenario.mishap_every_ms;
                let pause = self.rng.duration(0, 2 * mean);
                self.happen_in(pause, Happening::Mishap);
            }
            Happening::Mishap => {}
            Happening::Suspect { node, life } if self.is_current(node, life) => self.suspect(node, true),
            Happening::Trust { node, life } if self.is_current(node, life) => self.suspect(node, false),
            Happening::DeclareLost { node, life } if self.is_current(node, life) => self.declare_lost(node),
            Happening::Suspect { .. } | Happening::Trust { .. } | Happening::DeclareLost { .. } => {}
            Happening::Join { node } => self.join(node),
            Happening::Calm => self.calm_down(),
        }
    }

    /// Hears what the coordinator wants, events first: in one call, starts come last.
    fn drain(&mut self) {
        let actions: Vec<Action> = std::iter::from_fn(|| self.coordinator.poll_action()).collect();
        while let Some(event) = self.coordinator.poll_event() {
            self.oracle.hear_event(self.now, &event);
        }
        for action in actions {
            self.oracle.hear_action(self.now, action);
            match action {
                Action::Start { peer, attempt, .. } => self.execute(peer, attempt),
                Action::Cancel { peer, attempt } => self.stop(peer, attempt),
                Action::DropOutput { peer, attempt } => {
                    self.nodes.entry(peer).or_default().outputs.remove(&attempt);
                }
                Action::EndRound { .. } => self.nodes.values_mut().for_each(|node| node.outputs.clear()),
                other => panic!("unknown action {other}"),
            }
        }
        self.oracle.check_call(self.now);
    }

    // Nodes.

    fn execute(&mut self, node: PeerId, attempt: AttemptId) {
        let (low, high) = self.scenario.task_ms;
        let mut time = self.rng.duration(low, high);
        if !self.calm && self.rng.chance(5) {
            time *= 10;
        }
        let missing = match attempt.task {
            TaskId::Reduce(_) => self.missing_input(),
            TaskId::Map(_) => None,
        };
        let percent = if self.calm { 0 } else { self.scenario.failures_percent };
        let result = if let Some(from) = missing {
            if self.rng.chance(80) {
                time = self.rng.duration(1, 50);
            }
            Err(Failure::FetchFailed { from })
        } else if self.rng.chance(percent) {
            Err(self.failure(attempt))
        } else {
            Ok(self.checksum(attempt))
        };
        let life = self.nodes.entry(node).or_default().life;
        let report = Happening::Report { node, life, attempt, result };
        if self.rng.chance(3) {
            let late = self.rng.duration(low, 20 * high);
            self.happen_in(late, report.clone());
        }
        self.happen_in(time, report);
    }

    /// A node that holds input of a reduce attempt, but is dead although nobody has noticed yet.
    fn missing_input(&self) -> Option<PeerId> {
        self.oracle.outputs().find_map(|(attempt, holder)| {
            let node = &self.nodes[&holder];
            (!node.alive || !node.outputs.contains(&attempt)).then_some(holder)
        })
    }

    fn failure(&mut self, attempt: AttemptId) -> Failure {
        match (self.rng.range(0, 9), attempt.task) {
            (0..=4, _) => Failure::task("injected"),
            (5, _) if self.scenario.permanent_failures && self.rng.chance(10) => {
                Failure::permanent("injected")
            }
            (5 | 6, _) => Failure::Cancelled,
            (7, TaskId::Reduce(_)) => {
                let holders: Vec<PeerId> = self.oracle.outputs().map(|(_, peer)| peer).collect();
                Failure::FetchFailed { from: self.rng.pick(&holders).unwrap_or(PeerId(0)) }
            }
            _ => Failure::node("injected"),
        }
    }

    fn checksum(&mut self, attempt: AttemptId) -> u64 {
        let noise = if self.scenario.deterministic { 0 } else { u64::from(attempt.number) };
        u64::from(attempt.task.index()) * 1_000 + noise
    }

    /// Half of the nodes listen at once, the others let the attempt run to its end. Then its report is not news.
    fn stop(&mut self, node: PeerId, attempt: AttemptId) {
        if self.rng.chance(50) {
            let life = self.nodes.entry(node).or_default().life;
            let pause = self.rng.duration(0, 5);
            self.happen_in(pause, Happening::Report { node, life, attempt, result: Err(Failure::Cancelled) });
        }
    }

    fn report(&mut self, id: PeerId, life: u32, attempt: AttemptId, result: Result<u64, Failure>) {
        let node = self.nodes.entry(id).or_default();
        if node.life != life || !node.alive {
            return;
        }
        if node.stalled_until > self.now {
            let pause = node.stalled_until.since(self.now);
            self.happen_in(pause, Happening::Report { node: id, life, attempt, result });
            return;
        }
        match result {
            // Somebody else claims to have done it.
            Ok(checksum) if self.rng.chance(2) => {
                let impostors: Vec<PeerId> =
                    self.oracle.peers.keys().copied().filter(|&other| other != id).collect();
                if let Some(impostor) = self.rng.pick(&impostors) {
                    let report = TaskReport { checksum, ..TaskReport::default() };
                    let verdict = self.coordinator.handle_completed(self.now, impostor, attempt, report);
                    assert_eq!(verdict, Verdict::Discard, "{attempt} on {impostor} instead of {id}");
                }
                self.happen_in(
                    Duration::ZERO,
                    Happening::Report { node: id, life, attempt, result: Ok(checksum) },
                );
            }
            Ok(checksum) => {
                let expected = self.oracle.attempt_completes(id, attempt, checksum);
                if expected == Verdict::Commit {
                    node.outputs.insert(attempt);
                }
                let report = TaskReport { records: 1, bytes: 8, checksum };
                let verdict = self.coordinator.handle_completed(self.now, id, attempt, report);
                assert_eq!(verdict, expected, "{attempt} on {id}");
            }
            Err(failure) => {
                self.oracle.attempt_fails(id, attempt, &failure);
                self.coordinator.handle_failed(self.now, id, attempt, failure);
            }
        }
    }

    // Mishaps.

    fn mishap(&mut self) {
        let taking_part: Vec<PeerId> = self.oracle.peers.keys().copied().collect();
        let Some(id) = self.rng.pick(&taking_part) else { return };
        let lease = Duration::from_secs(5);
        let node = self.nodes.get_mut(&id).expect("it has joined");
        let life = node.life;
        match self.rng.range(0, 9) {
            // It dies. That is noticed in two steps, unless it is back first.
            0..=2 => {
                node.alive = false;
                node.outputs.clear();
                let (suspicion, back) = (self.rng.duration(1, 800), self.rng.duration(1, 20_000));
                self.happen_in(suspicion, Happening::Suspect { node: id, life });
                self.happen_in(lease, Happening::DeclareLost { node: id, life });
                self.happen_in(back, Happening::Join { node: id });
            }
            // It stalls, and is declared lost by mistake; what it says later is stale, and it joins again.
            3 | 4 => {
                let stall = self.rng.duration(5_001, 15_000);
                node.stalled_until = self.now + stall;
                self.happen_in(Duration::from_millis(400), Happening::Suspect { node: id, life });
                self.happen_in(lease, Happening::DeclareLost { node: id, life });
                self.happen_in(stall + lease, Happening::Join { node: id });
            }
            // It stalls and recovers.
            5 | 6 => {
                let stall = self.rng.duration(400, 4_900);
                node.stalled_until = self.now + stall;
                self.happen_in(Duration::from_millis(400), Happening::Suspect { node: id, life });
                self.happen_in(stall, Happening::Trust { node: id, life });
            }
            // Its grant changes.
            7 => {
                let slots = self.rng.range(0, self.scenario.slots_max) as u32;
                self.oracle.peers.get_mut(&id).expect("it takes part").slots = slots;
                self.coordinator.handle_peer_slots(self.now, id, slots);
            }
            // It wants to leave, does so when it has waited for long enough, and may change its mind.
            8 => {
                let back = self.rng.duration(5_001, 60_000);
                self.happen_in(back, Happening::Join { node: id });
                self.oracle.peers.get_mut(&id).expect("it takes part").draining = true;
                self.coordinator.handle_peer_draining(self.now, id);
                self.happen_in(lease, Happening::DeclareLost { node: id, life });
            }
            // Somebody new comes.
            _ => {
                let newest = self.nodes.keys().next_back().map_or(0, |id| id.0);
                if newest < 2 * self.scenario.peers {
                    self.join(PeerId(newest + 1));
                }
            }
        }
    }

    fn is_current(&self, node: PeerId, life: u32) -> bool {
        self.nodes.get(&node).is_some_and(|node| node.life == life) && self.oracle.peers.contains_key(&node)
    }

    fn suspect(&mut self, node: PeerId, suspected: bool) {
        self.oracle.peers.get_mut(&node).expect("it takes part").suspected = suspected;
        if suspected {
            self.coordinator.handle_peer_suspected(self.now, node);
        } else {
            self.coordinator.handle_peer_trusted(self.now, node);
        }
    }

    fn declare_lost(&mut self, node: PeerId) {
        self.oracle.peer_is_lost(node);
        self.coordinator.handle_peer_lost(self.now, node);
    }

    /// It starts or restarts. If it was only stalled it goes on living, and what it said before may still arrive.
    fn join(&mut self, id: PeerId) {
        let node = self.nodes.entry(id).or_default();
        if !node.alive {
            node.life += 1;
        }
        (node.alive, node.stalled_until) = (true, Time::ZERO);
        node.outputs.clear();
        let slots = self.rng.range(if self.calm { 1 } else { 0 }, self.scenario.slots_max) as u32;
        self.oracle.peer_joins(id, slots);
        self.coordinator.handle_peer_joined(self.now, id, slots);
        self.drain();
    }

    /// The end of all mishaps: whoever is in doubt is lost, and somebody new comes to stay.
    fn calm_down(&mut self) {
        self.calm = true;
        let doubtful: Vec<PeerId> = self.oracle.peers.keys().copied().collect();
        for node in doubtful {
            if self.rng.chance(70) {
                self.declare_lost(node);
                self.drain();
            } else {
                self.join(node);
            }
        }
        self.join(PeerId(1_000_000));
    }

    fn happen_in(&mut self, pause: Duration, happening: Happening) {
        self.happenings_made += 1;
        self.happenings.insert(self.happenings_made, happening);
        self.queue.push(Reverse((self.now + pause, self.happenings_made)));
    }
}
