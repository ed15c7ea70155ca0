//! A pool for tests: peers in this process, over real QUIC connections on loopback.
//!
//! ```
//! use mapreduce_core::{Registry, prelude::*};
//! use mapreduce_net::testing::TestPool;
//! # #[derive(Clone, Serialize, Deserialize)]
//! # struct Parity;
//! # impl Mapper for Parity {
//! #     type Input = Items<u64>;
//! #     type Key = bool;
//! #     type Value = u64;
//! #     fn map(&self, n: &u64, out: &mut impl Emit<bool, u64>) -> Result { out.emit(&n.is_multiple_of(2), n) }
//! # }
//! # impl SimpleJob for Parity {
//! #     const NAME: &'static str = "parity";
//! #     type Combiner = Sum;
//! #     type Reducer = Fold<Sum>;
//! # }
//!
//! // `Parity` sums odd and even numbers.
//! let mut pool = TestPool::start(2, Registry::new().with::<Parity>()?)?;
//! let engine = pool.connect()?;
//! let numbers: Vec<u64> = (1..=10).collect();
//! let data = Dataset::new(ItemSlice::new(&numbers))?;
//! assert_eq!(engine.run(&Parity, &(), &data)?.pairs, [(false, 25), (true, 30)]);
//!
//! pool.kill(0);
//! assert_eq!(engine.run(&Parity, &(), &data)?.pairs, [(false, 25), (true, 30)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::{
    Identity, IdentityError, NodeId, Peer, PeerError, PeerOptions, PoolError, PoolOptions, Validity,
    blocking,
    pool_file::{ClientFile, MemberFile, PoolAddress, PoolFile, PoolFileError},
};
use mapreduce_core::Registry;
use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::mpsc,
    thread::{self, JoinHandle},
};
use tokio::{runtime::Builder, sync::oneshot};

/// Peers on loopback that end with this value.
#[derive(Debug)]
pub struct TestPool {
    file: MemberFile,
    registry: Registry,
    options: PeerOptions,
    peers: Vec<TestPeer>,
}

