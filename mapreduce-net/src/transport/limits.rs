//! [`Limits`]: every window, count and timeout of the transport, and the settings of QUIC that follow from them.

use super::Channel;
use quinn::{EndpointConfig, IdleTimeout, MtuDiscoveryConfig, ServerConfig, TransportConfig, VarInt};
use std::{sync::Arc, time::Duration};

/// The bounds of an endpoint and its connections. All have defaults; change single fields.
///
/// The memory that others can make a process hold is at most `connections_max` times the windows of a channel. Members
/// and clients are authenticated before they get a window, so this bounds mistakes rather than attacks; what strangers
/// can make it hold is bounded by the `handshake` and `incoming` fields (some MiB by default).
///
/// ```
/// use mapreduce_net::transport::Limits;
/// let limits = Limits { idle_timeout_ms: 60_000, ..Limits::default() };
/// assert!(limits.check().is_ok());
/// assert!(Limits { handshakes_max: 0, ..Limits::default() }.check().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Milliseconds without a packet after which a connection is lost; default 20 000. Longer keeps what is dead for
    /// longer; shorter loses connections of starved processes and of networks that change. (Leases, which are shorter,
    /// decide who gets work.)
    pub idle_timeout_ms: u32,
    /// Milliseconds of silence after which a connection sends a packet to stay alive, and to keep the mapping of a NAT
    /// (typically 30 s); default 5 000, less than half of `idle_timeout_ms`. Costs one packet of about 40 bytes each way.
    pub keep_alive_ms: u32,
    /// Milliseconds that [`Endpoint::connect`](super::Endpoint::connect) takes at most; default 5 000.
    pub connect_timeout_ms: u32,
    /// Milliseconds that someone who connects has until the handshake is over; default 5 000.
    pub handshake_timeout_ms: u32,
    /// Handshakes of others that are under way at once; more are refused as busy. Default 64; each costs some tens
    /// of KiB and under a millisecond of processor time.
    pub handshakes_max: usize,
    /// Handshakes under way above which a newcomer has to show, at the cost of one more round trip, that it can be
    /// reached at the address it says it has (QUIC's Retry); default 16. It keeps forged addresses from taking the rest.
    pub handshakes_unvalidated_max: usize,
    /// First packets that wait to be looked at; more are refused. Default 256; each costs 1.5 KiB.
    pub incoming_max: usize,
    /// Bytes of further packets that are kept for those that wait; default 1 MiB in all, and a 16th of it for each.
    pub incoming_bytes_max: u64,
    /// Connections of this endpoint, in both directions, above which others are refused as busy; default 1 024.
    pub connections_max: usize,
    /// Streams and windows of control connections. Default 64 streams each way, 4 MiB received and 4 MiB sent.
    pub control: ChannelLimits,
    /// Streams and windows of data connections. Default 64 streams each way, 16 MiB received and 16 MiB sent.
    pub data: ChannelLimits,
    /// Bytes that one stream may be ahead of its reader; default 2 MiB. Together with the round trip it bounds the rate
    /// of a stream: 2 MiB is 20 MB/s at 100 ms, 2 GB/s at 1 ms.
    pub stream_window_bytes: u32,
    /// The largest UDP payload that is looked for and accepted; default 1 452 bytes, what fits an Ethernet frame with
    /// IPv6. More (up to 65 527) helps on loopback and networks with jumbo frames, and costs receive buffers in proportion.
    pub mtu_max_bytes: u16,
    /// Bytes of the socket's own buffers, for each direction; default 4 MiB. What arrives while they are full is lost and
    /// sent again: with the 208 KiB that Linux gives by itself, a fast stream on loopback loses packets all the time. The
    /// system may grant less (Linux: `net.core.rmem_max` and `wmem_max`).
    pub socket_buffer_bytes: usize,
    /// Bytes of handshake data that may arrive out of order; default 16 KiB for each connection.
    pub crypto_buffer_bytes: usize,
}

/// The bounds of the connections of one [`Channel`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelLimits {
    /// Streams that the other side may have open at once, for each of the two kinds. Each retains some memory even when
    /// it is idle, up to the stream's window when its reader is slow.
    pub streams_max: u32,
    /// Bytes received on all streams of a connection that were not read yet: its memory when the reader is slow.
    pub receive_window_bytes: u32,
    /// Bytes sent on all streams of a connection that were not acknowledged yet: its memory when the network is slow.
    pub send_window_bytes: u32,
}

