//! [`Roster`]: which peers there are sessions with, which jobs run, and what each job is told of the peers. No socket.

use super::{
    mailbox::{Message, SplitReply},
    outbox::Outbox,
};
use crate::{
    NodeId,
    transfer::Arrived,
    wire::message::{AttemptFailure, Command, Completed},
};
use mapreduce_core::{
    JobId,
    schedule::{AttemptId, PeerId},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, mpsc},
};

/// The sessions and the jobs of a driver. Each change is posted to the jobs it is of interest to.
///
/// What a peer grants is divided evenly among the jobs, but each may have at least one attempt there.
#[derive(Debug, Default)]
pub(super) struct Roster {
    peers: BTreeMap<PeerId, Peer>,
    by_node: HashMap<NodeId, PeerId>,
    /// Why there is no session with a member, of those that were tried.
    problems: HashMap<NodeId, Problem>,
    jobs: BTreeMap<u64, Job>,
    last_peer: u64,
    last_job: u64,
    closed: bool,
}

/// What a peer says of itself when a session begins.
#[derive(Clone, Debug)]
pub(super) struct Welcome {
    pub(super) node: NodeId,
    pub(super) slots: u32,
    pub(super) threads: u32,
    pub(super) jobs: Arc<[JobId]>,
}

/// Why there is no session with a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// It works for as many drivers as it may.
    Busy { drivers: u32 },
    /// It cannot be reached, or ended the session.
    Failed(String),
}

#[derive(Debug)]
struct Peer {
    welcome: Welcome,
    outbox: Arc<Outbox>,
    suspected: bool,
    /// The jobs that may still need something of a peer that wants to leave.
    draining: Option<BTreeSet<u64>>,
}

#[derive(Debug)]
struct Job {
    mailbox: mpsc::Sender<Message>,
    dataset: u64,
}

impl Roster {
    // Jobs.

    /// A job begins, on the splits of `dataset`. It is told of every peer that is there and does not want to leave.
    pub(super) fn subscribe(&mut self, mailbox: mpsc::Sender<Message>, dataset: u64) -> u64 {
        self.last_job += 1;
        if self.closed {
            // Whoever does not listen need not know.
            let _ = mailbox.send(Message::Closed);
            return self.last_job;
        }
        self.jobs.insert(self.last_job, Job { mailbox, dataset });
        self.share_anew(Some(self.last_job));
        for (&id, peer) in self.peers.iter().filter(|(_, peer)| peer.draining.is_none()) {
            self.introduce(id, peer, self.last_job);
        }
        self.last_job
    }

    /// A job is over.
    pub(super) fn unsubscribe(&mut self, job: u64) {
        if self.jobs.remove(&job).is_some() {
            self.share_anew(None);
            let peers: Vec<_> = self.peers.keys().copied().collect();
            peers.into_iter().for_each(|peer| self.drained(job, peer));
        }
    }

    /// A job needs nothing more of a peer. A peer that wants to leave may go when all jobs have said so.
    pub(super) fn drained(&mut self, job: u64, peer: PeerId) {
        if let Some(Peer { draining: Some(jobs), outbox, .. }) = self.peers.get_mut(&peer)
            && jobs.remove(&job)
            && jobs.is_empty()
        {
            outbox.push(Command::Released);
        }
    }

    /// There are no more sessions. All jobs are told, and so are those yet to come.
    pub(super) fn close(&mut self) {
        self.closed = true;
        std::mem::take(&mut self.jobs).into_values().for_each(|job| drop(job.mailbox.send(Message::Closed)));
        self.peers.clear();
        self.by_node.clear();
    }

    // Peers.

    /// A session has begun. It has a number of its own, whether or not there was one with the same node before.
    pub(super) fn handle_joined(&mut self, welcome: Welcome, outbox: Arc<Outbox>) -> PeerId {
        self.last_peer += 1;
        let id = PeerId(self.last_peer);
        self.problems.remove(&welcome.node);
        self.by_node.insert(welcome.node, id);
        let peer = Peer { welcome, outbox, suspected: false, draining: None };
        self.jobs.keys().for_each(|&job| self.introduce(id, &peer, job));
        self.peers.insert(id, peer);
        id
    }

