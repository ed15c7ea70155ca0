//! Frames over a stream: whole, in pieces, cut off, too long, and garbage.

use super::{PATIENCE, connections};
use crate::{
    transport::{Connection, Limits, StreamError},
    wire::{FrameReader, FrameWriter, WireError, frame::FRAME_BYTES_MAX},
};
use mapreduce_core::{CodecError, codec};
use proptest::{prelude::*, test_runner::TestRunner};

/// One direction of a connection.
struct Wire(Connection, Connection);

impl Wire {
    async fn new() -> Self {
        let (one, other) = connections(&Limits::default(), 1).await.pop().unwrap();
        Self(one, other)
    }

    /// A stream that begins with `bytes`.
    async fn stream(&self, bytes: &[u8]) -> (FrameWriter, FrameReader) {
        let mut send = self.0.open_uni().await.unwrap();
        let receive = async {
            // A stream is seen with its first byte, or its end.
            FrameReader::new(self.1.accept_uni().await.unwrap())
        };
        let writing = async {
            send.write_all(bytes).await.unwrap();
            if bytes.is_empty() {
                send.finish().unwrap();
            }
            FrameWriter::new(send)
        };
        tokio::time::timeout(PATIENCE, async { tokio::join!(writing, receive) }).await.unwrap()
    }

    /// A stream of `bytes` and no more.
    async fn all(&self, bytes: &[u8]) -> FrameReader {
        let (mut writer, reader) = self.stream(bytes).await;
        if !bytes.is_empty() {
            writer.finish().unwrap();
        }
        reader
    }
}

