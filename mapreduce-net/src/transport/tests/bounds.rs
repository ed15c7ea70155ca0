//! Garbage, floods, silence, and addresses that cannot be had.

use super::*;
use proptest::{strategy::ValueTree, test_runner::TestRunner};

/// The first packets that a process sends when it connects.
async fn first_packets(identity: &Identity) -> Vec<Vec<u8>> {
    let socket = UdpSocket::bind(loopback()).await.unwrap();
    let (endpoint, _acceptor) = Endpoint::listen(loopback(), identity.clone(), &Limits::default()).unwrap();
    let address = socket.local_addr().unwrap();
    let mut packet = vec![0; 2_000];
    tokio::select! {
        result = endpoint.connect(address, Channel::Control) => panic!("{result:?}"),
        length = socket.recv(&mut packet) => packet.truncate(length.unwrap()),
    }
    vec![packet]
}

#[tokio::test]
async fn garbage_on_the_port_does_no_harm() {
    let (file, _) = pool();
    let good = member(&file);
    let mut listener = Listener::start(member(&file));
    let socket = std::net::UdpSocket::bind(loopback()).unwrap();
    let first = first_packets(&good).await;
    let mut runner = TestRunner::deterministic();
    let bytes = proptest::collection::vec(proptest::num::u8::ANY, 0..1_400);
    for round in 0..500usize {
        let noise = proptest::strategy::Strategy::new_tree(&bytes, &mut runner).unwrap().current();
        socket.send_to(&noise, listener.address()).unwrap();
        // Packets that begin as they should, and are then broken somewhere.
        let mut broken = first[0].clone();
        let at = round * 7 % broken.len();
        broken[at] ^= 1 + (round % 255) as u8;
        broken.truncate(broken.len() - round % 3);
        socket.send_to(&broken, listener.address()).unwrap();
        if round % 100 == 0 {
            listener.serves_only(&good).await;
        }
    }
    listener.serves_only(&good).await;
}

#[tokio::test]
async fn too_many_handshakes_are_refused_as_busy_until_they_time_out() {
    let (file, _) = pool();
    let good = member(&file);
    let limits = Limits { handshakes_max: 1, handshake_timeout_ms: 1_000, ..Limits::default() };
    let mut listener = Listener::with_limits(member(&file), &limits);
    // Someone begins a handshake and never goes on.
    let socket = UdpSocket::bind(loopback()).await.unwrap();
    socket.send_to(&first_packets(&good).await[0], listener.address()).await.unwrap();
    let mut answer = [0; 2_000];
    tokio::time::timeout(PATIENCE, socket.recv(&mut answer)).await.unwrap().unwrap();
    let error = dial(&good, listener.address(), Channel::Control).await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused { reason: Refusal::Busy, .. }), "{error}");
    let served = async { while dial(&good, listener.address(), Channel::Control).await.is_err() {} };
    tokio::time::timeout(PATIENCE, served).await.unwrap();
    assert_eq!(listener.next().await.peer_id(), good.node_id());
}

#[tokio::test]
async fn newcomers_prove_their_address_when_many_come() {
    let (file, _) = pool();
    let good = member(&file);
    let limits = Limits { handshakes_unvalidated_max: 0, ..Limits::default() };
    let mut listener = Listener::with_limits(member(&file), &limits);
    listener.serves_only(&good).await;
    // Without the proof there is one answer, a Retry (RFC 9000, section 17.2.5), and no handshake.
    let socket = UdpSocket::bind(loopback()).await.unwrap();
    socket.send_to(&first_packets(&good).await[0], listener.address()).await.unwrap();
    let mut answer = [0; 2_000];
    let length = tokio::time::timeout(PATIENCE, socket.recv(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer[0] & 0b1011_0000, 0b1011_0000);
    assert!(length < 200, "no more is sent to an address that may be forged than came from it");
}

#[tokio::test]
async fn too_many_connections_are_refused_as_busy() {
    let (file, _) = pool();
    let good = member(&file);
    let limits = Limits { connections_max: 1, ..Limits::default() };
    let mut listener = Listener::with_limits(member(&file), &limits);
    let first = dial(&good, listener.address(), Channel::Control).await.unwrap();
    let accepted = listener.next().await;
    let error = dial(&good, listener.address(), Channel::Control).await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused { reason: Refusal::Busy, .. }), "{error}");
    assert!(error.to_string().ends_with("there are too many connections or handshakes; try again later"));
    first.close(0, "done");
    accepted.closed().await;
    let served = async { while dial(&good, listener.address(), Channel::Control).await.is_err() {} };
    tokio::time::timeout(PATIENCE, served).await.unwrap();
}

#[tokio::test]
async fn silence_is_told_with_how_long_was_waited() {
    let silent = UdpSocket::bind(loopback()).await.unwrap();
    let address = silent.local_addr().unwrap();
    let limits = Limits { connect_timeout_ms: 100, ..Limits::default() };
    let endpoint = Endpoint::dial_only(client(&pool().1), &limits).unwrap();
    let error = endpoint.connect(address, Channel::Control).await.unwrap_err();
    let expected = format!(
        "{address} did not answer within 100 ms; is a peer running there, and does the network let UDP through?"
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_silent_side_is_lost_after_the_idle_timeout() {
    let (file, _) = pool();
    let limits = Limits { idle_timeout_ms: 1_000, keep_alive_ms: 200, ..Limits::default() };
    let mut listener = Listener::with_limits(member(&file), &limits);
    let socket = UdpSocket::bind(loopback()).await.unwrap();
    let between = socket.local_addr().unwrap();
    let (endpoint, _acceptor) = Endpoint::listen(loopback(), member(&file), &limits).unwrap();
    let relaying = relay(socket, endpoint.local_address(), listener.address());
    let connection = endpoint.connect(between, Channel::Control).await.unwrap();
    let accepted = listener.next().await;
    relaying.abort();
    for side in [connection, accepted] {
        assert_eq!(tokio::time::timeout(PATIENCE, side.closed()).await.unwrap(), ConnectionError::TimedOut);
    }
}

#[tokio::test]
async fn addresses_that_cannot_be_had_are_named() {
    let (file, _) = pool();
    let socket = UdpSocket::bind(loopback()).await.unwrap();
    let taken = socket.local_addr().unwrap();
    let listen = |address| Endpoint::listen(address, member(&file), &Limits::default()).unwrap_err();
    let expected = format!("{taken} is in use; stop the other program, or listen on another port");
    assert_eq!(listen(taken).to_string(), expected);
    let elsewhere: SocketAddr = ([192, 0, 2, 1], 0).into();
    assert!(matches!(listen(elsewhere), BindError::Address { address, .. } if address == elsewhere));
}

#[test]
fn an_endpoint_outside_a_runtime_is_an_error() {
    let error = Endpoint::dial_only(client(&pool().1), &Limits::default()).unwrap_err();
    assert!(matches!(error, BindError::NoRuntime));
}

#[tokio::test]
async fn limits_that_cannot_work_make_no_endpoint() {
    let limits = Limits { idle_timeout_ms: 0, ..Limits::default() };
    let error = Endpoint::dial_only(client(&pool().1), &limits).unwrap_err();
    assert_eq!(error.to_string(), "limit `idle_timeout_ms`: must not be 0");
}

#[tokio::test]
async fn ports_that_cannot_be_connected_to_are_named() {
    let endpoint = Endpoint::dial_only(client(&pool().1), &Limits::default()).unwrap();
    let error = endpoint.connect(loopback(), Channel::Control).await.unwrap_err();
    assert!(matches!(error, ConnectError::Address { address, .. } if address == loopback()), "{error}");
}
