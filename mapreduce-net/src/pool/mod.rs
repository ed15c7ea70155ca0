//! A program's use of a pool: [`Pool`].
//!
//! | file | subject |
//! |---|---|
//! | `handle.rs` | jobs that are submitted |
//! | `driving.rs` | a job that is being driven: its peers, its rounds, and what peers have been told |
//! | `drive.rs` | the loop of a round: the coordinator's actions go out, what peers say comes in |
//! | `destination.rs` | where reduce output goes: back to the program, or to part files |
//! | `work.rs`, `outputs.rs`, `on_pool.rs` | what the tasks of a round share; the map output that came in messages; what is known of a dataset between jobs |
//! | `pace.rs` | how many attempts a peer is handed at a time |
//! | `hub.rs` | the connections to all peers, as the jobs use them |
//! | `roster.rs` | which peers and jobs there are, and who is told what: a state machine without I/O |
//! | `mailbox.rs` | what a job is told |
//! | `session.rs` | the stream to one peer, from welcome to loss |
//! | `outbox.rs` | what waits to be written to it |
//! | `lease.rs` | whether the peer counts as there: a state machine without clock and I/O |
//! | `probe.rs` | asking its host |
//! | `serve.rs` | what peers fetch of the driver |

mod destination;
mod drive;
mod driving;
mod error;
mod handle;
pub(crate) mod hub;
mod lease;
pub(crate) mod mailbox;
mod on_pool;
mod options;
mod outbox;
mod outputs;
mod pace;
mod probe;
mod roster;
mod serve;
mod session;
mod shipping;
mod work;

pub use driving::Driving;
pub use error::PoolError;
pub use handle::JobHandle;
pub use options::PoolOptions;

use crate::{
    Identity, Member, MemberEvents, NodeId, Validity,
    mesh::{Mesh, MeshConfig},
    pool_file::{PoolAddress, PoolFile},
};
use hub::Hub;
use mapreduce_core::{Local, Options, rayon::ThreadPool, schedule::Event};
use roster::Problem;
use std::{fmt, sync::Arc};

/// A pool of peers, as seen by a program that has jobs for it. Cheap to clone.
///
/// The program keeps connections to all peers. When the last clone is dropped, or at [`close`](Self::close), they end, and
/// the peers forget all that they have of this program.
///
/// ```no_run
/// use mapreduce_net::{Pool, PoolOptions, pool_file::PoolFile};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::connect(&PoolFile::load("lab.pool.client")?, PoolOptions::default()).await?;
/// println!("{} peers", pool.members().len());
/// pool.close().await;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    hub: Hub,
    mesh: Mesh,
    options: PoolOptions,
    /// The threads of this process.
    local: Local,
}

impl Pool {
    /// Connects to the pool of `file`, a member file or a client file, with a new identity. Returns when
    /// [`min_peers`](PoolOptions::min_peers) peers are ready to work for this program. Must be called in a tokio runtime,
    /// which the connections then live on.
    ///
    /// # Errors
    /// [`PoolError::NoPeer`], [`PoolError::TooFewPeers`] or [`PoolError::Busy`] after
    /// [`connect_timeout`](PoolOptions::connect_timeout); and if this process cannot make its certificate, socket or
    /// threads.
    pub async fn connect(file: &PoolFile, options: PoolOptions) -> Result<Self, PoolError> {
        let identity = Identity::from_pool_file(file, Validity::default())?;
        Self::connect_as(identity, file.addresses().to_vec(), options).await
    }

