//! The requester's side of a transfer, from the offer on.

use super::{
    BLOB_HEADER_BYTES, BODY_BYTES_MAX, Credit, FIRST_BYTES, FetchError, Offer, Portion, TRAILER_BYTES,
    WINDOW_BYTES,
    compression::{BLOCK_HEADER_BYTES, Unpacker},
};
use crate::wire::{FrameReader, FrameWriter, WireError};
use std::{fmt, future::Future, mem, time::Duration};
use xxhash_rust::xxh3::Xxh3;

/// Bytes read at once into a large blob.
const PIECE_BYTES: usize = 256 << 10;

/// Bytes read at once, to be taken apart, where blobs are small.
const STAGE_BYTES: usize = 32 << 10;

/// What a transfer carries.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Blob {
    /// The split of a run, or the number of a block.
    pub(crate) index: u32,
    /// The pairs of a run, else 0.
    pub(crate) pairs: u64,
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
}

/// What has come, and the part of the budget that it takes until this is dropped.
#[derive(Debug)]
pub(crate) struct Fetched<T = Blob> {
    items: Vec<T>,
    held: Portion,
}

impl<T> Fetched<T> {
    /// What has come, in the order in which it was sent.
    #[cfg(test)]
    pub(crate) fn items(&self) -> &[T] {
        &self.items
    }

    /// What has come, and what is to be dropped with the last of it.
    pub(crate) fn into_parts(self) -> (Vec<T>, Portion) {
        (self.items, self.held)
    }
}

/// Where the blobs of transfers go.
pub(super) trait Take: Sync {
    /// What becomes of a blob.
    type Item: Send;

    /// How much of the budget a body is to have before it is let in.
    fn cost(&self, blobs: u64, bytes: u64) -> u64;

    /// Takes the blob that comes next. `share` is what is left of the budget's part.
    fn take(
        &self,
        incoming: &mut Incoming,
        header: BlobHeader,
        share: &mut u64,
    ) -> impl Future<Output = Result<Self::Item, FetchError>> + Send;
}

/// What is in front of a blob.
#[derive(Clone, Copy)]
pub(super) struct BlobHeader {
    pub(super) index: u32,
    pub(super) pairs: u64,
    pub(super) length: usize,
}

/// All of a body stays in memory, within the budget.
pub(super) struct ToBlobs;

impl Take for ToBlobs {
    type Item = Blob;

    fn cost(&self, blobs: u64, bytes: u64) -> u64 {
        // At most three times BODY_BYTES_MAX.
        bytes + blobs * size_of::<Blob>() as u64
    }

    async fn take(
        &self,
        incoming: &mut Incoming,
        BlobHeader { index, pairs, length }: BlobHeader,
        _share: &mut u64,
    ) -> Result<Blob, FetchError> {
        Ok(Blob { index, pairs, bytes: incoming.blob(length).await? })
    }
}

/// A stream whose offer was read.
pub(super) struct Incoming {
    patience: Duration,
    /// Until all is granted.
    writer: Option<FrameWriter>,
    reader: FrameReader,
    offer: Offer,
    /// Bytes of the body that the server may send.
    granted: u64,
    /// Bytes of the body that were read from the stream.
    received: u64,
    /// If the body comes in compressed blocks.
    unpacker: Option<Box<Unpacker>>,
    /// Read, and not yet in a blob: all from `used` on.
    stage: Vec<u8>,
    used: usize,
    hash: Xxh3,
}

impl Incoming {
    /// Takes the offer, if it can be true and has at most `blobs_max` blobs: each takes some memory, even one of no bytes.
    pub(super) fn new(
        writer: FrameWriter,
        reader: FrameReader,
        offer: Offer,
        blobs_max: u64,
        patience: Duration,
    ) -> Result<Self, FetchError> {
        let bytes_max = BODY_BYTES_MAX.min(isize::MAX as u64);
        if offer.bytes > bytes_max {
            return Err(FetchError::TooLarge { bytes: offer.bytes, bytes_max });
        }
        let blobs_max = blobs_max.min(offer.bytes / BLOB_HEADER_BYTES as u64);
        if offer.blobs > blobs_max {
            return Err(corrupt("the offer has blobs:", offer.blobs, blobs_max));
        }
        Ok(Self {
            patience,
            writer: Some(writer),
            reader,
            offer,
            granted: FIRST_BYTES.min(offer.bytes),
            received: 0,
            unpacker: None,
            stage: Vec::new(),
            used: 0,
            hash: Xxh3::new(),
        })
    }

