//! [`Driving`]: a job that is being driven: the peers it has, the rounds it runs, and what peers have been told.

use super::{
    Inner, PoolError,
    destination::{Destination, Returned},
    drive::Running,
    hub::{Hub, JobGuard},
    mailbox::Message,
    on_pool::DatasetOnPool,
    pace::Pace,
    work::{Announcement, Work},
};
use crate::{
    NodeId,
    wire::message::{BeginRound, Command},
};
use mapreduce_core::{
    Cancel, Dataset, Error, Input, InputOf, Job, JobId, Memory, Options, Report,
    engine::{RoundOutput, Rounds, StagedPart, Staging, partitions},
    exec::Run,
    schedule::{Config, Coordinator, Event, Failure, PeerId, Round, RoundPlan, Time},
};
use std::{
    any::TypeId,
    collections::BTreeMap,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    time::Instant,
};

mod sources;

use sources::Sources;

/// A job on a pool that is being driven, from its first round to its last. [`Engine`](mapreduce_core::Engine)'s methods
/// make it and use it.
pub struct Driving<'e> {
    pool: &'e Inner,
    pub(super) job: &'static str,
    pub(super) options: &'e Options,
    pub(super) events: &'e mut dyn FnMut(Event),
    pub(super) coordinator: Coordinator,
    /// The dataset that the rounds are over, and the job's number there. Known from the first round on.
    bound: Option<Bound>,
    mailbox: Receiver<Message>,
    pub(super) wake: Sender<Message>,
    /// What came and was not looked at yet.
    pub(super) messages: Vec<Message>,
    /// The peers that have the job.
    peers: BTreeMap<PeerId, Peer>,
    /// Those that do not: what is said of them if there is no other.
    strangers: BTreeMap<PeerId, String>,
    pace: Pace,
    sources: Option<Sources>,
    /// What peers were told in this round before.
    old_sources: Vec<Sources>,
    sources_version: u64,
    /// The program has closed the pool.
    closed: bool,
    started: Instant,
    /// Of the output that is here.
    pub(super) memory: Memory,
    report: Report,
}

/// What rounds over one dataset have in common.
struct Bound {
    on_pool: Arc<DatasetOnPool>,
    dataset: u64,
    guard: JobGuard,
    job: TypeId,
    id: JobId,
}

/// A peer that works on the job.
struct Peer {
    name: String,
    node: NodeId,
    threads: u32,
    /// The slots that it grants.
    granted: u32,
    /// The round that it was told of last.
    begun: Option<Round>,
    /// The version of the sources that it was sent last.
    sources: Option<u64>,
}

impl<'e> Driving<'e> {
    pub(super) fn new(
        pool: &'e Inner,
        job: &'static str,
        options: &'e Options,
        events: &'e mut dyn FnMut(Event),
    ) -> Self {
        let (wake, mailbox) = mpsc::channel();
        Self {
            coordinator: coordinator(pool, options),
            pool,
            job,
            options,
            events,
            bound: None,
            mailbox,
            wake,
            messages: Vec::new(),
            peers: BTreeMap::new(),
            strangers: BTreeMap::new(),
            pace: Pace::new(options.task_deadline.is_some()),
            sources: None,
            old_sources: Vec::new(),
            sources_version: 0,
            closed: false,
            started: Instant::now(),
            memory: pool.hub.memory().for_one_job(),
            report: Report::default(),
        }
    }

    /// The job's number, by which peers know it.
    pub(super) fn number(&self) -> u64 {
        self.bound.as_ref().map_or(0, |bound| bound.guard.job)
    }

