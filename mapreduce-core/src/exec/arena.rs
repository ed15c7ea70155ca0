//! [`Arena`]: encoded pairs in the order in which they were emitted, until they are sorted.

use super::{
    run::prefix,
    sort::{Slot, sort},
};
use crate::{Datum, Result};
use std::error::Error;

/// Encoded pairs, one after the other: key, value, and behind them their lengths, which are known last.
#[derive(Debug, Default)]
pub(super) struct Arena {
    bytes: Vec<u8>,
    /// `at` is where the lengths of the pair begin.
    slots: Vec<Slot>,
}

/// Pairs begin below this, so that 32 bits say where they end.
pub(super) const ARENA_BYTES_MAX: usize = 1 << 31;

impl Arena {
    /// What is held, in bytes.
    #[inline]
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.len() + size_of_val(&*self.slots)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many bytes the pairs take, each with its lengths.
    pub(super) fn pair_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a pair. `key` appends the encoded key, `partition` chooses where it belongs.
    #[inline]
    pub(super) fn push<V: ?Sized + Datum>(
        &mut self,
        key: impl FnOnce(&mut Vec<u8>),
        value: &V,
        partition: impl FnOnce(&[u8]) -> Result<u32>,
    ) -> Result {
        let begin = self.bytes.len();
        key(&mut self.bytes);
        let split = self.bytes.len();
        value.encode(&mut self.bytes)?;
        let encoded = &self.bytes[begin..split];
        let (prefix, partition) = (prefix(encoded), partition(encoded)?);
        let end = self.bytes.len();
        let at = u32::try_from(end).map_err(|_| too_long("pair", end - begin))?;
        push_length(&mut self.bytes, split - begin);
        push_length(&mut self.bytes, end - split);
        self.slots.push(Slot { prefix, partition, at });
        Ok(())
    }

    /// Sorts the pairs by partition and key, those of a key in the order in which they were emitted. `exact`: whether
    /// keys are equal if their prefixes are.
    pub(super) fn sort(&mut self, partitions: u32, exact: bool) {
        let bytes = &self.bytes;
        let key = |at| pair(bytes, at).0;
        sort(&mut self.slots, partitions, if exact { None } else { Some(&key) });
    }

    /// Partition, key and value of every pair.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (u32, &[u8], &[u8])> {
        self.slots.iter().map(|slot| {
            let (key, value) = pair(&self.bytes, slot.at);
            (slot.partition, key, value)
        })
    }

    /// Forgets all pairs. Keeps the memory for others, but no more than `bytes_max` for their bytes: one record may
    /// have been larger than all others.
    pub(super) fn clear(&mut self, bytes_max: usize) {
        self.slots.clear();
        self.bytes.clear();
        self.bytes.shrink_to(bytes_max);
    }
}

/// What begins below [`ARENA_BYTES_MAX`] and is as long at most always has a place.
#[cold]
pub(super) fn too_long(what: &str, bytes: usize) -> Box<dyn Error + Send + Sync> {
    format!("a {what} of {bytes} bytes is too long; the limit is 2 GiB").into()
}

/// The pair whose lengths begin at `at`.
#[inline]
fn pair(bytes: &[u8], at: u32) -> (&[u8], &[u8]) {
    let (before, mut lengths) = bytes.split_at(at as usize);
    let (key, value) = (take_length(&mut lengths), take_length(&mut lengths));
    before[before.len() - key - value..].split_at(key)
}

#[inline]
fn push_length(out: &mut Vec<u8>, length: usize) {
    // Most are short.
    if length < 0x80 {
        return out.push(length as u8);
    }
    let mut rest = length;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[inline]
fn take_length(bytes: &mut &[u8]) -> usize {
    let (mut length, mut shift) = (0, 0);
    while let Some((&byte, rest)) = bytes.split_first() {
        *bytes = rest;
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
        shift += 7;
    }
    length
}