    /// The same, of a body that comes in compressed blocks.
    pub(super) fn compressed(self) -> Self {
        Self { unpacker: Some(Box::default()), ..self }
    }

    /// Blobs and bytes of the body.
    pub(super) fn size(&self) -> (u64, u64) {
        (self.offer.blobs, self.offer.bytes)
    }

    /// Lets the server send more, unless it may send all already.
    pub(super) async fn grant(&mut self, credit: Credit) -> Result<(), WireError> {
        match &mut self.writer {
            Some(writer) if self.granted < self.offer.bytes => writer.send(&credit).await,
            _ => Ok(()),
        }
    }

    /// Reads the body and verifies it. The budget is held already.
    pub(super) async fn receive<T: Take>(
        mut self,
        take: &T,
        held: Portion,
    ) -> Result<Fetched<T::Item>, FetchError> {
        let mut items = Vec::new();
        let mut share = held.bytes();
        for after in (0..self.offer.blobs).rev() {
            let header = self.header().await?;
            let (index, rest) = header.split_at(4);
            let (pairs, length) = rest.split_at(8);
            let length = number(length);
            // `new` and this very check see to it that there is room for the headers.
            let length_max = self.left() - after * BLOB_HEADER_BYTES as u64;
            if length > length_max {
                return Err(corrupt("a blob has bytes:", length, length_max));
            }
            let header =
                BlobHeader { index: number(index) as u32, pairs: number(pairs), length: length as usize };
            items.push(take.take(&mut self, header, &mut share).await?);
        }
        if self.left() > 0 {
            return Err(corrupt("bytes after the last blob:", self.left(), 0));
        }
        self.trailer().await?;
        Ok(Fetched { items, held })
    }

    /// Bytes of the body that are not in a blob yet.
    fn left(&self) -> u64 {
        self.offer.bytes - self.received + (self.stage.len() - self.used) as u64
    }

    /// How many bytes may be read, after having granted more where it is time to.
    async fn readable(&mut self) -> Result<usize, FetchError> {
        let ahead = self.granted - self.received;
        if self.granted < self.offer.bytes && ahead <= WINDOW_BYTES / 4 * 3 {
            let granted = self.offer.bytes.min(self.received + WINDOW_BYTES);
            self.grant(Credit { bytes: granted - self.granted }).await?;
            self.granted = granted;
        }
        if self.granted == self.offer.bytes
            && let Some(mut writer) = self.writer.take()
        {
            // A server that is done listens no more; whether it was done is seen on the other half.
            let _ = writer.finish();
        }
        Ok((self.granted - self.received) as usize)
    }

    /// Reads bytes to be taken apart. There must be some left.
    async fn restage(&mut self) -> Result<(), FetchError> {
        let bytes = self.readable().await?.min(STAGE_BYTES);
        self.stage.clear();
        self.used = 0;
        let mut stage = mem::take(&mut self.stage);
        self.read(bytes, &mut stage).await?;
        self.stage = stage;
        Ok(())
    }

    /// Up to `bytes_max` bytes that were read already.
    fn staged(&mut self, bytes_max: usize) -> &[u8] {
        let start = self.used;
        self.used = self.stage.len().min(start + bytes_max);
        &self.stage[start..self.used]
    }

    async fn header(&mut self) -> Result<[u8; BLOB_HEADER_BYTES], FetchError> {
        let mut header = [0; BLOB_HEADER_BYTES];
        let mut filled = 0;
        while filled < header.len() {
            if self.used == self.stage.len() {
                self.restage().await?;
            }
            let staged = self.staged(header.len() - filled);
            header[filled..filled + staged.len()].copy_from_slice(staged);
            filled += staged.len();
        }
        Ok(header)
    }

