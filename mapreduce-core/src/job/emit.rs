//! [`Emit`]: where a mapper or a reducer puts its pairs.

use crate::Result;

/// Takes the pairs that a mapper or a reducer produces, and what it counts.
///
/// Mappers and reducers are generic over it (`impl Emit<K, V>`), so that the table behind it is inlined into their
/// code: emitting a key that the table already holds costs one hash and one look-up and allocates nothing.
pub trait Emit<K: ?Sized, V: ?Sized> {
    /// Emits one pair. The key is encoded at once and the value is folded or encoded, so both may be borrowed from
    /// the record.
    ///
    /// # Errors
    /// When the value cannot be encoded, the partitioner names a partition that is not there, or the attempt has
    /// been cancelled. Pass the error on with `?`: the attempt cannot go on.
    fn emit(&mut self, key: &K, value: &V) -> Result;

    /// Adds `n` to the counter of that name. Counters of all attempts that commit are summed in
    /// [`Output::counters`](crate::Output::counters); what an attempt that does not commit has counted vanishes.
    fn count(&mut self, counter: &'static str, n: u64);
}
