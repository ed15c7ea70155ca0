//! Budgets and credits: what is held, who waits, and that nobody waits for ever.

use super::*;

/// What a requester has cost when it holds blobs of `bytes` in all.
fn cost(blobs: u64, bytes: u64) -> u64 {
    bytes + blobs * (BLOB_HEADER_BYTES + size_of::<Blob>()) as u64
}

/// A server that sends what the request itself grants, then tells of every credit, then sends all.
async fn telling(bytes: usize) -> (Nodes, Vec<NodeId>, mpsc::UnboundedReceiver<u64>) {
    let (tell, told) = mpsc::unbounded_channel();
    let (nodes, ids) = nodes(&Limits::default(), 1, move |_, mut writer, mut reader| {
        let tell = tell.clone();
        async move {
            let body = encoded(&[blob(0, bytes)]);
            writer.send(&Answer::Offer(Offer { blobs: 1, bytes: body.len() as u64 })).await.unwrap();
            let mut granted = FIRST_BYTES.min(body.len() as u64) as usize;
            let mut sent = 0;
            while sent < body.len() {
                writer.write_raw(&body[sent..granted]).await.unwrap();
                sent = granted;
                if sent < body.len() {
                    let credit = reader.expect::<Credit>().await.unwrap();
                    tell.send(credit.bytes).unwrap();
                    granted += credit.bytes as usize;
                }
            }
            writer.write_raw(&trailer(1, &body)).await.unwrap();
            writer.finish().unwrap();
            writer.stream().stopped().await.unwrap();
        }
    })
    .await;
    (nodes, ids, told)
}

#[tokio::test]
async fn more_than_the_whole_budget_is_let_in_when_it_is_alone() {
    const BYTES: usize = 64 << 20;
    let budget = Budget::new(8 << 20);
    let (nodes, ids, mut told) = telling(BYTES).await;
    let elsewhere = budget.acquire(&[1 << 20, 2 << 20]).await;
    let released = Arc::new(AtomicBool::new(false));
    let fetching = soon(fetch::fetch_all_within(
        fetch::Pace { patience: PATIENCE, waiting: Duration::from_millis(20) },
        &nodes,
        vec![(ids[0], request(0))],
        &receive::ToBlobs,
        &budget,
    ));
    let watching = async {
        let mut waits = 0;
        let mut granted = FIRST_BYTES;
        while let Some(credit) = told.recv().await {
            match credit {
                0 => waits += 1,
                _ => assert!(released.load(Ordering::SeqCst), "granted what was not there"),
            }
            granted += credit;
            assert!(credit <= WINDOW_BYTES);
            // It waits for all of what others have, not for a part, and says so all the time.
            if waits == 3 && !released.swap(true, Ordering::SeqCst) {
                assert_eq!(credit, 0);
                drop(elsewhere);
                break;
            }
        }
        while let Some(credit) = told.recv().await {
            granted += credit;
            if granted == cost(1, BYTES as u64) - size_of::<Blob>() as u64 {
                break;
            }
        }
    };
    let (fetched, ()) = tokio::join!(fetching, watching);
    let fetched = fetched.unwrap().remove(0);
    assert!(fetched.items() == [blob(0, BYTES)]);
    assert_eq!(budget.free_bytes(), 0);
    drop(fetched);
    assert_eq!(budget.free_bytes(), 8 << 20);
}

#[tokio::test]
async fn what_the_request_grants_needs_no_credit() {
    for bytes in [0, 1, FIRST_BYTES as usize - BLOB_HEADER_BYTES] {
        let (nodes, ids, mut told) = telling(bytes).await;
        let fetched = soon(fetch(&nodes, ids[0], request(0), &Budget::new(1 << 20))).await.unwrap();
        assert!(fetched.items() == [blob(0, bytes)]);
        assert!(told.try_recv().is_err());
    }
    let (nodes, ids, mut told) = telling(FIRST_BYTES as usize - BLOB_HEADER_BYTES + 1).await;
    soon(fetch(&nodes, ids[0], request(0), &Budget::new(1 << 20))).await.unwrap();
    assert_eq!(told.recv().await, Some(1));
}

