//! The ends of reduce attempts: of those that run on the driver's own threads, and of those at peers, whose output comes
//! from there or is in the driver's folder already.

use super::{GARBAGE, Running};
use crate::{
    pool::{
        destination::{Arrived, Destination, Reduced},
        driving::Driving,
        mailbox::Message,
        work::Work,
    },
    wire::message::{AttemptFailure, Command, Completed, InlineRun, OutputPlace},
};
use mapreduce_core::{
    Counters, FailureKind, Input, InputOf, Job, TaskFailure,
    exec::{Attempt, AttemptError, MapOutput, Run},
    schedule::{AttemptId, Failure, PeerId, TaskReport, Time, Verdict},
};
use rayon::Scope;
use std::sync::Arc;

/// What a peer has said of a reduce attempt that is done.
pub(super) struct Ended {
    peer: PeerId,
    attempt: AttemptId,
    report: TaskReport,
    counters: Counters,
    keys: u64,
}

/// What one of the driver's own threads has done for a reduce attempt.
pub(super) struct DoneHere<P> {
    peer: PeerId,
    attempt: AttemptId,
    ran: Ran,
    result: Result<Reduced<P>, AttemptFailure>,
}

/// Where a reduce attempt ran.
enum Ran {
    /// At the driver, in the place of a peer.
    Here,
    AtPeer,
}

