//! Jobs behind interfaces that speak bytes, for nodes that know a job only by its [`JobId`].
//!
//! Types stay inside one attempt: what crosses these interfaces is encoded. Each costs one virtual call per task or
//! block, none per record. No panic of a job's code crosses them either.

use super::{
    Attempt, AttemptError, MapOutput, MapTask, OutputRun, ReduceOutput, ReduceTask, Round, Run, set_up,
};
use crate::{
    Counters, Error, InputOf, Job, JobId, Memory, OutputKeyOf, OutputValueOf, Records, Result, SplitInfo,
    codec,
    input::{Blocks, ReadError, SplitCache},
    output::{AttemptFile, PartWriter, StagedPart},
};
use std::{
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// The encoded blocks of a split, one at a time: a file, a cache, what a driver has sent.
pub trait Chunks {
    /// The next block of whole records, or `None` behind the last.
    ///
    /// # Errors
    /// When the source cannot be read.
    fn next_chunk(&mut self) -> Result<Option<&[u8]>, ReadError>;
}

/// A job of which parameters and broadcast value come as bytes.
pub trait ErasedJob: Send + Sync {
    /// What the job is known by.
    fn id(&self) -> &JobId;

    /// Makes the parts of a round: `params` is the encoded job, `shared` the encoded broadcast value.
    ///
    /// # Errors
    /// When the bytes do not decode or the job's own set-up fails, or there are too few
    /// [`partitions`](crate::engine::partitions).
    fn round(&self, params: &[u8], shared: &[u8], partitions: u32) -> Result<Box<dyn ErasedRound>, Error>;
}

/// The parts of a job for one round.
pub trait ErasedRound: Send + Sync {
    /// Runs one attempt of a map task.
    ///
    /// # Errors
    /// What went wrong in the attempt, and at which record. The place is empty: who knows the input says in words
    /// where the split is.
    fn map(&self, input: MapInput<'_>) -> Result<MapOutput, AttemptError>;

    /// Runs one attempt of a reduce task over the runs of `partition`, in the order of the splits. What it leaves counts
    /// in `memory` for as long as it is there.
    ///
    /// # Errors
    /// What went wrong in the attempt, and at which key.
    fn reduce(
        &self,
        partition: u32,
        runs: &[&Run],
        attempt: &Attempt,
        memory: &Memory,
    ) -> Result<ReducedPartition, AttemptError>;

    /// The same, but what the attempt emits goes to a file.
    ///
    /// # Errors
    /// As for [`reduce`](Self::reduce), and when the file cannot be written. It is removed then.
    fn reduce_to_file(
        &self,
        partition: u32,
        runs: &[&Run],
        attempt: &Attempt,
        memory: &Memory,
        file: AttemptFile,
    ) -> Result<ReducedFile, AttemptError>;
}

/// What a map attempt works on.
pub struct MapInput<'a> {
    /// The split's place among all, counted from 0.
    pub index: u32,
    /// The number of splits.
    pub splits: u32,
    /// The split.
    pub split: &'a SplitInfo,
    /// The encoded [`Records::Shape`] of the input.
    pub shape: &'a [u8],
    /// The split's records.
    pub chunks: &'a mut dyn Chunks,
    /// What earlier tasks have left about the split. If the attempt does not commit, [discard](SplitCache::discard) it.
    pub cache: &'a mut SplitCache,
    /// Whether the attempt is still wanted.
    pub attempt: &'a Attempt,
    /// [`Options::segment_bytes`](crate::Options::segment_bytes) of the job.
    pub segment_bytes: usize,
    /// Where what the attempt leaves counts for as long as it is there.
    pub memory: &'a Memory,
}

/// What a reduce attempt leaves.
#[derive(Clone, Debug, Default)]
pub struct ReducedPartition {
    /// The pairs that the reducer emitted. If the job has side outputs, a byte in front of each key is 0; a key of one byte
    /// above is the number of a side output, counted from 1, and the value a line for it.
    pub run: Run,
    /// What it has counted.
    pub counters: Counters,
    /// The number of keys that were reduced.
    pub keys: u64,
}

/// What a reduce attempt leaves that writes to a file.
#[derive(Debug)]
pub struct ReducedFile {
    /// The file, and those of side outputs.
    pub part: StagedPart,
    /// What it has counted.
    pub counters: Counters,
    /// The number of keys that were reduced.
    pub keys: u64,
}

/// The parts of a job for one round, for a driver that runs some of its tasks itself.
///
/// # Errors
/// When the job's own set-up fails.
pub fn erased_round<J: Job>(
    job: &J,
    shared: &J::Shared,
    partitions: u32,
) -> Result<Box<dyn ErasedRound>, Error> {
    Ok(Box::new(Contained(Some(Round::new(job, shared, partitions)?))))
}

/// A [`Job`] as an [`ErasedJob`].
pub(crate) struct Erased<J> {
    id: JobId,
    job: PhantomData<fn() -> J>,
}

impl<J: Job> Erased<J> {
    pub(crate) fn new() -> Self {
        Self { id: JobId::of::<J>(), job: PhantomData }
    }
}

impl<J: Job> ErasedJob for Erased<J> {
    fn id(&self) -> &JobId {
        &self.id
    }

    fn round(&self, params: &[u8], shared: &[u8], partitions: u32) -> Result<Box<dyn ErasedRound>, Error> {
        // Whatever is the user's may panic: decoding, and also dropping what was decoded.
        set_up::<J, _>("set-up", || {
            let made = || {
                let job: J = set_up::<J, _>("parameters", || Ok(codec::decode(params)))??;
                let shared: J::Shared = set_up::<J, _>("broadcast value", || Ok(codec::decode(shared)))??;
                erased_round(&job, &shared, partitions)
            };
            Ok(made())
        })?
    }
}

/// A round that is dropped without a panic. There is one until then.
struct Contained<J: Job>(Option<Round<J>>);

impl<J: Job> Contained<J> {
    fn round(&self) -> &Round<J> {
        self.0.as_ref().expect("the round is there until it is dropped")
    }
}

impl<J: Job> Drop for Contained<J> {
    fn drop(&mut self) {
        // Half-dropped parts are not looked at again.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(self.0.take())));
    }
}

impl<J: Job> ErasedRound for Contained<J> {
    fn map(&self, input: MapInput<'_>) -> Result<MapOutput, AttemptError> {
        let MapInput { index, splits, split, shape, chunks, cache, attempt, segment_bytes, memory } = input;
        let blocks = |chunks| -> Result<Box<dyn Blocks<InputOf<J>> + '_>> {
            let shape = codec::decode(shape)?;
            Ok(Box::new(ChunkBlocks::<InputOf<J>> { shape, chunks, offset: 0, buffer: Default::default() }))
        };
        let task = MapTask { index, splits, split, cache, attempt, segment_bytes, memory };
        self.round().map(task, move || blocks(chunks), String::new)
    }

    fn reduce(
        &self,
        partition: u32,
        runs: &[&Run],
        attempt: &Attempt,
        memory: &Memory,
    ) -> Result<ReducedPartition, AttemptError> {
        let runs = runs.iter().copied();
        let close = |pairs: OutputRun| Ok((pairs.finish()?, ()));
        let task = ReduceTask { partition, attempt, memory, range_bytes: None };
        let (output, run, ()) = self.round().reduce(task, runs, || OutputRun::new::<J>(memory), close)?;
        let ReduceOutput { counters, keys } = output;
        Ok(ReducedPartition { run, counters, keys })
    }

    fn reduce_to_file(
        &self,
        partition: u32,
        runs: &[&Run],
        attempt: &Attempt,
        memory: &Memory,
        file: AttemptFile,
    ) -> Result<ReducedFile, AttemptError> {
        let runs = runs.iter().copied();
        let open = || PartWriter::new::<OutputKeyOf<J>, OutputValueOf<J>>(file);
        let close = |writer: PartWriter| Ok((writer.finish()?, ()));
        let task = ReduceTask { partition, attempt, memory, range_bytes: None };
        let (output, part, ()) = self.round().reduce(task, runs, open, close)?;
        let ReduceOutput { counters, keys } = output;
        Ok(ReducedFile { part, counters, keys })
    }
}

/// Decodes chunks into blocks.
struct ChunkBlocks<'a, R: Records> {
    shape: R::Shape,
    chunks: &'a mut dyn Chunks,
    /// The bytes of the chunks so far, for messages.
    offset: u64,
    buffer: R::Buffer,
}

impl<R: Records> Blocks<R> for ChunkBlocks<'_, R> {
    fn next_block(&mut self) -> Result<Option<R::Block<'_>>, ReadError> {
        let Some(bytes) = self.chunks.next_chunk()? else { return Ok(None) };
        let offset = self.offset;
        self.offset += bytes.len() as u64;
        match R::block(&self.shape, bytes, &mut self.buffer) {
            Ok(block) => Ok(Some(block)),
            Err(error) => Err(error.within("the split's records", offset)),
        }
    }
}
