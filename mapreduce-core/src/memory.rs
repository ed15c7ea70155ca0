//! [`Memory`]: how much of it jobs on a node may hold, and where what does not fit goes.

use crate::{
    Error,
    exec::{SPILL_BLOCK_BYTES, SpillFiles},
};
use std::{
    env, fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// The memory that jobs on a node may hold, and the folder for what does not fit.
///
/// What map tasks have emitted and reduce tasks have not yet read stays in memory as long as it fits into the budget;
/// what does not goes to temporary files, sorted and compressed. Those are unnamed: nothing of them is left when the
/// process ends, however it ends. The output of a job never depends on its budget.
///
/// Counted are map output, the buffers of running tasks (a bit more than twice [`Options::segment_bytes`] for each
/// thread), and output that waits to be returned or fetched. Not counted are the program's own data: items it runs jobs
/// over, what mappers and reducers keep, output that it has decoded. A single record may be larger than the budget; it
/// is held all the same, up to four times at once on its way (as read, as emitted, as merged and as written).
///
/// Cloning gives the same budget: engines that share one keep within it together.
///
/// ```
/// use mapreduce_core::{Local, Memory};
///
/// let folder = tempfile::tempdir()?;
/// let memory = Memory::limited(1 << 30).spilling_to(folder.path());
/// let engine = Local::new(2)?.with_memory(memory);
/// assert_eq!(engine.memory().budget_bytes(), 1 << 30);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`Options::segment_bytes`]: crate::Options::segment_bytes
#[derive(Clone)]
pub struct Memory {
    node: Arc<Node>,
    /// What was spilled through this handle and those made of it.
    spilled: Arc<Spilled>,
}

/// What all handles of a budget share.
struct Node {
    budget: u64,
    held: AtomicU64,
    /// The part of what is held that is reserved for running tasks.
    working: AtomicU64,
    files: SpillFiles,
}

#[derive(Default)]
struct Spilled {
    bytes: AtomicU64,
    parent: Option<Arc<Spilled>>,
}

/// The budget of a machine that does not say how much memory it has.
const UNKNOWN_BYTES: u64 = 1 << 30;

/// What a task needs besides its segments: blocks of the input, of spill files and of the output.
const TASK_BYTES: u64 = 2 << 20;

impl Memory {
    /// Half of what the machine has, or of what its control group may have where that is less. It spills to the
    /// system's folder for temporary files.
    pub fn of_machine() -> Self {
        let kind = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
        let system = System::new_with_specifics(kind);
        let limit = system.cgroup_limits().map_or(u64::MAX, |limits| limits.total_memory);
        let bytes = match system.total_memory().min(limit) {
            0 | u64::MAX => UNKNOWN_BYTES,
            bytes => bytes / 2,
        };
        Self::limited(bytes)
    }

    /// So many bytes. It spills to the system's folder for temporary files.
    pub fn limited(bytes: u64) -> Self {
        Self::new(bytes, env::temp_dir())
    }

    /// As many bytes, but what does not fit goes to files in `folder`, which has to be there. Best a disk: where the
    /// system's folder for temporary files lies in memory, spilling there gains nothing.
    ///
    /// To be said before the budget is shared; what is held already is held of the old one.
    #[must_use]
    pub fn spilling_to(self, folder: impl Into<PathBuf>) -> Self {
        Self::new(self.budget_bytes(), folder.into())
    }

    fn new(budget: u64, folder: PathBuf) -> Self {
        let node = Node {
            budget,
            held: AtomicU64::new(0),
            working: AtomicU64::new(0),
            files: SpillFiles::new(folder),
        };
        Self { node: Arc::new(node), spilled: Arc::default() }
    }

    /// The same budget, with a count of its own of what is [spilled](Self::spilled_bytes).
    #[must_use]
    pub fn for_one_job(&self) -> Self {
        let spilled = Spilled { bytes: AtomicU64::new(0), parent: Some(self.spilled.clone()) };
        Self { node: self.node.clone(), spilled: Arc::new(spilled) }
    }

    /// The bytes that jobs may hold.
    pub fn budget_bytes(&self) -> u64 {
        self.node.budget
    }

    /// The bytes that are held.
    pub fn held_bytes(&self) -> u64 {
        self.node.held.load(Ordering::Relaxed)
    }

    /// The bytes that were written to spill files so far, as they lie there: compressed.
    pub fn spilled_bytes(&self) -> u64 {
        self.spilled.bytes.load(Ordering::Relaxed)
    }

    /// The folder of the spill files.
    pub fn folder(&self) -> &Path {
        self.node.files.folder()
    }

    /// Holds so many bytes more, if they fit into what is left of the budget.
    ///
    /// ```
    /// use mapreduce_core::Memory;
    ///
    /// let memory = Memory::limited(1_000);
    /// let held = memory.try_hold(800).ok_or("there is room")?;
    /// assert!(memory.try_hold(300).is_none());
    /// drop(held);
    /// assert!(memory.try_hold(300).is_some());
    /// # Ok::<(), &str>(())
    /// ```
    pub fn try_hold(&self, bytes: u64) -> Option<Held> {
        let fits = |held: u64| held.checked_add(bytes).filter(|sum| *sum <= self.node.budget);
        self.node.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        Some(Held { node: self.node.clone(), bytes })
    }

    /// Holds so many bytes more, whether they fit or not: for what has to be in memory. Others are refused the sooner.
    pub fn hold(&self, bytes: u64) -> Held {
        self.node.add(bytes);
        Held { node: self.node.clone(), bytes }
    }

    /// Reserves memory for the running tasks of a job: for as many at once as fit into the budget beside those of other
    /// jobs, and at most `tasks_max`.
    ///
    /// # Errors
    /// [`Error::MemoryTooSmall`] when the budget cannot hold even one.
    pub fn reserve_tasks(&self, segment_bytes: usize, tasks_max: usize) -> Result<TaskMemory, Error> {
        let needed_bytes = (segment_bytes as u64).saturating_mul(2).saturating_add(TASK_BYTES);
        let budget_bytes = self.budget_bytes();
        if budget_bytes < needed_bytes {
            return Err(Error::MemoryTooSmall { budget_bytes, needed_bytes });
        }
        let free = budget_bytes.saturating_sub(self.node.working.load(Ordering::Relaxed));
        let tasks = usize::try_from(free / needed_bytes).unwrap_or(usize::MAX).clamp(1, tasks_max.max(1));
        let bytes = needed_bytes * tasks as u64;
        self.node.working.fetch_add(bytes, Ordering::Relaxed);
        Ok(TaskMemory { held: self.hold(bytes), tasks })
    }

    /// How many spilled runs a merge may read at once: their blocks take at most an eighth of the budget.
    pub(crate) fn fan_in(&self) -> usize {
        let blocks = self.budget_bytes() / (8 * SPILL_BLOCK_BYTES as u64);
        usize::try_from(blocks).unwrap_or(usize::MAX).clamp(FAN_IN_MIN, FAN_IN_MAX)
    }

    pub(crate) fn files(&self) -> &SpillFiles {
        &self.node.files
    }

    pub(crate) fn spilled(&self, bytes: u64) {
        let mut counts = Some(&self.spilled);
        while let Some(count) = counts {
            count.bytes.fetch_add(bytes, Ordering::Relaxed);
            counts = count.parent.as_ref();
        }
    }
}

/// Bounds of the spilled runs that a merge reads at once.
const FAN_IN_MIN: usize = 8;
const FAN_IN_MAX: usize = 256;

impl Node {
    fn add(&self, bytes: u64) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Default for Memory {
    /// [`Memory::of_machine`].
    fn default() -> Self {
        Self::of_machine()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("budget_bytes", &self.budget_bytes())
            .field("held_bytes", &self.held_bytes())
            .field("spilled_bytes", &self.spilled_bytes())
            .field("folder", &self.folder())
            .finish()
    }
}

/// Bytes that are held of a [`Memory`]; given back when this is dropped.
#[must_use = "what is held is given back at once"]
pub struct Held {
    node: Arc<Node>,
    bytes: u64,
}

impl Held {
    /// How many.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes it `bytes`, if what that is more fits into the budget. Whether it did.
    pub(crate) fn try_resize(&mut self, bytes: u64) -> bool {
        let held = &self.node.held;
        let fits = |sum: u64| {
            let sum = (sum - self.bytes).checked_add(bytes)?;
            (bytes <= self.bytes || sum <= self.node.budget).then_some(sum)
        };
        let resized = held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        if resized {
            self.bytes = bytes;
        }
        resized
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.node.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("bytes", &self.bytes).finish()
    }
}

/// Memory that is [reserved](Memory::reserve_tasks) for the running tasks of a job; given back when this is dropped.
#[derive(Debug)]
pub struct TaskMemory {
    held: Held,
    tasks: usize,
}

impl TaskMemory {
    /// How many tasks may run at once.
    pub fn tasks(&self) -> usize {
        self.tasks
    }
}

impl Drop for TaskMemory {
    fn drop(&mut self) {
        self.held.node.working.fetch_sub(self.held.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_given_back() {
        let memory = Memory::limited(100);
        let (a, b) = (memory.try_hold(60).unwrap(), memory.clone().hold(60));
        assert_eq!(memory.held_bytes(), 120);
        assert!(memory.try_hold(0).is_none(), "the budget is overdrawn");
        drop(a);
        assert_eq!((memory.held_bytes(), b.bytes()), (60, 60));
        let mut c = memory.try_hold(10).unwrap();
        assert!(!c.try_resize(41) && c.try_resize(40) && c.try_resize(1));
        assert_eq!(memory.held_bytes(), 61);
        drop((b, c));
        assert_eq!(memory.held_bytes(), 0);
        assert!(Memory::limited(u64::MAX).try_hold(u64::MAX).is_some());
    }

    #[test]
    fn as_many_tasks_run_at_once_as_fit() {
        let one = TASK_BYTES + 2_000;
        let refused = Memory::limited(one - 1).reserve_tasks(1_000, 4).unwrap_err();
        assert!(matches!(refused, Error::MemoryTooSmall { needed_bytes, .. } if needed_bytes == one));
        let memory = Memory::limited(3 * one + 1);
        let tasks = memory.reserve_tasks(1_000, 4).unwrap();
        assert_eq!((tasks.tasks(), memory.held_bytes()), (3, 3 * one));
        // Another job goes on as well, if slowly.
        assert_eq!(memory.reserve_tasks(1_000, 4).unwrap().tasks(), 1);
        drop(tasks);
        assert_eq!(memory.reserve_tasks(1_000, 2).unwrap().tasks(), 2);
        assert_eq!(memory.held_bytes(), 0);
    }

    #[test]
    fn each_job_counts_what_it_spills() {
        let memory = Memory::limited(1);
        let (one, other) = (memory.for_one_job(), memory.for_one_job());
        one.spilled(3);
        other.spilled(4);
        let counts = [&memory, &one, &other].map(Memory::spilled_bytes);
        assert_eq!(counts, [7, 3, 4]);
    }

    #[test]
    fn a_machine_has_memory() {
        assert!(Memory::default().budget_bytes() > 1 << 20);
    }

    #[test]
    fn few_spilled_runs_are_merged_at_once_in_little_memory() {
        let fan_in = |bytes| Memory::limited(bytes).fan_in();
        assert_eq!([0, 32 << 20, u64::MAX].map(fan_in), [FAN_IN_MIN, 64, FAN_IN_MAX]);
    }
}
