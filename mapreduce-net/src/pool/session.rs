//! The session with one peer: a stream on which commands go out and answers come in, for as long as the peer is heard.

use super::{
    hub::Shared,
    lease::{Lease, Step},
    outbox::Outbox,
    probe,
    roster::{Problem, Welcome},
};
use crate::{
    Member, NodeId,
    mesh::MemberEvent,
    transport::Channel,
    wire::{
        FrameReader, FrameWriter, WireError,
        message::{Answer, Command, FromPeer, Open, ToPeer},
    },
};
use mapreduce_core::schedule::PeerId;
use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

/// Bytes of commands that are gathered before they are written.
const GATHERED_BYTES: usize = 256 << 10;

/// Keeps a session with every member of the pool, for as long as the mesh lives. Dropping it ends them all.
pub(super) async fn keep_all(shared: Arc<Shared>) {
    let mut events = shared.mesh.events();
    let own = shared.mesh.node_id();
    let mut members: HashMap<NodeId, watch::Sender<bool>> = HashMap::new();
    let mut keepers = JoinSet::new();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(MemberEvent::Joined(Member { node, .. }) | MemberEvent::Changed(Member { node, .. })) => {
                    if let Some(present) = members.get(&node) {
                        present.send_replace(true);
                    } else if node != own {
                        let (present, watched) = watch::channel(true);
                        keepers.spawn(keep(shared.clone(), node, watched));
                        members.insert(node, present);
                    }
                }
                Some(MemberEvent::Left(node) | MemberEvent::Lost(node)) => {
                    if let Some(present) = members.get(&node) {
                        present.send_replace(false);
                    }
                }
                None => return shared.close(),
            },
            Some(ended) = keepers.join_next() => match ended {
                Ok((node, watched)) if *watched.borrow() => {
                    // It came back in the meantime.
                    keepers.spawn(keep(shared.clone(), node, watched));
                }
                Ok((node, _)) => {
                    members.remove(&node);
                    shared.roster().handle_problem(node, None);
                }
                Err(error) => {
                    tracing::error!(%error, "a session panicked");
                    // The member is left alone until there is news of it.
                    members.retain(|_, present| !present.is_closed());
                }
            },
        }
    }
}

/// Keeps a session with one member until it is no longer in the pool and the session is over.
async fn keep(
    shared: Arc<Shared>,
    node: NodeId,
    mut present: watch::Receiver<bool>,
) -> (NodeId, watch::Receiver<bool>) {
    let first = shared.timing.reconnect_max / 32;
    let mut wait = first;
    loop {
        match begin(&shared, node).await {
            Ok(session) => {
                session.run(&shared).await;
                wait = first;
            }
            Err(problem) => {
                tracing::debug!(%node, ?problem, "no session with a peer");
                shared.roster().handle_problem(node, Some(problem));
            }
        }
        // News of the member cut the wait short.
        match timeout(wait, present.changed()).await {
            Ok(_) if *present.borrow_and_update() => wait = first,
            Ok(_) => return (node, present),
            Err(_) => {}
        }
        wait = (wait * 2).min(shared.timing.reconnect_max);
    }
}

/// Asks a member to work for this driver.
async fn begin(shared: &Shared, node: NodeId) -> Result<Begun, Problem> {
    let asked = async {
        let open = Open::Session { name: shared.name.clone() };
        let (writer, mut reader) = shared
            .mesh
            .open(node, Channel::Control, &open)
            .await
            .map_err(|error| Problem::Failed(error.to_string()))?;
        match reader.expect::<FromPeer>().await {
            Ok(FromPeer { epoch, answer: Answer::Welcome { threads, slots, jobs } }) => {
                let welcome = Welcome { node, slots, threads, jobs: jobs.into() };
                Ok(Begun { welcome, epoch, writer, reader })
            }
            Ok(FromPeer { answer: Answer::Busy { drivers }, .. }) => Err(Problem::Busy { drivers }),
            Ok(_) => Err(Problem::Failed("it answered before it said welcome".to_owned())),
            Err(error) => Err(Problem::Failed(error.to_string())),
        }
    };
    let silent =
        || Problem::Failed(format!("it has not answered within {} s", shared.timing.lease.as_secs_f32()));
    timeout(shared.timing.lease, asked).await.unwrap_or_else(|_| Err(silent()))
}

/// A session that a peer has agreed to.
struct Begun {
    welcome: Welcome,
    epoch: u64,
    writer: FrameWriter,
    reader: FrameReader,
}

impl Begun {
    /// Runs the session to its end.
    async fn run(self, shared: &Shared) {
        let Self { welcome, epoch, mut writer, mut reader } = self;
        let node = welcome.node;
        let outbox = Arc::new(Outbox::default());
        let lease = Lease::new(&shared.timing, shared.now());
        let mut registered = Registered::new(shared, welcome, outbox.clone());
        let peer = registered.peer;
        tracing::debug!(%node, %peer, "session");
        let session = Session {
            shared,
            node,
            peer,
            epoch,
            outbox,
            alive: Arc::new(Alive { lease: Mutex::new(lease), changed: Notify::new() }),
        };
        // What the peer said is looked at before it is judged by what it did not say.
        let end = tokio::select! {
            biased;
            Err(end) = session.read(&mut reader) => end,
            Err(end) = session.write(&mut writer) => end,
            Err(end) = session.watch() => end,
        };
        let reason = match &end {
            End::Left => "it has ended the session".to_owned(),
            End::Wire(error) => error.to_string(),
            End::Silent(silence) => format!("nothing was heard from it for {:.1} s", silence.as_secs_f32()),
            End::Refused => "its host says that the process is not there".to_owned(),
        };
        // Both halves are dropped unfinished, so the peer sees a reset.
        drop((writer, reader));
        if matches!(end, End::Silent(_) | End::Refused) {
            shared.mesh.disconnect(node, &reason);
        }
        tracing::debug!(%node, %peer, reason, "session over");
        registered.reason = reason;
    }
}

