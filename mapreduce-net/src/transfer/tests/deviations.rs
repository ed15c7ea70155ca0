//! Servers that do not do what they should: nothing of theirs is taken for data.

use super::*;
use crate::transport::StreamError;
use mapreduce_core::schedule::{AttemptId, Round, TaskId};

/// What comes of a server that changes its offer, its body and its trailer, and then finishes.
async fn changed(
    change: impl Fn(&mut Offer, &mut Vec<u8>, &mut Vec<u8>) + Clone + Send + 'static,
) -> FetchError {
    raw(move |mut writer, reader| {
        let change = change.clone();
        async move {
            let _reader = reader;
            let mut body = encoded(&[blob(0, 10), blob(1, 100_000), blob(2, 0)]);
            let mut end = trailer(3, &body);
            let mut offer = Offer { blobs: 3, bytes: body.len() as u64 };
            change(&mut offer, &mut body, &mut end);
            writer.put(&Answer::Offer(offer)).unwrap();
            // All at once: no server that keeps to its credits could do that.
            let _ = writer.write_raw(&body).await;
            let _ = writer.write_raw(&end).await;
            let _ = writer.finish();
            let _ = writer.stream().stopped().await;
        }
    })
    .await
}

/// What comes of a server that does this.
async fn raw<F: Future<Output = ()> + Send + 'static>(
    handle: impl Fn(FrameWriter, FrameReader) -> F + Clone + Send + 'static,
) -> FetchError {
    let (nodes, ids) = nodes(&Limits::default(), 1, move |_, writer, reader| handle(writer, reader)).await;
    let budget = Budget::new(1 << 20);
    let error = soon(fetch(&nodes, ids[0], request(0), &budget)).await.unwrap_err();
    assert_eq!(budget.free_bytes(), 1 << 20);
    error
}

#[track_caller]
fn assert_corrupt(error: FetchError, expected: &str) {
    match error {
        FetchError::Corrupt { what, .. } => assert_eq!(what, expected),
        other => panic!("{other:?} instead of {expected:?}"),
    }
}

#[tokio::test]
async fn a_wrong_checksum() {
    assert_corrupt(changed(|_, _, trailer| trailer[20] ^= 1).await, "the checksum is");
    // One bit of a blob, and one of the pairs in front of it.
    assert_corrupt(changed(|_, body, _| body[50_000] ^= 0x80).await, "the checksum is");
    assert_corrupt(changed(|_, body, _| body[4] ^= 1).await, "the checksum is");
}

#[tokio::test]
async fn counts_that_do_not_agree() {
    assert_corrupt(changed(|_, _, trailer| trailer[0] = 2).await, "the trailer has blobs:");
    assert_corrupt(changed(|_, _, trailer| trailer[8] ^= 1).await, "the trailer has bytes:");
    assert_corrupt(changed(|offer, _, _| offer.blobs = 4).await, "a blob has bytes:");
    assert_corrupt(changed(|offer, _, _| offer.blobs = 2).await, "bytes after the last blob:");
    assert_corrupt(changed(|offer, _, _| offer.bytes -= 1).await, "a blob has bytes:");
    assert_corrupt(changed(|offer, _, _| offer.bytes += 1).await, "bytes after the last blob:");
    assert_corrupt(changed(|offer, _, _| offer.blobs = 0).await, "bytes after the last blob:");
}

#[tokio::test]
async fn an_offer_that_cannot_be() {
    assert_corrupt(changed(|offer, _, _| offer.blobs = u64::MAX).await, "the offer has blobs:");
    assert_corrupt(changed(|offer, _, _| offer.bytes = 59).await, "the offer has blobs:");
    let error = changed(|offer, _, _| offer.bytes = u64::MAX).await;
    assert!(matches!(error, FetchError::TooLarge { bytes: u64::MAX, .. }), "{error}");
    // One that could be costs nothing until bytes come.
    let error = changed(|offer, body, _| {
        offer.bytes = BODY_BYTES_MAX;
        body[12 + BLOB_HEADER_BYTES + 10..][..8].copy_from_slice(&(BODY_BYTES_MAX - 100).to_le_bytes());
    })
    .await;
    assert!(matches!(error, FetchError::Wire(WireError::Truncated)), "{error}");
}

