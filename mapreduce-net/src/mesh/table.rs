//! [`Table`]: what a node knows of the members of the pool, as a state machine without I/O.

use super::Member;
use crate::{NodeId, pool_file::PoolAddress, wire::message::Record};
use mapreduce_core::schedule::Time;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Members that are remembered, and apart from them as many that are gone.
pub(super) const MEMBERS_MAX: usize = 1_024;
/// Addresses of a member.
pub(super) const ADDRESSES_MAX: usize = 8;
/// Jobs of a member.
pub(super) const JOBS_MAX: usize = 256;
/// Bytes of the name of a job, or of a build.
pub(super) const NAME_BYTES_MAX: usize = 256;
/// Bytes of an address: a host name of 253, brackets, and a port.
const ADDRESS_BYTES_MAX: usize = 261;
/// Versions from here on are no member's: one a millisecond gets there in 140 million years. It leaves room to count on.
const VERSION_END: u64 = 1 << 62;
/// How many member timeouts those that are gone are remembered: what others still say of them has died down by then.
const REMEMBERED_TIMEOUTS: u32 = 6;

/// The members of the pool, as one of its nodes knows them.
///
/// Every member makes its own record and raises its version with each gossip interval. Of two records of a member the
/// one with the higher version counts, whoever it came from, so the order and number of messages do not matter. A member
/// whose version stands still for the member timeout is lost; its record is kept for a while, so that older news do not
/// bring it back. No node believes what others say of it: it raises its own version above theirs.
///
/// Nothing here reads a clock or a socket. Methods are of three families:
///
/// * getters take `&self`;
/// * `handle_*` and commands report what happened, with the time, which never goes back;
/// * after them, [`poll_event`](Self::poll_event) until it gives `None`, then [`poll_timeout`](Self::poll_timeout) says
///   when to call [`handle_timeout`](Self::handle_timeout).
#[derive(Debug)]
pub(super) struct Table {
    node: NodeId,
    /// The own record; `None` for a node that is no member.
    own: Option<Record>,
    others: BTreeMap<NodeId, Entry>,
    gossip: Duration,
    member_timeout: Duration,
    tick_at: Time,
    events: VecDeque<Event>,
}

/// What follows from what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A member is there that was not, or is there again.
    Joined(NodeId),
    /// A member says something else of itself than before.
    Changed(NodeId),
    /// A member has said that it leaves.
    Left(NodeId),
    /// A member has not been heard of for the member timeout.
    Lost(NodeId),
    /// The own record has changed, other than by the passing of time.
    Own,
    /// Members that are gone are no longer remembered.
    Forgotten,
    /// It is time to tell somebody what is known.
    Gossip,
}

/// How a member is to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Live,
    Lost,
    Left,
}

#[derive(Debug)]
struct Entry {
    record: Record,
    state: State,
    /// When its version last grew; if it is gone, when it went.
    since: Time,
}

/// Why records are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RecordError {
    #[error("there are more than {MEMBERS_MAX} members in it, and as many that have left")]
    Records,
    #[error("a member has more than {ADDRESSES_MAX} addresses")]
    Addresses,
    #[error("a member has an address that is none")]
    Address,
    #[error("a member has more than {JOBS_MAX} jobs")]
    Jobs,
    #[error("a name is longer than {NAME_BYTES_MAX} bytes")]
    Name,
    #[error("a version is out of range")]
    Version,
}

impl Table {
    /// The table of `node`, with its own record if it is a member.
    pub(super) fn new(
        now: Time,
        node: NodeId,
        own: Option<Record>,
        gossip: Duration,
        member_timeout: Duration,
    ) -> Self {
        Self {
            node,
            own,
            others: BTreeMap::new(),
            gossip,
            member_timeout,
            tick_at: now + gossip,
            events: VecDeque::new(),
        }
    }

    /// The own record, of a member.
    pub(super) fn own(&self) -> Option<&Record> {
        self.own.as_ref()
    }

