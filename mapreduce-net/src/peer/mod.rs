//! [`Peer`]: a node that works on the tasks of drivers.
//!
//! * `host` decides which drivers get a session and shares the slots among them; `session` speaks with one driver;
//! * `tasks` has the rounds and attempts of a session: `round` makes the parts of a job, `values` has what is broadcast,
//!   `stage` brings the input of attempts here, `run` is one attempt on a thread of the `executor`,
//!   `folder` the driver's, which it may write to;
//! * `splits` and `outputs` are what stays here between attempts, and `serve` gives the latter to others.
//!
//! Tasks of tokio never run a job's code, and the executor's threads never wait for the network: they tell the session
//! that something is done and look for the next attempt. Whatever holds a job's own values is dropped on these threads,
//! too ([`Executor::bury`]).

mod executor;
mod failure;
mod folder;
mod host;
mod options;
mod outputs;
mod round;
mod run;
mod serve;
mod session;
mod splits;
mod stage;
mod tasks;
#[cfg(test)]
mod tests;
mod values;

pub use options::PeerOptions;

use crate::{
    Identity, Member, NodeId, Timing,
    mesh::{MemberEvents, Mesh, MeshConfig, Offer, OpenError},
    pool_file::PoolAddress,
    transfer::{Budget, Compression, Opener},
    transport::{BindError, Channel},
    wire::{FrameReader, FrameWriter, message::Open},
};
use executor::Executor;
use host::{Drain, Host};
use mapreduce_core::{HeldApart, Memory, Registry};
use outputs::Shelves;
use splits::Splits;
use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    task::AbortHandle,
    time::timeout,
};

/// Attempts of all drivers that the peer takes at once, for each of its threads: enough that a thread finds the next one
/// waiting while the driver hears of the last, however short they are.
const SLOTS_PER_THREAD: u32 = 32;

/// A node that works on the tasks of drivers, and tells others of the pool. Dropping it is [`Peer::close`].
///
/// ```
/// use mapreduce_core::Registry;
/// use mapreduce_net::{Identity, Peer, PeerOptions, Validity, pool_file::PoolFile};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let (member, _) = PoolFile::create(vec!["127.0.0.1".parse()?])?;
/// let identity = Identity::member(&member, Validity::default())?;
/// let options = PeerOptions { listen: "127.0.0.1:0".parse()?, ..PeerOptions::default() };
/// let peer = Peer::start(identity, Vec::new(), Registry::new(), options).await?;
/// assert_ne!(peer.local_address().port(), 0);
/// peer.drain().await;
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Peer {
    shared: Arc<Shared>,
    drains: mpsc::UnboundedSender<Drain>,
    host: AbortHandle,
    drain_timeout: Duration,
}

/// Why a peer did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// It cannot listen, is no member, or there is no tokio runtime.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The threads could not be started.
    #[error("cannot start {threads} threads: {message}; ask for fewer")]
    Threads {
        /// How many.
        threads: usize,
        /// What the system said.
        message: String,
    },
    /// An option has a value with which nothing would work.
    #[error("option `{field}`: {reason}")]
    Options {
        /// The field of [`PeerOptions`].
        field: &'static str,
        /// What it must be.
        reason: &'static str,
    },
}

/// What the parts of a peer have in common.
struct Shared {
    mesh: Mesh,
    registry: Registry,
    executor: Executor,
    splits: Splits,
    shelves: Shelves,
    memory: Memory,
    /// For what is fetched.
    budget: Budget,
    /// Sets the budget apart in the memory.
    _fetching: HeldApart,
    compression: Compression,
    timing: Timing,
}

impl Peer {
    /// Starts a peer that knows the jobs of `registry`, and joins the pool through `join`, among which may be its own
    /// address. When this returns it serves; that it has found the others is seen in [`Peer::events`]. With nobody to
    /// join it is a pool of one, which others may join.
    ///
    /// Needs a tokio runtime that lives as long as the peer. The threads for tasks are the peer's own.
    ///
    /// # Errors
    /// [`PeerError::Bind`] if the address is taken or cannot be listened on, `identity` is that of a client, or there is no
    /// tokio runtime; [`PeerError::Threads`] and [`PeerError::Options`].
    pub async fn start(
        identity: Identity,
        join: Vec<PoolAddress>,
        registry: Registry,
        options: PeerOptions,
    ) -> Result<Self, PeerError> {
        let threads = options.threads_or_all();
        check(&options, threads)?;
        let failed =
            |error: rayon::ThreadPoolBuildError| PeerError::Threads { threads, message: error.to_string() };
        let executor = Executor::new(threads).map_err(failed)?;
        let jobs = registry.jobs().cloned().collect();
        let (cache_bytes, fetch_bytes) = (options.cache_bytes(), options.fetch_bytes());
        let (mesh, incoming) = Mesh::start(MeshConfig {
            identity,
            join,
            listen: Some(options.listen),
            advertise: options.advertise,
            offer: Some(Offer { threads: threads as u32, jobs }),
            limits: options.limits.within(options.memory.budget_bytes()),
            timing: options.timing.clone(),
        })?;
        let shared = Arc::new(Shared {
            mesh,
            registry,
            executor,
            splits: Splits::new(cache_bytes),
            shelves: Shelves::default(),
            budget: Budget::new(fetch_bytes),
            _fetching: options.memory.set_apart(fetch_bytes),
            memory: options.memory,
            compression: options.compression,
            timing: options.timing,
        });
        let (drains, receiver) = mpsc::unbounded_channel();
        let host = Host::new(shared.clone(), options.drivers_max).run(incoming, receiver);
        let host = tokio::spawn(host).abort_handle();
        tracing::info!(node = %shared.mesh.node_id(), address = %shared.mesh.local_address(), threads, "a peer serves");
        Ok(Self { shared, drains, host, drain_timeout: options.drain_timeout })
    }

