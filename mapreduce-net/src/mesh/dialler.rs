//! The task that keeps a control connection with every member: it dials those that there is none with.

use super::{
    dial::{Attempt, Backoff, first_wait, reach},
    events::Roster,
    node::{Node, close},
};
use crate::{NodeId, pool_file::PoolAddress, transport::Channel};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    task::{JoinError, JoinSet},
    time::{Instant, sleep_until},
};

/// Attempts under way at once.
const ATTEMPTS_MAX: usize = 64;

/// Whom to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Target {
    /// Whoever answers at one of the addresses to join through.
    Join(usize),
    /// A member.
    Member(NodeId),
}

#[derive(Debug)]
struct State {
    backoff: Backoff,
    under_way: bool,
    /// Who was reached there last, or is to be.
    node: Option<NodeId>,
    /// Since when there is a connection with it.
    linked: Option<Instant>,
    /// What a member says of where it is.
    addresses: Vec<String>,
    /// It is this node itself.
    is_self: bool,
}

struct Dialler {
    node: Arc<Node>,
    join: Vec<PoolAddress>,
    targets: HashMap<Target, State>,
    attempts: JoinSet<(Target, Attempt)>,
}

/// Dials until the mesh is closed.
pub(super) async fn run(node: Arc<Node>, join: Vec<PoolAddress>) {
    let (mut roster, mut links) = (node.roster.clone(), node.links.subscribe());
    let mut dialler = Dialler { node, join, targets: HashMap::new(), attempts: JoinSet::new() };
    for index in 0..dialler.join.len() {
        dialler.targets.insert(Target::Join(index), State::new(None, Instant::now()));
    }
    loop {
        let next = dialler.dial_due(Instant::now());
        tokio::select! {
            changed = roster.changed() => if changed.is_err() { return },
            // The sender is in the node.
            _ = links.changed() => {}
            Some(ended) = dialler.attempts.join_next() => dialler.ended(ended),
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
        }
    }
}

impl Dialler {
    /// Dials whoever is due, and gives when the next one will be.
    fn dial_due(&mut self, now: Instant) -> Option<Instant> {
        if self.node.leaving.load(Ordering::Relaxed) {
            return None;
        }
        let roster = self.node.roster.borrow().clone();
        let linked = self.node.links.linked();
        self.follow(&roster, now);
        self.notice(&linked, now);
        let connected = roster.others.keys().any(|node| linked.contains(node));
        let longest = self.node.timing.reconnect_max;
        let mut next = None;
        let mut due = Vec::new();
        for (&target, state) in &self.targets {
            if state.under_way || state.is_self || state.linked.is_some() {
                continue;
            }
            let slow = match target {
                // Only in case the pool has fallen into two, and this leads to the other part.
                Target::Join(_) => connected,
                Target::Member(node) => !roster.others.contains_key(&node),
            };
            let at = state.backoff.due(longest, slow);
            if at <= now {
                due.push((at, target));
            } else {
                next = Some(next.map_or(at, |next: Instant| next.min(at)));
            }
        }
        due.sort_unstable_by_key(|(at, _)| *at);
        let room = ATTEMPTS_MAX.saturating_sub(self.attempts.len());
        // Those beyond come up again when an attempt ends.
        for (_, target) in due.into_iter().take(room) {
            self.dial(target, &roster);
        }
        next
    }