const MIB: u32 = 1024 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            idle_timeout_ms: 20_000,
            keep_alive_ms: 5_000,
            connect_timeout_ms: 5_000,
            handshake_timeout_ms: 5_000,
            handshakes_max: 64,
            handshakes_unvalidated_max: 16,
            incoming_max: 256,
            incoming_bytes_max: u64::from(MIB),
            connections_max: 1_024,
            control: ChannelLimits {
                streams_max: 64,
                receive_window_bytes: 4 * MIB,
                send_window_bytes: 4 * MIB,
            },
            data: ChannelLimits {
                streams_max: 64,
                receive_window_bytes: 16 * MIB,
                send_window_bytes: 16 * MIB,
            },
            stream_window_bytes: 2 * MIB,
            mtu_max_bytes: 1_452,
            socket_buffer_bytes: 4 << 20,
            crypto_buffer_bytes: 16 * 1024,
        }
    }
}

/// A field of [`Limits`] has a value with which nothing would work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("limit `{field}`: {reason}")]
pub struct LimitsError {
    /// The field.
    pub field: &'static str,
    /// What it must be.
    pub reason: &'static str,
}

/// What QUIC sends before it knows what the path carries, and the least it works with (RFC 9000, section 14).
const MTU_MIN_BYTES: u16 = 1_200;

impl Limits {
    /// Whether the fields are such that connections work.
    ///
    /// # Errors
    /// Names the first field that is not.
    pub fn check(&self) -> Result<(), LimitsError> {
        let positive = "must not be 0";
        let rules = [
            ("idle_timeout_ms", self.idle_timeout_ms > 0, positive),
            (
                "keep_alive_ms",
                self.keep_alive_ms > 0 && self.keep_alive_ms < self.idle_timeout_ms / 2,
                "must be from 1 to less than half of `idle_timeout_ms`",
            ),
            ("connect_timeout_ms", self.connect_timeout_ms > 0, positive),
            ("handshake_timeout_ms", self.handshake_timeout_ms > 0, positive),
            ("handshakes_max", self.handshakes_max > 0, positive),
            ("incoming_max", self.incoming_max > 0, positive),
            ("connections_max", self.connections_max > 0, positive),
            ("control.streams_max", self.control.streams_max > 0, positive),
            ("data.streams_max", self.data.streams_max > 0, positive),
            (
                "control.receive_window_bytes",
                self.control.receive_window_bytes >= 1_024,
                "must be at least 1024",
            ),
            ("data.receive_window_bytes", self.data.receive_window_bytes >= 1_024, "must be at least 1024"),
            ("control.send_window_bytes", self.control.send_window_bytes >= 1_024, "must be at least 1024"),
            ("data.send_window_bytes", self.data.send_window_bytes >= 1_024, "must be at least 1024"),
            ("stream_window_bytes", self.stream_window_bytes >= 1_024, "must be at least 1024"),
            (
                "mtu_max_bytes",
                (MTU_MIN_BYTES..=65_527).contains(&self.mtu_max_bytes),
                "must be from 1200 to 65527",
            ),
            ("socket_buffer_bytes", self.socket_buffer_bytes > 0, positive),
            ("crypto_buffer_bytes", self.crypto_buffer_bytes >= 4_096, "must be at least 4096"),
        ];
        match rules.into_iter().find(|(_, holds, _)| !holds) {
            Some((field, _, reason)) => Err(LimitsError { field, reason }),
            None => Ok(()),
        }
    }

    /// The same for a process with a budget of memory: a window of data connections is at most a 32nd of it, and at least
    /// 1 MiB. Each connection may take as much in each direction. From 512 MiB on the defaults are as they are.
    ///
    /// ```
    /// use mapreduce_net::transport::Limits;
    /// let windows = |budget| Limits::default().within(budget).data.receive_window_bytes >> 20;
    /// assert_eq!([1 << 20, 64 << 20, 1 << 30].map(windows), [1, 2, 16]);
    /// ```
    #[must_use]
    pub fn within(&self, budget_bytes: u64) -> Self {
        let window_max = u32::try_from(budget_bytes / 32).unwrap_or(u32::MAX).max(MIB);
        let data = ChannelLimits {
            receive_window_bytes: self.data.receive_window_bytes.min(window_max),
            send_window_bytes: self.data.send_window_bytes.min(window_max),
            ..self.data
        };
        Self { stream_window_bytes: self.stream_window_bytes.min(window_max), data, ..self.clone() }
    }

