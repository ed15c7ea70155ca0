//! What can go wrong with endpoints, connections and streams.

use super::LimitsError;
use quinn::{TransportErrorCode, VarInt};
use std::{fmt, io, net::SocketAddr, time::Duration};

/// Why no endpoint was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another socket has the address.
    #[error("{address} is in use; stop the other program, or listen on another port")]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; listen on an address of this machine, or on 0.0.0.0")]
    Address {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A client was to be listened for: nobody would trust it as a server.
    #[error("only members can be connected to; use the member file of the pool")]
    NotAMember,
    /// There is no tokio runtime in this thread.
    #[error("the transport needs a tokio runtime; call it from inside one")]
    NoRuntime,
    /// The bounds are such that nothing would work.
    #[error(transparent)]
    Limits(#[from] LimitsError),
}

/// Why one side of a handshake turned the other down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The certificate is of another pool, or made from a secret that was replaced.
    OtherPool,
    /// The certificate has expired or is not valid yet by the clock of who verified it.
    NotValidNow,
    /// There was no certificate.
    NoCertificate,
    /// The certificate does not allow what it was used for: a client posed as a member.
    NotAMember,
    /// The certificate, or the proof that the sender holds its key, is false or malformed.
    BadCertificate,
    /// The two sides have no version of the protocol in common.
    Protocol,
    /// There were too many handshakes or connections.
    Busy,
    /// Something else, with QUIC's code for it.
    Other(u64),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherPool => "the certificate is of another pool or of a secret that was replaced; use files of the same pool",
            Self::NotValidNow => "the certificate has expired or is not valid yet; check the clocks of both machines",
            Self::NoCertificate => "no certificate was shown",
            Self::NotAMember => "the certificate is not that of a member; use the member file of the pool",
            Self::BadCertificate => "the certificate is false or malformed",
            Self::Protocol => "the builds speak different versions of the protocol; use the same one on both machines",
            Self::Busy => "there are too many connections or handshakes; try again later",
            Self::Other(code) => return write!(f, "QUIC error {code:#x}"),
        })
    }
}

impl Refusal {
    /// What a code of the transport or of TLS (RFC 9001, section 4.8; alerts in RFC 8446, section 6.2) means here.
    fn from_code(code: TransportErrorCode) -> Self {
        const CRYPTO: u64 = 0x100;
        match u64::from(code) {
            0x02 => Self::Busy,
            // unknown_ca
            code if code == CRYPTO + 48 => Self::OtherPool,
            // certificate_expired
            code if code == CRYPTO + 45 => Self::NotValidNow,
            // certificate_required
            code if code == CRYPTO + 116 => Self::NoCertificate,
            // bad_certificate is what rustls says of a missing name, unsupported_certificate of a missing usage.
            code if code == CRYPTO + 42 || code == CRYPTO + 43 => Self::NotAMember,
            // certificate_unknown, access_denied, decode_error, decrypt_error
            code if [46, 49, 50, 51].map(|alert| CRYPTO + alert).contains(&code) => Self::BadCertificate,
            // no_application_protocol, protocol_version
            code if code == CRYPTO + 120 || code == CRYPTO + 70 => Self::Protocol,
            code => Self::Other(code),
        }
    }
}

/// Why [`Endpoint::connect`](super::Endpoint::connect) gave no connection. No byte of a job was exchanged then.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The other side turned this process down.
    #[error("{address} refused this process: {reason}")]
    Refused {
        /// The other side.
        address: SocketAddr,
        /// Why.
        reason: Refusal,
    },
    /// This process turned the other side down.
    #[error("{address} is not trusted: {reason}")]
    Untrusted {
        /// The other side.
        address: SocketAddr,
        /// Why.
        reason: Refusal,
    },
    /// Nothing came back in time.
    #[error(
        "{address} did not answer within {} ms; is a peer running there, and does the network let UDP through?",
        waited.as_millis()
    )]
    TimedOut {
        /// The other side.
        address: SocketAddr,
        /// How long was waited.
        waited: Duration,
    },
    /// The address cannot be connected to from this endpoint.
    #[error("{address} cannot be connected to from {local}: {message}")]
    Address {
        /// The other side.
        address: SocketAddr,
        /// The address of this endpoint.
        local: SocketAddr,
        /// Why.
        message: String,
    },
    /// The connection was lost before it was usable.
    #[error("the connection to {address} was lost: {source}")]
    Lost {
        /// The other side.
        address: SocketAddr,
        /// How.
        source: ConnectionError,
    },
}

