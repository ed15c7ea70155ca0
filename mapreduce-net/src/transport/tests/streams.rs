//! Streams: a clean end is told from every other one.

use super::*;

async fn pair() -> (Connection, Connection, Listener) {
    let (file, _) = pool();
    let mut listener = Listener::start(member(&file));
    let connection = dial(&member(&file), listener.address(), Channel::Data).await.unwrap();
    let accepted = listener.next().await;
    (connection, accepted, listener)
}

#[tokio::test]
async fn a_dropped_sender_is_no_clean_end() {
    let (sender, receiver, _listener) = pair().await;
    let mut stream = sender.open_uni().await.unwrap();
    stream.write_all(b"half of it").await.unwrap();
    drop(stream);
    let error = receiver.accept_uni().await.unwrap().read_to_end(100).await.unwrap_err();
    assert_eq!(error, StreamError::Reset { code: SendStream::ABANDONED.into() });
}

#[tokio::test]
async fn a_reset_and_a_stop_carry_their_codes() {
    let (sender, receiver, _listener) = pair().await;
    let mut stream = sender.open_uni().await.unwrap();
    stream.write_all(b"half of it").await.unwrap();
    stream.reset(9);
    assert_eq!(stream.write_all(b"x").await, Err(StreamError::Over));
    assert_eq!(stream.finish(), Err(StreamError::Over));
    let mut incoming = receiver.accept_uni().await.unwrap();
    assert_eq!(incoming.read_to_end(100).await, Err(StreamError::Reset { code: 9 }));

    let mut stream = sender.open_uni().await.unwrap();
    stream.write_all(b"more").await.unwrap();
    receiver.accept_uni().await.unwrap().stop(8);
    assert_eq!(stream.stopped().await, Ok(Some(8)));
    assert_eq!(stream.write_all(b"x").await, Err(StreamError::Stopped { code: 8 }));
}

#[tokio::test]
async fn readers_get_whole_streams_chunks_and_exact_lengths() {
    let (sender, receiver, _listener) = pair().await;
    let bytes: Vec<u8> = (0..5_000_000u32).map(|index| (index % 251) as u8).collect();
    let expected = bytes.clone();
    let writer = tokio::spawn(async move {
        for _ in 0..2 {
            let mut stream = sender.open_uni().await.unwrap();
            stream.set_priority(1);
            stream.write_all(&bytes).await.unwrap();
            stream.finish().unwrap();
            assert_eq!(stream.stopped().await, Ok(None));
        }
        let mut stream = sender.open_uni().await.unwrap();
        stream.write_all(&bytes[..10]).await.unwrap();
        stream.finish().unwrap();
        stream.stopped().await.unwrap();
    });
    let whole = receiver.accept_uni().await.unwrap().read_to_end(expected.len()).await.unwrap();
    assert!(whole == expected);

    let mut stream = receiver.accept_uni().await.unwrap();
    let mut chunks = Vec::new();
    while let Some(chunk) = stream.read_chunk(100_000).await.unwrap() {
        assert!(chunk.len() <= 100_000);
        chunks.extend_from_slice(&chunk);
    }
    assert!(chunks == expected);

    let mut stream = receiver.accept_uni().await.unwrap();
    let mut eight = [0; 8];
    stream.read_exact(&mut eight).await.unwrap();
    assert_eq!(eight, expected[..8]);
    assert_eq!(stream.read_exact(&mut eight).await, Err(StreamError::Truncated { missing: 6 }));
    assert_eq!(stream.read(&mut eight).await, Ok(None));
    writer.await.unwrap();
}

#[tokio::test]
async fn a_stream_longer_than_the_reader_takes_is_an_error() {
    let (sender, receiver, _listener) = pair().await;
    let mut stream = sender.open_uni().await.unwrap();
    stream.write_all(&[1; 101]).await.unwrap();
    stream.finish().unwrap();
    let error = receiver.accept_uni().await.unwrap().read_to_end(100).await.unwrap_err();
    assert_eq!(error, StreamError::TooLong { limit: 100 });
}

#[tokio::test]
async fn a_lost_connection_ends_its_streams() {
    let (sender, receiver, _listener) = pair().await;
    let mut stream = sender.open_uni().await.unwrap();
    stream.write_all(b"half of it").await.unwrap();
    let mut incoming = receiver.accept_uni().await.unwrap();
    sender.close(3, "gone");
    let lost = StreamError::Connection(ConnectionError::ClosedByPeer { code: 3, reason: "gone".to_owned() });
    assert_eq!(incoming.read_to_end(100).await, Err(lost));
    let lost = StreamError::Connection(ConnectionError::ClosedHere);
    assert_eq!(stream.write_all(b"x").await, Err(lost.clone()));
    assert_eq!(stream.stopped().await, Err(lost));
}
