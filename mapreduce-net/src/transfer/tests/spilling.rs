//! Runs in spill files: on their way out of one, and into one.

use super::*;
use crate::transport::StreamError;
use mapreduce_core::{
    Memory,
    exec::{Run, RunSpiller},
};
use tempfile::TempDir;

/// The bytes of so many pairs, each of a key of two bytes and a value of up to 100.
fn pairs(seed: u64, count: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut bytes = Vec::new();
    for _ in 0..count {
        let length = random.below(101) as usize;
        bytes.extend([2, length as u8]);
        bytes.extend(noise(random.next(), 2 + length));
    }
    bytes
}

/// Memory of so many bytes, and the folder that it spills to.
fn memory(bytes: u64) -> (Memory, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Memory::limited(bytes).spilling_to(folder.path()), folder)
}

fn spilled(memory: &Memory, bytes: &[u8], pairs: u64) -> Run {
    let mut spiller = RunSpiller::create(memory).unwrap();
    spiller.push(bytes).unwrap();
    spiller.finish(pairs).unwrap().unwrap()
}

/// The pairs of the runs that a node has; every other one is in a file.
const COUNTS: [u64; 9] = [1, 20_000, 1, 2, 3, 60_000, 500, 9_000, 1];

fn runs(memory: &Memory) -> Vec<Run> {
    let run = |(seed, &count): (u64, &u64)| match seed % 4 {
        0 => Run::from_bytes(pairs(seed, count), count).unwrap(),
        _ => spilled(memory, &pairs(seed, count), count),
    };
    (0..).zip(&COUNTS).map(run).collect()
}

/// A node that serves these runs.
async fn holder(runs: Vec<Run>) -> (Nodes, NodeId) {
    let (nodes, ids) = nodes(&Limits::default(), 1, move |_, writer, reader| {
        let mut body = Body::new();
        (0..).zip(&runs).for_each(|(index, run)| body.push_run(index, run.clone()));
        async move { drop(serve(writer, reader, body).await) }
    })
    .await;
    (nodes, ids[0])
}

async fn fetched_runs(
    nodes: &Nodes,
    node: NodeId,
    budget: &Budget,
    memory: &Memory,
) -> Result<(Vec<Run>, Vec<Portion>), FetchError> {
    let fetched = soon(fetch_runs(nodes, vec![(node, request(0))], budget, memory)).await;
    let (mut runs, mut held) = (Vec::new(), Vec::new());
    for part in fetched.map_err(|(_, error)| error)? {
        let (arrived, part) = part.into_parts();
        held.push(part);
        runs.extend(arrived.into_iter().map(|run| run.into_run().unwrap()));
    }
    Ok((runs, held))
}

