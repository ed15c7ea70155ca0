//! K-means on pools of real processes that are killed, stopped, joined and flooded in the middle of a fit: the bits are those
//! of a fit on threads.
//!
//! What a test does in the middle of a fit it does when the driver says that an iteration is over. The driver is held back
//! by what it says (`Process::start_in_step`), and a fit has more iterations than it can say unheard: it cannot be over
//! before the test has done what it wants.

#![cfg(unix)]

mod command;
#[path = "../../mapreduce-net/tests/support/mod.rs"]
mod support;

use command::{noise, npy_f64};
use serde_json::Value;
use std::{fs, net::UdpSocket, path::Path, sync::OnceLock, thread};
use support::{Ended, Lab, Peer, Process};

const ROWS: usize = 4_000;
const CLUSTERS: usize = 64;
/// More than a socket holds of lines.
const ITERATIONS: u32 = 500;

/// Files with points on a line and start centroids crowded at one end of it, which take thousands of iterations to spread.
fn write_points(folder: &Path) {
    let write = |name: &str, bytes: Vec<u8>| fs::write(folder.join(name), bytes).expect("a file");
    write("line.npy", npy_f64(ROWS, 1, (0..ROWS).map(|i| i as f64)));
    write("start.npy", npy_f64(CLUSTERS, 1, (0..CLUSTERS).map(|i| i as f64)));
}

/// A pool of so many processes, with points in its folder.
fn lab(peers: usize) -> Lab {
    let lab = Lab::start(env!("CARGO_BIN_EXE_kmeans-job"), peers);
    write_points(lab.folder());
    lab
}

/// The arguments of a fit, which writes `NAME.json` and `NAME.npy`.
fn fit_args(name: &str) -> String {
    format!(
        "fit line.npy --k {CLUSTERS} --init start.npy --max-iter {ITERATIONS} --tol 0 --split-size 2000 --json \
         --model {name}.json --labels {name}.npy"
    )
}

/// Starts a driver that fits on a pool of so many peers.
fn start(lab: &Lab, name: &str, peers: usize, options: &str) -> Process {
    let args = format!("{} --pool lab.pool.client --min-peers {peers} {options}", fit_args(name));
    Process::start_in_step(&mut lab.command(&args))
}

/// Waits until a driver says that an iteration is over.
fn reach(driver: &mut Process, iteration: u32) {
    let start = format!("iteration {iteration} ");
    driver.stderr_line(|line| line.starts_with(&start));
}

/// Fails unless a fit has succeeded with the bits of a fit on threads. Gives what it said of itself.
fn same_bits(lab: &Lab, name: &str, ended: Ended) -> Value {
    let ended = ended.succeeded();
    assert!(bits(lab, name) == *expected(), "other bits than on threads: {ended:?}");
    let result: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(result["iterations"], ITERATIONS, "{result}");
    result
}

/// The files that a fit has written.
fn bits(lab: &Lab, name: &str) -> [Vec<u8>; 2] {
    ["json", "npy"].map(|extension| fs::read(lab.path(&format!("{name}.{extension}"))).expect("a file"))
}

/// The files that a fit on threads writes.
fn expected() -> &'static [Vec<u8>; 2] {
    static EXPECTED: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    EXPECTED.get_or_init(|| {
        let lab = lab(0);
        lab.run(&format!("{} --threads 2 --quiet", fit_args("local"))).succeeded();
        bits(&lab, "local")
    })
}

/// The tasks that a peer has done.
fn tasks(result: &Value, peer: &str) -> u64 {
    result["tasks_by_peer"][peer].as_u64().unwrap_or_default()
}

#[test]
fn a_pool_of_any_size_gives_the_bits_of_threads() {
    for peers in [1, 2, 5] {
        let lab = lab(peers);
        let result = same_bits(&lab, "m", start(&lab, "m", peers, "").wait());
        assert_eq!((&result["peers"], &result["attempts_lost"]), (&peers.into(), &0.into()), "{result}");
    }
}

#[test]
fn all_peers_but_one_may_be_killed() {
    for option in ["", "--shared"] {
        let mut lab = lab(3);
        let mut driver = start(&lab, "m", 3, option);
        reach(&mut driver, 5);
        lab.take_peer(1).process.kill_and_wait();
        reach(&mut driver, 50);
        lab.take_peer(1).process.kill_and_wait();
        let result = same_bits(&lab, "m", driver.wait());
        assert!(tasks(&result, &lab.peer(0).id) > 0, "{result}");
    }
}