#[tokio::test]
async fn more_blobs_than_were_asked_for() {
    // Of no bytes each: they would cost the requester more than the server.
    let (nodes, ids) =
        servers(&Limits::default(), 1, |number| (0..number as u32).map(|index| blob(index, 0)).collect())
            .await;
    let (budget, memory) = (Budget::new(1 << 20), mapreduce_core::Memory::limited(1 << 20));
    let one = AttemptId { round: Round(1), task: TaskId::Reduce(0), number: 1 };
    let output = async |job| {
        let request = Request::Reduced { job, attempt: one };
        soon(fetch_output(&nodes, ids[0], request, &budget, &memory)).await
    };
    assert_eq!(output(1).await.unwrap().len(), 1);
    assert_corrupt(output(2).await.unwrap_err(), "the offer has blobs:");
    assert_corrupt(output(1_000_000).await.unwrap_err(), "the offer has blobs:");
    let runs = async |job| {
        let (driver, outputs) = (ids[0], vec![(0, 1), (7, 2)]);
        let request = Request::Runs { driver, job, round: Round(1), partition: 0, outputs };
        let fetched = soon(fetch_runs(&nodes, vec![(ids[0], request)], &budget, &memory)).await;
        fetched.map(|fetched| fetched[0].items().len()).map_err(|(_, error)| error)
    };
    assert_eq!(runs(2).await.unwrap(), 2);
    assert_corrupt(runs(3).await.unwrap_err(), "the offer has blobs:");
    assert_eq!(budget.free_bytes(), 1 << 20);
}

#[tokio::test]
async fn lengths_that_lie() {
    let with = |length: u64| {
        move |_: &mut Offer, body: &mut Vec<u8>, _: &mut Vec<u8>| {
            body[12..20].copy_from_slice(&length.to_le_bytes());
        }
    };
    assert_corrupt(changed(with(u64::MAX)).await, "a blob has bytes:");
    assert_corrupt(changed(with(200_000)).await, "a blob has bytes:");
    // The length of the next blob is read from the middle of this one.
    assert_corrupt(changed(with(0)).await, "a blob has bytes:");
}

#[tokio::test]
async fn bytes_too_many_and_too_few() {
    assert_corrupt(changed(|_, body, _| body.push(0)).await, "the trailer has blobs:");
    assert_corrupt(changed(|_, _, trailer| trailer.push(0)).await, "bytes after the trailer:");
    assert_corrupt(changed(|_, _, trailer| trailer.extend([1; 100_000])).await, "bytes after the trailer:");
    let truncated = |error| assert!(matches!(error, FetchError::Wire(WireError::Truncated)), "{error}");
    truncated(changed(|_, body, _| body.truncate(60_000)).await);
    truncated(changed(|_, _, trailer| trailer.truncate(23)).await);
    truncated(changed(|_, _, trailer| trailer.clear()).await);
    truncated(
        changed(|_, body, trailer| {
            body.clear();
            trailer.clear();
        })
        .await,
    );
    truncated(raw(|mut writer, _reader| async move { writer.finish().unwrap() }).await);
}

