//! Frames: messages on a stream, one after the other, each behind its length.
//!
//! A frame is a `u32` length in little-endian order and as many bytes, which [`codec`] reads. Raw bytes may follow a frame
//! that announces them.

use crate::transport::{RecvStream, SendStream, StreamError};
use mapreduce_core::{CodecError, codec};
use serde::{Serialize, de::DeserializeOwned};

/// The longest frame, in bytes (16 MiB). What may be longer travels as a transfer.
pub(crate) const FRAME_BYTES_MAX: usize = 16 << 20;

/// Bytes of the length in front of a frame.
const LENGTH_BYTES: usize = 4;

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The stream broke.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The other side says what this one does not understand.
    #[error("a message cannot be read: {0}")]
    Codec(#[from] CodecError),
    /// A frame is longer than it may be.
    #[error("a message of {bytes} bytes is longer than the {FRAME_BYTES_MAX} it may have")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The stream ended where more was to come.
    #[error("the stream ended in the middle of a message")]
    Truncated,
    /// A message came that has no place here.
    #[error("the other side broke the protocol: {0}")]
    Unexpected(&'static str),
}

/// Writes frames. They gather until [`flush`](Self::flush).
#[derive(Debug)]
pub(crate) struct FrameWriter {
    stream: SendStream,
    buffer: Vec<u8>,
}

impl FrameWriter {
    pub(crate) fn new(stream: SendStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Adds a frame to what will be flushed. On an error nothing was added.
    pub(crate) fn put<M: Serialize>(&mut self, message: &M) -> Result<(), WireError> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; LENGTH_BYTES]);
        let encoded = codec::encode(message, &mut self.buffer).map_err(WireError::from);
        let bytes = self.buffer.len() - start - LENGTH_BYTES;
        let checked = match encoded {
            Ok(()) if bytes > FRAME_BYTES_MAX => Err(WireError::TooLong { bytes }),
            encoded => encoded.map(|()| bytes as u32),
        };
        match checked {
            Ok(length) => {
                self.buffer[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
                Ok(())
            }
            Err(error) => {
                self.buffer.truncate(start);
                Err(error)
            }
        }
    }

    /// Bytes that wait to be flushed.
    pub(crate) fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// Sends what was added. Not cancel-safe.
    pub(crate) async fn flush(&mut self) -> Result<(), WireError> {
        if !self.buffer.is_empty() {
            self.stream.write_all(&self.buffer).await?;
            self.buffer.clear();
            // One large message does not keep its memory for good.
            self.buffer.shrink_to(READ_BYTES);
        }
        Ok(())
    }

    /// One frame, sent at once. Not cancel-safe.
    pub(crate) async fn send<M: Serialize>(&mut self, message: &M) -> Result<(), WireError> {
        self.put(message)?;
        self.flush().await
    }

    /// Bytes that are no frame, behind what was added. Not cancel-safe.
    pub(crate) async fn write_raw(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.flush().await?;
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Ends the stream behind what was flushed.
    pub(crate) fn finish(&mut self) -> Result<(), WireError> {
        Ok(self.stream.finish()?)
    }

    /// The stream itself, to relay or to wait for its end.
    pub(crate) fn stream(&mut self) -> &mut SendStream {
        &mut self.stream
    }
}

/// Reads frames.
#[derive(Debug)]
pub(crate) struct FrameReader {
    stream: RecvStream,
    buffer: Vec<u8>,
    /// How much of the buffer was used up.
    used: usize,
}

impl FrameReader {
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self { stream, buffer: Vec::new(), used: 0 }
    }

    /// The next message; `None` if the stream ended behind the last one. Cancel-safe.
    pub(crate) async fn next<M: DeserializeOwned>(&mut self) -> Result<Option<M>, WireError> {
        loop {
            if let Some(message) = self.buffered()? {
                return Ok(Some(message));
            }
            if !self.fill().await? {
                return if self.used == self.buffer.len() { Ok(None) } else { Err(WireError::Truncated) };
            }
        }
    }

    /// The next message, which must come. Cancel-safe.
    pub(crate) async fn expect<M: DeserializeOwned>(&mut self) -> Result<M, WireError> {
        self.next().await?.ok_or(WireError::Truncated)
    }

    /// The next message, if all of it was read already.
    pub(crate) fn buffered<M: DeserializeOwned>(&mut self) -> Result<Option<M>, WireError> {
        let rest = &self.buffer[self.used..];
        let Some((length, rest)) = rest.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let bytes = u32::from_le_bytes(*length) as usize;
        if bytes > FRAME_BYTES_MAX {
            return Err(WireError::TooLong { bytes });
        }
        let Some(body) = rest.get(..bytes) else { return Ok(None) };
        let message = codec::decode(body)?;
        self.used += LENGTH_BYTES + bytes;
        Ok(Some(message))
    }

    /// Bytes that are no frame: appends exactly `bytes` of them. Not cancel-safe.
    pub(crate) async fn read_raw(&mut self, bytes: usize, into: &mut Vec<u8>) -> Result<(), WireError> {
        let buffered = bytes.min(self.buffer.len() - self.used);
        into.extend_from_slice(&self.buffer[self.used..self.used + buffered]);
        self.used += buffered;
        let mut missing = bytes - buffered;
        while missing > 0 {
            let chunk = self.stream.read_chunk(missing).await?.ok_or(WireError::Truncated)?;
            into.extend_from_slice(&chunk);
            missing -= chunk.len();
        }
        Ok(())
    }

    /// What was read and not used, and the stream: to relay the rest.
    pub(crate) fn into_parts(mut self) -> (Vec<u8>, RecvStream) {
        self.buffer.drain(..self.used);
        (self.buffer, self.stream)
    }

    /// Reads more into the buffer. `false` at the end of the stream.
    async fn fill(&mut self) -> Result<bool, WireError> {
        if self.used > 0 {
            self.buffer.drain(..self.used);
            self.used = 0;
            self.buffer.shrink_to(2 * READ_BYTES);
        }
        match self.stream.read_chunk(READ_BYTES).await? {
            Some(chunk) => {
                self.buffer.extend_from_slice(&chunk);
                Ok(true)
            }
            None => Ok(false),
        }
    }
}
