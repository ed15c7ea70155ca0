//! Asks a host whether a process still listens on a UDP port.
//!
//! A process that is killed says nothing, but the host that it ran on answers what is sent to its port with "port
//! unreachable" (ICMP; RFC 792, RFC 4443), which a connected socket reports. The answer is a hint: it is not
//! authenticated, so only peers that are silent anyway are asked about.

use std::{io, net::SocketAddr, time::Duration};
use tokio::{net::UdpSocket, time::timeout};

/// Too short for a QUIC packet: a process that is there ignores it without an answer.
const QUESTION: &[u8] = &[0];

/// Whether the host of `address` says within `patience` that nobody listens there. Any doubt is a no: no answer, no
/// route, no socket.
pub(super) async fn is_refused(address: SocketAddr, patience: Duration) -> bool {
    let unspecified: SocketAddr = match address {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0u16; 8], 0).into(),
    };
    let asked = async {
        let socket = UdpSocket::bind(unspecified).await?;
        socket.connect(address).await?;
        socket.send(QUESTION).await?;
        socket.recv(&mut [0]).await
    };
    match timeout(patience, asked).await {
        // Windows calls it a reset.
        Ok(Err(error)) => {
            matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)
        }
        Ok(Ok(_)) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_port_that_was_closed_is_refused_and_an_open_one_is_not() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(socket) = UdpSocket::bind(host).await else { continue };
            let address = socket.local_addr().unwrap();
            assert!(!is_refused(address, Duration::from_millis(50)).await, "{address}");
            drop(socket);
            assert!(is_refused(address, PATIENCE).await, "{address}");
        }
    }

    #[tokio::test]
    async fn an_answer_or_an_address_without_a_way_is_no_refusal() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let echo = async {
            let (_, from) = socket.recv_from(&mut [0; 8]).await.unwrap();
            socket.send_to(b"x", from).await.unwrap();
        };
        assert!(!tokio::join!(is_refused(address, PATIENCE), echo).0);
        // Without the option for it, nobody may send to the broadcast address.
        assert!(!is_refused(([255, 255, 255, 255], 7077).into(), PATIENCE).await);
    }
}