/// A frame as the header of the module lays it out.
fn frame(message: &str) -> Vec<u8> {
    let mut encoded = Vec::new();
    codec::encode(message, &mut encoded).unwrap();
    let mut frame = (encoded.len() as u32).to_le_bytes().to_vec();
    frame.extend(encoded);
    frame
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn messages_arrive_whole_however_their_bytes_are_cut() {
    let runtime = runtime();
    let wire = runtime.block_on(Wire::new());
    let messages = prop::collection::vec("\\PC{0,9}|[a-z]{240,260}|x{60000,70000}", 0..12);
    let cuts = prop::collection::vec(1usize..70_000, 1..8);
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&(messages, cuts, any::<u64>()), |(messages, cuts, choices)| {
            runtime.block_on(async {
                let bytes: Vec<u8> = messages.iter().flat_map(|message| frame(message)).collect();
                let (mut writer, mut reader) = wire.stream(&bytes[..bytes.len().min(1)]).await;
                let writing = async {
                    let mut rest = &bytes[bytes.len().min(1)..];
                    for &cut in cuts.iter().cycle() {
                        let Some(piece) = rest.get(..cut) else { break };
                        writer.write_raw(piece).await.unwrap();
                        rest = &rest[cut..];
                        tokio::task::yield_now().await;
                    }
                    if !bytes.is_empty() {
                        writer.write_raw(rest).await.unwrap();
                        writer.finish().unwrap();
                    }
                };
                let reading = async {
                    let mut read = Vec::new();
                    loop {
                        // What was read already is not passed over, and does not come twice.
                        if choices >> (read.len() % 64) & 1 == 1
                            && let Some(message) = reader.buffered::<String>().unwrap()
                        {
                            read.push(message);
                            continue;
                        }
                        match reader.next::<String>().await.unwrap() {
                            Some(message) => read.push(message),
                            None => return read,
                        }
                    }
                };
                let ((), read) = tokio::join!(writing, reading);
                assert_eq!(read, messages);
            });
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn frames_gather_until_they_are_flushed() {
    let wire = Wire::new().await;
    let (mut writer, mut reader) = wire.stream(&frame("first")).await;
    writer.put(&"second").unwrap();
    writer.put(&"third".to_owned()).unwrap();
    assert_eq!(writer.pending(), frame("second").len() + frame("third").len());
    assert_eq!(reader.expect::<String>().await.unwrap(), "first");
    assert_eq!(reader.buffered::<String>().unwrap(), None);
    writer.flush().await.unwrap();
    assert_eq!(writer.pending(), 0);
    writer.flush().await.unwrap();
    writer.send(&"fourth").await.unwrap();
    for expected in ["second", "third", "fourth"] {
        assert_eq!(reader.next::<String>().await.unwrap().as_deref(), Some(expected));
    }
    writer.finish().unwrap();
    for _ in 0..2 {
        assert_eq!(reader.next::<String>().await.unwrap(), None);
    }
    assert!(matches!(reader.expect::<String>().await, Err(WireError::Truncated)));
    assert!(matches!(writer.send(&"fifth").await, Err(WireError::Stream(StreamError::Over))));
}

#[tokio::test]
async fn a_stream_that_is_cut_off_at_any_byte() {
    let wire = Wire::new().await;
    let frames = ["", "second", "\u{fffd}third"].map(frame);
    let ends: Vec<usize> = frames
        .iter()
        .scan(0, |end, frame| {
            *end += frame.len();
            Some(*end)
        })
        .collect();
    let bytes = frames.concat();
    for cut in 0..=bytes.len() {
        let mut reader = wire.all(&bytes[..cut]).await;
        let whole = ends.iter().filter(|&&end| end <= cut).count();
        for _ in 0..whole {
            assert!(reader.next::<String>().await.unwrap().is_some());
        }
        let end = reader.next::<String>().await;
        match cut == 0 || ends.contains(&cut) {
            true => assert!(matches!(end, Ok(None)), "cut at {cut}: {end:?}"),
            false => assert!(matches!(end, Err(WireError::Truncated)), "cut at {cut}: {end:?}"),
        }
        // It stays that way.
        assert_eq!(reader.buffered::<String>().unwrap(), None);
        assert!(matches!(reader.expect::<String>().await, Err(WireError::Truncated)));
    }
}

#[tokio::test]
async fn a_reset_is_told_from_an_end() {
    let wire = Wire::new().await;
    let (writer, mut reader) = wire.stream(&frame("whole")[..5]).await;
    drop(writer);
    let error = reader.next::<String>().await.unwrap_err();
    assert!(matches!(error, WireError::Stream(StreamError::Reset { .. })), "{error}");
}

#[tokio::test]
async fn the_longest_message_passes_and_a_longer_one_is_not_sent() {
    // The length of a string takes five bytes here.
    let longest = "x".repeat(FRAME_BYTES_MAX - 5);
    let wire = Wire::new().await;
    let (mut writer, mut reader) = wire.stream(&frame("first")).await;
    writer.put(&"second").unwrap();
    let pending = writer.pending();
    let error = writer.put(&format!("{longest}x")).unwrap_err();
    assert!(matches!(error, WireError::TooLong { bytes } if bytes == FRAME_BYTES_MAX + 1), "{error}");
    assert_eq!(writer.pending(), pending, "nothing was added");
    let writing = async {
        writer.send(&longest).await.unwrap();
        writer.send(&"last").await.unwrap();
    };
    let reading = async {
        for expected in ["first", "second", &longest, "last"] {
            assert!(reader.expect::<String>().await.unwrap() == expected);
        }
    };
    tokio::join!(writing, reading);
}

#[tokio::test]
async fn a_message_that_claims_to_be_too_long_is_refused_at_once() {
    let wire = Wire::new().await;
    for bytes in [FRAME_BYTES_MAX as u32 + 1, u32::MAX] {
        // The stream has no end: nothing waits for the bytes.
        let (_writer, mut reader) = wire.stream(&bytes.to_le_bytes()).await;
        for _ in 0..2 {
            let error = reader.next::<String>().await.unwrap_err();
            assert!(matches!(error, WireError::TooLong { bytes: told } if told == bytes as usize));
        }
    }
}

#[tokio::test]
async fn what_cannot_be_encoded_is_not_sent() {
    struct Sour;
    impl serde::Serialize for Sour {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("sour"))
        }
    }
    let wire = Wire::new().await;
    let (mut writer, mut reader) = wire.stream(&frame("first")).await;
    writer.put(&"second").unwrap();
    assert!(matches!(writer.put(&Sour), Err(WireError::Codec(CodecError::Encode { .. }))));
    writer.send(&"third").await.unwrap();
    for expected in ["first", "second", "third"] {
        assert_eq!(reader.expect::<String>().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn garbage_in_a_frame_is_an_error_of_the_codec() {
    let wire = Wire::new().await;
    for (bytes, trailing) in [
        (&b"\0\0\0\0"[..], false),
        (b"\x02\0\0\0\x01\xff", false),
        (b"\x03\0\0\0\xff\xff\xff", false),
        (b"\x03\0\0\0\x01ab", true),
    ] {
        let mut reader = wire.all(bytes).await;
        match reader.next::<String>().await.unwrap_err() {
            WireError::Codec(CodecError::Trailing { .. }) => assert!(trailing, "{bytes:?}"),
            WireError::Codec(_) => assert!(!trailing, "{bytes:?}"),
            error => panic!("{bytes:?}: {error}"),
        }
    }
}

#[test]
fn no_bytes_make_the_reader_panic_or_wait() {
    let runtime = runtime();
    let wire = runtime.block_on(Wire::new());
    // Lengths that are small are the ones that get past the first check.
    let bytes = (0u32..40, prop::collection::vec(any::<u8>(), 0..60));
    let config = ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&bytes, |(length, bytes)| {
            runtime.block_on(async {
                let bytes = [&length.to_le_bytes()[..], &bytes].concat();
                let mut reader = wire.all(&bytes).await;
                while let Ok(Some(_)) = reader.next::<(u64, String)>().await {}
            });
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn bytes_that_are_no_frame_stand_between_frames() {
    let wire = Wire::new().await;
    let raw: Vec<u8> = (0..200_000u32).map(|index| (index % 251) as u8).collect();
    let (mut writer, mut reader) = wire.stream(&frame("first")).await;
    let writing = async {
        writer.put(&raw.len()).unwrap();
        writer.write_raw(&raw).await.unwrap();
        writer.write_raw(&[]).await.unwrap();
        writer.send(&"last").await.unwrap();
        writer.write_raw(b"rest").await.unwrap();
        writer.finish().unwrap();
    };
    let reading = async {
        assert_eq!(reader.expect::<String>().await.unwrap(), "first");
        let length = reader.expect::<usize>().await.unwrap();
        let mut read = b"kept".to_vec();
        reader.read_raw(0, &mut read).await.unwrap();
        reader.read_raw(1, &mut read).await.unwrap();
        reader.read_raw(length - 1, &mut read).await.unwrap();
        assert!(read == [b"kept", &raw[..]].concat());
        assert_eq!(reader.expect::<String>().await.unwrap(), "last");
        let mut read = Vec::new();
        reader.read_raw(3, &mut read).await.unwrap();
        assert!(matches!(reader.read_raw(2, &mut read).await, Err(WireError::Truncated)));
        assert_eq!(read, b"rest");
    };
    tokio::join!(writing, reading);
}

#[tokio::test]
async fn a_reader_gives_up_its_stream_with_what_it_has_read() {
    let wire = Wire::new().await;
    let bytes = [frame("first"), frame("second"), b"more".to_vec()].concat();
    let mut reader = wire.all(&bytes).await;
    assert_eq!(reader.expect::<String>().await.unwrap(), "first");
    let (mut rest, mut stream) = reader.into_parts();
    rest.extend(stream.read_to_end(1_000).await.unwrap());
    assert_eq!(rest, bytes[frame("first").len()..]);
}