#[tokio::test]
async fn a_budget_that_all_share_is_never_exceeded_and_nobody_waits_for_ever() {
    const BUDGET: u64 = 1 << 20;
    const TASKS: u64 = 12;
    for seed in 0..4u64 {
        let (nodes, ids) = servers(&Limits::default(), 3, |number| {
            let mut random = Random(number);
            let bits = random.below(20);
            (0..random.below(4)).map(|index| blob(index as u32, random.below(1 << bits) as usize)).collect()
        })
        .await;
        let (nodes, budget) = (Arc::new(nodes), Budget::new(BUDGET));
        let holding = Arc::new(AtomicU64::new(0));
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..TASKS {
            let (nodes, ids, budget, holding) = (nodes.clone(), ids.clone(), budget.clone(), holding.clone());
            tasks.spawn(async move {
                let mut random = Random(seed * TASKS + task);
                for _ in 0..10 {
                    let mut some = ids.clone();
                    some.truncate(1 + random.below(3) as usize);
                    let requests: Vec<_> = some.into_iter().map(|id| (id, request(random.next()))).collect();
                    let fetching = fetch_all(&*nodes, requests, &budget);
                    if random.below(8) == 0 {
                        // Gives up at any point.
                        let patience = Duration::from_micros(random.below(3_000));
                        if tokio::time::timeout(patience, fetching).await.is_err() {
                            continue;
                        }
                        // What it had was dropped at once.
                        continue;
                    }
                    let all = fetching.await.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
                    let blobs = || all.iter().flat_map(Fetched::items);
                    let bytes = blobs().map(|blob| blob.bytes.len() as u64).sum();
                    let together = holding.fetch_add(bytes, Ordering::SeqCst) + bytes;
                    let alone = together == bytes;
                    assert!(together <= BUDGET || alone, "seed {seed}: {together} bytes are held");
                    for _ in 0..random.below(50) {
                        tokio::task::yield_now().await;
                    }
                    assert!(blobs().all(|one| *one == blob(one.index, one.bytes.len())), "seed {seed}");
                    holding.fetch_sub(bytes, Ordering::SeqCst);
                }
            });
        }
        soon(async {
            while let Some(done) = tasks.join_next().await {
                done.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            }
        })
        .await;
        assert_eq!(budget.free_bytes(), BUDGET, "seed {seed}");
    }
}

#[tokio::test]
async fn small_ones_do_not_overtake_a_large_one() {
    let budget = Budget::new(10 << 10);
    let first = budget.acquire(&[4 << 10]).await;
    let mut large = std::pin::pin!(budget.acquire(&[10 << 10]));
    assert!(tokio::time::timeout(Duration::ZERO, large.as_mut()).await.is_err());
    let mut small = std::pin::pin!(budget.acquire(&[1]));
    assert!(tokio::time::timeout(Duration::ZERO, small.as_mut()).await.is_err());
    // What costs nothing does not wait.
    assert_eq!(soon(budget.acquire(&[0, 0])).await.len(), 2);
    drop(first);
    let large = soon(large).await;
    assert!(tokio::time::timeout(Duration::ZERO, small.as_mut()).await.is_err());
    drop(large);
    drop(soon(small).await);
    assert_eq!(budget.free_bytes(), 10 << 10);
}

#[tokio::test]
async fn each_part_gives_back_its_own() {
    let budget = Budget::new(100 << 10);
    let mut parts = budget.acquire(&[1, 3 << 10, 0, 10 << 10]).await;
    assert_eq!(budget.free_bytes(), 86 << 10);
    parts.remove(1);
    assert_eq!(budget.free_bytes(), 89 << 10);
    parts.remove(0);
    assert_eq!(budget.free_bytes(), 90 << 10);
    drop(parts);
    assert_eq!(budget.free_bytes(), 100 << 10);
    // More than there is: all of it, in the order of the parts.
    let mut parts = soon(budget.acquire(&[60 << 10, 60 << 10, u64::MAX])).await;
    assert_eq!(budget.free_bytes(), 0);
    parts.remove(0);
    assert_eq!(budget.free_bytes(), 60 << 10);
    drop(parts);
    // A budget of nothing lets one at a time in.
    let nothing = Budget::new(0);
    let one = soon(nothing.acquire(&[1 << 30])).await;
    assert!(tokio::time::timeout(Duration::ZERO, nothing.acquire(&[1])).await.is_err());
    drop(one);
    drop(soon(nothing.acquire(&[1])).await);
}
