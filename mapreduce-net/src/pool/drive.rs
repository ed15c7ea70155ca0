//! The driver of a job on the pool: one loop, on a thread of the program's, that owns the coordinator, passes its actions
//! on to the peers and what they say back to it.

use super::{
    driving::{Driving, ReducedHere},
    mailbox::Message,
    outputs::Outputs,
    work::Work,
};
use crate::wire::message::{AttemptFailure, Command, Completed, InlineRun};
use mapreduce_core::{
    Error, FailureKind, Input, InputOf, Job, TaskFailure,
    engine::Tally,
    exec::{Attempt, AttemptError, ReducedPartition, Run},
    schedule::{
        Action, AttemptId, Event, Failure, JobError, PeerId, Round, TaskId, TaskReport, Time, Verdict,
    },
};
use rayon::Scope;
use std::collections::HashMap;

/// What the driver keeps of a round while it runs.
pub(super) struct Running {
    pub(super) round: Round,
    /// The output of each partition that has committed.
    pub(super) parts: Vec<Option<Run>>,
    pub(super) tally: Tally,
    /// When the map tasks were done, the last time.
    pub(super) mapped: Option<Time>,
    outputs: Outputs,
    /// Reduce attempts that run on the driver's own threads.
    reducing: HashMap<AttemptId, Attempt>,
    /// Reduce attempts that are done, but whose output is still to be fetched.
    fetching: HashMap<(PeerId, AttemptId), Box<Completed>>,
}

impl Running {
    pub(super) fn new(round: Round, splits: usize, partitions: u32) -> Self {
        Self {
            round,
            parts: (0..partitions).map(|_| None).collect(),
            tally: Tally::default(),
            mapped: None,
            outputs: Outputs::new(splits, partitions),
            reducing: HashMap::new(),
            fetching: HashMap::new(),
        }
    }
}

