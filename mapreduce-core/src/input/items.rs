//! An in-memory collection as input: [`ItemSlice`], whose records are references to the items.

use super::{Blocks, Input, Piece, ReadError, Records, SplitInfo, plan};
use crate::{Error, Schema, codec};
use serde::{Serialize, de::DeserializeOwned};
use std::{marker::PhantomData, ops::Range};

/// Records that are values of `T`. In this process they are borrowed as they lie; only what is sent to another node is
/// encoded.
pub struct Items<T>(PhantomData<fn() -> T>);

impl<T: Send + Sync + Serialize + DeserializeOwned + 'static> Records for Items<T> {
    type Record<'a> = &'a T;
    type Block<'a> = &'a [T];
    type Shape = ();
    type Buffer = Vec<T>;

    fn block<'a>(_: &(), bytes: &'a [u8], buffer: &'a mut Vec<T>) -> Result<&'a [T], ReadError> {
        *buffer = codec::decode(bytes)
            .map_err(|error| ReadError::Malformed { place: "items".into(), message: error.to_string() })?;
        Ok(buffer)
    }

    fn schema(schema: &mut Schema) {
        schema.text("items ");
        schema.serde_type::<T>();
    }
}

/// Splits of a collection: items are often large pieces of work (a file name, a URL), so there are many.
const SPLITS: u64 = 128;

/// How much is encoded to be sent at once, if one item is not longer.
const BLOCK_BYTES: usize = 256 << 10;

/// A collection in memory, owned or borrowed: a `Vec`, a slice, an array or an `Arc<[T]>`.
#[derive(Clone, Debug)]
pub struct ItemSlice<T, S> {
    items: S,
    item: PhantomData<fn() -> T>,
}

impl<T, S: AsRef<[T]>> ItemSlice<T, S> {
    /// The items of `items`.
    pub fn new(items: S) -> Self {
        Self { items, item: PhantomData }
    }
}

impl<T, S> Input for ItemSlice<T, S>
where
    T: Send + Sync + Serialize + DeserializeOwned + 'static,
    S: AsRef<[T]> + Send + Sync,
{
    type Records = Items<T>;

    fn shape(&self) {}

    fn splits(&self, split_bytes: Option<u64>) -> Result<Vec<SplitInfo>, Error> {
        let count = self.items.as_ref().len() as u64;
        let item_bytes = size_of::<T>().max(1) as u64;
        let per_split = match split_bytes {
            Some(bytes) => bytes / item_bytes,
            None => count.div_ceil(SPLITS),
        };
        Ok(plan::even(count, item_bytes, per_split))
    }

    fn open<'a>(&'a self, split: &'a SplitInfo) -> Result<Box<dyn Blocks<Items<T>> + 'a>, ReadError> {
        Ok(Box::new(ItemBlocks { items: self.items.as_ref(), pieces: split.pieces.iter() }))
    }

    fn describe(&self, split: &SplitInfo) -> String {
        describe("items", split)
    }

    fn excerpts(&self, split: &SplitInfo, count: usize) -> Vec<SplitInfo> {
        plan::excerpts(split, count)
    }

    fn ship(&self, split: &SplitInfo, sink: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        let mut block = Vec::new();
        for piece in &split.pieces {
            send(&self.items.as_ref()[within(&piece.range)], piece.range.start, &mut block, sink)?;
        }
        Ok(())
    }
}

/// Hands items to `sink`, encoded and in blocks of about the same length. `first` is the number of the first one.
pub(super) fn send<T: Serialize>(
    mut items: &[T],
    first: u64,
    block: &mut Vec<u8>,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<(), ReadError> {
    let end = first + items.len() as u64;
    while !items.is_empty() {
        let taken = codec::encode_some(items, BLOCK_BYTES, block).map_err(|error| {
            let place = format!("items from {} on", end - items.len() as u64);
            ReadError::Malformed { place, message: error.to_string() }
        })?;
        sink(block);
        items = &items[taken..];
    }
    Ok(())
}

struct ItemBlocks<'a, T> {
    items: &'a [T],
    pieces: std::slice::Iter<'a, Piece>,
}

impl<T: Send + Sync + Serialize + DeserializeOwned + 'static> Blocks<Items<T>> for ItemBlocks<'_, T> {
    fn next_block(&mut self) -> Result<Option<&[T]>, ReadError> {
        Ok(self.pieces.next().map(|piece| &self.items[within(&piece.range)]))
    }
}

/// A range of a slice: splits are planned from the slice's own length.
pub(super) fn within(range: &Range<u64>) -> Range<usize> {
    range.start as usize..range.end as usize
}

/// `items 0 to 128`.
pub(super) fn describe(units: &str, split: &SplitInfo) -> String {
    let ranges: Vec<String> =
        split.pieces.iter().map(|piece| format!("{} to {}", piece.range.start, piece.range.end)).collect();
    format!("{units} {}", ranges.join(", "))
}
