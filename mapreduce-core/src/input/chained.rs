//! [`Chained`]: the output of one job as the input of the next; its records are [`Pairs`].

use super::{Blocks, Input, Piece, ReadError, Records, SplitInfo, plan};
use crate::{
    Counters, Datum, Error, Report, Schema,
    exec::{Chunks, Returned, Run, RunChunks, pair_bytes, put_lengths, take_pair},
};
use std::{
    borrow::{Borrow, Cow},
    fmt,
    marker::PhantomData,
    ops::Range,
};

/// Records that are the output pairs of a job: the mapper gets `(&K, &V)`.
pub struct Pairs<K: ?Sized, V: ?Sized>(PhantomData<fn(&K, &V)>);

/// The output of a job, encoded as it is, for another job to read.
///
/// It is made by [`Engine::chain`](crate::Engine::chain). The pairs come in the order of the output. On a pool the node
/// that runs the jobs holds them, and sends splits to the others.
///
/// ```
/// use mapreduce_core::prelude::*;
///
/// #[derive(Clone, Serialize, Deserialize)]
/// struct CountWords;
///
/// impl Mapper for CountWords {
///     type Input = Items<String>;
///     type Key = str;
///     type Value = u64;
///     fn map(&self, line: &String, out: &mut impl Emit<str, u64>) -> Result {
///         line.split_ascii_whitespace().try_for_each(|word| out.emit(word, &1))
///     }
/// }
///
/// impl SimpleJob for CountWords {
///     const NAME: &'static str = "count-words";
///     type Combiner = Sum;
///     type Reducer = Fold<Sum>;
/// }
///
/// /// How many words come so many times.
/// #[derive(Clone, Serialize, Deserialize)]
/// struct CountCounts;
///
/// impl Mapper for CountCounts {
///     type Input = Pairs<str, u64>;
///     type Key = u64;
///     type Value = u64;
///     fn map(&self, (_, count): (&str, &u64), out: &mut impl Emit<u64, u64>) -> Result {
///         out.emit(count, &1)
///     }
/// }
///
/// impl SimpleJob for CountCounts {
///     const NAME: &'static str = "count-counts";
///     type Combiner = Sum;
///     type Reducer = Fold<Sum>;
/// }
///
/// let engine = Local::new(2)?;
/// let lines = ["to be or", "not to be"].map(String::from);
/// let lines = Dataset::new(ItemSlice::new(&lines))?;
/// let words = engine.chain(&CountWords, &(), &lines, &Options::default())?;
/// let counts = engine.run(&CountCounts, &(), &Dataset::new(words)?)?;
/// assert_eq!(counts.pairs, [(1, 2), (2, 2)]);
/// # Ok::<(), mapreduce_core::Error>(())
/// ```
#[non_exhaustive]
pub struct Chained<K: ?Sized, V: ?Sized> {
    parts: Vec<Run>,
    outputs: &'static [&'static str],
    pairs: u64,
    bytes: u64,
    /// What mappers and reducers have counted.
    pub counters: Counters,
    /// How the run went.
    pub report: Report,
    types: PhantomData<fn(&K, &V)>,
}

/// Pairs are decoded in blocks of so many bytes, if one pair is not longer.
const BLOCK_BYTES: usize = 64 << 10;

