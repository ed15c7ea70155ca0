//! [`Local`]: runs jobs on the threads of this process.

use super::LocalRounds;
use crate::{Engine, Error, Memory, Options, schedule::Event};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::{fmt, sync::Arc, thread};

/// Runs jobs on threads of this process.
///
/// The output of a job is the same for any number of threads, to the bit. Cloning is cheap and gives the same
/// threads. Several jobs may run at once; they share the threads.
///
/// ```
/// use mapreduce_core::prelude::*;
/// # #[derive(Clone, Serialize, Deserialize)]
/// # struct Parity;
/// # impl Mapper for Parity {
/// #     type Input = Items<u64>;
/// #     type Key = bool;
/// #     type Value = u64;
/// #     fn map(&self, n: &u64, out: &mut impl Emit<bool, u64>) -> Result { out.emit(&n.is_multiple_of(2), n) }
/// # }
/// # impl SimpleJob for Parity {
/// #     const NAME: &'static str = "parity";
/// #     type Combiner = Sum;
/// #     type Reducer = Fold<Sum>;
/// # }
///
/// // `Parity` sums odd and even numbers.
/// let engine = Local::new(2)?;
/// let numbers: Vec<u64> = (1..=10).collect();
/// let sums = engine.run(&Parity, &(), &Dataset::new(ItemSlice::new(&numbers))?)?;
/// assert_eq!(sums.pairs, [(false, 25), (true, 30)]);
/// # Ok::<(), mapreduce_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Local {
    pool: Arc<ThreadPool>,
    memory: Memory,
}

impl Local {
    /// The most threads that [`new`](Self::new) starts: far more than any machine runs at once, and few enough that a
    /// slip of the keyboard does not take the machine down.
    pub const THREADS_MAX: usize = 1024;

    /// An engine with threads of its own: as many as given, or as the machine runs at once for 0.
    ///
    /// # Errors
    /// When there are more than [`THREADS_MAX`](Self::THREADS_MAX), or the system cannot start them.
    pub fn new(threads: usize) -> Result<Self, Error> {
        let threads = match threads {
            // Asked for here: with 0, rayon would look at an environment variable.
            0 => thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        if threads > Self::THREADS_MAX {
            let message = format!("the limit is {}", Self::THREADS_MAX);
            return Err(Error::Threads { threads, message });
        }
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("mapreduce-{i}"))
            .build()
            .map_err(|error| Error::Threads { threads, message: error.to_string() })?;
        Ok(Self::on(Arc::new(pool)))
    }

    /// An engine on the program's own rayon pool, shared with its other work. Jobs must not be run from inside it.
    pub fn on(pool: Arc<ThreadPool>) -> Self {
        Self { pool, memory: Memory::of_machine() }
    }

    /// The same threads with another budget. The default is [`Memory::of_machine`].
    #[must_use]
    pub fn with_memory(self, memory: Memory) -> Self {
        Self { memory, ..self }
    }

    /// The budget of its jobs.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The threads.
    pub fn thread_pool(&self) -> &ThreadPool {
        &self.pool
    }

    /// The number of threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }
}

impl Engine for Local {
    type Rounds<'e> = LocalRounds<'e>;

    fn begin<'e>(
        &'e self,
        job: &'static str,
        options: &'e Options,
        events: &'e mut dyn FnMut(Event),
    ) -> Result<LocalRounds<'e>, Error> {
        LocalRounds::new(job, &self.pool, &self.memory, options, events)
    }

    fn is_own_thread(&self) -> bool {
        self.pool.current_thread_index().is_some()
    }

    fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("threads", &self.threads()).finish_non_exhaustive()
    }
}
