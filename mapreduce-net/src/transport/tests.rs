//! Connections over real sockets on loopback: who gets in, who does not and is told why, and that the endpoint lives on.

mod attackers;
mod bounds;
mod streams;

use super::*;
use crate::{
    Identity, Role, Validity,
    pool_file::{ClientFile, MemberFile, PoolFile},
};
use std::{net::SocketAddr, time::Duration};
use tokio::{net::UdpSocket, sync::mpsc, task::JoinHandle};

/// Longer than anything takes that works, on any machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn pool() -> (MemberFile, ClientFile) {
    PoolFile::create(vec!["127.0.0.1".parse().unwrap()]).unwrap()
}

fn member(file: &MemberFile) -> Identity {
    Identity::member(file, Validity::default()).unwrap()
}

fn client(file: &ClientFile) -> Identity {
    Identity::client(file, Validity::default()).unwrap()
}

fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// A member that accepts all the time.
struct Listener {
    endpoint: Endpoint,
    accepted: mpsc::UnboundedReceiver<Connection>,
}

impl Listener {
    fn start(identity: Identity) -> Self {
        Self::with_limits(identity, &Limits::default())
    }

    fn with_limits(identity: Identity, limits: &Limits) -> Self {
        let (endpoint, mut acceptor) = Endpoint::listen(loopback(), identity, limits).unwrap();
        let (sender, accepted) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(connection) = acceptor.accept().await {
                let _ = sender.send(connection);
            }
        });
        Self { endpoint, accepted }
    }

    fn address(&self) -> SocketAddr {
        self.endpoint.local_address()
    }

    async fn next(&mut self) -> Connection {
        tokio::time::timeout(PATIENCE, self.accepted.recv()).await.unwrap().unwrap()
    }

    /// That `good` is connected to, and is the first whose connection comes up here.
    async fn serves_only(&mut self, good: &Identity) {
        let connection = dial(good, self.address(), Channel::Control).await.unwrap();
        let accepted = self.next().await;
        assert_eq!(accepted.peer_id(), good.node_id());
        assert!(self.accepted.try_recv().is_err());
        let mut stream = connection.open_uni().await.unwrap();
        stream.write_all(b"still here").await.unwrap();
        stream.finish().unwrap();
        assert_eq!(accepted.accept_uni().await.unwrap().read_to_end(100).await.unwrap(), b"still here");
    }
}

async fn dial(
    identity: &Identity,
    address: SocketAddr,
    channel: Channel,
) -> Result<Connection, ConnectError> {
    let (endpoint, _) = match identity.role() {
        Role::Member => {
            let (endpoint, acceptor) =
                Endpoint::listen(loopback(), identity.clone(), &Limits::default()).unwrap();
            (endpoint, Some(acceptor))
        }
        Role::Client => (Endpoint::dial_only(identity.clone(), &Limits::default()).unwrap(), None),
    };
    tokio::time::timeout(PATIENCE, endpoint.connect(address, channel)).await.unwrap()
}

#[tokio::test]
async fn members_and_clients_learn_who_the_other_side_is() {
    let (member_file, client_file) = pool();
    let host = member(&member_file);
    let mut listener = Listener::start(host.clone());
    for guest in [member(&member_file), client(&client_file)] {
        for channel in Channel::ALL {
            let connection = dial(&guest, listener.address(), channel).await.unwrap();
            let accepted = listener.next().await;
            assert_eq!((connection.channel(), accepted.channel()), (channel, channel));
            assert_eq!((connection.peer_role(), connection.peer_id()), (Role::Member, host.node_id()));
            assert_eq!((accepted.peer_role(), accepted.peer_id()), (guest.role(), guest.node_id()));
            assert_eq!(connection.remote_address(), listener.address());
        }
    }
}

#[tokio::test]
async fn either_side_of_a_connection_opens_streams() {
    let (member_file, client_file) = pool();
    let mut listener = Listener::start(member(&member_file));
    let connection = dial(&client(&client_file), listener.address(), Channel::Data).await.unwrap();
    let accepted = listener.next().await;
    for (one, other) in [(&connection, &accepted), (&accepted, &connection)] {
        let (mut send, mut receive) = one.open_bi().await.unwrap();
        send.write_all(b"ping").await.unwrap();
        send.finish().unwrap();
        let (mut answer, mut question) = other.accept_bi().await.unwrap();
        assert_eq!(question.read_to_end(10).await.unwrap(), b"ping");
        answer.write_all(b"pong").await.unwrap();
        answer.finish().unwrap();
        assert_eq!(receive.read_to_end(10).await.unwrap(), b"pong");
    }
}

