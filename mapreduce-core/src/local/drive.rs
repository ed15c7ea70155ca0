//! The driver of a local job: one loop on the calling thread that owns the coordinator, starts attempts on the
//! threads and reports their ends.

use super::{
    destination::{Destination, ToProgram},
    mailbox::Mailbox,
    outputs::{Complete, Outputs},
};
use crate::{
    Dataset, Error, Input, InputOf, Job, KeyOf, Memory, Options, Reducer, Report, TaskMemory,
    engine::{RoundOutput, Rounds, StagedPart, Staging, Tally, partitions, place},
    exec::{
        Attempt, AttemptError, MapSegments, MapTask, ReduceOutput, ReduceTask, Round, Run, Totals, contain,
    },
    input::SplitCache,
    schedule::{
        Action, AttemptId, Config, Coordinator, Event, Failure, PeerId, RoundPlan, TaskId, TaskReport, Time,
        Verdict,
    },
};
use rayon::{Scope, ThreadPool};
use std::{collections::HashMap, fmt, sync::Arc, time::Instant};

/// The only peer of a local run.
const LOCAL: PeerId = PeerId(0);
const LOCAL_NAME: &str = "local";

/// Attempts that are handed out per thread. While one runs, the others wait, so that no thread idles while the driver
/// wakes up, and the driver need not wake up for each.
const SLOTS_PER_THREAD: usize = 8;
/// The driver hands out more when so many are left per thread.
const LOW_PER_THREAD: usize = 2;

/// What it takes to begin a range of keys is little beside reducing so many bytes.
const RANGE_BYTES_MAX: u64 = 1 << 20;

/// Drives one job on a [`Local`](super::Local): one round, or many over the same dataset.
pub struct LocalRounds<'a> {
    job: &'static str,
    pool: &'a ThreadPool,
    options: &'a Options,
    events: &'a mut dyn FnMut(Event),
    coordinator: Coordinator,
    memory: Memory,
    /// What attempts work with, for as many as run at once.
    working: TaskMemory,
    start: Instant,
    report: Report,
}

/// What the threads tell the driver.
enum Message<P> {
    Mapped(AttemptId, Result<(MapSegments, SplitCache, TaskReport), AttemptError>),
    Reduced(AttemptId, Result<(ReduceOutput, P, TaskReport), AttemptError>),
}

impl<'a> LocalRounds<'a> {
    pub(super) fn new(
        job: &'static str,
        pool: &'a ThreadPool,
        memory: &Memory,
        options: &'a Options,
        events: &'a mut dyn FnMut(Event),
    ) -> Result<Self, Error> {
        let threads = pool.current_num_threads();
        let working = memory.reserve_tasks(options.segment_bytes, threads)?;
        let mut coordinator = Coordinator::new(Config {
            attempts_max: options.attempts_max.try_into().unwrap_or(u16::MAX),
            task_deadline: options.task_deadline,
            ..Config::default()
        });
        let slots = match options.task_deadline {
            // More attempts than may run at once must not be handed to threads that would run them.
            _ if working.tasks() < threads => working.tasks(),
            None => threads * SLOTS_PER_THREAD,
            // The deadline counts from when an attempt is handed out: it must not wait for others first.
            Some(_) => threads,
        };
        coordinator.handle_peer_joined(Time::ZERO, LOCAL, slots as u32);
        let start = Instant::now();
        Ok(Self {
            job,
            pool,
            options,
            events,
            coordinator,
            memory: memory.for_one_job(),
            working,
            start,
            report: Report::default(),
        })
    }

