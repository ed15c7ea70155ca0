//! Jobs as filters, the way out to other engines: [`map`] and [`reduce`] with a sort of lines between them.
//!
//! ```text
//! JOB map < input | LC_ALL=C sort | JOB reduce > output
//! ```
//!
//! gives what a run of the job gives, in one part. It is the form of Hadoop Streaming: any engine that pipes lines through
//! programs can run it. There is no coordinator here, no task and no peer.
//!
//! ```
//! use mapreduce_core::{filter::{self, FilterOptions}, prelude::*};
//! # #[derive(Clone, Serialize, Deserialize)]
//! # struct WordCount;
//! # impl Mapper for WordCount {
//! #     type Input = Lines;
//! #     type Key = [u8];
//! #     type Value = u64;
//! #     fn map(&self, line: &[u8], out: &mut impl Emit<[u8], u64>) -> Result {
//! #         words(line).try_for_each(|word| out.emit(word, &1))
//! #     }
//! # }
//! # impl SimpleJob for WordCount {
//! #     const NAME: &'static str = "word-count";
//! #     type Combiner = Sum;
//! #     type Reducer = Fold<Sum>;
//! # }
//!
//! let options = FilterOptions::default();
//! let mut pairs = Vec::new();
//! filter::map(&WordCount, &(), &b"to be or\nnot to be\n"[..], &mut pairs, &options)?;
//! let mut lines: Vec<&[u8]> = pairs.split_inclusive(|byte| *byte == b'\n').collect();
//! lines.sort();
//! assert_eq!(lines[0], b"be\t2\n");
//!
//! let mut output = Vec::new();
//! filter::reduce(&WordCount, &(), &*lines.concat(), &mut output, &options)?;
//! assert_eq!(output, b"be\t2\nnot\t1\nor\t1\nto\t2\n");
//! # Ok::<(), filter::FilterError>(())
//! ```
//!
//! # Lines
//!
//! A pair is a line, its fields separated by tabs:
//!
//! | job | line |
//! |---|---|
//! | with a combiner, or without values | `key value` |
//! | without a combiner, or [`keep_order`](FilterOptions::keep_order) | `key sequence value` |
//! | without a reducer ([`Reducer::ENABLED`](crate::Reducer::ENABLED)) | `sequence key value` |
//!
//! * **key**: the [encoding](crate::key) of the key. Bytes from 20 to F3 stand as they are, the others are escaped such that
//!   lines compare, byte by byte, as their keys do. So text is readable: a byte below 20 is the byte 10, then itself with 40
//!   added (the caret notation, with another character for the caret). A byte `b` from F4 on is F4, then `b` - 74.
//! * **value**: numbers, `bool` and `char` as Rust displays them; `f32` and `f64` as the shortest decimals that are read as the
//!   same bits, or `NaN:` and the bits; strings and byte strings as they are; `()` is nothing; any other type is its
//!   [encoding](crate::codec). Bytes below 20 are escaped in the same way, but for tabs. Every value comes back exactly.
//! * **sequence**: sorting lines would bring the values of a key into the order of their text. Where a reducer could see
//!   that, a number goes ahead of them, of fixed width: split and pair in hexadecimal, `0000002a-00000000001f`. Values then
//!   come in the order of [`FilterOptions::split`], then of emission, as in a run.
//! * **end**: the last line of each map command is `U+10FFFF` (which sorts behind all keys) and `end`, the split or `-`,
//!   and the number of pairs. Lines that are cut off between two of them, or lost, are noticed by that.
//!
//! # What is the same as in a run, and what is not
//!
//! The output is that of the partitions of a run in the order of their keys: with one partition, or one range of keys each,
//! it is their bytes. What a combiner folds together depends on [`FilterOptions::piece_bytes`] as it depends on the splits in a
//! run, so floating-point sums may differ in their last bits. A mapper that looks at a whole split sees pieces.
//! An error of the job's code is not tried again. The partitioner is not asked: that is the sorting engine's matter.

mod chunks;
mod error;
mod escape;
mod form;
mod from_stream;
mod map;
mod reduce;
mod sorted;
mod value;

pub use error::FilterError;
pub use from_stream::{Beginning, FromLines, FromStream, StreamForm};
pub use map::map;
pub use reduce::reduce;

use crate::{Counters, Job, Memory, input::LINE_BYTES_MAX};

/// How a job is run as filters. Both filters need the same.
///
/// ```
/// use mapreduce_core::filter::FilterOptions;
///
/// let options = FilterOptions { split: 3, ..FilterOptions::default() };
/// assert!(options.end);
/// ```
#[derive(Clone, Debug)]
pub struct FilterOptions {
    /// Which part of all input a map command reads: the order of the parts is that of the values of a key. Each command
    /// needs a number of its own where lines have sequence numbers. Default 0.
    pub split: u32,
    /// Map: which of the job's inputs is read, counted from 0, for a job over [two](crate::input::Both). Default 0.
    pub input: u32,
    /// Map: how records that are no lines of text stand in the input. Default [`StreamForm::default`].
    pub form: StreamForm,
    /// Map: the header of CSV records, written as they are, for an input that does not begin with one (it is the middle of
    /// a file, say). Default: the input begins with its header, if the records have one.
    pub header: Option<String>,
    /// Keep the order of the values of a key, also of a job that has a combiner: for combiners and reducers to which the
    /// order matters (joining strings, the first of all). Default: not.
    pub keep_order: bool,
    /// Map: write the end line. Reduce: fail unless the lines are as many as the end lines say. To be left out where a
    /// reduce command gets a part of the lines, as from an engine with several reducers: a reduce command without it passes
    /// over end lines. Default: with it.
    pub end: bool,
    /// Map: bytes of input that are mapped and combined in one go. More of them make fewer lines and take more memory.
    /// Default 64 MiB.
    pub piece_bytes: u64,
    /// Map: the memory for what the mapper emits. With less than 34 MiB it is sorted in smaller parts. Default
    /// [`Memory::of_machine`].
    pub memory: Memory,
    /// The longest line that is read, in bytes; lines of 256 KiB always are. It is held whole. Default
    /// [`LINE_BYTES_MAX`].
    pub line_bytes_max: u64,
}

impl Default for FilterOptions {
    fn default() -> Self {
        Self {
            split: 0,
            input: 0,
            form: StreamForm::default(),
            header: None,
            keep_order: false,
            end: true,
            piece_bytes: 64 << 20,
            memory: Memory::of_machine(),
            line_bytes_max: LINE_BYTES_MAX as u64,
        }
    }
}

/// What [`map`] has done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mapped {
    /// Records read.
    pub records: u64,
    /// Pairs written, a line each.
    pub pairs: u64,
    /// What the mapper has counted.
    pub counters: Counters,
}

/// What [`reduce`] has done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reduced {
    /// Keys reduced.
    pub keys: u64,
    /// Lines written.
    pub lines: u64,
    /// What the reducer has counted.
    pub counters: Counters,
}

/// A filter has one stream of lines, in which pairs stand.
fn refuse_side_outputs<J: Job>() -> Result<(), FilterError> {
    match J::SIDE_OUTPUTS {
        [] => Ok(()),
        outputs => Err(FilterError::SideOutputs { job: J::NAME.to_string(), outputs: outputs.join(", ") }),
    }
}
