//! The requester's side of a transfer, up to the body.

use super::{
    Answer, Blob, Budget, Credit, Fetched, PATIENCE, Portion, Refusal, WAITING,
    join::join_all,
    receive::{Incoming, Take, ToBlobs},
    runs::{Arrived, ToRuns},
};
use crate::{
    NodeId,
    mesh::OpenError,
    wire::{
        FrameReader, FrameWriter, WireError,
        message::{Open, Request},
    },
};
use mapreduce_core::{Memory, exec::SpillError};
use std::{future::Future, pin::pin, time::Duration};

/// How a stream to a node is opened: by the mesh, or on a connection that a test has.
pub(crate) trait Opener: Sync {
    /// Opens a stream to `to` with the message `open`, which is sent at once.
    fn open(
        &self,
        to: NodeId,
        open: &Open,
    ) -> impl Future<Output = Result<(FrameWriter, FrameReader), OpenError>> + Send;
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FetchError {
    /// There is no way to the node.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The stream broke, or ended early.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The node does not serve it.
    #[error(transparent)]
    Refused(Refusal),
    /// What came is not what was announced.
    #[error("the data that came is damaged: {what} {found}, not {expected}")]
    Corrupt {
        /// What was looked at.
        what: &'static str,
        /// What it was.
        found: u64,
        /// What it has to be, or the most it may be.
        expected: u64,
    },
    /// More is offered than a transfer may have.
    #[error("{bytes} bytes are offered, more than the {bytes_max} of one transfer")]
    TooLarge {
        /// Bytes offered.
        bytes: u64,
        /// Bytes allowed.
        bytes_max: u64,
    },
    /// A run is not what was said of it.
    #[error("the run of split {index} is not {pairs} whole pairs")]
    NotPairs {
        /// The split.
        index: u32,
        /// The pairs announced.
        pairs: u64,
    },
    /// What has come could not be kept: this node is at fault, not the one that sent it.
    #[error(transparent)]
    Spill(#[from] SpillError),
    /// This node ends.
    #[error("the node ends")]
    Ending,
    /// Nothing came.
    #[error("no data has come for {} s", waited.as_secs())]
    Stalled {
        /// How long was waited.
        waited: Duration,
    },
}

/// Fetches from several nodes at once: gives all of it in the order of the requests, or the first failure and whose it was.
///
/// It waits until the budget has room for all of it, and as long as a node takes for its answer; after that, at most
/// [`PATIENCE`] for the next bytes. Dropping it gives all streams up.
pub(crate) async fn fetch_all(
    opener: &impl Opener,
    requests: Vec<(NodeId, Request)>,
    budget: &Budget,
) -> Result<Vec<Fetched>, (NodeId, FetchError)> {
    fetch_all_within(Pace::default(), opener, requests, &ToBlobs, budget).await
}

/// As [`fetch_all`], of runs that are used soon: what is more than the whole budget counts in `memory`, or is spilled as
/// it comes.
pub(crate) async fn fetch_runs(
    opener: &impl Opener,
    requests: Vec<(NodeId, Request)>,
    budget: &Budget,
    memory: &Memory,
) -> Result<Vec<Fetched<Arrived>>, (NodeId, FetchError)> {
    fetch_all_within(Pace::default(), opener, requests, &ToRuns::ahead(memory), budget).await
}

/// As [`fetch_all`], of one run that stays: it counts in `memory` from the beginning, or is spilled as it comes.
pub(crate) async fn fetch_output(
    opener: &impl Opener,
    from: NodeId,
    request: Request,
    budget: &Budget,
    memory: &Memory,
) -> Result<Vec<Arrived>, FetchError> {
    let take = ToRuns::to_stay(memory);
    match fetch_all_within(Pace::default(), opener, vec![(from, request)], &take, budget).await {
        Ok(fetched) => Ok(fetched.into_iter().flat_map(|fetched| fetched.into_parts().0).collect()),
        Err((_, error)) => Err(error),
    }
}

/// As [`fetch_all`], with other times and to anywhere.
pub(super) async fn fetch_all_within<T: Take>(
    pace: Pace,
    opener: &impl Opener,
    requests: Vec<(NodeId, Request)>,
    take: &T,
    budget: &Budget,
) -> Result<Vec<Fetched<T::Item>>, (NodeId, FetchError)> {
    let _turn = budget.turn().await;
    let opening = requests.into_iter().map(|(node, request)| async move {
        begin(pace, opener, node, request).await.map_err(|error| (node, error))
    });
    let mut streams = join_all(opening.collect()).await?;
    let held = admit(pace, &mut streams, take, budget).await?;
    let receiving = streams.into_iter().zip(held).map(|((node, stream), held)| async move {
        stream.receive(take, held).await.map_err(|error| (node, error))
    });
    join_all(receiving.collect()).await
}

/// As [`fetch_all`], from one node.
pub(crate) async fn fetch(
    opener: &impl Opener,
    from: NodeId,
    request: Request,
    budget: &Budget,
) -> Result<Fetched<Blob>, FetchError> {
    match fetch_all(opener, vec![(from, request)], budget).await {
        Ok(mut fetched) => Ok(fetched.pop().expect("one request gives one result")),
        Err((_, error)) => Err(error),
    }
}

/// How long a requester waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// For the next bytes of a body.
    pub(super) patience: Duration,
    /// For the budget, until it lets the servers know.
    pub(super) waiting: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { patience: PATIENCE, waiting: WAITING }
    }
}