    /// The other members that are there, by id.
    pub(super) fn live(&self) -> impl Iterator<Item = &Record> {
        self.others.values().filter(|entry| entry.state == State::Live).map(|entry| &entry.record)
    }

    /// Whether a node is another member that is there.
    pub(super) fn is_live(&self, node: NodeId) -> bool {
        self.others.get(&node).is_some_and(|entry| entry.state == State::Live)
    }

    /// The members that are gone, as far as they are remembered.
    pub(super) fn gone(&self) -> impl Iterator<Item = (&Record, State)> {
        self.others
            .values()
            .filter(|entry| entry.state != State::Live)
            .map(|entry| (&entry.record, entry.state))
    }

    /// What to tell `listener`: all that are there, who has left, and what is known of itself. By the last, a member that
    /// was taken for lost, or comes back under the same id, learns which version to exceed.
    pub(super) fn records_for(&self, listener: NodeId) -> Vec<Record> {
        let told = |(node, entry): &(&NodeId, &Entry)| entry.state != State::Lost || **node == listener;
        let others = self.others.iter().filter(told).map(|(_, entry)| &entry.record);
        self.own.iter().chain(others).cloned().collect()
    }

    /// The record of a node, if it is to be told of.
    pub(super) fn record(&self, node: NodeId) -> Option<&Record> {
        if node == self.node {
            return self.own.as_ref();
        }
        self.others.get(&node).filter(|entry| entry.state != State::Lost).map(|entry| &entry.record)
    }

    /// Another member has told what it knows. Gives how many members there was no room for.
    ///
    /// # Errors
    /// A record is out of bounds. Nothing was taken then.
    pub(super) fn handle_records(&mut self, now: Time, records: Vec<Record>) -> Result<usize, RecordError> {
        if records.len() > 2 * MEMBERS_MAX {
            return Err(RecordError::Records);
        }
        records.iter().try_for_each(check)?;
        let refused = records.into_iter().map(|record| usize::from(!self.handle_record(now, record))).sum();
        self.forget_surplus();
        Ok(refused)
    }

    /// Time has passed.
    pub(super) fn handle_timeout(&mut self, now: Time) {
        if now < self.tick_at {
            return;
        }
        // Who did not wake up in time (a laptop that slept, a process that was stopped) has not listened either, and
        // cannot tell who was silent.
        let overslept = now.since(self.tick_at) > self.member_timeout / 2;
        if let Some(own) = &mut self.own {
            own.version += 1;
        }
        let (timeout, remembered) = (self.member_timeout, self.member_timeout * REMEMBERED_TIMEOUTS);
        let (events, before) = (&mut self.events, self.others.len());
        self.others.retain(|&node, entry| {
            if entry.state == State::Live && overslept {
                entry.since = now;
            }
            match entry.state {
                State::Live if now.since(entry.since) >= timeout => {
                    (entry.state, entry.since) = (State::Lost, now);
                    events.push_back(Event::Lost(node));
                    true
                }
                State::Live => true,
                State::Lost | State::Left => now.since(entry.since) < remembered,
            }
        });
        if self.others.len() < before {
            self.events.push_back(Event::Forgotten);
        }
        self.forget_surplus();
        self.events.push_back(Event::Gossip);
        self.tick_at = now + self.gossip;
    }

    /// This member is to be reached elsewhere from now on.
    pub(super) fn set_addresses(&mut self, addresses: Vec<String>) {
        if let Some(own) = self.own.as_mut().filter(|own| own.addresses != addresses) {
            own.addresses = addresses;
            own.version += 1;
            self.events.push_back(Event::Own);
        }
    }

    /// This member leaves.
    pub(super) fn leave(&mut self) {
        if let Some(own) = &mut self.own {
            own.left = true;
            own.version += 1;
            self.events.push_back(Event::Own);
        }
    }

    /// What follows from the calls before, in order.
    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(super) fn poll_timeout(&self) -> Time {
        self.tick_at
    }

