//! [`Session`]: what a driver and this peer say to each other, from the welcome to the end.

use super::{
    Shared, failure,
    tasks::{Event, Tasks},
};
use crate::{
    NodeId,
    wire::{
        FrameReader, FrameWriter, WireError,
        message::{Answer, Command, Completed, FromPeer, ToPeer},
    },
};
use mapreduce_core::FailureKind;
use std::{fmt, pin::pin, sync::Arc};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

/// What the host tells a session.
#[derive(Clone, Copy, Debug)]
pub(super) enum Notice {
    /// The driver may have another number of attempts here.
    Grant(u32),
    /// The peer wants to leave.
    Drain,
}

/// The session of one driver: one task, which owns all there is of it.
pub(super) struct Session {
    shared: Arc<Shared>,
    driver: NodeId,
    epoch: u64,
    writer: FrameWriter,
    notices: mpsc::UnboundedReceiver<Notice>,
    events: Events,
    tasks: Tasks,
    draining: bool,
    newest_job: Option<u64>,
}

/// Why a session is over.
#[derive(Debug)]
pub(super) enum End {
    /// The driver has ended its side.
    Closed,
    /// The driver has let a draining peer go.
    Released,
    /// Nothing was heard for the lease, or nothing could be said.
    Silent,
    /// The stream broke, or what came on it cannot be read.
    Broken(WireError),
}

impl Session {
    pub(super) fn new(
        shared: Arc<Shared>,
        driver: NodeId,
        epoch: u64,
        writer: FrameWriter,
        notices: mpsc::UnboundedReceiver<Notice>,
    ) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let tasks = Tasks::new(shared.clone(), driver, epoch, sender);
        let events = Events { receiver, shared: shared.clone() };
        Self { shared, driver, epoch, writer, notices, events, tasks, draining: false, newest_job: None }
    }

    /// Serves the driver until the session is over. Dropping the future ends it at once.
    pub(super) async fn run(mut self, reader: FrameReader, slots: u32) -> End {
        let end = self.serve(reader, slots).await.unwrap_or_else(|end| end);
        if let End::Closed | End::Released = end {
            // Any other end is seen as a reset.
            let finished = self.writer.finish();
            finished.map_or_else(End::Broken, |()| end)
        } else {
            end
        }
    }

    async fn serve(&mut self, mut reader: FrameReader, slots: u32) -> Result<End, End> {
        let jobs = self.shared.registry.jobs().cloned().collect();
        let threads = self.shared.executor.threads() as u32;
        self.say(Answer::Welcome { threads, slots, jobs })?;
        self.flush().await?;
        let lease = self.shared.timing.lease;
        let mut heard = Instant::now();
        let mut silent = pin!(sleep_until(heard + lease));
        loop {
            tokio::select! {
                // What the driver said is looked at before it is judged by what it did not say. Whatever else there is
                // comes with each command.
                biased;
                command = reader.next::<ToPeer>() => match command? {
                    Some(command) => {
                        if let Some(end) = self.command(command, &mut heard)? {
                            return Ok(end);
                        }
                    }
                    None => return Ok(End::Closed),
                },
                Some(event) = self.events.receiver.recv() => self.tasks.handle(event),
                Some(notice) = self.notices.recv() => self.notice(notice)?,
                () = silent.as_mut() => {
                    if heard.elapsed() >= lease {
                        return Ok(End::Silent);
                    }
                    // Set when it fires and not with every message: most leases never end.
                    silent.as_mut().reset(heard + lease);
                }
            }
            // What else has happened goes into the same write.
            while let Ok(event) = self.events.receiver.try_recv() {
                self.tasks.handle(event);
            }
            while let Ok(notice) = self.notices.try_recv() {
                self.notice(notice)?;
            }
            while let Some(command) = reader.buffered::<ToPeer>()? {
                if let Some(end) = self.command(command, &mut heard)? {
                    return Ok(end);
                }
            }
            for answer in self.tasks.answers() {
                self.say(answer)?;
            }
            self.flush().await?;
        }
    }

    /// Does what the driver says. Gives the end, if that is what it says.
    fn command(&mut self, message: ToPeer, heard: &mut Instant) -> Result<Option<End>, End> {
        if message.epoch != self.epoch {
            tracing::debug!(driver = %self.driver, epoch = message.epoch, "ignored a command of another session");
            return Ok(None);
        }
        *heard = Instant::now();
        match message.command {
            Command::Ping { number } => self.say(Answer::Pong { number })?,
            Command::BeginRound(begin) => {
                if self.newest_job.is_none_or(|newest| newest < begin.job) {
                    self.newest_job = Some(begin.job);
                    tracing::info!(driver = %self.driver, job = %begin.id, number = begin.job, "a job begins");
                }
                self.tasks.begin(*begin);
            }
            Command::Start { job, attempt, work } => self.tasks.start(job, attempt, work),
            Command::Sources { job, round, sources } => self.tasks.sources(job, round, sources),
            Command::SourceLost { job, round, node } => self.tasks.source_lost(job, round, node),
            Command::Cancel { job, attempt } => self.tasks.cancel(job, attempt),
            Command::Discard { job, attempt } => self.tasks.discard(job, attempt),
            Command::EndRound { job, round } => self.tasks.end(job, round),
            Command::DropDataset { dataset } => self.tasks.drop_dataset(dataset),
            Command::Released if self.draining => return Ok(Some(End::Released)),
            Command::Released => {}
        }
        Ok(None)
    }

    fn notice(&mut self, notice: Notice) -> Result<(), End> {
        match notice {
            Notice::Grant(slots) => self.say(Answer::Grant { slots }),
            Notice::Drain => {
                self.draining = true;
                self.say(Answer::Draining)
            }
        }
    }

    /// Adds an answer to what will be flushed.
    fn say(&mut self, answer: Answer) -> Result<(), End> {
        let epoch = self.epoch;
        let message = FromPeer { epoch, answer };
        let Err(error) = self.writer.put(&message) else { return Ok(()) };
        // What a job has counted may be too much for a message. The driver has to hear of the attempt all the same.
        let Answer::Completed(completed) = message.answer else { return Err(End::Broken(error)) };
        let Completed { job, attempt, .. } = *completed;
        let failure =
            failure::permanent(FailureKind::Codec, format!("what the attempt has counted: {error}"));
        Ok(self.writer.put(&FromPeer { epoch, answer: Answer::Failed { job, attempt, failure } })?)
    }

    /// Sends what was said. A driver that does not read for the lease is as good as silent.
    async fn flush(&mut self) -> Result<(), End> {
        match timeout(self.shared.timing.lease, self.writer.flush()).await {
            Ok(flushed) => Ok(flushed?),
            Err(_) => Err(End::Silent),
        }
    }
}

/// What threads and transfers have told, and nobody has looked at: some of it holds parts of jobs.
struct Events {
    receiver: mpsc::UnboundedReceiver<Event>,
    shared: Arc<Shared>,
}

impl Drop for Events {
    fn drop(&mut self) {
        // What is told from now on is dropped by who tells it.
        self.receiver.close();
        while let Ok(event) = self.receiver.try_recv() {
            self.shared.executor.bury(event);
        }
    }
}

impl From<WireError> for End {
    fn from(error: WireError) -> Self {
        Self::Broken(error)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the driver has ended it"),
            Self::Released => f.write_str("the driver needs this peer no more"),
            Self::Silent => f.write_str("the driver is silent"),
            Self::Broken(error) => error.fmt(f),
        }
    }
}
