//! Compressed bodies: what was sent is what is fetched, in fewer bytes, and damage is found.

use super::{super::compression::Packer, *};
use mapreduce_core::{Memory, exec::RunSpiller};

/// Bytes that compress to about a third.
fn text(seed: u64, bytes: usize) -> Vec<u8> {
    let mut text: Vec<u8> =
        noise(seed, bytes).chunks(8).flat_map(|word| [&word[..1], b" word "].concat()).collect();
    text.resize(bytes, b'x');
    text
}

fn blobs() -> Vec<Blob> {
    let sizes = [0, 1, 70, 64 << 10, 300_000, 5, 3 << 20, 40_000, 65_537];
    let bytes = |index: u32, size| match index % 3 {
        0 => noise(index.into(), size),
        _ => text(index.into(), size),
    };
    (0..).zip(sizes).map(|(index, size)| Blob { index, pairs: 3, bytes: bytes(index, size) }).collect()
}

#[tokio::test]
async fn what_was_sent_is_what_is_fetched() {
    let (nodes, ids) = nodes(&Limits::default(), 1, |number, writer, reader| async move {
        let mut sent = blobs();
        if number == 1 {
            sent.truncate(3);
        }
        let _ = serve_compressed(Compression::Always, writer, reader, body_of(sent)).await;
    })
    .await;
    for (number, expected) in [(0, 9), (1, 3)] {
        let budget = Budget::new(64 << 20);
        let fetched = soon(fetch(&nodes, ids[0], request(number), &budget)).await.unwrap();
        assert!(fetched.items() == &blobs()[..expected]);
    }
}

#[tokio::test]
async fn runs_go_from_file_to_file() {
    let memory = Memory::limited(0);
    let mut spiller = RunSpiller::create(&memory).unwrap();
    for _ in 0..50_000 {
        spiller.push(b"\x01\x05kvalue").unwrap();
    }
    let run = spiller.finish(50_000).unwrap().unwrap();
    let sent = run.clone();
    let (nodes, ids) = nodes(&Limits::default(), 1, move |_, writer, reader| {
        let mut body = Body::new();
        body.push_run(4, sent.clone());
        async move { drop(serve_compressed(Compression::Always, writer, reader, body).await) }
    })
    .await;
    let budget = Budget::new(0);
    let requests = vec![(ids[0], request(0))];
    let mut fetched = soon(fetch_runs(&nodes, requests, &budget, &memory)).await.unwrap();
    let (mut runs, _held) = fetched.remove(0).into_parts();
    let arrived = runs.remove(0).into_run().unwrap();
    assert!(arrived == run && arrived.in_memory().is_none());
}

/// How a body of a megabyte is answered, and how many bytes follow.
async fn seen(compression: Compression) -> (Answer, usize) {
    let (nodes, ids) = nodes(&Limits::default(), 1, move |_, writer, reader| async move {
        let body = body_of(vec![Blob { index: 0, pairs: 0, bytes: text(1, 1 << 20) }]);
        let _ = serve_compressed(compression, writer, reader, body).await;
    })
    .await;
    let (mut writer, mut reader) = nodes.open(ids[0], &Open::Fetch(request(0))).await.unwrap();
    let answer = soon(reader.expect()).await.unwrap();
    writer.send(&Credit { bytes: 2 << 20 }).await.unwrap();
    let (rest, mut stream) = reader.into_parts();
    let mut bytes = rest.len();
    while let Some(chunk) = soon(stream.read_chunk(1 << 20)).await.unwrap() {
        bytes += chunk.len();
    }
    (answer, bytes)
}

#[tokio::test]
async fn only_where_it_pays_or_is_asked_for() {
    for compression in [Compression::Auto, Compression::Never] {
        let (answer, bytes) = seen(compression).await;
        assert!(matches!(answer, Answer::Offer(_)) && bytes > 1 << 20, "within a machine: {bytes}");
    }
    let (answer, bytes) = seen(Compression::Always).await;
    assert!(matches!(answer, Answer::Compressed(_)) && bytes < 700_000, "{bytes}");
}

/// What comes of a server that changes the blocks of a body.
async fn changed(change: impl Fn(&mut Vec<u8>) + Clone + Send + 'static) -> FetchError {
    let (nodes, ids) = nodes(&Limits::default(), 1, move |_, mut writer, reader| {
        let change = change.clone();
        async move {
            let _reader = reader;
            let body = encoded(&[Blob { index: 0, pairs: 0, bytes: text(1, 200_000) }]);
            let offer = Offer { blobs: 1, bytes: body.len() as u64 };
            writer.put(&Answer::Compressed(offer)).unwrap();
            let mut packer = Packer::default();
            let mut packed: Vec<u8> =
                body.chunks(60_000).flat_map(|piece| packer.pack(piece).to_vec()).collect();
            packed.extend(trailer(1, &body));
            change(&mut packed);
            let _ = writer.write_raw(&packed).await;
            let _ = writer.finish();
            let _ = writer.stream().stopped().await;
        }
    })
    .await;
    let budget = Budget::new(1 << 20);
    let error = soon(fetch(&nodes, ids[0], request(0), &budget)).await.unwrap_err();
    assert_eq!(budget.free_bytes(), 1 << 20);
    error
}

#[tokio::test]
async fn damage_is_found() {
    // Anywhere in a block: it is none any more, or the checksum is another.
    for at in [100, 5_000, 20_000] {
        let error = changed(move |packed| packed[at] ^= 0x10).await;
        assert!(matches!(error, FetchError::Corrupt { .. }), "{at}: {error}");
    }
    let lengths = |raw: u32, stored: u32| {
        move |packed: &mut Vec<u8>| {
            packed[..4].copy_from_slice(&raw.to_le_bytes());
            packed[4..8].copy_from_slice(&stored.to_le_bytes());
        }
    };
    for (raw, stored, expected) in [
        (0, 1, "a block has bytes:"),
        (u32::MAX, 1, "a block has bytes:"),
        ((64 << 10) + 1, 1, "a block has bytes:"),
        (100, 0, "a block comes as bytes:"),
        (100, 101, "a block comes as bytes:"),
        (60_001, 10_000, "a block is made of bytes:"),
    ] {
        match changed(lengths(raw, stored)).await {
            FetchError::Corrupt { what, .. } => assert_eq!(what, expected, "{raw}, {stored}"),
            other => panic!("{other:?}"),
        }
    }
    let cut = changed(|packed| packed.truncate(30_000)).await;
    assert!(matches!(cut, FetchError::Wire(WireError::Truncated)), "{cut}");
}
