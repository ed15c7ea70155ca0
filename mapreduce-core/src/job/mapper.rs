//! [`Mapper`]: from records to pairs.

use super::Emit;
use crate::{Datum, Key, Records, Result, Split};

/// Turns records into pairs of a key and a value.
///
/// One mapper serves all tasks of a round on a node, from several threads at once: what it holds (packed centroids, a
/// compiled pattern) is made once, by [`Job::mapper`](super::Job::mapper), and only read afterwards.
///
/// ```
/// use mapreduce_core::prelude::*;
///
/// /// Emits the length of every line.
/// struct Lengths;
///
/// impl Mapper for Lengths {
///     type Input = Utf8Lines;
///     type Key = u64;
///     type Value = u64;
///     fn map(&self, line: &str, out: &mut impl Emit<u64, u64>) -> Result {
///         out.emit(&(line.len() as u64), &1)
///     }
/// }
/// ```
///
/// Key and value types are checked where the pair is emitted:
///
/// ```compile_fail,E0308
/// use mapreduce_core::prelude::*;
///
/// struct Lengths;
///
/// impl Mapper for Lengths {
///     type Input = Utf8Lines;
///     type Key = u64;
///     type Value = u64;
///     fn map(&self, line: &str, out: &mut impl Emit<u64, u64>) -> Result {
///         out.emit(line, &1) // the key is a u64, not a str
///     }
/// }
/// ```
///
/// A key must have an order-preserving encoding, which a hash map has not:
///
/// ```compile_fail,E0277
/// use mapreduce_core::prelude::*;
/// use std::collections::HashMap;
///
/// struct ByMap;
///
/// impl Mapper for ByMap {
///     type Input = Utf8Lines;
///     type Key = HashMap<String, u64>;
///     type Value = u64;
///     fn map(&self, _: &str, _: &mut impl Emit<Self::Key, u64>) -> Result {
///         Ok(())
///     }
/// }
/// ```
pub trait Mapper: Send + Sync + 'static {
    /// What the records are: [`Lines`](crate::Lines), [`Utf8Lines`](crate::Utf8Lines), [`Rows`](crate::Rows),
    /// [`Items`](crate::Items) or records of your own.
    type Input: Records;
    /// The key that values are grouped by. May be unsized (`str`, `[u8]`) and borrowed from the record.
    type Key: ?Sized + Key;
    /// The value. Any serde type, `str` or `[u8]`.
    type Value: ?Sized + Datum;

    /// Called once for every record of a split, in the order of the split.
    ///
    /// # Errors
    /// Any error fails the attempt; the task is tried again until
    /// [`attempts_max`](crate::Options::attempts_max) and then the job fails, naming the record.
    fn map(
        &self,
        record: <Self::Input as Records>::Record<'_>,
        out: &mut impl Emit<Self::Key, Self::Value>,
    ) -> Result;

    /// Called once for every split. The default hands each record of each block to [`map`](Self::map).
    ///
    /// Override it to work on whole blocks (a numeric kernel), to emit once per split instead of once per record, or
    /// to keep something between rounds in the split's cache ([`Split::take_cache`]). It must emit what `map` would
    /// have made the reducer see.
    ///
    /// # Errors
    /// As for [`map`](Self::map); an error of [`Split::next_block`] is passed on with `?`.
    fn map_split(
        &self,
        split: &mut Split<'_, Self::Input>,
        out: &mut impl Emit<Self::Key, Self::Value>,
    ) -> Result {
        let progress = split.progress();
        while let Some(block) = split.next_block()? {
            for record in block {
                progress.record();
                self.map(record, out)?;
            }
        }
        Ok(())
    }
}