    /// Runs one round to its end.
    fn drive<J, I, D>(
        &mut self,
        job: &J,
        shared: &J::Shared,
        dataset: &Dataset<I>,
        destination: &D,
    ) -> Result<RoundOutput<D::Part>, Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
        D: Destination<J>,
    {
        let partitions = partitions::<J, I>(self.options, dataset)?;
        // That of side outputs is not reduced.
        let of_keys = partitions - u32::from(!J::SIDE_OUTPUTS.is_empty());
        let round = Round::new(job, shared, partitions)?;
        let splits = dataset.splits().len() as u32;
        self.coordinator
            .start_round(self.now(), RoundPlan { splits, partitions })
            .map_err(|error| self.job_error("start", error.to_string()))?;

        let mailbox = Arc::new(Mailbox::new(self.pool.current_num_threads() * LOW_PER_THREAD));
        let _registration = self.options.cancel.on_cancel({
            let mailbox = mailbox.clone();
            move || mailbox.wake()
        });
        let work = Work {
            round: &round,
            dataset,
            destination,
            memory: self.memory.clone(),
            segment_bytes: self.options.segment_bytes,
            range_bytes: self.range_bytes(of_keys),
            outputs: Outputs::new(splits, of_keys),
        };
        let work = &work;
        let (begun, spilled) = (self.now(), self.memory.spilled_bytes());
        let mut running = Running {
            attempts: HashMap::new(),
            parts: (0..partitions).map(|_| None).collect(),
            tally: Tally::default(),
            mapped: None,
        };
        let ended = self.pool.in_place_scope(|scope| self.run_round(scope, work, &mut running, &mailbox));
        self.release_late(&mailbox);
        ended?;

        let Running { parts, tally: Tally { counters, mut report, .. }, mapped, .. } = running;
        let (mapped, reduced) = (mapped.unwrap_or(begun), self.now());
        (report.map_time, report.reduce_time) = (mapped.since(begun), reduced.since(mapped));
        report.spilled_bytes = self.memory.spilled_bytes() - spilled;
        self.report.merge(&report);
        let parts =
            parts.into_iter().map(|part| part.expect("every reduce task of a finished round has committed"));
        Ok(RoundOutput { parts: parts.collect(), counters, report })
    }