    pub(super) fn hub(&self) -> &'e Hub {
        &self.pool.hub
    }

    pub(super) fn now(&self) -> Time {
        Time::ZERO + self.started.elapsed()
    }

    /// What a peer is called in reports and messages.
    pub(super) fn name_of(&self, peer: PeerId) -> &str {
        self.peers.get(&peer).map_or("lost", |peer| &peer.name)
    }

    /// Waits for something to happen, or for the coordinator's next timeout, unless there are messages to look at. Then
    /// `messages` has what there is.
    pub(super) fn wait(&mut self) {
        let first = match self.coordinator.poll_timeout() {
            _ if !self.messages.is_empty() => Err(RecvTimeoutError::Timeout),
            None => self.mailbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => self.mailbox.recv_timeout(at.since(self.now())),
        };
        self.messages.extend(first);
        self.messages.extend(self.mailbox.try_iter());
    }

    /// Peers that come, change and go.
    pub(super) fn take_news(&mut self, now: Time, news: Message) {
        match news {
            Message::PeerJoined { peer, node, slots, threads, jobs } => {
                let name = node.to_string();
                let asked = self.bound.as_ref().map(|bound| &bound.id);
                if asked.is_none_or(|asked| jobs.contains(asked)) {
                    let granted = slots;
                    let slots = self.pace.slots(granted, threads);
                    let state = Peer { name, node, threads, granted, begun: None, sources: None };
                    self.peers.insert(peer, state);
                    self.coordinator.handle_peer_joined(now, peer, slots);
                } else {
                    self.strangers.insert(peer, what_it_has(&name, self.job, &jobs));
                }
            }
            Message::PeerSlots { peer, slots } => {
                if let Some(state) = self.peers.get_mut(&peer) {
                    state.granted = slots;
                    let slots = self.pace.slots(slots, state.threads);
                    self.coordinator.handle_peer_slots(now, peer, slots);
                }
            }
            Message::PeerSuspected { peer } => self.coordinator.handle_peer_suspected(now, peer),
            Message::PeerTrusted { peer } => self.coordinator.handle_peer_trusted(now, peer),
            Message::PeerDraining { peer } => match self.peers.contains_key(&peer) {
                true => self.coordinator.handle_peer_draining(now, peer),
                false => self.hub().drained(self.number(), peer),
            },
            Message::PeerLost { peer, reason } => {
                self.strangers.remove(&peer);
                if let Some(lost) = self.peers.remove(&peer) {
                    tracing::warn!(job = self.job, %peer, reason, "lost a peer");
                    if self.coordinator.outputs().any(|(_, holder, _)| holder == peer) {
                        self.source_lost(lost.node);
                    }
                    self.coordinator.handle_peer_lost(now, peer);
                }
            }
            // Answers about attempts of a round that is over, and wishes for its splits.
            Message::Completed { peer, completed } => {
                let (attempt, report) = (completed.attempt, completed.report);
                let _ = self.coordinator.handle_completed(now, peer, attempt, report);
            }
            Message::Failed { peer, attempt, .. } => {
                self.coordinator.handle_failed(now, peer, attempt, Failure::Cancelled);
            }
            Message::Reduced { peer, attempt, .. } => {
                self.coordinator.handle_failed(now, peer, attempt, Failure::Cancelled);
            }
            Message::WantSplit { .. } | Message::Wake => {}
            Message::Closed => {
                self.closed = true;
                self.coordinator.cancel(now);
            }
        }
    }

    /// An attempt has run for so long: short ones are handed out more at a time.
    pub(super) fn observe(&mut self, now: Time, run_us: u64) {
        if !self.pace.observe(run_us) {
            return;
        }
        while self.pace.advance() {
            for (&peer, state) in &self.peers {
                let slots = self.pace.slots(state.granted, state.threads);
                self.coordinator.handle_peer_slots(now, peer, slots);
            }
        }
    }

    /// Tells a peer of a round, unless it knows.
    pub(super) fn begin_round(&mut self, peer: PeerId, announcement: &Announcement, round: Round) {
        let Some(state) = self.peers.get_mut(&peer).filter(|state| state.begun != Some(round)) else {
            return;
        };
        (state.begun, state.sources) = (Some(round), None);
        let Announcement { id, params, shared, shape, files, staging, dataset, splits, partitions, .. } =
            announcement;
        let begin = BeginRound {
            job: self.number(),
            round,
            id: id.clone(),
            params: params.clone(),
            shared: shared.clone(),
            splits: *splits,
            partitions: *partitions,
            segment_bytes: self.options.segment_bytes as u64,
            dataset: *dataset,
            shape: shape.clone(),
            files: files.clone(),
            inline_bytes: self.pool.options.inline_bytes,
            staging: staging.clone(),
        };
        self.pool.hub.send(peer, Command::BeginRound(Box::new(begin)));
    }

    /// Tells the peers of a round that it is over.
    pub(super) fn end_round(&mut self, round: Round) {
        let job = self.number();
        self.sources = None;
        self.old_sources.clear();
        for (&peer, _) in self.peers.iter().filter(|(_, state)| state.begun == Some(round)) {
            self.pool.hub.send(peer, Command::EndRound { job, round });
        }
    }

    /// Runs one round to its end.
    fn run<J, I, D>(
        &mut self,
        job: &J,
        shared: &J::Shared,
        data: &Dataset<I>,
        destination: &D,
    ) -> Result<RoundOutput<D::Part>, Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
        D: Destination<J>,
    {
        let (on_pool, id) = self.bind::<J, I>(data)?;
        if self.closed {
            return Err(self.pool_closed());
        }
        let partitions = partitions::<J, I>(self.options, data)?;
        let work = Work::new(self.hub(), id, (job, shared), data, &on_pool, destination, partitions)?;
        let splits = data.splits().len();
        let round = self
            .coordinator
            .start_round(self.now(), RoundPlan { splits: splits as u32, partitions })
            .map_err(|error| Error::Job {
                job: self.job.into(),
                step: "start",
                message: error.to_string(),
            })?;
        let mut running = Running::new(round, splits, partitions);
        let (begun, spilled) = (self.now(), self.memory.spilled_bytes());
        let cancel: &Cancel = &self.options.cancel;
        let _registration = cancel.on_cancel({
            let wake = self.wake.clone();
            move || drop(wake.send(Message::Wake))
        });
        let pool = self.pool;
        let outcome = pool.threads().in_place_scope(|scope| self.run_round(scope, &work, &mut running));
        self.release_late(&running);
        // The coordinator knows of cancelling only.
        outcome.map_err(|error| if self.closed { self.pool_closed() } else { error })?;
        on_pool.keep_pins(self.coordinator.pins());

        let Running { parts, mut tally, mapped, .. } = running;
        let (mapped, spilled) = (mapped.unwrap_or(begun), self.memory.spilled_bytes() - spilled);
        let report = &mut tally.report;
        (report.map_time, report.reduce_time) = (mapped.since(begun), self.now().since(mapped));
        report.spilled_bytes = report.spilled_bytes.saturating_add(spilled);
        self.report.merge(&tally.report);
        let parts =
            parts.into_iter().map(|part| part.expect("every reduce task of a finished round has committed"));
        Ok(RoundOutput { parts: parts.collect(), counters: tally.counters, report: tally.report })
    }

    /// At the begin of a round: what is known of the dataset, and the peers that are there.
    fn bind<J, I>(&mut self, data: &Dataset<I>) -> Result<(Arc<DatasetOnPool>, JobId), Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        let same = |bound: &&Bound| bound.dataset == data.id() && bound.job == TypeId::of::<J>();
        let (on_pool, id) = match self.bound.as_ref().filter(same) {
            Some(bound) => {
                let known = (bound.on_pool.clone(), bound.id.clone());
                self.take_all_news();
                known
            }
            None => self.bind_anew::<J, I>(data)?,
        };
        match self.no_peer_has_job() {
            Some(error) => Err(error),
            None => Ok((on_pool, id)),
        }
    }

    /// What is wrong if there are peers, and none of them has the job.
    pub(super) fn no_peer_has_job(&self) -> Option<Error> {
        let Bound { id, .. } = self.bound.as_ref()?;
        let unable = self.peers.is_empty() && !self.strangers.is_empty();
        let peers = || self.strangers.values().cloned().collect::<Vec<_>>().join("; ");
        unable.then(|| Error::NoPeerHasJob { job: id.clone(), peers: peers() })
    }

    /// The same in the first round.
    fn bind_anew<J, I>(&mut self, data: &Dataset<I>) -> Result<(Arc<DatasetOnPool>, JobId), Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        let pool = self.pool;
        let on_pool = data.attachment(pool.number(), || DatasetOnPool::new(&pool.hub, data.id()));
        on_pool.take_fingerprints(data, pool.threads())?;
        // Should there have been rounds over another dataset, this is a job of its own.
        self.bound = None;
        self.coordinator = coordinator(pool, self.options);
        self.peers.clear();
        self.strangers.clear();
        self.messages.clear();
        self.mailbox.try_iter().for_each(drop);
        let id = JobId::of::<J>();
        self.bound = Some(Bound {
            on_pool: on_pool.clone(),
            dataset: data.id(),
            guard: pool.hub.subscribe(self.wake.clone(), data.id()),
            job: TypeId::of::<J>(),
            id: id.clone(),
        });
        self.take_all_news();
        for (split, peer) in on_pool.pins() {
            // False for peers that are gone: another one gets the split.
            self.coordinator.pin(split, peer);
        }
        Ok((on_pool, id))
    }

    /// Why a job cannot go on when the program has closed the pool.
    fn pool_closed(&self) -> Error {
        let message = PoolError::Closed.to_string();
        Error::Job { job: self.job.into(), step: "round", message }
    }

    fn take_all_news(&mut self) {
        let now = self.now();
        while let Ok(news) = self.mailbox.try_recv() {
            match news {
                // Of another job over the dataset, which is asked of this one: the round that begins now answers it.
                Message::WantSplit { .. } => self.messages.push(news),
                news => self.take_news(now, news),
            }
        }
    }
}

