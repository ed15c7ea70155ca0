//! Which connection a stream takes.

use super::*;

#[tokio::test]
async fn streams_are_opened_both_ways_on_one_control_connection() {
    let pool = Pool::new();
    let mut a = Peer::start(pool.member(&[]));
    let mut b = Peer::start(pool.member(&[&a]));
    a.until_linked(&[&b]).await;
    b.until_linked(&[&a]).await;
    assert_eq!(converse(&a, &mut b, Channel::Control).await.role, Role::Member);
    assert_eq!(converse(&b, &mut a, Channel::Control).await.role, Role::Member);
    assert_eq!(a.links(&b, Channel::Control), 1);
}

#[tokio::test]
async fn all_who_want_a_data_connection_share_one() {
    let pool = Pool::new();
    let a = Peer::start(pool.member(&[]));
    let mut b = Peer::start(pool.member(&[&a]));
    a.until_linked(&[&b]).await;
    b.until_linked(&[&a]).await;
    let (mesh, to) = (a.mesh.clone(), b.id());
    let opened: Vec<_> = (0..8)
        .map(|number| {
            let mesh = mesh.clone();
            tokio::spawn(async move { mesh.open(to, Channel::Data, &fetch(number)).await.unwrap() })
        })
        .collect();
    let mut numbers: Vec<u64> = Vec::new();
    for _ in 0..8 {
        numbers.push(number(&b.incoming().await.open));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..8).collect::<Vec<_>>());
    for stream in opened {
        within(stream).await.unwrap();
    }
    assert_eq!((a.links(&b, Channel::Data), a.links(&b, Channel::Control)), (1, 1));
    // The other side uses the same.
    let mut a = a;
    converse(&b, &mut a, Channel::Data).await;
    assert_eq!(b.links(&a, Channel::Data), 1);
}

#[tokio::test]
async fn a_peer_that_fetches_of_a_driver_gets_a_data_connection_from_it() {
    let pool = Pool::new();
    let peer = Peer::start(pool.member(&[]));
    let mut driver = Peer::start(pool.client(&[&peer]));
    driver.until_linked(&[&peer]).await;
    peer.until("the driver is there", |peer| peer.is_linked(&[&driver])).await;
    // Nobody dials a driver, so the first one takes the control connection.
    converse(&peer, &mut driver, Channel::Data).await;
    peer.until("the driver has dialled", |peer| peer.links(&driver, Channel::Data) == 1).await;
    converse(&peer, &mut driver, Channel::Data).await;
    assert_eq!(driver.links(&peer, Channel::Data), 1);
}

#[tokio::test]
async fn a_stream_to_a_member_just_heard_of_waits_for_the_connection_with_it() {
    let pool = Pool::new();
    let a = Peer::start(pool.member(&[]));
    let mut b = Peer::start(pool.member(&[&a]));
    a.until_linked(&[&b]).await;
    let client = Peer::start(pool.client(&[&a]));
    let mut events = client.mesh.events();
    loop {
        if let Some(MemberEvent::Joined(member)) = within(events.next()).await
            && member.node == b.id()
        {
            break;
        }
    }
    converse(&client, &mut b, Channel::Control).await;
    assert!(client.is_linked(&[&b]), "it was not passed on");
}

#[tokio::test]
async fn who_cannot_be_reached_is_named_with_the_reason() {
    let pool = Pool::new();
    let a = Peer::start(pool.member(&[]));
    let nobody = NodeId::from_bytes([3; 16]);
    for (to, reason) in [
        (nobody, "there is no connection with it, and there is no member in between"),
        (a.id(), "it is this node itself"),
    ] {
        let error = within(a.mesh.open(to, Channel::Data, &fetch(1))).await.unwrap_err();
        assert_eq!(error.to_string(), format!("node {to} cannot be reached: {reason}"));
    }
}

#[tokio::test]
async fn streams_that_nobody_takes_wait() {
    let pool = Pool::new();
    let a = Peer::start(pool.member(&[]));
    let mut b = Peer::start(pool.member(&[&a]));
    b.until_linked(&[&a]).await;
    a.until_linked(&[&b]).await;
    // More than wait at the receiver, fewer than a connection allows with what is open already.
    let count = 60;
    let mut streams = Vec::new();
    for number in 0..count {
        streams.push(within(a.mesh.open(b.id(), Channel::Data, &fetch(number))).await.unwrap());
    }
    for number in count..2 * count {
        streams.push(within(a.mesh.open(b.id(), Channel::Control, &fetch(number))).await.unwrap());
    }
    let mut numbers = Vec::new();
    for _ in 0..2 * count {
        numbers.push(number(&b.incoming().await.open));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..2 * count).collect::<Vec<_>>());
}
