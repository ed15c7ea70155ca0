//! The plan of an input: how it is cut into splits. A pure function of the input's size and of the options.

use super::source::SourceFile;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Splits that an input is cut into if nothing else is asked for: enough that a pool of tens of threads stays busy
/// to the end, few enough that what a task costs does not show.
const SPLITS: u64 = 64;
/// Bounds of the default split size, in bytes. Below, scheduling would cost as much as the work; above, a lost peer
/// would lose too much of it.
const SPLIT_BYTES: Range<u64> = 256 << 10..64 << 20;

/// A part of a source: a range of bytes, rows or items of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Which file or other part of the input, counted from 0.
    pub source: u32,
    /// The range in the units of the input: bytes of text, rows, items.
    pub range: Range<u64>,
}

/// One split: what one map task reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitInfo {
    /// What it consists of, in order.
    pub pieces: Vec<Piece>,
    /// About how many bytes that is.
    pub bytes: u64,
    /// The index of its first record in the whole input, where the input can tell without reading.
    pub first_record: Option<u64>,
}

/// The split size in bytes for an input of `total` bytes.
pub(super) fn split_bytes(total: u64, asked: Option<u64>) -> u64 {
    match asked {
        Some(bytes) => bytes.max(1),
        None => (total / SPLITS).clamp(SPLIT_BYTES.start, SPLIT_BYTES.end),
    }
}

/// Splits of `count` units (rows, items) of `unit_bytes` each, `per_split` units in every one but the last.
pub(super) fn even(count: u64, unit_bytes: u64, per_split: u64) -> Vec<SplitInfo> {
    let per_split = per_split.max(1);
    (0..count.div_ceil(per_split))
        .map(|i| {
            let range = i * per_split..((i + 1) * per_split).min(count);
            SplitInfo {
                bytes: (range.end - range.start) * unit_bytes,
                first_record: Some(range.start),
                pieces: vec![Piece { source: 0, range }],
            }
        })
        .collect()
}

/// Splits of sources of so many records each, all of them `record_bytes` long. Pieces are ranges of records; small sources
/// share a split.
pub(super) fn of_records(
    sources: impl IntoIterator<Item = u64, IntoIter: Clone>,
    record_bytes: u64,
    asked: Option<u64>,
) -> Vec<SplitInfo> {
    let sources = sources.into_iter();
    let total = sources.clone().fold(0, |sum: u64, records| sum.saturating_add(records * record_bytes));
    let per_split = (split_bytes(total, asked) / record_bytes).max(1);
    let mut packer = Packer::new(per_split * record_bytes);
    let mut first_record = 0;
    for (source, records) in (0..).zip(sources) {
        let mut start = 0;
        while start < records {
            let end = records.min(start + packer.room() / record_bytes);
            packer.add(source, start..end, (end - start) * record_bytes, Some(first_record + start));
            start = end;
        }
        first_record += records;
    }
    packer.finish()
}

/// Splits of files that are cut at any byte, or not at all where they must stay whole. Small ones share a split.
pub(super) fn of_files(files: &[SourceFile], asked: Option<u64>) -> Vec<SplitInfo> {
    let total = files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.content_bytes()));
    let mut packer = Packer::new(split_bytes(total, asked));
    for (source, file) in files.iter().enumerate() {
        if file.is_whole() {
            let bytes = file.content_bytes();
            if bytes > 0 {
                packer.add(source as u32, 0..file.bytes, bytes, None);
            }
            continue;
        }
        let mut start = file.header_bytes;
        while start < file.bytes {
            let end = file.bytes.min(start.saturating_add(packer.room()));
            packer.add(source as u32, start..end, end - start, None);
            start = end;
        }
    }
    packer.finish()
}

/// What is less than so many bytes long is not worth a place of its own in a sample.
const EXCERPT_BYTES_MIN: u64 = 64 << 10;

/// Parts of a split that begin at even distances, for an input that can be read from any unit on: at most `count`.
pub(super) fn excerpts(split: &SplitInfo, count: usize) -> Vec<SplitInfo> {
    let lengths = || split.pieces.iter().map(|piece| piece.range.end - piece.range.start);
    let units: u64 = lengths().sum();
    let count = (split.bytes / EXCERPT_BYTES_MIN).min(units).clamp(1, count as u64);
    let bound = |i: u64| (u128::from(units) * u128::from(i) / u128::from(count)) as u64;
    let excerpt = |i: u64| {
        let (mut begin, len) = (bound(i), bound(i + 1) - bound(i));
        let (piece, _) = split.pieces.iter().zip(lengths()).find(|(_, length)| {
            let is_here = begin < *length;
            begin -= if is_here { 0 } else { *length };
            is_here
        })?;
        let start = piece.range.start + begin;
        let range = start..piece.range.end.min(start + len);
        Some(SplitInfo {
            bytes: split.bytes / count,
            first_record: None,
            pieces: vec![Piece { source: piece.source, range }],
        })
    };
    (0..count).filter_map(excerpt).collect()
}

/// Parts of a split of files. None if one of these has to be read from its beginning.
pub(super) fn excerpts_of_files(files: &[SourceFile], split: &SplitInfo, count: usize) -> Vec<SplitInfo> {
    match split.pieces.iter().any(|piece| files[piece.source as usize].is_whole()) {
        true => Vec::new(),
        false => excerpts(split, count),
    }
}

/// Packs pieces into splits of about the same size, in order.
pub(super) struct Packer {
    target: u64,
    open: SplitInfo,
    splits: Vec<SplitInfo>,
}

impl Packer {
    pub(super) fn new(target: u64) -> Self {
        Self { target: target.max(1), open: empty(), splits: Vec::new() }
    }

    /// The bytes that the open split still takes.
    pub(super) fn room(&self) -> u64 {
        self.target - self.open.bytes
    }

    /// Adds a piece of about `bytes` bytes that is not to be cut, of which the first record is the given one of all. It
    /// begins a new split if it does not fit into the open one. What follows the last piece directly is joined to it.
    pub(super) fn add(&mut self, source: u32, range: Range<u64>, bytes: u64, first_record: Option<u64>) {
        if bytes > self.room() && !self.open.pieces.is_empty() {
            self.close();
        }
        if self.open.pieces.is_empty() {
            self.open.first_record = first_record;
        }
        match self.open.pieces.last_mut() {
            Some(last) if last.source == source && last.range.end == range.start => {
                last.range.end = range.end
            }
            _ => self.open.pieces.push(Piece { source, range }),
        }
        self.open.bytes = self.open.bytes.saturating_add(bytes);
        if self.open.bytes >= self.target {
            self.close();
        }
    }

    fn close(&mut self) {
        self.splits.push(std::mem::replace(&mut self.open, empty()));
    }

    pub(super) fn finish(mut self) -> Vec<SplitInfo> {
        if !self.open.pieces.is_empty() {
            self.close();
        }
        self.splits
    }
}

fn empty() -> SplitInfo {
    SplitInfo { pieces: Vec::new(), bytes: 0, first_record: None }
}
