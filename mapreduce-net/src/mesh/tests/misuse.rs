//! Nodes that do what they may not.

use super::*;
use crate::{transport::ConnectionError, wire::message::Gossip};

/// A connection to `peer` by hand.
async fn connect(peer: &Peer, identity: Identity, channel: Channel) -> (Endpoint, Connection) {
    let endpoint = Endpoint::dial_only(identity, &Limits::default()).unwrap();
    let connection = within(endpoint.connect(peer.mesh.local_address(), channel)).await.unwrap();
    (endpoint, connection)
}

fn client(pool: &Pool) -> Identity {
    Identity::client(&pool.client, Validity::default()).unwrap()
}

fn member(pool: &Pool) -> Identity {
    Identity::member(&pool.member, Validity::default()).unwrap()
}

async fn stream(connection: &Connection) -> (FrameWriter, FrameReader) {
    let (send, receive) = within(connection.open_bi()).await.unwrap();
    (FrameWriter::new(send), FrameReader::new(receive))
}

fn hello(table: Vec<Record>) -> Open {
    Open::Membership(Hello { your_address: "10.0.0.1:1".to_owned(), table })
}

fn record(node: NodeId) -> Record {
    own_record(node, Offer { threads: 1, jobs: Vec::new() }, vec!["127.0.0.1:1".to_owned()])
}

