//! [`SimpleJob`]: a job that needs no more than a mapper and the names of its other parts.

use super::{Combiner, Job, Mapper, Reducer};
use crate::Result;
use serde::{Serialize, de::DeserializeOwned};

/// A [`Job`] that is its own mapper, broadcasts nothing, and whose combiner and reducer have no parameters.
///
/// ```
/// use mapreduce_core::prelude::*;
///
/// #[derive(Clone, Serialize, Deserialize)]
/// struct LongWords {
///     longer_than: usize, // a parameter: it reaches every node
/// }
///
/// impl Mapper for LongWords {
///     type Input = Items<String>;
///     type Key = str;
///     type Value = u64;
///     fn map(&self, word: &String, out: &mut impl Emit<str, u64>) -> Result {
///         if word.len() > self.longer_than { out.emit(word, &1) } else { Ok(()) }
///     }
/// }
///
/// impl SimpleJob for LongWords {
///     const NAME: &'static str = "long-words";
///     type Combiner = Sum;
///     type Reducer = Fold<Sum>;
/// }
///
/// let words = ["a", "word", "is", "a", "word"].map(String::from);
/// let counts = Local::new(2)?.run(&LongWords { longer_than: 3 }, &(), &Dataset::new(ItemSlice::new(&words))?)?;
/// assert_eq!(counts.pairs, [("word".to_string(), 2)]);
/// # Ok::<(), mapreduce_core::Error>(())
/// ```
pub trait SimpleJob: Mapper + Clone + Serialize + DeserializeOwned {
    /// As [`Job::NAME`].
    const NAME: &'static str;
    /// As [`Job::VERSION`].
    const VERSION: u32 = 1;
    /// As [`Job::SIDE_OUTPUTS`].
    const SIDE_OUTPUTS: &'static [&'static str] = &[];
    /// As [`Job::Combiner`].
    type Combiner: Combiner<<Self as Mapper>::Key, <Self as Mapper>::Value> + Default;
    /// As [`Job::Reducer`].
    type Reducer: Reducer<<Self as Mapper>::Key, <Self as Mapper>::Value> + Default;
}

impl<J: SimpleJob> Job for J {
    const NAME: &'static str = J::NAME;
    const VERSION: u32 = J::VERSION;
    const SIDE_OUTPUTS: &'static [&'static str] = J::SIDE_OUTPUTS;
    type Shared = ();
    type Mapper = J;
    type Combiner = J::Combiner;
    type Reducer = J::Reducer;

    fn mapper(&self, (): &()) -> Result<J> {
        Ok(self.clone())
    }

    fn combiner(&self) -> J::Combiner {
        J::Combiner::default()
    }

    fn reducer(&self, (): &()) -> Result<J::Reducer> {
        Ok(J::Reducer::default())
    }
}