    /// As [`connect`](Self::connect), with an identity that is there already, and addresses to find the pool at.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    pub async fn connect_as(
        identity: Identity,
        addresses: Vec<PoolAddress>,
        options: PoolOptions,
    ) -> Result<Self, PoolError> {
        let local =
            Local::new(options.threads).map_err(PoolError::Threads)?.with_memory(options.memory.clone());
        let (mesh, incoming) = Mesh::start(MeshConfig {
            identity,
            join: addresses,
            listen: None,
            advertise: Vec::new(),
            offer: None,
            limits: options.limits.within(options.memory.budget_bytes()),
            timing: options.timing.clone(),
        })?;
        let hub = Hub::start(mesh.clone(), incoming, &options);
        let pool = Self(Arc::new(Inner { hub, mesh, options, local }));
        let wanted = pool.0.options.min_peers.max(1);
        match tokio::time::timeout(pool.0.options.connect_timeout, pool.0.hub.wait_for(wanted)).await {
            Ok(true) => Ok(pool),
            Ok(false) => Err(PoolError::Closed),
            Err(_) => {
                let error = pool.shortage(wanted);
                pool.close().await;
                Err(error)
            }
        }
    }

    /// The members of the pool, as far as known here.
    pub fn members(&self) -> Vec<Member> {
        self.0.mesh.members()
    }

    /// What changes in the pool, beginning with the members that are there.
    pub fn events(&self) -> MemberEvents {
        self.0.mesh.events()
    }

    /// Threads of this process that read splits, and reduce what is too small to be worth a peer.
    pub fn threads(&self) -> usize {
        self.0.local.threads()
    }

    /// Who this process is in the pool.
    pub fn node_id(&self) -> NodeId {
        self.0.mesh.node_id()
    }

    /// Ends all connections, of all clones. Jobs that run fail; the peers forget them.
    pub async fn close(&self) {
        self.0.hub.close();
        self.0.mesh.close();
        self.0.mesh.closed().await;
    }

    /// Why there are not as many peers as were asked for.
    fn shortage(&self, wanted: usize) -> PoolError {
        let (found, waited) = (self.0.hub.sessions(), self.0.options.connect_timeout);
        let (ready, unready): (Vec<Member>, Vec<Member>) =
            self.members().into_iter().partition(|member| self.0.hub.peer_of(member.node).is_some());
        let unready: Vec<(NodeId, Option<Problem>)> =
            unready.iter().map(|member| (member.node, self.0.hub.problem(member.node))).collect();
        if found == 0 && unready.is_empty() {
            return PoolError::NoPeer { dialled: self.0.mesh.dialled(), waited };
        }
        let busy = unready.iter().map(|(_, problem)| match problem {
            Some(Problem::Busy { drivers }) => Some(*drivers),
            _ => None,
        });
        if found == 0
            && let Some(drivers) = busy.collect::<Option<Vec<_>>>()
        {
            let (peers, drivers) = (drivers.len(), drivers.into_iter().max().unwrap_or(0));
            return PoolError::Busy { peers, drivers, waited };
        }
        let unready = unready
            .into_iter()
            .map(|(node, problem)| match problem {
                Some(Problem::Busy { drivers }) => {
                    format!("node {node}: busy with the jobs of {drivers} programs")
                }
                Some(Problem::Failed(reason)) => format!("node {node}: {reason}"),
                None => format!("node {node}: has not answered yet"),
            })
            .collect();
        let ready = ready
            .into_iter()
            .map(|member| format!("node {} at {}", member.node, member.addresses.join(", ")))
            .collect();
        PoolError::TooFewPeers { found, wanted, waited, ready, unready }
    }

    /// What drives the rounds of one job, for [`Engine::begin`](mapreduce_core::Engine::begin).
    pub(crate) fn drive<'e>(
        &'e self,
        job: &'static str,
        options: &'e Options,
        events: &'e mut dyn FnMut(Event),
    ) -> Driving<'e> {
        Driving::new(&self.0, job, options, events)
    }

    #[cfg(test)]
    fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// Whether the calling thread is one of those that reduce in this process.
    pub(crate) fn is_own_thread(&self) -> bool {
        self.0.threads().current_thread_index().is_some()
    }

    /// Runs work on those.
    pub(crate) fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.0.threads().install(work)
    }
}

impl Inner {
    /// The threads that reduce in this process, and read splits.
    fn threads(&self) -> &ThreadPool {
        self.local.thread_pool()
    }

    /// What tells this pool from others that a program may be connected to.
    fn number(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = *self.mesh.node_id().as_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("node_id", &self.node_id())
            .field("hub", &self.0.hub)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
