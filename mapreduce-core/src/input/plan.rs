//! The plan of an input: how it is cut into splits. A pure function of the input's size and of the options.

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