impl ConnectError {
    /// Sorts out what ended a handshake.
    pub(super) fn new(address: SocketAddr, error: quinn::ConnectionError) -> Self {
        match &error {
            quinn::ConnectionError::ConnectionClosed(close) => {
                Self::Refused { address, reason: Refusal::from_code(close.error_code) }
            }
            quinn::ConnectionError::TransportError(local) if u64::from(local.code) >= 0x100 => {
                // That a member of the own pool speaks no common protocol is found out by either side.
                Self::Untrusted { address, reason: Refusal::from_code(local.code) }
            }
            quinn::ConnectionError::VersionMismatch => Self::Refused { address, reason: Refusal::Protocol },
            _ => Self::Lost { address, source: ConnectionError::new(error) },
        }
    }
}

/// Why a connection is no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The other side closed it, with a code and a reason.
    #[error("closed by the other side: {reason} (code {code})")]
    ClosedByPeer {
        /// What [`Connection::close`](super::Connection::close) was given there.
        code: u64,
        /// What it was given there, with what is not UTF-8 replaced.
        reason: String,
    },
    /// This side closed it.
    #[error("closed by this side")]
    ClosedHere,
    /// Nothing was heard for the idle timeout.
    #[error("nothing was heard from the other side for the idle timeout")]
    TimedOut,
    /// The other side does not know the connection: it was started again.
    #[error("the other side was started again")]
    Reset,
    /// The other side's transport ended it.
    #[error("refused by the other side: {0}")]
    Refused(Refusal),
    /// The other side broke the protocol, or the welcome was not what it should be.
    #[error("the protocol was broken: {0}")]
    Protocol(String),
}

impl ConnectionError {
    pub(super) fn new(error: quinn::ConnectionError) -> Self {
        match error {
            quinn::ConnectionError::ApplicationClosed(close) => Self::ClosedByPeer {
                code: close.error_code.into_inner(),
                reason: String::from_utf8_lossy(&close.reason).into_owned(),
            },
            quinn::ConnectionError::ConnectionClosed(close) => {
                Self::Refused(Refusal::from_code(close.error_code))
            }
            quinn::ConnectionError::LocallyClosed => Self::ClosedHere,
            quinn::ConnectionError::TimedOut => Self::TimedOut,
            quinn::ConnectionError::Reset => Self::Reset,
            error => Self::Protocol(error.to_string()),
        }
    }
}

/// Why a stream could not be written or read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The connection is no more.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The writer gave the stream up. What was read so far is not whole.
    #[error("the stream was given up by its writer (code {code})")]
    Reset {
        /// What [`SendStream::reset`](super::SendStream::reset) was given, or
        /// [`SendStream::ABANDONED`](super::SendStream::ABANDONED).
        code: u64,
    },
    /// The reader wants no more.
    #[error("the stream was given up by its reader (code {code})")]
    Stopped {
        /// What [`RecvStream::stop`](super::RecvStream::stop) was given there.
        code: u64,
    },
    /// The stream was finished, reset or stopped on this side before.
    #[error("the stream is over on this side")]
    Over,
    /// The stream ended before what was asked for.
    #[error("the stream ended {missing} bytes early")]
    Truncated {
        /// How many bytes were missing.
        missing: usize,
    },
    /// The stream is longer than the reader takes.
    #[error("the stream is longer than {limit} bytes")]
    TooLong {
        /// How many it takes.
        limit: usize,
    },
}

impl StreamError {
    pub(super) fn of_write(error: quinn::WriteError) -> Self {
        match error {
            quinn::WriteError::Stopped(code) => Self::Stopped { code: VarInt::into_inner(code) },
            quinn::WriteError::ConnectionLost(error) => Self::Connection(ConnectionError::new(error)),
            // Early data is off, so nothing else happens to a stream.
            quinn::WriteError::ClosedStream | quinn::WriteError::ZeroRttRejected => Self::Over,
        }
    }

    pub(super) fn of_read(error: quinn::ReadError) -> Self {
        match error {
            quinn::ReadError::Reset(code) => Self::Reset { code: VarInt::into_inner(code) },
            quinn::ReadError::ConnectionLost(error) => Self::Connection(ConnectionError::new(error)),
            // Early data is off and all reads are ordered, so nothing else happens to a stream.
            quinn::ReadError::ClosedStream
            | quinn::ReadError::IllegalOrderedRead
            | quinn::ReadError::ZeroRttRejected => Self::Over,
        }
    }
}
