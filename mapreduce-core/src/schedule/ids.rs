//! Names of peers, rounds, tasks and attempts: newtypes that do not mix.
//!
//! A peer is not a round, even where both are numbers:
//!
//! ```compile_fail
//! use mapreduce_core::schedule::{PeerId, Round};
//! let peer: PeerId = Round(1);
//! ```
//!
//! nor is a task an attempt of it:
//!
//! ```compile_fail
//! use mapreduce_core::schedule::{AttemptId, TaskId};
//! let attempt: AttemptId = TaskId::Map(3);
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

/// A node that runs attempts. The driver chooses the numbers; the coordinator only compares them.
///
/// A node that restarts may come back under the same id: what it ran before is fenced by attempt, not by peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PeerId(pub u64);

/// One pass of map and reduce over the splits of a job. The first round of a job is 1; every later one is larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Round(pub u32);

/// The half of a round that a task belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// One task per split.
    Map,
    /// One task per partition, started when the output of every map task is available.
    Reduce,
}

/// One task of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaskId {
    /// The map task of the split with this index.
    Map(u32),
    /// The reduce task of the partition with this index.
    Reduce(u32),
}

impl TaskId {
    /// The stage the task belongs to.
    #[inline]
    pub const fn stage(self) -> Stage {
        match self {
            Self::Map(_) => Stage::Map,
            Self::Reduce(_) => Stage::Reduce,
        }
    }

    /// The index of the task's split or partition.
    #[inline]
    pub const fn index(self) -> u32 {
        match self {
            Self::Map(index) | Self::Reduce(index) => index,
        }
    }
}

/// One try at a task. No two attempts that a coordinator starts have the same id, on whichever peer they run.
///
/// ```
/// use mapreduce_core::schedule::{AttemptId, Round, TaskId};
/// let attempt = AttemptId { round: Round(2), task: TaskId::Map(3), number: 1 };
/// assert_eq!(attempt.to_string(), "map 3 attempt 1");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// The round the attempt belongs to. [`Display`](fmt::Display) leaves it out.
    pub round: Round,
    /// The task it tries.
    pub task: TaskId,
    /// Counts the attempts of this task in this round, from 1.
    pub number: u32,
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "peer {}", self.0)
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {}", self.0)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Map => "map",
            Self::Reduce => "reduce",
        })
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.stage(), self.index())
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} attempt {}", self.task, self.number)
    }
}