#[tokio::test]
async fn a_server_that_fails_in_the_middle() {
    let reset = |error| {
        let reset = matches!(error, FetchError::Wire(WireError::Stream(StreamError::Reset { .. })));
        assert!(reset, "{error}");
    };
    // Dropped ahead of the answer, and as a panic would do it.
    reset(raw(|writer, _reader| async move { drop(writer) }).await);
    let handle = |mut writer: FrameWriter, mut reader: FrameReader| async move {
        writer.put(&Answer::Offer(Offer { blobs: 1, bytes: 1 << 20 })).unwrap();
        writer.write_raw(&encoded(&[blob(0, 1 << 19)])).await.unwrap();
        reader.expect::<Credit>().await.unwrap();
    };
    reset(raw(handle).await);
    // An abandoned `serve`, in the middle of its body.
    let handle = |writer: FrameWriter, reader: FrameReader| async move {
        let served = serve(writer, reader, body_of(vec![blob(0, 4 << 20)]));
        let mut served = std::pin::pin!(served);
        std::future::poll_fn(|context| {
            assert!(served.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
    };
    reset(raw(handle).await);
}

#[tokio::test]
async fn a_connection_that_is_lost() {
    let pairs = connections(&Limits::default(), 1).await;
    let (dialled, accepted) = pairs.into_iter().next().unwrap();
    let id = dialled.peer_id();
    let closing = async {
        let (send, receive) = accepted.accept_bi().await.unwrap();
        FrameReader::new(receive).expect::<Open>().await.unwrap();
        accepted.close(3, "killed");
        drop(send);
    };
    let nodes = Nodes(HashMap::from([(id, dialled)]));
    let budget = Budget::new(1 << 20);
    let (error, ()) = soon(async { tokio::join!(fetch(&nodes, id, request(0), &budget), closing) }).await;
    let error = error.unwrap_err();
    assert!(matches!(error, FetchError::Wire(WireError::Stream(StreamError::Connection(_)))), "{error}");
    let error = soon(fetch(&nodes, id, request(0), &budget)).await.unwrap_err();
    assert!(matches!(error, FetchError::Open(_)), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_none() {
    let garbage = |bytes: &'static [u8]| {
        raw(move |mut writer: FrameWriter, _reader| async move {
            writer.write_raw(bytes).await.unwrap();
            writer.finish().unwrap();
        })
    };
    let error = garbage(b"\xff\xff\xff\xff....").await;
    assert!(matches!(error, FetchError::Wire(WireError::TooLong { .. })), "{error}");
    let error = garbage(b"\x02\0\0\0\xff\xff").await;
    assert!(matches!(error, FetchError::Wire(WireError::Codec(_))), "{error}");
    let error = garbage(b"\x02\0\0").await;
    assert!(matches!(error, FetchError::Wire(WireError::Truncated)), "{error}");
}

#[tokio::test]
async fn a_server_that_goes_silent() {
    let (nodes, ids) = nodes(&Limits::default(), 1, |number, mut writer, reader| async move {
        writer.put(&Answer::Offer(Offer { blobs: 1, bytes: 100_000 })).unwrap();
        let mut body = encoded(&[blob(0, 100_000 - BLOB_HEADER_BYTES)]);
        let end = trailer(1, &body);
        body.extend(&end);
        // In the middle of the body, of the trailer, and ahead of the end.
        writer.write_raw(&body[..[10, 80_000, 100_010, 100_024][number as usize]]).await.unwrap();
        writer.stream().stopped().await.unwrap();
        drop(reader);
    })
    .await;
    let pace = fetch::Pace { patience: Duration::from_millis(100), ..fetch::Pace::default() };
    for number in 0..4 {
        let requests = vec![(ids[0], request(number))];
        let budget = Budget::new(1 << 20);
        let (_, error) = soon(fetch::fetch_all_within(pace, &nodes, requests, &receive::ToBlobs, &budget))
            .await
            .unwrap_err();
        assert!(matches!(error, FetchError::Stalled { .. }), "{number}: {error}");
    }
}

#[tokio::test]
async fn a_server_that_ignores_credits_fills_no_more_than_the_windows() {
    const BYTES: usize = 64 << 20;
    let written = Arc::new(AtomicU64::new(0));
    let blocked = Arc::new(Notify::new());
    let (count, notify) = (written.clone(), blocked.clone());
    let (nodes, ids) = nodes(&Limits::default(), 1, move |_, mut writer, reader| {
        let (count, notify) = (count.clone(), notify.clone());
        async move {
            let _reader = reader;
            let body = encoded(&[blob(0, BYTES)]);
            writer.send(&Answer::Offer(Offer { blobs: 1, bytes: body.len() as u64 })).await.unwrap();
            let mut pieces = body.chunks(64 << 10);
            // As far as it gets without anybody reading; on a slow machine not as far, which does no harm here.
            for piece in pieces.by_ref() {
                let mut writing = std::pin::pin!(writer.write_raw(piece));
                match tokio::time::timeout(Duration::from_millis(300), writing.as_mut()).await {
                    Ok(written) => written.unwrap(),
                    Err(_) => {
                        notify.notify_one();
                        writing.await.unwrap();
                    }
                }
                count.fetch_add(piece.len() as u64, Ordering::SeqCst);
            }
            writer.write_raw(&trailer(1, &body)).await.unwrap();
            writer.finish().unwrap();
            writer.stream().stopped().await.unwrap();
        }
    })
    .await;
    let budget = Budget::new(1 << 20);
    let elsewhere = budget.acquire(&[1]).await;
    let limits = Limits::default();
    let releasing = async {
        blocked.notified().await;
        let written = written.load(Ordering::SeqCst);
        assert!(written <= u64::from(limits.stream_window_bytes) + (128 << 10), "{written}");
        drop(elsewhere);
    };
    let (fetched, ()) =
        soon(async { tokio::join!(fetch(&nodes, ids[0], request(0), &budget), releasing) }).await;
    assert!(fetched.unwrap().items() == [blob(0, BYTES)]);
}
