//! [`Error`]: why a job did not succeed, and [`Result`], what user code returns.

use crate::{codec::CodecError, exec::SpillError, input::ReadError, schedule::TaskId};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    io::{self, ErrorKind},
    path::PathBuf,
};

/// What mappers, reducers and the other parts of a job return: any error will do, so `?` works on all of them.
pub type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Why a job did not succeed. Nothing of its output has appeared then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An input is not there, or is not what it was said to be.
    #[error("{input}: {message}")]
    Input {
        /// The file or other input.
        input: String,
        /// What is wrong and what can be done.
        message: String,
    },
    /// An input could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The input was cut into more splits than task numbers go.
    #[error("{splits} splits are too many; make them larger with `Dataset::with_split_bytes`")]
    TooManySplits {
        /// How many there would have been.
        splits: u64,
    },
    /// More partitions were asked for than a round may have.
    #[error("{partitions} partitions are too many; choose at most {}", crate::Options::PARTITIONS_MAX)]
    TooManyPartitions {
        /// How many there would have been.
        partitions: u32,
    },
    /// A task failed as often as it may.
    #[error(transparent)]
    Task(Box<TaskError>),
    /// The job's own set-up failed: its mapper, reducer or partitioner could not be made, or an iterated job's
    /// `start`, `round` or `advance` returned an error.
    #[error("job {job}: {step}: {message}")]
    Job {
        /// The job.
        job: String,
        /// The method that failed.
        step: &'static str,
        /// Its message.
        message: String,
    },
    /// The job did not end within [`Options::rounds_max`](crate::Options::rounds_max) rounds.
    #[error("job {job}: not finished after {rounds} rounds; raise `rounds_max`, or end the job in `advance`")]
    TooManyRounds {
        /// The job.
        job: String,
        /// The bound.
        rounds: u32,
    },
    /// The job was cancelled.
    #[error("the job was cancelled")]
    Cancelled,
    /// The scheduler gave the job up for another reason than a failed task.
    #[error("job {job}: {reason}")]
    Scheduling {
        /// The job.
        job: String,
        /// Why.
        reason: crate::schedule::JobError,
    },
    /// There are peers, but none has the job in this form.
    #[error("no peer can run job {job}: {peers}; start peers of the build that the job is run from")]
    NoPeerHasJob {
        /// The job that was asked for.
        job: crate::JobId,
        /// What each peer has instead.
        peers: String,
    },
    /// A value could not be encoded or decoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The output folder is already there.
    #[error("{}: is already there; remove it, choose another folder, or ask for it to be overwritten", path.display())]
    OutputExists {
        /// The folder.
        path: PathBuf,
    },
    /// The folder to be overwritten was not written by a job.
    #[error("{}: is not the output of a job (it has no manifest), so it is not overwritten; remove it or choose another folder", path.display())]
    OutputForeign {
        /// The folder.
        path: PathBuf,
    },
    /// The output cannot be written in the format that was asked for.
    #[error("job {job}: its output cannot be written as {format}: {message}")]
    Format {
        /// The job.
        job: String,
        /// The format.
        format: crate::Format,
        /// What is wrong and what can be done.
        message: String,
    },
    /// The names of the job's side outputs are not what they have to be.
    #[error("job {job}: {reason}")]
    SideOutputs {
        /// The job.
        job: String,
        /// What is wrong and what can be done.
        reason: crate::SideOutputError,
    },
    /// The output could not be written.
    #[error("{}: cannot be written: {source}{}", path.display(), way_out(source))]
    Output {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder for what does not fit into memory is not there, or output that waited in a spill file could not be read
    /// back.
    #[error(transparent)]
    Spill(#[from] SpillError),
    /// The memory budget does not hold what a single task works with.
    #[error(
        "a budget of {budget_bytes} bytes of memory is too small: one task takes {needed_bytes}; give more, or make `segment_bytes` smaller"
    )]
    MemoryTooSmall {
        /// The budget.
        budget_bytes: u64,
        /// What is needed at least.
        needed_bytes: u64,
    },
    /// The threads could not be started.
    #[error("cannot start {threads} threads: {message}; ask for fewer")]
    Threads {
        /// How many.
        threads: usize,
        /// What the system said.
        message: String,
    },
    /// A job was run from one of the threads that were to work on it, which would wait for itself.
    #[error(
        "a job cannot be run from inside a task of the same threads; run it from outside, or on other threads"
    )]
    Reentrant,
    /// The thread that drove a submitted job panicked.
    #[error("the thread that drove the job panicked: {message}")]
    DriverPanicked {
        /// The panic's message.
        message: String,
    },
}