    /// Makes targets of all members, and of those that were lost.
    fn follow(&mut self, roster: &Roster, now: Instant) {
        let known = |node: &NodeId| roster.others.contains_key(node) || roster.lost.contains_key(node);
        let before = self.targets.len();
        self.targets.retain(|target, _| match target {
            Target::Join(_) => true,
            Target::Member(node) => known(node),
        });
        if self.targets.len() < before {
            self.node.links.forget(|node| known(&node));
        }
        let dialled_by_others = roster.own.as_ref().is_some_and(|own| !own.addresses.is_empty());
        for (&node, member) in &roster.others {
            match self.targets.get_mut(&Target::Member(node)) {
                Some(state) if state.addresses == member.addresses => {}
                Some(state) => {
                    state.addresses.clone_from(&member.addresses);
                    state.backoff = Backoff::new(now);
                }
                None => {
                    // Of two members that can dial each other one does so first, so that there are seldom two connections.
                    let waits = dialled_by_others && self.node.id > node;
                    let wait =
                        if waits { first_wait(self.node.timing.reconnect_max) } else { Duration::ZERO };
                    let addresses = member.addresses.clone();
                    self.targets.insert(
                        Target::Member(node),
                        State { addresses, ..State::new(Some(node), now + wait) },
                    );
                }
            }
        }
    }

    /// Notices which connections came and went.
    fn notice(&mut self, linked: &HashSet<NodeId>, now: Instant) {
        for (target, state) in &mut self.targets {
            let is_linked = state.node.is_some_and(|node| linked.contains(&node));
            match state.linked {
                None if is_linked => state.linked = Some(now),
                Some(since) if !is_linked => {
                    state.linked = None;
                    if now.duration_since(since) >= self.node.timing.reconnect_max {
                        state.backoff.ended(now);
                    } else {
                        state.backoff.failed(now, false);
                    }
                    if let &Target::Join(index) = target {
                        self.node.join_dials.send_modify(|dialled| {
                            dialled[index].problem = Some("the connection was lost".to_owned());
                        });
                    }
                }
                _ => {}
            }
        }
    }

    fn dial(&mut self, target: Target, roster: &Roster) {
        let (addresses, wanted) = match target {
            Target::Join(index) => (vec![self.join[index].clone()], None),
            Target::Member(node) => {
                let member = roster.others.get(&node).or_else(|| roster.lost.get(&node));
                let addresses = member.map(|member| &member.addresses).into_iter().flatten();
                (addresses.filter_map(|text| text.parse().ok()).collect(), Some(node))
            }
        };
        if let Some(state) = self.targets.get_mut(&target) {
            state.under_way = true;
        }
        let node = self.node.clone();
        self.attempts
            .spawn(async move { (target, reach(&node, &addresses, Channel::Control, wanted).await) });
    }

    fn ended(&mut self, ended: Result<(Target, Attempt), JoinError>) {
        let (target, attempt) = match ended {
            Ok(ended) => ended,
            Err(error) => return tracing::error!(%error, "an attempt to dial panicked"),
        };
        let problem = attempt.connection.is_none().then(|| attempt.problem());
        if let Target::Join(index) = target {
            self.node.join_dials.send_modify(|dialled| {
                dialled[index].attempts = dialled[index].attempts.saturating_add(1);
                dialled[index].problem.clone_from(&problem);
            });
        }
        if let Some(problem) = problem {
            tracing::debug!(?target, problem, "nobody was reached");
            if let Target::Member(node) = target
                && !self.node.links.is_linked(node)
            {
                self.node.links.set_problem(node, problem);
            }
        }
        if let Some(state) = self.targets.get_mut(&target) {
            state.under_way = false;
            state.is_self = attempt.is_self && matches!(target, Target::Join(_));
            match &attempt.connection {
                Some(connection) => {
                    state.node = Some(connection.peer_id());
                    // Noted here, as it may be over before anybody looks: then it did not last.
                    state.linked = Some(Instant::now());
                }
                None => state.backoff.failed(Instant::now(), attempt.hopeless),
            }
        }
        for other in attempt.others {
            if self.node.links.is_linked(other.peer_id()) {
                other.close(close::SURPLUS, "there is a connection already");
            } else {
                self.node.attach(other, true);
            }
        }
        if let Some(connection) = attempt.connection {
            self.node.attach(connection, true);
        }
    }
}

impl State {
    fn new(node: Option<NodeId>, first: Instant) -> Self {
        Self {
            backoff: Backoff::new(first),
            under_way: false,
            node,
            linked: None,
            addresses: Vec::new(),
            is_self: false,
        }
    }
}