impl<K: ?Sized + Datum, V: ?Sized + Datum> Chained<K, V> {
    /// The output of a job with these side outputs.
    pub(crate) fn new(
        parts: Vec<Run>,
        outputs: &'static [&'static str],
        counters: Counters,
        report: Report,
    ) -> Result<Self, Error> {
        let (mut pairs, mut bytes) = (0, 0);
        for part in &parts {
            if outputs.is_empty() {
                (pairs, bytes) = (pairs + part.pairs(), bytes + part.byte_len());
                continue;
            }
            let mut reader = part.reader();
            while let Some((key, value)) = reader.next_pair()? {
                if let Returned::Pair(key) = Returned::of(key, outputs.len())? {
                    (pairs, bytes) = (pairs + 1, bytes + pair_bytes(key.len(), value.len()) as u64);
                }
            }
        }
        Ok(Self { parts, outputs, pairs, bytes, counters, report, types: PhantomData })
    }

    /// The number of pairs.
    pub fn pairs(&self) -> u64 {
        self.pairs
    }

    /// The bytes they take.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The lines of a [side output](crate::Job::SIDE_OUTPUTS), as [`Output::side`](crate::Output::side) has them. The
    /// mapper of the next job does not see them.
    ///
    /// # Errors
    /// When a spill file cannot be read or is damaged.
    pub fn side(&self, output: &str) -> Result<Vec<Vec<u8>>, Error> {
        let mut lines = Vec::new();
        let Some(wanted) = self.outputs.iter().position(|name| *name == output) else { return Ok(lines) };
        // The lines of the mappers come first. They are in the last partition.
        let (of_keys, last) = self.parts.split_at(self.parts.len().saturating_sub(1));
        for part in last.iter().chain(of_keys) {
            let mut reader = part.reader();
            while let Some((key, line)) = reader.next_pair()? {
                if Returned::of(key, self.outputs.len())? == Returned::Line(wanted) {
                    lines.push(line.to_vec());
                }
            }
        }
        Ok(lines)
    }

    fn chunks<'a>(&'a self, split: &'a SplitInfo) -> PairChunks<'a> {
        PairChunks {
            parts: &self.parts,
            pieces: split.pieces.iter(),
            piece: Bytes::Memory(&[]),
            outputs: self.outputs.len(),
            plain: Vec::new(),
        }
    }
}

impl<K: ?Sized + Datum, V: ?Sized + Datum> Input for Chained<K, V> {
    type Records = Pairs<K, V>;

    fn shape(&self) {}

    fn splits(&self, split_bytes: Option<u64>) -> Result<Vec<SplitInfo>, Error> {
        let target = plan::split_bytes(self.bytes(), split_bytes);
        let mut cut = Cut { target, splits: Vec::new(), open: None };
        let mut record = 0;
        for (source, part) in (0..).zip(&self.parts) {
            let mut at = 0;
            let mut reader = part.reader();
            while let Some((key, value)) = reader.next_pair()? {
                let bytes = pair_bytes(key.len(), value.len()) as u64;
                // Lines for side outputs may come to lie in a split, and are left out when it is read.
                if let Returned::Pair(_) = Returned::of(key, self.outputs.len())? {
                    cut.pair(source, at..at + bytes, record);
                    record += 1;
                }
                at += bytes;
            }
        }
        cut.splits.extend(cut.open);
        Ok(cut.splits)
    }

    fn open<'a>(&'a self, split: &'a SplitInfo) -> Result<Box<dyn Blocks<Pairs<K, V>> + 'a>, ReadError> {
        Ok(Box::new(PairBlocks { chunks: self.chunks(split), buffer: PairBuffer::default() }))
    }

    fn describe(&self, split: &SplitInfo) -> String {
        let place = |Piece { source, range }: &Piece| {
            format!("output partition {source}, bytes {} to {}", range.start, range.end)
        };
        match split.pieces.as_slice() {
            [] => "no output".to_string(),
            [one] => place(one),
            [first, .., last] => format!("{} ... {}", place(first), place(last)),
        }
    }

    /// Parts are in the order of their keys, and are read from their beginnings.
    fn excerpts(&self, _: &SplitInfo, _: usize) -> Vec<SplitInfo> {
        Vec::new()
    }

    fn ship(&self, split: &SplitInfo, sink: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        super::send(&mut self.chunks(split), sink)
    }
}

impl<K: ?Sized, V: ?Sized> fmt::Debug for Chained<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parts, counters, report, .. } = self;
        f.debug_struct("Chained")
            .field("parts", &parts.len())
            .field("counters", counters)
            .field("report", report)
            .finish()
    }
}

/// Puts pairs into splits of about `target` bytes; small parts share one.
struct Cut {
    target: u64,
    splits: Vec<SplitInfo>,
    open: Option<SplitInfo>,
}

