//! [`SendStream`] and [`RecvStream`]: bytes in order, with back-pressure.
//!
//! They differ from quinn's in one thing: a stream that is dropped unfinished is reset. Its reader then sees an error,
//! where quinn would make a clean end of it.

use super::{StreamError, connection::canonical};
use std::{fmt, ops::Deref};

/// The sending half of a stream. The other side does not see the stream before the first byte is written.
///
/// Dropping it without [`SendStream::finish`] resets it with [`SendStream::ABANDONED`], so that a sender that fails or
/// panics is never taken for one that is done.
pub struct SendStream {
    inner: quinn::SendStream,
    connection: quinn::Connection,
    over: bool,
}

/// The receiving half of a stream. Dropping it tells the sender to stop.
pub struct RecvStream {
    inner: quinn::RecvStream,
}

/// Bytes of a stream as they arrived, without a copy.
pub struct Chunk(quinn::Chunk);

impl SendStream {
    /// The code with which a stream is reset that was dropped unfinished.
    pub const ABANDONED: u32 = 0;

    pub(super) fn new(inner: quinn::SendStream, connection: quinn::Connection) -> Self {
        Self { inner, connection, over: false }
    }

    /// Bytes a second that congestion control lets through to the other side at the moment: its window, over the
    /// round-trip time. At the begin of a connection, and while there is little to send, it is less than the path could
    /// carry. `None` if the other side is on this machine.
    pub(crate) fn rate(&self) -> Option<u64> {
        if canonical(self.connection.remote_address()).ip().is_loopback() {
            return None;
        }
        let path = self.connection.stats().path;
        Some((path.cwnd as f64 / path.rtt.as_secs_f64().max(1e-6)) as u64)
    }

    /// Writes all of `bytes`; waits while the windows are full. Write 64 KiB or more at once where there is as much.
    ///
    /// Not cancel-safe: if the future is dropped, how much was written is not known, so reset the stream.
    ///
    /// # Errors
    /// The connection is lost, the reader has stopped, or the stream is over.
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.inner.write_all(bytes).await.map_err(StreamError::of_write)
    }

    /// Ends the stream after what was written. It is sent in the background; closing the connection throws away what is
    /// still under way, so let the side that reads last close it.
    ///
    /// # Errors
    /// [`StreamError::Over`], or the reader has stopped.
    pub fn finish(&mut self) -> Result<(), StreamError> {
        self.over = true;
        self.inner.finish().map_err(|_| StreamError::Over)
    }

    /// Gives the stream up: what was not yet received is not sent, and the reader sees `code`. Nothing happens if the
    /// stream is over.
    pub fn reset(&mut self, code: u32) {
        self.over = true;
        // The only error is that the stream is over.
        let _ = self.inner.reset(code.into());
    }

    /// Waits until the reader has all of a finished stream, as far as its transport is concerned (`None`), or has
    /// stopped it with a code. It says nothing about what was done with the bytes.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn stopped(&mut self) -> Result<Option<u64>, StreamError> {
        match self.inner.stopped().await {
            Ok(code) => Ok(code.map(quinn::VarInt::into_inner)),
            Err(quinn::StoppedError::ConnectionLost(error)) => Err(super::ConnectionError::new(error).into()),
            Err(quinn::StoppedError::ZeroRttRejected) => Err(StreamError::Over),
        }
    }

    /// Sets the priority among the streams of the connection: those with a higher one go first. 0 at the start.
    pub fn set_priority(&self, priority: i32) {
        // The only error is that the stream is over.
        let _ = self.inner.set_priority(priority);
    }
}

impl Drop for SendStream {
    fn drop(&mut self) {
        if !self.over {
            self.reset(Self::ABANDONED);
        }
    }
}

impl RecvStream {
    pub(super) fn new(inner: quinn::RecvStream) -> Self {
        Self { inner }
    }

    /// Reads what is there, at most `buffer.len()` bytes; `None` at the end of the stream. Cancel-safe.
    ///
    /// # Errors
    /// The connection is lost, or the sender has reset the stream.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, StreamError> {
        self.inner.read(buffer).await.map_err(StreamError::of_read)
    }

    /// As [`RecvStream::read`], but gives the next bytes as they arrived, at most `bytes_max` of them. Cancel-safe.
    ///
    /// # Errors
    /// Those of [`RecvStream::read`].
    pub async fn read_chunk(&mut self, bytes_max: usize) -> Result<Option<Chunk>, StreamError> {
        let chunk = self.inner.read_chunk(bytes_max, true).await.map_err(StreamError::of_read)?;
        Ok(chunk.map(Chunk))
    }

    /// Fills `buffer`. Not cancel-safe.
    ///
    /// # Errors
    /// [`StreamError::Truncated`] if the stream ends before, and those of [`RecvStream::read`].
    pub async fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), StreamError> {
        match self.inner.read_exact(buffer).await {
            Ok(()) => Ok(()),
            Err(quinn::ReadExactError::FinishedEarly(read)) => {
                Err(StreamError::Truncated { missing: buffer.len() - read })
            }
            Err(quinn::ReadExactError::ReadError(error)) => Err(StreamError::of_read(error)),
        }
    }

    /// Reads up to the end. Not cancel-safe.
    ///
    /// # Errors
    /// [`StreamError::TooLong`] beyond `limit` bytes, and those of [`RecvStream::read`].
    pub async fn read_to_end(&mut self, limit: usize) -> Result<Vec<u8>, StreamError> {
        match self.inner.read_to_end(limit).await {
            Ok(bytes) => Ok(bytes),
            Err(quinn::ReadToEndError::TooLong) => Err(StreamError::TooLong { limit }),
            Err(quinn::ReadToEndError::Read(error)) => Err(StreamError::of_read(error)),
        }
    }

    /// Tells the sender, with `code`, that no more is wanted. Nothing happens if the stream is over.
    pub fn stop(mut self, code: u32) {
        // The only error is that the stream is over.
        let _ = self.inner.stop(code.into());
    }
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl fmt::Debug for SendStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendStream").field("id", &self.inner.id()).field("over", &self.over).finish()
    }
}

impl fmt::Debug for RecvStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvStream").field("id", &self.inner.id()).finish()
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({} bytes)", self.len())
    }
}
