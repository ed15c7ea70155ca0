//! [`Job`]: a mapper, a combiner and a reducer under one name, and the types that follow from them.

use super::{Combiner, HashPartitioner, Mapper, Partitioner, Reducer};
use crate::{Datum, Key, Records, Result, Schema};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt;

/// The records a job reads.
pub type InputOf<J> = <<J as Job>::Mapper as Mapper>::Input;
/// The key a job groups by.
pub type KeyOf<J> = <<J as Job>::Mapper as Mapper>::Key;
/// The value a job's mapper emits.
pub type ValueOf<J> = <<J as Job>::Mapper as Mapper>::Value;
/// The key of a job's output.
pub type OutputKeyOf<J> = <<J as Job>::Reducer as Reducer<KeyOf<J>, ValueOf<J>>>::Key;
/// The value of a job's output.
pub type OutputValueOf<J> = <<J as Job>::Reducer as Reducer<KeyOf<J>, ValueOf<J>>>::Value;

/// A map-reduce job.
///
/// The value itself holds the job's parameters; it is serialized and sent to every node that works on the job.
/// [`Shared`](Self::Shared) is what is broadcast for one run or one round: centroids, ranks, a table to join with.
///
/// ```
/// use mapreduce_core::prelude::*;
/// use std::collections::BTreeSet;
///
/// /// Counts the words that are in a list.
/// #[derive(Clone, Serialize, Deserialize)]
/// struct CountListed;
///
/// struct Listed(BTreeSet<String>);
///
/// impl Mapper for Listed {
///     type Input = Items<String>;
///     type Key = str;
///     type Value = u64;
///     fn map(&self, line: &String, out: &mut impl Emit<str, u64>) -> Result {
///         line.split(' ').filter(|word| self.0.contains(*word)).try_for_each(|word| out.emit(word, &1))
///     }
/// }
///
/// impl Job for CountListed {
///     const NAME: &'static str = "count-listed";
///     type Shared = Vec<String>;
///     type Mapper = Listed;
///     type Combiner = Sum;
///     type Reducer = Fold<Sum>;
///     fn mapper(&self, list: &Vec<String>) -> Result<Listed> {
///         Ok(Listed(list.iter().cloned().collect())) // once per node, not per task
///     }
///     fn combiner(&self) -> Sum {
///         Sum
///     }
///     fn reducer(&self, _: &Vec<String>) -> Result<Fold<Sum>> {
///         Ok(Fold(Sum))
///     }
/// }
///
/// let list = ["be", "not"].map(String::from).to_vec();
/// let lines = ["to be or not", "to be"].map(String::from);
/// let counts = Local::new(2)?.run(&CountListed, &list, &Dataset::new(ItemSlice::new(&lines))?)?;
/// assert_eq!(counts.pairs, [("be", 2), ("not", 1)].map(|(word, n)| (word.to_string(), n)));
/// # Ok::<(), mapreduce_core::Error>(())
/// ```
///
/// A job without parameters for its parts is shorter as a [`SimpleJob`](super::SimpleJob).
///
/// A combiner that does not fit the mapper's value does not compile:
///
/// ```compile_fail,E0277
/// # use mapreduce_core::prelude::*;
/// # #[derive(Clone, Serialize, Deserialize)]
/// # struct Longest;
/// # impl Mapper for Longest {
/// #     type Input = Utf8Lines;
/// #     type Key = str;
/// #     type Value = String;
/// #     fn map(&self, line: &str, out: &mut impl Emit<str, String>) -> Result {
/// #         out.emit(line, &line.to_string())
/// #     }
/// # }
/// impl SimpleJob for Longest {
///     const NAME: &'static str = "longest";
///     type Combiner = Sum; // strings do not add up
///     type Reducer = Identity;
/// }
/// ```
pub trait Job: Clone + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// The name under which nodes know the job. Unique in a program.
    const NAME: &'static str;
    /// To be raised when the job's meaning changes while its types stay: nodes of different versions do not work on
    /// the same run.
    const VERSION: u32 = 1;
    /// The names of outputs beside the pairs, for lines that a mapper or reducer sends there with
    /// [`Emit::side`](super::Emit::side): records that do not parse, keys that are turned down. Lines are bytes and are not
    /// escaped.
    ///
    /// A job that returns its output has them in [`Output::side`](crate::Output::side), one that writes part files in files
    /// `NAME-00000` and up. So a name is a part of a file name: up to 200 bytes, without path separators, not beginning with
    /// `part-`, `_` or `.`, and no other name but for case. Up to 255 names.
    const SIDE_OUTPUTS: &'static [&'static str] = &[];

    /// The value that is broadcast for a run or a round; `()` where there is none.
    type Shared: Clone + Send + Sync + Serialize + DeserializeOwned + 'static;
    /// Turns records into pairs.
    type Mapper: Mapper;
    /// Folds the values of a key inside a map task; [`NoCombiner`](super::NoCombiner) where there is nothing to fold.
    type Combiner: Combiner<KeyOf<Self>, ValueOf<Self>>;
    /// Turns the values of a key into output.
    type Reducer: Reducer<KeyOf<Self>, ValueOf<Self>>;

    /// Called once per node and round: the place to pack centroids or open a side file.
    ///
    /// # Errors
    /// Any error fails the job.
    fn mapper(&self, shared: &Self::Shared) -> Result<Self::Mapper>;

    /// Called once per node and round.
    fn combiner(&self) -> Self::Combiner;

    /// Called once per node and round.
    ///
    /// # Errors
    /// Any error fails the job.
    fn reducer(&self, shared: &Self::Shared) -> Result<Self::Reducer>;

    /// Called once per node and round. The default spreads keys by hash.
    ///
    /// # Errors
    /// Any error fails the job.
    fn partitioner(&self, shared: &Self::Shared) -> Result<Box<dyn Partitioner<KeyOf<Self>>>> {
        let _ = shared;
        Ok(Box::new(HashPartitioner))
    }
}

/// What nodes must agree on to work on a job together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobId {
    /// [`Job::NAME`].
    pub name: String,
    /// [`Job::VERSION`].
    pub version: u32,
    /// Hash of the structure of every type that crosses a boundary: parameters, broadcast value, records, keys and
    /// values; and the names of side outputs. Two builds whose types differ in a field have different hashes.
    pub schema: u64,
}

impl JobId {
    /// The identity of `J` in this build.
    pub fn of<J: Job>() -> Self {
        let mut schema = Schema::default();
        schema.serde_type::<J>();
        schema.text(" shared=");
        schema.serde_type::<J::Shared>();
        schema.text(" input=");
        <InputOf<J> as Records>::schema(&mut schema);
        schema.text(" key=");
        <KeyOf<J> as Key>::schema(&mut schema);
        schema.text(" value=");
        <ValueOf<J> as Datum>::schema(&mut schema);
        schema.text(" output key=");
        <OutputKeyOf<J> as Datum>::schema(&mut schema);
        schema.text(" output value=");
        <OutputValueOf<J> as Datum>::schema(&mut schema);
        // Their numbers are on the wire.
        for output in J::SIDE_OUTPUTS {
            schema.text(" side output=");
            schema.text(output);
        }
        Self { name: J::NAME.to_string(), version: J::VERSION, schema: schema.hash() }
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} version {} (schema {:016x})", self.name, self.version, self.schema)
    }
}
