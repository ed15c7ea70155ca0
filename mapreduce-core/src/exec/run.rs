//! [`Run`]: pairs of encoded keys and values, one after the other.
//!
//! Layout: for each pair `key length | value length | key | value`, the lengths as LEB128 (7 bits a byte, low bits
//! first, the top bit set on all but the last). A run of a map task is sorted by the bytes of its keys; pairs of the
//! same key keep the order in which they were emitted.

use crate::hash;
use std::cmp::Ordering;

/// Encoded pairs: what a map task leaves for one partition, or a reduce task for its driver. [`Run::default`] has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    bytes: Vec<u8>,
    pairs: u64,
}

impl Run {
    /// A run of bytes that have come from elsewhere. `None` unless they are exactly `pairs` whole pairs.
    ///
    /// ```
    /// use mapreduce_core::exec::Run;
    ///
    /// // A key of one byte and a value of two.
    /// let run = Run::from_bytes(b"\x01\x02kvv".to_vec(), 1).ok_or("whole")?;
    /// assert!(run.cursor().eq([(&b"k"[..], &b"vv"[..])]));
    /// assert_eq!(Run::from_bytes(b"\x01\x02kv".to_vec(), 1), None);
    /// # Ok::<(), &str>(())
    /// ```
    pub fn from_bytes(bytes: Vec<u8>, pairs: u64) -> Option<Self> {
        let mut cursor = RunCursor { rest: &bytes };
        let mut found = 0;
        while !cursor.rest.is_empty() {
            cursor.next()?;
            found += 1;
        }
        (found == pairs).then_some(Self { bytes, pairs })
    }

    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), pairs: 0 }
    }

    #[inline]
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) {
        push_length(&mut self.bytes, key.len());
        push_length(&mut self.bytes, value.len());
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.pairs += 1;
    }

    /// The number of pairs.
    pub fn pairs(&self) -> u64 {
        self.pairs
    }

    /// The pairs' bytes, in the layout of the module's description.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads the pairs in order.
    pub fn cursor(&self) -> RunCursor<'_> {
        RunCursor { rest: &self.bytes }
    }

    /// xxh3 of the bytes.
    pub fn checksum(&self) -> u64 {
        hash::checksum(&self.bytes)
    }
}

/// Reads the pairs of a [`Run`].
#[derive(Clone, Debug)]
pub struct RunCursor<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for RunCursor<'a> {
    /// Encoded key and encoded value.
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let key = take_length(&mut self.rest)?;
        let value = take_length(&mut self.rest)?;
        let (key, rest) = self.rest.split_at_checked(key)?;
        let (value, rest) = rest.split_at_checked(value)?;
        self.rest = rest;
        Some((key, value))
    }
}

#[inline]
fn push_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

/// Takes a pair off the front of the bytes of a run.
#[inline]
pub(crate) fn take_pair<'a>(bytes: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let key = take_length(bytes)?;
    let value = take_length(bytes)?;
    let (key, rest) = bytes.split_at_checked(key)?;
    let (value, rest) = rest.split_at_checked(value)?;
    *bytes = rest;
    Some((key, value))
}

#[inline]
fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    let mut length = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(length);
        }
    }
    None
}

/// The first eight bytes of a key as a number that compares as they do. Most comparisons of keys end here.
#[inline]
pub(super) fn prefix(key: &[u8]) -> u64 {
    match key.first_chunk::<8>() {
        Some(first) => u64::from_be_bytes(*first),
        None => {
            let mut padded = [0; 8];
            padded[..key.len()].copy_from_slice(key);
            u64::from_be_bytes(padded)
        }
    }
}

/// Compares two keys whose prefixes are known.
#[inline]
pub(super) fn compare(a: (u64, &[u8]), b: (u64, &[u8])) -> Ordering {
    // Equal prefixes do not mean equal keys even if both are short: zeros pad the prefix.
    a.0.cmp(&b.0).then_with(|| a.1.cmp(b.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    proptest! {
        #[test]
        fn pairs_come_back_as_they_were_pushed(pairs in vec((vec(any::<u8>(), 0..300), vec(any::<u8>(), 0..300)), 0..8)) {
            let mut run = Run::default();
            pairs.iter().for_each(|(key, value)| run.push(key, value));
            prop_assert_eq!(run.pairs(), pairs.len() as u64);
            prop_assert!(run.cursor().eq(pairs.iter().map(|(key, value)| (&key[..], &value[..]))));
        }

        #[test]
        fn prefixes_never_contradict_the_order_of_the_keys(a in vec(0..2u8, 0..10), b in vec(0..2u8, 0..10)) {
            prop_assert_eq!(compare((prefix(&a), &a), (prefix(&b), &b)), a.cmp(&b));
        }
    }

    proptest! {
        #[test]
        fn bytes_are_a_run_only_if_they_are_as_many_whole_pairs_as_said(
            pairs in vec((vec(any::<u8>(), 0..200), vec(any::<u8>(), 0..200)), 0..6),
            other in any::<u64>(),
        ) {
            let mut run = Run::default();
            let mut ends = vec![0];
            for (key, value) in &pairs {
                run.push(key, value);
                ends.push(run.bytes.len());
            }
            for len in 0..run.bytes.len() {
                let cut = run.bytes[..len].to_vec();
                prop_assert_eq!(Run::from_bytes(cut.clone(), run.pairs), None);
                // What ends with a pair is a run of fewer.
                let whole = ends.iter().position(|end| *end == len);
                for pairs in 0..run.pairs {
                    prop_assert_eq!(Run::from_bytes(cut.clone(), pairs).is_some(), whole == Some(pairs as usize));
                }
            }
            for count in [run.pairs + 1, run.pairs.wrapping_sub(1), other].into_iter().filter(|n| *n != run.pairs) {
                prop_assert_eq!(Run::from_bytes(run.bytes.clone(), count), None);
            }
            let longer = [&run.bytes[..], &[0]].concat();
            prop_assert_eq!(Run::from_bytes(longer, run.pairs), None);
            prop_assert_eq!(Run::from_bytes(run.bytes.clone(), run.pairs), Some(run));
        }
    }

    /// A run may have come over a network.
    #[test]
    fn a_run_that_is_cut_short_ends_early() {
        let mut run = Run::default();
        run.push(&[1; 200], &[2; 200]);
        let whole = run.as_bytes().to_vec();
        for len in 0..whole.len() {
            assert_eq!(RunCursor { rest: &whole[..len] }.count(), 0);
        }
        assert_eq!(RunCursor { rest: &[0xff; 20] }.count(), 0);
    }
}
