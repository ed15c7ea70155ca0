//! Peers and drivers with next to no memory: the same output, through spill files.

use super::{
    common::{
        Folder,
        jobs::*,
        oracle,
        probe::{numbers, sums},
    },
    gate::Gated,
    quick, registry,
};
use mapreduce_core::{Error, Input, InputOf, Memory, RangePartitioner, prelude::*};
use mapreduce_net::{PeerOptions, PoolOptions, testing::TestPool};
use std::{fmt::Write as _, path::Path, sync::Arc, time::Duration};

/// Small enough for a budget that nothing fits into beside the running task.
const SEGMENT_BYTES: usize = 16 << 10;
const TASK_BYTES: u64 = 2 * SEGMENT_BYTES as u64 + (2 << 20);

fn options(partitions: u32) -> Options {
    Options { partitions: Some(partitions), segment_bytes: SEGMENT_BYTES, ..Options::default() }
}

/// A budget that leaves tasks so many bytes, or up to seven more: each peer sets an eighth apart for what it fetches.
const fn budget(peers: usize, bytes: u64) -> u64 {
    bytes.div_ceil(8 - peers as u64) * 8
}

/// Peers that share a budget, which leaves so many bytes to tasks, and a folder.
fn pool(peers: usize, bytes: u64, folder: &Path) -> TestPool {
    let memory = Memory::limited(budget(peers, bytes)).spilling_to(folder);
    let options = PeerOptions { threads: 1, timing: quick(), memory, ..PeerOptions::default() };
    TestPool::start_with(peers, registry(), options).unwrap()
}

/// A driver that leaves all reducing to the peers.
fn driver(peers: usize, bytes: u64, folder: &Path) -> PoolOptions {
    let memory = Memory::limited(bytes).spilling_to(folder);
    PoolOptions { min_peers: peers, inline_bytes: 0, timing: quick(), memory, ..PoolOptions::default() }
}

/// Lines of which six of ten are the same.
fn skewed(lines: u64) -> String {
    let mut text = String::new();
    for i in 0..lines {
        match i % 10 {
            0..6 => text.push_str("the same words of one line that comes again and again\n"),
            _ => writeln!(text, "{} other words", i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40).unwrap(),
        }
    }
    text
}

fn check<J, I>(pool: &TestPool, driver: &PoolOptions, job: &J, shared: &J::Shared, input: &I)
where
    J: Job,
    I: Input<Records = InputOf<J>> + Clone,
{
    let engine = pool.connect_with(driver.clone()).unwrap();
    for partitions in [1, 7] {
        let expected = oracle::expect(job, shared, input, partitions).unwrap();
        let data = Dataset::with_split_bytes(input.clone(), 20_000).unwrap();
        let output = engine.run_with(job, shared, &data, &options(partitions)).unwrap();
        assert!(oracle::encoded(&output) == expected, "{} with {partitions} partitions", J::NAME);
        let report = output.report;
        assert!(report.spilled_bytes > 0, "nothing was spilled");
        assert_eq!(report.output_records, output.pairs.len() as u64);
        assert!(report.output_bytes > 0 && report.input_bytes > 0);
        assert!(report.map_time > Duration::ZERO && report.reduce_time > Duration::ZERO);
    }
}

#[test]
fn jobs_give_the_same_bits_without_memory() {
    let folder = Folder::new();
    let files = folder.files(&[skewed(6_000), skewed(10)]);
    let lines = TextFiles::open(&files).unwrap();
    let bytes = TextFiles::open_bytes(&files).unwrap();
    let sample = Dataset::new(bytes.clone()).unwrap().sample(100, <[u8]>::to_vec).unwrap();
    let ranges = RangePartitioner::from_sample::<[u8]>(&sample, 7);
    // Room for nothing, and for some of it.
    for (peers, bytes_of_peers, bytes_of_driver) in
        [(1, TASK_BYTES, 0), (3, 3 * TASK_BYTES + 100_000, 50_000)]
    {
        let pool = pool(peers, bytes_of_peers, folder.path());
        let driver = driver(peers, bytes_of_driver, folder.path());
        check(&pool, &driver, &WordCount, &(), &lines);
        check(&pool, &driver, &Index, &(), &lines);
        check(&pool, &driver, &SortLines, &ranges, &bytes);
    }
}

