//! Jobs behind interfaces that speak bytes, for nodes that know a job only by its [`JobId`].
//!
//! Types stay inside one attempt: what crosses these interfaces is encoded. Each costs one virtual call per task or
//! block, none per record.

use super::{MapOutput, MapTask, Pairs, ReduceTask, Round, Run};
use crate::{
    Error, InputOf, Job, JobId, Records, Result, SplitInfo, TaskFailure,
    cancel::Attempt,
    codec,
    input::{Blocks, Cache, ReadError},
};
use std::marker::PhantomData;

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
    /// When the bytes do not decode or the job's own set-up fails.
    fn round(&self, params: &[u8], shared: &[u8], partitions: u32) -> Result<Box<dyn ErasedRound>, Error>;
}

/// The parts of a job for one round.
pub trait ErasedRound: Send + Sync {
    /// Runs one attempt of a map task. `shape` is the encoded [`Records::Shape`] of the input.
    ///
    /// # Errors
    /// What went wrong in the attempt, and at which record.
    fn map(&self, split: &SplitInfo, shape: &[u8], chunks: &mut dyn Chunks)
    -> Result<MapOutput, TaskFailure>;

    /// Runs one attempt of a reduce task over the runs of `partition`, in the order of the splits.
    ///
    /// # Errors
    /// What went wrong in the attempt, and at which key.
    fn reduce(&self, partition: u32, runs: &[Run]) -> Result<Run, TaskFailure>;
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
        let job: J = codec::decode(params)?;
        let shared: J::Shared = codec::decode(shared)?;
        Ok(Box::new(Round::new(&job, &shared, partitions)?))
    }
}

impl<J: Job> ErasedRound for Round<J> {
    fn map(
        &self,
        split: &SplitInfo,
        shape: &[u8],
        chunks: &mut dyn Chunks,
    ) -> Result<MapOutput, TaskFailure> {
        let task = MapTask { split, cache: &mut Cache::default(), attempt: &Attempt::default() };
        let blocks = |chunks| -> Result<Box<dyn Blocks<InputOf<J>> + '_>> {
            let shape = codec::decode(shape)?;
            Ok(Box::new(ChunkBlocks::<InputOf<J>> { shape, chunks, buffer: Default::default() }))
        };
        Round::map(self, task, move || blocks(chunks), || "split".into()).map_err(|failed| failed.failure)
    }

    fn reduce(&self, partition: u32, runs: &[Run]) -> Result<Run, TaskFailure> {
        let task = ReduceTask { partition, attempt: &Attempt::default() };
        let reduced = Round::reduce(self, task, runs, || Ok(Pairs::default()), |pairs| Ok((pairs.run, ())));
        reduced.map(|(_, run, ())| run).map_err(|failed| failed.failure)
    }
}

/// Decodes chunks into blocks.
struct ChunkBlocks<'a, R: Records> {
    shape: R::Shape,
    chunks: &'a mut dyn Chunks,
    buffer: R::Buffer,
}

impl<R: Records> Blocks<R> for ChunkBlocks<'_, R> {
    fn next_block(&mut self) -> Result<Option<R::Block<'_>>, ReadError> {
        match self.chunks.next_chunk()? {
            Some(bytes) => R::block(&self.shape, bytes, &mut self.buffer).map(Some),
            None => Ok(None),
        }
    }
}
