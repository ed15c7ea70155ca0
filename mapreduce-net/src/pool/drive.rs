//! The driver of a job on the pool: one loop, on a thread of the program's, that owns the coordinator, passes its actions
//! on to the peers and what they say back to it.

use super::{destination::Destination, driving::Driving, mailbox::Message, outputs::Outputs, work::Work};
use crate::wire::message::{AttemptFailure, Command, Completed, OutputPlace};
use mapreduce_core::{
    Error, Input, InputOf, Job,
    engine::Tally,
    exec::{Attempt, AttemptError},
    schedule::{Action, AttemptId, Event, Failure, JobError, PeerId, Round, TaskId, Time, Verdict},
};
use rayon::Scope;
use std::{
    collections::HashMap,
    sync::mpsc::{self, Receiver, Sender},
};

mod reduced;

use reduced::{DoneHere, Ended};

/// What the driver keeps of a round while it runs.
pub(super) struct Running<P> {
    pub(super) round: Round,
    /// The output of each partition that has committed.
    pub(super) parts: Vec<Option<P>>,
    pub(super) tally: Tally,
    /// When the map tasks were done, the last time.
    pub(super) mapped: Option<Time>,
    outputs: Outputs,
    /// Reduce attempts that the driver's own threads run, or whose output they write.
    here: HashMap<AttemptId, Attempt>,
    done_here: Receiver<DoneHere<P>>,
    tell_done: Sender<DoneHere<P>>,
    /// Reduce attempts that are done, but whose output is still to be fetched.
    fetching: HashMap<(PeerId, AttemptId), Ended>,
}

impl<P> Running<P> {
    pub(super) fn new(round: Round, splits: usize, partitions: u32) -> Self {
        let (tell_done, done_here) = mpsc::channel();
        Self {
            round,
            parts: (0..partitions).map(|_| None).collect(),
            tally: Tally::default(),
            mapped: None,
            outputs: Outputs::new(splits, partitions),
            here: HashMap::new(),
            done_here,
            tell_done,
            fetching: HashMap::new(),
        }
    }
}

impl Driving<'_> {
    /// The loop: do what the coordinator says, pass its events on, wait for what happens next.
    pub(super) fn run_round<'s, J, I, D>(
        &mut self,
        scope: &Scope<'s>,
        work: &'s Work<'_, J, I, D>,
        running: &mut Running<D::Part>,
    ) -> Result<(), Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
        D: Destination<J, Part: 's>,
    {
        loop {
            self.take_done_here(work, running);
            while let Some(action) = self.coordinator.poll_action() {
                self.act(action, scope, work, running);
            }
            if let Some(outcome) = self.pass_events(work, running) {
                // The scope waits for what runs here.
                running.here.values().for_each(Attempt::cancel);
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

    fn act<'s, J, I, D>(
        &mut self,
        action: Action,
        scope: &Scope<'s>,
        work: &'s Work<'_, J, I, D>,
        running: &mut Running<D::Part>,
    ) where
        J: Job,
        I: Input<Records = InputOf<J>>,
        D: Destination<J, Part: 's>,
    {
        let job = self.number();
        match action {
            Action::Start { peer, attempt, .. } => {
                if let TaskId::Reduce(_) = attempt.task {
                    if let Some(outputs) = running.outputs.all() {
                        // The peer's slot is taken, but what it would have to fetch is here already.
                        return self.reduce_here((peer, attempt), outputs, scope, work, running);
                    }
                    self.begin_round(peer, &work.announcement, running.round);
                    self.send_sources(peer, running.round);
                } else {
                    self.begin_round(peer, &work.announcement, running.round);
                }
                let work = work.of(attempt.task);
                self.hub().send(peer, Command::Start { job, attempt, work });
            }
            Action::Cancel { peer, attempt } => match running.here.get(&attempt) {
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
    fn pass_events<J, I, D>(
        &mut self,
        work: &Work<'_, J, I, D>,
        running: &mut Running<D::Part>,
    ) -> Option<Result<(), Error>>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
        D: Destination<J>,
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

    fn take<'s, J, I, D>(
        &mut self,
        now: Time,
        message: Message,
        scope: &Scope<'s>,
        work: &'s Work<'_, J, I, D>,
        running: &mut Running<D::Part>,
    ) where
        J: Job,
        I: Input<Records = InputOf<J>>,
        D: Destination<J, Part: 's>,
    {
        match message {
            Message::Completed { peer, completed } => {
                self.completed(now, peer, *completed, scope, work, running);
            }
            Message::Failed { peer, attempt, failure } => {
                self.failed(now, peer, attempt, failure, work, running);
            }
            Message::Reduced { peer, attempt, result } => {
                let result = result.map(|arrived| arrived.into_run());
                self.fetched(now, (peer, attempt), result, scope, work, running);
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

    fn completed<'s, J, I, D>(
        &mut self,
        now: Time,
        peer: PeerId,
        completed: Completed,
        scope: &Scope<'s>,
        work: &'s Work<'_, J, I, D>,
        running: &mut Running<D::Part>,
    ) where
        J: Job,
        I: Input<Records = InputOf<J>>,
        D: Destination<J, Part: 's>,
    {
        let attempt = completed.attempt;
        self.observe(now, completed.run_us);
        let report = &mut running.tally.report;
        // Peers say how many; a number that is nonsense is no reason to panic.
        report.spilled_bytes = report.spilled_bytes.saturating_add(completed.spilled_bytes);
        match attempt.task {
            TaskId::Map(split) => {
                let inline = match completed.output {
                    OutputPlace::Peer => Some(None),
                    OutputPlace::Inline(runs) => running.outputs.decode(runs).ok().map(Some),
                    OutputPlace::Files(_) => None,
                };
                let Some(inline) = inline else {
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
            TaskId::Reduce(_) => self.completed_reduce(now, peer, completed, scope, work, running),
        }
    }

    fn failed<J, I, D>(
        &mut self,
        now: Time,
        peer: PeerId,
        attempt: AttemptId,
        failure: AttemptFailure,
        work: &Work<'_, J, I, D>,
        running: &mut Running<D::Part>,
    ) where
        J: Job,
        I: Input<Records = InputOf<J>>,
        D: Destination<J>,
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
