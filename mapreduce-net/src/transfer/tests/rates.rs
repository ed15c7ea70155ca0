//! Transfers and bare streams move the same bytes. In a release build with `--nocapture` it shows how fast.
//!
//! A transfer keeps what it fetches, so it is to be held against a bare stream that is kept, too: where memory is fresh
//! from the system, the page faults cost about as much as the rest of the receiving side.

use super::*;
use std::{ops::Range, time::Instant};

/// Bytes moved in each way, and how often: enough to see a rate in a release build, and to be quick in others.
const BYTES: usize = if cfg!(debug_assertions) { 4 << 20 } else { 256 << 20 };
const ROUNDS: usize = if cfg!(debug_assertions) { 1 } else { 7 };

/// A part of what all blobs share.
struct Slice(Arc<Vec<u8>>, Range<usize>);

impl AsRef<[u8]> for Slice {
    fn as_ref(&self) -> &[u8] {
        &self.0[self.1.clone()]
    }
}

/// Blobs of `size` bytes, and one of the rest.
fn sliced(bytes: &Arc<Vec<u8>>, size: usize) -> Body {
    let mut body = Body::new();
    for (start, index) in (0..bytes.len()).step_by(size).zip(0..) {
        body.push(index, 0, Slice(bytes.clone(), start..bytes.len().min(start + size)));
    }
    body
}

/// Reads all of a bare stream; a copy of it if it is to be kept.
async fn bare(nodes: &Nodes, id: NodeId, keep: bool) -> Vec<u8> {
    let (_writer, reader) = nodes.open(id, &Open::Fetch(request(0))).await.unwrap();
    let (_, mut stream) = reader.into_parts();
    let mut kept = Vec::with_capacity(if keep { BYTES } else { 0 });
    let mut read = 0;
    while let Some(chunk) = stream.read_chunk(256 << 10).await.unwrap() {
        read += chunk.len();
        if keep {
            kept.extend_from_slice(&chunk);
        }
    }
    assert_eq!(read, BYTES);
    kept
}

#[expect(clippy::print_stderr, reason = "figures for whoever measures")]
async fn compare(limits: Limits) {
    let bytes = Arc::new(noise(1, BYTES));
    let served = bytes.clone();
    let (nodes, ids) = nodes(&limits, 1, move |size, mut writer, reader| {
        let served = served.clone();
        async move {
            if size > 0 {
                return serve(writer, reader, sliced(&served, size as usize)).await.unwrap();
            }
            for piece in served.chunks(256 << 10) {
                writer.stream().write_all(piece).await.unwrap();
            }
            writer.finish().unwrap();
            writer.stream().stopped().await.unwrap();
        }
    })
    .await;
    let budget = Budget::new(4 << 30);
    let mut rates: Vec<(String, Vec<f64>)> = Vec::new();
    let mut note = |round: usize, way: usize, what: String, started: Instant| {
        let rate = BYTES as f64 / started.elapsed().as_secs_f64() / 1e6;
        if round == 0 {
            rates.push((what, Vec::new()));
        }
        rates[way].1.push(rate);
    };
    for round in 0..ROUNDS {
        for keep in [false, true] {
            let started = Instant::now();
            let read = bare(&nodes, ids[0], keep).await;
            note(round, usize::from(keep), format!("bare stream, kept: {keep}"), started);
            assert!(!keep || read == *bytes);
        }
        for (size, way) in [BYTES, 16 << 20, 1 << 20, 10 << 10, 100].into_iter().zip(2..) {
            let started = Instant::now();
            let fetched = fetch(&nodes, ids[0], request(size as u64), &budget).await.unwrap();
            note(round, way, format!("blobs of {size} bytes"), started);
            let mut rest = &bytes[..];
            for blob in fetched.items() {
                let (expected, after) = rest.split_at(blob.bytes.len());
                assert!(blob.bytes == expected, "blob {} differs", blob.index);
                rest = after;
            }
            assert!(rest.is_empty());
        }
    }
    for (what, mut rates) in rates {
        rates.sort_by(f64::total_cmp);
        let (median, best) = (rates[rates.len() / 2], rates[rates.len() - 1]);
        eprintln!("{what:30} {median:6.0} MB/s at the median, {best:6.0} at best");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rates_of_transfers_and_of_bare_streams() {
    compare(Limits::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rates_with_large_packets() {
    compare(Limits { mtu_max_bytes: 65_507, ..Limits::default() }).await;
}
