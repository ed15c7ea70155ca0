//! [`Parts`]: the user's parts of a job for one round, made once and used by all attempts of it.

use super::{
    Shared,
    executor::Limit,
    failure,
    folder::DriverFolder,
    splits::DatasetKey,
    values::{Value, Values},
};
use crate::{
    NodeId,
    wire::message::{AttemptFailure, BeginRound, Payload},
};
use mapreduce_core::{
    Block, Error, FailureKind, Memory, Options, TaskMemory, codec,
    exec::{ErasedJob, ErasedRound},
    input::SharedFiles,
};
use std::sync::{Arc, Mutex, PoisonError};

/// What attempts of a round work with.
pub(super) struct Parts {
    pub(super) round: Box<dyn ErasedRound>,
    /// The encoded shape of the records.
    pub(super) shape: Block<u8>,
    /// The files, if this peer reads the input itself.
    pub(super) files: Option<SharedFiles>,
    pub(super) dataset: DatasetKey,
    pub(super) splits: u32,
    pub(super) segment_bytes: usize,
    /// The budget of what its attempts leave.
    pub(super) memory: Memory,
    /// Where reduce attempts write, if they are to write part files.
    pub(super) folder: Option<DriverFolder>,
    /// Attempts that may run at once, because more do not fit into the memory.
    pub(super) limit: Limit,
    working: Mutex<Option<TaskMemory>>,
}

impl Parts {
    /// Gives back the memory that its attempts work in, ahead of the parts themselves: those may have to wait for a thread,
    /// and the next round would reserve what is left beside them. What still runs is about to stop.
    pub(super) fn release(&self) {
        self.working.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// What the parts are made of.
pub(super) struct Ingredients<T> {
    params: T,
    shared: T,
    files: Option<T>,
}

/// How the parts are made, apart from the ingredients.
pub(super) struct Recipe {
    pub(super) job: Arc<dyn ErasedJob>,
    pub(super) dataset: DatasetKey,
    pub(super) partitions: u32,
    splits: u32,
    segment_bytes: usize,
    shape: Block<u8>,
    staging: Option<Block<u8>>,
    memory: Memory,
    threads: usize,
}

impl Recipe {
    /// Looks the job of a round up.
    pub(super) fn of(
        shared: &Shared,
        epoch: u64,
        begin: BeginRound,
    ) -> Result<(Self, Ingredients<Payload>), AttemptFailure> {
        let job = shared.registry.get(&begin.id).map_err(|error| failure::node(error.to_string()))?;
        if !(1..=Options::PARTITIONS_MAX).contains(&begin.partitions) {
            let message = format!(
                "{} partitions are not from 1 to {}; choose another number",
                begin.partitions,
                Options::PARTITIONS_MAX
            );
            return Err(failure::permanent(FailureKind::User, message));
        }
        let (memory, threads) = (shared.memory.clone(), shared.executor.threads());
        let BeginRound { params, shared, files, shape, splits, partitions, segment_bytes, dataset, .. } =
            begin;
        let staging = begin.staging;
        let segment_bytes = usize::try_from(segment_bytes).unwrap_or(usize::MAX);
        let dataset = (epoch, dataset);
        let job = job.clone();
        let recipe =
            Self { job, dataset, partitions, splits, segment_bytes, shape, staging, memory, threads };
        Ok((recipe, Ingredients { params, shared, files }))
    }

    /// Makes the parts. On a thread for user code.
    pub(super) fn make(self, values: &Ingredients<Value>) -> Result<Parts, AttemptFailure> {
        let working = self.memory.reserve_tasks(self.segment_bytes, self.threads);
        let working = working.map_err(|error| failure::node(error.to_string()))?;
        let files = match &values.files {
            None => None,
            Some(files) => Some(codec::decode(files.as_ref()).map_err(|error| {
                failure::node(format!("what the driver says of its files cannot be read: {error}"))
            })?),
        };
        let round = self.job.round(values.params.as_ref(), values.shared.as_ref(), self.partitions);
        let round = round.map_err(|error| match error {
            Error::Codec(error) => failure::permanent(FailureKind::Codec, error.to_string()),
            error => failure::permanent(FailureKind::User, error.to_string()),
        })?;
        let Self { dataset, splits, segment_bytes, shape, memory, .. } = self;
        let folder = self.staging.map(|staging| DriverFolder::new(&staging));
        let limit = Limit::new(working.tasks());
        Ok(Parts {
            round,
            shape,
            files,
            dataset,
            splits,
            segment_bytes,
            memory,
            folder,
            limit,
            working: Mutex::new(Some(working)),
        })
    }
}

impl Ingredients<Payload> {
    /// The bytes, if all are here.
    pub(super) fn at_hand(&self, values: &Values) -> Option<Ingredients<Value>> {
        let files = match &self.files {
            Some(files) => Some(values.at_hand(files)?),
            None => None,
        };
        Some(Ingredients {
            params: values.at_hand(&self.params)?,
            shared: values.at_hand(&self.shared)?,
            files,
        })
    }

    /// The bytes, those that are not here from the driver.
    pub(super) async fn get(
        self,
        values: &Values,
        shared: &Shared,
        driver: NodeId,
    ) -> Result<Ingredients<Value>, AttemptFailure> {
        let Self { params, shared: broadcast, files } = self;
        let get = |payload| values.get(shared, driver, payload);
        let files = async {
            match files {
                Some(files) => get(files).await.map(Some),
                None => Ok(None),
            }
        };
        let (params, shared, files) = tokio::try_join!(get(params), get(broadcast), files)?;
        Ok(Ingredients { params, shared, files })
    }
}
