//! [`Memory`]: how much of it jobs on a node may hold, and where what does not fit goes.

use crate::{Error, exec::SpillFiles};
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
/// Counted are map output and where in it what is, the buffers of running tasks (a bit more than twice
/// [`Options::segment_bytes`] for each thread), output that waits to be returned or fetched, and what mappers keep about
/// splits [and say the size of](crate::Split::put_cache_of_bytes). Not counted are the program's own data: items it runs
/// jobs over, what else mappers and reducers keep, output that it has decoded. A single
/// record may be larger than the budget; it is held all the same, up to four times at once on its way (as read, as
/// emitted, as merged and as written).
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
    files: Arc<SpillFiles>,
    /// What was spilled through this handle and those made of it.
    spilled: Arc<Spilled>,
}

/// What all handles of a budget share.
struct Node {
    budget: u64,
    held: AtomicU64,
    /// The most that was held at once.
    held_max: AtomicU64,
    /// The part of what is held that no task will ever have.
    apart: AtomicU64,
    /// The part of what is held that is reserved for running tasks, and for how many.
    working: AtomicU64,
    tasks: AtomicU64,
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

    /// So many bytes. It spills to the system's folder for temporary files, [`std::env::temp_dir`]: on Unix that is what
    /// the variable `TMPDIR` says, else `/tmp`. Use [`spilling_to`](Self::spilling_to) to choose another.
    pub fn limited(bytes: u64) -> Self {
        let node = Node {
            budget: bytes,
            held: AtomicU64::new(0),
            held_max: AtomicU64::new(0),
            apart: AtomicU64::new(0),
            working: AtomicU64::new(0),
            tasks: AtomicU64::new(0),
        };
        let files = Arc::new(SpillFiles::new(env::temp_dir()));
        Self { node: Arc::new(node), files, spilled: Arc::default() }
    }

    /// The same budget, but what does not fit through this handle and its clones goes to files in `folder`. Best a disk:
    /// where the system's folder for temporary files lies in memory, spilling there gains nothing. Handles that were
    /// cloned before go on with the same budget and the old folder.
    ///
    /// The folder has to be there when a job begins: if not, the job is refused with [`SpillError::NoFolder`].
    ///
    /// [`SpillError::NoFolder`]: crate::exec::SpillError::NoFolder
    #[must_use]
    pub fn spilling_to(self, folder: impl Into<PathBuf>) -> Self {
        Self { files: Arc::new(SpillFiles::new(folder.into())), ..self }
    }

    /// The same budget, with a count of its own of what is [spilled](Self::spilled_bytes).
    #[must_use]
    pub fn for_one_job(&self) -> Self {
        let spilled = Spilled { bytes: AtomicU64::new(0), parent: Some(self.spilled.clone()) };
        Self { spilled: Arc::new(spilled), ..self.clone() }
    }

    /// The bytes that jobs may hold.
    pub fn budget_bytes(&self) -> u64 {
        self.node.budget
    }

    /// The bytes that are held.
    pub fn held_bytes(&self) -> u64 {
        self.node.held.load(Ordering::Relaxed)
    }

    /// The most bytes that were held at once so far. It is above the budget only if something had to be in memory: records
    /// larger than what a task has, or tasks of more jobs at once than fit.
    pub fn held_bytes_max(&self) -> u64 {
        self.node.held_max.load(Ordering::Relaxed)
    }

    /// The bytes that were written to spill files so far, as they lie there: compressed.
    pub fn spilled_bytes(&self) -> u64 {
        self.spilled.bytes.load(Ordering::Relaxed)
    }

    /// The folder of the spill files.
    pub fn folder(&self) -> &Path {
        self.files.folder()
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
        self.held_if(self.node.resize(0, bytes, self.budget_bytes()), bytes)
    }

    /// The same for output. It leaves a part of the budget to what has to be in memory, such as where the output that was
    /// spilled lies.
    pub(crate) fn try_hold_output(&self, bytes: u64) -> Option<Held> {
        self.held_if(self.node.resize(0, bytes, self.node.output_max()), bytes)
    }

    /// The same for what mappers leave in the caches of splits. It leaves half of what tasks leave to their output.
    pub(crate) fn try_hold_cache(&self, bytes: u64) -> Option<Held> {
        self.held_if(self.node.resize(0, bytes, self.node.held_max_leaving(2)), bytes)
    }

    fn held_if(&self, fits: bool, bytes: u64) -> Option<Held> {
        fits.then(|| Held { node: self.node.clone(), bytes })
    }

    /// Holds so many bytes more, whether they fit or not: for what has to be in memory. Others are refused the sooner.
    pub fn hold(&self, bytes: u64) -> Held {
        self.node.resize(0, bytes, u64::MAX);
        Held { node: self.node.clone(), bytes }
    }

