//! [`Tasks`]: the rounds and attempts of one session. Commands and events in, answers out; one task owns it.

use super::{
    Shared,
    executor::{Queue, Ticket},
    failure,
    outputs::Outputs,
    round::{Ingredients, Parts, Recipe},
    run::{Done, Output, Staged},
    splits::Leftovers,
    stage::{Sources, Stage},
    values::{Value, Values},
};
use crate::{
    NodeId,
    wire::message::{Answer, AttemptFailure, BeginRound, Completed, OutputPlace, Payload, Work},
};
use mapreduce_core::{
    exec::Attempt,
    schedule::{AttemptId, Round, TaskId},
};
use std::{collections::HashMap, mem, sync::Arc};
use tokio::{
    runtime::Handle,
    sync::mpsc::UnboundedSender,
    task::{AbortHandle, JoinSet},
    time::sleep,
};

mod staging;

/// Attempts that a driver may have here at once, for each of the peer's slots: grants change while messages are under
/// way, but a driver that heeds none of them is stopped.
const ATTEMPTS_PER_SLOT: usize = 4;

/// Rounds that a driver may have here at once.
const ROUNDS_MAX: usize = 1 << 10;

/// The most map output of a round that this peer puts into messages, whatever the driver asks for, in bytes.
const INLINE_BYTES_MAX: u64 = 1 << 20;

type RoundKey = (u64, Round);
pub(super) type AttemptKey = (u64, AttemptId);

/// What happens to the tasks of a session, besides commands.
pub(super) enum Event {
    /// What the parts of a round are made of is here.
    Resolved(RoundKey, Recipe, Result<Ingredients<Value>, AttemptFailure>),
    /// The parts of a round are made.
    Made(RoundKey, Result<Parts, AttemptFailure>),
    /// The input of an attempt is here.
    Staged(AttemptKey, Result<Staged, AttemptFailure>),
    /// An attempt is over.
    Ended(AttemptKey, Result<Done, AttemptFailure>),
    /// It is time that an attempt which was stopped has noticed.
    Overdue(AttemptKey),
}

/// The rounds and attempts of one session. Dropping it stops all of them and forgets what they have left.
pub(super) struct Tasks {
    shared: Arc<Shared>,
    driver: NodeId,
    epoch: u64,
    events: UnboundedSender<Event>,
    queue: Queue,
    outputs: Arc<Outputs>,
    values: Arc<Values>,
    stage: Stage,
    rounds: HashMap<RoundKey, OfRound>,
    attempts: HashMap<AttemptKey, Live>,
    /// What waits for the network. Dropping it ends that.
    waiting: JoinSet<()>,
    answers: Vec<Answer>,
}

struct OfRound {
    phase: Phase,
    /// Attempts that came before the parts were made, in their order.
    early: Vec<(AttemptId, Work)>,
    /// Kept for as long as the round is, for others that refer to the same values.
    values: Option<Arc<Ingredients<Value>>>,
    partitions: u32,
    sources: Option<Arc<Sources>>,
    /// Bytes of map output that may still ride in messages.
    inline_bytes: u64,
    /// What finished map attempts have left in the caches of their splits, by split and number.
    leftovers: HashMap<(u32, u32), Leftovers>,
}

enum Phase {
    /// The parts are not made yet. The ticket is that of making them, from when all is here that it takes.
    Begun(Option<Ticket>),
    Ready(Arc<Parts>),
    /// They cannot be made: every attempt fails with this.
    Broken(AttemptFailure),
}

/// An attempt that was not answered yet.
struct Live {
    token: Attempt,
    place: Place,
}

enum Place {
    /// It waits for the parts of its round.
    Early,
    /// Its input is under way.
    Staging(AbortHandle),
    /// It waits for a thread, or has one.
    Queued(Ticket),
}

impl Tasks {
    pub(super) fn new(
        shared: Arc<Shared>,
        driver: NodeId,
        epoch: u64,
        events: UnboundedSender<Event>,
    ) -> Self {
        let values = Arc::<Values>::default();
        Self {
            queue: shared.executor.queue(),
            outputs: shared.shelves.add(driver),
            stage: Stage::new(shared.clone(), driver, values.clone()),
            values,
            rounds: HashMap::new(),
            attempts: HashMap::new(),
            waiting: JoinSet::new(),
            answers: Vec::new(),
            shared,
            driver,
            epoch,
            events,
        }
    }

    /// What there is to say since the last call.
    pub(super) fn answers(&mut self) -> Vec<Answer> {
        mem::take(&mut self.answers)
    }

