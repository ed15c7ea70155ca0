//! Streams that a member passes on.

use super::*;

/// A member that says it is at an address where nobody is.
fn unreachable(pool: &Pool, through: &[&Peer]) -> Peer {
    Peer::start(MeshConfig { advertise: vec![address(free_address())], ..pool.member(through) })
}

/// A member in between, a member that cannot be dialled, and a client that has no connection with it.
async fn three(pool: &Pool) -> (Peer, Peer, Peer) {
    let between = Peer::start(pool.member(&[]));
    let hidden = unreachable(pool, &[&between]);
    hidden.until_linked(&[&between]).await;
    let client = Peer::start(pool.client(&[&between]));
    client.until("it was told", |client| client.knows(&[&between, &hidden])).await;
    between.until("the client is there", |between| between.is_linked(&[&hidden, &client])).await;
    (between, hidden, client)
}

#[tokio::test]
async fn a_member_that_cannot_be_dialled_is_reached_over_its_own_connections() {
    let pool = Pool::new();
    let a = Peer::start(pool.member(&[]));
    let mut hidden = unreachable(&pool, &[&a]);
    let mut b = Peer::start(pool.member(&[&a]));
    b.until_linked(&[&a, &hidden]).await;
    hidden.until_linked(&[&a, &b]).await;
    for channel in Channel::ALL {
        let incoming = converse(&b, &mut hidden, channel).await;
        assert_eq!(incoming.role, Role::Member);
        converse(&hidden, &mut b, channel).await;
    }
    assert_eq!(b.mesh.direct_address(hidden.id()), Some(hidden.mesh.local_address()));
}

#[tokio::test]
async fn a_client_reaches_a_member_that_cannot_be_dialled_through_another_and_is_reached_so() {
    let pool = Pool::new();
    let (_between, mut hidden, mut client) = three(&pool).await;
    for channel in Channel::ALL {
        let incoming = converse(&client, &mut hidden, channel).await;
        assert_eq!(incoming.role, Role::Client);
        assert!(!client.is_linked(&[&hidden]));
        let back = converse(&hidden, &mut client, channel).await;
        assert_eq!(back.role, Role::Member);
    }
}

#[tokio::test]
async fn clients_cannot_reach_each_other() {
    let pool = Pool::new();
    let between = Peer::start(pool.member(&[]));
    let a = Peer::start(pool.client(&[&between]));
    let b = Peer::start(pool.client(&[&between]));
    a.until_linked(&[&between]).await;
    between.until("both are there", |between| between.is_linked(&[&a, &b])).await;
    let error = within(a.mesh.open(b.id(), Channel::Control, &fetch(1))).await.unwrap_err();
    let text = error.to_string();
    let refused = format!("(code {})", node::reset::NOT_RELAYED);
    assert!(text.starts_with(&format!("node {} cannot be reached: ", b.id())), "{text}");
    assert!(text.contains(&refused), "{text}");
    let driver = Peer::start(MeshConfig { offer: None, listen: None, ..pool.member(&[&between]) });
    driver.until_linked(&[&between]).await;
    let mut a = a;
    converse(&driver, &mut a, Channel::Control).await;
}

