//! Who gets a session, what ends it, and how drivers share a peer.

use super::{
    driver::{JOB, map, round},
    jobs::Gate,
    *,
};
use crate::{
    transport::StreamError,
    wire::{
        WireError,
        message::{Answer, Command},
    },
};
use mapreduce_core::schedule::AttemptId;

/// What each of two drivers is granted by a peer of one thread.
const HALF: u32 = SLOTS_PER_THREAD / 2;

fn is_grant(answers: &[Answer], expected: u32) -> bool {
    matches!(answers, [Answer::Grant { slots }] if *slots == expected)
}

fn attempt_of(answer: &Answer) -> AttemptId {
    match answer {
        Answer::Completed(completed) => completed.attempt,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn pings_are_answered_while_attempts_run() {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    let mut gate = Gate::new("pings");
    driver.split(0, &["!gate pings\n"]);
    link.begin(round(1)).await;
    link.map(map(0)).await;
    gate.reached().await;
    assert!(link.until_pong().await.is_empty());
    gate.open();
    link.completed().await;
}

#[tokio::test]
async fn commands_of_another_session_are_ignored() {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    driver.split(0, &["word\n"]);
    link.begin(round(1)).await;
    let before = link.epoch - 1;
    link.tell_of(before, Command::Start { job: JOB, attempt: map(0), work: driver::map_work() }).await;
    link.tell_of(before, Command::Ping { number: 1 }).await;
    assert!(link.until_pong().await.is_empty());
    assert!(driver.asked().is_empty());
    link.map(map(0)).await;
    link.completed().await;
    link.tell_of(before, Command::EndRound { job: JOB, round: map(0).round }).await;
    link.until_pong().await;
    assert!(driver.finds_output(pool.peer().node_id(), JOB, 0).await);
}

#[tokio::test]
async fn all_of_a_driver_that_is_silent_for_its_lease_is_dropped() {
    let timing = Timing { lease: Duration::from_secs(1), ..Timing::default() };
    let pool = Pool::one(PeerOptions { timing, ..options() }).await;
    let (driver, mut link) = pool.session().await;
    let mut gate = Gate::new("lease");
    driver.split(0, &["word\n"]);
    driver.split(1, &["!gate lease\n"]);
    link.begin(round(1)).await;
    link.map(map(0)).await;
    link.completed().await;
    let peer = pool.peer().node_id();
    assert!(driver.finds_output(peer, JOB, 0).await);
    link.map(map(1)).await;
    gate.reached().await;
    link.map(AttemptId { number: 2, ..map(1) }).await;
    assert!(matches!(link.end().await, Err(WireError::Stream(StreamError::Reset { .. }))));
    assert!(!driver.finds_output(peer, JOB, 0).await);
    gate.open();

    let mut link = driver.session(peer).await;
    link.begin(round(1)).await;
    link.map(map(0)).await;
    link.completed().await;
    assert_eq!(driver.asked().len(), 3, "the split was dropped, too");
}

#[tokio::test]
async fn a_driver_that_ends_its_session_or_its_process_leaves_nothing() {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    driver.split(0, &["word\n"]);
    let peer = pool.peer().node_id();
    link.begin(round(1)).await;
    link.map(map(0)).await;
    link.completed().await;
    link.finish();
    assert!(link.end().await.is_ok());
    assert!(!driver.finds_output(peer, JOB, 0).await);

    // Another driver learns of the end of the process by what it is granted.
    let mut gone = driver.session(peer).await;
    gone.until_pong().await;
    let (_other, mut link) = pool.session().await;
    assert_eq!(link.slots, HALF);
    assert!(is_grant(&[gone.hear().await], HALF));
    driver.close();
    assert!(is_grant(&[link.hear().await], SLOTS_PER_THREAD));
}

#[tokio::test]
async fn a_second_session_of_a_driver_replaces_the_first() {
    let pool = Pool::one(options()).await;
    let (driver, mut old) = pool.session().await;
    driver.split(0, &["word\n"]);
    old.begin(round(1)).await;
    old.map(map(0)).await;
    old.completed().await;
    let peer = pool.peer().node_id();
    let mut new = driver.session(peer).await;
    assert!(new.epoch != old.epoch && new.slots == old.slots);
    assert!(old.end().await.is_err());
    assert!(!driver.finds_output(peer, JOB, 0).await);
    new.map(map(0)).await;
    new.failed().await;
    new.begin(round(1)).await;
    new.map(map(0)).await;
    new.completed().await;
    assert!(driver.finds_output(peer, JOB, 0).await);
}

#[tokio::test]
async fn a_peer_with_enough_drivers_is_busy() {
    let pool = Pool::one(PeerOptions { drivers_max: 2, ..options() }).await;
    let peer = pool.peer().node_id();
    let (_one, mut link) = pool.session().await;
    let (_two, _link) = pool.session().await;
    let three = pool.driver().await;
    let (mut refused, answer) = three.knock(peer).await;
    assert!(matches!(answer, Answer::Busy { drivers: 2 }), "{answer:?}");
    assert!(refused.end().await.is_ok());
    assert!(is_grant(&link.until_pong().await, HALF), "as many slots as before");
    link.finish();
    link.end().await.unwrap();
    // The host may hear of it a moment later.
    soon(async {
        while !matches!(three.knock(peer).await.1, Answer::Welcome { slots: HALF, .. }) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn drivers_take_turns_whatever_they_have_queued() {
    let pool = Pool::one(options()).await;
    let (one, mut first) = pool.session().await;
    let (two, mut second) = pool.session().await;
    let mut gate = Gate::new("turns");
    one.split(0, &["!gate turns\n"]);
    two.split(2, &["!gate turns, too\n"]);
    for driver in [&one, &two] {
        driver.split(1, &["word\n"]);
    }
    for link in [&mut first, &mut second] {
        link.begin(round(1)).await;
        link.map(map(1)).await;
    }
    assert!(matches!(first.hear().await, Answer::Grant { slots: HALF }));
    first.completed().await;
    second.completed().await;
    Gate::new("turns, too").open();
    second.map(map(2)).await;
    second.completed().await;
    first.map(map(0)).await;
    gate.reached().await;
    // All of these wait for the one thread, and their input is here: what runs next is up to the turns.
    for number in 2..8 {
        first.map(AttemptId { number, ..map(1) }).await;
    }
    first.until_pong().await;
    let of_second = AttemptId { number: 2, ..map(1) };
    second.map(of_second).await;
    second.map(AttemptId { number: 2, ..map(2) }).await;
    second.until_pong().await;
    let mut hold = Gate::new("turns, too");
    gate.open();
    hold.reached().await;
    assert_eq!(second.completed().await.attempt, of_second);
    let done: Vec<_> = first.until_pong().await.iter().map(attempt_of).collect();
    let attempt = |number| AttemptId { number, ..map(1) };
    assert_eq!(done, [map(0), attempt(2), attempt(3)]);
    hold.open();
    second.completed().await;
    for number in 4..8 {
        assert_eq!(first.completed().await.attempt, attempt(number));
    }
}

#[tokio::test]
async fn a_draining_peer_stays_until_its_drivers_let_it_go() {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    driver.split(0, &["word\n"]);
    link.begin(round(1)).await;
    let peer = pool.peer();
    let driving = async {
        assert!(matches!(link.hear().await, Answer::Draining));
        // What is under way goes on.
        link.map(map(0)).await;
        link.completed().await;
        assert!(driver.finds_output(peer.node_id(), JOB, 0).await);
        let other = pool.driver().await;
        assert!(matches!(other.knock(peer.node_id()).await.1, Answer::Busy { drivers: 1 }));
        link.tell(Command::Released).await;
        assert!(link.end().await.is_ok());
    };
    soon(async { tokio::join!(peer.drain(), driving) }).await;
    peer.drain().await;
}

#[tokio::test]
async fn a_peer_does_not_wait_for_ever_to_be_let_go() {
    let drain_timeout = Duration::from_millis(500);
    let pool = Pool::one(PeerOptions { drain_timeout, ..options() }).await;
    let (_driver, mut link) = pool.session().await;
    let (_, answer) = soon(async { tokio::join!(pool.peer().drain(), link.hear()) }).await;
    assert!(matches!(answer, Answer::Draining));
    assert!(link.end().await.is_err());
}

#[tokio::test]
async fn a_peer_that_cannot_start_says_why() {
    let pool = Pool::one(options()).await;
    let start = |options| async {
        let identity = Identity::member(&pool.member, Validity::default()).unwrap();
        Peer::start(identity, Vec::new(), jobs::registry(), options).await.unwrap_err().to_string()
    };
    let taken = start(PeerOptions { listen: pool.peer().local_address(), ..options() }).await;
    assert!(taken.contains("is in use"), "{taken}");
    assert_eq!(
        start(PeerOptions { drivers_max: 0, ..options() }).await,
        "option `drivers_max`: must not be 0"
    );
    for gossip in [Duration::ZERO, Duration::MAX] {
        let timing = Timing { gossip, ..Timing::default() };
        assert_eq!(
            start(PeerOptions { timing, ..options() }).await,
            "option `timing.gossip`: must be more than 0 and at most a day"
        );
    }
    let identity = Identity::client(&pool.client, Validity::default()).unwrap();
    let client = Peer::start(identity, Vec::new(), jobs::registry(), options()).await.unwrap_err();
    assert!(matches!(client, PeerError::Bind(BindError::NotAMember)), "{client}");
}