#[tokio::test]
async fn runs_in_files_and_in_memory_are_sent_alike() {
    let (memory, _folder) = memory(0);
    let (nodes, node) = holder(runs(&memory)).await;
    let fetched = soon(fetch(&nodes, node, request(0), &Budget::new(64 << 20))).await.unwrap();
    assert_eq!(fetched.items().len(), COUNTS.len());
    for (blob, (seed, &count)) in fetched.items().iter().zip((0..).zip(&COUNTS)) {
        assert_eq!((u64::from(blob.index), blob.pairs), (seed, count));
        assert!(blob.bytes == pairs(seed, count), "run {seed}");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_spilled_as_it_comes_whatever_the_budgets() {
    let (of_holder, _folder) = memory(0);
    let sent = runs(&of_holder);
    let (nodes, node) = holder(sent.clone()).await;
    for budget_bytes in [0, 2 << 10, 2 << 20, 64 << 20] {
        for memory_bytes in [0, 100_000, 64 << 20] {
            let (memory, _folder) = memory(memory_bytes);
            let budget = Budget::new(budget_bytes);
            let free = budget.free_bytes();
            let (runs, held) = fetched_runs(&nodes, node, &budget, &memory).await.unwrap();
            assert_eq!(runs, sent);
            let spilled = runs.iter().filter(|run| run.in_memory().is_none()).count();
            let in_memory: u64 = runs.iter().filter_map(Run::in_memory).map(|bytes| bytes.len() as u64).sum();
            assert!(in_memory <= budget_bytes.max(1 << 10) + memory_bytes);
            assert_eq!(spilled == 0, budget_bytes.max(memory_bytes) == 64 << 20, "{spilled}");
            assert_eq!(spilled == 0, memory.spilled_bytes() == 0);
            drop((runs, held));
            assert_eq!((budget.free_bytes(), memory.held_bytes()), (free, 0));
        }
    }
}

#[tokio::test]
async fn output_that_stays_does_not_count_as_fetched() {
    let run = Run::from_bytes(pairs(1, 5_000), 5_000).unwrap();
    let (nodes, node) = holder(vec![run.clone()]).await;
    for bytes in [0, 64 << 20] {
        let ((memory, _folder), budget) = (memory(bytes), Budget::new(1 << 10));
        let output = soon(fetch_output(&nodes, node, request(0), &budget, &memory)).await.unwrap();
        assert_eq!(budget.free_bytes(), 1 << 10);
        let output: Vec<_> = output.into_iter().map(|run| run.into_run().unwrap()).collect();
        assert!(output.len() == 1 && output[0] == run);
        assert_eq!(output[0].in_memory().is_some(), bytes > 0);
        assert!(memory.held_bytes() <= run.byte_len());
        drop(output);
        assert_eq!(memory.held_bytes(), 0);
    }
}

#[tokio::test]
async fn several_that_are_larger_than_the_budget_do_not_wait_for_ever() {
    let (of_holder, _folder) = memory(0);
    let sent = runs(&of_holder);
    let (nodes, node) = holder(sent.clone()).await;
    let ((memory, _folder), budget) = (memory(0), Budget::new(64 << 10));
    let (nodes, budget) = (Arc::new(nodes), Arc::new(budget));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (nodes, budget, memory, sent) = (nodes.clone(), budget.clone(), memory.clone(), sent.clone());
        tasks.spawn(async move {
            let (runs, _held) = fetched_runs(&nodes, node, &budget, &memory).await.unwrap();
            assert_eq!(runs, sent);
        });
    }
    while let Some(done) = soon(tasks.join_next()).await {
        done.unwrap();
    }
    assert_eq!((budget.free_bytes(), memory.held_bytes()), (64 << 10, 0));
}

#[test]
fn the_answer_does_not_wait_for_the_file() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (memory, _folder) = memory(0);
        let run = spilled(&memory, &pairs(1, 20_000), 20_000);
        let pair = connections(&Limits::default(), 1).await.pop().unwrap();
        // Files are read on a thread that does not get to it.
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let reading = tokio::task::spawn_blocking(move || wait.recv().is_err());
        let (dialled, accepted) = pair;
        let serving = async {
            let (send, receive) = accepted.accept_bi().await.unwrap();
            let mut reader = FrameReader::new(receive);
            reader.expect::<Open>().await.unwrap();
            let mut body = Body::new();
            body.push_run(0, run);
            serve(FrameWriter::new(send), reader, body).await
        };
        let asking = async {
            let (send, receive) = dialled.open_bi().await.unwrap();
            let mut writer = FrameWriter::new(send);
            writer.send(&Open::Fetch(request(0))).await.unwrap();
            let answer = FrameReader::new(receive).expect::<Answer>().await.unwrap();
            assert!(matches!(answer, Answer::Offer(Offer { blobs: 1, .. })), "{answer:?}");
            drop(go_on);
        };
        // Whoever asks has gone by the time that the file is read.
        let (served, ()) = soon(async { tokio::join!(serving, asking) }).await;
        assert!(served.is_err());
        assert!(reading.await.unwrap());
    });
}

