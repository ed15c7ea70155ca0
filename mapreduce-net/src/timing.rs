//! [`Timing`]: how often nodes tell each other that they live, and how long they wait to hear of it.

use std::time::Duration;

/// The intervals and patience of a node. The defaults suit networks with round trips up to some hundred milliseconds.
///
/// ```
/// use mapreduce_net::Timing;
/// assert_eq!(Timing::default().lease.as_secs(), 5);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How often a driver asks a peer that works for it whether it is there; default 200 ms. Costs two packets of some
    /// 50 bytes each time.
    pub ping: Duration,
    /// The same for a peer that has no task of the driver; default 1 s.
    pub ping_idle: Duration,
    /// Unanswered pings after which a peer is suspected: it gets no new task, and its tasks get backups; default 2.
    pub misses_max: u32,
    /// Silence after which a driver gives a peer up, and a peer a driver; default 5 s. Longer keeps work waiting for what
    /// is dead; shorter gives up what a busy network or machine holds up.
    pub lease: Duration,
    /// How often a member tells another one what it knows of the pool; default 1 s.
    pub gossip: Duration,
    /// Silence, as seen through all others, after which a member counts as gone; default 10 s.
    pub member_timeout: Duration,
    /// The longest wait between two attempts to reach a node; the first is a 32nd of it. Default 4 s.
    pub reconnect_max: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ping: Duration::from_millis(200),
            ping_idle: Duration::from_secs(1),
            misses_max: 2,
            lease: Duration::from_secs(5),
            gossip: Duration::from_secs(1),
            member_timeout: Duration::from_secs(10),
            reconnect_max: Duration::from_secs(4),
        }
    }
}
