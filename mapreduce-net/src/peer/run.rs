//! One attempt on a thread: from staged input to what is said of it. No network here, and no panic gets out.

use super::{
    failure,
    round::Parts,
    splits::{Leftovers, SplitBytes, Splits},
};
use crate::{
    NodeId,
    transfer::{Arrived, Portion},
    wire::message::{AttemptFailure, InlineRun, OutputPlace},
};
use mapreduce_core::{
    Block, Counters, FailureKind, Memory, ReadError, SplitInfo,
    engine::SharedPart,
    exec::{Attempt, AttemptError, Chunks, MapInput, MapOutput, ReducedFile, ReducedPartition, Run},
    input::SharedFiles,
    schedule::{AttemptId, TaskReport},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};
use tokio::sync::OwnedSemaphorePermit;

/// The largest reduce output that rides in a message, in bytes.
const INLINE_REDUCED_BYTES_MAX: u64 = 64 << 10;

/// An attempt whose input is here.
pub(super) enum Staged {
    Map(MapWork),
    Reduce(ReduceWork),
}

/// A map attempt.
pub(super) struct MapWork {
    pub(super) index: u32,
    pub(super) split: SplitInfo,
    pub(super) source: MapSource,
}

/// Where the records of a split are.
pub(super) enum MapSource {
    /// In memory. The permit is of an attempt that had them fetched.
    Blocks { bytes: Arc<SplitBytes>, _permit: Option<OwnedSemaphorePermit> },
    /// In files that this peer reads itself.
    Files { fingerprint: Option<u64> },
}

/// A reduce attempt.
pub(super) struct ReduceWork {
    /// This peer.
    pub(super) here: NodeId,
    pub(super) partition: u32,
    /// In the order of the splits.
    pub(super) runs: Vec<StagedRun>,
    pub(super) held: Vec<Portion>,
    /// Where what does not fit was spilled to, and will be.
    pub(super) memory: Memory,
    pub(super) permit: OwnedSemaphorePermit,
}

/// What a reduce attempt reads of one split.
pub(super) struct StagedRun {
    pub(super) split: u32,
    pub(super) source: RunSource,
}

pub(super) enum RunSource {
    /// The output of an attempt on this peer.
    Here(Arc<MapOutput>),
    /// What another peer has sent.
    Fetched { from: NodeId, run: Arrived },
}

/// What an attempt leaves.
pub(super) struct Done {
    pub(super) output: Output,
    pub(super) report: TaskReport,
    /// Records read, or keys reduced.
    pub(super) processed: u64,
    pub(super) counters: Counters,
    pub(super) spilled_bytes: u64,
    pub(super) run_us: u64,
}

pub(super) enum Output {
    Map(Arc<MapOutput>, Leftovers),
    Reduced(Arc<Run>),
    /// Reduced into files.
    Written(SharedPart),
}

impl Done {
    /// Where the output is to be found. It rides in the message if it is small enough and in memory: of map output as much
    /// as is left in `map_bytes`.
    pub(super) fn place(&self, partition: u32, map_bytes: &mut u64) -> OutputPlace {
        let bytes = self.report.bytes;
        let runs = match &self.output {
            Output::Map(output, _) => map_bytes.checked_sub(bytes).and_then(|left| {
                let runs = inline((0..).zip(&output.runs))?;
                *map_bytes = left;
                Some(runs)
            }),
            Output::Reduced(run) if bytes <= INLINE_REDUCED_BYTES_MAX => inline([(partition, &**run)]),
            Output::Reduced(_) => None,
            Output::Written(part) => return OutputPlace::Files(part.clone()),
        };
        runs.map_or(OutputPlace::Peer, OutputPlace::Inline)
    }
}

/// The runs that are not empty, if all are in memory.
fn inline<'a>(runs: impl IntoIterator<Item = (u32, &'a Run)>) -> Option<Vec<InlineRun>> {
    let runs = runs.into_iter().filter(|(_, run)| run.pairs() > 0);
    let inline = |(partition, run): (u32, &Run)| {
        let bytes = Block::from(run.in_memory()?.to_vec());
        Some(InlineRun { partition, pairs: run.pairs(), bytes })
    };
    runs.map(inline).collect()
}

impl Staged {
    /// Runs the attempt.
    pub(super) fn run(
        self,
        id: AttemptId,
        parts: &Parts,
        splits: &Splits,
        attempt: &Attempt,
    ) -> Result<Done, AttemptFailure> {
        if attempt.is_cancelled() {
            return Err(AttemptFailure::Cancelled);
        }
        let begun = Instant::now();
        let run = || match self {
            Self::Map(work) => work.run(parts, splits, attempt),
            Self::Reduce(work) => work.run(id, parts, attempt),
        };
        // Parts of the job contain their panics. This is for one of this crate's own, so that the driver hears of it.
        let mut done = catch_unwind(AssertUnwindSafe(run))
            .unwrap_or_else(|_| Err(failure::node("a panic in the peer's own code; its log has more")))?;
        done.run_us = begun.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
        Ok(done)
    }
}

