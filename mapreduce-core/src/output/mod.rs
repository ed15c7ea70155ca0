//! What a job gives: returned pairs ([`Output`]) or a folder of part files ([`PartFiles`]), and a [`Report`] of how it
//! went.

mod attempt_file;
mod cells;
mod csv;
mod format;
mod json_lines;
#[cfg(feature = "parquet")]
mod parquet;
mod part_file;
mod parts;
mod piece;
mod shared_staging;
mod staging;
mod table;
mod text;

pub use attempt_file::AttemptFile;
pub use format::Format;
pub(crate) use format::PartWriter;
pub(crate) use part_file::WriteError;
pub use parts::{Part, PartFiles, Written};
pub use shared_staging::{NotShared, RefusedPart, SharedPart, SharedStaging};
pub use staging::{StagedFile, StagedPart, Staging};
pub(crate) use text::append_line;

use crate::{
    Counters, Datum, Job, OutputKeyOf, OutputValueOf,
    exec::{Returned, Run},
};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, collections::BTreeMap, fmt, time::Duration};

/// An owned output key or value.
type Owned<T> = <T as ToOwned>::Owned;

/// One pair of a job's output.
pub type OutputPair<J> = (Owned<OutputKeyOf<J>>, Owned<OutputValueOf<J>>);

/// The output of a job, returned to the program.
#[non_exhaustive]
pub struct Output<J: Job> {
    /// What the reducers emitted: partition after partition, within a partition in the order of the reduced keys.
    pub pairs: Vec<OutputPair<J>>,
    /// What mappers and reducers have counted.
    pub counters: Counters,
    /// How the run went.
    pub report: Report,
    /// The lines of the side outputs, in the order of their names.
    sides: Vec<Vec<Vec<u8>>>,
}

impl<J: Job> Output<J> {
    /// Decodes the output of the partitions, each of which is dropped when it is done.
    pub(crate) fn decode(mut parts: Vec<Run>, counters: Counters, report: Report) -> crate::Result<Self> {
        let mut pairs = Vec::with_capacity(parts.iter().map(|run| run.pairs() as usize).sum());
        let mut sides = vec![Vec::new(); J::SIDE_OUTPUTS.len()];
        if !sides.is_empty() {
            // The lines of the mappers come first. They are in the last partition, in which there are no pairs.
            parts.rotate_right(1);
        }
        for run in parts {
            let mut reader = run.reader();
            while let Some((key, value)) = reader.next_pair()? {
                let key = match Returned::of(key, sides.len())? {
                    Returned::Pair(key) => <OutputKeyOf<J>>::decode(key).map(Cow::into_owned)?,
                    Returned::Line(output) => {
                        sides[output].push(value.to_vec());
                        continue;
                    }
                };
                let value = <OutputValueOf<J>>::decode(value).map(Cow::into_owned)?;
                pairs.push((key, value));
            }
        }
        Ok(Self { pairs, counters, report, sides })
    }

    /// The lines of a [side output](Job::SIDE_OUTPUTS): those of the mappers in the order of the input, then those of the
    /// reducers, partition after partition. None if there is no output of that name.
    pub fn side(&self, output: &str) -> &[Vec<u8>] {
        match J::SIDE_OUTPUTS.iter().position(|name| *name == output) {
            Some(i) => &self.sides[i],
            None => &[],
        }
    }
}

impl<J: Job> fmt::Debug for Output<J>
where
    Owned<OutputKeyOf<J>>: fmt::Debug,
    Owned<OutputValueOf<J>>: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pairs, counters, report, .. } = self;
        f.debug_struct("Output")
            .field("pairs", pairs)
            .field("counters", counters)
            .field("report", report)
            .finish_non_exhaustive()
    }
}

/// The result of an iterated job.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Iterated<O> {
    /// What [`Iterative::advance`](crate::Iterative::advance) broke with.
    pub output: O,
    /// The rounds it took.
    pub rounds: u32,
    /// How all of them went together.
    pub report: Report,
}

/// How a run went. Unlike the output, it may differ from run to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// Committed tasks of each peer, by its name; a local run has one peer, `local`.
    pub tasks_by_peer: BTreeMap<String, u64>,
    /// Attempts that ended because their peer was lost.
    pub attempts_lost: u64,
    /// Attempts that failed.
    pub attempts_failed: u64,
    /// Records read by the committed map tasks.
    pub records: u64,
    /// About how many bytes they were, as planned.
    pub input_bytes: u64,
    /// Bytes of map output.
    pub map_output_bytes: u64,
    /// Bytes that were written to spill files, compressed; see [`Memory`](crate::Memory).
    pub spilled_bytes: u64,
    /// Keys reduced: groups of them, where keys are [grouped](crate::Key::group).
    pub keys: u64,
    /// Pairs of the output, and lines of side outputs.
    pub output_records: u64,
    /// Bytes of the output: of the part files, or encoded.
    pub output_bytes: u64,
    /// From the start of a round until its last map task has committed, on the clock.
    pub map_time: Duration,
    /// From then until its last reduce task has committed.
    pub reduce_time: Duration,
}

impl Report {
    /// Adds what another run or round did.
    pub fn merge(&mut self, other: &Self) {
        for (peer, tasks) in &other.tasks_by_peer {
            *self.tasks_by_peer.entry(peer.clone()).or_default() += tasks;
        }
        self.attempts_lost = self.attempts_lost.saturating_add(other.attempts_lost);
        self.attempts_failed = self.attempts_failed.saturating_add(other.attempts_failed);
        self.records = self.records.saturating_add(other.records);
        self.input_bytes = self.input_bytes.saturating_add(other.input_bytes);
        self.map_output_bytes = self.map_output_bytes.saturating_add(other.map_output_bytes);
        self.spilled_bytes = self.spilled_bytes.saturating_add(other.spilled_bytes);
        self.keys = self.keys.saturating_add(other.keys);
        self.output_records = self.output_records.saturating_add(other.output_records);
        self.output_bytes = self.output_bytes.saturating_add(other.output_bytes);
        self.map_time = self.map_time.saturating_add(other.map_time);
        self.reduce_time = self.reduce_time.saturating_add(other.reduce_time);
    }
}
