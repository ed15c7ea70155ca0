//! [`Bounds`]: where ranges of keys begin, found by few comparisons of numbers.

use crate::exec::prefix;
use serde::{Deserialize, Serialize};
use std::ops::Deref;

/// Encoded keys in ascending order.
///
/// They are the first thing that is compared with every pair, so most keys are told apart by their [`prefix`], and the
/// numbers from the first to the last of these are cut into cells that say which bounds can matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Vec<u8>>", into = "Vec<Vec<u8>>")]
pub(super) struct Bounds {
    bounds: Vec<Vec<u8>>,
    prefixes: Vec<u64>,
    /// Which of the prefixes is the first of each cell, and how many there are.
    cells: Vec<u32>,
    /// A cell is so many bits of a number.
    shift: u32,
}

/// More than there are bounds by default, so that most keys meet none in their cell.
const CELLS: usize = 1 << 10;

impl From<Vec<Vec<u8>>> for Bounds {
    fn from(bounds: Vec<Vec<u8>>) -> Self {
        let prefixes: Vec<u64> = bounds.iter().map(|bound| prefix(bound)).collect();
        let (first, last) = (prefixes.first().copied(), prefixes.last().copied());
        let width = last.unwrap_or(0).wrapping_sub(first.unwrap_or(0));
        let shift = (u64::BITS - width.leading_zeros()).saturating_sub(CELLS.ilog2());
        let mut all = Self { bounds, prefixes, cells: Vec::new(), shift };
        let first_of = |cell| all.prefixes.partition_point(|prefix| all.cell(*prefix) < cell) as u32;
        all.cells = (0..=CELLS).map(first_of).collect();
        all
    }
}

impl From<Bounds> for Vec<Vec<u8>> {
    fn from(bounds: Bounds) -> Self {
        bounds.bounds
    }
}

impl Deref for Bounds {
    type Target = [Vec<u8>];

    fn deref(&self) -> &[Vec<u8>] {
        &self.bounds
    }
}

impl Bounds {
    /// How many are at most `key`.
    #[inline]
    pub(super) fn up_to(&self, key: &[u8]) -> usize {
        let number = prefix(key);
        let cell = self.cell(number);
        let &[begin, end] = self.cells.get(cell..).and_then(<[u32]>::first_chunk).unwrap_or(&[0, 0]);
        // What another node has sent need not be in order.
        let near = self.prefixes.get(begin as usize..end as usize).unwrap_or_default();
        let below = begin as usize + near.partition_point(|prefix| *prefix < number);
        match self.prefixes.get(below) {
            Some(prefix) if *prefix == number => self.bounds.partition_point(|bound| bound.as_slice() <= key),
            _ => below,
        }
    }

    /// The cell of a number. Numbers in front of all bounds are in the first one, those behind in the last.
    #[inline]
    fn cell(&self, number: u64) -> usize {
        let first = self.prefixes.first().copied().unwrap_or(0);
        ((number.saturating_sub(first) >> self.shift) as usize).min(CELLS - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            vec(prop_oneof![Just(0), Just(7), Just(0xff)], 0..12),
            vec(any::<u8>(), 0..40),
            "(prefix )?[ab]{0,3}".prop_map_into()
        ]
    }

    proptest! {
        #[test]
        fn as_many_bounds_are_found_as_are_not_behind_the_key(mut bounds in vec(key(), 0..60), keys in vec(key(), 0..60)) {
            bounds.sort();
            bounds.dedup();
            let found = Bounds::from(bounds.clone());
            for key in keys.iter().chain(&bounds) {
                prop_assert_eq!(found.up_to(key), bounds.iter().filter(|bound| *bound <= key).count());
            }
        }

        #[test]
        fn bounds_in_any_order_do_no_harm(bounds in vec(key(), 0..20), keys in vec(key(), 0..20)) {
            let found = Bounds::from(bounds.clone());
            prop_assert!(keys.iter().all(|key| found.up_to(key) <= bounds.len()));
            prop_assert_eq!(Vec::from(found), bounds);
        }
    }

    /// It is what nodes send each other.
    #[test]
    fn bounds_are_sent_as_the_keys_that_they_are() {
        let keys = vec![vec![1, 2], vec![3]];
        let (mut one, mut other) = (Vec::new(), Vec::new());
        crate::codec::encode(&Bounds::from(keys.clone()), &mut one).unwrap();
        crate::codec::encode(&keys, &mut other).unwrap();
        assert_eq!(one, other);
        assert_eq!(crate::codec::decode::<Bounds>(&one).unwrap(), Bounds::from(keys));
    }
}