/// A session that the jobs know of. They hear of its end however it ends.
struct Registered<'a> {
    shared: &'a Shared,
    peer: PeerId,
    reason: String,
}

impl<'a> Registered<'a> {
    fn new(shared: &'a Shared, welcome: Welcome, outbox: Arc<Outbox>) -> Self {
        let peer = shared.joined(welcome, outbox);
        Self { shared, peer, reason: "the session broke off in this process".to_owned() }
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.shared.lost(self.peer, &self.reason);
    }
}

/// Why a session is over.
enum End {
    /// The peer finished its side.
    Left,
    /// The stream broke.
    Wire(WireError),
    /// Nothing was heard for the lease.
    Silent(Duration),
    /// The host says that nobody is there.
    Refused,
}

impl From<WireError> for End {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

/// What the three parts of a session share: they run in one task, so that no message changes tasks on its way.
struct Session<'a> {
    shared: &'a Shared,
    node: NodeId,
    peer: PeerId,
    epoch: u64,
    outbox: Arc<Outbox>,
    alive: Arc<Alive>,
}

struct Alive {
    lease: Mutex<Lease>,
    /// The lease is to be polled.
    changed: Notify,
}

impl Session<'_> {
    /// Hands what the peer says to the jobs.
    async fn read(&self, reader: &mut FrameReader) -> Result<Infallible, End> {
        while let Some(FromPeer { epoch, answer }) = reader.next().await? {
            if epoch != self.epoch {
                continue;
            }
            self.handle_heard(&answer);
            self.advance()?;
            match answer {
                Answer::Completed(completed) => self.shared.roster().handle_completed(self.peer, completed),
                Answer::Failed { job, attempt, failure } => {
                    self.shared.roster().handle_failed(self.peer, job, attempt, failure);
                }
                Answer::Grant { slots } => self.shared.roster().handle_granted(self.peer, slots),
                Answer::Draining => self.shared.roster().handle_draining(self.peer),
                Answer::Pong { .. } => {}
                Answer::Welcome { .. } | Answer::Busy { .. } => {
                    return Err(WireError::Unexpected("a session has one welcome").into());
                }
            }
        }
        Err(End::Left)
    }

    /// Writes what is to be said to the peer, as much as there is at once.
    async fn write(&self, writer: &mut FrameWriter) -> Result<Infallible, End> {
        loop {
            for command in self.outbox.wait().await {
                if matches!(command, Command::Start { .. }) {
                    self.alive.lease().handle_started(self.shared.now());
                }
                writer.put(&ToPeer { epoch: self.epoch, command })?;
                if writer.pending() >= GATHERED_BYTES {
                    writer.flush().await?;
                }
            }
            writer.flush().await?;
        }
    }

    /// Keeps the lease.
    async fn watch(&self) -> Result<Infallible, End> {
        loop {
            self.advance()?;
            let (due, interval) = {
                let lease = self.alive.lease();
                (lease.poll_timeout().since(self.shared.now()), lease.interval())
            };
            tokio::select! {
                // A task that starts may bring the next ping forward, but to no less than this.
                () = sleep(due.min(interval)) => {}
                () = self.alive.changed.notified() => {}
            }
        }
    }

    fn handle_heard(&self, answer: &Answer) {
        let mut lease = self.alive.lease();
        lease.handle_heard(self.shared.now());
        if matches!(answer, Answer::Completed(_) | Answer::Failed { .. }) {
            lease.handle_ended();
        }
    }

    /// Does what follows from the lease.
    fn advance(&self) -> Result<(), End> {
        loop {
            let now = self.shared.now();
            let mut lease = self.alive.lease();
            let Some(step) = lease.poll(now) else { return Ok(()) };
            let end = if lease.is_refused() { End::Refused } else { End::Silent(lease.silence(now)) };
            drop(lease);
            match step {
                Step::Ping { number } => self.outbox.push(Command::Ping { number }),
                Step::Suspect => self.shared.roster().handle_suspected(self.peer, true),
                Step::Trust => self.shared.roster().handle_suspected(self.peer, false),
                Step::Probe => self.probe(),
                Step::Lost => return Err(end),
            }
        }
    }

    /// Asks the peer's host whether the process is there, beside everything else.
    fn probe(&self) {
        let Some(address) = self.shared.mesh.direct_address(self.node) else { return };
        let (alive, patience) = (self.alive.clone(), self.alive.lease().interval());
        tokio::spawn(async move {
            if probe::is_refused(address, patience).await {
                alive.lease().handle_refused();
                alive.changed.notify_one();
            }
        });
    }
}

impl Alive {
    fn lease(&self) -> MutexGuard<'_, Lease> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
