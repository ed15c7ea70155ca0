//! The bounds of a job: how often it tries, how long it waits.

use std::time::Duration;

/// What a [`Coordinator`](super::Coordinator) may spend on a job before it gives up or moves work elsewhere.
///
/// ```
/// use mapreduce_core::schedule::Config;
/// let config = Config { attempts_max: 1, ..Config::default() };
/// assert_eq!(config.peers_lost_max, 3);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Charged failures of one task in one round (user code failed, or its deadline passed) at which the job fails.
    /// Default 4; 0 acts as 1. Cost: a task that always fails runs this often before the user hears of it.
    pub attempts_max: u16,

    /// Peers that may be lost while they run the same task in one round; at this number the job fails and the task
    /// is named, because it may be what kills them. Default 3; 0 acts as 1. Cost: such a task takes this many
    /// nodes down first; a lower number blames tasks that merely happened to run there.
    pub peers_lost_max: u16,

    /// Failures of the node (disk full, say) without a commit in between at which a peer is quarantined: it gets no
    /// new attempt until the next round. Default 3; 0 acts as 1. Cost: that many attempts are wasted on a bad node.
    pub node_failures_max: u16,

    /// Reports that a peer's map output cannot be fetched, in one round, at which its map tasks run again elsewhere
    /// and the peer is quarantined (unless it is the only usable one). Default 3; 0 acts as 1. Cost: a lower number
    /// runs map tasks again for a hiccup of the network, a higher one keeps reduce tasks failing for longer.
    pub fetch_failures_max: u16,

    /// Failed fetches of one reduce task in one round at which the job fails. They are not charged to its attempts;
    /// this only ends a loop that re-running map tasks cannot end. Default 64; 0 acts as 1.
    pub task_fetch_failures_max: u16,

    /// How long work may remain while nothing runs and no peer is usable (trusted, not draining or quarantined,
    /// at least one slot) before the job fails; if all peers that take part are quarantined, it is a second at most. Default 60 s. Cost: a driver that lost its pool waits this long;
    /// one that has no pool, since all runs in its own process, sets zero.
    pub no_peers_timeout: Duration,

    /// How long an attempt may run before it is cancelled and charged as failed. Default `None`: for ever. Cost:
    /// a value below the honest running time of the slowest task fails the job.
    pub task_deadline: Option<Duration>,

    /// How long a map task whose split is pinned to a busy peer waits for that peer before another idle peer may
    /// take it. Default 100 ms. Cost: an idle peer may wait this long although there is work; at zero every
    /// split moves to whoever is idle first, and with it goes what was cached for it.
    pub locality_wait: Duration,

    /// How many times the median running time of the committed tasks of its stage an attempt may run before it
    /// counts as a straggler and may get a backup attempt on an otherwise idle peer. Default 2.0. Cost: a lower
    /// number runs more tasks twice.
    pub backup_factor: f64,

    /// The least running time of a straggler, whatever the median. Default 500 ms. Cost: below the jitter of the
    /// pool it starts backups for tasks that are about to end.
    pub backup_after_min: Duration,

    /// The most tasks (splits plus partitions) a round may have. Default 16 777 216. Cost: about 90 bytes a split
    /// and 50 bytes a partition.
    pub tasks_max: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            attempts_max: 4,
            peers_lost_max: 3,
            node_failures_max: 3,
            fetch_failures_max: 3,
            task_fetch_failures_max: 64,
            no_peers_timeout: Duration::from_secs(60),
            task_deadline: None,
            locality_wait: Duration::from_millis(100),
            backup_factor: 2.0,
            backup_after_min: Duration::from_millis(500),
            tasks_max: 1 << 24,
        }
    }
}