    /// The next bytes of a blob of which `left` are still to come: some, if it is not 0.
    pub(super) async fn piece(&mut self, left: usize) -> Result<Vec<u8>, FetchError> {
        if left > 0 && self.used == self.stage.len() {
            let bytes = self.readable().await?.min(left).min(PIECE_BYTES);
            let mut piece = Vec::with_capacity(bytes);
            self.read(bytes, &mut piece).await?;
            return Ok(piece);
        }
        Ok(self.staged(left).to_vec())
    }

    /// A blob of so many bytes.
    pub(super) async fn blob(&mut self, length: usize) -> Result<Vec<u8>, FetchError> {
        let mut bytes = self.staged(length).to_vec();
        while bytes.len() < length {
            let missing = length - bytes.len();
            if missing < STAGE_BYTES {
                self.restage().await?;
                bytes.reserve_exact(missing);
                bytes.extend_from_slice(self.staged(missing));
                continue;
            }
            let readable = self.readable().await?;
            let piece = readable.min(missing).min(PIECE_BYTES);
            if bytes.capacity() - bytes.len() < piece {
                bytes.reserve_exact(missing.min(readable.max(bytes.len())));
            }
            self.read(piece, &mut bytes).await?;
        }
        Ok(bytes)
    }

    /// Appends the next bytes of the body, of which there must be so many.
    async fn read(&mut self, bytes: usize, to: &mut Vec<u8>) -> Result<(), FetchError> {
        let start = to.len();
        match &mut self.unpacker {
            None => {
                within(self.patience, self.reader.read_raw(bytes, to)).await?;
                self.received += bytes as u64;
            }
            Some(unpacker) => {
                let end = start + bytes;
                while to.len() < end {
                    let part = unpacker.take(end - to.len());
                    self.received += part.len() as u64;
                    to.extend_from_slice(part);
                    if to.len() == end {
                        break;
                    }
                    let stored = &mut unpacker.stored;
                    stored.clear();
                    within(self.patience, self.reader.read_raw(BLOCK_HEADER_BYTES, stored)).await?;
                    let header = *stored.first_chunk().expect("as many bytes were read");
                    let (raw, length) = Unpacker::lengths(header, self.granted - self.received)?;
                    stored.clear();
                    within(self.patience, self.reader.read_raw(length, stored)).await?;
                    unpacker.unpack(raw)?;
                }
            }
        }
        self.hash.update(&to[start..]);
        Ok(())
    }

    /// Reads what is behind the body, and holds it against what was read.
    async fn trailer(mut self) -> Result<(), FetchError> {
        // After an empty body this is the first call: it ends the credits.
        self.readable().await?;
        let mut trailer = mem::take(&mut self.stage);
        trailer.clear();
        within(self.patience, self.reader.read_raw(TRAILER_BYTES, &mut trailer)).await?;
        let counted = [
            ("the trailer has blobs:", self.offer.blobs),
            ("the trailer has bytes:", self.offer.bytes),
            ("the checksum is", self.hash.digest()),
        ];
        for ((what, expected), found) in counted.into_iter().zip(trailer.chunks_exact(8).map(number)) {
            if found != expected {
                return Err(corrupt(what, found, expected));
            }
        }
        let (rest, mut stream) = self.reader.into_parts();
        let end = async { Ok(stream.read_chunk(1).await?.map_or(0, |chunk| chunk.len())) };
        match rest.len() + within(self.patience, end).await? {
            0 => Ok(()),
            more => Err(corrupt("bytes after the trailer:", more as u64, 0)),
        }
    }
}

/// A little-endian number of at most 8 bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn corrupt(what: &'static str, found: u64, expected: u64) -> FetchError {
    FetchError::Corrupt { what, found, expected }
}

async fn within<T>(
    patience: Duration,
    step: impl Future<Output = Result<T, WireError>>,
) -> Result<T, FetchError> {
    match tokio::time::timeout(patience, step).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(FetchError::Stalled { waited: patience }),
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({}: {} pairs, {} bytes)", self.index, self.pairs, self.bytes.len())
    }
}
