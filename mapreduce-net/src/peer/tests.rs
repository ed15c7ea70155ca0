//! Peers on loopback, and a driver made by hand that says what it likes to them.

mod attempts;
mod driver;
mod folders;
mod jobs;
mod rounds;
mod sessions;
mod splits;

use super::*;
use crate::{
    Validity,
    pool_file::{ClientFile, MemberFile, PoolFile},
};
use driver::{Driver, Link};
use std::future::Future;

/// Longer than anything takes that works, on any machine.
const PATIENCE: Duration = Duration::from_secs(30);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it takes too long")
}

fn options() -> PeerOptions {
    // Nothing ends because a test is slow.
    let timing = Timing { lease: 2 * PATIENCE, ..Timing::default() };
    PeerOptions { listen: ([127, 0, 0, 1], 0).into(), threads: 1, timing, ..PeerOptions::default() }
}

/// Some peers that know each other, and the files to join them with.
struct Pool {
    member: MemberFile,
    client: ClientFile,
    peers: Vec<Peer>,
}

impl Pool {
    async fn start(peers: usize, options: PeerOptions) -> Self {
        let (member, client) = PoolFile::create(vec!["127.0.0.1".parse().unwrap()]).unwrap();
        let mut pool = Self { member, client, peers: Vec::new() };
        for _ in 0..peers {
            let identity = Identity::member(&pool.member, Validity::default()).unwrap();
            let peer = Peer::start(identity, pool.addresses(), jobs::registry(), options.clone());
            pool.peers.push(peer.await.unwrap());
        }
        for peer in &pool.peers {
            driver::met(peer.events(), pool.others(peer.node_id())).await;
        }
        pool
    }

    async fn one(options: PeerOptions) -> Self {
        Self::start(1, options).await
    }

    fn peer(&self) -> &Peer {
        &self.peers[0]
    }

    fn addresses(&self) -> Vec<PoolAddress> {
        self.peers.iter().map(|peer| peer.local_address().to_string().parse().unwrap()).collect()
    }

    fn others(&self, than: NodeId) -> Vec<NodeId> {
        self.peers.iter().map(Peer::node_id).filter(|node| *node != than).collect()
    }

    /// A driver, which is a client.
    async fn driver(&self) -> Driver {
        let identity = Identity::client(&self.client, Validity::default()).unwrap();
        Driver::start(identity, self).await
    }

    /// A driver with a session at the first peer.
    async fn session(&self) -> (Driver, Link) {
        let driver = self.driver().await;
        let link = driver.session(self.peer().node_id()).await;
        (driver, link)
    }
}