#[test]
fn the_founding_peer_may_be_killed_and_others_join_without_it() {
    let mut lab = lab(2);
    let mut driver = start(&lab, "m", 2, "");
    reach(&mut driver, 5);
    lab.take_peer(0).process.kill_and_wait();
    // Its pool file names the founder too, and it reaches the driver through the other one.
    let new = lab.add();
    lab.peer(new).process.stderr_line(|line| line.contains("a driver came"));
    let result = same_bits(&lab, "m", driver.wait());
    assert!(tasks(&result, &lab.peer(new).id) > 0, "{result}");
}

#[test]
fn a_peer_that_joins_gets_work_at_once() {
    let mut lab = lab(1);
    let mut driver = start(&lab, "m", 1, "");
    reach(&mut driver, 5);
    let new = lab.add();
    lab.peer(new).process.stderr_line(|line| line.contains("a driver came"));
    let result = same_bits(&lab, "m", driver.wait());
    let lost = &result["attempts_lost"];
    assert!(tasks(&result, &lab.peer(new).id) > 0 && *lost == 0, "{result}");
}

#[test]
fn a_fit_outlives_all_peers_that_it_began_with() {
    let mut lab = lab(2);
    let mut driver = start(&lab, "m", 2, "");
    reach(&mut driver, 5);
    let first = lab.take_peer(0);
    let address = first.address.clone();
    first.process.kill_and_wait();
    lab.take_peer(0).process.kill_and_wait();
    // Where the driver's pool file says that there is one.
    let new = lab.add_at(&address);
    let result = same_bits(&lab, "m", driver.wait());
    assert!(tasks(&result, &lab.peer(new).id) > 0, "{result}");
}

#[test]
fn a_peer_that_stood_still_is_given_up_and_comes_back() {
    let mut lab = lab(2);
    lab.peer(0).process.stderr_line(|line| line.contains("a member joined"));
    let mut driver = start(&lab, "m", 2, "");
    reach(&mut driver, 5);
    lab.peer(1).process.signal("STOP");
    let id = lab.peer(1).id.clone();
    // By then it has been silent for longer than a driver's lease.
    lab.peer(0).process.stderr_line(|line| line.contains("a member was lost") && line.contains(&id));
    lab.peer(1).process.signal("CONT");
    // Its own lease has ended, unless the driver is back ahead of its looking at the clock.
    let is_given_up = |line: &str| line.contains("a driver is gone") || line.contains("a driver is replaced");
    lab.peer(1).process.stderr_line(is_given_up);
    lab.peer(0).process.stderr_line(|line| line.contains("a member joined") && line.contains(&id));
    same_bits(&lab, "m", driver.wait());
    let result = same_bits(&lab, "next", start(&lab, "next", 2, "").wait());
    assert!(tasks(&result, &id) > 0, "{result}");
}

#[test]
fn a_peer_that_is_told_to_leave_hands_over_what_it_has() {
    let mut lab = lab(2);
    let mut driver = start(&lab, "m", 2, "");
    reach(&mut driver, 5);
    let peer = lab.take_peer(0).process;
    peer.signal("TERM");
    let peer = peer.wait().succeeded();
    assert!(peer.stderr.ends_with("drained\n"), "{peer:?}");
    let result = same_bits(&lab, "m", driver.wait());
    assert_eq!((&result["peers"], &result["attempts_lost"]), (&2.into(), &0.into()), "{result}");
}

#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    let mut lab = lab(2);
    let mut driver = start(&lab, "m", 2, "");
    reach(&mut driver, 5);
    driver.signal("STOP");
    let mut peer = lab.take_peer(0).process;
    // As GNU `timeout` does it: to its child, and to the group of its child.
    peer.signal("TERM");
    peer.stderr_line(|line| line.contains("draining: "));
    peer.signal("TERM");
    driver.signal("CONT");
    let peer = peer.wait().succeeded();
    assert!(peer.stderr.ends_with("drained\n"), "{peer:?}");
    same_bits(&lab, "m", driver.wait());
}

#[test]
fn a_second_signal_ends_a_peer_that_cannot_hand_over() {
    let mut lab = lab(1);
    let mut driver = start(&lab, "m", 1, "");
    reach(&mut driver, 5);
    // Now it cannot let the peer go.
    driver.signal("STOP");
    let mut peer = lab.take_peer(0).process;
    peer.signal("TERM");
    peer.stderr_line(|line| line.contains("draining: "));
    peer.signal("INT");
    let ended = peer.wait();
    assert_eq!(ended.status, Some(130), "{ended:?}");
    assert!(ended.stderr.contains("error: ended before the peer was drained"), "{ended:?}");
}