    /// Holds so many bytes more for as long as the program likes, whether they fit or not. Unlike what is [held](Self::hold)
    /// otherwise they do not come free for tasks: fewer of those are [reserved](Self::reserve_tasks) from now on.
    ///
    /// ```
    /// use mapreduce_core::Memory;
    ///
    /// let memory = Memory::limited(100 << 20);
    /// assert_eq!(memory.reserve_tasks(16 << 20, 8)?.tasks(), 2);
    /// let _cache = memory.set_apart(40 << 20);
    /// assert_eq!(memory.reserve_tasks(16 << 20, 8)?.tasks(), 1);
    /// # Ok::<(), mapreduce_core::Error>(())
    /// ```
    pub fn set_apart(&self, bytes: u64) -> HeldApart {
        self.node.apart.fetch_add(bytes, Ordering::Relaxed);
        HeldApart { held: self.hold(bytes) }
    }

    /// Reserves memory for the running tasks of a job: for as many at once as fit into the budget beside those of other
    /// jobs and what is [set apart](Self::set_apart), and at most `tasks_max`. To be called before anything of the job
    /// runs.
    ///
    /// # Errors
    /// [`Error::MemoryTooSmall`] when the budget cannot hold even one, [`Error::Spill`] when the folder of the spill files
    /// is not there.
    pub fn reserve_tasks(&self, segment_bytes: usize, tasks_max: usize) -> Result<TaskMemory, Error> {
        self.files.check()?;
        let task_bytes = (segment_bytes as u64).saturating_mul(2).saturating_add(TASK_BYTES);
        let (budget_bytes, apart) = (self.budget_bytes(), self.node.apart.load(Ordering::Relaxed));
        let needed_bytes = task_bytes.saturating_add(apart);
        if budget_bytes < needed_bytes {
            return Err(Error::MemoryTooSmall { budget_bytes, needed_bytes });
        }
        let fitting = |working: u64| {
            let free = (budget_bytes - apart).saturating_sub(working);
            usize::try_from(free / task_bytes).unwrap_or(usize::MAX).clamp(1, tasks_max.max(1))
        };
        // Looked at and taken in one step: of two jobs that begin at once, the second sees what the first has.
        let more = |working| Some(working + task_bytes * fitting(working) as u64);
        let reserved = self.node.working.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        let tasks = fitting(reserved.unwrap_or_else(|working| working));
        self.node.tasks.fetch_add(tasks as u64, Ordering::Relaxed);
        Ok(TaskMemory { held: self.hold(task_bytes * tasks as u64), tasks })
    }

    /// What a merge may take for what it reads of spilled runs: half of what is reserved for a task. The other half is for
    /// what is done with the pairs.
    pub(crate) fn merge_bytes(&self) -> u64 {
        let (working, tasks) = (&self.node.working, &self.node.tasks);
        let task = working.load(Ordering::Relaxed).checked_div(tasks.load(Ordering::Relaxed));
        task.unwrap_or_default().max(TASK_BYTES) / 2
    }

    pub(crate) fn files(&self) -> &SpillFiles {
        &self.files
    }

    pub(crate) fn spilled(&self, bytes: u64) {
        let mut counts = Some(&self.spilled);
        while let Some(count) = counts {
            count.bytes.fetch_add(bytes, Ordering::Relaxed);
            counts = count.parent.as_ref();
        }
    }
}

