//! The messages between nodes. A change here is a change of the protocol: raise the versions in
//! [`Channel::alpn`](crate::transport::Channel::alpn), and see the end of `docs/protocol.md`. So is one to the answers of
//! [transfers](crate::transfer), which stand there.
//!
//! Every stream opens with [`Open`]. What follows depends on it:
//!
//! | opened with | by | then |
//! |---|---|---|
//! | [`Open::Membership`] | whoever dialled a control connection | [`Gossip`] both ways, for as long as the connection lives |
//! | [`Open::Session`] | a driver, to a peer | [`ToPeer`] one way, [`FromPeer`] the other |
//! | [`Open::Fetch`] | whoever wants data | the answer of a [transfer](crate::transfer) |
//! | [`Open::Relay`] | whoever cannot reach a node | another `Open`, meant for that node |
//! | [`Open::Relayed`] | the node between | the `Open` it was given |

use crate::NodeId;
use mapreduce_core::{
    Block, Counters, JobId, SplitInfo, TaskFailure,
    engine::SharedPart,
    schedule::{AttemptId, Round, TaskReport},
};
use serde::{Deserialize, Serialize};

/// The first message on a stream: what it is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Open {
    /// The member tables of the two sides.
    Membership(Hello),
    /// A driver wants this peer to work for it.
    Session {
        /// What the driver calls itself in logs: `host/process id`.
        name: String,
    },
    /// Data is wanted.
    Fetch(Request),
    /// The stream is to be passed on.
    Relay {
        /// To whom.
        to: NodeId,
    },
    /// A stream that was passed on.
    Relayed {
        /// From whom; the relaying member has verified it.
        from: NodeId,
        /// Whether that is a member; otherwise it is a client.
        from_member: bool,
    },
}

/// The first message of each side of a membership stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// The address that the other side was dialled at, or is seen at: by it a node learns how it can be reached.
    pub(crate) your_address: String,
    /// What the speaker knows of the pool, itself included if it is a member.
    pub(crate) table: Vec<Record>,
}

/// What is said on a membership stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Gossip {
    /// The speaker's side of the beginning.
    Hello(Hello),
    /// What the speaker knows of the pool.
    Table(Vec<Record>),
}

/// What is known of one member. Made by that member alone; others pass it on as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The member.
    pub(crate) node: NodeId,
    /// Grows with every change and every second of life: of two records the one with the larger version counts.
    pub(crate) version: u64,
    /// Whether the member has said that it leaves.
    pub(crate) left: bool,
    /// Where it may be reached, the best first: `host:port`.
    pub(crate) addresses: Vec<String>,
    /// Threads that work on tasks.
    pub(crate) threads: u32,
    /// The jobs that it has.
    pub(crate) jobs: Vec<JobId>,
    /// What it runs: the version of this library.
    pub(crate) build: String,
}

/// A value that rides along if it is small, and is fetched by its hash otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Payload {
    /// The bytes.
    Inline(Block<u8>),
    /// Bytes that the driver has, for [`Request::Stored`].
    Stored {
        /// xxh3 (128 bits) of the bytes.
        hash: u128,
        /// How many there are.
        bytes: u64,
    },
}

/// From a driver to a peer that it has a session with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ToPeer {
    /// The epoch of the session, from the peer's welcome. Anything else is ignored.
    pub(crate) epoch: u64,
    /// What is to be done.
    pub(crate) command: Command,
}

/// What a driver tells a peer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Is the peer there? Answered with [`Answer::Pong`].
    Ping {
        /// Comes back in the answer.
        number: u64,
    },
    /// A round, ahead of the first task of it.
    BeginRound(Box<BeginRound>),
    /// Run an attempt.
    Start {
        /// The job.
        job: u64,
        /// The attempt.
        attempt: AttemptId,
        /// What to do.
        work: Work,
    },
    /// Where the map output of a round lies: ahead of the first reduce attempt, and again whenever it has changed.
    Sources {
        /// The job.
        job: u64,
        /// The round.
        round: Round,
        /// The encoded `Vec<Source>`.
        sources: Payload,
    },
    /// A node at which map output of a round lay is lost. Nothing is to be waited for from there: reduce attempts whose
    /// input is not here yet fail with [`AttemptFailure::FetchFailed`].
    SourceLost {
        /// The job.
        job: u64,
        /// The round.
        round: Round,
        /// The node.
        node: NodeId,
    },
    /// Stop an attempt. It is still answered.
    Cancel {
        /// The job.
        job: u64,
        /// The attempt.
        attempt: AttemptId,
    },
    /// Forget the output and the cache of an attempt that does not count, or a reduce output that was fetched.
    Discard {
        /// The job.
        job: u64,
        /// The attempt.
        attempt: AttemptId,
    },
    /// A round is over: caches of its attempts are kept, all else of it is forgotten.
    EndRound {
        /// The job.
        job: u64,
        /// The round.
        round: Round,
    },
    /// The driver needs these splits no more.
    DropDataset {
        /// The dataset.
        dataset: u64,
    },
    /// A draining peer may leave, as far as this driver is concerned.
    Released,
}

