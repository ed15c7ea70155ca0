//! [`MemberEvents`]: the changes in a pool as a stream, and the [`Roster`] that they are told from.

use super::{Member, MemberEvent};
use crate::NodeId;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};
use tokio::sync::watch;

/// Who is in the pool at one moment. Made anew with every change, and shared.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// This node, if it is a member.
    pub(super) own: Option<Arc<Member>>,
    /// All other members that are there.
    pub(super) others: BTreeMap<NodeId, Arc<Member>>,
    /// Who has left, as far as it is remembered.
    pub(super) left: BTreeSet<NodeId>,
    /// Who was lost, as far as it is remembered.
    pub(super) lost: BTreeMap<NodeId, Arc<Member>>,
}

/// The changes in a pool, as [`MemberEvent`]s.
///
/// Whoever is slow to ask is not told of what has passed in between: a member that came and went is not told of at all,
/// and one that was lost and is back counts as changed. So this holds no more than the pool has members.
#[derive(Debug)]
pub struct MemberEvents {
    roster: watch::Receiver<Arc<Roster>>,
    told: BTreeMap<NodeId, Arc<Member>>,
    ready: VecDeque<MemberEvent>,
}

impl MemberEvents {
    pub(super) fn new(mut roster: watch::Receiver<Arc<Roster>>) -> Self {
        roster.mark_changed();
        Self { roster, told: BTreeMap::new(), ready: VecDeque::new() }
    }

    /// The next change; first [`MemberEvent::Joined`] for each member that is there. `None` when this node is no longer in
    /// the pool. Cancel-safe.
    pub async fn next(&mut self) -> Option<MemberEvent> {
        while self.ready.is_empty() {
            self.roster.changed().await.ok()?;
            let roster = self.roster.borrow_and_update().clone();
            self.compare(&roster);
        }
        self.ready.pop_front()
    }

    fn compare(&mut self, roster: &Roster) {
        for &node in self.told.keys().filter(|node| !roster.others.contains_key(node)) {
            self.ready.push_back(match roster.left.contains(&node) {
                true => MemberEvent::Left(node),
                false => MemberEvent::Lost(node),
            });
        }
        for (node, member) in &roster.others {
            match self.told.get(node) {
                None => self.ready.push_back(MemberEvent::Joined((**member).clone())),
                Some(told) if told != member => {
                    self.ready.push_back(MemberEvent::Changed((**member).clone()));
                }
                Some(_) => {}
            }
        }
        self.told.clone_from(&roster.others);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(number: u8, threads: u32) -> Arc<Member> {
        Arc::new(Member {
            node: NodeId::from_bytes([number; 16]),
            addresses: Vec::new(),
            threads,
            jobs: Vec::new(),
            build: String::new(),
        })
    }

    fn roster(members: &[&Arc<Member>], left: &[&Arc<Member>]) -> Arc<Roster> {
        Arc::new(Roster {
            others: members.iter().map(|&member| (member.node, member.clone())).collect(),
            left: left.iter().map(|member| member.node).collect(),
            ..Roster::default()
        })
    }

    #[tokio::test]
    async fn changes_are_told_once_and_what_has_passed_is_not() {
        let (a, b, c) = (member(1, 1), member(2, 1), member(3, 1));
        let (sender, receiver) = watch::channel(roster(&[&a, &b], &[]));
        let mut events = MemberEvents::new(receiver);
        assert_eq!(events.next().await, Some(MemberEvent::Joined((*a).clone())));
        assert_eq!(events.next().await, Some(MemberEvent::Joined((*b).clone())));

        let changed = member(2, 5);
        sender.send_replace(roster(&[&a, &b, &c], &[]));
        sender.send_replace(roster(&[&changed], &[&a, &c]));
        assert_eq!(events.next().await, Some(MemberEvent::Left(a.node)));
        assert_eq!(events.next().await, Some(MemberEvent::Changed((*changed).clone())));

        sender.send_replace(roster(&[], &[&a]));
        drop(sender);
        assert_eq!(events.next().await, Some(MemberEvent::Lost(b.node)));
        assert_eq!(events.next().await, None);
        assert_eq!(events.next().await, None);
    }
}
