//! Connecting to a pool, and what is said if that fails.

use super::*;

fn hasty() -> PoolOptions {
    PoolOptions { connect_timeout: Duration::from_millis(500), ..options() }
}

#[tokio::test]
async fn connecting_waits_for_as_many_peers_as_are_asked_for() {
    let (member, client) = pool();
    let (mut one, mut two) = (FakePeer::start(&member), FakePeer::start(&member));
    let addresses = vec![one.address(), two.address()];
    let options = PoolOptions { min_peers: 2, ..options() };
    let (pool, _one, _two) =
        tokio::join!(connect(&client, addresses, options), one.session(1), two.session(1));
    let pool = pool.unwrap();
    assert_eq!(pool.hub().sessions(), 2);
    let mut members: Vec<_> = pool.members().into_iter().map(|member| member.node).collect();
    members.sort();
    let mut nodes = [one.mesh.node_id(), two.mesh.node_id()];
    nodes.sort();
    assert_eq!(members, nodes);
    assert!(matches!(within(pool.events().next()).await, Some(crate::MemberEvent::Joined(_))));
}

#[tokio::test]
async fn without_an_answer_each_address_is_named_with_what_was_heard() {
    let (member, client) = pool();
    // Nobody listens there any more.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let gone: PoolAddress = socket.local_addr().unwrap().to_string().parse().unwrap();
    let (stranger, _) = pool_of_others();
    let addresses = vec![gone.clone(), stranger.address()];
    let limits = Limits { connect_timeout_ms: 100, ..Limits::default() };
    let error = connect(&client, addresses, PoolOptions { limits, ..hasty() }).await.unwrap_err();
    let PoolError::NoPeer { dialled, waited } = &error else { panic!("{error}") };
    assert_eq!(dialled.len(), 2);
    assert!(*waited >= hasty().connect_timeout);
    let text = error.to_string();
    assert!(text.contains(&format!("{gone}: did not answer within 100 ms")), "{text}");
    assert!(text.contains("use files of the same pool"), "{text}");
    assert!(!text.contains('\n'));
    drop((member, socket));
}

fn pool_of_others() -> (FakePeer, ClientFile) {
    let (member, client) = pool();
    (FakePeer::start(&member), client)
}

#[tokio::test]
async fn too_few_peers_are_counted_and_busy_ones_named() {
    let (member, client) = pool();
    let (mut one, mut two) = (FakePeer::start(&member), FakePeer::start(&member));
    let addresses = vec![one.address(), two.address()];
    let node = two.mesh.node_id();
    tokio::spawn(async move {
        loop {
            two.asked().await.decline().await;
        }
    });
    let options = PoolOptions { min_peers: 2, ..hasty() };
    let (failed, _served) = tokio::join!(connect(&client, addresses, options), one.session(1));
    let error = failed.unwrap_err();
    assert!(matches!(error, PoolError::TooFewPeers { found: 1, wanted: 2, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&format!("node {node}: busy with the jobs of 4 programs")), "{text}");
}

#[tokio::test]
async fn a_pool_of_busy_peers_is_busy() {
    let (member, client) = pool();
    let mut peer = FakePeer::start(&member);
    let address = vec![peer.address()];
    tokio::spawn(async move {
        loop {
            peer.asked().await.decline().await;
        }
    });
    let error = connect(&client, address, hasty()).await.unwrap_err();
    assert!(matches!(error, PoolError::Busy { peers: 1, drivers: 4, .. }), "{error}");
}

#[tokio::test]
async fn a_member_file_connects_as_well_and_limits_are_checked() {
    let (member, _) = pool();
    let mut peer = FakePeer::start(&member);
    let file = PoolFile::Member(member.with_addresses(vec![peer.address()]).unwrap());
    let (pool, served) = tokio::join!(Pool::connect(&file, options()), peer.session(1));
    assert_eq!(pool.unwrap().node_id(), served.driver);
    let limits = Limits { connections_max: 0, ..Limits::default() };
    let error = Pool::connect(&file, PoolOptions { limits, ..options() }).await.unwrap_err();
    assert!(matches!(error, PoolError::Bind(_)), "{error}");
    let error = Pool::connect(&file, PoolOptions { threads: 1 << 20, ..options() }).await.unwrap_err();
    assert!(matches!(error, PoolError::Threads(_)), "{error}");
}
