//! A driver made by hand: what it has, and its sessions.

use super::{PATIENCE, Pool, jobs::Words, soon};
use crate::{
    Identity, MemberEvent, NodeId, Timing,
    mesh::{Incoming, MemberEvents, Mesh, MeshConfig, OpenError},
    transfer::{self, Blob, Body, Budget, FetchError, Opener, Refusal},
    transport::{Channel, Limits},
    wire::{
        FrameReader, FrameWriter, WireError,
        message::{
            Answer, AttemptFailure, BeginRound, Command, Completed, FromPeer, InlineRun, Open, OutputPlace,
            Payload, Request, Source, ToPeer, Work,
        },
    },
};
use mapreduce_core::{
    Block, Datum, Job, JobId, SplitInfo, codec,
    exec::Run,
    schedule::{AttemptId, Round, TaskId},
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};
use tokio::{sync::mpsc, task::AbortHandle};
use xxhash_rust::xxh3::xxh3_128;

pub(super) const JOB: u64 = 7;
pub(super) const DATASET: u64 = 3;

/// A process that has data and drives peers. Who asks it for map output waits for an answer until it is gone.
pub(super) struct Driver {
    mesh: Mesh,
    has: Arc<Mutex<Has>>,
    serving: AbortHandle,
}

#[derive(Default)]
struct Has {
    splits: HashMap<u32, Result<Vec<Vec<u8>>, Refusal>>,
    values: HashMap<u128, Vec<u8>>,
    /// What it was asked for.
    asked: Vec<Request>,
}

/// Waits until the nodes are in the pool.
pub(super) async fn met(mut events: MemberEvents, mut nodes: Vec<NodeId>) {
    while !nodes.is_empty() {
        match soon(events.next()).await.unwrap() {
            MemberEvent::Joined(member) => nodes.retain(|node| *node != member.node),
            other => panic!("{other:?}"),
        }
    }
}

impl Driver {
    pub(super) async fn start(identity: Identity, pool: &Pool) -> Self {
        let (mesh, incoming) = Mesh::start(MeshConfig {
            identity,
            join: pool.addresses(),
            listen: None,
            advertise: Vec::new(),
            offer: None,
            limits: Limits::default(),
            timing: Timing::default(),
        })
        .unwrap();
        let has = Arc::<Mutex<Has>>::default();
        let serving = tokio::spawn(serve(has.clone(), incoming)).abort_handle();
        met(mesh.events(), pool.peers.iter().map(|peer| peer.node_id()).collect()).await;
        Self { mesh, has, serving }
    }

    pub(super) fn node_id(&self) -> NodeId {
        self.mesh.node_id()
    }

    /// Has a split, in one block for each text.
    pub(super) fn split(&self, split: u32, blocks: &[&str]) {
        let blocks = blocks.iter().map(|block| block.as_bytes().to_vec()).collect();
        self.has.lock().unwrap().splits.insert(split, Ok(blocks));
    }

    pub(super) fn refuse_split(&self, split: u32, refusal: Refusal) {
        self.has.lock().unwrap().splits.insert(split, Err(refusal));
    }

    /// Has a value, which is to be fetched.
    pub(super) fn value(&self, value: &impl Serialize) -> Payload {
        let bytes = encoded(value);
        let hash = xxh3_128(&bytes);
        let payload = Payload::Stored { hash, bytes: bytes.len() as u64 };
        self.has.lock().unwrap().values.insert(hash, bytes);
        payload
    }

    /// What it was asked for since the last call.
    pub(super) fn asked(&self) -> Vec<Request> {
        std::mem::take(&mut self.has.lock().unwrap().asked)
    }

    /// Waits until it is asked for something.
    pub(super) async fn was_asked(&self) {
        while self.asked().is_empty() {
            tokio::task::yield_now().await;
        }
    }

    /// A session that the peer welcomes.
    pub(super) async fn session(&self, peer: NodeId) -> Link {
        let (mut link, answer) = self.knock(peer).await;
        let Answer::Welcome { threads, slots, jobs } = answer else { panic!("{answer:?}") };
        assert_eq!((threads, jobs), (1, vec![JobId::of::<Words>()]));
        link.slots = slots;
        link
    }

