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
pub(crate) fn table(key: &[u8]) -> u64 {
    let mut hasher = FixedState::with_seed(0x7461_626c).build_hasher();
    hasher.write(key);
    hasher.finish()
}
