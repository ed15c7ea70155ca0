//! Who finds whom, who is told of what, and who is dialled again.

use super::*;

#[tokio::test]
async fn members_find_each_other_through_one_of_them() {
    let pool = Pool::new();
    let founder = Peer::start(pool.member(&[]));
    let b = Peer::start(pool.member(&[&founder]));
    let c = Peer::start(pool.member(&[&founder]));
    within(c.mesh.connected()).await;
    let all = [&founder, &b, &c];
    for (index, peer) in all.iter().enumerate() {
        let others: Vec<&Peer> =
            all.iter().enumerate().filter(|(i, _)| *i != index).map(|(_, p)| *p).collect();
        peer.until_linked(&others).await;
        let members = peer.mesh.members();
        assert_eq!(members.len(), 3);
        assert!(members.is_sorted_by_key(|member| member.node));
        let own = members.iter().find(|member| member.node == peer.id()).unwrap();
        assert_eq!(own.addresses, [peer.mesh.local_address().to_string()]);
        assert_eq!((own.addresses.clone(), own.threads), (peer.mesh.addresses(), 2));
        assert_eq!(own.build, env!("CARGO_PKG_VERSION"));
    }
    assert_eq!(b.mesh.dialled().len(), 1);
    assert_eq!(b.mesh.dialled()[0].problem, None);
    assert_eq!(b.mesh.direct_address(c.id()), Some(c.mesh.local_address()));
}

#[tokio::test]
async fn the_pool_outlives_its_founder_and_others_join_through_who_is_left() {
    let pool = Pool::new();
    let quick = |mut config: MeshConfig| {
        config.timing.member_timeout = Duration::from_secs(2);
        config
    };
    let founder = Peer::start(quick(pool.member(&[])));
    let b = Peer::start(quick(pool.member(&[&founder])));
    let c = Peer::start(quick(pool.member(&[&founder])));
    b.until_linked(&[&founder, &c]).await;
    let mut events = b.mesh.events();
    let joined = [within(events.next()).await.unwrap(), within(events.next()).await.unwrap()];
    assert!(joined.iter().all(|event| matches!(event, MemberEvent::Joined(_))), "{joined:?}");

    founder.mesh.close();
    let d = Peer::start(quick(pool.member(&[&founder, &b])));
    d.until_linked(&[&b, &c]).await;
    b.until("the founder is lost", |b| !b.knows(&[&founder])).await;
    let (mut lost, mut come) = (Vec::new(), Vec::new());
    while lost.is_empty() || come.is_empty() {
        match within(events.next()).await.unwrap() {
            MemberEvent::Lost(node) => lost.push(node),
            MemberEvent::Joined(member) => come.push(member.node),
            MemberEvent::Changed(_) => {}
            event @ MemberEvent::Left(_) => panic!("{event:?}"),
        }
    }
    assert_eq!((lost, come), (vec![founder.id()], vec![d.id()]));
    assert!(b.knows(&[&c, &d]));

    // Who leaves is gone at once, and was not lost.
    within(c.mesh.leave()).await;
    for peer in [&b, &d] {
        peer.until("one has left", |peer| !peer.knows(&[&c])).await;
    }
    assert_eq!(within(events.next()).await, Some(MemberEvent::Left(c.id())));
}

#[tokio::test]
async fn clients_hear_of_members_that_come_and_go_and_are_no_members() {
    let pool = Pool::new();
    let a = Peer::start(pool.member(&[]));
    let client = Peer::start(pool.client(&[&a]));
    client.until_linked(&[&a]).await;
    assert!(client.mesh.addresses().is_empty());
    let b = Peer::start(pool.member(&[&a]));
    client.until_linked(&[&a, &b]).await;
    b.until("the client has dialled it", |b| b.is_linked(&[&client])).await;
    assert_eq!(client.mesh.members().len(), 2);
    assert_eq!(b.mesh.members().len(), 2);

    let driver = Peer::start(MeshConfig { offer: None, listen: None, ..pool.member(&[&b]) });
    driver.until_linked(&[&a, &b]).await;
    within(b.mesh.leave()).await;
    for node in [&client, &driver] {
        node.until("one has left", |node| !node.knows(&[&b])).await;
        assert_eq!(node.mesh.members().len(), 1);
    }
}