    /// A session has ended.
    pub(super) fn handle_lost(&mut self, peer: PeerId, reason: &str) {
        let Some(Peer { welcome, .. }) = self.peers.remove(&peer) else { return };
        self.by_node.remove(&welcome.node);
        self.problems.insert(welcome.node, Problem::Failed(reason.to_owned()));
        self.post_all(|_| Message::PeerLost { peer, reason: reason.to_owned() });
    }

    /// A session with a member did not come about; `None` if the member is gone.
    pub(super) fn handle_problem(&mut self, node: NodeId, problem: Option<Problem>) {
        match problem {
            Some(problem) => self.problems.insert(node, problem),
            None => self.problems.remove(&node),
        };
    }

    /// A peer grants another number of slots.
    pub(super) fn handle_granted(&mut self, peer: PeerId, slots: u32) {
        let Some(found) = self.peers.get_mut(&peer) else { return };
        found.welcome.slots = slots;
        for job in self.jobs.keys() {
            self.post(*job, Message::PeerSlots { peer, slots: self.share(peer, slots, *job) });
        }
    }

    /// A peer may be dead, or is alive after all.
    pub(super) fn handle_suspected(&mut self, peer: PeerId, suspected: bool) {
        let Some(found) = self.peers.get_mut(&peer) else { return };
        found.suspected = suspected;
        self.post_all(|_| {
            if suspected { Message::PeerSuspected { peer } } else { Message::PeerTrusted { peer } }
        });
    }

    /// A peer wants to leave.
    pub(super) fn handle_draining(&mut self, peer: PeerId) {
        let Some(found) = self.peers.get_mut(&peer).filter(|peer| peer.draining.is_none()) else { return };
        if self.jobs.is_empty() {
            found.outbox.push(Command::Released);
        }
        found.draining = Some(self.jobs.keys().copied().collect());
        self.post_all(|_| Message::PeerDraining { peer });
    }

    /// An attempt is done.
    pub(super) fn handle_completed(&self, peer: PeerId, completed: Box<Completed>) {
        self.post(completed.job, Message::Completed { peer, completed });
    }

    /// An attempt failed.
    pub(super) fn handle_failed(&self, peer: PeerId, job: u64, attempt: AttemptId, failure: AttemptFailure) {
        self.post(job, Message::Failed { peer, attempt, failure });
    }

    /// The output of a reduce attempt was fetched, or was not.
    pub(super) fn handle_reduced(
        &self,
        peer: PeerId,
        job: u64,
        attempt: AttemptId,
        result: Result<Arrived, AttemptFailure>,
    ) {
        self.post(job, Message::Reduced { peer, attempt, result });
    }

    /// A peer wants a split. It is asked of a job that uses it; without one the reply is dropped, which refuses it.
    pub(super) fn handle_want_split(&self, dataset: u64, split: u32, reply: SplitReply) {
        if let Some(job) = self.jobs.values().find(|job| job.dataset == dataset) {
            // A job that no longer listens drops the reply.
            let _ = job.mailbox.send(Message::WantSplit { dataset, split, reply });
        }
    }

    // Getters.

    /// How many there are; `None` once closed.
    pub(super) fn sessions(&self) -> Option<usize> {
        (!self.closed).then_some(self.peers.len())
    }

    pub(super) fn node(&self, peer: PeerId) -> Option<NodeId> {
        self.peers.get(&peer).map(|peer| peer.welcome.node)
    }

    pub(super) fn peer_of(&self, node: NodeId) -> Option<PeerId> {
        self.by_node.get(&node).copied()
    }

    pub(super) fn outbox(&self, peer: PeerId) -> Option<Arc<Outbox>> {
        self.peers.get(&peer).map(|peer| peer.outbox.clone())
    }

    pub(super) fn outboxes(&self) -> impl Iterator<Item = &Outbox> {
        self.peers.values().map(|peer| &*peer.outbox)
    }

    pub(super) fn problem(&self, node: NodeId) -> Option<&Problem> {
        self.problems.get(&node)
    }

    // Steps that several of the above share.

    fn post(&self, job: u64, message: Message) {
        if let Some(job) = self.jobs.get(&job) {
            // A job that no longer listens is about to unsubscribe.
            let _ = job.mailbox.send(message);
        }
    }

    fn post_all(&self, message: impl Fn(u64) -> Message) {
        self.jobs.keys().for_each(|&job| self.post(job, message(job)));
    }