impl Driving<'_> {
    /// Runs a reduce attempt on one of the driver's own threads: all that the peer would have to fetch is here.
    pub(super) fn reduce_here<'s, J, I, D>(
        &mut self,
        (peer, attempt): (PeerId, AttemptId),
        outputs: Arc<[Arc<MapOutput>]>,
        scope: &Scope<'s>,
        work: &'s Work<'_, J, I, D>,
        running: &mut Running<D::Part>,
    ) where
        J: Job,
        I: Input<Records = InputOf<J>>,
        D: Destination<J, Part: 's>,
    {
        let memory = self.memory.clone();
        self.on_thread((peer, attempt), Ran::Here, scope, running, move |token| {
            work.reduce(attempt, &outputs, token, &memory).map_err(task_failed)
        });
    }

    /// A peer has said that a reduce attempt is done.
    pub(super) fn completed_reduce<'s, J, I, D>(
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
        let Completed { attempt, report, processed: keys, counters, output, .. } = completed;
        let ended = Ended { peer, attempt, report, counters, keys };
        match output {
            OutputPlace::Peer => {
                self.hub().fetch_reduced(peer, self.number(), attempt, self.memory.clone());
                running.fetching.insert((peer, attempt), ended);
            }
            OutputPlace::Inline(mut runs) => {
                let run = runs.pop().map(|InlineRun { pairs, bytes, .. }| (pairs, bytes.into()));
                let (pairs, bytes) = run.unwrap_or_default();
                match Run::keep(&self.memory, bytes, pairs) {
                    Ok(run) => self.arrived(now, ended, run, scope, work, running),
                    Err(error) => {
                        let failure = TaskFailure::new(FailureKind::Spill, error.to_string());
                        let failure = AttemptFailure::Task { failure, permanent: false };
                        self.failed(now, peer, attempt, failure, work, running);
                    }
                }
            }
            OutputPlace::Files(part) => {
                self.settle(now, ended, Arrived::Files(part), scope, work, running);
            }
        }
    }

    /// Reduce output that was fetched is here, or there is none to be had.
    pub(super) fn fetched<'s, J, I, D>(
        &mut self,
        now: Time,
        (peer, attempt): (PeerId, AttemptId),
        result: Result<Option<Run>, AttemptFailure>,
        scope: &Scope<'s>,
        work: &'s Work<'_, J, I, D>,
        running: &mut Running<D::Part>,
    ) where
        J: Job,
        I: Input<Records = InputOf<J>>,
        D: Destination<J, Part: 's>,
    {
        let Some(ended) = running.fetching.remove(&(peer, attempt)) else {
            // Of an attempt that was stopped when an earlier round ended: its slot is free now.
            return self.coordinator.handle_failed(now, peer, attempt, Failure::Cancelled);
        };
        match result {
            Ok(run) => {
                self.arrived(now, ended, run, scope, work, running);
                // The peer needs it no more.
                self.hub().send(peer, Command::Discard { job: self.number(), attempt });
            }
            Err(failure) => self.failed(now, peer, attempt, failure, work, running),
        }
    }

    /// The output of a reduce attempt is here, if it is any.
    fn arrived<'s, J, I, D>(
        &mut self,
        now: Time,
        ended: Ended,
        run: Option<Run>,
        scope: &Scope<'s>,
        work: &'s Work<'_, J, I, D>,
        running: &mut Running<D::Part>,
    ) where
        J: Job,
        I: Input<Records = InputOf<J>>,
        D: Destination<J, Part: 's>,
    {
        match run.filter(|run| run.checksum() == ended.report.checksum) {
            Some(run) => self.settle(now, ended, Arrived::Run(run), scope, work, running),
            None => {
                let failure = AttemptFailure::Node { message: GARBAGE.into() };
                self.failed(now, ended.peer, ended.attempt, failure, work, running);
            }
        }
    }

    /// Has the destination take the output of an attempt.
    fn settle<'s, J, I, D>(
        &mut self,
        now: Time,
        ended: Ended,
        output: Arrived,
        scope: &Scope<'s>,
        work: &'s Work<'_, J, I, D>,
        running: &mut Running<D::Part>,
    ) where
        J: Job,
        I: Input<Records = InputOf<J>>,
        D: Destination<J, Part: 's>,
    {
        let Ended { peer, attempt, counters, keys, .. } = ended;
        let take = move |token: &Attempt| {
            let (part, report) = work.destination.take(attempt, output, token)?;
            Ok(Reduced { part, report, counters, keys })
        };
        if D::TAKES_LONG {
            return self.on_thread((peer, attempt), Ran::AtPeer, scope, running, take);
        }
        let result = take(&Attempt::default());
        self.reduced(now, DoneHere { peer, attempt, ran: Ran::AtPeer, result }, work, running);
    }

    /// Does something for a reduce attempt on one of the driver's own threads.
    fn on_thread<'s, P: Send + 's>(
        &mut self,
        (peer, attempt): (PeerId, AttemptId),
        ran: Ran,
        scope: &Scope<'s>,
        running: &mut Running<P>,
        run: impl FnOnce(&Attempt) -> Result<Reduced<P>, AttemptFailure> + Send + 's,
    ) {
        let token = Attempt::of(&self.options.cancel);
        running.here.insert(attempt, token.clone());
        let (done, wake) = (running.tell_done.clone(), self.wake.clone());
        scope.spawn(move |_| {
            let result = match token.is_cancelled() {
                true => Err(AttemptFailure::Cancelled),
                false => run(&token),
            };
            // The driver outlives the scope.
            let _ = done.send(DoneHere { peer, attempt, ran, result });
            let _ = wake.send(Message::Wake);
        });
    }

    /// Takes what the driver's own threads have done.
    pub(super) fn take_done_here<J, I, D>(&mut self, work: &Work<'_, J, I, D>, running: &mut Running<D::Part>)
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
        D: Destination<J>,
    {
        while let Ok(done) = running.done_here.try_recv() {
            running.here.remove(&done.attempt);
            self.reduced(self.now(), done, work, running);
        }
    }

    /// Attempts that were told to stop may have done so behind the round's last event. They hold slots, which the next
    /// round needs, until the coordinator hears of it.
    pub(in crate::pool) fn release_late<P>(&mut self, running: &Running<P>) {
        for DoneHere { peer, attempt, .. } in running.done_here.try_iter() {
            self.coordinator.handle_failed(self.now(), peer, attempt, Failure::Cancelled);
        }
    }

    /// A reduce attempt is done and its output where it belongs, or it has failed.
    fn reduced<J, I, D>(
        &mut self,
        now: Time,
        done: DoneHere<D::Part>,
        work: &Work<'_, J, I, D>,
        running: &mut Running<D::Part>,
    ) where
        J: Job,
        I: Input<Records = InputOf<J>>,
        D: Destination<J>,
    {
        let DoneHere { peer, attempt, ran, result } = done;
        let Reduced { part, report, counters, keys } = match result {
            Ok(reduced) => reduced,
            Err(failure) => return self.failed(now, peer, attempt, failure, work, running),
        };
        if self.coordinator.handle_completed(now, peer, attempt, report) == Verdict::Discard {
            return;
        }
        match ran {
            Ran::AtPeer => drop(running.tally.committed(attempt.task, self.name_of(peer), &counters)),
            Ran::Here => running.tally.counters.merge(&counters),
        }
        let total = &mut running.tally.report;
        total.keys = total.keys.saturating_add(keys);
        total.output_records = total.output_records.saturating_add(report.records);
        total.output_bytes = total.output_bytes.saturating_add(report.bytes);
        running.parts[attempt.task.index() as usize] = Some(part);
    }
}

fn task_failed(AttemptError { failure, permanent }: AttemptError) -> AttemptFailure {
    AttemptFailure::Task { failure, permanent }
}