    pub(super) fn channel(&self, channel: Channel) -> &ChannelLimits {
        match channel {
            Channel::Control => &self.control,
            Channel::Data => &self.data,
        }
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms.into())
    }

    pub(super) fn handshake_timeout(&self) -> Duration {
        Duration::from_millis(self.handshake_timeout_ms.into())
    }

    /// The settings of a connection. What quinn leaves unlimited or generous by default is set here, the rest is left to
    /// it: loss detection, Cubic, segmentation offload, fairness between streams.
    pub(super) fn transport(&self, channel: Channel) -> Arc<TransportConfig> {
        let ChannelLimits { streams_max, receive_window_bytes, send_window_bytes } = *self.channel(channel);
        let mut discovery = MtuDiscoveryConfig::default();
        discovery.upper_bound(self.mtu_max_bytes);
        let mut config = TransportConfig::default();
        config
            .max_concurrent_bidi_streams(streams_max.into())
            .max_concurrent_uni_streams(streams_max.into())
            .stream_receive_window(self.stream_window_bytes.into())
            .receive_window(receive_window_bytes.into())
            .send_window(send_window_bytes.into())
            .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(self.idle_timeout_ms))))
            .keep_alive_interval(Some(Duration::from_millis(self.keep_alive_ms.into())))
            .initial_mtu(MTU_MIN_BYTES)
            .min_mtu(MTU_MIN_BYTES)
            .mtu_discovery_config(Some(discovery))
            .crypto_buffer_size(self.crypto_buffer_bytes)
            // Datagrams are not used; nobody may fill a buffer with them.
            .datagram_receive_buffer_size(None)
            .datagram_send_buffer_size(0);
        Arc::new(config)
    }

    /// Which channel a newcomer wants is known after its handshake only: until then it gets the control connection's
    /// settings.
    pub(super) fn bound_server(&self, config: &mut ServerConfig) {
        config
            .transport_config(self.transport(Channel::Control))
            .max_incoming(self.incoming_max)
            .incoming_buffer_size(self.incoming_bytes_max / 16)
            .incoming_buffer_size_total(self.incoming_bytes_max)
            // A laptop that changes networks keeps its connections.
            .migration(true);
    }

    pub(super) fn bound_endpoint(&self, config: &mut EndpointConfig) -> Result<(), LimitsError> {
        config
            .max_udp_payload_size(self.mtu_max_bytes)
            .map(|_| ())
            .map_err(|_| LimitsError { field: "mtu_max_bytes", reason: "must be from 1200 to 65527" })
    }

    /// Gives an accepted connection the windows of its channel.
    pub(super) fn bound_accepted(&self, connection: &quinn::Connection, channel: Channel) {
        let ChannelLimits { streams_max, receive_window_bytes, send_window_bytes } = *self.channel(channel);
        connection.set_max_concurrent_bi_streams(streams_max.into());
        connection.set_max_concurrent_uni_streams(streams_max.into());
        connection.set_receive_window(receive_window_bytes.into());
        connection.set_send_window(send_window_bytes.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_cannot_work_are_named() {
        assert_eq!(Limits::default().check(), Ok(()));
        let with = |change: fn(&mut Limits)| {
            let mut limits = Limits::default();
            change(&mut limits);
            limits.check().unwrap_err().to_string()
        };
        assert_eq!(with(|limits| limits.connections_max = 0), "limit `connections_max`: must not be 0");
        assert_eq!(
            with(|limits| limits.keep_alive_ms = 10_000),
            "limit `keep_alive_ms`: must be from 1 to less than half of `idle_timeout_ms`"
        );
        assert_eq!(
            with(|limits| limits.mtu_max_bytes = 1_199),
            "limit `mtu_max_bytes`: must be from 1200 to 65527"
        );
        assert_eq!(with(|limits| limits.data.streams_max = 0), "limit `data.streams_max`: must not be 0");
    }
}