    /// The loop: do what the coordinator says, pass its events on, wait for what happens next.
    fn run_round<'s, J, I, D>(
        &mut self,
        scope: &Scope<'s>,
        work: &'s Work<'_, J, I, D>,
        running: &mut Running<D::Part>,
        mailbox: &'s Mailbox<Message<D::Part>>,
    ) -> Result<(), Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
        D: Destination<J>,
    {
        let mut messages = Vec::new();
        loop {
            while let Some(action) = self.coordinator.poll_action() {
                match action {
                    Action::Start { attempt, .. } => {
                        let token = Attempt::of(&self.options.cancel);
                        running.attempts.insert(attempt, token.clone());
                        mailbox.expect();
                        scope.spawn(move |_| mailbox.send(work.run(attempt, &token)));
                    }
                    Action::Cancel { attempt, .. } => {
                        if let Some(token) = running.attempts.get(&attempt) {
                            token.cancel();
                        }
                    }
                    // Map output lives until the round returns, and no local output is ever lost.
                    _ => {}
                }
            }
            let mut outcome = None;
            while let Some(event) = self.coordinator.poll_event() {
                match &event {
                    Event::MapsFinished { .. } => running.mapped = Some(self.now()),
                    Event::RoundFinished { .. } => outcome = Some(Ok(())),
                    Event::JobFailed { error } => {
                        outcome = Some(Err(running.tally.error(self.job, error.clone())));
                    }
                    Event::Cancelled => outcome = Some(Err(Error::Cancelled)),
                    Event::AttemptFailed { attempt, failure: Failure::Deadline, .. } => {
                        let deadline = self.options.task_deadline.unwrap_or_default();
                        let place = place(work.dataset, attempt.task);
                        running.tally.overran(attempt.task, deadline, place);
                    }
                    _ => {}
                }
                running.tally.event(&event);
                tracing::trace!(job = self.job, %event);
                (self.events)(event);
            }
            if let Some(outcome) = outcome {
                // The scope waits for the attempts that were cancelled.
                running.attempts.values().for_each(Attempt::cancel);
                return outcome;
            }
            let timeout = self.coordinator.poll_timeout().map(|at| at.since(self.now()));
            mailbox.receive(timeout, &mut messages);
            let now = self.now();
            if self.options.cancel.is_cancelled() {
                // Attempts may notice before the wake-up arrives, and what they say then is no failure.
                messages.clear();
                self.coordinator.cancel(now);
            }
            for message in messages.drain(..) {
                match message {
                    Message::Mapped(attempt, result) => {
                        let complete = self.mapped(now, attempt, result, work, running);
                        // Pairs that nothing reduces are not sorted.
                        if let Some(group) = complete.filter(|_| J::Reducer::ENABLED) {
                            scope.spawn(move |_| work.outputs.fold::<KeyOf<J>>(group, &work.memory));
                        }
                    }
                    Message::Reduced(attempt, result) => self.reduced(now, attempt, result, running),
                }
            }
            self.coordinator.handle_timeout(now);
        }
    }

    /// Attempts that were told to stop may have done so behind the round's last event. They hold their slots, which
    /// the next round needs, until the coordinator hears of it.
    fn release_late<P>(&mut self, mailbox: &Mailbox<Message<P>>) {
        let now = self.now();
        for message in mailbox.drain() {
            let attempt = match message {
                Message::Mapped(attempt, result) => {
                    // What a mapper has cached is the user's code to drop, and this thread must not end by it.
                    if let Ok((_, cache, _)) = result {
                        cache.discard();
                    }
                    attempt
                }
                Message::Reduced(attempt, _) => attempt,
            };
            self.coordinator.handle_failed(now, LOCAL, attempt, Failure::Cancelled);
        }
    }

    /// Gives the group of the task if that is to be folded.
    fn mapped<J: Job, I: Input, D: Destination<J>>(
        &mut self,
        now: Time,
        attempt: AttemptId,
        result: Result<(MapSegments, SplitCache, TaskReport), AttemptError>,
        work: &Work<'_, J, I, D>,
        running: &mut Running<D::Part>,
    ) -> Option<Complete> {
        let token = running.attempts.remove(&attempt);
        let (output, cache, report) = match result {
            Ok(done) => done,
            Err(error) => {
                self.attempt_failed(now, attempt, token, error, running);
                return None;
            }
        };
        if self.coordinator.handle_completed(now, LOCAL, attempt, report) == Verdict::Discard {
            cache.discard();
            return None;
        }
        let split = attempt.task.index();
        work.dataset.caches().put(split, cache);
        running.tally.committed(attempt.task, LOCAL_NAME, &output.counters);
        let done = &mut running.tally.report;
        done.records += output.records;
        done.input_bytes = done.input_bytes.saturating_add(work.dataset.splits()[split as usize].bytes);
        running.tally.report.map_output_bytes += report.bytes;
        work.outputs.put(split, output)
    }

    fn reduced<P>(
        &mut self,
        now: Time,
        attempt: AttemptId,
        result: Result<(ReduceOutput, P, TaskReport), AttemptError>,
        running: &mut Running<P>,
    ) {
        let token = running.attempts.remove(&attempt);
        let (output, part, report) = match result {
            Ok(done) => done,
            Err(error) => return self.attempt_failed(now, attempt, token, error, running),
        };
        if self.coordinator.handle_completed(now, LOCAL, attempt, report) == Verdict::Discard {
            return;
        }
        running.tally.committed(attempt.task, LOCAL_NAME, &output.counters);
        running.tally.report.keys += output.keys;
        running.tally.report.output_records += report.records;
        running.tally.report.output_bytes += report.bytes;
        running.parts[attempt.task.index() as usize] = Some(part);
    }

    fn attempt_failed<P>(
        &mut self,
        now: Time,
        attempt: AttemptId,
        token: Option<Attempt>,
        error: AttemptError,
        running: &mut Running<P>,
    ) {
        tracing::debug!(job = self.job, %attempt, %error, "attempt failed");
        let stopped = token.is_some_and(|token| token.is_cancelled());
        let failure = running.tally.attempt_failed(attempt.task, error, stopped);
        self.coordinator.handle_failed(now, LOCAL, attempt, failure);
    }

    /// The bytes of a range of keys that a thread may reduce of a partition, if there are too few of these for all threads.
    fn range_bytes(&self, partitions: u32) -> Option<usize> {
        let threads = self.pool.current_num_threads();
        // Several ranges of a thread are held at once.
        let bytes = (self.memory.merge_bytes() / 8).min(RANGE_BYTES_MAX);
        let idle = (partitions as usize) < threads && self.working.tasks() == threads;
        idle.then_some(bytes as usize)
    }

    fn job_error(&self, step: &'static str, message: String) -> Error {
        Error::Job { job: self.job.to_string(), step, message }
    }

    fn now(&self) -> Time {
        Time::ZERO + self.start.elapsed()
    }
}

