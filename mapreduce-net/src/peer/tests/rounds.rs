//! Rounds that go well: the bytes that come out are those of a fold over the words.

use super::{
    driver::{JOB, Link, counts, inline, inline_counts, map, oracle, reduce, round},
    jobs::Gate,
    *,
};
use crate::wire::message::{BeginRound, Command, Request, Source};
use mapreduce_core::schedule::{AttemptId, Round};

const TEXTS: [&str; 2] = ["to be or not to be\nthat is\n", "the question\nwhether tis nobler to be\n"];

fn all() -> String {
    TEXTS.concat()
}

#[tokio::test]
async fn small_map_output_rides_in_the_messages() {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    driver.split(0, &["to be or not to be\n", "that is\n"]);
    driver.split(1, &[TEXTS[1]]);
    link.begin(BeginRound { partitions: 3, inline_bytes: 64 << 10, ..round(1) }).await;
    link.map(map(0)).await;
    link.map(map(1)).await;
    let mut runs = Vec::new();
    for split in [0, 1] {
        let completed = link.completed().await;
        assert_eq!((completed.job, completed.attempt), (JOB, map(split)));
        assert_eq!(completed.processed, [2, 1][split as usize], "records are noted once per block here");
        let report = completed.report;
        let inline = completed.inline().unwrap();
        assert!(inline.iter().all(|run| run.partition < 3 && run.pairs > 0));
        assert_eq!(inline_counts(&inline), oracle(TEXTS[split as usize]));
        assert_eq!(report.records, oracle(TEXTS[split as usize]).len() as u64);
        assert_eq!(report.bytes, inline.iter().map(|run| run.bytes.len() as u64).sum::<u64>());
        runs.extend(inline);
    }
    assert_eq!(inline_counts(&runs), oracle(&all()));
    assert!(driver.finds_output(pool.peer().node_id(), JOB, 0).await, "it lies at the peer as well");
    link.end_round(1).await;
    assert!(link.until_pong().await.is_empty());
    assert!(!driver.finds_output(pool.peer().node_id(), JOB, 0).await);
}

#[tokio::test]
async fn no_more_map_output_rides_in_messages_than_the_driver_allows() {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    for split in 0..3 {
        driver.split(split, &["word\n"]);
    }
    driver.split(3, &[""]);
    let bytes = "xxword1".len() as u32;
    link.begin(BeginRound { inline_bytes: 2 * bytes + bytes / 2, ..round(1) }).await;
    for split in 0..4 {
        link.map(map(split)).await;
    }
    let mut inline = Vec::new();
    for _ in 0..4 {
        let completed = link.completed().await;
        assert_eq!(completed.report.bytes, if completed.attempt == map(3) { 0 } else { u64::from(bytes) });
        inline.push(completed.inline().map(|runs| runs.len()));
    }
    assert_eq!(inline, [Some(1), Some(1), None, Some(0)]);
}

/// Maps a split on each of two peers, and reduces on the first.
async fn shuffled(pool: &Pool, driver: &Driver) -> (Vec<Link>, Vec<Source>) {
    let (mut links, mut sources) = (Vec::new(), Vec::new());
    for (split, peer) in (0..).zip(&pool.peers) {
        driver.split(split, &[TEXTS[split as usize]]);
        let mut link = driver.session(peer.node_id()).await;
        link.begin(BeginRound { partitions: 2, ..round(1) }).await;
        link.map(map(split)).await;
        assert!(link.completed().await.inline().is_none());
        links.push(link);
        sources.push(Source { node: peer.node_id(), outputs: vec![(split, 1)] });
    }
    (links, sources)
}

#[tokio::test]
async fn peers_fetch_map_output_from_each_other() {
    let pool = Pool::start(2, options()).await;
    let driver = pool.driver().await;
    let (mut links, sources) = shuffled(&pool, &driver).await;
    let mut runs = Vec::new();
    let mut keys = 0;
    for (partition, link) in (0..).zip(&mut links) {
        link.sources(sources.clone()).await;
        link.reduce(reduce(partition)).await;
        let completed = link.completed().await;
        assert_eq!(completed.attempt, reduce(partition));
        keys += completed.processed;
        runs.extend(completed.inline().unwrap());
    }
    assert_eq!(inline_counts(&runs), oracle(&all()));
    assert_eq!(keys as usize, oracle(&all()).len());
    let asked: Vec<_> = driver.asked();
    assert_eq!(asked.len(), 2, "nothing but the splits: {asked:?}");
}

