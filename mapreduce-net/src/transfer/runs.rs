//! Runs that are fetched: in memory as far as it goes, else in a spill file.

use super::{
    FetchError,
    receive::{BlobHeader, Incoming, Take},
};
use mapreduce_core::{
    Held, Memory,
    exec::{Run, RunSpiller, SpillError},
};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

/// A run that has come.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// The split, or the partition.
    pub(crate) index: u32,
    pairs: u64,
    landed: Landed,
}

/// Where it is.
#[derive(Debug)]
enum Landed {
    /// Within the budget of transfers, or held of the node's memory.
    Memory(Vec<u8>, Option<Held>),
    /// Looked at as it came.
    Spilled(Run),
}

impl Arrived {
    /// The run, once it was looked at. `None` if it is not the pairs that were announced.
    pub(crate) fn into_run(self) -> Option<Run> {
        let Self { pairs, landed, .. } = self;
        match landed {
            Landed::Memory(bytes, Some(held)) => Run::from_held_bytes(bytes, pairs, held),
            Landed::Memory(bytes, None) => Run::from_bytes(bytes, pairs),
            Landed::Spilled(run) => Some(run),
        }
    }
}

/// Takes blobs as runs.
pub(super) struct ToRuns<'a> {
    memory: &'a Memory,
    /// They are used soon, and have the budget of transfers first.
    is_ahead: bool,
}

impl<'a> ToRuns<'a> {
    /// Runs that are fetched ahead of their use.
    pub(super) fn ahead(memory: &'a Memory) -> Self {
        Self { memory, is_ahead: true }
    }

    /// Runs that stay for longer than the budget of transfers could spare.
    pub(super) fn to_stay(memory: &'a Memory) -> Self {
        Self { memory, is_ahead: false }
    }
}

impl Take for ToRuns<'_> {
    type Item = Arrived;

    fn cost(&self, blobs: u64, bytes: u64) -> u64 {
        if self.is_ahead { bytes + blobs * size_of::<Arrived>() as u64 } else { 0 }
    }

    async fn take(
        &self,
        incoming: &mut Incoming,
        BlobHeader { index, pairs, length }: BlobHeader,
        share: &mut u64,
    ) -> Result<Arrived, FetchError> {
        let (bytes, index_bytes) = (length as u64, size_of::<Arrived>() as u64);
        let left = share.checked_sub(bytes + index_bytes);
        *share = left.unwrap_or(*share);
        let held = if left.is_some() { None } else { self.memory.try_hold(bytes) };
        let landed = if left.is_some() || held.is_some() {
            Landed::Memory(incoming.blob(length).await?, held)
        } else {
            let run = spill(self.memory, incoming, length, pairs).await?;
            Landed::Spilled(run.ok_or(FetchError::NotPairs { index, pairs })?)
        };
        Ok(Arrived { index, pairs, landed })
    }
}

/// Takes a run into a spill file: a piece is written while the next one comes.
async fn spill(
    memory: &Memory,
    incoming: &mut Incoming,
    length: usize,
    pairs: u64,
) -> Result<Option<Run>, FetchError> {
    let memory = memory.clone();
    let mut writing = spawn_blocking(move || RunSpiller::create(&memory));
    let mut left = length;
    while left > 0 {
        let piece = incoming.piece(left).await?;
        left -= piece.len();
        let mut spiller = done(writing).await?;
        writing = spawn_blocking(move || {
            spiller.push(&piece)?;
            Ok(spiller)
        });
    }
    let spiller = done(writing).await?;
    done(spawn_blocking(move || spiller.finish(pairs))).await
}

/// What a blocking step has given.
async fn done<T>(step: JoinHandle<Result<T, SpillError>>) -> Result<T, FetchError> {
    // It does not panic, and is not stopped unless the runtime ends.
    Ok(step.await.map_err(|_: JoinError| FetchError::Ending)??)
}
