//! Transfers over real connections on loopback.

mod rates;

use super::*;
use crate::{
    NodeId,
    mesh::OpenError,
    transport::{Connection, Limits},
    wire::{
        FrameReader, FrameWriter, WireError,
        message::{Open, Request},
        tests::{PATIENCE, connections},
    },
};
use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

/// The nodes that a requester has connections to.
struct Nodes(HashMap<NodeId, Connection>);

impl Opener for Nodes {
    async fn open(&self, to: NodeId, open: &Open) -> Result<(FrameWriter, FrameReader), OpenError> {
        let unreachable = |reason: String| OpenError::Unreachable { node: to, reason };
        let connection = self.0.get(&to).ok_or_else(|| unreachable("unknown".to_owned()))?;
        let (send, receive) = connection.open_bi().await.map_err(|error| unreachable(error.to_string()))?;
        let mut writer = FrameWriter::new(send);
        writer.send(open).await?;
        Ok((writer, FrameReader::new(receive)))
    }
}

/// Nodes that handle each request by `handle`, and a requester with connections to them.
async fn nodes<H, F>(limits: &Limits, count: usize, handle: H) -> (Nodes, Vec<NodeId>)
where
    H: Fn(u64, FrameWriter, FrameReader) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut nodes = HashMap::new();
    let mut ids = Vec::new();
    for (dialled, accepted) in connections(limits, count).await {
        ids.push(dialled.peer_id());
        nodes.insert(dialled.peer_id(), dialled);
        let handle = handle.clone();
        tokio::spawn(async move {
            while let Ok((send, receive)) = accepted.accept_bi().await {
                let (writer, mut reader) = (FrameWriter::new(send), FrameReader::new(receive));
                let handle = handle.clone();
                tokio::spawn(async move {
                    match reader.expect().await {
                        Ok(Open::Fetch(Request::Split { dataset, .. })) => {
                            handle(dataset, writer, reader).await;
                        }
                        other => panic!("not a request: {other:?}"),
                    }
                });
            }
        });
    }
    (Nodes(nodes), ids)
}

/// A request that a test tells from others by its number.
fn request(number: u64) -> Request {
    Request::Split { dataset: number, split: 0 }
}

/// Bytes that differ from place to place.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        noise.extend_from_slice(&random.next().to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// The result of something that must not hang.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it hangs")
}
