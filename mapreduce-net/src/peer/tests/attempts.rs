//! Attempts that fail or are stopped: each is answered once, and the peer lives.

use super::{
    driver::{JOB, inline, map, map_work, reduce, round, round_of},
    jobs::{Gate, Unheard},
    *,
};
use crate::{
    transfer::Refusal,
    wire::message::{Answer, AttemptFailure, BeginRound, Command, Payload, Source, Work},
};
use mapreduce_core::{
    Block, FailureKind, TaskFailure,
    schedule::{AttemptId, Round},
};

fn is_task(failure: &AttemptFailure, kind: FailureKind, is_permanent: bool, words: &str) -> bool {
    matches!(failure, AttemptFailure::Task { failure, permanent }
        if failure.kind == kind && *permanent == is_permanent && failure.message.contains(words))
}

fn is_node(failure: &AttemptFailure, words: &str) -> bool {
    matches!(failure, AttemptFailure::Node { message } if message.contains(words))
}

/// What is told of an attempt to map, in a round.
async fn fails(begin: BeginRound) -> AttemptFailure {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    driver.split(0, &["word\n"]);
    link.begin(begin).await;
    // One that waits for the round, and one that comes when it has failed.
    link.map(map(0)).await;
    let (attempt, failure) = link.failed().await;
    assert_eq!(attempt, map(0));
    link.map(map(1)).await;
    let (attempt, again) = link.failed().await;
    assert_eq!((attempt, format!("{again:?}")), (map(1), format!("{failure:?}")));
    assert!(link.until_pong().await.is_empty());
    failure
}

#[tokio::test]
async fn a_job_that_the_peer_has_not_is_named_with_those_it_has() {
    let failure = fails(round_of(&Unheard, 1)).await;
    assert!(is_node(&failure, "no job unheard version 1"), "{failure:?}");
    assert!(is_node(&failure, "this program knows words"), "{failure:?}");
}

#[tokio::test]
async fn every_attempt_of_a_round_whose_set_up_fails_fails_for_good() {
    let failure = fails(BeginRound { shared: inline(&"refuse"), ..round(1) }).await;
    assert!(is_task(&failure, FailureKind::User, true, "it will not"), "{failure:?}");
    let failure = fails(BeginRound { shared: inline(&"panic"), ..round(1) }).await;
    assert!(is_task(&failure, FailureKind::User, true, "panic: in the set-up"), "{failure:?}");
    let failure = fails(BeginRound { shared: inline(&u64::MAX), ..round(1) }).await;
    assert!(is_task(&failure, FailureKind::Codec, true, "cannot decode"), "{failure:?}");
}

#[tokio::test]
async fn a_round_is_not_begun_with_values_that_are_not_there_or_not_right() {
    let failure = fails(BeginRound { shared: Payload::Stored { hash: 1, bytes: 1 }, ..round(1) }).await;
    assert!(is_node(&failure, "a broadcast value cannot be fetched from the driver"), "{failure:?}");
    let failure = fails(BeginRound { partitions: 0, ..round(1) }).await;
    assert!(is_task(&failure, FailureKind::User, true, "0 partitions"), "{failure:?}");
    let failure = fails(BeginRound { partitions: u32::MAX, ..round(1) }).await;
    assert!(is_task(&failure, FailureKind::User, true, "4294967295 partitions"), "{failure:?}");
    let files = Some(Payload::Inline(Block::from(vec![0xff; 3])));
    assert!(is_node(&fails(BeginRound { files, ..round(1) }).await, "its files cannot be read"));
}

#[tokio::test]
async fn a_value_of_other_bytes_than_announced_is_refused() {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    let Payload::Stored { hash, bytes } = driver.value(&"value") else { unreachable!() };
    link.begin(BeginRound { shared: Payload::Stored { hash, bytes: bytes + 1 }, ..round(1) }).await;
    link.map(map(0)).await;
    let (_, failure) = link.failed().await;
    assert!(is_node(&failure, "not the one that was announced"), "{failure:?}");
}