impl Cut {
    fn pair(&mut self, source: u32, at: Range<u64>, record: u64) {
        let empty = || SplitInfo { pieces: Vec::new(), bytes: 0, first_record: Some(record) };
        let open = self.open.get_or_insert_with(empty);
        open.bytes += at.end - at.start;
        match open.pieces.last_mut() {
            Some(piece) if piece.source == source => piece.range.end = at.end,
            _ => open.pieces.push(Piece { source, range: at }),
        }
        if open.bytes >= self.target {
            self.splits.extend(self.open.take());
        }
    }
}

fn malformed() -> ReadError {
    ReadError::Malformed { place: PLACE.into(), message: "a pair is cut off".into() }
}

/// Where records come from, for messages.
const PLACE: &str = "output of a job";

/// Gives the pairs of a split, a chunk of whole pairs at a time.
struct PairChunks<'a> {
    parts: &'a [Run],
    pieces: std::slice::Iter<'a, Piece>,
    /// What is left of the current piece.
    piece: Bytes<'a>,
    /// How many side outputs the job has. If any, pairs are copied: without lines for these, and without their tags.
    outputs: usize,
    plain: Vec<u8>,
}

enum Bytes<'a> {
    /// In memory, to be lent as it lies there.
    Memory(&'a [u8]),
    /// In a file: what is left of it, and what has been read.
    File { chunks: RunChunks, unread: u64, read: Vec<u8>, given: usize },
}

impl PairChunks<'_> {
    /// Goes on to the next piece. False behind the last.
    fn next_piece(&mut self) -> Result<bool, ReadError> {
        let Some(Piece { source, range }) = self.pieces.next() else { return Ok(false) };
        let part = self.parts.get(*source as usize).ok_or_else(malformed)?;
        if range.start > range.end || range.end > part.byte_len() {
            return Err(malformed());
        }
        self.piece = match part.in_memory() {
            Some(bytes) => Bytes::Memory(&bytes[range.start as usize..range.end as usize]),
            None => Bytes::File {
                chunks: part.chunks_from(range.start)?,
                unread: range.end - range.start,
                read: Vec::new(),
                given: 0,
            },
        };
        Ok(true)
    }
}

impl Chunks for PairChunks<'_> {
    fn next_chunk(&mut self) -> Result<Option<&[u8]>, ReadError> {
        if self.outputs == 0 {
            return self.next_stored();
        }
        let (outputs, mut plain) = (self.outputs, std::mem::take(&mut self.plain));
        plain.clear();
        while plain.is_empty() {
            let Some(mut stored) = self.next_stored()? else { return Ok(None) };
            while let Some((key, value)) = take_pair(&mut stored) {
                if let Returned::Pair(key) = Returned::of(key, outputs).map_err(|_| malformed())? {
                    plain.extend_from_slice(put_lengths(&mut Default::default(), key.len(), value.len()));
                    plain.extend_from_slice(key);
                    plain.extend_from_slice(value);
                }
            }
        }
        self.plain = plain;
        Ok(Some(&self.plain))
    }
}

impl PairChunks<'_> {
    /// The next pairs as they are stored.
    fn next_stored(&mut self) -> Result<Option<&[u8]>, ReadError> {
        loop {
            match &mut self.piece {
                Bytes::Memory([]) => {}
                Bytes::Memory(_) => break,
                Bytes::File { chunks, unread, read, given } => {
                    read.drain(..std::mem::take(given));
                    // A pair may be longer than a chunk of the file.
                    while *unread > 0 && whole_pairs(read) == 0 {
                        let chunk = chunks.next_chunk()?.ok_or_else(malformed)?;
                        let taken = chunk.len().min(usize::try_from(*unread).unwrap_or(usize::MAX));
                        read.extend_from_slice(&chunk[..taken]);
                        *unread -= taken as u64;
                    }
                    if !read.is_empty() {
                        break;
                    }
                }
            }
            if !self.next_piece()? {
                return Ok(None);
            }
        }
        match &mut self.piece {
            Bytes::Memory(rest) => {
                let (chunk, behind) = rest.split_at(whole_pairs(rest));
                *rest = behind;
                if chunk.is_empty() { Err(malformed()) } else { Ok(Some(chunk)) }
            }
            Bytes::File { read, given, .. } => {
                *given = whole_pairs(read);
                if *given == 0 { Err(malformed()) } else { Ok(Some(&read[..*given])) }
            }
        }
    }
}

