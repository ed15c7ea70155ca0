//! [`Stage`]: brings the input of attempts to this peer, before they wait for a thread.

use super::{
    Shared, failure,
    outputs::Outputs,
    run::{MapSource, ReduceWork, RunSource, StagedRun},
    splits::{Counted, DatasetKey, SplitBytes},
    values::Values,
};
use crate::{
    NodeId,
    transfer::{fetch, fetch_runs},
    wire::message::{AttemptFailure, Payload, Request, Source},
};
use mapreduce_core::{codec, schedule::Round};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

/// Attempts of a session, beyond those that the threads work on, whose input is here or on its way.
const AHEAD: usize = 2;

/// Stages the input of one session's attempts.
#[derive(Clone)]
pub(super) struct Stage {
    shared: Arc<Shared>,
    driver: NodeId,
    values: Arc<Values>,
    /// Bounds the attempts that hold fetched input, from the request until they are over.
    permits: Arc<Semaphore>,
}

/// Where the map output of a round lies, as a driver has said it.
pub(super) struct Sources {
    payload: Payload,
    decoded: OnceCell<Vec<Source>>,
}

/// Which partition of which round.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) job: u64,
    pub(super) round: Round,
    pub(super) partition: u32,
}

impl Stage {
    pub(super) fn new(shared: Arc<Shared>, driver: NodeId, values: Arc<Values>) -> Self {
        let permits = Arc::new(Semaphore::new(shared.executor.threads() + AHEAD));
        Self { shared, driver, values, permits }
    }

    /// A split, from the driver.
    pub(super) async fn split(&self, dataset: DatasetKey, split: u32) -> Result<MapSource, AttemptFailure> {
        let permit = self.permit().await;
        // Another attempt may have brought it meanwhile.
        if let Some(bytes) = self.shared.splits.bytes(dataset, split) {
            return Ok(MapSource::Blocks { bytes, _permit: None });
        }
        let request = Request::Split { dataset: dataset.1, split };
        let fetched = fetch(&*self.shared, self.driver, request, &self.shared.budget).await;
        let fetched = fetched.map_err(|error| failure::of_driver("a split", error))?;
        let (blobs, held) = fetched.into_parts();
        let blocks: Vec<_> = blobs.into_iter().map(|blob| blob.bytes).collect();
        let len = blocks.iter().map(|block| block.len() as u64).sum();
        // From here on the bytes count for the cache instead of the budget, if there is room. Else they stay for this
        // attempt alone.
        let (counted, is_kept) = match self.shared.memory.try_hold(len) {
            Some(held) => (Counted::InMemory(held), true),
            None => (Counted::Fetched(held), false),
        };
        let bytes = Arc::new(SplitBytes::new(blocks, counted));
        if is_kept {
            self.shared.splits.keep_bytes(dataset, split, bytes.clone());
        }
        Ok(MapSource::Blocks { bytes, _permit: Some(permit) })
    }

    /// All map output of a partition: in place what lies here, from each other node the rest in one transfer.
    pub(super) async fn partition(
        &self,
        wanted: Wanted,
        sources: &Sources,
        outputs: &Outputs,
    ) -> Result<ReduceWork, AttemptFailure> {
        let permit = self.permit().await;
        let sources = sources.get(self).await?;
        let mut runs = Vec::new();
        let mut requests = Vec::new();
        let here = self.shared.mesh.node_id();
        let Wanted { job, round, partition } = wanted;
        for Source { node, outputs: which } in sources {
            if *node != here {
                let (driver, outputs) = (self.driver, which.clone());
                requests.push((*node, Request::Runs { driver, job, round, partition, outputs }));
                continue;
            }
            for &(split, number) in which {
                let Some(output) = outputs.map(job, round, (split, number)) else {
                    let message = format!("the output of map {split} attempt {number} is not here");
                    return Err(failure::of_fetch(here, message));
                };
                runs.push(StagedRun { split, source: RunSource::Here(output) });
            }
        }
        let nodes: Vec<_> = requests.iter().map(|(node, _)| *node).collect();
        let memory = self.shared.memory.for_one_job();
        let fetched = fetch_runs(&*self.shared, requests, &self.shared.budget, &memory).await;
        let fetched = fetched.map_err(|(from, error)| failure::of_fetching(from, error))?;
        let mut held = Vec::with_capacity(fetched.len());
        for (from, fetched) in nodes.into_iter().zip(fetched) {
            let (arrived, part) = fetched.into_parts();
            held.push(part);
            runs.extend(
                arrived
                    .into_iter()
                    .map(|run| StagedRun { split: run.index, source: RunSource::Fetched { from, run } }),
            );
        }
        check_splits(sources, &mut runs)?;
        Ok(ReduceWork { here, partition, runs, held, memory, permit })
    }

    async fn permit(&self) -> OwnedSemaphorePermit {
        self.permits.clone().acquire_owned().await.expect("the semaphore is never closed")
    }
}

impl Sources {
    pub(super) fn new(payload: Payload) -> Self {
        Self { payload, decoded: OnceCell::new() }
    }

    async fn get(&self, stage: &Stage) -> Result<&[Source], AttemptFailure> {
        let decode = || async {
            let value = stage.values.get(&stage.shared, stage.driver, self.payload.clone()).await?;
            codec::decode::<Vec<Source>>(value.as_ref())
                .map_err(|error| failure::node(format!("the list of map outputs cannot be read: {error}")))
        };
        Ok(self.decoded.get_or_try_init(decode).await?)
    }
}

/// Puts the runs into the order of their splits. Each must be of a split that was asked for, and the only one of it: a
/// node or a driver that counts wrongly would change the result.
fn check_splits(sources: &[Source], runs: &mut [StagedRun]) -> Result<(), AttemptFailure> {
    let mut holders = HashMap::new();
    for Source { node, outputs } in sources {
        for (split, _) in outputs {
            if holders.insert(*split, *node).is_some() {
                return Err(failure::node(format!("the list of map outputs names split {split} twice")));
            }
        }
    }
    runs.sort_by_key(|run| run.split);
    let mut before = None;
    for run in runs {
        if let RunSource::Fetched { from, .. } = run.source
            && (holders.get(&run.split) != Some(&from) || before == Some(run.split))
        {
            return Err(failure::of_fetch(from, format!("a run of split {} was not asked for", run.split)));
        }
        before = Some(run.split);
    }
    Ok(())
}