    /// Begins a round: makes the parts of the job, on a thread.
    pub(super) fn begin(&mut self, begin: BeginRound) {
        let key = (begin.job, begin.round);
        if self.rounds.contains_key(&key) || self.rounds.len() >= ROUNDS_MAX {
            tracing::warn!(driver = %self.driver, job = begin.job, round = %begin.round,
                "ignored a round: it has begun already, or there are too many");
            return;
        }
        tracing::debug!(driver = %self.driver, job = %begin.id, round = %begin.round, "a round begins");
        self.outputs.begin(begin.job, begin.round);
        self.shared.splits.open((self.epoch, begin.dataset));
        let (partitions, inline_bytes) =
            (begin.partitions, u64::from(begin.inline_bytes).min(INLINE_BYTES_MAX));
        let (phase, made_of) = match Recipe::of(&self.shared, self.epoch, begin) {
            Ok(made_of) => (Phase::Begun(None), Some(made_of)),
            Err(failure) => (Phase::Broken(failure), None),
        };
        let early = Vec::new();
        let (sources, leftovers, values) = (None, HashMap::new(), None);
        self.rounds
            .insert(key, OfRound { phase, early, values, partitions, sources, inline_bytes, leftovers });
        let Some((recipe, payloads)) = made_of else { return };
        match payloads.at_hand(&self.values) {
            Some(values) => self.make(key, recipe, values),
            None => {
                let (events, values) = (self.events.clone(), self.values.clone());
                let (shared, driver) = (self.shared.clone(), self.driver);
                self.wait_for(async move {
                    let resolved = payloads.get(&values, &shared, driver).await;
                    tell(&events, Event::Resolved(key, recipe, resolved));
                });
            }
        }
    }

    /// Starts an attempt, which will be answered once.
    pub(super) fn start(&mut self, job: u64, attempt: AttemptId, work: Work) {
        let key = (job, attempt);
        if self.attempts.contains_key(&key) {
            tracing::warn!(driver = %self.driver, job, %attempt, "ignored an attempt that runs already");
            return;
        }
        let full = self.attempts.len() >= ATTEMPTS_PER_SLOT * self.shared.slots_max() as usize;
        let refused = match (self.rounds.get_mut(&(job, attempt.round)), attempt.task, &work) {
            _ if full => Some(failure::node("more attempts were started than slots were granted")),
            (None, ..) => Some(failure::node(format!("{} of job {job} has not begun here", attempt.round))),
            (Some(OfRound { phase: Phase::Broken(failure), .. }), ..) => Some(failure.clone()),
            (Some(_), TaskId::Map(_), Work::Map { .. }) => None,
            (Some(round), TaskId::Reduce(partition), Work::Reduce) if partition < round.partitions => None,
            _ => Some(failure::node(format!("{attempt} cannot be what was said to start"))),
        };
        if let Some(failure) = refused {
            return self.failed(key, failure);
        }
        self.attempts.insert(key, Live { token: Attempt::default(), place: Place::Early });
        self.stage(key, work);
    }

    /// Notes where the map output of a round lies. Attempts whose input is under way begin with it anew: by what was said
    /// before, they may wait for a node that is no more.
    pub(super) fn sources(&mut self, job: u64, round: Round, sources: Payload) {
        let Some(of_round) = self.rounds.get_mut(&(job, round)) else { return };
        of_round.sources = Some(Arc::new(Sources::new(sources)));
        let mut anew = Vec::new();
        for (&(of, attempt), live) in &self.attempts {
            if let (TaskId::Reduce(_), Place::Staging(task)) = (attempt.task, &live.place)
                && (of, attempt.round) == (job, round)
            {
                task.abort();
                anew.push((of, attempt));
            }
        }
        for key in anew {
            self.stage(key, Work::Reduce);
        }
    }

    /// Fails the reduce attempts whose input is not here yet: what a lost node was to send does not come, and whatever else
    /// is known of the node here, it may take long to show.
    pub(super) fn source_lost(&mut self, job: u64, round: Round, node: NodeId) {
        let waits = |(of, attempt): &AttemptKey, live: &mut Live| {
            let staged = matches!(live.place, Place::Queued(_));
            (*of, attempt.round) == (job, round) && matches!(attempt.task, TaskId::Reduce(_)) && !staged
        };
        let waiting: Vec<_> = self.attempts.extract_if(waits).collect();
        if let Some(of_round) = self.rounds.get_mut(&(job, round)) {
            of_round.early.retain(|(attempt, _)| matches!(attempt.task, TaskId::Map(_)));
        }
        for (key, live) in waiting {
            if let Place::Staging(task) = live.place {
                task.abort();
            }
            self.failed(key, failure::of_fetch(node, "the driver has lost the peer"));
        }
    }

