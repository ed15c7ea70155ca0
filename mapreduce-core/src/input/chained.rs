//! [`Chained`]: the output of one job as the input of the next; its records are [`Pairs`].

use super::{Blocks, Input, Piece, ReadError, Records, SplitInfo, plan};
use crate::{Counters, Datum, Error, Report, Schema, exec::Run};
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
    /// What mappers and reducers have counted.
    pub counters: Counters,
    /// How the run went.
    pub report: Report,
    types: PhantomData<fn(&K, &V)>,
}

/// Pairs are decoded in blocks of so many bytes, if one pair is not longer.
const BLOCK_BYTES: usize = 64 << 10;

impl<K: ?Sized + Datum, V: ?Sized + Datum> Chained<K, V> {
    pub(crate) fn new(parts: Vec<Run>, counters: Counters, report: Report) -> Self {
        Self { parts, counters, report, types: PhantomData }
    }

    /// The number of pairs.
    pub fn pairs(&self) -> u64 {
        self.parts.iter().map(Run::pairs).sum()
    }

    /// The bytes they take.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.as_bytes().len() as u64).sum()
    }

    fn blocks<'a>(&'a self, split: &'a SplitInfo) -> PairBlocks<'a, K, V> {
        PairBlocks {
            parts: &self.parts,
            pieces: split.pieces.iter(),
            rest: &[],
            buffer: PairBuffer::default(),
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
            for pair in (PairEnds { rest: part.as_bytes() }) {
                let bytes = pair.ok_or_else(malformed)? as u64;
                cut.pair(source, at..at + bytes, record);
                at += bytes;
                record += 1;
            }
        }
        cut.splits.extend(cut.open);
        Ok(cut.splits)
    }

    fn open<'a>(&'a self, split: &'a SplitInfo) -> Result<Box<dyn Blocks<Pairs<K, V>> + 'a>, ReadError> {
        Ok(Box::new(self.blocks(split)))
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

    fn ship(&self, split: &SplitInfo, sink: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        let mut blocks = self.blocks(split);
        while let Some(block) = blocks.next_bytes()? {
            sink(block);
        }
        Ok(())
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

/// How many bytes each pair takes; `None` if the rest is no pair.
struct PairEnds<'a> {
    rest: &'a [u8],
}

impl Iterator for PairEnds<'_> {
    type Item = Option<usize>;

    fn next(&mut self) -> Option<Option<usize>> {
        if self.rest.is_empty() {
            return None;
        }
        let before = self.rest.len();
        let pair = crate::exec::take_pair(&mut self.rest);
        Some(pair.map(|_| before - self.rest.len()))
    }
}

fn malformed() -> ReadError {
    ReadError::Malformed { place: "output of a job".into(), message: "a pair is cut off".into() }
}

/// Reads the pairs of a split.
struct PairBlocks<'a, K: ?Sized + Datum, V: ?Sized + Datum> {
    parts: &'a [Run],
    pieces: std::slice::Iter<'a, Piece>,
    /// What is left of the current piece.
    rest: &'a [u8],
    buffer: PairBuffer<K, V>,
}

impl<'a, K: ?Sized + Datum, V: ?Sized + Datum> PairBlocks<'a, K, V> {
    /// The next block of whole pairs.
    fn next_bytes(&mut self) -> Result<Option<&'a [u8]>, ReadError> {
        while self.rest.is_empty() {
            let Some(Piece { source, range }) = self.pieces.next() else { return Ok(None) };
            let part = self.parts.get(*source as usize).ok_or_else(malformed)?;
            let range = range.start as usize..range.end as usize;
            self.rest = part.as_bytes().get(range).ok_or_else(malformed)?;
        }
        let mut end = 0;
        for pair in (PairEnds { rest: self.rest }) {
            let bytes = pair.ok_or_else(malformed)?;
            if end > 0 && end + bytes > BLOCK_BYTES {
                break;
            }
            end += bytes;
        }
        let (block, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(Some(block))
    }
}

impl<K: ?Sized + Datum, V: ?Sized + Datum> Blocks<Pairs<K, V>> for PairBlocks<'_, K, V> {
    fn next_block(&mut self) -> Result<Option<PairBlock<'_, K, V>>, ReadError> {
        match self.next_bytes()? {
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
            place: "output of a job".into(),
            message: error.to_string(),
        };
        buffer.0.clear();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (key, value) = crate::exec::take_pair(&mut rest).ok_or_else(malformed)?;
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
        let (key_bytes, value_bytes) = crate::exec::take_pair(&mut self.rest)?;
        Some((key.lend(key_bytes), value.lend(value_bytes)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.pairs.size_hint()
    }
}

impl<K: ?Sized + Datum, V: ?Sized + Datum> ExactSizeIterator for PairBlock<'_, K, V> {}