impl Driving<'_> {
    /// The loop: do what the coordinator says, pass its events on, wait for what happens next.
    pub(super) fn run_round<'s, J, I>(
        &mut self,
        scope: &Scope<'s>,
        work: &'s Work<'_, J, I>,
        running: &mut Running,
    ) -> Result<(), Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        loop {
            // Also those of attempts that were stopped when the last round ended, whose wake-up was heard between rounds.
            self.take_reduced_here(work, running);
            while let Some(action) = self.coordinator.poll_action() {
                self.act(action, scope, work, running);
            }
            if let Some(outcome) = self.pass_events(work, running) {
                // The scope waits for what runs here.
                running.reducing.values().for_each(Attempt::cancel);
                return outcome;
            }
            self.wait();
            let now = self.now();
            if self.options.cancel.is_cancelled() {
                self.coordinator.cancel(now);
            }
            for message in std::mem::take(&mut self.messages) {
                self.take(now, message, scope, work, running);
            }
            self.coordinator.handle_timeout(now);
        }
    }

    /// Takes what reduce attempts on the driver's own threads have left.
    fn take_reduced_here<J, I>(&mut self, work: &Work<'_, J, I>, running: &mut Running)
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        while let Ok(ReducedHere { peer, attempt, result }) = self.reduced_here.try_recv() {
            let now = self.now();
            running.reducing.remove(&attempt);
            match result {
                Ok(reduced) => self.reduced(now, peer, attempt, reduced, None, running),
                Err(AttemptError { failure, permanent }) => {
                    let failure = AttemptFailure::Task { failure, permanent };
                    self.failed(now, peer, attempt, failure, work, running);
                }
            }
        }
    }

    fn act<'s, J, I>(
        &mut self,
        action: Action,
        scope: &Scope<'s>,
        work: &'s Work<'_, J, I>,
        running: &mut Running,
    ) where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        let job = self.number();
        match action {
            Action::Start { peer, attempt, .. } => {
                if let TaskId::Reduce(partition) = attempt.task {
                    if let Some(outputs) = running.outputs.all() {
                        // The peer's slot is taken, but what it would have to fetch is here already.
                        let token = Attempt::of(&self.options.cancel);
                        running.reducing.insert(attempt, token.clone());
                        let (done, wake) = (self.done_here.clone(), self.wake.clone());
                        let memory = self.memory.clone();
                        return scope.spawn(move |_| {
                            let result = work.reduce(partition, &outputs, &token, &memory);
                            // The driver outlives the scope.
                            let _ = done.send(ReducedHere { peer, attempt, result });
                            let _ = wake.send(Message::Wake);
                        });
                    }
                    self.begin_round(peer, &work.announcement, running.round);
                    self.send_sources(peer, running.round);
                } else {
                    self.begin_round(peer, &work.announcement, running.round);
                }
                let work = work.of(attempt.task);
                self.hub().send(peer, Command::Start { job, attempt, work });
            }
            Action::Cancel { peer, attempt } => match running.reducing.get(&attempt) {
                Some(token) => token.cancel(),
                None => self.hub().send(peer, Command::Cancel { job, attempt }),
            },
            Action::DropOutput { peer, attempt } => {
                self.hub().send(peer, Command::Discard { job, attempt });
            }
            Action::EndRound { round } => self.end_round(round),
            _ => {}
        }
    }

    /// Passes the coordinator's events on. An outcome if the round is over.
    fn pass_events<J, I>(&mut self, work: &Work<'_, J, I>, running: &mut Running) -> Option<Result<(), Error>>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        let mut outcome = None;
        while let Some(event) = self.coordinator.poll_event() {
            running.tally.event(&event);
            match &event {
                Event::RoundFinished { .. } => outcome = Some(Ok(())),
                Event::JobFailed { error } => {
                    let nobody = matches!(error, JobError::NoPeers { .. });
                    let unable = self.no_peer_has_job().filter(|_| nobody);
                    outcome =
                        Some(Err(unable.unwrap_or_else(|| running.tally.error(self.job, error.clone()))));
                }
                Event::Cancelled => outcome = Some(Err(Error::Cancelled)),
                Event::AttemptFailed { attempt, failure: Failure::Deadline, .. } => {
                    let deadline = self.options.task_deadline.unwrap_or_default();
                    running.tally.overran(attempt.task, deadline, work.place(attempt.task));
                }
                Event::MapsFinished { round } => {
                    running.mapped = Some(self.now());
                    self.renew_sources(*round);
                }
                Event::PeerDrained { peer } => self.hub().drained(self.number(), *peer),
                _ => {}
            }
            tracing::trace!(job = self.job, %event);
            (self.events)(event);
        }
        outcome
    }

    fn take<'s, J, I>(
        &mut self,
        now: Time,
        message: Message,
        scope: &Scope<'s>,
        work: &'s Work<'_, J, I>,
        running: &mut Running,
    ) where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        match message {
            Message::Completed { peer, completed } => self.completed(now, peer, completed, work, running),
            Message::Failed { peer, attempt, failure } => {
                self.failed(now, peer, attempt, failure, work, running);
            }
            Message::Reduced { peer, attempt, result } => {
                let Some(completed) = running.fetching.remove(&(peer, attempt)) else {
                    // Of an attempt that was stopped when an earlier round ended: its slot is free now.
                    return self.coordinator.handle_failed(now, peer, attempt, Failure::Cancelled);
                };
                match result {
                    Ok(arrived) => {
                        self.fetched(now, peer, *completed, arrived.into_run(), work, running);
                        // The peer needs it no more.
                        self.hub().send(peer, Command::Discard { job: self.number(), attempt });
                    }
                    Err(failure) => self.failed(now, peer, attempt, failure, work, running),
                }
            }
            Message::WantSplit { dataset, split, reply } if dataset == work.announcement.dataset => {
                scope.spawn(move |_| {
                    if !reply.is_unwanted() {
                        reply.answer(work.ship(split));
                    }
                });
            }
            news => self.take_news(now, news),
        }
    }

    fn completed<J, I>(
        &mut self,
        now: Time,
        peer: PeerId,
        mut completed: Box<Completed>,
        work: &Work<'_, J, I>,
        running: &mut Running,
    ) where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        let attempt = completed.attempt;
        self.observe(now, completed.run_us);
        let report = &mut running.tally.report;
        // Peers say how many; a number that is nonsense is no reason to panic.
        report.spilled_bytes = report.spilled_bytes.saturating_add(completed.spilled_bytes);
        match attempt.task {
            TaskId::Map(split) => {
                let inline = completed.inline.map(|runs| running.outputs.decode(runs)).transpose();
                let Ok(inline) = inline else {
                    let failure = AttemptFailure::Node { message: GARBAGE.into() };
                    return self.failed(now, peer, attempt, failure, work, running);
                };
                let verdict = self.coordinator.handle_completed(now, peer, attempt, completed.report);
                if verdict == Verdict::Discard {
                    let discard = Command::Discard { job: self.number(), attempt };
                    return self.hub().send(peer, discard);
                }
                if running.tally.committed(attempt.task, self.name_of(peer), &completed.counters) {
                    let report = &mut running.tally.report;
                    report.records = report.records.saturating_add(completed.processed);
                    report.input_bytes = report.input_bytes.saturating_add(work.split_bytes(split));
                    report.map_output_bytes = report.map_output_bytes.saturating_add(completed.report.bytes);
                }
                running.outputs.commit(split, inline);
                self.sources_changed();
            }
            TaskId::Reduce(_) => match completed.inline {
                None => {
                    self.hub().fetch_reduced(peer, self.number(), attempt, self.memory.clone());
                    running.fetching.insert((peer, attempt), completed);
                }
                Some(ref mut runs) => {
                    let run = runs.pop().map(|InlineRun { pairs, bytes, .. }| (pairs, bytes.into()));
                    let (pairs, bytes) = run.unwrap_or_default();
                    match Run::keep(&self.memory, bytes, pairs) {
                        Ok(run) => self.fetched(now, peer, *completed, run, work, running),
                        Err(error) => {
                            let failure = TaskFailure::new(FailureKind::Spill, error.to_string());
                            let failure = AttemptFailure::Task { failure, permanent: false };
                            self.failed(now, peer, attempt, failure, work, running);
                        }
                    }
                }
            },
        }
    }

    /// The output of a reduce attempt is here, if it is any.
    fn fetched<J, I>(
        &mut self,
        now: Time,
        peer: PeerId,
        completed: Completed,
        run: Option<Run>,
        work: &Work<'_, J, I>,
        running: &mut Running,
    ) where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        let Completed { attempt, report, counters, processed: keys, .. } = completed;
        match run.filter(|run| run.checksum() == report.checksum) {
            Some(run) => {
                let name = self.name_of(peer).to_owned();
                self.reduced(
                    now,
                    peer,
                    attempt,
                    ReducedPartition { run, counters, keys },
                    Some(&name),
                    running,
                );
            }
            None => {
                let failure = AttemptFailure::Node { message: GARBAGE.into() };
                self.failed(now, peer, attempt, failure, work, running);
            }
        }
    }

    /// A reduce attempt is done and its output here. `by` is the peer that ran it, if it was not the driver.
    fn reduced(
        &mut self,
        now: Time,
        peer: PeerId,
        attempt: AttemptId,
        reduced: ReducedPartition,
        by: Option<&str>,
        running: &mut Running,
    ) {
        let ReducedPartition { run, counters, keys } = reduced;
        let report = TaskReport { records: run.pairs(), bytes: run.byte_len(), checksum: run.checksum() };
        if self.coordinator.handle_completed(now, peer, attempt, report) == Verdict::Discard {
            return;
        }
        match by {
            Some(name) => drop(running.tally.committed(attempt.task, name, &counters)),
            None => running.tally.counters.merge(&counters),
        }
        let total = &mut running.tally.report;
        total.keys = total.keys.saturating_add(keys);
        total.output_records = total.output_records.saturating_add(report.records);
        total.output_bytes = total.output_bytes.saturating_add(report.bytes);
        running.parts[attempt.task.index() as usize] = Some(run);
    }

    fn failed<J, I>(
        &mut self,
        now: Time,
        peer: PeerId,
        attempt: AttemptId,
        failure: AttemptFailure,
        work: &Work<'_, J, I>,
        running: &mut Running,
    ) where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        let report = match failure {
            AttemptFailure::Task { failure, permanent } => {
                let failure = match failure.place.is_empty() {
                    true => failure.with_place(work.place(attempt.task)),
                    false => failure,
                };
                tracing::debug!(job = self.job, %attempt, %failure, "attempt failed");
                running.tally.attempt_failed(attempt.task, AttemptError { failure, permanent }, false)
            }
            AttemptFailure::Node { message } => {
                let message = format!("peer {}: {message}", self.name_of(peer));
                tracing::warn!(job = self.job, %attempt, message, "a node failed");
                Failure::Node { message }
            }
            AttemptFailure::FetchFailed { from, message } => {
                tracing::warn!(job = self.job, %attempt, %from, message, "map output could not be fetched");
                // One that is lost already has no number any more; no number of a session is 0.
                Failure::FetchFailed { from: self.hub().peer_of(from).unwrap_or(PeerId(0)) }
            }
            AttemptFailure::Cancelled => Failure::Cancelled,
        };
        self.coordinator.handle_failed(now, peer, attempt, report);
    }
}

/// What is said of a peer whose output is not what it should be.
const GARBAGE: &str = "sent output that cannot be read or is not what its checksum says";
