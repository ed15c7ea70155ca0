//! The coordinator itself: its contract, its state, and the methods a driver calls.

use std::collections::VecDeque;

use super::action::Action;
use super::attempts::{Attempt, Attempts, Watch};
use super::config::Config;
use super::error::StartError;
use super::event::Event;
use super::ids::{AttemptId, PeerId, Round, TaskId};
use super::list::NONE;
use super::peers::Peers;
use super::queue::{MapQueue, Pins, Place};
use super::report::{Failure, TaskReport, Verdict};
use super::stats::Stats;
use super::task::Tasks;
use super::time::Time;
use super::timers::{RunningTimes, TimerTable};

/// The size of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundPlan {
    /// Number of splits: one map task each. Split `i` of every round of a job is the same data.
    pub splits: u32,
    /// Number of partitions: one reduce task each. 0 makes the round map-only: a committed map task is done for
    /// good, whatever becomes of its peer.
    pub partitions: u32,
}

/// Decides which peer runs what in one job, and what to do when that goes wrong.
///
/// A job is a sequence of rounds over one set of splits (a plain job is one round). The coordinator does no I/O,
/// reads no clock, draws no random numbers and starts no thread: what happens in the world is handed in, what to do
/// about it is polled out, and the same calls always give the same answers.
///
/// There are four families of methods:
///
/// * **Getters** take `&self` and may be called at any time: [`outputs`](Self::outputs), [`pins`](Self::pins),
///   [`stats`](Self::stats), [`committed_by_peer`](Self::committed_by_peer), [`running_round`](Self::running_round).
/// * **`handle_*`** report what happened: peers that come, change and go, attempts that end,
///   [time that passes](Self::handle_timeout). Reports about peers that do not take part are ignored.
/// * **Commands** say what the user wants: [`start_round`](Self::start_round), [`pin`](Self::pin),
///   [`cancel`](Self::cancel).
/// * **`poll_*`** give out what follows from it.
///
/// After a call or several of the second and third family, poll, in this order:
///
/// 1. [`poll_action`](Self::poll_action) until it gives `None`, doing what it says;
/// 2. [`poll_event`](Self::poll_event) until it gives `None`;
/// 3. [`poll_timeout`](Self::poll_timeout), and call [`handle_timeout`](Self::handle_timeout) at that time. The time
///    changes with calls of the second and third family, never by polling.
///
/// Every `now` must be at least as large as the one before; an earlier one counts as the latest seen.
///
/// # What it guarantees
///
/// * One attempt of a task commits in a round (a map task whose output is lost may commit again). Everything that is
///   stale, unknown, or comes from a peer declared lost gets [`Verdict::Discard`], even if the peer was declared
///   lost by mistake: safety rests on fencing attempts, not on knowing who is alive.
/// * A peer never runs more attempts than it granted slots, unless it took a grant back while they ran.
/// * A reduce attempt starts only when the output of every map task is on a peer that takes part.
/// * Every `Start` is to be answered; the attempt keeps its slot until it is, cancelled or not.
/// * The work per call does not grow with the number of tasks. Exceptions: starting and ending a round is linear in
///   its tasks and in the peers; what happens to a peer is linear in what it runs, what it holds and what waits
///   for it; a job that fails, or consumers that restart, are linear in the running attempts.
///
/// # Example
///
/// ```
/// use mapreduce_core::schedule::{Action, Config, Coordinator, Event, PeerId, RoundPlan, TaskReport, Time, Verdict};
///
/// let mut coordinator = Coordinator::new(Config::default());
/// let (mut now, me) = (Time::ZERO, PeerId(1));
/// coordinator.handle_peer_joined(now, me, 2);
/// let round = coordinator.start_round(now, RoundPlan { splits: 3, partitions: 1 })?;
/// let mut order = Vec::new();
/// while let Some(action) = coordinator.poll_action() {
///     if let Action::Start { peer, attempt, .. } = action {
///         order.push(attempt.task.to_string());
///         // A real driver runs the attempt and lets time pass.
///         now = now + std::time::Duration::from_micros(10);
///         let verdict = coordinator.handle_completed(now, peer, attempt, TaskReport::default());
///         assert_eq!(verdict, Verdict::Commit);
///     }
/// }
/// assert_eq!(order, ["map 0", "map 1", "map 2", "reduce 0"]);
/// let last = std::iter::from_fn(|| coordinator.poll_event()).last();
/// assert_eq!(last, Some(Event::RoundFinished { round }));
/// # Ok::<(), mapreduce_core::schedule::StartError>(())
/// ```
#[derive(Debug)]
pub struct Coordinator {
    pub(super) config: Config,
    pub(super) phase: Phase,
    /// The running round, or else the last one.
    pub(super) round: Round,
    pub(super) now: Time,
    pub(super) tasks: Tasks,
    pub(super) map_queue: MapQueue,
    pub(super) reduce_queue: VecDeque<u32>,
    pub(super) attempts: Attempts,
    pub(super) peers: Peers,
    pub(super) pins: Pins,
    /// Of the committed tasks of this round, per stage.
    pub(super) running_times: [RunningTimes; 2],
    pub(super) timers: TimerTable,
    pub(super) actions: VecDeque<Action>,
    pub(super) events: VecDeque<Event>,
    pub(super) stats: Stats,
    /// Rounds that may still level pins out, since slots were added.
    pub(super) levelling: u8,
    pub(super) node_failure: Option<String>,
}

