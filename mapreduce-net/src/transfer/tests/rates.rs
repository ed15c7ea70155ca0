//! Transfers and bare streams move the same bytes. With `--release -- rates --nocapture` it shows how fast.

use super::*;
use std::time::Instant;

/// Bytes moved in each way: enough to see a rate in a release build, and to be quick in others.
const BYTES: usize = if cfg!(debug_assertions) { 16 << 20 } else { 512 << 20 };

#[derive(Clone)]
struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[expect(clippy::print_stderr, reason = "figures for whoever measures")]
fn show(what: &str, started: Instant) -> f64 {
    let rate = BYTES as f64 / started.elapsed().as_secs_f64() / 1e6;
    eprintln!("{what:30} {rate:6.0} MB/s");
    rate
}

async fn compare(limits: Limits) {
    let bytes = Arc::new(noise(1, BYTES));
    let served = bytes.clone();
    let (opener, ids) = nodes(&limits, 1, move |number, mut writer, reader| {
        let served = served.clone();
        async move {
            match number {
                0 => {
                    for piece in served.chunks(256 << 10) {
                        writer.stream().write_all(piece).await.unwrap();
                    }
                    writer.finish().unwrap();
                    writer.stream().stopped().await.unwrap();
                }
                1 => {
                    let mut body = Body::new();
                    body.push(0, 0, Shared(served));
                    serve(writer, reader, body).await.unwrap();
                }
                size => {
                    let mut body = Body::new();
                    for (index, blob) in served.chunks(size as usize).enumerate() {
                        body.push(index as u32, 0, blob.to_vec());
                    }
                    serve(writer, reader, body).await.unwrap();
                }
            }
        }
    })
    .await;
    let budget = Budget::new(4 << 30);
    for _ in 0..3 {
        let started = Instant::now();
        let (_writer, reader) = opener.open(ids[0], &Open::Fetch(request(0))).await.unwrap();
        let (_, mut stream) = reader.into_parts();
        let mut read = 0;
        while let Some(chunk) = stream.read_chunk(256 << 10).await.unwrap() {
            read += chunk.len();
        }
        assert_eq!(read, BYTES);
        show("bare stream, read_chunk", started);

        let started = Instant::now();
        let (_writer, reader) = opener.open(ids[0], &Open::Fetch(request(0))).await.unwrap();
        let (_, mut stream) = reader.into_parts();
        let mut read = 0;
        let mut buffer = vec![0; 256 << 10];
        while let Some(more) = stream.read(&mut buffer).await.unwrap() {
            read += more;
        }
        assert_eq!(read, BYTES);
        show("bare stream, read", started);

        for (number, what) in [
            (1, "transfer of one blob"),
            (1 << 20, "blobs of 1 MiB"),
            (10 << 10, "blobs of 10 KiB"),
            (100, "blobs of 100 bytes"),
        ] {
            let started = Instant::now();
            let fetched = fetch(&opener, ids[0], request(number), &budget).await.unwrap();
            show(what, started);
            let blobs = fetched.blobs().iter().map(|blob| &blob.bytes[..]);
            assert!(blobs.flatten().eq(bytes.iter()), "the bytes differ");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rates_of_transfers_and_of_bare_streams() {
    compare(Limits::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rates_with_large_packets() {
    compare(Limits { mtu_max_bytes: 65_527, ..Limits::default() }).await;
}