#[tokio::test]
async fn a_client_keeps_hearing_that_the_only_member_lives() {
    let pool = Pool::new();
    let timing = Timing {
        gossip: Duration::from_millis(20),
        member_timeout: Duration::from_millis(1_500),
        ..Timing::default()
    };
    let a = Peer::start(MeshConfig { timing: timing.clone(), ..pool.member(&[]) });
    let clients: Vec<Peer> =
        (0..5).map(|_| Peer::start(MeshConfig { timing: timing.clone(), ..pool.client(&[&a]) })).collect();
    for client in &clients {
        client.until_linked(&[&a]).await;
    }
    // Nothing is to happen for longer than the member timeout.
    let mut events = clients[4].mesh.events();
    assert!(matches!(within(events.next()).await, Some(MemberEvent::Joined(_))));
    assert!(timeout(Duration::from_secs(3), events.next()).await.is_err());
}

#[tokio::test]
async fn a_node_bound_to_all_addresses_learns_where_it_is_reached() {
    let pool = Pool::new();
    let a = Peer::start(MeshConfig { listen: Some(([0, 0, 0, 0], 0).into()), ..pool.member(&[]) });
    assert!(a.mesh.addresses().is_empty());
    let at: SocketAddr = ([127, 0, 0, 1], a.mesh.local_address().port()).into();
    let b = Peer::start(MeshConfig { join: vec![address(at)], ..pool.member(&[]) });
    b.until("the address has come around", |b| {
        b.mesh.members().iter().any(|member| member.node == a.id() && member.addresses == [at.to_string()])
    })
    .await;
    assert_eq!(a.mesh.addresses(), [at.to_string()]);

    let told =
        Peer::start(MeshConfig { advertise: vec!["peer.example:9".parse().unwrap()], ..pool.member(&[&b]) });
    assert_eq!(told.mesh.addresses(), ["peer.example:9"]);
    a.until("it is told of", |a| a.knows(&[&told])).await;
}

#[tokio::test]
async fn a_node_does_not_join_through_itself_and_says_so() {
    let pool = Pool::new();
    let own = free_address();
    let a = Peer::start(MeshConfig { join: vec![address(own)], listen: Some(own), ..pool.member(&[]) });
    let problem = |peer: &Peer| peer.mesh.dialled()[0].problem.clone();
    a.until("it noticed", |a| problem(a).as_deref() == Some("this is the node itself")).await;
    let b = Peer::start(pool.member(&[&a]));
    a.until_linked(&[&b]).await;
    assert_eq!(a.mesh.members().len(), 2);
    assert_eq!(a.mesh.dialled()[0].attempts, 1, "it is not dialled again");
}

#[tokio::test]
async fn why_an_address_to_join_through_is_of_no_use_is_told() {
    let (pool, foreign) = (Pool::new(), Pool::new());
    let stranger = Peer::start(foreign.member(&[]));
    let member = Peer::start(pool.member(&[]));
    let mut config = pool.client(&[&stranger, &member]);
    config.join.push(address(free_address()));
    config.join.push("host.invalid:7077".parse().unwrap());
    config.limits.connect_timeout_ms = 300;
    let client = Peer::start(config);
    client.until("all were dialled", |client| client.mesh.dialled().iter().all(|d| d.attempts > 0)).await;
    let problems: Vec<Option<String>> =
        client.mesh.dialled().into_iter().map(|dialled| dialled.problem).collect();
    assert!(problems[0].as_ref().unwrap().contains("of another pool"), "{problems:?}");
    assert_eq!(problems[1], None);
    assert!(problems[2].as_ref().unwrap().contains("did not answer within 300 ms"), "{problems:?}");
    assert!(problems[3].as_ref().unwrap().contains("host.invalid:7077"), "{problems:?}");
    assert_eq!(client.mesh.dialled()[0].address, stranger.mesh.local_address().to_string());
}

#[tokio::test]
async fn a_node_that_was_disconnected_is_dialled_anew() {
    let pool = Pool::new();
    let a = Peer::start(pool.member(&[]));
    let mut client = Peer::start(pool.client(&[&a]));
    client.until_linked(&[&a]).await;
    let (before, _) = a_link(&client, &a);
    client.mesh.disconnect(a.id(), "it did not answer");
    assert!(!client.is_linked(&[&a]));
    assert_eq!(client.mesh.direct_address(a.id()), None);
    client.until_linked(&[&a]).await;
    assert_ne!(a_link(&client, &a).0, before);
    assert_eq!(client.mesh.members().len(), 1, "a connection that is lost is no member that is lost");
    a.until("it is back", |a| a.is_linked(&[&client])).await;
    converse(&a, &mut client, Channel::Control).await;
}

