//! Transfers over real connections on loopback.

mod budgets;
mod compressed;
mod deviations;
mod rates;
mod requesters;
mod spilling;
mod whole;

use super::*;
use crate::{
    NodeId,
    mesh::OpenError,
    transport::{Connection, Limits},
    wire::{
        FrameReader, FrameWriter, WireError,
        message::{Open, Request},
        tests::{PATIENCE, connections, messages::check},
    },
};
use mapreduce_core::{TaskFailure, codec};
use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, mpsc};

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
                        Ok(Open::Fetch(
                            Request::Split { dataset: number, .. }
                            | Request::Reduced { job: number, .. }
                            | Request::Runs { job: number, .. },
                        )) => handle(number, writer, reader).await,
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

/// Nodes that serve what `body` gives for a number.
async fn servers(
    limits: &Limits,
    count: usize,
    body: impl Fn(u64) -> Vec<Blob> + Clone + Send + Sync + 'static,
) -> (Nodes, Vec<NodeId>) {
    nodes(limits, count, move |number, writer, reader| {
        let body = body_of(body(number));
        async move {
            // Whoever gives up is the requester; it has its own checks.
            let _ = serve(writer, reader, body).await;
        }
    })
    .await
}

fn body_of(blobs: Vec<Blob>) -> Body {
    let mut body = Body::new();
    for Blob { index, pairs, bytes } in blobs {
        body.push(index, pairs, bytes);
    }
    body
}

fn blob(index: u32, bytes: usize) -> Blob {
    Blob { index, pairs: u64::from(index) << 33 | 5, bytes: noise(index.into(), bytes) }
}

/// A body as the header of the module lays it out.
fn encoded(blobs: &[Blob]) -> Vec<u8> {
    let mut body = Vec::new();
    for Blob { index, pairs, bytes } in blobs {
        body.extend(index.to_le_bytes());
        body.extend(pairs.to_le_bytes());
        body.extend((bytes.len() as u64).to_le_bytes());
        body.extend(bytes);
    }
    body
}

/// The trailer behind it.
fn trailer(blobs: u64, body: &[u8]) -> Vec<u8> {
    [blobs, body.len() as u64, xxhash_rust::xxh3::xxh3_64(body)].map(u64::to_le_bytes).concat()
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

#[test]
fn what_is_said_survives_damage() {
    let refusal = Refusal::Unknown { what: "round 3".to_owned() };
    check(&Answer::Refused(refusal.clone()));
    check(&refusal);
    check(&Answer::Offer(Offer { blobs: 3, bytes: u64::MAX }));
    check(&Answer::Compressed(Offer { blobs: 0, bytes: 9 }));
    check(&Credit { bytes: 1 << 20 });
}

#[test]
fn transfers_may_move_between_threads() {
    fn send<T: Send>(_: &T) {}
    let (nodes, budget) = (Nodes(HashMap::new()), Budget::new(1));
    send(&fetch(&nodes, NodeId::from_bytes([0; 16]), request(0), &budget));
    let serving = |writer, reader| send(&serve(writer, reader, Body::new()));
    let refusing = |writer| send(&refuse(writer, Refusal::Unknown { what: String::new() }));
    let _: (fn(_, _), fn(_)) = (serving, refusing);
}
