//! [`Connection`]: a connection to a party whose role and id are known.

use super::{Channel, ConnectError, ConnectionError, Limits, RecvStream, SendStream};
use crate::{Identity, NodeId, Role};
use quinn::crypto::rustls::HandshakeData;
use rustls::pki_types::CertificateDer;
use std::{fmt, net::SocketAddr};

/// A connection whose sides have verified each other. Cheap to clone; it is closed when the last clone is dropped,
/// which throws away what is still under way.
#[derive(Clone)]
pub struct Connection {
    inner: quinn::Connection,
    channel: Channel,
    role: Role,
    node_id: NodeId,
}

/// The one stream of the transport itself, from the accepting side, once it has verified the connecting one.
const WELCOME: &[u8] = b"\x01";

impl Connection {
    /// What a finished handshake says of the other side.
    fn new(inner: quinn::Connection, identity: &Identity) -> Result<Self, ConnectionError> {
        let broken = |message: &str| ConnectionError::Protocol(message.to_owned());
        let channel = inner
            .handshake_data()
            .and_then(|data| data.downcast::<HandshakeData>().ok())
            .and_then(|data| Channel::from_alpn(&data.protocol?))
            .ok_or_else(|| broken("no channel was agreed on"))?;
        let chain = inner
            .peer_identity()
            .and_then(|chain| chain.downcast::<Vec<CertificateDer<'static>>>().ok())
            .ok_or_else(|| broken("no certificate was shown"))?;
        // The handshake has verified the chain already; this asks again which of the authorities signed it.
        let (role, node_id) = identity.identify(&chain).map_err(|error| broken(&error.to_string()))?;
        Ok(Self { inner, channel, role, node_id })
    }

    /// The accepting side of a handshake that is over.
    pub(super) async fn accepted(
        inner: quinn::Connection,
        identity: &Identity,
        limits: &Limits,
    ) -> Result<Self, ConnectionError> {
        let connection = Self::new(inner, identity)?;
        limits.bound_accepted(&connection.inner, connection.channel);
        let mut welcome = connection.inner.open_uni().await.map_err(ConnectionError::new)?;
        let lost = |_| connection.closed_now();
        welcome.write_all(WELCOME).await.map_err(lost)?;
        welcome.finish().map_err(|_| connection.closed_now())?;
        Ok(connection)
    }

    /// The connecting side of a handshake that is over: waits until the other side is content, too.
    pub(super) async fn connected(
        inner: quinn::Connection,
        identity: &Identity,
    ) -> Result<Self, ConnectError> {
        let address = canonical(inner.remote_address());
        let mut stream = inner.accept_uni().await.map_err(|error| ConnectError::new(address, error))?;
        let source = match stream.read_to_end(WELCOME.len()).await {
            Ok(bytes) if bytes == WELCOME => match Self::new(inner.clone(), identity) {
                Ok(connection) => return Ok(connection),
                Err(error) => error,
            },
            Err(quinn::ReadToEndError::Read(quinn::ReadError::ConnectionLost(error))) => {
                return Err(ConnectError::new(address, error));
            }
            _ => ConnectionError::Protocol("the welcome was not that of a member".to_owned()),
        };
        inner.close(0u32.into(), b"no welcome");
        Err(ConnectError::Lost { address, source })
    }

    /// What the connection is for.
    pub fn channel(&self) -> Channel {
        self.channel
    }

    /// What the other side may do; always [`Role::Member`] on the connecting side.
    pub fn peer_role(&self) -> Role {
        self.role
    }

    /// Who the other side is.
    pub fn peer_id(&self) -> NodeId {
        self.node_id
    }

    /// Where the other side's packets come from now; changes when it changes networks.
    pub fn remote_address(&self) -> SocketAddr {
        canonical(self.inner.remote_address())
    }

    /// Opens a stream to the other side; waits while there are as many as the other side allows.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn open_uni(&self) -> Result<SendStream, ConnectionError> {
        let send = self.inner.open_uni().await.map_err(ConnectionError::new)?;
        Ok(SendStream::new(send, self.inner.clone()))
    }

    /// Opens a stream in both directions; waits while there are as many as the other side allows.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn open_bi(&self) -> Result<(SendStream, RecvStream), ConnectionError> {
        let (send, receive) = self.inner.open_bi().await.map_err(ConnectionError::new)?;
        Ok((SendStream::new(send, self.inner.clone()), RecvStream::new(receive)))
    }

    /// The next stream that the other side opened to this one. Cancel-safe.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn accept_uni(&self) -> Result<RecvStream, ConnectionError> {
        self.inner.accept_uni().await.map(RecvStream::new).map_err(ConnectionError::new)
    }

    /// The next stream in both directions that the other side opened. Cancel-safe.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn accept_bi(&self) -> Result<(SendStream, RecvStream), ConnectionError> {
        let (send, receive) = self.inner.accept_bi().await.map_err(ConnectionError::new)?;
        Ok((SendStream::new(send, self.inner.clone()), RecvStream::new(receive)))
    }

    /// Closes the connection at once, also for all clones. The other side sees `code` and `reason` (of which QUIC carries
    /// what fits a packet); what is under way is thrown away, so only the side that reads last closes.
    pub fn close(&self, code: u32, reason: &str) {
        self.inner.close(code.into(), reason.as_bytes());
    }

    /// Waits until the connection is no more, and says why.
    pub async fn closed(&self) -> ConnectionError {
        ConnectionError::new(self.inner.closed().await)
    }

    /// Why the connection is no more; `None` while it is.
    pub fn close_reason(&self) -> Option<ConnectionError> {
        self.inner.close_reason().map(ConnectionError::new)
    }

    fn closed_now(&self) -> ConnectionError {
        let unknown = || ConnectionError::Protocol("the welcome was turned down".to_owned());
        self.close_reason().unwrap_or_else(unknown)
    }
}

/// An IPv4 address as such, also where an IPv6 socket sees it as one of IPv6.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("channel", &self.channel)
            .field("peer_role", &self.role)
            .field("peer_id", &self.node_id)
            .field("remote_address", &self.remote_address())
            .finish_non_exhaustive()
    }
}