#[tokio::test]
async fn errors_and_panics_of_user_code_are_failures_of_the_task() {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    driver.split(0, &["!error of its own\n"]);
    driver.split(1, &["fine\n!panic\n"]);
    driver.split(2, &["fine\n"]);
    driver.refuse_split(
        3,
        Refusal::Read { failure: TaskFailure::new(FailureKind::Read, "a bad disk"), permanent: true },
    );
    link.begin(round(1)).await;
    for (split, kind, permanent, words) in [
        (0, FailureKind::User, false, "of its own"),
        (1, FailureKind::Panic, false, "as it was told"),
        (3, FailureKind::Read, true, "a bad disk"),
    ] {
        link.map(map(split)).await;
        let (attempt, failure) = link.failed().await;
        assert_eq!(attempt, map(split));
        assert!(is_task(&failure, kind, permanent, words), "{failure:?}");
    }
    link.map(map(9)).await;
    let (_, failure) = link.failed().await;
    assert!(is_node(&failure, "a split cannot be fetched from the driver"), "{failure:?}");
    link.map(map(2)).await;
    assert_eq!(link.completed().await.attempt, map(2));
}

#[tokio::test]
async fn attempts_that_are_stopped_are_answered_once() {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    let mut gate = Gate::new("stopped");
    driver.split(0, &["!gate stopped\n", "word\n"]);
    driver.split(1, &["word\n"]);
    link.begin(round(1)).await;
    link.map(map(0)).await;
    gate.reached().await;
    let stop = |attempt| Command::Cancel { job: JOB, attempt };
    // It waits for the only thread.
    link.map(map(1)).await;
    link.tell(stop(map(1))).await;
    let (attempt, failure) = link.failed().await;
    assert!(attempt == map(1) && matches!(failure, AttemptFailure::Cancelled));
    // It runs, and notices when it looks.
    link.tell(stop(map(0))).await;
    assert!(link.until_pong().await.is_empty());
    gate.open();
    let (attempt, failure) = link.failed().await;
    assert!(attempt == map(0) && matches!(failure, AttemptFailure::Cancelled));
    // It is over, or never was.
    link.tell(stop(map(0))).await;
    link.tell(stop(map(5))).await;
    assert!(link.until_pong().await.is_empty());
    let next = AttemptId { number: 2, ..map(1) };
    link.map(next).await;
    assert_eq!(link.completed().await.attempt, next);
    assert!(!driver.finds_output(pool.peer().node_id(), JOB, 1).await);
}

#[tokio::test]
async fn the_attempts_of_a_round_that_ends_are_stopped_and_answered() {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    let mut gate = Gate::new("ends");
    driver.split(0, &["!gate ends\n"]);
    link.begin(round(1)).await;
    link.map(map(0)).await;
    gate.reached().await;
    link.end_round(1).await;
    assert!(link.until_pong().await.is_empty());
    gate.open();
    let (attempt, failure) = link.failed().await;
    assert!(attempt == map(0) && matches!(failure, AttemptFailure::Cancelled));
    assert!(link.until_pong().await.is_empty());
}

#[tokio::test]
async fn a_thread_that_user_code_does_not_give_back_costs_its_slots_until_it_does() {
    let timing = Timing { lease: Duration::from_secs(1), ..Timing::default() };
    let pool = Pool::one(PeerOptions { timing, ..options() }).await;
    let (peer, (driver, mut link)) = (pool.peer(), pool.session().await);
    let mut gate = Gate::new("lost");
    driver.split(0, &["!gate lost\n"]);
    driver.split(1, &["word\n"]);
    link.begin(round(1)).await;
    link.map(map(0)).await;
    gate.reached().await;
    assert_eq!(peer.threads_lost(), 0);
    link.tell(Command::Cancel { job: JOB, attempt: map(0) }).await;
    let mut answers = Vec::new();
    soon(async {
        while answers.len() < 2 {
            answers.extend(link.until_pong().await);
        }
    })
    .await;
    let [Answer::Failed { attempt, failure: AttemptFailure::Cancelled, .. }, Answer::Grant { slots: 0 }] =
        &answers[..]
    else {
        panic!("{answers:?}");
    };
    assert_eq!((*attempt, peer.threads_lost(), peer.threads()), (map(0), 1, 1));
    soon(peer.exhausted()).await;
    link.map(map(1)).await;
    gate.open();
    let mut answers = vec![link.hear().await, link.hear().await];
    answers.sort_by_key(|answer| matches!(answer, Answer::Grant { .. }));
    let [Answer::Completed(completed), Answer::Grant { slots: SLOTS_PER_THREAD }] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert_eq!((completed.attempt, peer.threads_lost()), (map(1), 0));
}