#[tokio::test]
async fn bytes_resets_and_stops_are_passed_on_as_they_are() {
    let pool = Pool::new();
    let (_between, mut hidden, client) = three(&pool).await;
    let bytes: Vec<u8> = (0..9_000_000u32).map(|number| (number % 251) as u8).collect();

    // More than all windows hold, both ways at once.
    let (mut writer, mut reader) = client.open(hidden.id(), Channel::Data).await;
    let Incoming { writer: mut back, reader: mut forth, .. } = hidden.incoming().await;
    let (mut there, mut here) = (Vec::new(), Vec::new());
    let half = bytes.len() / 2;
    let sent = async {
        writer.write_raw(&bytes).await.unwrap();
        writer.finish().unwrap();
    };
    let answered = async {
        forth.read_raw(half, &mut there).await.unwrap();
        back.write_raw(&bytes).await.unwrap();
        back.finish().unwrap();
        forth.read_raw(bytes.len() - half, &mut there).await.unwrap();
    };
    within(async { tokio::join!(sent, answered, reader.read_raw(bytes.len(), &mut here)).2 }).await.unwrap();
    assert!(there == bytes && here == bytes);
    assert!(within(forth.next::<u8>()).await.unwrap().is_none());
    assert!(within(reader.next::<u8>()).await.unwrap().is_none());

    // A reset of either writer.
    let (mut writer, mut reader) = client.open(hidden.id(), Channel::Data).await;
    let Incoming { writer: mut back, reader: mut forth, .. } = hidden.incoming().await;
    writer.write_raw(b"begun").await.unwrap();
    within(forth.read_raw(5, &mut Vec::new())).await.unwrap();
    writer.stream().reset(77);
    let broken = within(forth.read_raw(1, &mut Vec::new())).await;
    assert!(matches!(broken, Err(WireError::Stream(StreamError::Reset { code: 77 }))), "{broken:?}");
    back.write_raw(b"begun").await.unwrap();
    within(reader.read_raw(5, &mut Vec::new())).await.unwrap();
    drop(back);
    let broken = within(reader.read_raw(1, &mut Vec::new())).await;
    assert!(matches!(broken, Err(WireError::Stream(StreamError::Reset { code: 0 }))), "{broken:?}");

    // A reader that wants no more, while nothing is written.
    let (mut writer, _reader) = client.open(hidden.id(), Channel::Data).await;
    let Incoming { writer: _back, reader: forth, .. } = hidden.incoming().await;
    forth.into_parts().1.stop(78);
    assert_eq!(within(writer.stream().stopped()).await, Ok(Some(78)));
}

#[tokio::test]
async fn a_slow_reader_holds_the_writer_up() {
    let pool = Pool::new();
    let (_between, mut hidden, client) = three(&pool).await;
    let (mut writer, _reader) = client.open(hidden.id(), Channel::Data).await;
    let Incoming { mut reader, writer: _writer, .. } = hidden.incoming().await;
    // Windows of a stream, and what is sent and not yet acknowledged, on two connections.
    let bound = (2 * (16 + 4)) << 20;
    let chunk = vec![1; 1 << 20];
    let written = std::cell::Cell::new(0);
    let write = async {
        while written.get() < 4 * bound {
            writer.write_raw(&chunk).await.unwrap();
            written.set(written.get() + chunk.len());
        }
    };
    assert!(timeout(Duration::from_millis(500), write).await.is_err(), "nobody has read a byte");
    assert!(written.get() < bound, "{}", written.get());
    let mut read = Vec::new();
    within(reader.read_raw(written.get(), &mut read)).await.unwrap();
}

#[tokio::test]
async fn a_stream_whose_relay_dies_does_not_end_as_if_it_were_whole() {
    let pool = Pool::new();
    let (between, mut hidden, client) = three(&pool).await;
    let (mut writer, mut reader) = client.open(hidden.id(), Channel::Control).await;
    let mut incoming = hidden.incoming().await;
    writer.send(&1u8).await.unwrap();
    incoming.writer.send(&2u8).await.unwrap();
    assert_eq!(within(incoming.reader.expect::<u8>()).await.unwrap(), 1);
    assert_eq!(within(reader.expect::<u8>()).await.unwrap(), 2);
    drop(between);
    for reader in [&mut reader, &mut incoming.reader] {
        let broken = within(reader.next::<u8>()).await;
        assert!(matches!(broken, Err(WireError::Stream(_))), "{broken:?}");
    }
}

#[tokio::test]
async fn as_many_streams_as_are_passed_on_at_once_are_bounded() {
    let pool = Pool::new();
    let (between, mut hidden, client) = three(&pool).await;
    let all =
        between.mesh.node().relayed.clone().acquire_many_owned(relay::RELAYED_MAX as u32 - 1).await.unwrap();
    let (writer, reader) = client.open(hidden.id(), Channel::Control).await;
    let incoming = hidden.incoming().await;
    let error = within(client.mesh.open(hidden.id(), Channel::Control, &fetch(1))).await.unwrap_err();
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
    // Both halves have to be over, then there is room again.
    drop((writer, reader, incoming));
    within(between.mesh.node().relayed.acquire()).await.unwrap().forget();
    between.mesh.node().relayed.add_permits(1);
    drop(all);
    client.open(hidden.id(), Channel::Control).await;
}