/// Waits for `connection` to be closed because of a breach of the protocol.
async fn is_closed(connection: &Connection, why: &str) {
    match within(connection.closed()).await {
        ConnectionError::ClosedByPeer { code, reason } => {
            assert_eq!(code, u64::from(close::PROTOCOL));
            assert!(reason.contains(why), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_client_that_tells_of_members_is_thrown_out() {
    let pool = Pool::new();
    let peer = Peer::start(pool.member(&[]));
    for later in [false, true] {
        let identity = client(&pool);
        let posed = vec![record(identity.node_id())];
        let (_endpoint, connection) = connect(&peer, identity, Channel::Control).await;
        let (mut writer, _reader) = stream(&connection).await;
        if later {
            writer.send(&hello(Vec::new())).await.unwrap();
            writer.send(&Gossip::Table(posed)).await.unwrap();
        } else {
            writer.send(&hello(posed)).await.unwrap();
        }
        is_closed(&connection, "a client told of members").await;
        assert_eq!(peer.mesh.members().len(), 1);
    }
}

#[tokio::test]
async fn a_client_does_not_decide_where_others_dial() {
    let pool = Pool::new();
    let mut peer = Peer::start(MeshConfig { listen: Some(([0, 0, 0, 0], 0).into()), ..pool.member(&[]) });
    let endpoint = Endpoint::dial_only(client(&pool), &Limits::default()).unwrap();
    let at = ([127, 0, 0, 1], peer.mesh.local_address().port()).into();
    let connection = within(endpoint.connect(at, Channel::Control)).await.unwrap();
    let (mut writer, mut reader) = stream(&connection).await;
    writer.send(&hello(Vec::new())).await.unwrap();
    assert!(matches!(within(reader.expect::<Gossip>()).await.unwrap(), Gossip::Hello(_)));
    // Whatever was to follow from the hello has followed when the answer to the next message is there.
    let session = Open::Session { name: "a client".to_owned() };
    let (mut writer, _reader) = stream(&connection).await;
    writer.send(&session).await.unwrap();
    assert_eq!(peer.incoming().await.role, Role::Client);
    assert!(peer.mesh.addresses().is_empty());
}

#[tokio::test]
async fn members_that_break_the_protocol_of_membership_are_thrown_out() {
    let pool = Pool::new();
    let peer = Peer::start(pool.member(&[]));
    let connected = || connect(&peer, member(&pool), Channel::Control);

    let (_endpoint, connection) = connected().await;
    let (mut writer, _reader) = stream(&connection).await;
    let mut wide = record(connection.peer_id());
    wide.node = NodeId::from_bytes([9; 16]);
    wide.addresses = vec!["a:1".to_owned(); 9];
    writer.send(&hello(vec![wide])).await.unwrap();
    is_closed(&connection, "more than 8 addresses").await;

    let (_endpoint, connection) = connected().await;
    let (mut writer, _reader) = stream(&connection).await;
    writer.send(&hello(Vec::new())).await.unwrap();
    let again = Hello { your_address: String::new(), table: Vec::new() };
    writer.send(&Gossip::Hello(again)).await.unwrap();
    is_closed(&connection, "a second hello").await;

    let (_endpoint, connection) = connected().await;
    let (mut writer, _reader) = stream(&connection).await;
    writer.send(&hello(Vec::new())).await.unwrap();
    let (mut second, _second_reader) = stream(&connection).await;
    second.send(&hello(Vec::new())).await.unwrap();
    is_closed(&connection, "no place here").await;

    let (_endpoint, connection) = connect(&peer, member(&pool), Channel::Data).await;
    let (mut writer, _reader) = stream(&connection).await;
    writer.send(&hello(Vec::new())).await.unwrap();
    is_closed(&connection, "no place here").await;

    assert_eq!(peer.mesh.members().len(), 1);
}

#[tokio::test]
async fn a_client_that_poses_as_a_member_that_passes_streams_on_is_thrown_out() {
    let pool = Pool::new();
    let peer = Peer::start(pool.member(&[]));
    let (_endpoint, connection) = connect(&peer, client(&pool), Channel::Data).await;
    let (mut writer, _reader) = stream(&connection).await;
    writer.send(&Open::Relayed { from: NodeId::from_bytes([1; 16]), from_member: true }).await.unwrap();
    is_closed(&connection, "a client posed").await;
}

#[tokio::test]
async fn a_stream_that_makes_no_sense_is_reset_and_the_connection_lives() {
    let pool = Pool::new();
    let mut peer = Peer::start(pool.member(&[]));
    let (_endpoint, connection) = connect(&peer, member(&pool), Channel::Control).await;
    let relayed = || Open::Relayed { from: NodeId::from_bytes([1; 16]), from_member: false };
    let refused = async |messages: &[Open], raw: &[u8]| {
        let (mut writer, mut reader) = stream(&connection).await;
        for message in messages {
            writer.put(message).unwrap();
        }
        writer.write_raw(raw).await.unwrap();
        writer.finish().unwrap();
        match within(reader.next::<Open>()).await {
            Err(WireError::Stream(StreamError::Reset { code })) => code as u32,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(&[], &[0xff; 64]).await, node::reset::PROTOCOL);
    assert_eq!(refused(&[], &[3, 0, 0, 0, 0xff, 0xff, 0xff]).await, node::reset::PROTOCOL);
    assert_eq!(refused(&[], &[3, 0]).await, node::reset::PROTOCOL);
    let own = Open::Relayed { from: peer.id(), from_member: true };
    for nested in [relayed(), Open::Relay { to: peer.id() }, hello(Vec::new())] {
        assert_eq!(refused(&[relayed(), nested], &[]).await, node::reset::PROTOCOL);
    }
    assert_eq!(refused(&[own, fetch(1)], &[]).await, node::reset::PROTOCOL);
    let nobody = Open::Relay { to: NodeId::from_bytes([8; 16]) };
    assert_eq!(refused(&[nobody, fetch(1)], &[]).await, node::reset::NOT_RELAYED);

    let (mut writer, _reader) = stream(&connection).await;
    writer.send(&fetch(5)).await.unwrap();
    assert_eq!(number(&peer.incoming().await.open), 5);
    let (mut writer, _reader) = stream(&connection).await;
    writer.put(&relayed()).unwrap();
    writer.send(&fetch(6)).await.unwrap();
    let passed_on = peer.incoming().await;
    assert_eq!((passed_on.from, passed_on.role), (NodeId::from_bytes([1; 16]), Role::Client));
}

#[tokio::test]
async fn a_stream_that_says_nothing_is_reset_after_a_while() {
    let pool = Pool::new();
    let mut config = pool.member(&[]);
    config.limits.handshake_timeout_ms = 300;
    let peer = Peer::start(config);
    let (_endpoint, connection) = connect(&peer, client(&pool), Channel::Data).await;
    let (mut writer, mut reader) = stream(&connection).await;
    writer.write_raw(&[1]).await.unwrap();
    let reset = within(reader.next::<Open>()).await;
    assert!(matches!(reset, Err(WireError::Stream(StreamError::Reset { .. }))), "{reset:?}");
}

#[tokio::test]
async fn of_many_connections_with_one_node_the_oldest_are_closed() {
    let pool = Pool::new();
    let peer = Peer::start(pool.member(&[]));
    let endpoint = Endpoint::dial_only(client(&pool), &Limits::default()).unwrap();
    let dial = || endpoint.connect(peer.mesh.local_address(), Channel::Control);
    let mut connections = Vec::new();
    for _ in 0..5 {
        connections.push(within(dial()).await.unwrap());
    }
    let closed = within(connections[0].closed()).await;
    let surplus = u64::from(close::SURPLUS);
    assert!(matches!(closed, ConnectionError::ClosedByPeer { code, .. } if code == surplus), "{closed:?}");
    assert!(connections[1..].iter().all(|connection| connection.close_reason().is_none()));
}