/// What a peer needs to know of a round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BeginRound {
    /// The job, by the driver's own number.
    pub(crate) job: u64,
    /// The round.
    pub(crate) round: Round,
    /// What the job is known by.
    pub(crate) id: JobId,
    /// The encoded job.
    pub(crate) params: Payload,
    /// The encoded broadcast value.
    pub(crate) shared: Payload,
    /// Splits.
    pub(crate) splits: u32,
    /// Partitions.
    pub(crate) partitions: u32,
    /// `Options::segment_bytes` of the job: the output depends on it.
    pub(crate) segment_bytes: u64,
    /// The dataset, by the driver's own number.
    pub(crate) dataset: u64,
    /// The encoded shape of its records.
    pub(crate) shape: Block<u8>,
    /// The encoded `SharedFiles`, if peers read the input themselves.
    pub(crate) files: Option<Payload>,
    /// How many bytes of map output the peer may put into messages of this round.
    pub(crate) inline_bytes: u32,
    /// The encoded `SharedStaging`, if reduce attempts are to write part files themselves.
    pub(crate) staging: Option<Block<u8>>,
}

/// What an attempt works on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Work {
    /// A split.
    Map {
        /// Which.
        split: SplitInfo,
        /// What its files must have, if the peer reads them itself.
        fingerprint: Option<u64>,
    },
    /// The partition of the attempt's number, from the newest [`Command::Sources`].
    Reduce,
}

/// Map output at one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Source {
    /// The node.
    pub(crate) node: NodeId,
    /// Split and attempt number of each output.
    pub(crate) outputs: Vec<(u32, u32)>,
}

/// From a peer to a driver that it has a session with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FromPeer {
    /// The epoch of the session.
    pub(crate) epoch: u64,
    /// What there is to say.
    pub(crate) answer: Answer,
}

/// What a peer tells a driver.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The session begins. Its epoch is that of this message.
    Welcome {
        /// Threads that work on tasks.
        threads: u32,
        /// Attempts that the driver may have there at once.
        slots: u32,
        /// The jobs that it has.
        jobs: Vec<JobId>,
    },
    /// Too many drivers: try again later. The session ends.
    Busy {
        /// How many there are.
        drivers: u32,
    },
    /// Answers a ping.
    Pong {
        /// From the ping.
        number: u64,
    },
    /// The driver may have another number of attempts there.
    Grant {
        /// How many.
        slots: u32,
    },
    /// An attempt is done.
    Completed(Box<Completed>),
    /// An attempt failed.
    Failed {
        /// The job.
        job: u64,
        /// The attempt.
        attempt: AttemptId,
        /// Why.
        failure: AttemptFailure,
    },
    /// The peer wants to leave.
    Draining,
}

/// What an attempt leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Completed {
    /// The job.
    pub(crate) job: u64,
    /// The attempt.
    pub(crate) attempt: AttemptId,
    /// Sizes and checksum of its output.
    pub(crate) report: TaskReport,
    /// Records read by a map attempt, keys reduced by a reduce attempt.
    pub(crate) processed: u64,
    /// What it has counted.
    pub(crate) counters: Counters,
    /// Bytes that it has written to spill files.
    pub(crate) spilled_bytes: u64,
    /// Microseconds that it has run.
    pub(crate) run_us: u64,
    /// Where its output is.
    pub(crate) output: OutputPlace,
}

/// Where the output of an attempt is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OutputPlace {
    /// Here: it is small enough.
    Inline(Vec<InlineRun>),
    /// At the peer, to be fetched.
    Peer,
    /// In the driver's folder, of a reduce attempt.
    Files(SharedPart),
}

/// A run that is not empty, in a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InlineRun {
    /// The partition.
    pub(crate) partition: u32,
    /// Its pairs.
    pub(crate) pairs: u64,
    /// Its bytes.
    pub(crate) bytes: Block<u8>,
}

/// Why an attempt failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum AttemptFailure {
    /// User code failed, or its input could not be read.
    Task {
        /// What went wrong.
        failure: TaskFailure,
        /// Another attempt would fail in the same way.
        permanent: bool,
    },
    /// The node is at fault.
    Node {
        /// What went wrong.
        message: String,
    },
    /// Map output could not be fetched.
    FetchFailed {
        /// From where.
        from: NodeId,
        /// What went wrong, for logs.
        message: String,
    },
    /// The attempt was stopped.
    Cancelled,
}

/// What is wanted of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// A split, of the driver: a blob for each block of whole records.
    Split {
        /// The dataset.
        dataset: u64,
        /// Its split.
        split: u32,
    },
    /// A value, of the driver: one blob.
    Stored {
        /// xxh3 (128 bits) of its bytes.
        hash: u128,
    },
    /// Map output of one partition, of a peer: a blob for each output that is not empty, under the split's index.
    Runs {
        /// Whose job.
        driver: NodeId,
        /// The job.
        job: u64,
        /// The round.
        round: Round,
        /// The partition.
        partition: u32,
        /// Split and attempt number of each output.
        outputs: Vec<(u32, u32)>,
    },
    /// The output of a reduce attempt, of a peer by its driver: one blob.
    Reduced {
        /// The job.
        job: u64,
        /// The attempt.
        attempt: AttemptId,
    },
}