    /// Who the peer is.
    pub fn node_id(&self) -> NodeId {
        self.shared.mesh.node_id()
    }

    /// The address it listens on, with the port that the system chose.
    pub fn local_address(&self) -> SocketAddr {
        self.shared.mesh.local_address()
    }

    /// Where others are told that it may be reached, the best first: `host:port`.
    pub fn addresses(&self) -> Vec<String> {
        self.shared.mesh.addresses()
    }

    /// Threads that work on tasks.
    pub fn threads(&self) -> usize {
        self.shared.executor.threads()
    }

    /// The members of the pool that this one knows to be there, itself included.
    pub fn members(&self) -> Vec<Member> {
        self.shared.mesh.members()
    }

    /// Changes of the pool, beginning with the other members that are there.
    pub fn events(&self) -> MemberEvents {
        self.shared.mesh.events()
    }

    /// Threads that have not come back from user code which was told to stop, some [`Timing::lease`] ago or longer. Each
    /// costs its share of the slots until it does. [`threads`](Self::threads) counts them, too.
    pub fn threads_lost(&self) -> usize {
        *self.shared.executor.lost().borrow()
    }

    /// Waits until all threads are [lost](Self::threads_lost): the peer is of no use any more. The program should
    /// [drain](Self::drain) it and end, as user code in an endless loop ends with its process only.
    pub async fn exhausted(&self) {
        let threads = self.threads();
        // An error would say that there are no threads, of which the peer has some.
        let _ = self.shared.executor.lost().wait_for(|lost| *lost >= threads).await;
    }

    /// Leaves the pool in peace: takes no new drivers, lets those that are here fetch what they need, tells the other
    /// members that it leaves, and closes. Takes at most [`PeerOptions::drain_timeout`]; drivers that have not let the peer
    /// go by then do the rest of its work elsewhere.
    ///
    /// If the future is dropped, the peer goes on draining.
    pub async fn drain(&self) {
        let (drain, drained) = oneshot::channel();
        // Without a host there is nothing to wait for.
        if self.drains.send(drain).is_ok() && timeout(self.drain_timeout, drained).await.is_err() {
            tracing::warn!(waited = ?self.drain_timeout, "the peer leaves although drivers still need it");
        }
        self.shared.mesh.leave().await;
        self.close();
    }

    /// Ends at once. Drivers do the peer's work again elsewhere; attempts that run are told to stop, but user code that
    /// does not look keeps its thread until it is done.
    pub fn close(&self) {
        self.host.abort();
        self.shared.mesh.close();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    /// Attempts of all drivers that the peer takes at once, if none of its threads is lost.
    fn slots_max(&self) -> u32 {
        (self.executor.threads() as u32).saturating_mul(SLOTS_PER_THREAD)
    }
}

impl Opener for Shared {
    async fn open(&self, to: NodeId, open: &Open) -> Result<(FrameWriter, FrameReader), OpenError> {
        self.mesh.open(to, Channel::Data, open).await
    }
}

/// More threads than this are a mistake.
const THREADS_MAX: usize = 1 << 12;
/// So are longer intervals, which in sums and multiples would leave the range of the clock.
const INTERVAL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// The rule for intervals. Those of 0 would keep a processor busy, or give everybody up.
const INTERVAL: &str = "must be more than 0 and at most a day";

fn check(options: &PeerOptions, threads: usize) -> Result<(), PeerError> {
    let works = |interval: Duration| !interval.is_zero() && interval <= INTERVAL_MAX;
    let rules = [
        ("threads", threads <= THREADS_MAX, "must be at most 4096"),
        ("drivers_max", options.drivers_max > 0, "must not be 0"),
        ("fetch_bytes_max", options.fetch_bytes_max != Some(0), "must not be 0"),
        ("timing.lease", works(options.timing.lease), INTERVAL),
        ("timing.gossip", works(options.timing.gossip), INTERVAL),
        ("timing.member_timeout", works(options.timing.member_timeout), INTERVAL),
        ("timing.reconnect_max", works(options.timing.reconnect_max), INTERVAL),
    ];
    match rules.into_iter().find(|(_, holds, _)| !holds) {
        Some((field, _, reason)) => Err(PeerError::Options { field, reason }),
        None => Ok(()),
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("node_id", &self.node_id())
            .field("local_address", &self.local_address())
            .field("threads", &self.threads())
            .finish_non_exhaustive()
    }
}
