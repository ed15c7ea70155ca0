//! Data connections: dialled when data is to flow, once for all who wait for it.

use super::{
    dial::reach,
    node::{Node, lock},
};
use crate::{NodeId, pool_file::PoolAddress, transport::Channel};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

/// How many times the longest wait between attempts a node is left alone that could not be dialled for data. Data takes
/// the control connection in the meantime.
const LEFT_ALONE_FACTOR: u32 = 8;
/// How long data waits for a connection of its own where it could take the control connection.
const PATIENCE: Duration = Duration::from_millis(500);

/// Attempts to make data connections, by node.
#[derive(Debug, Default)]
pub(super) struct DataDials(Mutex<HashMap<NodeId, DataDial>>);

#[derive(Debug)]
enum DataDial {
    /// Becomes `true` when it is over.
    UnderWay(watch::Receiver<bool>),
    Failed {
        again: Instant,
    },
}

impl DataDials {
    /// Forgets that a node could not be dialled.
    pub(super) fn forget(&self, node: NodeId) {
        let mut dials = lock(&self.0);
        if matches!(dials.get(&node), Some(DataDial::Failed { .. })) {
            dials.remove(&node);
        }
    }
}

/// Waits for a data connection with `to`, if one could be made soon.
pub(super) async fn connect(node: &Arc<Node>, to: NodeId) {
    if let Some(mut dial) = begin(node, to) {
        // Whether it is over or takes too long: there is a connection now, or there is none.
        let _ = timeout(PATIENCE, dial.wait_for(|over| *over)).await;
    }
}

/// Begins to make a data connection with `to` unless there is one, or that is not possible or under way.
pub(super) fn begin(node: &Arc<Node>, to: NodeId) -> Option<watch::Receiver<bool>> {
    if node.links.newest(to, Channel::Data).is_some() {
        return None;
    }
    let now = Instant::now();
    let mut dials = lock(&node.data_dials.0);
    match dials.get(&to) {
        // Its sender is gone if the attempt ended without a word.
        Some(DataDial::UnderWay(over)) if over.has_changed().is_ok() => return Some(over.clone()),
        Some(DataDial::Failed { again }) if now < *again => return None,
        _ => {}
    }
    let addresses = addresses(node, to);
    if addresses.is_empty() {
        return None;
    }
    dials.retain(|_, dial| !matches!(dial, DataDial::Failed { again } if *again <= now));
    let (sender, over) = watch::channel(false);
    dials.insert(to, DataDial::UnderWay(over.clone()));
    drop(dials);
    let dialling = node.clone();
    node.spawn(async move {
        let attempt = reach(&dialling, &addresses, Channel::Data, Some(to)).await;
        let problem = attempt.problem();
        let mut dials = lock(&dialling.data_dials.0);
        match attempt.connection {
            Some(connection) => {
                dials.remove(&to);
                dialling.attach(connection, true);
            }
            None => {
                tracing::debug!(node = %to, problem, "no data connection; data takes the control connection");
                let again = Instant::now() + dialling.timing.reconnect_max * LEFT_ALONE_FACTOR;
                dials.insert(to, DataDial::Failed { again });
            }
        }
        drop(dials);
        sender.send_replace(true);
    });
    Some(over)
}

/// Where to dial: where the node was dialled before, then what it says of itself unless that has been tried.
fn addresses(node: &Node, to: NodeId) -> Vec<PoolAddress> {
    let mut addresses: Vec<PoolAddress> = Vec::new();
    if let Some(dialled) = node.links.dialled_address(to) {
        addresses.extend(dialled.to_string().parse());
    }
    if node.links.problem(to).is_none()
        && let Some(member) = node.roster.borrow().others.get(&to)
    {
        for address in member.addresses.iter().filter_map(|text| text.parse().ok()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    addresses
}
