//! [`Reducer`]: from the values of a key to the output, and the usual ones.

use super::{Combiner, Emit};
use crate::{Datum, Key, Result};
use std::{
    borrow::{Borrow, Cow},
    marker::PhantomData,
};

/// Turns all values of one key into output pairs.
///
/// Called once for every key of a partition. The output of a partition is what its calls emit, in the order of the keys; the
/// output of the job is its partitions one after the other. Calls for different keys may happen at the same time, on several
/// threads.
pub trait Reducer<K: ?Sized + Key, V: ?Sized + Datum>: Send + Sync + 'static {
    /// Whether pairs are sorted, combined and grouped at all. Of a job whose reducer says `false` the output is what its
    /// mapper emitted, in the order of the splits: [`reduce`](Self::reduce) is called for each pair by itself, to emit it.
    const ENABLED: bool = true;

    /// The key of the output. It is not sorted again and needs no order.
    type Key: ?Sized + Datum;
    /// The value of the output.
    type Value: ?Sized + Datum;

    /// Called once for every key. The values come in the order of the splits, then in the order in which they were
    /// emitted; values that are not asked for are skipped.
    ///
    /// # Errors
    /// Any error fails the attempt, as in [`Mapper::map`](super::Mapper::map).
    fn reduce(
        &self,
        key: &K,
        values: &mut Values<'_, V>,
        out: &mut impl Emit<Self::Key, Self::Value>,
    ) -> Result;
}

/// Where the encoded values of one key come from: a merge of sorted runs here, sorted lines of a pipe elsewhere.
pub trait Group {
    /// The next encoded value of the key, or `None` behind the last one.
    ///
    /// # Errors
    /// When the source cannot be read.
    fn next_value(&mut self) -> Result<Option<&[u8]>>;
}

/// The values of one key, one at a time: they may be more than fit into memory.
///
/// ```
/// use mapreduce_core::prelude::*;
///
/// /// The longest of the values.
/// struct Longest;
///
/// impl Reducer<str, str> for Longest {
///     type Key = str;
///     type Value = str;
///     fn reduce(&self, key: &str, values: &mut Values<'_, str>, out: &mut impl Emit<str, str>) -> Result {
///         let mut longest = String::new();
///         while let Some(value) = values.next()? {
///             if value.len() > longest.len() {
///                 longest = value.into_owned();
///             }
///         }
///         out.emit(key, &longest)
///     }
/// }
/// ```
pub struct Values<'g, V: ?Sized> {
    group: &'g mut dyn Group,
    value: PhantomData<fn() -> Box<V>>,
}

impl<'g, V: ?Sized + Datum> Values<'g, V> {
    /// The values that `group` gives.
    pub fn new(group: &'g mut dyn Group) -> Self {
        Self { group, value: PhantomData }
    }

    /// The next value, or `None` behind the last one. Not an [`Iterator`]: the value borrows from the merge, which
    /// is what lets a `str` value be read without being copied.
    ///
    /// # Errors
    /// When the source cannot be read or the value does not decode as `V`.
    #[expect(clippy::should_implement_trait, reason = "lends its items")]
    pub fn next(&mut self) -> Result<Option<Cow<'_, V>>> {
        Ok(match self.group.next_value()? {
            Some(bytes) => Some(V::decode(bytes)?),
            None => None,
        })
    }

    /// The next value, and how many bytes it has encoded.
    pub(super) fn next_with_len(&mut self) -> Result<Option<(Cow<'_, V>, usize)>> {
        Ok(match self.group.next_value()? {
            Some(bytes) => Some((V::decode(bytes)?, bytes.len())),
            None => None,
        })
    }
}

/// Folds all values of a key with a combiner and emits the one that is left: every combiner is a reducer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fold<C>(pub C);

impl<K, V, C> Reducer<K, V> for Fold<C>
where
    K: ?Sized + Key + Datum,
    V: ?Sized + Datum,
    C: Combiner<K, V>,
{
    type Key = K;
    type Value = V;

    fn reduce(&self, key: &K, values: &mut Values<'_, V>, out: &mut impl Emit<K, V>) -> Result {
        let Some(first) = values.next()? else { return Ok(()) };
        let mut folded = first.into_owned();
        while let Some(value) = values.next()? {
            self.0.combine(key, &mut folded, Borrow::<V>::borrow(&*value));
        }
        out.emit(key, folded.borrow())
    }
}

/// Emits every value under its key, unchanged: a sort.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity;

impl<K: ?Sized + Key + Datum, V: ?Sized + Datum> Reducer<K, V> for Identity {
    type Key = K;
    type Value = V;

    fn reduce(&self, key: &K, values: &mut Values<'_, V>, out: &mut impl Emit<K, V>) -> Result {
        while let Some(value) = values.next()? {
            out.emit(key, &value)?;
        }
        Ok(())
    }
}

/// No reducer, for jobs that only map: their output is what the mapper emits, in the order of the splits, and is neither
/// sorted nor grouped. A combiner would have nothing to fold: name
/// [`NoCombiner`](super::NoCombiner).
///
/// ```
/// use mapreduce_core::prelude::*;
///
/// /// Lines that hold a word.
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Grep {
///     word: String,
/// }
///
/// impl Mapper for Grep {
///     type Input = Items<String>;
///     type Key = str;
///     type Value = ();
///     fn map(&self, line: &String, out: &mut impl Emit<str, ()>) -> Result {
///         if line.contains(&self.word) { out.emit(line, &()) } else { Ok(()) }
///     }
/// }
///
/// impl SimpleJob for Grep {
///     const NAME: &'static str = "grep";
///     type Combiner = NoCombiner;
///     type Reducer = NoReducer;
/// }
/// ```
///
/// A program that runs such a job with another combiner does not build:
///
/// ```compile_fail,E0080
/// use mapreduce_core::prelude::*;
///
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Copy;
///
/// impl Mapper for Copy {
///     type Input = Items<u64>;
///     type Key = u64;
///     type Value = u64;
///     fn map(&self, n: &u64, out: &mut impl Emit<u64, u64>) -> Result {
///         out.emit(n, n)
///     }
/// }
///
/// impl SimpleJob for Copy {
///     const NAME: &'static str = "copy";
///     type Combiner = Sum; // of what?
///     type Reducer = NoReducer;
/// }
///
/// let numbers = Dataset::new(ItemSlice::new([1, 2]))?;
/// Local::new(1)?.run(&Copy, &(), &numbers)?;
/// # Ok::<(), mapreduce_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct NoReducer;

impl<K: ?Sized + Key + Datum, V: ?Sized + Datum> Reducer<K, V> for NoReducer {
    const ENABLED: bool = false;

    type Key = K;
    type Value = V;

    fn reduce(&self, key: &K, values: &mut Values<'_, V>, out: &mut impl Emit<K, V>) -> Result {
        Identity.reduce(key, values, out)
    }
}
