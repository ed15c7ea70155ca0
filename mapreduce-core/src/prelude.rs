//! What a program that defines and runs jobs needs: `use mapreduce_core::prelude::*;`.

pub use crate::{
    Block, Combiner, Dataset, Emit, Engine, Fold, Identity, ItemSlice, Items, Iterative, Job, Key, Lines,
    Local, Mapper, Max, Min, NoCombiner, Options, Output, PartFiles, Reducer, Result, RowSlice, Rows,
    SimpleJob, Split, Sum, TextFiles, Utf8Lines, Values,
};
pub use serde::{Deserialize, Serialize};
