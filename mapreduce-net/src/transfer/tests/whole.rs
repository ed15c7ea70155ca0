//! What was sent is what is fetched.

use super::*;

/// Serves the blobs, and compares what a requester gets.
async fn round_trip(blobs: Vec<Blob>) {
    let served = blobs.clone();
    let (nodes, ids) = servers(&Limits::default(), 1, move |_| served.clone()).await;
    let budget = Budget::new(256 << 20);
    let free = budget.free_bytes();
    let fetched = soon(fetch(&nodes, ids[0], request(0), &budget)).await.unwrap();
    assert!(fetched.items() == blobs, "{:?}", fetched.items().iter().zip(&blobs).find(|(a, b)| a != b));
    let taken = blobs.iter().map(|blob| blob.bytes.len() as u64).sum::<u64>();
    assert!(budget.free_bytes() <= free - taken);
    let (_blobs, held) = fetched.into_parts();
    assert!(budget.free_bytes() <= free - taken);
    drop(held);
    assert_eq!(budget.free_bytes(), free);
}

#[tokio::test]
async fn nothing_and_blobs_of_nothing() {
    round_trip(Vec::new()).await;
    round_trip(vec![blob(7, 0)]).await;
    round_trip((0..1_000).map(|index| blob(index, 0)).collect()).await;
}

#[tokio::test]
async fn blobs_of_all_sizes_around_every_bound() {
    let bounds = [1, 20, 24, 32 << 10, 64 << 10, (64 << 10) - 20, 256 << 10, 1 << 20];
    let sizes = bounds.iter().flat_map(|&size| [size - 1, size, size + 1]);
    let blobs: Vec<Blob> = sizes.zip(0..).map(|(size, index)| blob(index, size)).collect();
    for one in &blobs {
        round_trip(vec![one.clone()]).await;
    }
    round_trip(blobs.iter().chain(blobs.iter().rev()).cloned().collect()).await;
}

#[tokio::test]
async fn random_sizes() {
    for seed in 0..8 {
        let mut random = Random(seed);
        let mut sizes = Vec::new();
        for _ in 0..random.below(300) {
            let bits = random.below(20);
            sizes.push(random.below(1 << bits) as usize);
        }
        // The seed is in the numbers of the blobs that a failure shows.
        round_trip(
            sizes.into_iter().zip(seed as u32 * 1_000..).map(|(size, index)| blob(index, size)).collect(),
        )
        .await;
    }
}

#[tokio::test]
async fn a_hundred_thousand_tiny_blobs() {
    round_trip((0..100_000).map(|index| blob(index, index as usize % 9)).collect()).await;
}

#[tokio::test]
async fn several_nodes_answer_in_the_order_of_the_requests() {
    let (nodes, ids) = servers(&Limits::default(), 3, |number| {
        (0..number as u32).map(|index| blob(index, number as usize * 10_000)).collect()
    })
    .await;
    let budget = Budget::new(1 << 30);
    let numbers = [9, 1, 5, 0, 30];
    let requests = numbers.iter().zip(ids.iter().cycle()).map(|(&number, &id)| (id, request(number)));
    let all = soon(fetch_all(&nodes, requests.collect(), &budget)).await.unwrap();
    assert_eq!(all.iter().map(|one| one.items().len() as u64).collect::<Vec<_>>(), numbers);
    assert!(all.iter().flat_map(Fetched::items).all(|one| *one == blob(one.index, one.bytes.len())));
    assert!(soon(fetch_all(&nodes, Vec::new(), &budget)).await.unwrap().is_empty());
}

#[tokio::test]
async fn streams_of_a_hundred_and_one_small_fetches_are_free_again() {
    let (nodes, ids) = servers(&Limits::default(), 1, |number| vec![blob(number as u32, 50)]).await;
    let budget = Budget::new(1 << 20);
    for number in 0..101 {
        let fetched = soon(fetch(&nodes, ids[0], request(number), &budget)).await.unwrap();
        assert_eq!(fetched.items(), [blob(number as u32, 50)]);
    }
}

#[tokio::test]
async fn refusals_stay_typed() {
    let failure = || {
        let mut bytes = Vec::new();
        let fields = (mapreduce_core::FailureKind::Read, "split 3 of /data", Some(17u64), "torn page");
        codec::encode(&fields, &mut bytes).unwrap();
        codec::decode::<TaskFailure>(&bytes).unwrap()
    };
    let (nodes, ids) = nodes(&Limits::default(), 1, move |number, writer, _reader| async move {
        let what = "round 3 of job 1".to_owned();
        let refusal = match number {
            0 => Refusal::Unknown { what },
            _ => Refusal::Read { failure: failure(), permanent: number == 2 },
        };
        refuse(writer, refusal).await;
    })
    .await;
    let budget = Budget::new(1 << 20);
    let refused = async |number| match soon(fetch(&nodes, ids[0], request(number), &budget)).await {
        Err(FetchError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    let unknown = refused(0).await;
    assert!(matches!(&unknown, Refusal::Unknown { what } if what == "round 3 of job 1"));
    assert_eq!(unknown.to_string(), "round 3 of job 1 is not there, or no longer");
    for number in [1, 2] {
        let Refusal::Read { failure: told, permanent } = refused(number).await else { panic!("unknown") };
        assert_eq!(permanent, number == 2);
        assert_eq!(told.to_string(), failure().to_string());
        assert_eq!((told.kind, told.record), (failure().kind, Some(17)));
    }
}

#[tokio::test]
async fn of_several_nodes_the_one_that_fails_is_named() {
    let (nodes, ids) = nodes(&Limits::default(), 3, |number, writer, reader| async move {
        match number {
            0 => refuse(writer, Refusal::Unknown { what: "it".to_owned() }).await,
            // Waits until it is given up: what another node says does not depend on it.
            _ => drop(soon(serve(writer, reader, body_of(vec![blob(0, 1 << 20)]))).await),
        }
    })
    .await;
    let budget = Budget::new(1 << 20);
    let requests = vec![(ids[0], request(1)), (ids[1], request(0)), (ids[2], request(1))];
    let (whose, error) = soon(fetch_all(&nodes, requests, &budget)).await.unwrap_err();
    assert_eq!(whose, ids[1]);
    assert!(matches!(error, FetchError::Refused(_)), "{error}");

    let stranger = NodeId::from_bytes([9; 16]);
    let error = soon(fetch(&nodes, stranger, request(1), &budget)).await.unwrap_err();
    assert!(matches!(error, FetchError::Open(OpenError::Unreachable { node, .. }) if node == stranger));
    assert_eq!(budget.free_bytes(), 1 << 20);
}
