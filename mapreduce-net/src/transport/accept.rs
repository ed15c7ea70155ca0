//! [`Acceptor`]: the connections of others, with a bound on what strangers can ask for.

use super::{Connection, ConnectionError, Limits, connection::canonical};
use crate::Identity;
use std::{fmt, net::SocketAddr, sync::Arc};
use tokio::task::JoinSet;

/// Gives the connections that others make to an [`Endpoint`](super::Endpoint). Dropping it ends the handshakes under way
/// and accepts no more; connections that exist go on.
pub struct Acceptor {
    endpoint: quinn::Endpoint,
    identity: Identity,
    limits: Arc<Limits>,
    handshakes: JoinSet<Result<Connection, (SocketAddr, ConnectionError)>>,
    refused: u64,
}

impl Acceptor {
    pub(super) fn new(endpoint: quinn::Endpoint, identity: Identity, limits: Arc<Limits>) -> Self {
        Self { endpoint, identity, limits, handshakes: JoinSet::new(), refused: 0 }
    }

    /// The next connection whose two sides have verified each other; `None` once the endpoint is closed. Cancel-safe.
    ///
    /// Several handshakes are under way at once, so nobody waits for one that is slow. Those that fail are counted
    /// ([`Acceptor::refused`]), logged at level debug, and otherwise not seen. Keep calling it: newcomers are looked at
    /// only here.
    pub async fn accept(&mut self) -> Option<Connection> {
        loop {
            tokio::select! {
                Some(done) = self.handshakes.join_next() => match done {
                    Ok(Ok(connection)) => return Some(connection),
                    Ok(Err((address, error))) => {
                        self.refused += 1;
                        tracing::debug!(%address, %error, "a handshake failed");
                    }
                    // A handshake that panicked is its own loss; it cannot be cancelled while this is polled.
                    Err(error) => {
                        self.refused += 1;
                        tracing::error!(%error, "a handshake panicked");
                    }
                },
                incoming = self.endpoint.accept() => self.begin(incoming?),
            }
        }
    }

    /// How many handshakes failed or were turned down.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Starts the handshake of a newcomer, or turns it down if there are too many.
    fn begin(&mut self, incoming: quinn::Incoming) {
        let under_way = self.handshakes.len();
        let address = canonical(incoming.remote_address());
        if under_way >= self.limits.handshakes_max
            || self.endpoint.open_connections() >= self.limits.connections_max
        {
            self.refused += 1;
            tracing::debug!(%address, "turned down a handshake: too many connections or handshakes");
            incoming.refuse();
        } else if under_way >= self.limits.handshakes_unvalidated_max && !incoming.remote_address_validated()
        {
            if let Err(error) = incoming.retry() {
                // It has retried already, with a token that is not right.
                self.refused += 1;
                error.into_incoming().refuse();
            }
        } else {
            let (identity, limits) = (self.identity.clone(), self.limits.clone());
            self.handshakes.spawn(async move {
                handshake(incoming, &identity, &limits).await.map_err(|error| (address, error))
            });
        }
    }
}

async fn handshake(
    incoming: quinn::Incoming,
    identity: &Identity,
    limits: &Limits,
) -> Result<Connection, ConnectionError> {
    let accepted = async {
        let connection =
            incoming.accept().map_err(ConnectionError::new)?.await.map_err(ConnectionError::new)?;
        Connection::accepted(connection, identity, limits).await
    };
    // Dropping a handshake closes it.
    tokio::time::timeout(limits.handshake_timeout(), accepted).await.unwrap_or(Err(ConnectionError::TimedOut))
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor")
            .field("handshakes", &self.handshakes.len())
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}
