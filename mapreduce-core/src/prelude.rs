//! What a program that defines and runs jobs needs: `use mapreduce_core::prelude::*;`.

pub use crate::{
    Block, Both, CachedFile, Combiner, Dataset, Either, Emit, Engine, Fold, Format, FullJoin, Identity,
    InnerJoin, ItemSlice, Items, Iterative, Job, Key, LeftJoin, Lines, Local, Mapper, Max, Min, NoCombiner,
    NoReducer, Options, Output, Pairs, PartFiles, Reducer, Result, RowSlice, Rows, SimpleJob, Sorted, Split,
    Sum, TextFiles, Utf8Lines, Values,
};
pub use serde::{Deserialize, Serialize};