    /// Stops an attempt. One that does not run yet is answered at once, any other when it has noticed.
    pub(super) fn cancel(&mut self, job: u64, attempt: AttemptId) {
        let key = (job, attempt);
        let Some(live) = self.attempts.get(&key) else { return };
        if live.token.is_cancelled() {
            return;
        }
        live.token.cancel();
        let stopped = match &live.place {
            Place::Early => {
                if let Some(round) = self.rounds.get_mut(&(job, attempt.round)) {
                    round.early.retain(|(early, _)| *early != attempt);
                }
                true
            }
            Place::Staging(task) => {
                task.abort();
                true
            }
            Place::Queued(ticket) => self.queue.remove(*ticket),
        };
        let (events, patience) = (self.events.clone(), self.shared.timing.lease);
        if stopped {
            self.attempts.remove(&key);
            self.failed(key, AttemptFailure::Cancelled);
        } else {
            self.wait_for(async move {
                sleep(patience).await;
                tell(&events, Event::Overdue(key));
            });
        }
    }

    /// Forgets what an attempt has left, and stops it if it is not over.
    pub(super) fn discard(&mut self, job: u64, attempt: AttemptId) {
        self.cancel(job, attempt);
        let which = (attempt.task.index(), attempt.number);
        match attempt.task {
            TaskId::Map(_) => self.outputs.discard_map(job, attempt.round, which),
            TaskId::Reduce(_) => self.outputs.discard_reduced(job, attempt.round, which),
        }
        let round = self.rounds.get_mut(&(job, attempt.round));
        if let (TaskId::Map(_), Some(round)) = (attempt.task, round) {
            self.shared.executor.bury(round.leftovers.remove(&which));
        }
    }

    /// Ends a round: what its attempts have left about their splits stays, all else of it goes.
    pub(super) fn end(&mut self, job: u64, round: Round) {
        let key = (job, round);
        let running: Vec<_> =
            self.attempts.keys().filter(|(of, attempt)| (*of, attempt.round) == key).copied().collect();
        for (job, attempt) in running {
            self.cancel(job, attempt);
        }
        self.outputs.end(job, round);
        let Some(mut ended) = self.rounds.remove(&key) else { return };
        tracing::debug!(driver = %self.driver, job, %round, "a round ends");
        if let Phase::Begun(Some(making)) = &ended.phase
            && !self.queue.remove(*making)
        {
            self.lose_later(vec![*making]);
        }
        if let Phase::Ready(parts) = &ended.phase {
            parts.release();
            let unwanted: Vec<_> = ended
                .leftovers
                .drain()
                .filter_map(|((split, _), left)| {
                    self.shared.splits.keep_leftovers(parts.dataset, split, left)
                })
                .collect();
            self.shared.executor.bury(unwanted);
        }
        self.shared.executor.bury(ended.phase);
    }

    /// Forgets a dataset.
    pub(super) fn drop_dataset(&mut self, dataset: u64) {
        self.shared.executor.bury(self.shared.splits.close((self.epoch, dataset)));
    }

    /// Goes on after something has happened elsewhere.
    pub(super) fn handle(&mut self, event: Event) {
        // Finished ones do not stay in the set.
        while self.waiting.try_join_next().is_some() {}
        match event {
            Event::Resolved(key, recipe, Ok(values)) => self.make(key, recipe, values),
            Event::Resolved(key, _, Err(failure)) => self.made(key, Err(failure)),
            Event::Made(key, made) => self.made(key, made),
            Event::Staged(key, Ok(staged)) => self.enqueue(key, staged),
            Event::Staged(key, Err(failure)) => {
                // Any other has its input from an earlier or later try, or was stopped and answered.
                if let Some(Live { place: Place::Staging(task), .. }) = self.attempts.get(&key) {
                    task.abort();
                    self.attempts.remove(&key);
                    self.failed(key, failure);
                }
            }
            Event::Ended(key, ended) => self.ended(key, ended),
            Event::Overdue(key) => self.overdue(key),
        }
    }

    fn make(&mut self, key: RoundKey, recipe: Recipe, values: Ingredients<Value>) {
        let Some(round) = self.rounds.get_mut(&key) else { return };
        let (values, events) = (Arc::new(values), self.events.clone());
        round.values = Some(values.clone());
        round.phase = Phase::Begun(Some(self.queue.push(move || {
            let made = recipe.make(&values);
            drop(values);
            tell(&events, Event::Made(key, made));
        })));
    }

