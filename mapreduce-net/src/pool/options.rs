//! [`PoolOptions`]: how a program uses a pool.

use crate::{Timing, transport::Limits};
use mapreduce_core::Memory;
use std::time::Duration;

/// How a program uses a pool, and what it may spend on it.
///
/// ```
/// use mapreduce_net::PoolOptions;
/// let options = PoolOptions { min_peers: 3, ..PoolOptions::default() };
/// assert_eq!(options.inline_bytes, 65_536);
/// ```
#[derive(Clone, Debug)]
pub struct PoolOptions {
    /// Peers that must be there before [`Pool::connect`](crate::Pool::connect) returns; default 1, 0 acts as 1. Others
    /// are used as soon as they are found. A job that starts with few peers ships its splits to those few.
    pub min_peers: usize,
    /// How long [`Pool::connect`](crate::Pool::connect) waits for them; default 10 s.
    pub connect_timeout: Duration,
    /// How long a job waits while there is no peer that it can use, before it fails; default 60 s. It bounds how long a
    /// pool may be gone altogether.
    pub no_peers_timeout: Duration,
    /// Threads of this process that reduce what is too small to be worth a peer; default 0, as many as the machine runs
    /// at once.
    pub threads: usize,
    /// Map output of a round, in bytes, that each peer may put into its messages; default 64 KiB, and no more than 1 MiB.
    /// If all map output of a round comes so, it is reduced in this process. 0 reduces everything on the peers. Costs as
    /// much memory for each peer, and control messages of that size.
    pub inline_bytes: u32,
    /// Splits that are read and sent to peers at once; default 8, 0 acts as 1, and fewer while a quarter of `memory` has
    /// no room for another one. Each costs its own size in memory; fewer than there are peers leaves some of them waiting.
    pub splits_shipped_max: usize,
    /// What output that comes from the peers and splits on their way to them may hold in this process, and where output that
    /// does not fit is spilled to; default
    /// [`Memory::of_machine`].
    pub memory: Memory,
    /// Bounds of connections. The windows are smaller where `memory` is small ([`Limits::within`]).
    pub limits: Limits,
    /// How often peers are asked whether they are there, and how long they may be silent.
    pub timing: Timing,
    /// What the program calls itself in the logs of peers; by default the name of the executable and the process id.
    pub name: Option<String>,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            min_peers: 1,
            connect_timeout: Duration::from_secs(10),
            no_peers_timeout: Duration::from_secs(60),
            threads: 0,
            inline_bytes: 64 << 10,
            splits_shipped_max: 8,
            memory: Memory::of_machine(),
            limits: Limits::default(),
            timing: Timing::default(),
            name: None,
        }
    }
}

impl PoolOptions {
    /// The name, or else the default one.
    pub(super) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| {
            let path = std::env::current_exe().unwrap_or_default();
            let program = path.file_stem().unwrap_or("driver".as_ref()).to_string_lossy();
            format!("{program}/{}", std::process::id())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_its_executable_unless_it_has_a_name() {
        let named = PoolOptions { name: Some("nightly".into()), ..PoolOptions::default() };
        assert_eq!(named.name(), "nightly");
        let name = PoolOptions::default().name();
        assert!(name.ends_with(&format!("/{}", std::process::id())) && !name.starts_with('/'), "{name}");
    }
}