#[tokio::test]
async fn one_endpoint_listens_and_dials() {
    let (file, _) = pool();
    let mut one = Listener::start(member(&file));
    let mut other = Listener::start(member(&file));
    one.endpoint.connect(other.address(), Channel::Control).await.unwrap();
    let accepted = other.next().await;
    assert_eq!(accepted.remote_address(), one.address(), "the listening socket is dialled from");
    other.endpoint.connect(one.address(), Channel::Control).await.unwrap();
    assert_eq!(one.next().await.peer_id(), other.endpoint.identity().node_id());
}

#[tokio::test]
async fn the_reason_of_a_close_reaches_the_other_side() {
    let (file, _) = pool();
    let mut listener = Listener::start(member(&file));
    let connection = dial(&member(&file), listener.address(), Channel::Control).await.unwrap();
    let accepted = listener.next().await;
    assert_eq!(accepted.close_reason(), None);
    accepted.close(7, "drained");
    let expected = ConnectionError::ClosedByPeer { code: 7, reason: "drained".to_owned() };
    assert_eq!(connection.closed().await, expected);
    assert_eq!(connection.close_reason(), Some(expected.clone()));
    assert_eq!(accepted.closed().await, ConnectionError::ClosedHere);
    assert_eq!(connection.open_uni().await.unwrap_err(), expected);
    assert_eq!(expected.to_string(), "closed by the other side: drained (code 7)");
}

#[tokio::test]
async fn a_closed_endpoint_ends_its_connections_and_its_acceptor() {
    let (file, _) = pool();
    let mut listener = Listener::start(member(&file));
    let connection = dial(&member(&file), listener.address(), Channel::Control).await.unwrap();
    let _accepted = listener.next().await;
    listener.endpoint.close(1, "bye");
    listener.endpoint.wait_idle().await;
    assert_eq!(listener.endpoint.connections(), 0);
    assert!(tokio::time::timeout(PATIENCE, listener.accepted.recv()).await.unwrap().is_none());
    let expected = ConnectionError::ClosedByPeer { code: 1, reason: "bye".to_owned() };
    assert_eq!(connection.closed().await, expected);
    let error = listener.endpoint.connect(loopback(), Channel::Data).await.unwrap_err();
    assert!(matches!(error, ConnectError::Address { .. }), "{error}");
}

/// Passes packets on between two sockets until it is aborted.
fn relay(socket: UdpSocket, one: SocketAddr, other: SocketAddr) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut packet = vec![0; 65_536];
        loop {
            // An error is news of a packet that could not be delivered: as good as a lost one.
            if let Ok((length, from)) = socket.recv_from(&mut packet).await {
                let _ = socket.send_to(&packet[..length], if from == one { other } else { one }).await;
            }
        }
    })
}

#[tokio::test]
async fn a_member_that_was_started_again_disowns_the_connections_of_the_one_before() {
    let (file, _) = pool();
    let mut listener = Listener::start(member(&file));
    let address = listener.address();
    let (endpoint, _acceptor) = Endpoint::listen(loopback(), member(&file), &Limits::default()).unwrap();
    let socket = UdpSocket::bind(loopback()).await.unwrap();
    let between = socket.local_addr().unwrap();
    let relaying = relay(socket, endpoint.local_address(), address);
    let connection = endpoint.connect(between, Channel::Control).await.unwrap();
    listener.next().await;

    // The network is gone while the first one ends, so that its last words are not heard: as if it had been killed.
    relaying.abort();
    assert!(relaying.await.unwrap_err().is_cancelled());
    listener.endpoint.close(0, "killed");
    drop(listener);
    let again = async {
        loop {
            match Endpoint::listen(address, member(&file), &Limits::default()) {
                Err(BindError::InUse { .. }) => tokio::task::yield_now().await,
                bound => return bound.unwrap(),
            }
        }
    };
    let _again = tokio::time::timeout(PATIENCE, again).await.unwrap();
    let _relaying = relay(UdpSocket::bind(between).await.unwrap(), endpoint.local_address(), address);

    assert_eq!(connection.close_reason(), None);
    let mut stream = connection.open_uni().await.unwrap();
    stream.write_all(b"are you the one I knew?").await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, connection.closed()).await.unwrap();
    assert_eq!(ended, ConnectionError::Reset);
}

#[test]
fn debug_output_shows_no_secret() {
    let (file, client_file) = pool();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let identity = member(&file);
        let (endpoint, acceptor) =
            Endpoint::listen(loopback(), identity.clone(), &Limits::default()).unwrap();
        let id = identity.node_id();
        let shown = format!("{identity:?}");
        assert_eq!(
            shown,
            format!("Identity {{ role: Member, node_id: {id:?}, pool: Some({:?}), .. }}", file.pool())
        );
        let all =
            format!("{endpoint:?} {acceptor:?} {:?} {:?}", client(&client_file), identity.server_config());
        for key in [&file.reset_secret(), &identity.reset_key(endpoint.local_address()).unwrap()] {
            assert!(!all.contains(&*key.to_base64()) && !all.contains(&format!("{:?}", key.expose())));
        }
    });
}
