//! The hashes of the data path. Partitions and in-memory tables use different functions and seeds: keys that share a
//! partition would otherwise crowd into the same part of its table.

use foldhash::fast::FixedState;
use std::hash::{BuildHasher, Hasher};
use xxhash_rust::xxh3;

const PARTITION_SEED: u64 = 0x6d61_7020_7265_6475;

/// The hash that partitions are chosen by: xxh3 with a fixed seed, the same on every node and in every version.
pub(crate) fn partition(key: &[u8]) -> u64 {
    xxh3::xxh3_64_with_seed(key, PARTITION_SEED)
}

/// The checksum of a run or a part file.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    xxh3::xxh3_64(bytes)
}

/// The hash of in-memory tables. It never leaves the process.
#[inline]
pub(crate) fn table(key: &[u8]) -> u32 {
    let mut hasher = FixedState::with_seed(0x7461_626c).build_hasher();
    hasher.write(key);
    (hasher.finish() >> 32) as u32
}

/// The hash of in-memory tables, for keys that are numbers. The halves of the first product depend on every bit of the key
/// between them; the second product spreads what they have in common, which keys at equal distances would show.
#[inline]
pub(crate) fn word(key: u64) -> u32 {
    let product = u128::from(key ^ 0x243f_6a88_85a3_08d3) * u128::from(0x9e37_79b9_7f4a_7c15_u64);
    let folded = (product >> 64) as u64 ^ product as u64;
    (folded.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32) as u32
}