impl Rounds for LocalRounds<'_> {
    fn round<J, I>(
        &mut self,
        job: &J,
        shared: &J::Shared,
        data: &Dataset<I>,
    ) -> Result<RoundOutput<Run>, Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        let returned = ToProgram(self.memory.clone());
        self.drive(job, shared, data, &returned)
    }

    fn round_to_files<J, I>(
        &mut self,
        job: &J,
        shared: &J::Shared,
        data: &Dataset<I>,
        staging: &Staging,
    ) -> Result<RoundOutput<StagedPart>, Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        self.drive(job, shared, data, staging)
    }

    fn into_report(self) -> Report {
        self.report
    }
}

impl fmt::Debug for LocalRounds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalRounds").field("job", &self.job).finish_non_exhaustive()
    }
}

/// What the driver keeps of a round while it runs.
struct Running<P> {
    /// The attempts that have not ended, to cancel them by.
    attempts: HashMap<AttemptId, Attempt>,
    /// By partition.
    parts: Vec<Option<P>>,
    tally: Tally,
    /// When the last map task had committed.
    mapped: Option<Time>,
}

/// What the tasks of a round share.
struct Work<'a, J: Job, I, D> {
    round: &'a Round<J>,
    dataset: &'a Dataset<I>,
    destination: &'a D,
    memory: Memory,
    segment_bytes: usize,
    /// See [`ReduceTask`].
    range_bytes: Option<usize>,
    outputs: Outputs,
}

impl<J, I, D> Work<'_, J, I, D>
where
    J: Job,
    I: Input<Records = InputOf<J>>,
    D: Destination<J>,
{
    /// Runs one attempt, on one of the threads.
    fn run(&self, attempt: AttemptId, token: &Attempt) -> Message<D::Part> {
        match attempt.task {
            TaskId::Map(split) => Message::Mapped(attempt, contain(|| self.map(split, token), attempt)),
            TaskId::Reduce(partition) => {
                Message::Reduced(attempt, contain(|| self.reduce(partition, attempt, token), attempt))
            }
        }
    }

    fn map(
        &self,
        index: u32,
        token: &Attempt,
    ) -> Result<(MapSegments, SplitCache, TaskReport), AttemptError> {
        let split = &self.dataset.splits()[index as usize];
        let input = self.dataset.input();
        let mut cache = self.dataset.caches().take(index);
        let task = MapTask {
            index,
            splits: self.dataset.splits().len() as u32,
            split,
            cache: &mut cache,
            attempt: token,
            segment_bytes: self.segment_bytes,
            memory: &self.memory,
        };
        let output = self.round.map_unmerged(task, || Ok(input.open(split)?), || input.describe(split))?;
        cache.keep_within(&self.memory);
        let Totals { pairs: records, bytes, checksum } = output.totals();
        let report = TaskReport { records, bytes, checksum };
        Ok((output, cache, report))
    }

    fn reduce(
        &self,
        partition: u32,
        attempt: AttemptId,
        token: &Attempt,
    ) -> Result<(ReduceOutput, D::Part, TaskReport), AttemptError> {
        let runs = self.outputs.runs(partition);
        let memory = &self.memory;
        let task = ReduceTask { partition, attempt: token, memory, range_bytes: self.range_bytes };
        self.round.reduce(
            task,
            runs,
            || self.destination.open(attempt),
            |writer| self.destination.close(writer),
        )
    }
}
