//! [`Work`]: what the tasks of a round share, in the form in which peers are told of it.

use super::{
    destination::{Destination, Reduced},
    hub::Hub,
    on_pool::DatasetOnPool,
    serve::Stored,
};
use crate::{
    transfer::Refusal,
    wire::message::{self, Payload},
};
use mapreduce_core::{
    Block, Dataset, Error, FailureKind, Input, InputOf, Job, JobId, Memory, TaskFailure, codec, engine,
    exec::{Attempt, AttemptError, ErasedRound, MapOutput, Run, erased_round},
    schedule::{AttemptId, TaskId},
};
use std::sync::{Arc, OnceLock};

/// A value up to this size rides in the message that needs it.
const INLINE_BYTES: usize = 64 << 10;

/// What the tasks of a round share.
pub(super) struct Work<'a, J: Job, I, D> {
    job: &'a J,
    shared: &'a J::Shared,
    data: &'a Dataset<I>,
    on_pool: &'a DatasetOnPool,
    pub(super) destination: &'a D,
    pub(super) announcement: Announcement,
    /// The job's parts, for reduce attempts that run here. Made when the first of them does.
    round: OnceLock<Result<Box<dyn ErasedRound>, String>>,
}

/// What peers have to know of a round.
pub(super) struct Announcement {
    pub(super) id: JobId,
    pub(super) params: Payload,
    pub(super) shared: Payload,
    pub(super) shape: Block<u8>,
    pub(super) files: Option<Payload>,
    /// The encoded `SharedStaging`.
    pub(super) staging: Option<Block<u8>>,
    pub(super) dataset: u64,
    pub(super) splits: u32,
    pub(super) partitions: u32,
    /// Keeps what is too large for a message until the round is over.
    _stored: Vec<Stored>,
}

impl<'a, J, I, D> Work<'a, J, I, D>
where
    J: Job,
    I: Input<Records = InputOf<J>>,
    D: Destination<J>,
{
    pub(super) fn new(
        hub: &Hub,
        id: JobId,
        (job, shared): (&'a J, &'a J::Shared),
        data: &'a Dataset<I>,
        on_pool: &'a DatasetOnPool,
        destination: &'a D,
        partitions: u32,
    ) -> Result<Self, Error> {
        let mut stored = Vec::new();
        let mut payload = |bytes| payload(hub, bytes, &mut stored);
        let announcement = Announcement {
            id,
            params: payload(encoded(job)?),
            shared: payload(encoded(shared)?),
            shape: encoded(&data.input().shape())?.into(),
            files: data.shared_files().map(encoded).transpose()?.map(payload),
            staging: destination.shared().map(encoded).transpose()?.map(Block::from),
            dataset: data.id(),
            splits: data.splits().len() as u32,
            partitions,
            _stored: stored,
        };
        Ok(Self { job, shared, data, on_pool, destination, announcement, round: OnceLock::new() })
    }

    /// What a peer is told of an attempt's task.
    pub(super) fn of(&self, task: TaskId) -> message::Work {
        match task {
            TaskId::Map(split) => message::Work::Map {
                split: self.data.splits()[split as usize].clone(),
                fingerprint: self.on_pool.fingerprint(split),
            },
            TaskId::Reduce(_) => message::Work::Reduce,
        }
    }

    /// About how many bytes a split has.
    pub(super) fn split_bytes(&self, split: u32) -> u64 {
        self.data.splits()[split as usize].bytes
    }

    /// Where a task works, in words.
    pub(super) fn place(&self, task: TaskId) -> String {
        engine::place(self.data, task)
    }

    /// The blocks of a split, for a peer that does not have it. On one of the driver's threads.
    pub(super) fn ship(&self, split: u32) -> Result<Vec<Vec<u8>>, Refusal> {
        if split as usize >= self.data.splits().len() {
            return Err(Refusal::Unknown { what: format!("split {split}") });
        }
        let mut blocks = Vec::new();
        match engine::ship(self.data, split, &mut |block| blocks.push(block.to_vec())) {
            Ok(()) => Ok(blocks),
            Err(AttemptError { failure, permanent }) => Err(Refusal::Read { failure, permanent }),
        }
    }

    /// Runs a reduce attempt, on one of the driver's threads.
    pub(super) fn reduce(
        &self,
        attempt: AttemptId,
        outputs: &[Arc<MapOutput>],
        token: &Attempt,
        memory: &Memory,
    ) -> Result<Reduced<D::Part>, AttemptError> {
        let made = self.round.get_or_init(|| {
            erased_round(self.job, self.shared, self.announcement.partitions)
                .map_err(|error| error.to_string())
        });
        match made {
            Ok(round) => {
                let partition = attempt.task.index() as usize;
                let runs: Vec<&Run> = outputs.iter().map(|output| &output.runs[partition]).collect();
                self.destination.reduce(&**round, attempt, &runs, token, memory)
            }
            Err(message) => {
                let failure = TaskFailure::new(FailureKind::User, message.clone());
                Err(AttemptError { failure, permanent: true })
            }
        }
    }
}

fn encoded<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    codec::encode(value, &mut bytes)?;
    Ok(bytes)
}

/// A value as peers get it: in the message, or by its hash.
pub(super) fn payload(hub: &Hub, bytes: Vec<u8>, stored: &mut Vec<Stored>) -> Payload {
    if bytes.len() <= INLINE_BYTES {
        return Payload::Inline(bytes.into());
    }
    let value = hub.store(bytes.into());
    let payload = value.payload();
    stored.push(value);
    payload
}