/// What comes of a server whose one run is changed on its way, without memory for it.
async fn changed(change: impl Fn(&mut Vec<u8>, &mut Vec<u8>) + Clone + Send + 'static) -> FetchError {
    let (nodes, ids) = nodes(&Limits::default(), 1, move |_, mut writer, reader| {
        let change = change.clone();
        async move {
            let _reader = reader;
            let mut body = encoded(&[Blob { index: 7, pairs: 9_000, bytes: pairs(7, 9_000) }]);
            writer.put(&Answer::Offer(Offer { blobs: 1, bytes: body.len() as u64 })).unwrap();
            let mut end = trailer(1, &body);
            change(&mut body, &mut end);
            let _ = writer.write_raw(&body).await;
            let _ = writer.write_raw(&end).await;
            let _ = writer.finish();
            let _ = writer.stream().stopped().await;
        }
    })
    .await;
    let ((memory, _folder), budget) = (memory(0), Budget::new(0));
    let error = fetched_runs(&nodes, ids[0], &budget, &memory).await.unwrap_err();
    assert_eq!(budget.free_bytes(), 1 << 10);
    error
}

#[tokio::test]
async fn flipped_bits_other_counts_and_early_ends_are_found_on_the_way_to_a_file() {
    let flipped = changed(|body, _| body[300_000] ^= 1).await;
    let found = matches!(flipped, FetchError::Corrupt { what: "the checksum is", .. });
    assert!(found || matches!(flipped, FetchError::NotPairs { .. }), "{flipped}");
    let flipped = changed(|_, end| end[20] ^= 1).await;
    assert!(matches!(flipped, FetchError::Corrupt { what: "the checksum is", .. }), "{flipped}");
    let miscounted = changed(|body, _| body[4] ^= 1).await;
    assert!(matches!(miscounted, FetchError::NotPairs { index: 7, pairs: 9_001 }), "{miscounted}");
    assert_eq!(miscounted.to_string(), "the run of split 7 is not 9001 whole pairs");
    let cut = changed(|body, end| {
        body.truncate(200_000);
        end.clear();
    })
    .await;
    assert!(matches!(cut, FetchError::Wire(WireError::Truncated)), "{cut}");
}

#[tokio::test]
async fn a_folder_that_is_gone_is_told_from_a_server_that_fails() {
    let (nodes, node) = holder(vec![Run::from_bytes(pairs(1, 9_000), 9_000).unwrap()]).await;
    let ((memory, folder), budget) = (memory(0), Budget::new(0));
    drop(folder);
    let error = fetched_runs(&nodes, node, &budget, &memory).await.unwrap_err();
    assert!(matches!(error, FetchError::Spill(_)), "{error}");
}

/// A bit of a spilled run, in an unnamed file.
#[cfg(target_os = "linux")]
fn damage(folder: &TempDir) {
    use std::os::unix::fs::FileExt;
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    let of_folder = |path: &std::path::PathBuf| {
        std::fs::read_link(path).is_ok_and(|file| file.starts_with(folder.path()))
    };
    let files: Vec<_> = descriptors.filter(of_folder).collect();
    assert_eq!(files.len(), 1);
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&files[0]).unwrap();
    let (at, mut byte) = (file.metadata().unwrap().len() * 3 / 4, [0]);
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_damaged_spill_file_resets_the_transfer() {
    let (memory, folder) = memory(0);
    let run = spilled(&memory, &pairs(1, 60_000), 60_000);
    damage(&folder);
    let (tell, mut told) = mpsc::unbounded_channel();
    let (nodes, ids) = nodes(&Limits::default(), 1, move |_, writer, reader| {
        let (mut body, tell) = (Body::new(), tell.clone());
        body.push_run(0, run.clone());
        async move { tell.send(serve(writer, reader, body).await).unwrap() }
    })
    .await;
    let error = soon(fetch(&nodes, ids[0], request(0), &Budget::new(1 << 20))).await.unwrap_err();
    assert!(matches!(error, FetchError::Wire(WireError::Stream(StreamError::Reset { .. }))), "{error}");
    let served = told.recv().await.unwrap().unwrap_err();
    assert!(matches!(served, ServeError::Spill(_)), "{served}");
}
