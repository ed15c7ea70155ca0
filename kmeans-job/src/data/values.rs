//! [`Values`]: where the values of a matrix lie.
//!
//! A copy of many points is gone through again and again, by rows that lie apart in the later iterations. In pages of 4 KiB, most of
//! the time of making it is spent on giving out pages, and of those iterations much on looking them up. So the system is
//! asked for large ones, where it has them (transparent huge pages of Linux).

use crate::numeric::scalar::Scalar;
use memmap2::MmapMut;
use std::{
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
};

/// Values in a vector that somebody has given, or in memory of their own.
pub(super) enum Values<T> {
    Given(Vec<T>),
    Mapped(Mapped<T>),
}

/// Anonymous memory that is full of values.
pub(super) struct Mapped<T> {
    memory: MmapMut,
    values: PhantomData<T>,
}

/// Fewer bytes are in a vector: an allocator has as many at hand.
const MAPPED_MIN: usize = 32 << 20;

impl<T: Scalar> Values<T> {
    /// So many zeros, if there is room for them. The memory is not touched yet if they are many.
    pub(super) fn zeros(len: usize) -> Option<Self> {
        let bytes = len.checked_mul(size_of::<T>())?;
        if bytes < MAPPED_MIN {
            return Some(Self::Given(vec![T::ZERO; len]));
        }
        let memory = MmapMut::map_anon(bytes).ok()?;
        #[cfg(target_os = "linux")]
        // A kernel without large pages says no.
        let _has_large_pages = memory.advise(memmap2::Advice::HugePage).is_ok();
        Some(Self::Mapped(Mapped { memory, values: PhantomData }))
    }

    /// In a vector: the given one, or a copy.
    pub(super) fn into_vec(self) -> Vec<T> {
        match self {
            Self::Given(values) => values,
            Self::Mapped(_) => self.to_vec(),
        }
    }
}

impl<T: Scalar> Deref for Values<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Given(values) => values,
            Self::Mapped(mapped) => bytemuck::cast_slice(&mapped.memory),
        }
    }
}

impl<T: Scalar> DerefMut for Values<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::Given(values) => values,
            Self::Mapped(mapped) => bytemuck::cast_slice_mut(&mut mapped.memory),
        }
    }
}

impl<T: Scalar> Clone for Values<T> {
    fn clone(&self) -> Self {
        Self::Given(self.to_vec())
    }
}

impl<T: Scalar> fmt::Debug for Values<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&**self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_zeros_however_many_and_keep_what_is_written() {
        for len in [0, 1, MAPPED_MIN / 8 - 1, MAPPED_MIN / 8] {
            let mut values = Values::<f64>::zeros(len).unwrap();
            assert_eq!(matches!(values, Values::Mapped(_)), len * 8 >= MAPPED_MIN, "{len}");
            assert!(values.len() == len && values.iter().all(|&x| x == 0.0));
            let expected: Vec<f64> = (0..len).map(|i| i as f64).collect();
            values.copy_from_slice(&expected);
            assert!(*values.clone() == *expected && values.into_vec() == expected);
        }
    }

    #[test]
    fn what_there_is_no_room_for_is_no_panic() {
        assert!(Values::<f64>::zeros(usize::MAX).is_none());
        assert!(Values::<f64>::zeros(usize::MAX / 16).is_none());
    }
}
