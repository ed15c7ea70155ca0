//! Authenticated, encrypted and bounded connections between processes of a pool.
//!
//! An [`Endpoint`] is one UDP socket. It connects to members with [`Endpoint::connect`]; a member's endpoint also comes
//! with an [`Acceptor`], which gives the connections of others. Either way a [`Connection`] exists only after both sides
//! have verified each other's certificate, and it says who the other side is ([`Role`](crate::Role) and
//! [`NodeId`](crate::NodeId)). Control messages and data use separate connections ([`Channel`]), so that neither waits
//! for the other's windows. Once it exists, both sides may open streams.
//!
//! Connecting takes two round trips: one for the handshake, and one for the **welcome**, a one-byte stream that the
//! accepting side opens when it has verified the connecting one. In TLS 1.3 the connecting side is done before the
//! other has seen its certificate; without the welcome, a refusal would come up at some later read.
//!
//! All types are this crate's own: quinn and rustls can be replaced without a change to their users. It runs on tokio.
//!
//! ```
//! use mapreduce_net::{Identity, Role, Validity, pool_file::PoolFile, transport::{Channel, Endpoint, Limits}};
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let (member, client) = PoolFile::create(vec!["127.0.0.1".parse()?])?;
//! let peer = Identity::member(&member, Validity::default())?;
//! let (endpoint, mut acceptor) = Endpoint::listen("127.0.0.1:0".parse()?, peer, &Limits::default())?;
//!
//! let driver = Endpoint::dial_only(Identity::client(&client, Validity::default())?, &Limits::default())?;
//! let (to_peer, from_driver) =
//!     tokio::join!(driver.connect(endpoint.local_address(), Channel::Control), acceptor.accept());
//! let (to_peer, from_driver) = (to_peer?, from_driver.ok_or("the endpoint was closed")?);
//! assert_eq!((to_peer.peer_role(), from_driver.peer_role()), (Role::Member, Role::Client));
//!
//! let mut question = to_peer.open_uni().await?;
//! question.write_all(b"status?").await?;
//! question.finish()?;
//! assert_eq!(from_driver.accept_uni().await?.read_to_end(100).await?, b"status?");
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accept;
mod connection;
mod endpoint;
mod error;
mod limits;
mod stream;

pub use accept::Acceptor;
pub use connection::Connection;
pub use endpoint::Endpoint;
pub use error::{BindError, ConnectError, ConnectionError, Refusal, StreamError};
pub use limits::{ChannelLimits, Limits, LimitsError};
pub use stream::{Chunk, RecvStream, SendStream};

/// What a connection is for. Each has its own name in the TLS handshake (ALPN), with the version of its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Messages: small and many, and not to wait behind data.
    Control,
    /// Splits, runs and broadcast values: large and few.
    Data,
}

impl Channel {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Control, Self::Data];

    /// The name and version by which the two sides agree on the protocol.
    pub const fn alpn(self) -> &'static str {
        match self {
            Self::Control => "mapreduce-control/2",
            Self::Data => "mapreduce-data/2",
        }
    }

    fn from_alpn(alpn: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.alpn().as_bytes() == alpn)
    }
}

#[cfg(test)]
mod tests;
