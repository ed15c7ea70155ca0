//! [`PeerOptions`]: where a peer listens, and what it gives to jobs.

use crate::{
    Timing,
    pool_file::{DEFAULT_PORT, PoolAddress},
    transfer::Compression,
    transport::Limits,
};
use mapreduce_core::Memory;
use std::{net::SocketAddr, thread::available_parallelism, time::Duration};

/// How a peer is reached and what it gives to jobs. All fields have defaults; change single ones.
///
/// ```
/// use mapreduce_net::PeerOptions;
/// let options = PeerOptions { threads: 2, ..PeerOptions::default() };
/// assert_eq!(options.listen.port(), 7077);
/// ```
#[derive(Clone, Debug)]
pub struct PeerOptions {
    /// The address and UDP port to listen on; default `0.0.0.0:7077`, every IPv4 address of the machine. `[::]:7077` is
    /// every address of either kind on Linux and macOS. Port 0 is one that the system chooses.
    pub listen: SocketAddr,
    /// What other nodes are told to dial, the best first; default none, which means the address that the peer is seen
    /// at. For a peer behind a port that a router forwards.
    pub advertise: Vec<PoolAddress>,
    /// Threads that work on tasks; default 0, which is one for each processor. Messages and data take some of the
    /// processors' time beside them.
    pub threads: usize,
    /// Windows, counts and timeouts of connections. The windows are smaller where `memory` is small ([`Limits::within`]).
    pub limits: Limits,
    /// How often the peer says that it lives, and how long it waits to hear that others do.
    pub timing: Timing,
    /// Drivers that may have work here at once; default 16. Further ones are told that the peer is busy. Each may have a
    /// job's broadcast values, outputs and queued attempts in memory here.
    pub drivers_max: u32,
    /// What the jobs of all drivers may hold here together, and where what does not fit is spilled to; default
    /// [`Memory::of_machine`]. Counted besides what [`Memory`] names are cached splits, broadcast values, and a part set
    /// apart for what is fetched. It must have room for at least one task of each job (twice its
    /// [`segment_bytes`](mapreduce_core::Options::segment_bytes), and 2 MiB): tasks of a job for which it has not fail here.
    pub memory: Memory,
    /// Bytes of cached splits, of all drivers together; default half of `memory`. Those that were used longest ago go
    /// first, and are sent again when a task needs them; so are those for which there is no room in `memory`. What
    /// mappers put into the caches of their splits counts for `memory` alone, where they say how large it is.
    pub cache_bytes_max: Option<u64>,
    /// Bytes that are on their way to this peer or have come and were not used yet: splits, map output, broadcast
    /// values; default an eighth of `memory`, in which it is set apart. Less keeps threads waiting for data. What a
    /// single reduce task needs beyond that is spilled as it comes.
    pub fetch_bytes_max: Option<u64>,
    /// Whether output is compressed on its way to others; default [`Compression::Auto`].
    pub compression: Compression,
    /// The longest that [`Peer::drain`](super::Peer::drain) takes; default 60 s. A peer that leaves sooner than its
    /// drivers have let it go costs them the work that they have to do again.
    pub drain_timeout: Duration,
}

impl Default for PeerOptions {
    fn default() -> Self {
        Self {
            listen: ([0, 0, 0, 0], DEFAULT_PORT).into(),
            advertise: Vec::new(),
            threads: 0,
            limits: Limits::default(),
            timing: Timing::default(),
            drivers_max: 16,
            memory: Memory::of_machine(),
            cache_bytes_max: None,
            fetch_bytes_max: None,
            compression: Compression::Auto,
            drain_timeout: Duration::from_secs(60),
        }
    }
}

impl PeerOptions {
    /// The number of threads, with 0 replaced by that of the processors.
    pub(super) fn threads_or_all(&self) -> usize {
        match self.threads {
            0 => available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    pub(super) fn cache_bytes(&self) -> u64 {
        self.cache_bytes_max.unwrap_or(self.memory.budget_bytes() / 2)
    }

    pub(super) fn fetch_bytes(&self) -> u64 {
        self.fetch_bytes_max.unwrap_or(self.memory.budget_bytes() / 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_the_memory_are_what_was_asked_for_or_follow_from_it() {
        let options = PeerOptions { memory: Memory::limited(800), ..PeerOptions::default() };
        assert_eq!((options.cache_bytes(), options.fetch_bytes()), (400, 100));
        let options = PeerOptions { cache_bytes_max: Some(1), fetch_bytes_max: Some(2), ..options };
        assert_eq!((options.cache_bytes(), options.fetch_bytes()), (1, 2));
    }

    #[test]
    fn no_number_of_threads_means_all() {
        assert!(PeerOptions::default().threads_or_all() > 0);
        assert_eq!(PeerOptions { threads: 3, ..PeerOptions::default() }.threads_or_all(), 3);
    }
}