#[test]
fn peers_drop_what_they_have_for_a_driver_that_ends_early_and_serve_the_next_one() {
    for signal in ["INT", "TERM", "KILL"] {
        let mut lab = lab(2);
        let mut driver = start(&lab, "ended", 2, "");
        reach(&mut driver, 5);
        let id = driver.id();
        driver.signal(signal);
        // The next one need not wait until they have noticed.
        let result = same_bits(&lab, "m", start(&lab, "m", 2, "").wait());
        assert_eq!((&result["peers"], &result["attempts_lost"]), (&2.into(), &0.into()), "{result}");
        let ended = driver.wait();
        match signal {
            "KILL" => assert_eq!((ended.status, ended.stdout.as_str()), (None, ""), "{ended:?}"),
            _ => {
                let status = if signal == "INT" { 130 } else { 143 };
                assert_eq!(ended.refused(status), "error: interrupted; nothing was written");
            }
        }
        for number in 0..2 {
            lab.peer(number).process.sees(id, "a driver is gone");
        }
        assert!(!lab.path("ended.json").exists() && !lab.path("ended.npy").exists());
    }
}

#[test]
fn two_drivers_share_a_pool() {
    let lab = lab(2);
    let mut drivers = ["a", "b"].map(|name| start(&lab, name, 2, ""));
    // Each is at work when the other one is.
    drivers.iter_mut().for_each(|driver| reach(driver, 5));
    let waiting = drivers.map(|driver| thread::spawn(|| driver.wait()));
    for (waiting, name) in waiting.into_iter().zip(["a", "b"]) {
        let result = same_bits(&lab, name, waiting.join().expect("it only waits"));
        assert_eq!((&result["peers"], &result["attempts_lost"]), (&2.into(), &0.into()), "{result}");
    }
}

#[test]
fn garbage_at_the_ports_of_peers_does_no_harm() {
    let mut lab = lab(2);
    let mut driver = start(&lab, "m", 2, "");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut random = noise(usize::MAX).map(|x| (x * 256.0) as u8);
    for iteration in 1..100 {
        reach(&mut driver, iteration);
        for number in 0..2 {
            for length in [1, 20, 50, 1_200, 1_472] {
                let mut datagram: Vec<u8> = random.by_ref().take(length).collect();
                socket.send_to(&datagram, &lab.peer(number).address).expect("it goes out");
                // The same as the beginning of a QUIC connection: a long header, version 1, an id of 8 bytes.
                let head = [0xc0, 0, 0, 0, 1, 8];
                let known = head.len().min(length);
                datagram[..known].copy_from_slice(&head[..known]);
                socket.send_to(&datagram, &lab.peer(number).address).expect("it goes out");
            }
        }
    }
    let result = same_bits(&lab, "m", driver.wait());
    assert_eq!((&result["peers"], &result["attempts_lost"]), (&2.into(), &0.into()), "{result}");
}

#[test]
fn a_shared_file_is_not_computed_with_while_it_is_another_one() {
    let mut lab = lab(1);
    let mut driver = start(&lab, "m", 1, "--shared");
    reach(&mut driver, 5);
    let folder = lab.folder().to_owned();
    let put = |from: &str, to: &str| fs::rename(folder.join(from), folder.join(to)).expect("our files");
    put("line.npy", "kept.npy");
    fs::write(lab.path("other.npy"), npy_f64(ROWS, 1, (0..ROWS).map(|i| (i + 1) as f64))).expect("a file");
    put("other.npy", "line.npy");
    // The peer has what it has read. One that takes its place, at the address that the pool file names, has not.
    let Peer { process, address, .. } = lab.take_peer(0);
    process.kill_and_wait();
    let peer = |listen: &str| {
        let args = format!("peer --pool lab.pool --listen {listen} --threads 1 --verbose");
        Peer::ready(Process::start(&mut lab.command(&args)))
    };
    let mut first = peer(&address);
    first.process.stderr_line(|line| line.contains("line.npy: is not the file that the driver reads"));
    put("kept.npy", "line.npy");
    let second = peer("127.0.0.1:0");
    let result = same_bits(&lab, "m", driver.wait());
    assert!(tasks(&result, &second.id) > 0, "{result}");
}
