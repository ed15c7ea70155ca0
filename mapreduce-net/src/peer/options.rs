//! [`PeerOptions`]: where a peer listens, and what it gives to jobs.

use crate::{
    Timing,
    pool_file::{DEFAULT_PORT, PoolAddress},
    transport::Limits,
};
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
    /// Windows, counts and timeouts of connections.
    pub limits: Limits,
    /// How often the peer says that it lives, and how long it waits to hear that others do.
    pub timing: Timing,
    /// Drivers that may have work here at once; default 16. Further ones are told that the peer is busy. Each may have a
    /// job's broadcast values, outputs and queued attempts in memory here.
    pub drivers_max: u32,
    /// Bytes of cached splits, of all drivers together; default a quarter of the machine's memory, or 1 GiB where that
    /// is not known. Those that were used longest ago go first, and are sent again when a task needs them. What mappers
    /// put into the caches of their splits is not counted.
    pub cache_bytes_max: u64,
    /// Bytes that are on their way to this peer or have come and were not used yet: splits, map output, broadcast
    /// values; default 256 MiB. Less keeps threads waiting for data; what a single reduce task needs is fetched even if
    /// it is more.
    pub fetch_bytes_max: u64,
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
            cache_bytes_max: memory_bytes().map_or(1 << 30, |bytes| bytes / 4),
            fetch_bytes_max: 256 << 20,
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
}

/// The memory of this machine, where the system says so in the way that Linux does.
fn memory_bytes() -> Option<u64> {
    mem_total(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

/// The line `MemTotal:       65536 kB` (proc(5)).
fn mem_total(meminfo: &str) -> Option<u64> {
    let rest = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = rest.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_the_machine_is_read_where_linux_writes_it() {
        assert_eq!(mem_total("MemFree: 1 kB\nMemTotal:       65536 kB\nBuffers: 2 kB\n"), Some(64 << 20));
        for other in ["", "MemTotal: many kB", "MemTotal: 5 MB", "MemTotal: 18446744073709551615 kB"] {
            assert_eq!(mem_total(other), None, "{other}");
        }
        assert!(PeerOptions::default().cache_bytes_max > 0);
    }

    #[test]
    fn no_number_of_threads_means_all() {
        assert!(PeerOptions::default().threads_or_all() > 0);
        assert_eq!(PeerOptions { threads: 3, ..PeerOptions::default() }.threads_or_all(), 3);
    }
}
