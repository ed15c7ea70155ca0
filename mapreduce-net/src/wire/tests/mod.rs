//! Frames over real streams, and messages of arbitrary bytes. [`connections`] is for other tests, too.

mod frames;
pub(crate) mod messages;

use crate::{
    Identity, Validity,
    pool_file::PoolFile,
    transport::{Acceptor, Channel, Connection, Endpoint, Limits},
};
use std::{net::SocketAddr, time::Duration};

/// Longer than anything takes that works, on any machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Data connections from one node to `count` others over loopback: the dialling and the accepting end of each.
pub(crate) async fn connections(limits: &Limits, count: usize) -> Vec<(Connection, Connection)> {
    let (file, _) = PoolFile::create(vec!["127.0.0.1".parse().unwrap()]).unwrap();
    let node = || -> (Endpoint, Acceptor) {
        let identity = Identity::member(&file, Validity::default()).unwrap();
        Endpoint::listen(SocketAddr::from(([127, 0, 0, 1], 0)), identity, limits).unwrap()
    };
    let (dialling, _acceptor) = node();
    let mut connections = Vec::new();
    for _ in 0..count {
        let (listening, mut acceptor) = node();
        let dialled = dialling.connect(listening.local_address(), Channel::Data);
        let (dialled, accepted) =
            tokio::time::timeout(PATIENCE, async { tokio::join!(dialled, acceptor.accept()) }).await.unwrap();
        connections.push((dialled.unwrap(), accepted.unwrap()));
    }
    connections
}
