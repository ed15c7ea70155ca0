//! [`Sizes`]: about how much the values of a table hold beyond their own size.

use crate::{Datum, Result};

/// How large the values of a table are that may hold memory elsewhere: as large as their encodings.
///
/// A value is encoded for that when it comes, when as many values again have been folded into it, and when these had as many
/// bytes as it has: in the sum that costs little, and no value is ever much larger than is known.
#[derive(Default)]
pub(super) struct Sizes {
    values: Vec<Size>,
    all: usize,
}

#[derive(Clone, Copy, Default)]
struct Size {
    bytes: usize,
    /// Values that were folded into it.
    folded: u32,
    /// About how many bytes they had since it was encoded.
    pending: u32,
}

/// Of values that hold memory elsewhere, one in so many is encoded to find out how much that is.
const SAMPLED: u32 = 64;

/// Values that are smaller are not looked at for every value that is folded into them.
const SMALL_BYTES: usize = 64;

impl Sizes {
    /// What is held for the values, in bytes: what they hold, and what is known of it.
    #[inline]
    pub(super) fn held_bytes(&self) -> usize {
        self.all + size_of_val(&*self.values)
    }

    /// What the values hold, in bytes.
    pub(super) fn value_bytes(&self) -> usize {
        self.all
    }

    /// Counts a value that was folded into that of entry `at`. Whether it is time to look at its size again.
    #[inline]
    pub(super) fn folded<V: ?Sized + Datum>(
        &mut self,
        at: usize,
        value: &V,
        scratch: &mut Vec<u8>,
    ) -> Result<bool> {
        let size = &mut self.values[at];
        size.folded = size.folded.wrapping_add(1);
        // A slice says how many bytes it has.
        let is_slice = size_of::<&V>() > size_of::<&()>();
        let bytes = if is_slice {
            size_of_val(value)
        } else if size.folded.is_multiple_of(SAMPLED) {
            scratch.clear();
            value.encode(scratch)?;
            scratch.len().saturating_mul(SAMPLED as usize)
        } else {
            0
        };
        size.pending = size.pending.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        Ok(size.folded.is_power_of_two() || size.pending as usize > size.bytes.max(SMALL_BYTES))
    }

    /// Notes how large the value of entry `at` is, which may be a new one.
    pub(super) fn set(&mut self, at: usize, bytes: usize) {
        if at == self.values.len() {
            self.values.push(Size::default());
        }
        let size = &mut self.values[at];
        size.pending = 0;
        self.all = self.all - std::mem::replace(&mut size.bytes, bytes) + bytes;
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.all = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Folds values by appending them. Gives the most that a value was larger than was known, and how many bytes were
    /// encoded to know it.
    fn append<V: ?Sized + Datum>(values: impl IntoIterator<Item = V::Owned>) -> (usize, usize)
    where
        V::Owned: AsRef<[u8]>,
    {
        let (mut sizes, mut scratch, mut bytes, mut looked, mut unknown) =
            (Sizes::default(), Vec::new(), 0, 0, 0);
        sizes.set(0, bytes);
        for value in values {
            bytes += value.as_ref().len();
            if sizes.folded::<V>(0, std::borrow::Borrow::borrow(&value), &mut scratch).unwrap() {
                sizes.set(0, bytes);
                looked += bytes;
            }
            unknown = unknown.max(bytes - sizes.value_bytes());
        }
        (unknown, looked)
    }

    /// After many small values, which had them looked at more and more rarely.
    #[test]
    fn large_values_are_noticed_behind_many_small_ones() {
        let values = || (0..1 << 16).map(|_| vec![1; 1]).chain((0..2_000).map(|_| vec![2; 1_000]));
        let all = (1 << 16) + 2_000_000;
        for (unknown, looked) in [append::<[u8]>(values()), append::<Vec<u8>>(values())] {
            assert!(unknown <= all / 2 + 64_000, "{unknown} bytes were not known of");
            assert!(looked <= 4 * all, "{looked} bytes were encoded");
        }
    }

    #[test]
    fn what_is_known_of_sizes_counts_as_well() {
        let mut sizes = Sizes::default();
        (0..10).for_each(|at| sizes.set(at, 5));
        assert_eq!((sizes.value_bytes(), sizes.held_bytes()), (50, 50 + 10 * size_of::<Size>()));
        sizes.set(3, 1);
        assert_eq!(sizes.value_bytes(), 46);
        sizes.clear();
        assert_eq!(sizes.held_bytes(), 0);
    }
}