    fn made(&mut self, key: RoundKey, made: Result<Parts, AttemptFailure>) {
        let Some(round) = self.rounds.get_mut(&key) else {
            return self.shared.executor.bury(made);
        };
        round.phase = match made {
            Ok(parts) => Phase::Ready(Arc::new(parts)),
            Err(failure) => Phase::Broken(failure),
        };
        for (attempt, work) in mem::take(&mut round.early) {
            self.stage((key.0, attempt), work);
        }
    }

    fn wait_for(&mut self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.waiting.spawn(task)
    }

    fn ended(&mut self, key: AttemptKey, ended: Result<Done, AttemptFailure>) {
        // It has let its split go.
        self.shared.splits.trim();
        let (job, attempt) = key;
        let Some(live) = self.attempts.remove(&key) else {
            return self.shared.executor.bury(ended);
        };
        let round = self.rounds.get_mut(&(job, attempt.round));
        let (done, round) = match (ended, round) {
            (Ok(done), Some(round)) if !live.token.is_cancelled() => (done, round),
            (Err(failure), Some(_)) if !live.token.is_cancelled() => return self.failed(key, failure),
            (ended, _) => {
                self.shared.executor.bury(ended);
                return self.failed(key, AttemptFailure::Cancelled);
            }
        };
        let place = done.place(attempt.task.index(), &mut round.inline_bytes);
        let Done { output, report, processed, counters, spilled_bytes, run_us } = done;
        let which = (attempt.task.index(), attempt.number);
        match output {
            Output::Map(output, leftovers) => {
                // If there are some, the same attempt ran before, for a driver that has lost count.
                if let Some(before) = round.leftovers.insert(which, leftovers) {
                    self.shared.executor.bury(before);
                }
                self.outputs.put_map(job, attempt.round, which, output);
            }
            Output::Reduced(run) if place == OutputPlace::Peer => {
                self.outputs.put_reduced(job, attempt.round, which, run);
            }
            Output::Reduced(_) | Output::Written(_) => {}
        }
        let completed =
            Completed { job, attempt, report, processed, counters, spilled_bytes, run_us, output: place };
        self.answers.push(Answer::Completed(Box::new(completed)));
    }

    /// An attempt that does not stop is answered all the same. Its thread is lost, which the driver hears of by a smaller
    /// grant.
    fn overdue(&mut self, key: AttemptKey) {
        let Some(Live { token, place: Place::Queued(ticket) }) = self.attempts.get(&key) else { return };
        if token.is_cancelled() && self.shared.executor.lose(*ticket) {
            tracing::warn!(driver = %self.driver, job = key.0, attempt = %key.1, "an attempt does not stop");
            self.attempts.remove(&key);
            self.failed(key, AttemptFailure::Cancelled);
        }
    }

    /// After a while, the threads that are still at these are lost, whether the session lives then or not.
    fn lose_later(&self, tickets: Vec<Ticket>) {
        let (shared, patience) = (Arc::downgrade(&self.shared), self.shared.timing.lease);
        // Without a runtime the process ends, or at least this peer.
        if let (false, Ok(runtime)) = (tickets.is_empty(), Handle::try_current()) {
            runtime.spawn(async move {
                sleep(patience).await;
                if let Some(shared) = shared.upgrade() {
                    for ticket in tickets {
                        shared.executor.lose(ticket);
                    }
                }
            });
        }
    }

    fn failed(&mut self, (job, attempt): AttemptKey, failure: AttemptFailure) {
        tracing::debug!(driver = %self.driver, job, round = %attempt.round, %attempt, ?failure, "an attempt failed");
        self.answers.push(Answer::Failed { job, attempt, failure });
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.shared.shelves.remove(self.driver, &self.outputs);
        let mut running = Vec::new();
        for live in self.attempts.values() {
            live.token.cancel();
            if let Place::Queued(ticket) = live.place {
                running.push(ticket);
            }
        }
        running.extend(self.rounds.values().filter_map(|round| match round.phase {
            Phase::Begun(making) => making,
            Phase::Ready(_) | Phase::Broken(_) => None,
        }));
        for round in self.rounds.values() {
            if let Phase::Ready(parts) = &round.phase {
                parts.release();
            }
        }
        self.lose_later(running);
        let (rounds, executor) = (mem::take(&mut self.rounds), &self.shared.executor);
        executor.bury((rounds, self.shared.splits.close_all(self.epoch)));
    }
}

/// The receiver is gone only with the session, which then wants nothing more.
fn tell(events: &UnboundedSender<Event>, event: Event) {
    let _ = events.send(event);
}
