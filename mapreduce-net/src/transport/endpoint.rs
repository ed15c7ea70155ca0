//! [`Endpoint`]: one UDP socket, and the connections over it.

use super::{Acceptor, BindError, Channel, ConnectError, Connection, ConnectionError, Limits};
use crate::{Identity, Role, secret::Secret, trust::MEMBER_NAME};
use quinn::{
    ConnectionId, ConnectionIdGenerator,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use socket2::SockRef;
use std::{
    fmt, io,
    net::{Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

/// One UDP socket of this process. Cheap to clone. Its connections outlive it; [`Endpoint::close`] ends them.
#[derive(Clone)]
pub struct Endpoint {
    inner: quinn::Endpoint,
    local: SocketAddr,
    identity: Identity,
    limits: Arc<Limits>,
    control: quinn::ClientConfig,
    data: quinn::ClientConfig,
}

impl Endpoint {
    /// Binds `listen` (port 0: one that the system chooses) for a member, and gives the endpoint with what accepts
    /// connections to it. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// The address is in use or not bindable, `identity` is a client, there is no runtime, or `limits` cannot work.
    pub fn listen(
        listen: SocketAddr,
        identity: Identity,
        limits: &Limits,
    ) -> Result<(Self, Acceptor), BindError> {
        if identity.role() != Role::Member {
            return Err(BindError::NotAMember);
        }
        let endpoint = Self::bind(listen, identity, limits)?;
        let crypto = QuicServerConfig::try_from(endpoint.identity.server_config())
            .expect("the provider has the cipher suite of QUIC's first packets");
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        limits.bound_server(&mut config);
        endpoint.inner.set_server_config(Some(config));
        let acceptor =
            Acceptor::new(endpoint.inner.clone(), endpoint.identity.clone(), endpoint.limits.clone());
        Ok((endpoint, acceptor))
    }

    /// An endpoint that only connects to others, on a port that the system chooses. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// No socket can be had, there is no runtime, or `limits` cannot work.
    pub fn dial_only(identity: Identity, limits: &Limits) -> Result<Self, BindError> {
        // An IPv6 socket reaches IPv4 addresses too, where it may; some machines have no IPv6.
        match Self::bind((Ipv6Addr::UNSPECIFIED, 0).into(), identity.clone(), limits) {
            Err(BindError::Address { .. }) => Self::bind(([0, 0, 0, 0], 0).into(), identity, limits),
            bound => bound,
        }
    }

    fn bind(address: SocketAddr, identity: Identity, limits: &Limits) -> Result<Self, BindError> {
        limits.check()?;
        let runtime = quinn::default_runtime().ok_or(BindError::NoRuntime)?;
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse { address },
            _ => BindError::Address { address, source },
        };
        let socket = UdpSocket::bind(address).map_err(failed)?;
        let local = socket.local_addr().map_err(failed)?;
        enlarge_buffers(&socket, limits.socket_buffer_bytes);
        let mut config = match identity.reset_key(local).or_else(Secret::random) {
            Some(key) => {
                quinn::EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, key.expose())))
            }
            None => return Err(failed(io::Error::other("the system gives no random numbers"))),
        };
        config.cid_generator(|| Box::new(RandomConnectionIds));
        limits.bound_endpoint(&mut config)?;
        let inner = quinn::Endpoint::new(config, None, socket, runtime).map_err(failed)?;
        let client = |channel| {
            let crypto = QuicClientConfig::try_from(identity.client_config(channel))
                .expect("the provider has the cipher suite of QUIC's first packets");
            let mut config = quinn::ClientConfig::new(Arc::new(crypto));
            config.transport_config(limits.transport(channel));
            config
        };
        let (control, data) = (client(Channel::Control), client(Channel::Data));
        Ok(Self { inner, local, limits: Arc::new(limits.clone()), control, data, identity })
    }

    /// The address the socket is bound to, with the port that the system chose.
    pub fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// Who this process is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Connects to the member at `address`. When this returns, both sides have verified each other.
    ///
    /// # Errors
    /// One side turned the other down (with the reason), nothing came back within
    /// [`Limits::connect_timeout_ms`], the address cannot be connected to, or the connection was lost.
    pub async fn connect(&self, address: SocketAddr, channel: Channel) -> Result<Connection, ConnectError> {
        let config = match channel {
            Channel::Control => self.control.clone(),
            Channel::Data => self.data.clone(),
        };
        let connecting = self.inner.connect_with(config, address, MEMBER_NAME).map_err(|error| {
            ConnectError::Address { address, local: self.local, message: error.to_string() }
        })?;
        let waited = self.limits.connect_timeout();
        let connected = async {
            let connection = connecting.await.map_err(|error| ConnectError::new(address, error))?;
            Connection::connected(connection, &self.identity).await
        };
        let connection = match tokio::time::timeout(waited, connected).await {
            Ok(connected) => connected?,
            Err(_) => return Err(ConnectError::TimedOut { address, waited }),
        };
        if connection.channel() == channel {
            return Ok(connection);
        }
        // TLS allows no answer that was not offered, so this is a member whose TLS is broken.
        connection.close(0, "wrong channel");
        let source = ConnectionError::Protocol("another channel was agreed on".to_owned());
        Err(ConnectError::Lost { address, source })
    }

    /// How many connections there are, in both directions.
    pub fn connections(&self) -> usize {
        self.inner.open_connections()
    }

    /// Closes all connections with `code` and `reason`, and makes no new ones.
    pub fn close(&self, code: u32, reason: &str) {
        self.inner.close(code.into(), reason.as_bytes());
    }

    /// Waits until all connections are over and the other sides were told. Call it after [`Endpoint::close`] and before
    /// the runtime ends, else they find out by their idle timeout.
    pub async fn wait_idle(&self) {
        self.inner.wait_idle().await;
    }
}

/// Asks for buffers of that size. The system grants what it allows: less makes transfers slower, not wrong.
fn enlarge_buffers(socket: &UdpSocket, bytes: usize) {
    let socket = SockRef::from(socket);
    for result in [socket.set_recv_buffer_size(bytes), socket.set_send_buffer_size(bytes)] {
        if let Err(error) = result {
            tracing::debug!(%error, bytes, "the socket keeps the buffers it has");
        }
    }
}

/// Connection ids that a process which was started again takes for its own: quinn's come with a check by a key of the
/// process, so that it would never send the stateless resets for which it has the right key.
struct RandomConnectionIds;

impl ConnectionIdGenerator for RandomConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; 8];
        // The certificate of this process could not have been made without.
        SystemRandom::new().fill(&mut id).expect("the system gives random numbers");
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        8
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("local", &self.local)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}