    /// Asks for a session.
    pub(super) async fn knock(&self, peer: NodeId) -> (Link, Answer) {
        let open = Open::Session { name: "test/1".into() };
        let (writer, mut reader) = soon(self.mesh.open(peer, Channel::Control, &open)).await.unwrap();
        let FromPeer { epoch, answer } = soon(reader.expect()).await.unwrap();
        (Link { writer, reader, epoch, slots: 0 }, answer)
    }

    /// Fetches what a peer has.
    pub(super) async fn fetch(&self, from: NodeId, request: Request) -> Result<Vec<Blob>, FetchError> {
        let budget = Budget::new(1 << 20);
        Ok(soon(transfer::fetch(self, from, request, &budget)).await?.into_parts().0)
    }

    /// Whether a peer has the output of the first attempt on a split.
    pub(super) async fn finds_output(&self, at: NodeId, job: u64, split: u32) -> bool {
        let driver = self.node_id();
        let request = Request::Runs { driver, job, round: Round(1), partition: 0, outputs: vec![(split, 1)] };
        match self.fetch(at, request).await {
            Ok(_) => true,
            Err(FetchError::Refused(Refusal::Unknown { .. })) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Ends without a word.
    pub(super) fn close(&self) {
        self.mesh.close();
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.serving.abort();
        self.mesh.close();
    }
}

impl Opener for Driver {
    async fn open(&self, to: NodeId, open: &Open) -> Result<(FrameWriter, FrameReader), OpenError> {
        self.mesh.open(to, Channel::Data, open).await
    }
}

async fn serve(has: Arc<Mutex<Has>>, mut incoming: mpsc::Receiver<Incoming>) {
    let mut unanswered = Vec::new();
    while let Some(Incoming { open, writer, reader, .. }) = incoming.recv().await {
        let Open::Fetch(request) = open else { panic!("{open:?}") };
        if let Request::Runs { .. } = request {
            has.lock().unwrap().asked.push(request);
            unanswered.push((writer, reader));
            continue;
        }
        let answer = {
            let mut has = has.lock().unwrap();
            has.asked.push(request.clone());
            match &request {
                Request::Split { dataset: DATASET, split } => has.splits.get(split).cloned(),
                Request::Stored { hash } => has.values.get(hash).map(|value| Ok(vec![value.clone()])),
                _ => None,
            }
        };
        match answer.unwrap_or_else(|| Err(Refusal::Unknown { what: format!("{request:?}") })) {
            Ok(blobs) => {
                let mut body = Body::new();
                for (index, bytes) in (0..).zip(blobs) {
                    body.push(index, 0, bytes);
                }
                tokio::spawn(transfer::serve(writer, reader, body));
            }
            Err(refusal) => transfer::refuse(writer, refusal).await,
        }
    }
}

/// A session, seen from the driver.
pub(super) struct Link {
    writer: FrameWriter,
    reader: FrameReader,
    pub(super) epoch: u64,
    pub(super) slots: u32,
}

impl Link {
    pub(super) async fn tell(&mut self, command: Command) {
        self.tell_of(self.epoch, command).await;
    }

    /// Says something with the epoch of another session.
    pub(super) async fn tell_of(&mut self, epoch: u64, command: Command) {
        soon(self.writer.send(&ToPeer { epoch, command })).await.unwrap();
    }

    pub(super) async fn hear(&mut self) -> Answer {
        let FromPeer { epoch, answer } = soon(self.reader.expect()).await.unwrap();
        assert_eq!(epoch, self.epoch);
        answer
    }

    /// Says what is no message.
    pub(super) async fn garble(&mut self) {
        soon(self.writer.write_raw(&[3, 0, 0, 0, 0xff, 0xff, 0xff])).await.unwrap();
    }

    /// Ends the driver's side.
    pub(super) fn finish(&mut self) {
        self.writer.finish().unwrap();
    }

    /// How the stream ends, with nothing more on it.
    pub(super) async fn end(&mut self) -> Result<(), WireError> {
        match tokio::time::timeout(PATIENCE, self.reader.next::<FromPeer>()).await.unwrap() {
            Ok(None) => Ok(()),
            Ok(Some(message)) => panic!("{message:?}"),
            Err(error) => Err(error),
        }
    }

    /// All that the peer has to say before it answers a ping.
    pub(super) async fn until_pong(&mut self) -> Vec<Answer> {
        self.tell(Command::Ping { number: 42 }).await;
        let mut answers = Vec::new();
        loop {
            match self.hear().await {
                Answer::Pong { number } => {
                    assert_eq!(number, 42);
                    return answers;
                }
                answer => answers.push(answer),
            }
        }
    }

    pub(super) async fn completed(&mut self) -> Completed {
        match self.hear().await {
            Answer::Completed(completed) => *completed,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn failed(&mut self) -> (AttemptId, AttemptFailure) {
        match self.hear().await {
            Answer::Failed { attempt, failure, .. } => (attempt, failure),
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn begin(&mut self, begin: BeginRound) {
        self.tell(Command::BeginRound(Box::new(begin))).await;
    }

    pub(super) async fn map(&mut self, attempt: AttemptId) {
        self.tell(Command::Start { job: JOB, attempt, work: map_work() }).await;
    }

    pub(super) async fn reduce(&mut self, attempt: AttemptId) {
        self.tell(Command::Start { job: JOB, attempt, work: Work::Reduce }).await;
    }

    pub(super) async fn sources(&mut self, sources: Vec<Source>) {
        let sources = inline(&sources);
        self.tell(Command::Sources { job: JOB, round: Round(1), sources }).await;
    }

    pub(super) async fn end_round(&mut self, round: u32) {
        self.tell(Command::EndRound { job: JOB, round: Round(round) }).await;
    }
}

impl Completed {
    /// The output, if it came in the message.
    pub(super) fn inline(self) -> Option<Vec<InlineRun>> {
        match self.output {
            OutputPlace::Inline(runs) => Some(runs),
            OutputPlace::Peer => None,
            OutputPlace::Files(part) => panic!("{part:?}"),
        }
    }
}

/// A round of [`Words`] with one partition, nothing in front of words, and nothing of its output in messages.
pub(super) fn round(number: u32) -> BeginRound {
    round_of(&Words, number)
}

pub(super) fn round_of<J: Job>(job: &J, number: u32) -> BeginRound {
    BeginRound {
        job: JOB,
        round: Round(number),
        id: JobId::of::<J>(),
        params: inline(job),
        shared: inline(&""),
        splits: 1,
        partitions: 1,
        segment_bytes: 16 << 20,
        dataset: DATASET,
        shape: Block::from(encoded(&())),
        files: None,
        inline_bytes: 0,
        staging: None,
    }
}

pub(super) fn map_work() -> Work {
    Work::Map { split: SplitInfo { pieces: Vec::new(), bytes: 0, first_record: None }, fingerprint: None }
}

/// The first attempt of a map task in round 1.
pub(super) fn map(split: u32) -> AttemptId {
    AttemptId { round: Round(1), task: TaskId::Map(split), number: 1 }
}

/// The first attempt of a reduce task in round 1.
pub(super) fn reduce(partition: u32) -> AttemptId {
    AttemptId { round: Round(1), task: TaskId::Reduce(partition), number: 1 }
}

pub(super) fn encoded(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode(value, &mut bytes).unwrap();
    bytes
}

pub(super) fn inline(value: &impl Serialize) -> Payload {
    Payload::Inline(Block::from(encoded(value)))
}

/// The words and counts of some runs, of map or reduce attempts.
pub(super) fn counts<'a>(runs: impl IntoIterator<Item = (&'a [u8], u64)>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for (bytes, pairs) in runs {
        let run = Run::from_bytes(bytes.to_vec(), pairs).unwrap();
        let mut reader = run.reader();
        while let Some((word, count)) = reader.next_pair().unwrap() {
            let word = String::from_utf8(word.to_vec()).unwrap();
            *counts.entry(word).or_default() += *u64::decode(count).unwrap();
        }
    }
    counts
}

pub(super) fn inline_counts(runs: &[InlineRun]) -> BTreeMap<String, u64> {
    counts(runs.iter().map(|run| (&*run.bytes, run.pairs)))
}

/// The counts of words in a text: what all of it is compared with.
pub(super) fn oracle(text: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for word in text.split_ascii_whitespace() {
        *counts.entry(word.to_owned()).or_default() += 1;
    }
    counts
}