/// Rounds that level pins out after slots were added, at the most: while a newcomer fetches its first splits, others may
/// take some of them back. One that is slower than its slots suggest would lose its share again and again.
const LEVELLING_ROUNDS: u8 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Idle,
    Running,
    Ended,
}

impl Coordinator {
    /// A coordinator without peers, before the first round of its job.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            phase: Phase::Idle,
            round: Round(0),
            now: Time::ZERO,
            tasks: Tasks::default(),
            map_queue: MapQueue::new(),
            reduce_queue: VecDeque::new(),
            attempts: Attempts::new(),
            peers: Peers::new(),
            pins: Pins::default(),
            running_times: [RunningTimes::new(), RunningTimes::new()],
            timers: TimerTable::default(),
            actions: VecDeque::new(),
            events: VecDeque::new(),
            stats: Stats::default(),
            levelling: 0,
            node_failure: None,
        }
    }

    // Commands.

    /// Starts the next round. Its first actions can be polled at once.
    ///
    /// A split goes to the peer that last committed it, as long as that peer is usable. If slots were added since
    /// the last round, peers give up splits beyond their share of all slots, so that a newcomer gets work at once; and
    /// again in some rounds that follow, until each has kept its share.
    /// Quarantined peers get another chance.
    ///
    /// # Errors
    ///
    /// While a round is running, after the job ended, or with too many tasks; see [`StartError`].
    pub fn start_round(&mut self, now: Time, plan: RoundPlan) -> Result<Round, StartError> {
        match self.phase {
            Phase::Idle => {}
            Phase::Running => return Err(StartError::Busy { round: self.round }),
            Phase::Ended => return Err(StartError::Ended),
        }
        let (tasks, tasks_max) = (u64::from(plan.splits) + u64::from(plan.partitions), self.config.tasks_max);
        // So every index is below `NONE`.
        if tasks > u64::from(tasks_max) {
            return Err(StartError::TooManyTasks { tasks, tasks_max });
        }
        self.round = Round(self.round.0.checked_add(1).ok_or(StartError::TooManyRounds)?);
        self.advance(now);
        self.begin_round(plan);
        self.settle();
        Ok(self.round)
    }

    /// Says that `peer` has split `split` cached, as a commit of its map task would. For splits that were cached by
    /// an earlier job on the same data. Answers `false`, and does nothing, while a round is running or if the peer
    /// does not take part, or if `split` is not below [`tasks_max`](Config::tasks_max).
    pub fn pin(&mut self, split: u32, peer: PeerId) -> bool {
        let Some(peer) = self.peers.find(peer) else { return false };
        if self.phase != Phase::Idle || split >= self.config.tasks_max {
            return false;
        }
        if split >= self.pins.len() {
            self.pins.resize(split + 1);
        }
        self.pins.pin(split, peer);
        true
    }

    /// Ends the job: what runs is cancelled, what is pending forgotten. Does nothing if the job has ended.
    pub fn cancel(&mut self, now: Time) {
        self.advance(now);
        if self.phase != Phase::Ended {
            self.end_job(Event::Cancelled);
        }
        self.settle();
    }

    // What happens.

    /// A peer takes part from now on and grants `slots`. If it already took part, it has restarted: it is first
    /// handled as lost.
    pub fn handle_peer_joined(&mut self, now: Time, peer: PeerId, slots: u32) {
        self.advance(now);
        if let Some(index) = self.peers.find(peer) {
            self.lose_peer(index);
        }
        let index = self.peers.insert(peer, slots, self.now);
        self.map_queue.resize_peers(self.peers.capacity());
        self.pins.resize_peers(self.peers.capacity());
        if slots > 0 {
            self.levelling = LEVELLING_ROUNDS;
        }
        self.events.push_back(Event::PeerJoined { peer });
        self.place(index);
        self.settle();
    }

    /// A peer grants another number of slots, which may be zero. Attempts beyond a smaller grant run to their end.
    pub fn handle_peer_slots(&mut self, now: Time, peer: PeerId, slots: u32) {
        self.advance(now);
        if let Some(index) = self.peers.find(peer) {
            let peer = self.peers.at_mut(index);
            if slots > peer.slots {
                self.levelling = LEVELLING_ROUNDS;
            }
            peer.slots = slots;
            self.place(index);
        }
        self.settle();
    }

    /// A peer may be dead. It gets no new attempt, and each of its attempts gets a backup on another peer as soon
    /// as no pending task of its stage is left and a slot is free. What it completes still counts. To be followed by
    /// [`handle_peer_trusted`](Self::handle_peer_trusted) or [`handle_peer_lost`](Self::handle_peer_lost).
    pub fn handle_peer_suspected(&mut self, now: Time, peer: PeerId) {
        self.handle_suspicion(now, peer, true);
    }

    /// A suspected peer is alive. Backups that started stay.
    pub fn handle_peer_trusted(&mut self, now: Time, peer: PeerId) {
        self.handle_suspicion(now, peer, false);
    }

    /// A peer wants to leave. It gets no new attempt; what it runs may commit and its map output stays in use.
    /// [`Event::PeerDrained`] says when it may go; report it lost then.
    pub fn handle_peer_draining(&mut self, now: Time, peer: PeerId) {
        self.advance(now);
        if let Some(index) = self.peers.find(peer) {
            self.peers.at_mut(index).draining = true;
            self.place(index);
            self.check_drained(index);
        }
        self.settle();
    }

    /// A peer is gone, or has been silent for so long that it counts as gone. Everything it ran is lost, and so is
    /// every map output it held that an uncommitted reduce task needs. None of that is charged to a task, but one
    /// that was running on [`peers_lost_max`](Config::peers_lost_max) peers as they were lost fails the job.
    pub fn handle_peer_lost(&mut self, now: Time, peer: PeerId) {
        self.advance(now);
        if let Some(index) = self.peers.find(peer) {
            self.lose_peer(index);
        }
        self.settle();
    }

    /// An attempt finished. On [`Verdict::Commit`] its output counts, from before this call returns; on
    /// [`Verdict::Discard`] it must vanish.
    pub fn handle_completed(
        &mut self,
        now: Time,
        peer: PeerId,
        attempt: AttemptId,
        report: TaskReport,
    ) -> Verdict {
        self.advance(now);
        let mut verdict = Verdict::Discard;
        if let Some(index) = self.find(peer, attempt) {
            let Attempt { peer, cancelled, started, .. } = *self.attempts.get(index);
            if cancelled {
                self.release(index);
            } else {
                verdict = Verdict::Commit;
                self.detach(index);
                self.release(index);
                self.commit(attempt, peer, started, report);
            }
            self.check_drained(peer);
        }
        self.stats.completions_discarded += u64::from(verdict == Verdict::Discard);
        self.settle();
        verdict
    }

    /// An attempt ended without output. Ignored if it is stale or unknown.
    pub fn handle_failed(&mut self, now: Time, peer: PeerId, attempt: AttemptId, failure: Failure) {
        self.advance(now);
        if let Some(index) = self.find(peer, attempt) {
            let Attempt { peer, cancelled, started, .. } = *self.attempts.get(index);
            if cancelled {
                self.release(index);
            } else {
                self.detach(index);
                self.release(index);
                self.after_failure(attempt, peer, started, failure);
            }
            self.check_drained(peer);
        }
        self.settle();
    }

    /// Time passed. To be called at [`poll_timeout`](Self::poll_timeout); any other time is harmless.
    pub fn handle_timeout(&mut self, now: Time) {
        self.advance(now);
        self.expire();
        self.settle();
    }

    // What follows.

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing happens before. In the past if that is due.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    // Getters.

    /// The round that is running; `None` before, between and after rounds.
    pub fn running_round(&self) -> Option<Round> {
        (self.phase == Phase::Running).then_some(self.round)
    }

    /// Whether the job failed or was cancelled.
    pub fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// The peer that holds the output of each committed map task of the running or last round, by split, and the
    /// attempt that made it. Complete whenever a reduce attempt starts. Outputs of peers that were lost after the
    /// last reduce task committed are left out.
    pub fn outputs(&self) -> impl Iterator<Item = (u32, PeerId, AttemptId)> + '_ {
        self.tasks.maps().iter().zip(0..).filter(|(task, _)| task.holder != NONE).map(|(task, split)| {
            let attempt = AttemptId { round: self.round, task: TaskId::Map(split), number: task.committed };
            (split, self.peers.at(task.holder).id, attempt)
        })
    }

    /// The splits that are pinned, and the peer that last committed each.
    pub fn pins(&self) -> impl Iterator<Item = (u32, PeerId)> + '_ {
        (0..self.pins.len()).filter_map(|split| Some((split, self.peers.at(self.pins.holder(split)?).id)))
    }

    /// What the job has cost so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// How many tasks each peer has committed since it joined, by id. Lost peers are left out.
    pub fn committed_by_peer(&self) -> impl Iterator<Item = (PeerId, u64)> + '_ {
        self.peers.indices().map(|index| (self.peers.at(index).id, self.peers.at(index).committed))
    }

    // Steps that several of the above share.

    fn advance(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    /// The end of every call that changes something.
    fn settle(&mut self) {
        self.dispatch();
        self.set_timers();
    }

    fn handle_suspicion(&mut self, now: Time, peer: PeerId, suspected: bool) {
        self.advance(now);
        if let Some(index) = self.peers.find(peer) {
            self.peers.at_mut(index).suspected = suspected;
            self.place(index);
            for &attempt in &self.peers.at(index).running {
                if self.attempts.is_watched(attempt) {
                    let watch = if suspected { Watch::Suspect } else { Watch::Straggler };
                    self.attempts.watch(attempt, watch);
                }
            }
        }
        self.settle();
    }

    fn begin_round(&mut self, plan: RoundPlan) {
        let RoundPlan { splits, partitions } = plan;
        self.phase = Phase::Running;
        self.events.push_back(Event::RoundStarted { round: self.round });
        self.tasks.reset(splits, partitions);
        self.map_queue.reset(splits);
        self.pins.resize(splits);
        self.reduce_queue.clear();
        self.reduce_queue.extend(0..partitions);
        self.running_times.iter_mut().for_each(RunningTimes::clear);
        self.refresh_peers(splits);
        let mut is_level = true;
        for split in 0..splits {
            is_level &= self.enqueue_within_quota(split);
        }
        self.levelling = if is_level { 0 } else { self.levelling.saturating_sub(1) };
        if splits == 0 {
            self.events.push_back(Event::MapsFinished { round: self.round });
            if partitions == 0 {
                self.finish_round();
            }
        }
    }

    /// Forgets what peers did in the last round, and computes how many pinned splits each may keep.
    fn refresh_peers(&mut self, splits: u32) {
        for index in 0..self.peers.capacity() {
            let peer = self.peers.at_mut(index);
            (peer.node_failures, peer.fetch_failures, peer.outputs) = (0, 0, 0);
            peer.quota = u64::MAX;
            if std::mem::take(&mut peer.quarantined) {
                self.place(index);
            }
        }
        if self.levelling > 0 {
            let usable =
                (0..self.peers.capacity()).map(|index| self.peers.at(index)).filter(|p| p.is_usable());
            let slots: u64 = usable.map(|peer| u64::from(peer.slots)).sum();
            for index in 0..self.peers.capacity() {
                let peer = self.peers.at_mut(index);
                peer.quota = (u64::from(splits) * u64::from(peer.slots)).div_ceil(slots.max(1));
            }
        }
    }

    /// Lines a split up. False if its peer has more than its share and gives it up.
    fn enqueue_within_quota(&mut self, split: u32) -> bool {
        if let Some(holder) = self.pins.holder(split) {
            let peer = self.peers.at_mut(holder);
            if peer.quota == 0 {
                self.map_queue.push_common(split, Place::Back);
                return false;
            }
            peer.quota -= 1;
        }
        self.enqueue(TaskId::Map(split), Place::Back);
        true
    }
}