    fn introduce(&self, id: PeerId, peer: &Peer, job: u64) {
        let Welcome { node, slots, threads, ref jobs } = peer.welcome;
        let slots = self.share(id, slots, job);
        self.post(job, Message::PeerJoined { peer: id, node, slots, threads, jobs: jobs.clone() });
        if peer.suspected {
            self.post(job, Message::PeerSuspected { peer: id });
        }
    }

    /// Tells all jobs but the new one of their shares.
    fn share_anew(&self, new: Option<u64>) {
        for (&id, peer) in &self.peers {
            for &job in self.jobs.keys().filter(|job| Some(**job) != new) {
                let slots = self.share(id, peer.welcome.slots, job);
                self.post(job, Message::PeerSlots { peer: id, slots });
            }
        }
    }

    /// The share of a job in the slots of a peer. What does not divide goes to other jobs at every peer.
    fn share(&self, peer: PeerId, slots: u32, job: u64) -> u32 {
        let jobs = self.jobs.len().max(1) as u64;
        let rank = self.jobs.range(..job).count() as u64;
        let slots = u64::from(slots);
        let extra = u64::from((rank + peer.0) % jobs < slots % jobs);
        // Not above what the peer grants, so it fits.
        ((slots / jobs + extra).max(1).min(slots)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        roster: Roster,
        mailboxes: Vec<mpsc::Receiver<Message>>,
    }

    impl World {
        fn new() -> Self {
            Self { roster: Roster::default(), mailboxes: Vec::new() }
        }

        fn job(&mut self, dataset: u64) -> u64 {
            let (mailbox, messages) = mpsc::channel();
            self.mailboxes.push(messages);
            self.roster.subscribe(mailbox, dataset)
        }

        fn peer(&mut self, node: u8, slots: u32) -> (PeerId, Arc<Outbox>) {
            let outbox = Arc::new(Outbox::default());
            let node = NodeId::from_bytes([node; 16]);
            let welcome = Welcome { node, slots, threads: slots, jobs: [].into() };
            (self.roster.handle_joined(welcome, outbox.clone()), outbox)
        }

        /// What came for the job with this number, shortened.
        fn mail(&self, job: u64) -> Vec<String> {
            let short = |message| match message {
                Message::PeerJoined { peer, slots, .. } => format!("{peer} joined {slots}"),
                Message::PeerSlots { peer, slots } => format!("{peer} slots {slots}"),
                Message::PeerSuspected { peer } => format!("{peer} suspected"),
                Message::PeerTrusted { peer } => format!("{peer} trusted"),
                Message::PeerDraining { peer } => format!("{peer} draining"),
                Message::PeerLost { peer, reason } => format!("{peer} lost: {reason}"),
                Message::WantSplit { split, reply, .. } => {
                    reply.answer(Ok(vec![vec![split as u8]]));
                    format!("split {split}")
                }
                other => format!("{other:?}"),
            };
            self.mailboxes[job as usize - 1].try_iter().map(short).collect()
        }
    }

    #[test]
    fn a_grant_is_divided_among_the_jobs_as_they_come_and_go() {
        let mut world = World::new();
        let (a, _) = world.peer(1, 4);
        let (one, two) = (world.job(10), world.job(10));
        assert_eq!(world.mail(one), ["peer 1 joined 4", "peer 1 slots 2"]);
        assert_eq!(world.mail(two), ["peer 1 joined 2"]);
        world.peer(2, 1);
        assert_eq!(world.mail(one), ["peer 2 joined 1"]);
        assert_eq!(world.mail(two), ["peer 2 joined 1"], "at least one each");
        world.roster.handle_granted(a, 5);
        let shares = [world.mail(one).remove(0), world.mail(two).remove(0)];
        assert!(
            shares == ["peer 1 slots 2", "peer 1 slots 3"] || shares == ["peer 1 slots 3", "peer 1 slots 2"]
        );
        world.roster.handle_granted(a, 0);
        assert_eq!(world.mail(one), ["peer 1 slots 0"]);
        world.roster.handle_granted(a, 3);
        world.mail(two);
        world.roster.unsubscribe(one);
        assert_eq!(world.mail(two), ["peer 1 slots 3", "peer 2 slots 1"]);
    }

    #[test]
    fn a_node_that_comes_back_is_another_peer() {
        let mut world = World::new();
        let job = world.job(10);
        let (first, _) = world.peer(1, 1);
        let node = world.roster.node(first).unwrap();
        world.roster.handle_lost(first, "silent");
        assert_eq!((world.roster.node(first), world.roster.peer_of(node)), (None, None));
        assert_eq!(world.roster.problem(node), Some(&Problem::Failed("silent".into())));
        let (second, _) = world.peer(1, 1);
        assert_eq!(world.roster.peer_of(node), Some(second));
        assert_eq!(world.roster.problem(node), None);
        assert_eq!(world.mail(job), ["peer 1 joined 1", "peer 1 lost: silent", "peer 2 joined 1"]);
        // What is said of the old one has no effect.
        world.roster.handle_lost(first, "again");
        world.roster.handle_suspected(first, true);
        world.roster.handle_granted(first, 9);
        world.roster.handle_draining(first);
        assert_eq!(world.mail(job), [""; 0]);
    }

    #[test]
    fn a_job_that_begins_late_hears_of_suspects_but_not_of_peers_that_leave() {
        let mut world = World::new();
        let (a, _) = world.peer(1, 1);
        let (b, _) = world.peer(2, 1);
        world.roster.handle_suspected(a, true);
        world.roster.handle_draining(b);
        let job = world.job(10);
        assert_eq!(world.mail(job), ["peer 1 joined 1", "peer 1 suspected"]);
        world.roster.handle_suspected(a, false);
        assert_eq!(world.mail(job), ["peer 1 trusted"]);
    }

    #[test]
    fn a_peer_may_leave_when_every_job_has_let_go_of_it() {
        let released = |outbox: &Outbox| {
            let commands = outbox.take();
            assert!(commands.iter().all(|command| matches!(command, Command::Released)));
            commands.len()
        };
        let mut world = World::new();
        let (peer, outbox) = world.peer(1, 2);
        let (one, two) = (world.job(10), world.job(20));
        world.roster.drained(one, peer);
        world.roster.handle_draining(peer);
        world.roster.handle_draining(peer);
        assert_eq!(world.mail(one).last().unwrap(), "peer 1 draining");
        // A job that begins now does not hold it back.
        world.job(30);
        world.roster.drained(one, peer);
        world.roster.drained(one, peer);
        assert_eq!(released(&outbox), 0);
        world.roster.unsubscribe(two);
        assert_eq!(released(&outbox), 1);
        world.roster.drained(one, peer);
        assert_eq!(released(&outbox), 0);

        let mut idle = World::new();
        let (peer, outbox) = idle.peer(1, 2);
        idle.roster.handle_draining(peer);
        assert_eq!(released(&outbox), 1);
    }

    #[tokio::test]
    async fn splits_are_asked_of_a_job_that_uses_them() {
        let mut world = World::new();
        let (_, other) = (world.job(10), world.job(20));
        let (reply, answer) = SplitReply::new();
        world.roster.handle_want_split(20, 7, reply);
        assert_eq!(world.mail(other), ["split 7"]);
        assert_eq!(answer.await.unwrap().unwrap(), [[7]]);
        // Nobody uses it, or who does is gone.
        let (reply, answer) = SplitReply::new();
        world.roster.handle_want_split(30, 7, reply);
        assert!(answer.await.is_err());
        world.mailboxes.clear();
        let (reply, answer) = SplitReply::new();
        world.roster.handle_want_split(20, 7, reply);
        assert!(answer.await.is_err());
    }

    #[test]
    fn answers_go_to_the_job_they_are_for() {
        let mut world = World::new();
        let (one, two) = (world.job(10), world.job(10));
        let (peer, _) = world.peer(1, 1);
        let attempt = AttemptId {
            round: mapreduce_core::schedule::Round(1),
            task: mapreduce_core::schedule::TaskId::Map(0),
            number: 1,
        };
        world.roster.handle_failed(peer, two, attempt, AttemptFailure::Cancelled);
        world.roster.handle_failed(peer, 99, attempt, AttemptFailure::Cancelled);
        world.roster.handle_reduced(peer, one, attempt, Err(AttemptFailure::Cancelled));
        assert!(world.mail(one)[1].starts_with("Reduced"));
        assert!(world.mail(two)[1].starts_with("Failed"));
    }
}