#[tokio::test]
async fn map_output_that_is_gone_is_said_to_be_where_it_was() {
    let pool = Pool::start(2, options()).await;
    let driver = pool.driver().await;
    let (mut links, sources) = shuffled(&pool, &driver).await;
    for (lost, number) in [(0, 2), (1, 1)] {
        let split = lost as u32;
        links[lost].tell(Command::Discard { job: JOB, attempt: map(split) }).await;
        assert!(links[lost].until_pong().await.is_empty());
        links[0].sources(sources.clone()).await;
        links[0].reduce(AttemptId { number, ..reduce(0) }).await;
        let (_, failure) = links[0].failed().await;
        let crate::wire::message::AttemptFailure::FetchFailed { from, .. } = failure else {
            panic!("{failure:?}")
        };
        assert_eq!(from, pool.peers[lost].node_id());
        // There again for the other one.
        links[lost].map(map(split)).await;
        links[lost].completed().await;
    }
    // A peer that is no more.
    pool.peers[1].close();
    links[0].reduce(AttemptId { number: 3, ..reduce(0) }).await;
    let (_, failure) = links[0].failed().await;
    assert!(format!("{failure:?}").contains(&pool.peers[1].node_id().to_string()), "{failure:?}");
}

#[tokio::test]
async fn map_output_that_was_made_elsewhere_meanwhile_is_not_waited_for_where_it_was() {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    driver.split(0, &[TEXTS[0]]);
    link.begin(round(1)).await;
    link.map(map(0)).await;
    link.completed().await;
    driver.asked();
    link.sources(vec![Source { node: driver.node_id(), outputs: vec![(0, 1)] }]).await;
    link.reduce(reduce(0)).await;
    soon(driver.was_asked()).await;
    link.sources(vec![Source { node: pool.peer().node_id(), outputs: vec![(0, 1)] }]).await;
    let completed = link.completed().await;
    assert_eq!(completed.attempt, reduce(0));
    assert_eq!(inline_counts(&completed.inline().unwrap()), oracle(TEXTS[0]));
    assert!(link.until_pong().await.is_empty());
}

#[tokio::test]
async fn nothing_is_waited_for_from_a_node_that_the_driver_has_lost() {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    // A driver does not answer such requests.
    let node = driver.node_id();
    link.begin(BeginRound { partitions: 2, ..round(1) }).await;
    link.sources(vec![Source { node, outputs: vec![(0, 1)] }]).await;
    link.reduce(reduce(0)).await;
    soon(driver.was_asked()).await;
    let lost = |round| Command::SourceLost { job: JOB, round, node };
    link.tell(lost(Round(2))).await;
    assert!(link.until_pong().await.is_empty(), "that is another round");
    link.tell(lost(Round(1))).await;
    let (attempt, failure) = link.failed().await;
    let crate::wire::message::AttemptFailure::FetchFailed { from, .. } = failure else {
        panic!("{failure:?}")
    };
    assert_eq!((attempt, from), (reduce(0), node));
    // The next attempt is one like any other.
    link.sources(Vec::new()).await;
    link.reduce(AttemptId { number: 2, ..reduce(0) }).await;
    assert!(link.completed().await.inline().unwrap().is_empty());
}

#[tokio::test]
async fn a_node_that_is_lost_before_a_round_is_ready_fails_its_attempts_once() {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    let (mut gate, node) = (Gate::new("source lost early"), driver.node_id());
    link.begin(BeginRound { shared: inline(&"gate source lost early"), ..round(1) }).await;
    gate.reached().await;
    link.reduce(reduce(0)).await;
    link.tell(Command::SourceLost { job: JOB, round: Round(1), node }).await;
    assert_eq!(link.failed().await.0, reduce(0));
    gate.open();
    // It is ready when its first map attempt has run, and what waited for that was looked at before.
    driver.split(0, &["word\n"]);
    link.map(map(0)).await;
    assert_eq!(link.completed().await.attempt, map(0));
    assert!(link.until_pong().await.is_empty());
}

#[tokio::test]
async fn the_memory_of_a_round_is_free_when_it_ends_whatever_the_threads_do() {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    let mut gate = Gate::new("between rounds");
    driver.split(0, &["word\n"]);
    driver.split(1, &["!gate between rounds\n"]);
    for number in [1, 2] {
        link.begin(round(number)).await;
        link.map(AttemptId { round: Round(number), ..map(0) }).await;
        link.completed().await;
    }
    link.map(AttemptId { round: Round(2), ..map(1) }).await;
    gate.reached().await;
    let held = || pool.peer().shared.memory.held_bytes();
    let before = held();
    link.end_round(1).await;
    assert!(link.until_pong().await.is_empty());
    let segments = 2 * round(1).segment_bytes;
    assert!(held() + segments <= before, "{} of {before} bytes are held", held());
    gate.open();
}

