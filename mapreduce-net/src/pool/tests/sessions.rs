//! Sessions: how they begin, what they carry, and how they end.

use super::{super::on_pool::DatasetOnPool, *};
use std::time::Instant;

#[tokio::test]
async fn a_job_hears_of_a_peer_and_gets_its_answers() {
    let (pool, peer, mut served) = pair().await;
    assert_eq!(served.driver, pool.node_id());
    assert_eq!(served.name, options().name());
    let job = Job::start(pool.hub(), 1);
    let Some(Message::PeerJoined { peer: id, node, slots, threads, jobs }) = job.hear().await else {
        panic!()
    };
    assert_eq!((node, slots, threads, &*jobs), (peer.mesh.node_id(), 2, 3, &[job_id()][..]));
    assert_eq!((pool.hub().node(id), pool.hub().peer_of(node)), (Some(node), Some(id)));

    pool.hub().send(id, start(job.guard.job, 0));
    assert!(matches!(served.command().await, Command::Start { job: 1, .. }));
    // What is of another epoch, or for a job that is over, is ignored.
    served.epoch = 4;
    served.complete(1, 9).await;
    served.epoch = 5;
    served.complete(77, 9).await;
    served.say(Answer::Grant { slots: 6 }).await;
    served.complete(1, 0).await;
    assert!(matches!(job.hear().await, Some(Message::PeerSlots { slots: 6, .. })));
    let Some(Message::Completed { completed, .. }) = job.hear().await else { panic!() };
    assert_eq!(completed.attempt, attempt(0));
}

#[tokio::test]
async fn commands_arrive_in_order_whatever_thread_they_are_from() {
    let (pool, _peer, mut served) = pair().await;
    let job = Job::start(pool.hub(), 1);
    let id = job.joined().await;
    let hub = pool.hub().clone();
    let sender = std::thread::spawn(move || {
        (0..500).for_each(|split| hub.send(id, start(1, split)));
        hub.send_all(id, (500..1_000).map(|split| start(1, split)));
        // Nobody is there.
        hub.send(PeerId(99), start(1, 0));
    });
    for split in 0..1_000 {
        match served.command().await {
            Command::Start { attempt: found, .. } => assert_eq!(found, attempt(split)),
            other => panic!("{other:?}"),
        }
    }
    sender.join().unwrap();
}

#[tokio::test]
async fn a_peer_that_ends_its_session_comes_back_as_another_peer() {
    let (pool, mut peer, mut served) = pair().await;
    let job = Job::start(pool.hub(), 1);
    let first = job.joined().await;
    served.writer.finish().unwrap();
    assert_eq!(job.lost().await, (first, "it has ended the session".to_owned()));
    let _served = peer.session(2).await;
    let second = job.joined().await;
    assert!(second > first);
    assert_eq!(pool.hub().peer_of(peer.mesh.node_id()), Some(second));
}

#[tokio::test]
async fn a_peer_that_breaks_the_protocol_loses_its_session() {
    let (pool, mut peer, mut served) = pair().await;
    let job = Job::start(pool.hub(), 1);
    job.joined().await;
    served.say(Answer::Busy { drivers: 1 }).await;
    assert!(job.lost().await.1.contains("one welcome"));
    // One that does not begin with a welcome has none.
    peer.asked().await.say(Answer::Draining).await;
    let _served = peer.session(1).await;
    job.joined().await;
}

