//! [`Host`]: the sessions of a peer: who gets one, how the slots are shared, and when a draining peer may go.

use super::{
    SLOTS_PER_THREAD, Shared,
    serve::serve,
    session::{End, Notice, Session},
};
use crate::{
    NodeId,
    mesh::Incoming,
    wire::{
        FrameReader, FrameWriter, WireError,
        message::{Answer, FromPeer, Open},
    },
};
use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::{self, AbortHandle, JoinError, JoinSet},
};

/// Asks the host to let its drivers go. Answered, or dropped, when they have.
pub(super) type Drain = oneshot::Sender<()>;

/// One task that owns the sessions. Dropping it ends them.
pub(super) struct Host {
    shared: Arc<Shared>,
    drivers_max: usize,
    sessions: HashMap<NodeId, Live>,
    running: JoinSet<End>,
    /// Answers to nodes that want data, or a session that they cannot have. As many as streams are allowed.
    answering: JoinSet<()>,
    draining: bool,
    /// Who waits for the drivers to be gone.
    drains: Vec<Drain>,
    next_epoch: u64,
}

struct Live {
    name: String,
    task: AbortHandle,
    notices: mpsc::UnboundedSender<Notice>,
    slots: u32,
}

impl Host {
    pub(super) fn new(shared: Arc<Shared>, drivers_max: u32) -> Self {
        Self {
            shared,
            drivers_max: drivers_max as usize,
            sessions: HashMap::new(),
            running: JoinSet::new(),
            answering: JoinSet::new(),
            draining: false,
            drains: Vec::new(),
            // At random, so that nobody takes this process for an earlier one with the same key.
            next_epoch: RandomState::new().hash_one(0) >> 1,
        }
    }

    /// Serves until the mesh brings no more streams.
    pub(super) async fn run(
        mut self,
        mut incoming: mpsc::Receiver<Incoming>,
        mut drains: mpsc::UnboundedReceiver<Drain>,
    ) {
        let mut lost = self.shared.executor.lost();
        loop {
            tokio::select! {
                stream = incoming.recv() => match stream {
                    Some(stream) => self.take(stream),
                    None => return,
                },
                Some(drain) = drains.recv() => self.drain(drain),
                Some(ended) = self.running.join_next_with_id() => self.ended(ended),
                Some(_) = self.answering.join_next() => {}
                Ok(()) = lost.changed() => {
                    let threads = *lost.borrow_and_update();
                    tracing::warn!(threads, "number of threads held by user code that does not stop");
                    self.share();
                }
            }
            if self.sessions.is_empty() {
                // Who does not wait any more does not hear it.
                for drain in self.drains.drain(..) {
                    let _ = drain.send(());
                }
            }
        }
    }

    fn take(&mut self, stream: Incoming) {
        let Incoming { from, role, open, writer, reader } = stream;
        match open {
            Open::Session { name } => self.welcome(from, name, writer, reader),
            Open::Fetch(request) => {
                self.answering.spawn(serve(self.shared.clone(), from, role, request, writer, reader));
            }
            // The mesh keeps these to itself. Dropping the stream resets it.
            Open::Membership(_) | Open::Relay { .. } | Open::Relayed { .. } => {}
        }
    }

    fn welcome(&mut self, driver: NodeId, name: String, writer: FrameWriter, reader: FrameReader) {
        // The driver has lost its session, even if that is not known here: nothing of it is of use any more.
        if let Some(old) = self.sessions.remove(&driver) {
            tracing::info!(%driver, name = old.name, "a driver is replaced by a newer session of its own");
            old.task.abort();
        }
        if self.draining || self.sessions.len() >= self.drivers_max {
            tracing::info!(%driver, name, draining = self.draining, "turned a driver away");
            let drivers = self.sessions.len() as u32;
            self.answering.spawn(async move {
                if let Err(error) = say_busy(writer, drivers).await {
                    tracing::debug!(%driver, %error, "a driver could not be turned away politely");
                }
            });
            return self.share();
        }
        tracing::info!(%driver, name, "a driver came");
        let epoch = self.next_epoch;
        self.next_epoch += 1;
        let (notices, receiver) = mpsc::unbounded_channel();
        let slots = self.slots_each(self.sessions.len() + 1);
        let session = Session::new(self.shared.clone(), driver, epoch, writer, receiver);
        let task = self.running.spawn(session.run(reader, slots));
        self.sessions.insert(driver, Live { name, task, notices, slots });
        self.share();
    }

    fn ended(&mut self, ended: Result<(task::Id, End), JoinError>) {
        let (id, why) = match ended {
            Ok((id, end)) => (id, end.to_string()),
            Err(error) => (error.id(), error.to_string()),
        };
        // One that was replaced is not there any more.
        let driver = self.sessions.iter().find(|(_, live)| live.task.id() == id).map(|(driver, _)| *driver);
        if let Some(driver) = driver
            && let Some(live) = self.sessions.remove(&driver)
        {
            tracing::info!(%driver, name = live.name, why, "a driver is gone");
            self.share();
        }
    }

    /// Tells the sessions how many slots each has now.
    fn share(&mut self) {
        let slots = self.slots_each(self.sessions.len());
        for live in self.sessions.values_mut().filter(|live| live.slots != slots) {
            live.slots = slots;
            // A session that has just ended is taken out when its task is joined.
            let _ = live.notices.send(Notice::Grant(slots));
        }
    }

    fn slots_each(&self, sessions: usize) -> u32 {
        let threads = self.shared.executor.threads();
        match threads.saturating_sub(*self.shared.executor.lost().borrow()) {
            0 => 0,
            left => (left as u32 * SLOTS_PER_THREAD / sessions.max(1) as u32).max(1),
        }
    }

    fn drain(&mut self, drain: Drain) {
        self.drains.push(drain);
        if self.draining {
            return;
        }
        tracing::info!(drivers = self.sessions.len(), "the peer is draining");
        self.draining = true;
        for live in self.sessions.values() {
            let _ = live.notices.send(Notice::Drain);
        }
    }
}

async fn say_busy(mut writer: FrameWriter, drivers: u32) -> Result<(), WireError> {
    writer.send(&FromPeer { epoch: 0, answer: Answer::Busy { drivers } }).await?;
    writer.finish()
}