#[tokio::test]
async fn where_a_lost_member_was_is_looked_for_it_and_who_is_there_now_is_found() {
    let pool = Pool::new();
    let quick = |mut config: MeshConfig| {
        config.timing.member_timeout = Duration::from_secs(1);
        config.timing.reconnect_max = Duration::from_millis(50);
        config
    };
    let a = Peer::start(quick(pool.member(&[])));
    let b = Peer::start(quick(pool.member(&[&a])));
    a.until_linked(&[&b]).await;
    let (lost, at) = (b.id(), b.mesh.local_address());
    drop(b);
    a.until("the other is lost", |a| a.mesh.members().len() == 1).await;
    is_free(at).await;
    // `a` has no address to join through, and nobody tells the other of `a`.
    let again = Peer::start(MeshConfig { listen: Some(at), ..quick(pool.member(&[])) });
    a.until_linked(&[&again]).await;
    assert!(a.mesh.members().iter().all(|member| member.node != lost));
}

#[tokio::test]
async fn a_pool_in_two_parts_becomes_one_through_the_addresses_to_join() {
    let pool = Pool::new();
    let quick = |mut config: MeshConfig| {
        config.timing.reconnect_max = Duration::from_millis(50);
        config.limits.connect_timeout_ms = 500;
        config
    };
    let at = free_address();
    let a = Peer::start(quick(pool.member(&[])));
    let b = Peer::start(MeshConfig {
        join: vec![address(a.mesh.local_address()), address(at)],
        ..quick(pool.member(&[]))
    });
    b.until_linked(&[&a]).await;
    b.until("the other address was dialled", |b| b.mesh.dialled()[1].attempts > 0).await;
    let other = Peer::start(MeshConfig { listen: Some(at), ..quick(pool.member(&[])) });
    a.until_linked(&[&b, &other]).await;
    assert_eq!(b.mesh.dialled()[1].problem, None);
}

#[tokio::test]
async fn a_dozen_that_start_at_once_all_connect() {
    let pool = Pool::new();
    let founder = Peer::start(pool.member(&[]));
    let mut peers: Vec<Peer> = (1..12).map(|_| Peer::start(pool.member(&[&founder]))).collect();
    peers.push(founder);
    for peer in &peers {
        let others: Vec<&Peer> = peers.iter().filter(|other| other.id() != peer.id()).collect();
        peer.until_linked(&others).await;
    }
    let pairs = peers.iter().flat_map(|a| peers.iter().map(move |b| a.links(b, Channel::Control)));
    let links: usize = pairs.sum();
    assert!(links < 12 * 11 * 3 / 2, "most pairs have one connection, not two: {links} ends");
}

#[tokio::test]
async fn everything_ends_with_the_last_handle() {
    let pool = Pool::new();
    let a = Peer::start(pool.member(&[]));
    let b = Peer::start(pool.member(&[&a]));
    a.until_linked(&[&b]).await;
    b.until_linked(&[&a]).await;
    let mut events = b.mesh.events();
    let node = Arc::downgrade(b.mesh.node());
    let at = b.mesh.local_address();
    let Peer { mesh, mut incoming } = b;
    let other = mesh.clone();
    drop(mesh);
    assert!(matches!(within(events.next()).await, Some(MemberEvent::Joined(_))));
    drop(other);
    assert!(within(incoming.recv()).await.is_none());
    assert_eq!(within(events.next()).await, None);
    is_free(at).await;
    a.until("the connection is closed", |a| a.mesh.node().links.linked().is_empty()).await;
    assert!(node.upgrade().is_none(), "the tasks have ended");
}

/// Waits until nobody is bound to `address`: the socket goes with the last task that has it.
async fn is_free(address: SocketAddr) {
    let free = async {
        while UdpSocket::bind(address).is_err() {
            tokio::task::yield_now().await;
        }
    };
    within(free).await;
}

fn a_link(from: &Peer, to: &Peer) -> (u64, Connection) {
    let link = from.mesh.node().links.newest(to.id(), Channel::Control).unwrap();
    (link.id, link.connection)
}
