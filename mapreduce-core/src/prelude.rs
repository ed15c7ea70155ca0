//! What a program that defines and runs jobs needs: `use mapreduce_core::prelude::*;`.

pub use crate::{
    Block, Both, CachedFile, Combiner, CsvFiles, Dataset, Either, Emit, Engine, FixedFiles, Fold, Format,
    FullJoin, Identity, InnerJoin, ItemSlice, Items, Iterative, Job, Key, KeyPart, LeftJoin, Lines, Local,
    Mapper, Max, Memory, Min, NoCombiner, NoReducer, Options, Output, Pairs, PartFiles, Partitioner,
    RangePartitioner, Reducer, Result, RowSlice, Rows, SimpleJob, Sorted, Split, Sum, TextFiles, Utf8Lines,
    Values, words,
};
pub use serde::{Deserialize, Serialize};