/// Why a test pool did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestPoolError {
    /// No pool file could be made.
    #[error(transparent)]
    PoolFile(#[from] PoolFileError),
    /// No identity could be made.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A peer did not start.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// A thread did not start.
    #[error("cannot start a thread for a peer: {0}")]
    Thread(#[from] io::Error),
}

impl TestPool {
    /// Starts `peers` peers of one thread each.
    ///
    /// # Errors
    /// When a socket or a thread is not to be had.
    pub fn start(peers: usize, registry: Registry) -> Result<Self, TestPoolError> {
        Self::start_with(peers, registry, PeerOptions { threads: 1, ..PeerOptions::default() })
    }

    /// The same with options. The address to listen at is chosen by the system all the same.
    ///
    /// # Errors
    /// Those of [`start`](Self::start).
    pub fn start_with(peers: usize, registry: Registry, options: PeerOptions) -> Result<Self, TestPoolError> {
        // Until the first peer has one, there is no address to give.
        let nowhere = PoolAddress::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)));
        let (file, _) = PoolFile::create(vec![nowhere])?;
        let options = PeerOptions { listen: (Ipv4Addr::LOCALHOST, 0).into(), ..options };
        let mut pool = Self { file, registry, options, peers: Vec::new() };
        for _ in 0..peers {
            pool.add()?;
        }
        Ok(pool)
    }

    /// Starts one more peer, and gives its number. The first one founds the pool.
    ///
    /// # Errors
    /// Those of [`start`](Self::start).
    pub fn add(&mut self) -> Result<usize, TestPoolError> {
        self.add_with(self.registry.clone())
    }

    /// The same, with other jobs than the rest of the pool.
    ///
    /// # Errors
    /// Those of [`start`](Self::start).
    pub fn add_with(&mut self, registry: Registry) -> Result<usize, TestPoolError> {
        let peer = TestPeer::start(&self.file, registry, self.options.clone())?;
        let mut addresses: Vec<_> = self.running().map(|peer| peer.address.into()).collect();
        addresses.push(peer.address.into());
        self.file = self.file.with_addresses(addresses)?;
        self.peers.push(peer);
        Ok(self.peers.len() - 1)
    }

    /// Connects a driver; returns when all peers that run are there.
    ///
    /// # Errors
    /// As for [`blocking::Pool::connect`].
    pub fn connect(&self) -> Result<blocking::Pool, PoolError> {
        self.connect_with(PoolOptions { min_peers: self.running().count(), ..PoolOptions::default() })
    }

    /// Connects a driver with options.
    ///
    /// # Errors
    /// As for [`blocking::Pool::connect`].
    pub fn connect_with(&self, options: PoolOptions) -> Result<blocking::Pool, PoolError> {
        blocking::Pool::connect(&PoolFile::Client(self.client_file()), options)
    }

    /// Ends a peer at once, as a crash of its process would: it tells nobody, and its socket is closed. Code of a job that
    /// runs on its threads runs to its end, but nobody hears of it. Nothing happens if it has ended.
    ///
    /// # Panics
    /// When there is no peer of that number.
    pub fn kill(&mut self, peer: usize) {
        self.peers[peer].end(End::Kill);
    }

    /// Ends a peer in good order: it finishes what it runs, and hands over. Waits until it is gone.
    ///
    /// # Panics
    /// When there is no peer of that number.
    pub fn drain(&mut self, peer: usize) {
        self.peers[peer].end(End::Drain);
    }

    /// Who a peer is.
    ///
    /// # Panics
    /// When there is no peer of that number.
    pub fn node_id(&self, peer: usize) -> NodeId {
        self.peers[peer].node
    }

    /// The file with which further members join, at the peers that run.
    pub fn member_file(&self) -> &MemberFile {
        &self.file
    }

    /// The file with which drivers connect.
    pub fn client_file(&self) -> ClientFile {
        self.file.client_file()
    }

    fn running(&self) -> impl Iterator<Item = &TestPeer> {
        self.peers.iter().filter(|peer| peer.end.is_some())
    }
}

/// A peer with a runtime of its own, which can end without the peer's knowledge.
struct TestPeer {
    node: NodeId,
    address: SocketAddr,
    /// Taken when the peer ends.
    end: Option<oneshot::Sender<End>>,
    thread: Option<JoinHandle<()>>,
}

enum End {
    Kill,
    Drain,
}

impl TestPeer {
    fn start(file: &MemberFile, registry: Registry, options: PeerOptions) -> Result<Self, TestPoolError> {
        let identity = Identity::member(file, Validity::default())?;
        let join = file.addresses().to_vec();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (end, ended) = oneshot::channel();
        let (started, is_started) = mpsc::sync_channel::<Result<(NodeId, SocketAddr), PeerError>>(1);
        let thread = thread::Builder::new().name("mapreduce-test-peer".into()).spawn(move || {
            let peer = runtime.block_on(async move {
                let peer = match Peer::start(identity, join, registry, options).await {
                    Ok(peer) => peer,
                    Err(error) => {
                        let _ = started.send(Err(error));
                        return None;
                    }
                };
                let _ = started.send(Ok((peer.node_id(), peer.local_address())));
                if let Ok(End::Drain) = ended.await {
                    peer.drain().await;
                }
                Some(peer)
            });
            // In this order: when the peer closes its connections, nobody is left to send that.
            drop(runtime);
            drop(peer);
        })?;
        let (node, address) =
            is_started.recv().map_err(|_| io::Error::other("it panicked as it started"))??;
        Ok(Self { node, address, end: Some(end), thread: Some(thread) })
    }

    fn end(&mut self, how: End) {
        if let Some(end) = self.end.take() {
            // It waits for this.
            let _ = end.send(how);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for TestPeer {
    fn drop(&mut self) {
        self.end(End::Kill);
    }
}

impl fmt::Debug for TestPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestPeer")
            .field("node", &self.node)
            .field("address", &self.address)
            .field("running", &self.end.is_some())
            .finish()
    }
}