#[tokio::test]
async fn a_thread_is_lost_as_well_when_the_driver_is_gone() {
    let timing = Timing { lease: Duration::from_millis(500), ..Timing::default() };
    let pool = Pool::one(PeerOptions { timing, ..options() }).await;
    let (driver, mut link) = pool.session().await;
    let mut gate = Gate::new("lost and gone");
    driver.split(0, &["!gate lost and gone\n"]);
    link.begin(round(1)).await;
    link.map(map(0)).await;
    gate.reached().await;
    driver.close();
    soon(pool.peer().exhausted()).await;
    gate.open();
}

#[tokio::test]
async fn a_set_up_that_does_not_end_costs_its_thread_when_its_round_is_over() {
    let timing = Timing { lease: Duration::from_secs(1), ..Timing::default() };
    let pool = Pool::one(PeerOptions { timing, ..options() }).await;
    let (driver, mut link) = pool.session().await;
    driver.split(0, &["word\n"]);
    let mut gate = Gate::new("set-up");
    link.begin(BeginRound { shared: inline(&"gate set-up"), ..round(1) }).await;
    link.map(map(0)).await;
    gate.reached().await;
    // One that waits for a thread is not begun at all.
    link.begin(BeginRound { shared: inline(&"panic"), ..round(2) }).await;
    link.end_round(2).await;
    link.end_round(1).await;
    let (attempt, failure) = link.failed().await;
    assert!(attempt == map(0) && matches!(failure, AttemptFailure::Cancelled));
    // The session may be over by then.
    link.finish();
    soon(pool.peer().exhausted()).await;
    gate.open();
}

/// What a driver may say that makes no sense. The peer says so, or nothing, and goes on.
#[tokio::test]
async fn a_driver_that_talks_nonsense_harms_nobody() {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    let start = |job, attempt, work| Command::Start { job, attempt, work };
    link.tell(start(99, map(0), map_work())).await;
    let (_, failure) = link.failed().await;
    assert!(is_node(&failure, "round 1 of job 99 has not begun here"), "{failure:?}");
    for command in [
        Command::Cancel { job: 99, attempt: map(0) },
        Command::Discard { job: 99, attempt: reduce(u32::MAX) },
        Command::EndRound { job: 99, round: Round(u32::MAX) },
        Command::DropDataset { dataset: u64::MAX },
        Command::Released,
        Command::Sources { job: 99, round: Round(1), sources: inline(&()) },
    ] {
        link.tell(command).await;
    }
    assert!(link.until_pong().await.is_empty());

    link.begin(round(1)).await;
    link.begin(round(1)).await;
    for (attempt, work) in [
        (map(0), Work::Reduce),
        (reduce(0), map_work()),
        (reduce(1), Work::Reduce),
        (reduce(u32::MAX), Work::Reduce),
    ] {
        link.tell(start(JOB, attempt, work)).await;
        assert!(is_node(&link.failed().await.1, "cannot be what was said to start"));
    }
    link.reduce(reduce(0)).await;
    assert!(is_node(&link.failed().await.1, "has not said where the map output is"));
    link.tell(Command::Sources { job: JOB, round: Round(1), sources: inline(&"nonsense") }).await;
    link.reduce(reduce(0)).await;
    assert!(is_node(&link.failed().await.1, "the list of map outputs cannot be read"));
    driver.split(0, &["word\n"]);
    link.map(map(0)).await;
    link.completed().await;
    let twice = Source { node: pool.peer().node_id(), outputs: vec![(0, 1), (0, 1)] };
    link.sources(vec![twice]).await;
    link.reduce(reduce(0)).await;
    assert!(is_node(&link.failed().await.1, "names split 0 twice"));

    // The same attempt twice at once, and more than there are slots.
    let mut gate = Gate::new("nonsense");
    driver.split(1, &["!gate nonsense\n"]);
    link.map(map(1)).await;
    gate.reached().await;
    link.map(map(1)).await;
    let slots = link.slots;
    for number in 0..5 * slots {
        link.map(AttemptId { number: number + 2, ..map(0) }).await;
    }
    let refused = 5 * slots - (4 * slots - 1);
    for _ in 0..refused {
        assert!(is_node(&link.failed().await.1, "more attempts were started than slots were granted"));
    }
    gate.open();
    for _ in 0..4 * slots {
        link.completed().await;
    }
    assert!(link.until_pong().await.is_empty());

    // What is no command at all.
    link.garble().await;
    assert!(link.end().await.is_err());
    let (_, answer) = driver.knock(pool.peer().node_id()).await;
    assert!(matches!(answer, Answer::Welcome { .. }));
}
