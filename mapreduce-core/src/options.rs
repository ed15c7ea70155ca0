//! [`Options`]: how a job is run.

use crate::Cancel;
use std::time::Duration;

/// How a job is run. What is not set suits most jobs.
///
/// ```
/// use mapreduce_core::Options;
///
/// let options = Options { partitions: Some(4), ..Options::default() };
/// assert_eq!(options.attempts_max, 4);
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// Reduce tasks, and parts of the output. Default: one for every 32 MiB of input, at least 1 and at most 64. Each
    /// costs a few microseconds and, with part files, a file. At most [`Options::PARTITIONS_MAX`].
    pub partitions: Option<u32>,
    /// At so many bytes a map task cuts what was emitted into a sorted segment; several are merged when it ends. Default
    /// 16 MiB; more than 2 GiB counts as 2 GiB. A task works with about twice as much memory. Like the splits, this is a part of the plan: a combiner that
    /// is not exact may give other bits with another value, on every engine the same.
    pub segment_bytes: usize,
    /// How often a task may fail in user code before the job does. Default 4.
    pub attempts_max: u32,
    /// How long an attempt may take, from when it is handed to a thread; where other work shares the threads, waiting
    /// for one counts. Default: as long as it likes. An attempt over its deadline is asked to stop (see [`Cancel`] for
    /// when it notices) and counts as failed.
    pub task_deadline: Option<Duration>,
    /// Rounds after which an iterated job that has not ended is ended with an error. Default 1 000 000.
    pub rounds_max: u32,
    /// Stops the job from outside.
    pub cancel: Cancel,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            partitions: None,
            segment_bytes: 16 << 20,
            attempts_max: 4,
            task_deadline: None,
            rounds_max: 1_000_000,
            cancel: Cancel::new(),
        }
    }
}

const PARTITION_BYTES: u64 = 32 << 20;
const DEFAULT_PARTITIONS_MAX: u64 = 64;

impl Options {
    /// The most partitions of a round, 1 048 576, the one of [side outputs](crate::Job::SIDE_OUTPUTS) included: each costs every
    /// map attempt some bytes, whether it puts anything there or not.
    pub const PARTITIONS_MAX: u32 = 1 << 20;

    /// The same, but that the job can be cancelled without those that were given the same token. What an
    /// [`Engine`](crate::Engine) does with the options of a job in the background.
    #[must_use]
    pub fn for_one_job(self) -> Self {
        Self { cancel: self.cancel.child(), ..self }
    }

    /// The number of partitions of a job over an input of so many bytes: like the splits, a function of the input and
    /// these options alone, whatever the engine.
    ///
    /// ```
    /// use mapreduce_core::Options;
    ///
    /// assert_eq!(Options::default().partitions_for(1 << 30), 32);
    /// ```
    pub fn partitions_for(&self, input_bytes: u64) -> u32 {
        let by_size = (input_bytes / PARTITION_BYTES).clamp(1, DEFAULT_PARTITIONS_MAX) as u32;
        self.partitions.unwrap_or(by_size).max(1)
    }
}