impl Node {
    /// Makes what was `before` bytes of what is held `bytes`, if then no more than `held_max` is held or it is not more
    /// than before. Whether it did.
    fn resize(&self, before: u64, bytes: u64, held_max: u64) -> bool {
        let resized = |held: u64| {
            let sum = (held - before).checked_add(bytes)?;
            let is_less = before > 0 && bytes <= before;
            (is_less || sum <= held_max).then_some(sum)
        };
        let was = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, resized);
        if let Ok(held) = was {
            self.held_max.fetch_max(held - before + bytes, Ordering::Relaxed);
        }
        was.is_ok()
    }

    /// What may be held for output to be kept in memory: all but a sixteenth of what tasks leave.
    fn output_max(&self) -> u64 {
        self.held_max_leaving(16)
    }

    /// The budget, but for a part of what tasks leave.
    fn held_max_leaving(&self, part: u64) -> u64 {
        let left = self.budget.saturating_sub(self.working.load(Ordering::Relaxed));
        self.budget - left / part
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
            .field("held_bytes_max", &self.held_bytes_max())
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

    /// Makes it `bytes`, if what that is more is there for output. Whether it did.
    pub(crate) fn try_resize_output(&mut self, bytes: u64) -> bool {
        let resized = self.node.resize(self.bytes, bytes, self.node.output_max());
        if resized {
            self.bytes = bytes;
        }
        resized
    }

    /// Makes it `bytes`, whether that fits or not.
    pub(crate) fn resize(&mut self, bytes: u64) {
        self.node.resize(self.bytes, bytes, u64::MAX);
        self.bytes = bytes;
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

/// Bytes that are [set apart](Memory::set_apart); given back when this is dropped.
#[derive(Debug)]
#[must_use = "what is set apart is given back at once"]
pub struct HeldApart {
    held: Held,
}

impl Drop for HeldApart {
    fn drop(&mut self) {
        self.held.node.apart.fetch_sub(self.held.bytes, Ordering::Relaxed);
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
        self.held.node.tasks.fetch_sub(self.tasks as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::SpillError;

    #[test]
    fn what_is_held_is_given_back() {
        let memory = Memory::limited(100);
        let (a, b) = (memory.try_hold(60).unwrap(), memory.clone().hold(60));
        assert_eq!(memory.held_bytes(), 120);
        assert!(memory.try_hold(0).is_none(), "the budget is overdrawn");
        drop(a);
        assert_eq!((memory.held_bytes(), b.bytes()), (60, 60));
        let mut c = memory.try_hold(10).unwrap();
        // A sixteenth is not for output.
        assert!(!c.try_resize_output(35) && c.try_resize_output(34) && c.try_resize_output(1));
        assert!(memory.try_hold_output(34).is_none() && memory.try_hold(34).is_some());
        assert_eq!(memory.held_bytes(), 61);
        c.resize(90);
        assert_eq!((memory.held_bytes(), memory.held_bytes_max()), (150, 150));
        drop((b, c));
        assert_eq!((memory.held_bytes(), memory.held_bytes_max()), (0, 150));
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
    fn jobs_that_begin_at_once_do_not_get_more_than_there_is() {
        let one = TASK_BYTES + 2_000;
        for _ in 0..50 {
            let memory = Memory::limited(10 * one);
            let start = std::sync::Barrier::new(4);
            let reserve = || {
                start.wait();
                memory.reserve_tasks(1_000, 5).unwrap()
            };
            let tasks: Vec<_> = std::thread::scope(|scope| {
                let jobs = [(); 4].map(|()| scope.spawn(reserve));
                jobs.into_iter().map(|job| job.join().unwrap()).collect()
            });
            let mut counts: Vec<_> = tasks.iter().map(TaskMemory::tasks).collect();
            counts.sort_unstable();
            assert_eq!(counts, [1, 1, 5, 5]);
        }
    }

    #[test]
    fn tasks_get_nothing_of_what_is_set_apart() {
        let one = TASK_BYTES + 2_000;
        let memory = Memory::limited(3 * one);
        let apart = memory.set_apart(one + 1);
        assert_eq!(memory.reserve_tasks(1_000, 4).unwrap().tasks(), 1);
        let more = memory.set_apart(one);
        let refused = memory.reserve_tasks(1_000, 4).unwrap_err();
        assert!(matches!(refused, Error::MemoryTooSmall { needed_bytes, .. } if needed_bytes == 3 * one + 1));
        drop((apart, more));
        assert_eq!(memory.reserve_tasks(1_000, 4).unwrap().tasks(), 3);
    }

    #[test]
    fn a_folder_that_is_not_there_is_noticed_before_anything_runs() {
        let memory = Memory::limited(1 << 30).spilling_to("nowhere/at/all");
        let error = memory.reserve_tasks(1_000, 4).unwrap_err();
        assert!(
            matches!(&error, Error::Spill(SpillError::NoFolder { folder, .. }) if folder == memory.folder())
        );
        let said = error.to_string();
        assert!(said.starts_with("nowhere/at/all: nothing can be spilled there: "), "{said}");
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(memory.spilling_to(file.path()).reserve_tasks(1_000, 4).is_err());
    }

    #[test]
    fn another_folder_is_of_the_same_budget() {
        let memory = Memory::limited(100);
        let other = memory.clone().spilling_to("elsewhere");
        let _held = other.hold(60);
        assert_eq!((memory.held_bytes(), other.folder()), (60, Path::new("elsewhere")));
        assert_ne!(memory.folder(), other.folder());
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
    fn a_merge_may_take_half_of_what_a_task_has() {
        let memory = Memory::limited(1 << 30);
        assert_eq!(memory.merge_bytes(), TASK_BYTES / 2);
        let _one = memory.reserve_tasks(10_000, 3).unwrap();
        assert_eq!(memory.merge_bytes(), TASK_BYTES / 2 + 10_000);
        let _other = memory.reserve_tasks(50_000, 1).unwrap();
        assert_eq!(memory.merge_bytes(), TASK_BYTES / 2 + 20_000);
    }
}
