//! [`Emit`]: where a mapper or a reducer puts its pairs.

use super::SideOutputError;
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

    /// Writes a line to the side output of that name, which is one of the job's
    /// [`SIDE_OUTPUTS`](crate::Job::SIDE_OUTPUTS). A line feed is added in files. Lines of an attempt that does not commit
    /// vanish.
    ///
    /// The lines of an output come in the order of the input, those of the mappers first; those of the reducers follow in
    /// the order of the partitions, within a partition in the order in which they were written.
    ///
    /// # Errors
    /// When the job has no such output, the line cannot be kept, or the attempt has been cancelled. Pass the error on
    /// with `?`. The default, for emitters that have no side outputs, is such an error.
    fn side(&mut self, output: &'static str, line: &[u8]) -> Result {
        let _ = line;
        Err(SideOutputError::Unknown { output, outputs: &[] }.into())
    }
}
