//! What stays at a peer between rounds.

use super::{
    driver::{DATASET, JOB, Link, map, round},
    *,
};
use crate::wire::message::{Command, Request};
use mapreduce_core::schedule::{AttemptId, Round};

fn attempt(round: u32, split: u32) -> AttemptId {
    AttemptId { round: Round(round), ..map(split) }
}

/// Maps some splits in a round that begins and ends. Gives for each how often it was mapped before, as its cache knows.
async fn mapped(link: &mut Link, number: u32, splits: impl IntoIterator<Item = u32>) -> Vec<u64> {
    link.begin(round(number)).await;
    let mut remembered = Vec::new();
    for split in splits {
        link.map(attempt(number, split)).await;
        let completed = link.completed().await;
        assert_eq!(completed.attempt, attempt(number, split));
        remembered.push(completed.counters.get("remembered"));
    }
    link.end_round(number).await;
    remembered
}

/// The splits that the driver was asked for.
fn sent(driver: &Driver) -> Vec<u32> {
    let split = |request| match request {
        Request::Split { dataset: DATASET, split } => split,
        other => panic!("{other:?}"),
    };
    driver.asked().into_iter().map(split).collect()
}

#[tokio::test]
async fn a_split_is_sent_once_and_what_mappers_leave_about_it_stays() {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    driver.split(0, &["some words\n"]);
    driver.split(1, &["more words\n"]);
    assert_eq!(mapped(&mut link, 1, [0, 1]).await, [0, 0]);
    assert_eq!(mapped(&mut link, 2, [0, 1]).await, [1, 1]);
    assert_eq!(mapped(&mut link, 3, [1]).await, [2]);
    assert_eq!(sent(&driver), [0, 1]);

    link.tell(Command::DropDataset { dataset: DATASET }).await;
    assert_eq!(mapped(&mut link, 4, [0]).await, [0]);
    assert_eq!(sent(&driver), [0]);
}

#[tokio::test]
async fn the_caches_of_attempts_that_do_not_count_are_dropped() {
    let pool = Pool::one(options()).await;
    let (driver, mut link) = pool.session().await;
    driver.split(0, &["some words\n"]);
    driver.split(1, &["!error\n"]);
    assert_eq!(mapped(&mut link, 1, [0]).await, [0]);
    link.begin(round(2)).await;
    link.map(attempt(2, 0)).await;
    assert_eq!(link.completed().await.counters.get("remembered"), 1);
    link.tell(Command::Discard { job: JOB, attempt: attempt(2, 0) }).await;
    link.end_round(2).await;
    assert_eq!(mapped(&mut link, 3, [0]).await, [0]);
    assert_eq!(sent(&driver), [0], "the bytes stay in any case");
}

#[tokio::test]
async fn splits_that_do_not_fit_go_in_the_order_of_their_use() {
    let text = "ten bytes\n";
    let bytes = text.len() as u64;
    let pool = Pool::one(PeerOptions { cache_bytes_max: Some(2 * bytes), ..options() }).await;
    let (driver, mut link) = pool.session().await;
    for split in 0..3 {
        driver.split(split, &[text]);
    }
    driver.split(3, &[text, text, text]);
    mapped(&mut link, 1, [0, 1, 0, 2]).await;
    assert_eq!(sent(&driver), [0, 1, 2]);
    mapped(&mut link, 2, [0, 1]).await;
    assert_eq!(sent(&driver), [1]);
    mapped(&mut link, 3, [3, 3]).await;
    assert_eq!(sent(&driver), [3, 3], "it is larger than all that is kept");
}

#[tokio::test]
async fn drivers_do_not_see_each_others_splits() {
    let pool = Pool::one(options()).await;
    let (one, mut its_link) = pool.session().await;
    let (other, mut other_link) = pool.session().await;
    for driver in [&one, &other] {
        driver.split(0, &["words\n"]);
    }
    its_link.until_pong().await;
    assert_eq!(mapped(&mut its_link, 1, [0]).await, [0]);
    assert_eq!(mapped(&mut other_link, 1, [0]).await, [0]);
    assert_eq!((sent(&one), sent(&other)), (vec![0], vec![0]));
}
