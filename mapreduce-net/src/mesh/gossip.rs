//! What members tell each other of the pool: one stream on each control connection, and the task that owns the table.

use super::{
    Incoming,
    converse::{self, Said},
    events::Roster,
    links::Link,
    random,
    reach::Reach,
    table::{Event, MEMBERS_MAX, State, Table},
};
use crate::{
    NodeId,
    wire::message::{Hello, Record},
};
use mapreduce_core::schedule::Time;
use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

/// Members that are told of a change at once, at most; in larger pools the rest hears of it from them.
const TOLD_MAX: usize = 16;
/// Members in one message: even the largest records of so many fit a frame.
const RECORDS_PER_MESSAGE: usize = 128;

/// What the task is told.
#[derive(Debug)]
pub(super) enum Input {
    /// There is a membership stream. What is put into `outbox` is written to it, and `over` tells when it has ended.
    Linked { link: Link, outbox: mpsc::Sender<Said>, over: oneshot::Receiver<()> },
    /// The other side of a link has dialled or seen this node there.
    Reached { address: SocketAddr, dialled: bool },
    /// The other side of a link knows this.
    Heard { link: Link, records: Vec<Record> },
    /// A membership stream has ended.
    Unlinked { link: u64 },
    /// This node leaves. Answered with what tells, link by link, that the other side has heard it.
    Leave(oneshot::Sender<Vec<oneshot::Receiver<()>>>),
}

/// Owns the table: matches what comes in, drains what follows.
pub(super) struct Gossip {
    table: Table,
    reach: Reach,
    roster: watch::Sender<Arc<Roster>>,
    /// Kept so that it ends with this task.
    _incoming: mpsc::Sender<Incoming>,
    start: Instant,
    talks: HashMap<u64, Talk>,
    /// Links that are yet to be told in this turn, in random order.
    turn: Vec<u64>,
}

/// A membership stream.
struct Talk {
    node: NodeId,
    outbox: mpsc::Sender<Said>,
    over: oneshot::Receiver<()>,
}

impl Gossip {
    pub(super) fn new(
        table: Table,
        reach: Reach,
        roster: watch::Sender<Arc<Roster>>,
        incoming: mpsc::Sender<Incoming>,
        start: Instant,
    ) -> Self {
        Self { table, reach, roster, _incoming: incoming, start, talks: HashMap::new(), turn: Vec::new() }
    }