#[tokio::test]
async fn a_killed_process_is_lost_long_before_its_lease_since_its_host_says_so() {
    let (member, client) = pool();
    let other = Runtime::new().unwrap();
    let mut peer = other.block_on_elsewhere(async move { FakePeer::start(&member) }).await;
    let address = peer.address();
    let (asked, served) = tokio::sync::oneshot::channel();
    other.spawn(async move {
        let mut served = peer.session(1).await;
        served.say(Answer::Grant { slots: 2 }).await;
        let _ = asked.send(());
        // Answers pings for as long as the process lives.
        loop {
            served.command().await;
        }
    });
    let options =
        PoolOptions { timing: Timing { lease: Duration::from_secs(3_600), ..timing() }, ..options() };
    let pool = connect(&client, vec![address], options).await.unwrap();
    within(served).await.unwrap();
    let job = Job::start(pool.hub(), 1);
    let id = job.joined().await;
    pool.hub().send(id, start(1, 0));

    // Its socket is closed, and nothing is said.
    other.shutdown_background();
    let killed = Instant::now();
    loop {
        match job.hear().await.unwrap() {
            Message::PeerSuspected { .. } => break,
            Message::PeerSlots { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    let suspected = killed.elapsed();
    let (_, reason) = job.lost().await;
    assert!(reason.contains("its host says"), "{reason}");
    // Two misses; a busy machine gets some room.
    assert!(suspected < Duration::from_secs(2), "{suspected:?}");
}

#[tokio::test]
async fn a_silent_peer_is_suspected_trusted_when_it_speaks_and_lost_at_its_lease() {
    let ms = Duration::from_millis;
    let timing = Timing { ping: ms(20), ping_idle: ms(50), lease: ms(1_000), ..timing() };
    let (pool, mut peer, mut served) = pair_with(PoolOptions { timing, ..options() }).await;
    let job = Job::start(pool.hub(), 1);
    let id = job.joined().await;
    assert!(matches!(job.hear().await, Some(Message::PeerSuspected { peer }) if peer == id));
    served.say(Answer::Pong { number: 0 }).await;
    assert!(matches!(job.hear().await, Some(Message::PeerTrusted { peer }) if peer == id));
    let (lost, reason) = job.lost().await;
    assert_eq!(lost, id);
    assert!(reason.contains("nothing was heard"), "{reason}");
    // The peer hears that the driver has given it up.
    let end = loop {
        match within(served.reader.next::<ToPeer>()).await {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert!(end.is_err(), "{end:?}");
    // And is asked again.
    let _served = peer.session(1).await;
    assert!(job.joined().await > id);
}

#[tokio::test]
async fn a_busy_peer_is_asked_again() {
    let (member, client) = pool();
    let mut peer = FakePeer::start(&member);
    let (pool, _served) = tokio::join!(connect(&client, vec![peer.address()], options()), async {
        for _ in 0..2 {
            peer.asked().await.decline().await;
        }
        peer.session(1).await
    });
    assert_eq!(pool.unwrap().hub().sessions(), 1);
}

#[tokio::test]
async fn a_peer_that_joins_later_is_used_and_one_that_leaves_is_let_go() {
    let (member, client) = pool();
    let mut founder = FakePeer::start(&member);
    let address = founder.address();
    let (pool, _served) =
        tokio::join!(connect(&client, vec![address.clone()], options()), founder.session(1));
    let pool = pool.unwrap();
    let job = Job::start(pool.hub(), 1);
    job.joined().await;
    let mut newcomer = FakePeer::join(&member, vec![address]);
    let served = newcomer.session(1).await;
    let id = job.joined().await;
    assert_eq!(pool.hub().node(id), Some(newcomer.mesh.node_id()));
    within(newcomer.mesh.leave()).await;
    assert_eq!(job.lost().await.0, id);
    drop(served);
    // Nothing is remembered of it.
    let mut events = pool.events();
    while pool.members().len() > 1 {
        within(events.next()).await;
    }
    assert_eq!(pool.hub().sessions(), 1);
}

#[tokio::test]
async fn a_peer_that_drains_is_released_when_no_job_needs_it() {
    let (pool, _peer, mut served) = pair().await;
    let (one, two) = (Job::start(pool.hub(), 1), Job::start(pool.hub(), 1));
    let id = one.joined().await;
    served.say(Answer::Draining).await;
    assert!(matches!(one.hear().await, Some(Message::PeerSlots { slots: 1, .. })));
    assert!(matches!(one.hear().await, Some(Message::PeerDraining { peer }) if peer == id));
    pool.hub().drained(one.guard.job, id);
    pool.hub().send(id, Command::DropDataset { dataset: 1 });
    assert!(matches!(served.command().await, Command::DropDataset { .. }));
    drop(two);
    assert!(matches!(served.command().await, Command::Released));
}

#[tokio::test]
async fn closing_ends_sessions_and_closes_the_mailboxes() {
    let (pool, _peer, mut served) = pair().await;
    let job = Job::start(pool.hub(), 1);
    job.joined().await;
    pool.close().await;
    assert!(matches!(job.hear().await, Some(Message::Closed)));
    assert!(job.hear().await.is_none());
    assert!(within(served.reader.next::<ToPeer>()).await.is_err());
    assert!(matches!(Job::start(pool.hub(), 1).hear().await, Some(Message::Closed)));
    assert!(!pool.hub().wait_for(1).await);
    assert_eq!(pool.hub().sessions(), 0);
}

#[tokio::test]
async fn dropping_the_last_handle_ends_the_sessions() {
    let (pool, _peer, mut served) = pair().await;
    let other = pool.clone();
    drop(pool);
    let job = Job::start(other.hub(), 1);
    job.joined().await;
    drop((other, job));
    assert!(within(served.reader.next::<ToPeer>()).await.is_err());
}

#[tokio::test]
async fn a_dataset_that_outlives_the_pool_does_not_keep_the_sessions() {
    let (pool, _peer, mut served) = pair().await;
    let known = DatasetOnPool::new(pool.hub(), 1);
    drop(pool);
    assert!(within(served.reader.next::<ToPeer>()).await.is_err());
    drop(known);
}

trait Elsewhere {
    /// Runs a future on this runtime while another one waits for it.
    async fn block_on_elsewhere<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> T;
}

impl Elsewhere for Runtime {
    async fn block_on_elsewhere<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> T {
        within(self.spawn(future)).await.unwrap()
    }
}