    /// Whether there was room for it.
    fn handle_record(&mut self, now: Time, record: Record) -> bool {
        if record.node == self.node {
            self.refute(&record);
            return true;
        }
        let node = record.node;
        let room = || self.others.values().filter(|entry| entry.state == State::Live).count() < MEMBERS_MAX;
        let state = if record.left { State::Left } else { State::Live };
        let Some(entry) = self.others.get(&node) else {
            if state == State::Live && !room() {
                return false;
            }
            self.others.insert(node, Entry { record, state, since: now });
            if state == State::Live {
                self.events.push_back(Event::Joined(node));
            }
            return true;
        };
        if !counts_over(&record, &entry.record) {
            return true;
        }
        let grown = record.version > entry.record.version;
        if state == State::Live && entry.state != State::Live && !(grown && room()) {
            return !grown;
        }
        let event = match (entry.state, state) {
            (State::Live, State::Left) => Some(Event::Left(node)),
            (State::Live, _) => (!says_the_same(&record, &entry.record)).then_some(Event::Changed(node)),
            (_, State::Live) => Some(Event::Joined(node)),
            (..) => None,
        };
        let since = if grown { now } else { entry.since };
        self.others.insert(node, Entry { record, state, since });
        self.events.extend(event);
        true
    }

    /// Somebody has a record of this node that would count over its own: one of an earlier process with the same key, or
    /// one that somebody made up. The own one has to count.
    fn refute(&mut self, record: &Record) {
        if let Some(own) = &mut self.own
            && counts_over(record, own)
        {
            own.version = record.version + 1;
            self.events.push_back(Event::Own);
        }
    }

    /// Forgets those that went first if too many are gone.
    fn forget_surplus(&mut self) {
        let mut gone: Vec<(Time, NodeId)> = self
            .others
            .iter()
            .filter(|(_, entry)| entry.state != State::Live)
            .map(|(&node, entry)| (entry.since, node))
            .collect();
        if gone.len() > MEMBERS_MAX {
            gone.sort_unstable();
            for (_, node) in &gone[..gone.len() - MEMBERS_MAX] {
                self.others.remove(node);
            }
        }
    }
}

/// A total order of the records of a node. The version decides; should two records have the same (two processes with the
/// same key), all nodes still settle on the same one.
fn counts_over(a: &Record, b: &Record) -> bool {
    fn key(r: &Record) -> impl Ord + '_ {
        (r.version, r.left, &r.addresses, r.threads, &r.jobs, &r.build)
    }
    key(a) > key(b)
}

/// Whether they differ at most in their version.
fn says_the_same(a: &Record, b: &Record) -> bool {
    fn said(r: &Record) -> impl PartialEq + '_ {
        (r.left, &r.addresses, r.threads, &r.jobs, &r.build)
    }
    said(a) == said(b)
}

fn check(record: &Record) -> Result<(), RecordError> {
    let address = |text: &String| text.len() <= ADDRESS_BYTES_MAX && text.parse::<PoolAddress>().is_ok();
    let too_long = |text: &str| text.len() > NAME_BYTES_MAX;
    if record.version >= VERSION_END {
        Err(RecordError::Version)
    } else if record.addresses.len() > ADDRESSES_MAX {
        Err(RecordError::Addresses)
    } else if !record.addresses.iter().all(address) {
        Err(RecordError::Address)
    } else if record.jobs.len() > JOBS_MAX {
        Err(RecordError::Jobs)
    } else if too_long(&record.build) || record.jobs.iter().any(|job| too_long(&job.name)) {
        Err(RecordError::Name)
    } else {
        Ok(())
    }
}

impl From<&Record> for Member {
    fn from(record: &Record) -> Self {
        Self {
            node: record.node,
            addresses: record.addresses.clone(),
            threads: record.threads,
            jobs: record.jobs.clone(),
            build: record.build.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
