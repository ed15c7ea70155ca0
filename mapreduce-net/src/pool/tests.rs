//! The driver's connections over real sockets on loopback, to peers that do as the test says.

mod connecting;
mod files;
mod sessions;
mod transfers;

use super::{mailbox::Message, *};
use crate::{
    Timing,
    mesh::{Incoming, Offer},
    pool_file::{ClientFile, MemberFile},
    transport::Limits,
    wire::{
        FrameReader, FrameWriter,
        message::{Answer, Command, Completed, FromPeer, Open, OutputPlace, ToPeer},
    },
};
use mapreduce_core::{
    Counters, JobId,
    schedule::{AttemptId, PeerId, Round, TaskId, TaskReport},
};
use std::{
    sync::mpsc::{Receiver, channel},
    time::Duration,
};
use tokio::{runtime::Runtime, sync::mpsc};

/// Longer than anything takes that works, on any machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn pool() -> (MemberFile, ClientFile) {
    PoolFile::create(vec!["127.0.0.1".parse().unwrap()]).unwrap()
}

/// Retries are quick, pings as usual.
fn timing() -> Timing {
    Timing { reconnect_max: Duration::from_millis(640), ..Timing::default() }
}

fn options() -> PoolOptions {
    PoolOptions { timing: timing(), connect_timeout: PATIENCE, threads: 1, ..PoolOptions::default() }
}

fn job_id() -> JobId {
    JobId { name: "count".into(), version: 1, schema: 7 }
}

fn attempt(split: u32) -> AttemptId {
    AttemptId { round: Round(1), task: TaskId::Map(split), number: 1 }
}

/// A member that answers what the test tells it to.
struct FakePeer {
    mesh: Mesh,
    incoming: mpsc::Receiver<Incoming>,
}

impl FakePeer {
    fn start(file: &MemberFile) -> Self {
        Self::join(file, Vec::new())
    }

    /// A member that finds the others at these addresses.
    fn join(file: &MemberFile, join: Vec<PoolAddress>) -> Self {
        Self::offering(file, join, job_id())
    }

    /// The same, with another job.
    fn offering(file: &MemberFile, join: Vec<PoolAddress>, job: JobId) -> Self {
        let config = MeshConfig {
            identity: Identity::member(file, Validity::default()).unwrap(),
            join,
            listen: Some(([127, 0, 0, 1], 0).into()),
            advertise: Vec::new(),
            offer: Some(Offer { threads: 3, jobs: vec![job] }),
            limits: Limits::default(),
            timing: timing(),
        };
        let (mesh, incoming) = Mesh::start(config).unwrap();
        Self { mesh, incoming }
    }

    fn address(&self) -> PoolAddress {
        self.mesh.local_address().to_string().parse().unwrap()
    }

    async fn next(&mut self) -> Incoming {
        within(self.incoming.recv()).await.unwrap()
    }

    /// The next session that a driver asks for.
    async fn asked(&mut self) -> Served {
        let Incoming { from, open, writer, reader, .. } = self.next().await;
        let Open::Session { name } = open else { panic!("{open:?}") };
        Served { driver: from, name, epoch: 5, writer, reader }
    }

    /// The next session, agreed to.
    async fn session(&mut self, slots: u32) -> Served {
        let mut served = self.asked().await;
        served.say(Answer::Welcome { threads: 3, slots, jobs: vec![job_id()] }).await;
        served
    }
}

/// A peer's side of a session.
struct Served {
    driver: NodeId,
    name: String,
    epoch: u64,
    writer: FrameWriter,
    reader: FrameReader,
}

impl Served {
    async fn say(&mut self, answer: Answer) {
        self.writer.send(&FromPeer { epoch: self.epoch, answer }).await.unwrap();
    }

    /// Says that there are too many drivers.
    async fn decline(mut self) {
        self.say(Answer::Busy { drivers: 4 }).await;
        self.writer.finish().unwrap();
    }

    /// The next command that is no ping; pings are answered.
    async fn command(&mut self) -> Command {
        loop {
            let ToPeer { epoch, command } = within(self.reader.expect()).await.unwrap();
            assert_eq!(epoch, self.epoch);
            match command {
                Command::Ping { number } => self.say(Answer::Pong { number }).await,
                command => return command,
            }
        }
    }

    async fn complete(&mut self, job: u64, split: u32) {
        self.say(Answer::Completed(Box::new(Completed {
            job,
            attempt: attempt(split),
            report: TaskReport::default(),
            processed: 0,
            counters: Counters::default(),
            spilled_bytes: 0,
            run_us: 1,
            output: OutputPlace::Peer,
        })))
        .await;
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

/// A pool of one peer with two slots, and a session with it.
async fn pair() -> (Pool, FakePeer, Served) {
    pair_with(options()).await
}

async fn pair_with(options: PoolOptions) -> (Pool, FakePeer, Served) {
    let (member, client) = pool();
    let mut peer = FakePeer::start(&member);
    let connecting = connect(&client, vec![peer.address()], options);
    let (pool, served) = tokio::join!(connecting, peer.session(2));
    (pool.unwrap(), peer, served)
}

async fn connect(
    file: &ClientFile,
    addresses: Vec<PoolAddress>,
    options: PoolOptions,
) -> Result<Pool, PoolError> {
    let identity = Identity::client(file, Validity::default()).unwrap();
    Pool::connect_as(identity, addresses, options).await
}

/// A job as the hub sees it.
struct Job {
    messages: Receiver<Message>,
    guard: hub::JobGuard,
}

impl Job {
    fn start(hub: &Hub, dataset: u64) -> Self {
        let (mailbox, messages) = channel();
        Self { guard: hub.subscribe(mailbox, dataset), messages }
    }

    /// The next message; `None` if there will be none.
    async fn hear(&self) -> Option<Message> {
        // A job has a thread to wait with; a test has the runtime to keep going.
        within(async {
            loop {
                match self.messages.try_recv() {
                    Ok(message) => return Some(message),
                    Err(std::sync::mpsc::TryRecvError::Disconnected) => return None,
                    Err(std::sync::mpsc::TryRecvError::Empty) => {
                        tokio::time::sleep(Duration::from_millis(1)).await
                    }
                }
            }
        })
        .await
    }

    async fn joined(&self) -> PeerId {
        match self.hear().await.unwrap() {
            Message::PeerJoined { peer, .. } => peer,
            other => panic!("{other:?}"),
        }
    }

    async fn lost(&self) -> (PeerId, String) {
        loop {
            match self.hear().await.unwrap() {
                Message::PeerLost { peer, reason } => return (peer, reason),
                Message::PeerSuspected { .. } | Message::PeerTrusted { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn start(job: u64, split: u32) -> Command {
    Command::Start { job, attempt: attempt(split), work: crate::wire::message::Work::Reduce }
}
