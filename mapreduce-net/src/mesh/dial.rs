//! Reaching a node at one of several addresses.

use super::{
    node::{Node, close},
    random,
};
use crate::{
    NodeId,
    pool_file::PoolAddress,
    transport::{Channel, ConnectError, Connection, Refusal},
};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    net::lookup_host,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// How long one address has before the next one is tried as well (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);
/// Addresses tried in one attempt: those of a member, some of them names with several.
const ATTEMPTED_MAX: usize = 16;
/// How many times the longest wait between attempts is waited where there is little hope.
const SLOW_FACTOR: u32 = 8;
/// The first wait is so many times halved the longest.
const DOUBLINGS: u32 = 5;

/// What came of an attempt to reach a node.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    /// A connection with the node that was meant, or if none was, with any.
    pub(super) connection: Option<Connection>,
    /// Connections with other nodes, which have the addresses now.
    pub(super) others: Vec<Connection>,
    /// What went wrong at each address.
    pub(super) problems: Vec<String>,
    /// The same is to be expected of the next attempt: there is no address, or those behind all of them refuse this node,
    /// or are refused, for reasons that do not pass.
    pub(super) hopeless: bool,
    /// All addresses are those of this node.
    pub(super) is_self: bool,
}

/// Dials `addresses` in their order, each a moment after the one before, until one of them is that of `wanted`, or of
/// anybody if nobody in particular is wanted.
pub(super) async fn reach(
    node: &Node,
    addresses: &[PoolAddress],
    channel: Channel,
    wanted: Option<NodeId>,
) -> Attempt {
    let mut attempt = Attempt::default();
    let mut found = Vec::new();
    let (mut own, mut refused) = (0, 0);
    for address in addresses {
        match resolve(node, address).await {
            Ok(resolved) => found.extend(resolved),
            Err(problem) => attempt.problems.push(problem),
        }
    }
    found.truncate(ATTEMPTED_MAX);
    let total = found.len();
    let mut attempts = JoinSet::new();
    for address in found {
        if node.is_own_address(address) {
            own += 1;
            continue;
        }
        let (endpoint, wait) = (node.endpoint.clone(), STAGGER * attempts.len() as u32);
        attempts.spawn(async move {
            sleep(wait).await;
            (address, endpoint.connect(address, channel).await)
        });
    }
    while let Some(ended) = attempts.join_next().await {
        // Neither cancelled nor panicked: there is nothing in it that would.
        let Ok((address, connected)) = ended else { continue };
        match connected {
            Ok(connection) if connection.peer_id() == node.id => {
                connection.close(close::SURPLUS, "this is the same node");
                node.note_own_address(address);
                own += 1;
            }
            Ok(connection) if wanted.is_none_or(|wanted| wanted == connection.peer_id()) => {
                attempt.connection = Some(connection);
                return attempt;
            }
            Ok(connection) => {
                attempt.problems.push(format!("{address} is that of node {} now", connection.peer_id()));
                attempt.others.push(connection);
            }
            Err(error) => {
                refused += usize::from(is_for_good(&error));
                attempt.problems.push(error.to_string());
            }
        }
    }
    attempt.is_self = total > 0 && own == total;
    attempt.hopeless = addresses.is_empty() || (total > 0 && refused + own == total);
    if attempt.is_self {
        attempt.problems.push("this is the node itself".to_owned());
    } else if attempt.problems.is_empty() {
        attempt.problems.push("it has no address that others could dial".to_owned());
    }
    attempt
}

impl Attempt {
    /// What went wrong, in one line.
    pub(super) fn problem(&self) -> String {
        self.problems.join("; ")
    }
}

async fn resolve(node: &Node, address: &PoolAddress) -> Result<Vec<SocketAddr>, String> {
    let waited = Duration::from_millis(node.limits.connect_timeout_ms.into());
    match timeout(waited, lookup_host((address.host(), address.port()))).await {
        Ok(Ok(found)) => Ok(found.collect()),
        Ok(Err(error)) => Err(format!("{address}: the host name cannot be resolved: {error}")),
        Err(_) => Err(format!("{address}: the host name was not resolved within {} ms", waited.as_millis())),
    }
}

/// Whether dialling again would fail in the same way, unless somebody changes something.
fn is_for_good(error: &ConnectError) -> bool {
    match error {
        ConnectError::Refused { reason, .. } | ConnectError::Untrusted { reason, .. } => {
            !matches!(reason, Refusal::Busy | Refusal::Other(_))
        }
        _ => false,
    }
}

/// When to dial something the next time.
#[derive(Debug)]
pub(super) struct Backoff {
    last: Instant,
    failures: u32,
    /// What share of the wait is waited, so that nodes which failed together do not try again together.
    share: f64,
    hopeless: bool,
}

impl Backoff {
    /// Dials at `first`.
    pub(super) fn new(first: Instant) -> Self {
        Self { last: first, failures: 0, share: 0.0, hopeless: false }
    }

    /// An attempt failed, or a connection did not last.
    pub(super) fn failed(&mut self, now: Instant, hopeless: bool) {
        self.failures = (self.failures + 1).min(DOUBLINGS + 1);
        self.hopeless = hopeless;
        self.again(now);
    }

    /// A connection has lasted for long enough, and is over now.
    pub(super) fn ended(&mut self, now: Instant) {
        (self.failures, self.hopeless) = (1, false);
        self.again(now);
    }

    fn again(&mut self, now: Instant) {
        self.last = now;
        self.share = random::jitter(Duration::from_secs(1)).as_secs_f64();
    }

    /// When to dial next: with growing intervals up to `longest`, or where there is little hope, with long ones.
    pub(super) fn due(&self, longest: Duration, slow: bool) -> Instant {
        let wait = match (slow || self.hopeless, self.failures) {
            (_, 0) => return self.last,
            (true, _) => longest * SLOW_FACTOR,
            (false, failures) => longest / (1 << (DOUBLINGS + 1).saturating_sub(failures)),
        };
        self.last + wait.mul_f64(self.share)
    }
}

/// The first wait between two attempts.
pub(super) fn first_wait(longest: Duration) -> Duration {
    longest / (1 << DOUBLINGS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_over_after_a_connection_that_lasted() {
        let (start, longest) = (Instant::now(), Duration::from_secs(32));
        let mut backoff = Backoff::new(start);
        assert_eq!(backoff.due(longest, false), start);
        assert_eq!(backoff.due(longest, true), start);
        for expected in [1, 2, 4, 8, 16, 32, 32, 32] {
            backoff.failed(start, false);
            let wait = (backoff.due(longest, false) - start).as_secs_f64() / f64::from(expected);
            assert!((0.5..=1.0).contains(&wait), "{wait}");
        }
        backoff.ended(start);
        assert!(backoff.due(longest, false) - start <= first_wait(longest));
        backoff.failed(start, true);
        assert!(backoff.due(longest, false) - start >= longest * SLOW_FACTOR / 2);
        backoff.failed(start, false);
        assert!(backoff.due(longest, true) - start >= longest * SLOW_FACTOR / 2);
        assert!(backoff.due(longest, false) - start < longest);
    }
}
