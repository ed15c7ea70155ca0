//! The server's side of a transfer.

use super::{
    Answer, BLOB_HEADER_BYTES, Compression, Credit, FIRST_BYTES, Offer, PATIENCE, Refusal, TRAILER_BYTES,
    compression::{BLOCK_BYTES, Packer},
};
use crate::{
    transport::StreamError,
    wire::{FrameReader, FrameWriter, WireError},
};
use mapreduce_core::exec::{Run, RunChunks, SpillError};
use std::{collections::VecDeque, fmt, future::Future, mem, time::Duration};
use tokio::task::{JoinHandle, spawn_blocking};
use xxhash_rust::xxh3::Xxh3;

/// Bytes that are written at once, where there are as many.
const WRITE_BYTES: usize = 256 << 10;

/// Bytes of a blob from which on it is not worth copying it behind others.
const LARGE_BYTES: usize = 32 << 10;

/// What a request is answered with: bytes that are shared, not copied, and runs in spill files, which are read as they are
/// sent. Each is let go when it was sent.
#[derive(Default)]
pub(crate) struct Body {
    parts: Vec<Part>,
}

struct Part {
    index: u32,
    pairs: u64,
    content: Content,
}

enum Content {
    Memory(Box<dyn AsRef<[u8]> + Send + Sync>),
    Spilled(Run),
}

/// Why a request was not served to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ServeError {
    /// The stream broke, or the requester has given it up.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// What was to be sent cannot be read.
    #[error(transparent)]
    Spill(#[from] SpillError),
    /// This node ends.
    #[error("the node ends")]
    Ending,
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
        self.parts.push(Part { index, pairs, content: Content::Memory(Box::new(bytes)) });
    }

    /// Adds a run, wherever it lies.
    pub(crate) fn push_run(&mut self, index: u32, run: Run) {
        let pairs = run.pairs();
        match run.in_memory() {
            Some(_) => self.push(index, pairs, RunBytes(run)),
            None => self.parts.push(Part { index, pairs, content: Content::Spilled(run) }),
        }
    }

    fn offer(&self) -> Offer {
        let bytes = self.parts.iter().map(|part| part.len() + BLOB_HEADER_BYTES as u64).sum();
        Offer { blobs: self.parts.len() as u64, bytes }
    }
}

impl Part {
    fn len(&self) -> u64 {
        match &self.content {
            Content::Memory(bytes) => (**bytes).as_ref().len() as u64,
            Content::Spilled(run) => run.byte_len(),
        }
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
    serve_within(PATIENCE, Compression::Never, writer, reader, body).await
}

/// As [`serve`], compressed where that pays.
pub(crate) async fn serve_compressed(
    compression: Compression,
    writer: FrameWriter,
    reader: FrameReader,
    body: Body,
) -> Result<(), ServeError> {
    serve_within(PATIENCE, compression, writer, reader, body).await
}

/// As [`serve_compressed`], and with another patience than [`PATIENCE`].
pub(super) async fn serve_within(
    patience: Duration,
    compression: Compression,
    mut writer: FrameWriter,
    reader: FrameReader,
    body: Body,
) -> Result<(), ServeError> {
    let offer = body.offer();
    // What fits into a packet or two does not get faster.
    let is_large = offer.bytes >= LARGE_BYTES as u64;
    let packer = (is_large && compression.pays(writer.stream().rate())).then(Packer::default);
    writer.put(&match packer {
        Some(_) => Answer::Compressed(offer),
        None => Answer::Offer(offer),
    })?;
    if body.parts.iter().any(|part| matches!(part.content, Content::Spilled(_))) {
        // It else leaves with the first bytes, and the requester waits longer for those than for an answer.
        within(patience, writer.flush()).await?;
    }
    let (credit, gathered, hash) = (FIRST_BYTES, Vec::new(), Xxh3::new());
    let mut sender = Sender { patience, writer, reader, credit, gathered, packer, hash };
    let mut parts = body.parts.into_iter().peekable();
    while let Some(part) = parts.next() {
        let header = part.header();
        match part.content {
            Content::Memory(bytes) => {
                sender.add(&header).await?;
                sender.add((*bytes).as_ref()).await?;
            }
            Content::Spilled(run) => {
                let mut spilled = VecDeque::from([(header, run)]);
                while let Some(part) = parts.next_if(|part| matches!(part.content, Content::Spilled(_))) {
                    let header = part.header();
                    let Content::Spilled(run) = part.content else { continue };
                    spilled.push_back((header, run));
                }
                sender.add_spilled(SpillReader { spilled, chunks: None }).await?;
            }
        }
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
    /// Unless the body is sent as it is.
    packer: Option<Packer>,
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
        if self.gathered.len() >= WRITE_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Runs of spill files: a piece is read while the one before is sent.
    async fn add_spilled(&mut self, reader: SpillReader) -> Result<(), ServeError> {
        let mut reading = reader.read_on();
        loop {
            // It does not panic, and is not stopped unless the runtime ends.
            let (reader, piece) = reading.await.map_err(|_| ServeError::Ending)??;
            if piece.is_empty() {
                return Ok(());
            }
            reading = reader.read_on();
            self.add(&piece).await?;
        }
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
            let piece_max = if self.packer.is_some() { BLOCK_BYTES } else { WRITE_BYTES };
            let (piece, rest) = bytes.split_at(bytes.len().min(piece_max).min(clamp(self.credit)));
            self.hash.update(piece);
            let packed = self.packer.as_mut().map_or(piece, |packer| packer.pack(piece));
            within(self.patience, self.writer.write_raw(packed)).await?;
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

/// A run in memory.
struct RunBytes(Run);

impl AsRef<[u8]> for RunBytes {
    fn as_ref(&self) -> &[u8] {
        self.0.in_memory().unwrap_or_default()
    }
}

/// Reads runs of spill files, one after the other and each behind its header.
struct SpillReader {
    spilled: VecDeque<([u8; BLOB_HEADER_BYTES], Run)>,
    /// The run that is being read.
    chunks: Option<RunChunks>,
}

impl SpillReader {
    /// Reads the next piece where that may block: about [`WRITE_BYTES`], and none behind the last.
    fn read_on(mut self) -> JoinHandle<Result<(Self, Vec<u8>), SpillError>> {
        spawn_blocking(move || {
            let mut piece = Vec::new();
            while piece.len() < WRITE_BYTES {
                if let Some(chunks) = &mut self.chunks {
                    match chunks.next_chunk()? {
                        Some(chunk) => piece.extend_from_slice(chunk),
                        None => self.chunks = None,
                    }
                } else if let Some((header, run)) = self.spilled.pop_front() {
                    piece.extend_from_slice(&header);
                    self.chunks = Some(run.chunks());
                } else {
                    break;
                }
            }
            Ok((self, piece))
        })
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
