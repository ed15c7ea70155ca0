//! The server's side of a transfer.

use super::{Answer, BLOB_HEADER_BYTES, Credit, FIRST_BYTES, Offer, PATIENCE, Refusal, TRAILER_BYTES};
use crate::{
    transport::StreamError,
    wire::{FrameReader, FrameWriter, WireError},
};
use std::{fmt, future::Future, mem, time::Duration};
use xxhash_rust::xxh3::Xxh3;

/// Bytes that are written at once, where there are as many.
const PIECE_BYTES: usize = 256 << 10;

/// Bytes of a blob from which on it is not worth copying it behind others.
const LARGE_BYTES: usize = 32 << 10;

/// What a request is answered with: bytes that are shared, not copied, each let go when it was sent.
#[derive(Default)]
pub(crate) struct Body {
    parts: Vec<Part>,
}

struct Part {
    index: u32,
    pairs: u64,
    bytes: Box<dyn AsRef<[u8]> + Send + Sync>,
}

/// Why a request was not served to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ServeError {
    /// The stream broke, or the requester has given it up.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The requester neither reads nor grants more.
    #[error("the other side has not gone on for {} s", waited.as_secs())]
    Stalled {
        /// How long was waited.
        waited: Duration,
    },
}

impl Body {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a blob. Its bytes must stay the same.
    pub(crate) fn push(&mut self, index: u32, pairs: u64, bytes: impl AsRef<[u8]> + Send + Sync + 'static) {
        self.parts.push(Part { index, pairs, bytes: Box::new(bytes) });
    }

    fn offer(&self) -> Offer {
        let bytes = self.parts.iter().map(|part| part.len() + BLOB_HEADER_BYTES as u64).sum();
        Offer { blobs: self.parts.len() as u64, bytes }
    }
}

impl Part {
    fn len(&self) -> u64 {
        (*self.bytes).as_ref().len() as u64
    }

    fn header(&self) -> [u8; BLOB_HEADER_BYTES] {
        let mut header = [0; BLOB_HEADER_BYTES];
        header[..4].copy_from_slice(&self.index.to_le_bytes());
        header[4..12].copy_from_slice(&self.pairs.to_le_bytes());
        header[12..].copy_from_slice(&self.len().to_le_bytes());
        header
    }
}

/// Serves one request on the stream that it came with. `Ok` means that the requester's transport has all of the body.
///
/// If it fails or is dropped, the stream is reset: the requester never takes a part for the whole.
pub(crate) async fn serve(writer: FrameWriter, reader: FrameReader, body: Body) -> Result<(), ServeError> {
    serve_within(PATIENCE, writer, reader, body).await
}

/// As [`serve`], and with another patience than [`PATIENCE`].
pub(super) async fn serve_within(
    patience: Duration,
    mut writer: FrameWriter,
    reader: FrameReader,
    body: Body,
) -> Result<(), ServeError> {
    let offer = body.offer();
    writer.put(&Answer::Offer(offer))?;
    let mut sender =
        Sender { patience, writer, reader, credit: FIRST_BYTES, gathered: Vec::new(), hash: Xxh3::new() };
    for part in body.parts {
        sender.add(&part.header()).await?;
        sender.add((*part.bytes).as_ref()).await?;
    }
    sender.flush().await?;
    sender.end(offer).await
}

/// Says why a request is not served. If that cannot be said either, the stream is reset.
pub(crate) async fn refuse(mut writer: FrameWriter, refusal: Refusal) {
    let said = match writer.send(&Answer::Refused(refusal)).await {
        Ok(()) => writer.finish(),
        error => error,
    };
    if let Err(error) = said {
        tracing::debug!(%error, "a refusal could not be said");
    }
}

/// Sends a body as far as it may.
struct Sender {
    patience: Duration,
    writer: FrameWriter,
    reader: FrameReader,
    /// Bytes that may be sent.
    credit: u64,
    /// Small parts, to be sent together.
    gathered: Vec<u8>,
    hash: Xxh3,
}

impl Sender {
    /// The next bytes of the body.
    async fn add(&mut self, bytes: &[u8]) -> Result<(), ServeError> {
        if bytes.len() >= LARGE_BYTES {
            self.flush().await?;
            return self.write(bytes).await;
        }
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= PIECE_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Sends what was gathered.
    async fn flush(&mut self) -> Result<(), ServeError> {
        let mut gathered = mem::take(&mut self.gathered);
        self.write(&gathered).await?;
        gathered.clear();
        self.gathered = gathered;
        Ok(())
    }

    async fn write(&mut self, mut bytes: &[u8]) -> Result<(), ServeError> {
        while !bytes.is_empty() {
            while self.credit == 0 {
                let credit = within(self.patience, self.reader.expect::<Credit>()).await?;
                self.credit = self.credit.saturating_add(credit.bytes);
            }
            let (piece, rest) = bytes.split_at(bytes.len().min(PIECE_BYTES).min(clamp(self.credit)));
            self.hash.update(piece);
            within(self.patience, self.writer.write_raw(piece)).await?;
            self.credit -= piece.len() as u64;
            bytes = rest;
        }
        Ok(())
    }

    /// Sends the trailer, and waits until the requester has everything.
    async fn end(mut self, offer: Offer) -> Result<(), ServeError> {
        let mut trailer = [0; TRAILER_BYTES];
        trailer[..8].copy_from_slice(&offer.blobs.to_le_bytes());
        trailer[8..16].copy_from_slice(&offer.bytes.to_le_bytes());
        trailer[16..].copy_from_slice(&self.hash.digest().to_le_bytes());
        within(self.patience, self.writer.write_raw(&trailer)).await?;
        self.writer.finish()?;
        let stopped = async { Ok(self.writer.stream().stopped().await?) };
        match within(self.patience, stopped).await? {
            None => Ok(()),
            Some(code) => Err(WireError::from(StreamError::Stopped { code }).into()),
        }
    }
}

async fn within<T>(
    patience: Duration,
    step: impl Future<Output = Result<T, WireError>>,
) -> Result<T, ServeError> {
    match tokio::time::timeout(patience, step).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(ServeError::Stalled { waited: patience }),
    }
}

fn clamp(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Offer { blobs, bytes } = self.offer();
        f.debug_struct("Body").field("blobs", &blobs).field("bytes", &bytes).finish()
    }
}
