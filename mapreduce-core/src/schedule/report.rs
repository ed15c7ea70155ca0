//! What peers say about attempts, and the answer to it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::PeerId;

/// What a finished attempt produced, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TaskReport {
    /// Pairs in its output: of a map task those that are left when its combiner is done.
    pub records: u64,
    /// Bytes of its encoded output.
    pub bytes: u64,
    /// Checksum of its whole output (for a map task: of all partitions). Two attempts of a deterministic task
    /// report the same.
    pub checksum: u64,
}

/// Whether the output of a finished attempt counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "the output of a discarded attempt must not be published"]
pub enum Verdict {
    /// This is the one attempt of its task that counts: publish its output, counters and caches.
    Commit,
    /// Drop everything the attempt made. The report was stale, or another attempt was faster.
    Discard,
}

/// Why an attempt did not finish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Failure {
    /// User code failed or panicked, or its input could not be read. Charged to the task.
    Task {
        /// What went wrong, for the user.
        message: String,
        /// Trying the same again cannot help (undecodable input, say): the job fails at once.
        permanent: bool,
    },
    /// It ran longer than [`task_deadline`](super::Config::task_deadline). Charged to the task.
    Deadline,
    /// The node is at fault (disk full, say). Not charged to the task; the peer is quarantined if it goes on.
    Node {
        /// What went wrong, for whoever looks after the node.
        message: String,
    },
    /// A reduce attempt could not fetch map output. Not charged to the task. An attempt whose source is gone must
    /// fail with this, not wait: it may hold the very slot in which the output is to be made again.
    FetchFailed {
        /// The peer that holds the output.
        from: PeerId,
    },
    /// The attempt was stopped: the answer to [`Action::Cancel`](super::Action::Cancel). Without such an action
    /// it counts like [`Node`](Self::Node).
    Cancelled,
}

impl Failure {
    /// User code failed; another attempt may help.
    pub fn task(message: impl Into<String>) -> Self {
        Self::Task { message: message.into(), permanent: false }
    }

    /// User code failed and will always fail.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::Task { message: message.into(), permanent: true }
    }

    /// The node failed.
    pub fn node(message: impl Into<String>) -> Self {
        Self::Node { message: message.into() }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Commit => "commit",
            Self::Discard => "discard",
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task { message, permanent: false } => f.write_str(message),
            Self::Task { message, permanent: true } => write!(f, "{message} (permanent)"),
            Self::Deadline => f.write_str("ran longer than its deadline"),
            Self::Node { message } => write!(f, "node failure: {message}"),
            Self::FetchFailed { from } => write!(f, "could not fetch map output from {from}"),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}