impl MapWork {
    fn run(self, parts: &Parts, splits: &Splits, attempt: &Attempt) -> Result<Done, AttemptFailure> {
        let Self { index, split, source } = self;
        let mut leftovers = splits.take_leftovers(parts.dataset, index);
        let memory = parts.memory.for_one_job();
        let mut map = |chunks: &mut dyn Chunks| {
            let (shape, cache) = (&*parts.shape, &mut leftovers.0);
            let input = MapInput {
                index,
                splits: parts.splits,
                split: &split,
                shape,
                chunks,
                cache,
                attempt,
                segment_bytes: parts.segment_bytes,
                memory: &memory,
            };
            parts.round.map(input).map_err(failure::of_attempt)
        };
        let output = match (&source, &parts.files) {
            (MapSource::Blocks { bytes, .. }, _) => map(&mut Blocks { blocks: bytes.blocks.iter() }),
            (MapSource::Files { fingerprint: Some(fingerprint) }, Some(files)) => {
                map(&mut Files { files, split: &split, fingerprint: *fingerprint, open: None })
            }
            (MapSource::Files { .. }, _) => {
                Err(failure::node("the driver has not said what its files look like"))
            }
        }?;
        leftovers.0.keep_within(&memory);
        let report =
            TaskReport { records: output.pairs(), bytes: output.bytes(), checksum: output.checksum() };
        let (processed, counters) = (output.records, output.counters.clone());
        let (output, spilled_bytes) = (Output::Map(Arc::new(output), leftovers), memory.spilled_bytes());
        Ok(Done { output, report, processed, counters, spilled_bytes, run_us: 0 })
    }
}

impl ReduceWork {
    fn run(self, id: AttemptId, parts: &Parts, attempt: &Attempt) -> Result<Done, AttemptFailure> {
        // What was fetched counts until the attempt is over.
        let Self { here, partition, runs, held: _held, memory, permit: _permit } = self;
        let runs: Result<Vec<_>, _> = runs.into_iter().map(|run| run.load(partition)).collect();
        let runs = runs?;
        let any_spilled_here = runs.iter().any(|run| run.is_spilled_here(partition));
        let runs: Vec<&Run> = runs.iter().map(|run| run.run(partition)).collect();
        let failed = |error| {
            let AttemptError { failure, permanent } = &error;
            // What is damaged stays so. If it may be map output of this peer, the map tasks are done again.
            match failure.kind {
                FailureKind::Spill if *permanent && any_spilled_here => {
                    failure::of_fetch(here, failure.to_string())
                }
                _ => failure::of_attempt(error),
            }
        };
        let file = parts.folder.as_ref().and_then(|folder| folder.create_file(id));
        let (output, report, counters, processed) = match file {
            Some(file) => {
                let reduced = parts.round.reduce_to_file(partition, &runs, attempt, &memory, file);
                let ReducedFile { part, counters, keys } = reduced.map_err(failed)?;
                let report = part.report();
                (Output::Written(part.into()), report, counters, keys)
            }
            None => {
                let reduced = parts.round.reduce(partition, &runs, attempt, &memory);
                let ReducedPartition { run, counters, keys } = reduced.map_err(failed)?;
                let report =
                    TaskReport { records: run.pairs(), bytes: run.byte_len(), checksum: run.checksum() };
                (Output::Reduced(Arc::new(run)), report, counters, keys)
            }
        };
        let spilled_bytes = memory.spilled_bytes();
        Ok(Done { output, report, processed, counters, spilled_bytes, run_us: 0 })
    }
}

/// A run that was looked at.
enum Loaded {
    Here(Arc<MapOutput>),
    Fetched(Run),
}

impl StagedRun {
    fn load(self, partition: u32) -> Result<Loaded, AttemptFailure> {
        match self.source {
            RunSource::Here(output) if (partition as usize) < output.runs.len() => Ok(Loaded::Here(output)),
            RunSource::Here(_) => Err(failure::node(format!("there is no partition {partition}"))),
            RunSource::Fetched { from, run } => match run.into_run() {
                Some(run) => Ok(Loaded::Fetched(run)),
                None => Err(failure::of_fetch(from, format!("the run of split {} is damaged", self.split))),
            },
        }
    }
}

impl Loaded {
    /// Whether it is map output of this peer, in a spill file.
    fn is_spilled_here(&self, partition: u32) -> bool {
        matches!(self, Self::Here(_)) && self.run(partition).in_memory().is_none()
    }

    fn run(&self, partition: u32) -> &Run {
        match self {
            Self::Here(output) => &output.runs[partition as usize],
            Self::Fetched(run) => run,
        }
    }
}

/// The blocks of a split in memory.
struct Blocks<'a> {
    blocks: std::slice::Iter<'a, Vec<u8>>,
}

impl Chunks for Blocks<'_> {
    fn next_chunk(&mut self) -> Result<Option<&[u8]>, ReadError> {
        Ok(self.blocks.next().map(Vec::as_slice))
    }
}

/// A split in files, opened when the first block is asked for: what goes wrong then is told like all that goes wrong
/// when reading.
struct Files<'a> {
    files: &'a SharedFiles,
    split: &'a SplitInfo,
    fingerprint: u64,
    open: Option<Box<dyn Chunks + Send>>,
}

impl Chunks for Files<'_> {
    fn next_chunk(&mut self) -> Result<Option<&[u8]>, ReadError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.files.open(self.split, self.fingerprint)?,
        };
        self.open.insert(open).next_chunk()
    }
}