/// How many bytes the first whole pairs take: as many as fit into a block, or one.
fn whole_pairs(bytes: &[u8]) -> usize {
    let (mut rest, mut end) = (bytes, 0);
    while take_pair(&mut rest).is_some() {
        let next = bytes.len() - rest.len();
        if end > 0 && next > BLOCK_BYTES {
            break;
        }
        end = next;
    }
    end
}

/// Reads the pairs of a split.
struct PairBlocks<'a, K: ?Sized + Datum, V: ?Sized + Datum> {
    chunks: PairChunks<'a>,
    buffer: PairBuffer<K, V>,
}

impl<K: ?Sized + Datum, V: ?Sized + Datum> Blocks<Pairs<K, V>> for PairBlocks<'_, K, V> {
    fn next_block(&mut self) -> Result<Option<PairBlock<'_, K, V>>, ReadError> {
        match self.chunks.next_chunk()? {
            Some(bytes) => Pairs::block(&(), bytes, &mut self.buffer).map(Some),
            None => Ok(None),
        }
    }
}

impl<K: ?Sized + Datum, V: ?Sized + Datum> Records for Pairs<K, V> {
    type Record<'a> = (&'a K, &'a V);
    type Block<'a> = PairBlock<'a, K, V>;
    type Shape = ();
    type Buffer = PairBuffer<K, V>;

    fn block<'a>(
        _: &(),
        bytes: &'a [u8],
        buffer: &'a mut PairBuffer<K, V>,
    ) -> Result<PairBlock<'a, K, V>, ReadError> {
        let decoded = |error: crate::CodecError| ReadError::Malformed {
            place: PLACE.into(),
            message: error.to_string(),
        };
        buffer.0.clear();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (key, value) = take_pair(&mut rest).ok_or_else(malformed)?;
            buffer.0.push((Part::decode(key).map_err(decoded)?, Part::decode(value).map_err(decoded)?));
        }
        Ok(PairBlock { rest: bytes, pairs: buffer.0.iter() })
    }

    fn schema(schema: &mut Schema) {
        schema.text("pairs of (");
        K::schema(schema);
        schema.text(") and (");
        V::schema(schema);
        schema.text(")");
    }
}

/// A decoded key or value, or a note that it is borrowed from the bytes, as a `str` is.
enum Part<T: ?Sized + ToOwned> {
    Owned(T::Owned),
    Borrowed,
}

impl<T: ?Sized + Datum> Part<T> {
    fn decode(bytes: &[u8]) -> Result<Self, crate::CodecError> {
        Ok(match T::decode(bytes)? {
            Cow::Owned(owned) => Self::Owned(owned),
            Cow::Borrowed(_) => Self::Borrowed,
        })
    }

    #[inline]
    fn lend<'a>(&'a self, bytes: &'a [u8]) -> &'a T {
        match self {
            Self::Owned(owned) => owned.borrow(),
            Self::Borrowed => match T::decode(bytes) {
                Ok(Cow::Borrowed(borrowed)) => borrowed,
                _ => panic!("what was decoded by borrowing is decoded in the same way again"),
            },
        }
    }
}

/// Where the pairs of a block are decoded to.
pub struct PairBuffer<K: ?Sized + ToOwned, V: ?Sized + ToOwned>(Vec<(Part<K>, Part<V>)>);

impl<K: ?Sized + ToOwned, V: ?Sized + ToOwned> Default for PairBuffer<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// The pairs of a block, `(&K, &V)`.
pub struct PairBlock<'a, K: ?Sized + ToOwned, V: ?Sized + ToOwned> {
    rest: &'a [u8],
    pairs: std::slice::Iter<'a, (Part<K>, Part<V>)>,
}

impl<'a, K: ?Sized + Datum, V: ?Sized + Datum> Iterator for PairBlock<'a, K, V> {
    type Item = (&'a K, &'a V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.pairs.next()?;
        let (key_bytes, value_bytes) = take_pair(&mut self.rest)?;
        Some((key.lend(key_bytes), value.lend(value_bytes)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.pairs.size_hint()
    }
}

impl<K: ?Sized + Datum, V: ?Sized + Datum> ExactSizeIterator for PairBlock<'_, K, V> {}