#[test]
fn a_peer_that_is_killed_takes_its_spilled_output_with_it() {
    let folder = Folder::new();
    for victim in 0..3 {
        let mut pool = pool(3, TASK_BYTES, folder.path());
        let engine = pool.connect_with(driver(3, 0, folder.path())).unwrap();
        let (job, is_reached, go_on) = Gated::at(900);
        let handle = engine.submit(job, (), Arc::new(numbers(1_000, 50)), options(3)).unwrap();
        is_reached.recv().unwrap();
        pool.kill(victim);
        drop(go_on);
        let output = handle.wait().unwrap();
        assert_eq!(output.pairs.iter().map(|(_, sum)| sum).sum::<u64>(), 499_500);
        assert_eq!(output.pairs.len(), 10, "victim {victim}");
        assert!(output.report.spilled_bytes > 0);
    }
}

/// Flips a bit of every byte in the spill files of a folder, which have no names.
#[cfg(target_os = "linux")]
fn damage(folder: &Path) {
    use std::os::unix::fs::FileExt;
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        if std::fs::read_link(&path).is_ok_and(|file| file.starts_with(folder)) {
            let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
            let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
            file.read_exact_at(&mut bytes, 0).unwrap();
            bytes.iter_mut().for_each(|byte| *byte ^= 1);
            file.write_all_at(&bytes, 0).unwrap();
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn spilled_map_output_that_is_damaged_is_made_again() {
    let folder = Folder::new();
    let pool = pool(3, TASK_BYTES, folder.path());
    let engine = pool.connect().unwrap();
    let (job, is_reached, go_on) = Gated::at(999);
    let handle = engine.submit(job, (), Arc::new(numbers(1_000, 50)), options(1)).unwrap();
    is_reached.recv().unwrap();
    damage(folder.path());
    drop(go_on);
    let output = handle.wait().unwrap();
    assert_eq!(output.pairs, sums(1_000));
    assert!(output.report.attempts_failed > 0);
}

#[test]
fn a_budget_that_holds_no_task_is_said() {
    let folder = Folder::new();
    let bytes = TASK_BYTES - 8;
    let pool = pool(2, bytes, folder.path());
    let driver = PoolOptions { no_peers_timeout: Duration::from_millis(200), ..driver(2, 0, folder.path()) };
    let engine = pool.connect_with(driver).unwrap();
    let error = engine.run_with(&Gated::new(|_| Ok(())), &(), &numbers(100, 5), &options(1)).unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, Error::Scheduling { .. }), "{message}");
    let needed = TASK_BYTES + 2 * (budget(2, bytes) / 8);
    assert!(message.contains(&needed.to_string()), "{message}");
}

#[test]
fn peers_that_cannot_spill_leave_the_job_without_any_and_the_folder_is_named() {
    let folder = Folder::new();
    let pool = pool(2, TASK_BYTES, &folder.join("nowhere"));
    // Nobody has to wait for peers that cannot come.
    let driver = PoolOptions { no_peers_timeout: Duration::from_secs(3600), ..driver(2, 0, folder.path()) };
    let engine = pool.connect_with(driver).unwrap();
    let to = PartFiles::new(folder.join("out"));
    let job = Gated::new(|_| Ok(()));
    let error = engine.write(&job, &(), &numbers(1_000, 50), &to, &options(3)).unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, Error::Scheduling { .. }), "{message}");
    assert!(message.contains("all 2 peers have failed too often to get more work"), "{message}");
    assert!(message.contains("nowhere: nothing can be spilled there: "), "{message}");
    assert!(message.contains("make the folder"), "{message}");
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}

#[test]
fn a_driver_that_can_neither_hold_nor_spill_the_output_says_so() {
    let folder = Folder::new();
    let nowhere = folder.join("nowhere");
    let pool = pool(1, 1 << 30, folder.path());
    let engine = pool.connect_with(driver(1, 0, &nowhere)).unwrap();
    let error = engine.run_with(&Gated::new(|_| Ok(())), &(), &numbers(100, 5), &options(1)).unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
}