/// How long a node may take to answer that has what is asked for in its memory. One that was stopped is given up long
/// before its connection is.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// Asks a node, and reads what it offers.
async fn begin(
    pace: Pace,
    opener: &impl Opener,
    node: NodeId,
    request: Request,
) -> Result<(NodeId, Incoming), FetchError> {
    // A split is read from a disk first, and whoever waits for it ends with its session.
    let patience = match request {
        Request::Split { .. } => Duration::MAX,
        _ => ANSWER_PATIENCE,
    };
    let blobs_max = blobs_max(&request);
    let (writer, mut reader) = opener.open(node, &Open::Fetch(request)).await?;
    let answer = tokio::time::timeout(patience, reader.expect::<Answer>()).await;
    match answer.map_err(|_| FetchError::Stalled { waited: patience })?? {
        Answer::Offer(offer) => Ok((node, Incoming::new(writer, reader, offer, blobs_max, pace.patience)?)),
        Answer::Compressed(offer) => {
            Ok((node, Incoming::new(writer, reader, offer, blobs_max, pace.patience)?.compressed()))
        }
        Answer::Refused(refusal) => Err(FetchError::Refused(refusal)),
    }
}

/// The most blobs that an answer may have.
fn blobs_max(request: &Request) -> u64 {
    match request {
        Request::Runs { outputs, .. } => outputs.len() as u64,
        Request::Reduced { .. } | Request::Stored { .. } => 1,
        // As many blocks as the driver's own input has made.
        Request::Split { .. } => u64::MAX,
    }
}

/// Waits for the budget of all of them. Who waits longer lets the servers know.
async fn admit(
    pace: Pace,
    streams: &mut [(NodeId, Incoming)],
    take: &impl Take,
    budget: &Budget,
) -> Result<Vec<Portion>, (NodeId, FetchError)> {
    let cost = |(_, stream): &(NodeId, Incoming)| {
        let (blobs, bytes) = stream.size();
        take.cost(blobs, bytes)
    };
    let costs: Vec<u64> = streams.iter().map(cost).collect();
    let mut held = pin!(budget.acquire(&costs));
    loop {
        if let Ok(held) = tokio::time::timeout(pace.waiting, held.as_mut()).await {
            return Ok(held);
        }
        for (node, stream) in streams.iter_mut() {
            stream.grant(Credit { bytes: 0 }).await.map_err(|error| (*node, error.into()))?;
        }
    }
}
