//! [`Combiner`]: folding the values of a key before they leave the task, and the usual ones.

use std::ops::AddAssign;

/// Folds values of one key into one, inside a map task, before anything is sorted or sent. The reducer then sees one
/// value of the key for each split that has it; for each segment, if a split's pairs are more than
/// [`Options::segment_bytes`](crate::Options::segment_bytes).
///
/// Which values are folded together depends on where splits and segments end, so `combine` must be associative **to the bit**,
/// or the output depends on the plan. Integer sums, minima, maxima and unions are; floating-point sums are not: the
/// plan is a function of input size and options alone, so such a job still gives the same bits on any number of
/// threads and peers, but not for another split size.
pub trait Combiner<K: ?Sized, V: ?Sized + ToOwned>: Send + Sync + 'static {
    /// Whether there is anything to fold. [`NoCombiner`] says `false`: pairs then go to plain buffers.
    const ENABLED: bool = true;

    /// Folds `value` into `into`. Values of a key arrive in the order in which they were emitted, but not always as they
    /// are: where most keys are new, they are folded when the segment is sorted.
    fn combine(&self, key: &K, into: &mut V::Owned, value: &V);
}

/// Adds the values up with `+=`. For integers, and for anything that adds by reference, such as
/// [`Block`](crate::Block). Overflow is that of `+=` on the type.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum;

impl<K: ?Sized, V: Clone + for<'a> AddAssign<&'a V>> Combiner<K, V> for Sum {
    fn combine(&self, _: &K, into: &mut V, value: &V) {
        *into += value;
    }
}

/// Keeps the smallest value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Min;

impl<K: ?Sized, V: Clone + Ord> Combiner<K, V> for Min {
    fn combine(&self, _: &K, into: &mut V, value: &V) {
        if value < into {
            into.clone_from(value);
        }
    }
}

/// Keeps the largest value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Max;

impl<K: ?Sized, V: Clone + Ord> Combiner<K, V> for Max {
    fn combine(&self, _: &K, into: &mut V, value: &V) {
        if value > into {
            into.clone_from(value);
        }
    }
}

/// No combiner: the reducer sees every emitted value as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCombiner;

impl<K: ?Sized, V: ?Sized + ToOwned> Combiner<K, V> for NoCombiner {
    const ENABLED: bool = false;

    fn combine(&self, _: &K, _: &mut V::Owned, _: &V) {
        debug_assert!(false, "a combiner that is not enabled is never called");
    }
}