    /// Runs until all senders of `inputs` are gone.
    pub(super) async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        loop {
            let tick = self.start + Duration::from_micros(self.table.poll_timeout().as_micros());
            let from = tokio::select! {
                input = inputs.recv() => match input {
                    Some(input) => self.handle(input),
                    None => return,
                },
                () = sleep_until(tick) => {
                    self.table.handle_timeout(self.now());
                    None
                }
            };
            self.drain(from);
        }
    }

    /// Gives the link that the news came over.
    fn handle(&mut self, input: Input) -> Option<u64> {
        match input {
            Input::Linked { link, outbox, over } => {
                let talk = Talk { node: link.node(), outbox, over };
                // Who is no member tells nothing, but says hello.
                let mut records =
                    if self.table.own().is_some() { self.table.records_for(talk.node) } else { Vec::new() };
                let rest = records.split_off(records.len().min(RECORDS_PER_MESSAGE));
                let your_address = link.connection.remote_address().to_string();
                talk.tell(Said::Hello(Hello { your_address, table: records }));
                talk.tell_records(rest);
                self.talks.insert(link.id, talk);
                None
            }
            Input::Reached { address, dialled } => {
                self.reach.learn(address, dialled);
                self.table.set_addresses(self.reach.addresses());
                None
            }
            Input::Heard { link, records } => {
                match self.table.handle_records(self.now(), records) {
                    Ok(0) => {}
                    Ok(refused) => {
                        tracing::debug!(
                            refused,
                            "the pool has more than {MEMBERS_MAX} members; the rest is left out"
                        );
                    }
                    Err(error) => {
                        converse::violation(&link, &error.to_string());
                        self.talks.remove(&link.id);
                    }
                }
                Some(link.id)
            }
            Input::Unlinked { link } => {
                self.talks.remove(&link);
                None
            }
            Input::Leave(ends) => {
                self.leave(ends);
                None
            }
        }
    }

    /// Does what follows from what the table was told.
    fn drain(&mut self, from: Option<u64>) {
        let (mut news, mut changed) = (Vec::new(), false);
        while let Some(event) = self.table.poll_event() {
            match event {
                Event::Joined(node) | Event::Changed(node) | Event::Left(node) => {
                    self.log(event, node);
                    news.extend(self.table.record(node).cloned());
                    changed = true;
                }
                Event::Lost(node) => {
                    self.log(event, node);
                    changed = true;
                }
                Event::Own => {
                    news.extend(self.table.own().cloned());
                    changed = true;
                }
                Event::Forgotten => changed = true,
                Event::Gossip => self.tell_some(),
            }
        }
        if changed {
            self.publish();
        }
        if !news.is_empty() && self.table.own().is_some() {
            self.tell_news(&news, from);
        }
    }

    fn log(&self, event: Event, node: NodeId) {
        let member = self.table.live().find(|record| record.node == node);
        let addresses = member.map(|record| record.addresses.as_slice()).unwrap_or_default();
        match event {
            Event::Joined(_) => tracing::info!(%node, ?addresses, "a member joined"),
            Event::Left(_) => tracing::info!(%node, "a member left"),
            Event::Lost(_) => tracing::info!(%node, "a member was lost: nobody has heard of it"),
            Event::Changed(_) => tracing::debug!(%node, ?addresses, "a member changed"),
            Event::Own | Event::Forgotten | Event::Gossip => {}
        }
    }

    fn publish(&self) {
        self.roster.send_replace(Arc::new(roster(&self.table)));
    }

    /// Tells the next links in this turn all that is known. Each node is told about once a gossip interval, by one member
    /// or another: with as many clients as members, every member tells two nodes.
    fn tell_some(&mut self) {
        if self.table.own().is_none() {
            return;
        }
        let members = 1 + self.talks.values().filter(|talk| self.table.is_live(talk.node)).count();
        let count = (self.talks.len() + 1).div_ceil(members);
        for _ in 0..count.min(self.talks.len()) {
            let talk = loop {
                match self.turn.pop() {
                    // It has gone since the turn began.
                    Some(link) if !self.talks.contains_key(&link) => {}
                    Some(link) => break self.talks.get(&link),
                    None if self.talks.is_empty() => break None,
                    None => {
                        self.turn = self.talks.keys().copied().collect();
                        random::shuffle(&mut self.turn);
                    }
                }
            };
            if let Some(talk) = talk {
                talk.tell_records(self.table.records_for(talk.node));
            }
        }
    }

    /// Tells what has changed to all but the one who said it; in large pools, to all clients and some members.
    fn tell_news(&self, news: &[Record], from: Option<u64>) {
        let others = self.talks.iter().filter(|(id, _)| Some(**id) != from).map(|(_, talk)| talk);
        let (mut members, clients): (Vec<_>, Vec<_>) = others.partition(|talk| self.table.is_live(talk.node));
        random::shuffle(&mut members);
        for talk in members.into_iter().take(TOLD_MAX).chain(clients) {
            talk.tell_records(news.to_vec());
        }
    }

    /// Tells all that this node leaves.
    fn leave(&mut self, ends: oneshot::Sender<Vec<oneshot::Receiver<()>>>) {
        self.table.leave();
        let own: Vec<Record> = self.table.own().cloned().into_iter().collect();
        let tell = |(_, talk): (u64, Talk)| {
            talk.tell_records(own.clone());
            // The outbox is dropped here: its stream ends behind the news, and is over when the other side has read it.
            talk.over
        };
        let over = self.talks.drain().map(tell).collect();
        // All were told just now.
        while self.table.poll_event().is_some() {}
        // Who waits may have given up.
        let _ = ends.send(over);
    }

    fn now(&self) -> Time {
        let micros = self.start.elapsed().as_micros();
        Time::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

/// Who is in the pool by `table`.
pub(super) fn roster(table: &Table) -> Roster {
    let gone = |state| table.gone().filter(move |(_, other)| *other == state).map(|(record, _)| record);
    let by_node = |record: &Record| (record.node, Arc::new(record.into()));
    Roster {
        own: table.own().map(|record| Arc::new(record.into())),
        others: table.live().map(by_node).collect(),
        left: gone(State::Left).map(|record| record.node).collect(),
        lost: gone(State::Lost).map(by_node).collect::<BTreeMap<_, _>>(),
    }
}

impl Talk {
    fn tell(&self, said: Said) {
        // A full outbox is that of a node that does not listen: it hears the same again soon, or is lost.
        if self.outbox.try_send(said).is_err() {
            tracing::debug!(node = %self.node, "a node does not keep up with what it is told of the pool");
        }
    }

    fn tell_records(&self, mut records: Vec<Record>) {
        while !records.is_empty() {
            let rest = records.split_off(records.len().min(RECORDS_PER_MESSAGE));
            self.tell(Said::Records(records));
            records = rest;
        }
    }
}