#[tokio::test]
async fn large_reduce_output_waits_for_its_driver_alone() {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    let text: String = (0..20_000).map(|i| format!("word{i}\n")).collect();
    driver.split(0, &[&text]);
    link.begin(round(1)).await;
    link.map(map(0)).await;
    link.completed().await;
    let peer = pool.peer().node_id();
    link.sources(vec![Source { node: peer, outputs: vec![(0, 1)] }]).await;
    link.reduce(reduce(0)).await;
    let completed = link.completed().await;
    assert!(completed.report.bytes > 64 << 10 && completed.inline().is_none());
    let request = Request::Reduced { job: JOB, attempt: reduce(0) };
    let [blob] = <[_; 1]>::try_from(driver.fetch(peer, request.clone()).await.unwrap()).unwrap();
    assert_eq!(counts([(&blob.bytes[..], blob.pairs)]), oracle(&text));

    let other = pool.driver().await;
    assert!(other.fetch(peer, request.clone()).await.is_err());
    let runs =
        |driver| Request::Runs { driver, job: JOB, round: Round(1), partition: 0, outputs: vec![(0, 1)] };
    assert!(driver.fetch(peer, runs(driver.node_id())).await.is_ok());
    assert!(other.fetch(peer, runs(driver.node_id())).await.is_err(), "it is no member");

    link.end_round(1).await;
    assert!(link.until_pong().await.is_empty());
    assert!(driver.fetch(peer, request).await.is_err());
}

#[tokio::test]
async fn what_is_broadcast_is_fetched_once_while_rounds_refer_to_it() {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    driver.split(0, &["a b a\n"]);
    let prefix = driver.value(&"a long broadcast value: ".to_owned());
    for number in [1, 2] {
        let begin = BeginRound { shared: prefix.clone(), inline_bytes: 1000, ..round(number) };
        link.begin(begin).await;
        link.map(AttemptId { round: Round(number), ..map(0) }).await;
        let inline = link.completed().await.inline().unwrap();
        let expected =
            [("a long broadcast value: a".to_owned(), 2), ("a long broadcast value: b".to_owned(), 1)];
        assert_eq!(inline_counts(&inline), expected.into());
    }
    let stored = |asked: Vec<Request>| asked.iter().filter(|r| matches!(r, Request::Stored { .. })).count();
    assert_eq!(stored(driver.asked()), 1);
    link.end_round(1).await;
    link.end_round(2).await;
    link.begin(BeginRound { shared: prefix, ..round(3) }).await;
    link.map(AttemptId { round: Round(3), ..map(0) }).await;
    link.completed().await;
    assert_eq!(stored(driver.asked()), 1, "when no round had it any more, it was gone");
}

#[tokio::test]
async fn the_list_of_map_outputs_may_have_to_be_fetched() {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    driver.split(0, &[TEXTS[0]]);
    link.begin(round(1)).await;
    link.map(map(0)).await;
    link.completed().await;
    let sources = driver.value(&vec![Source { node: pool.peer().node_id(), outputs: vec![(0, 1)] }]);
    link.tell(Command::Sources { job: JOB, round: Round(1), sources }).await;
    link.reduce(reduce(0)).await;
    assert_eq!(inline_counts(&link.completed().await.inline().unwrap()), oracle(TEXTS[0]));
}

#[tokio::test]
async fn a_peer_reads_shared_files_itself_if_they_are_the_drivers() {
    use mapreduce_core::{Dataset, TextFiles};
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("words.txt");
    std::fs::write(&path, all()).unwrap();
    let data = Dataset::new(TextFiles::open([&path]).unwrap()).unwrap().on_shared_storage().unwrap();
    let files = data.shared_files().unwrap();
    let split = data.splits()[0].clone();
    let fingerprint = files.fingerprint(&split).unwrap();
    link.begin(BeginRound { files: Some(inline(files)), inline_bytes: 1000, ..round(1) }).await;
    let start = |number, fingerprint| Command::Start {
        job: JOB,
        attempt: AttemptId { number, ..map(0) },
        work: crate::wire::message::Work::Map { split: split.clone(), fingerprint },
    };
    link.tell(start(1, Some(fingerprint))).await;
    assert_eq!(inline_counts(&link.completed().await.inline().unwrap()), oracle(&all()));
    for (number, wrong) in [(2, Some(fingerprint ^ 1)), (3, None)] {
        link.tell(start(number, wrong)).await;
        let (_, failure) = link.failed().await;
        assert!(matches!(failure, crate::wire::message::AttemptFailure::Node { .. }), "{failure:?}");
    }
    assert!(driver.asked().is_empty());
}
