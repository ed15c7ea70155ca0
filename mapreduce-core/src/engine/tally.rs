//! [`Tally`]: what a driver keeps count of while a round runs.

use crate::{
    Counters, Error, FailureKind, Report, TaskError, TaskFailure,
    exec::AttemptError,
    schedule::{Event, Failure, JobError, TaskId},
};
use std::{collections::HashMap, mem, time::Duration};

/// The counters, the report and the failures of one round. A driver tells it what commits and what fails, and which
/// events the coordinator gives; in the end it has what goes into a [`RoundOutput`](super::RoundOutput), or the words
/// for why there is none.
///
/// ```
/// use mapreduce_core::{Counters, engine::Tally, schedule::TaskId};
///
/// let mut counters = Counters::default();
/// counters.add("lines", 10);
/// let mut tally = Tally::default();
/// assert!(tally.committed(TaskId::Map(0), "ada", &counters));
/// // Its output was lost with the peer that made it: the task ran again.
/// assert!(!tally.committed(TaskId::Map(0), "bob", &counters));
/// assert_eq!(tally.counters.get("lines"), 10);
/// assert_eq!(tally.report.tasks_by_peer["bob"], 1);
/// ```
#[derive(Debug, Default)]
pub struct Tally {
    /// What the committed attempts have counted, each task once.
    pub counters: Counters,
    /// How the round goes. The driver adds what only it knows: records, bytes and keys.
    pub report: Report,
    /// Which map tasks have committed, by index, as far as any has.
    maps: Vec<bool>,
    reduces: Vec<bool>,
    /// The last failure of each task that has failed.
    failures: HashMap<TaskId, TaskFailure>,
}

impl Tally {
    /// Notes that an attempt has committed, on a peer of that name. False if an earlier attempt of the task had: a map
    /// task runs again when its output is lost. It has done the same again, and what it has counted, read and written
    /// is not to be added to the report once more.
    pub fn committed(&mut self, task: TaskId, peer: &str, counters: &Counters) -> bool {
        match self.report.tasks_by_peer.get_mut(peer) {
            Some(tasks) => *tasks += 1,
            None => drop(self.report.tasks_by_peer.insert(peer.to_string(), 1)),
        }
        let first = !self.set_committed(task);
        if first {
            self.counters.merge(counters);
        }
        first
    }

    /// Whether the task had committed before.
    fn set_committed(&mut self, task: TaskId) -> bool {
        let committed = match task {
            TaskId::Map(_) => &mut self.maps,
            TaskId::Reduce(_) => &mut self.reduces,
        };
        let index = task.index() as usize;
        if index >= committed.len() {
            committed.resize(index + 1, false);
        }
        mem::replace(&mut committed[index], true)
    }

    /// Notes how an attempt has failed, for the case that the job fails by it. The last failure of a task counts.
    pub fn failed(&mut self, task: TaskId, failure: TaskFailure) {
        self.failures.insert(task, failure);
    }

    /// Notes how an attempt has failed, unless it was `stopped`, and gives what the coordinator is to be told.
    ///
    /// An attempt that was told to stop may say so in words of its own, so the driver has to know.
    pub fn attempt_failed(&mut self, task: TaskId, error: AttemptError, stopped: bool) -> Failure {
        let AttemptError { failure, permanent } = error;
        match failure.kind {
            _ if stopped => Failure::Cancelled,
            FailureKind::Cancelled => Failure::Cancelled,
            FailureKind::Storage => Failure::Node { message: failure.to_string() },
            _ => {
                let message = failure.to_string();
                self.failed(task, failure);
                Failure::Task { message, permanent }
            }
        }
    }

    /// Notes that an attempt took longer than it may. `place` says where it worked.
    pub fn overran(&mut self, task: TaskId, deadline: Duration, place: String) {
        let message = format!("took longer than {deadline:?}");
        self.failed(task, TaskFailure::new(FailureKind::Deadline, message).with_place(place));
    }

    /// Counts the attempts that failed and that were lost.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::AttemptFailed { .. } => self.report.attempts_failed += 1,
            Event::AttemptLost { .. } => self.report.attempts_lost += 1,
            _ => {}
        }
    }

    /// What the user hears when the coordinator gives up.
    pub fn error(&mut self, job: &str, error: JobError) -> Error {
        let job = job.to_string();
        let (task, attempts, message) = match error {
            JobError::AttemptsExhausted { task, failures, last } => (task, u32::from(failures), last),
            JobError::Permanent { task, message } => (task, 1, message),
            reason => return Error::Scheduling { job, reason },
        };
        let failure = self
            .failures
            .remove(&task)
            .unwrap_or_else(|| TaskFailure::new(FailureKind::User, message).with_place(task.to_string()));
        Error::Task(Box::new(TaskError { job, task, attempts, failure }))
    }
}
