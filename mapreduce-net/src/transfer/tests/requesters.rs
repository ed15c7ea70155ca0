//! Requesters that do not do what they should: the server ends with an error, and lets go of what it served.

use super::super::serve::ServeError;
use super::*;
use crate::transport::StreamError;
use std::sync::Weak;

/// Bytes that can be watched.
struct Watched(Arc<Vec<u8>>);

impl AsRef<[u8]> for Watched {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// A server of 64 MiB, by a requester that does what `ask` does.
async fn served_to<F: Future<Output = T>, T>(
    patience: Duration,
    ask: impl FnOnce(FrameWriter, FrameReader) -> F,
) -> Result<(), ServeError> {
    let bytes = Arc::new(noise(1, 64 << 20));
    let watch: Weak<Vec<u8>> = Arc::downgrade(&bytes);
    let pairs = connections(&Limits::default(), 1).await;
    let (dialled, accepted) = pairs.into_iter().next().unwrap();
    let serving = async {
        let (send, receive) = accepted.accept_bi().await.unwrap();
        let mut reader = FrameReader::new(receive);
        reader.expect::<Open>().await.unwrap();
        let mut body = Body::new();
        body.push(0, 0, Watched(bytes));
        serve::serve_within(patience, Compression::Never, FrameWriter::new(send), reader, body).await
    };
    let asking = async {
        let (send, receive) = dialled.open_bi().await.unwrap();
        let mut writer = FrameWriter::new(send);
        writer.send(&Open::Fetch(request(0))).await.unwrap();
        ask(writer, FrameReader::new(receive)).await
    };
    let (served, _kept) = soon(async { tokio::join!(serving, asking) }).await;
    assert!(watch.upgrade().is_none(), "the bytes are kept");
    served
}

#[tokio::test]
async fn one_that_drops_its_streams_before_and_in_the_middle_of_the_body() {
    let reads_nothing = |writer: FrameWriter, mut reader: FrameReader| async move {
        // Not before the request has arrived.
        let _writer = writer;
        reader.expect::<Answer>().await.unwrap();
    };
    let error = served_to(PATIENCE, reads_nothing).await.unwrap_err();
    assert!(matches!(error, ServeError::Wire(WireError::Stream(_))), "{error}");
    let read_some = |writer: FrameWriter, mut reader: FrameReader| async move {
        let mut writer = writer;
        reader.expect::<Answer>().await.unwrap();
        writer.send(&Credit { bytes: u64::MAX }).await.unwrap();
        reader.read_raw(1 << 20, &mut Vec::new()).await.unwrap();
    };
    let error = served_to(PATIENCE, read_some).await.unwrap_err();
    assert!(matches!(error, ServeError::Wire(WireError::Stream(StreamError::Stopped { .. }))), "{error}");
}

#[tokio::test]
async fn one_that_ends_its_credits_early_or_sends_none() {
    let ends = |mut writer: FrameWriter, reader: FrameReader| async move {
        writer.send(&Credit { bytes: 1 }).await.unwrap();
        writer.finish().unwrap();
        (writer, reader)
    };
    let error = served_to(PATIENCE, ends).await.unwrap_err();
    assert!(matches!(error, ServeError::Wire(WireError::Truncated)), "{error}");
    let garbage = |mut writer: FrameWriter, reader: FrameReader| async move {
        writer.write_raw(b"\x03\0\0\0\xff\xff\xff").await.unwrap();
        (writer, reader)
    };
    let error = served_to(PATIENCE, garbage).await.unwrap_err();
    assert!(matches!(error, ServeError::Wire(WireError::Codec(_))), "{error}");
}

#[tokio::test]
async fn one_that_grants_nothing_and_one_that_does_not_read() {
    let patience = Duration::from_millis(200);
    let idle = |writer, reader| async move { (writer, reader) };
    let error = served_to(patience, idle).await.unwrap_err();
    assert!(matches!(error, ServeError::Stalled { .. }), "{error}");
    let deaf = |mut writer: FrameWriter, reader: FrameReader| async move {
        writer.send(&Credit { bytes: u64::MAX }).await.unwrap();
        // More than there can be does no harm.
        writer.send(&Credit { bytes: u64::MAX }).await.unwrap();
        (writer, reader)
    };
    let error = served_to(patience, deaf).await.unwrap_err();
    assert!(matches!(error, ServeError::Stalled { .. }), "{error}");
}

#[tokio::test]
async fn no_more_is_sent_than_was_granted() {
    let counts = |mut writer: FrameWriter, mut reader: FrameReader| async move {
        let Answer::Offer(offer) = reader.expect().await.unwrap() else { panic!("refused") };
        assert_eq!(offer, Offer { blobs: 1, bytes: (64 << 20) + BLOB_HEADER_BYTES as u64 });
        let mut body = Vec::new();
        reader.read_raw(FIRST_BYTES as usize, &mut body).await.unwrap();
        for bytes in [0, 1, 1_000, 300_000] {
            let more = tokio::time::timeout(Duration::from_millis(50), reader.read_raw(1, &mut body)).await;
            assert!(more.is_err(), "more than was granted");
            writer.send(&Credit { bytes: 0 }).await.unwrap();
            writer.send(&Credit { bytes }).await.unwrap();
            reader.read_raw(bytes as usize, &mut body).await.unwrap();
        }
        writer.send(&Credit { bytes: offer.bytes - body.len() as u64 }).await.unwrap();
        writer.finish().unwrap();
        reader.read_raw(offer.bytes as usize - body.len(), &mut body).await.unwrap();
        let mut end = Vec::new();
        reader.read_raw(TRAILER_BYTES, &mut end).await.unwrap();
        assert_eq!(end, trailer(1, &body));
        let (rest, mut stream) = reader.into_parts();
        assert!(rest.is_empty() && stream.read_chunk(1).await.unwrap().is_none());
        let sent = Blob { index: 0, pairs: 0, bytes: noise(1, 64 << 20) };
        assert!(body == encoded(&[sent]));
    };
    served_to(PATIENCE, counts).await.unwrap();
}
