//! What a peer logs, on standard error.

use std::io;
use tracing::Level;
use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Crates below this one, whose events say more about packets and handshakes than about the pool.
const BELOW: [&str; 4] = ["quinn", "quinn_proto", "quinn_udp", "rustls"];

/// Writes events from `level` on to standard error, unless the program has a subscriber already.
pub(super) fn subscribe(level: Level) {
    let targets =
        Targets::new().with_default(level).with_targets(BELOW.map(|target| (target, level.min(Level::WARN))));
    let lines = fmt::layer().with_writer(io::stderr).with_target(false);
    // With a subscriber of the program's own, that one gets the events.
    let _ = tracing_subscriber::registry().with(targets).with(lines).try_init();
}