/// What helps against an error in writing, for the end of a message.
pub(crate) fn way_out(source: &io::Error) -> &'static str {
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "; make room there, or choose a folder on another disk"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "; choose a folder that may be written to"
        }
        _ => "",
    }
}

/// What the code of a job has done that it must not. It is the user's error, and another attempt would do the same.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Misuse {
    /// Of a [`Partitioner`](crate::Partitioner).
    #[error("the partitioner chose partition {partition}, but there are {partitions}, counted from 0")]
    Partition { partition: u32, partitions: u32 },
    /// A pair, or the key of one.
    #[error("a {what} of {bytes} bytes is too long; the limit is 2 GiB")]
    TooLong { what: &'static str, bytes: usize },
    /// An error of [`Emit`](crate::Emit) was not passed on. What it was is not known any more.
    #[error("a pair or a line could not be emitted and its error was passed over; pass it on with `?`")]
    PassedOver {
        /// Whether it would come again.
        permanent: bool,
    },
    /// The number may have come over a network.
    #[error("a job with side outputs has at least 2 partitions, one of them for their lines")]
    TooFewPartitions,
    /// Looked at before the job runs, unless a node runs another build of it.
    #[error("{0}")]
    Columns(String),
}

impl Misuse {
    pub(crate) fn is_permanent(&self) -> bool {
        !matches!(self, Self::PassedOver { permanent: false })
    }
}

/// A task that failed as often as it may, with what its last attempt said.
#[derive(Clone, Debug, thiserror::Error)]
#[error("job {job}: {task} failed {attempts}: {failure}", attempts = times(*attempts))]
#[non_exhaustive]
pub struct TaskError {
    /// The job.
    pub job: String,
    /// The task.
    pub task: TaskId,
    /// How many attempts failed.
    pub attempts: u32,
    /// What went wrong in the last of them.
    pub failure: TaskFailure,
}

fn times(attempts: u32) -> String {
    match attempts {
        1 => "at once".into(),
        n => format!("{n} times"),
    }
}

/// What went wrong in one attempt of a task, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskFailure {
    /// In which way it failed.
    pub kind: FailureKind,
    /// Where: the split of a map task, the partition and the key of a reduce task. Empty as long as nobody who knows
    /// has said it.
    pub place: String,
    /// The number of the record in its split, counted from 1, where it is known.
    pub record: Option<u64>,
    /// What the error or the panic said.
    pub message: String,
}

impl TaskFailure {
    /// A failure of which nobody has said where.
    ///
    /// ```
    /// use mapreduce_core::{FailureKind, TaskFailure};
    ///
    /// let failure = TaskFailure::new(FailureKind::User, "no such column");
    /// assert_eq!(failure.to_string(), "error: no such column");
    /// let failure = failure.with_place("table.csv, bytes 0 to 1000");
    /// assert_eq!(failure.to_string(), "error (table.csv, bytes 0 to 1000): no such column");
    /// ```
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, place: String::new(), record: None, message: message.into() }
    }

    /// The same at another place: what ran the attempt may know less about where it was than who asked for it.
    #[must_use]
    pub fn with_place(self, place: impl Into<String>) -> Self {
        Self { place: place.into(), ..self }
    }

    /// The same at a record of its split, counted from 1.
    #[must_use]
    pub fn with_record(self, record: Option<u64>) -> Self {
        Self { record, ..self }
    }
}

impl fmt::Display for TaskFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, place, record, message } = self;
        match (place.as_str(), record) {
            ("", None) => write!(f, "{kind}: {message}"),
            ("", Some(record)) => write!(f, "{kind} (record {record}): {message}"),
            (place, None) => write!(f, "{kind} ({place}): {message}"),
            (place, Some(record)) => write!(f, "{kind} ({place}, record {record}): {message}"),
        }
    }
}

/// In which way an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FailureKind {
    /// User code returned an error.
    User,
    /// User code panicked.
    Panic,
    /// The input could not be read.
    Read,
    /// The node does not see the files that the driver reads ([`ReadError::NotShared`]). The node's fault, not the
    /// task's.
    Storage,
    /// A key or value did not decode, or did not encode.
    Codec,
    /// The output could not be written.
    Write,
    /// The attempt took longer than [`Options::task_deadline`](crate::Options::task_deadline).
    Deadline,
    /// The attempt was cancelled; not a failure of the task.
    Cancelled,
    /// What did not fit into memory could not be written to a spill file or read back
    /// ([`SpillError`](crate::exec::SpillError)).
    Spill,
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "error",
            Self::Panic => "panic",
            Self::Read => "cannot read",
            Self::Storage => "other storage",
            Self::Codec => "cannot decode",
            Self::Write => "cannot write",
            Self::Deadline => "deadline passed",
            Self::Cancelled => "cancelled",
            Self::Spill => "cannot spill",
        })
    }
}
