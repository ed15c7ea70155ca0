//! The tasks of the current round and how far each has come.

use super::ids::{Stage, TaskId};
use super::list::NONE;

/// Where a task stands. It goes from pending to running and back until an attempt commits; a committed map task
/// becomes pending again when its output is lost while a reduce task needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TaskState {
    /// In a queue.
    Pending,
    /// At least one attempt runs that may commit.
    Running,
    /// One attempt has committed; none runs that may.
    Committed,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    /// Of the committed map output, or of the one that was lost: what a re-execution must reproduce.
    pub(super) checksum: Option<u64>,
    /// Attempts started so far, which is also the number of the latest.
    pub(super) attempts: u32,
    /// The attempts (indices into `Attempts`) that may still commit: the first and its backup.
    pub(super) running: [u32; 2],
    /// The peer that holds the committed map output, and the attempt that made it.
    pub(super) holder: u32,
    pub(super) committed: u32,
    /// Charged failures, failed fetches, peers lost under it: each has its bound in `Config`.
    pub(super) failures: u16,
    pub(super) fetch_failures: u16,
    pub(super) peers_lost: u16,
    pub(super) state: TaskState,
}

impl Task {
    const NEW: Self = Self {
        checksum: None,
        attempts: 0,
        running: [NONE; 2],
        holder: NONE,
        committed: 0,
        failures: 0,
        fetch_failures: 0,
        peers_lost: 0,
        state: TaskState::Pending,
    };

    pub(super) fn attach(&mut self, attempt: u32) {
        let free = if self.running[0] == NONE { 0 } else { 1 };
        debug_assert_eq!(self.running[free], NONE, "a task has at most two attempts at a time");
        self.running[free] = attempt;
        self.state = TaskState::Running;
    }

    /// Takes one attempt away; the other one, if there is one, is the answer.
    pub(super) fn detach(&mut self, attempt: u32) -> Option<u32> {
        let [first, second] = self.running;
        debug_assert!(first == attempt || second == attempt);
        let other = if first == attempt { second } else { first };
        self.running = [other, NONE];
        (other != NONE).then_some(other)
    }
}

/// The tasks of both stages. Their memory is kept from round to round.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    maps: Vec<Task>,
    reduces: Vec<Task>,
    /// How many are not committed.
    pub(super) maps_missing: u32,
    pub(super) reduces_missing: u32,
}

impl Tasks {
    pub(super) fn reset(&mut self, splits: u32, partitions: u32) {
        for (tasks, len) in [(&mut self.maps, splits), (&mut self.reduces, partitions)] {
            tasks.clear();
            tasks.resize(len as usize, Task::NEW);
        }
        self.maps_missing = splits;
        self.reduces_missing = partitions;
    }

    #[inline]
    pub(super) fn get(&self, task: TaskId) -> Option<&Task> {
        match task {
            TaskId::Map(index) => self.maps.get(index as usize),
            TaskId::Reduce(index) => self.reduces.get(index as usize),
        }
    }

    /// `task` must be one of the round.
    #[inline]
    pub(super) fn at(&mut self, task: TaskId) -> &mut Task {
        match task {
            TaskId::Map(index) => &mut self.maps[index as usize],
            TaskId::Reduce(index) => &mut self.reduces[index as usize],
        }
    }

    pub(super) fn maps(&self) -> &[Task] {
        &self.maps
    }

    pub(super) fn partitions(&self) -> u32 {
        self.reduces.len() as u32
    }

    pub(super) fn missing(&mut self, stage: Stage) -> &mut u32 {
        match stage {
            Stage::Map => &mut self.maps_missing,
            Stage::Reduce => &mut self.reduces_missing,
        }
    }

    /// Whether committed map output must stay available: some reduce task has not committed.
    pub(super) fn outputs_needed(&self) -> bool {
        self.reduces_missing > 0
    }

    pub(super) fn reduces_committed(&self) -> u32 {
        self.partitions() - self.reduces_missing
    }
}
