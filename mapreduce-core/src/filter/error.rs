//! [`FilterError`]: why a filter did not succeed.

use super::form::SEQUENCE;
use crate::{Error, TaskFailure, codec::CodecError, exec::SpillError};
use std::io;

/// Why a filter did not succeed. What it has written by then is of no use; a process should end with a status other than
/// zero. Lines are counted from 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// The job's own set-up failed.
    #[error(transparent)]
    Job(#[from] Error),
    /// The job has fewer inputs.
    #[error("there is no input {input}: the job has {inputs}, counted from 0")]
    NoInput {
        /// Which was asked for.
        input: u32,
        /// How many there are.
        inputs: u32,
    },
    /// The job's records cannot come as a stream.
    #[error(
        "job {job} reads items, such as the rows of Parquet files, which cannot come as a stream; run it with `run`, or give \
         the filters a job over lines, CSV records or records of a fixed length"
    )]
    NoStream {
        /// The job.
        job: String,
    },
    /// How long the job's records are has not been said.
    #[error(
        "job {job} reads records of a fixed length, but the program does not say of which; set `StreamForm::record_bytes`"
    )]
    NoRecordBytes {
        /// The job.
        job: String,
    },
    /// A header was given for records without one.
    #[error("job {job} does not read CSV records with a header here; leave the header out")]
    NoHeader {
        /// The job.
        job: String,
    },
    /// The job has [side outputs](crate::Job::SIDE_OUTPUTS).
    #[error(
        "job {job} has side outputs ({outputs}), and the lines of a filter have no place for them; run it as a job, or \
         make one without `SIDE_OUTPUTS`"
    )]
    SideOutputs {
        /// The job.
        job: String,
        /// Their names.
        outputs: String,
    },
    /// An error or a panic in the job's own code, or a record that could not be read.
    #[error("{0}")]
    Task(TaskFailure),
    /// The input could not be read.
    #[error("cannot read the lines of the map commands at byte {offset}: {source}")]
    Read {
        /// Where.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// A line of the map commands is too long.
    #[error("line {line} is longer than {bytes_max} bytes; raise `line_bytes_max` of the `reduce` command")]
    LineTooLong {
        /// The line.
        line: u64,
        /// [`FilterOptions::line_bytes_max`](super::FilterOptions::line_bytes_max).
        bytes_max: u64,
    },
    /// The output could not be written.
    #[error("cannot write: {source}; check what reads the output")]
    Write {
        /// What the system said.
        source: io::Error,
    },
    /// The memory does not hold what the map command works with.
    #[error(
        "a budget of {budget_bytes} bytes of memory is too small: the map filter takes {needed_bytes} at least; give it more"
    )]
    MemoryTooSmall {
        /// The budget: that of [`FilterOptions::memory`](super::FilterOptions::memory).
        budget_bytes: u64,
        /// What is needed at least.
        needed_bytes: u64,
    },
    /// What the job has emitted could not be kept.
    #[error(transparent)]
    Spill(#[from] SpillError),
    /// A value that the job has emitted, or a line of output, cannot be put into text.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A line that should come before the one ahead of it.
    #[error(
        "line {line} is less than the line before it; sort the lines by their bytes, with `LC_ALL=C sort`"
    )]
    Unsorted {
        /// The line.
        line: u64,
    },
    /// A line without a tab behind its key.
    #[error(
        "line {line} has no tab behind its key; give `reduce` what the `map` command of this program has written"
    )]
    NoTab {
        /// The line.
        line: u64,
    },
    /// The last line does not end.
    #[error("line {line} is cut off: it is the last and does not end with a line feed")]
    Cut {
        /// The line.
        line: u64,
    },
    /// A byte that is none of a key's or value's.
    #[error(
        "line {line}, byte {byte}: not an escape that `map` writes; something on the way has changed the line"
    )]
    Escape {
        /// The line.
        line: u64,
        /// Where in it, counted from 1.
        byte: usize,
    },
    /// Not a key of the job, or not a value.
    #[error("line {line}: the {part} is none of this job: {reason}")]
    Decode {
        /// The line.
        line: u64,
        /// `key` or `value`.
        part: &'static str,
        /// Why not.
        reason: CodecError,
    },
    /// No sequence number where one has to be.
    #[error(
        "line {line} has no sequence number ({SEQUENCE}) where the lines of this job have one; give `map` and `reduce` the same \
         options"
    )]
    NoSequence {
        /// The line.
        line: u64,
    },
    /// Two lines with one sequence number: the order of the values is not known.
    #[error(
        "line {line} has the sequence number of the line before it; give each `map` command a split number of its own with \
         `--split`"
    )]
    Repeated {
        /// The line.
        line: u64,
    },
    /// Nothing says that the lines are all.
    #[error(
        "the lines end after line {lines} without saying that they are all: a `map` command has failed or the lines were cut \
         off; if this is a part of the lines, and others get the rest, say `--no-end`"
    )]
    NoEnd {
        /// How many lines there are.
        lines: u64,
    },
    /// An end line that does not say how many pairs there were.
    #[error("line {line} is an end line without the number of pairs; something on the way has changed it")]
    BadEnd {
        /// The line.
        line: u64,
    },
    /// The lines are not as many as were written.
    #[error(
        "there are {found} pairs, but the `map` commands have written {written}: lines were lost, or doubled, on the way"
    )]
    Count {
        /// How many the ends say.
        written: u64,
        /// How many there are.
        found: u64,
    },
    /// The lines of the map commands have another form.
    #[error(
        "line {line}: `map` has {written} the order of the values, `reduce` has {wanted} it; give both the same options"
    )]
    Order {
        /// The line that says so.
        line: u64,
        /// `kept` or `not kept`.
        written: &'static str,
        /// `kept` or `not kept`.
        wanted: &'static str,
    },
}