fn coordinator(pool: &Inner, options: &Options) -> Coordinator {
    Coordinator::new(Config {
        attempts_max: options.attempts_max.try_into().unwrap_or(u16::MAX),
        task_deadline: options.task_deadline,
        no_peers_timeout: pool.options.no_peers_timeout,
        ..Config::default()
    })
}

/// What a peer that does not have a job has instead.
fn what_it_has(name: &str, job: &str, jobs: &[JobId]) -> String {
    match jobs.iter().find(|id| id.name == job) {
        Some(other) => format!("peer {name} has {other}"),
        None if jobs.is_empty() => format!("peer {name} has no job at all"),
        None => {
            let names: Vec<&str> = jobs.iter().map(|id| id.name.as_str()).collect();
            format!("peer {name} has only {}", names.join(", "))
        }
    }
}

impl Rounds for Driving<'_> {
    fn round<J, I>(
        &mut self,
        job: &J,
        shared: &J::Shared,
        data: &Dataset<I>,
    ) -> Result<RoundOutput<Run>, Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        self.run(job, shared, data, &Returned)
    }

    fn round_to_files<J, I>(
        &mut self,
        job: &J,
        shared: &J::Shared,
        data: &Dataset<I>,
        staging: &Staging,
    ) -> Result<RoundOutput<StagedPart>, Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        self.run(job, shared, data, staging)
    }

    fn into_report(self) -> Report {
        self.report
    }
}
