//! K-means on pools of real processes: the same bits as on threads, whoever comes and goes.

mod command;
#[path = "../../mapreduce-net/tests/support/mod.rs"]
mod support;

use command::{noise, npy_f32, npy_f64};
use serde_json::Value;
use std::fs;
use support::{Lab, Process};

const CLUSTERS: usize = 256;

/// A pool of this command's processes, with points in its folder.
fn lab(peers: usize) -> Lab {
    let lab = Lab::start(env!("CARGO_BIN_EXE_kmeans-job"), peers);
    fs::write(lab.path("points.npy"), npy_f32(20_000, 8, noise(160_000).map(|x| x as f32))).expect("a file");
    lab
}

/// Points on a line and start centroids crowded at one end of it: those take thousands of iterations to spread.
fn slow_lab(peers: usize) -> Lab {
    let lab = Lab::start(env!("CARGO_BIN_EXE_kmeans-job"), peers);
    fs::write(lab.path("line.npy"), npy_f64(40_000, 1, (0..40_000).map(f64::from))).expect("a file");
    fs::write(lab.path("start.npy"), npy_f64(CLUSTERS, 1, (0..CLUSTERS).map(|i| i as f64))).expect("a file");
    lab
}

/// A fit on a [`slow_lab`] that runs until it is stopped, or for so many iterations.
fn slow_fit(iterations: u32) -> String {
    format!(
        "fit line.npy --k {CLUSTERS} --init start.npy --max-iter {iterations} --tol 0 --split-size 20000 --model m.json --labels l.npy"
    )
}

const ON_POOL: &str = "--pool lab.pool.client";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn files(lab: &Lab, names: &[&str]) -> Vec<Vec<u8>> {
    names
        .iter()
        .map(|name| fs::read(lab.path(name)).unwrap_or_else(|error| panic!("{name}: {error}")))
        .collect()
}

#[test]
fn a_fit_on_a_pool_gives_the_bits_of_a_fit_on_threads() {
    for peers in [1, 2] {
        let lab = lab(peers);
        let fit = "fit points.npy --k 7 --max-iter 20 --split-size 50000 --json";
        let local = lab.run(&format!("{fit} --model local.json --labels local.npy")).succeeded();
        for option in ["", "--shared"] {
            let args = format!("{fit} --model m.json --labels l.npy {ON_POOL} --min-peers {peers} {option}");
            let run = lab.run(&args).succeeded();
            assert!(
                files(&lab, &["m.json", "l.npy"]) == files(&lab, &["local.json", "local.npy"]),
                "{peers}"
            );
            let (result, local) = (json(&run.stdout), json(&local.stdout));
            assert_eq!(result["peers"].as_u64(), Some(peers as u64), "{result}");
            assert_eq!(
                result["peers"],
                result["tasks_by_peer"].as_object().map_or(0, |peers| peers.len()),
                "{result}"
            );
            assert_eq!(result["attempts_lost"], 0, "{result}");
            assert_eq!(result["cost_per_iteration"], local["cost_per_iteration"]);
            // A line for each iteration, as on threads.
            let iterations = run.stderr.lines().filter(|line| line.starts_with("iteration ")).count();
            assert_eq!(Some(iterations as u64), result["iterations"].as_u64(), "{}", run.stderr);
        }
    }
}

#[test]
fn predict_and_quantize_run_on_a_pool_too() {
    let lab = lab(2);
    lab.run("fit points.npy --k 7 --max-iter 5 --model m.json --labels l.npy").succeeded();
    let args = format!("predict m.json points.npy --labels p.npy {ON_POOL} --min-peers 2");
    for option in ["", "--shared"] {
        let run = lab.run(&format!("{args} {option}")).succeeded();
        assert!(files(&lab, &["p.npy"]) == files(&lab, &["l.npy"]));
        assert!(
            run.stdout.lines().any(|line| line.starts_with("computed    on ") && line.contains(" peer")),
            "{run:?}"
        );
    }
    let pixels: String = (0..64 * 64).map(|i| format!("{} {} {}\n", i % 256, i * 7 % 256, i / 16)).collect();
    fs::write(lab.path("image.ppm"), format!("P3 64 64 255\n{pixels}")).expect("a file");
    lab.run("quantize image.ppm --k 5 --output local.png").succeeded();
    lab.run(&format!("quantize image.ppm --k 5 --output pool.png {ON_POOL}")).succeeded();
    assert!(files(&lab, &["local.png"]) == files(&lab, &["pool.png"]));
    let run = lab.run(&format!("quantize image.ppm --k 5 --output shared.png {ON_POOL} --shared"));
    assert!(run.refused(1).starts_with("error: --shared: image.ppm: "), "{run:?}");
}

#[test]
fn a_summary_says_that_peers_have_computed() {
    let lab = lab(2);
    let run = lab
        .run(&format!("fit points.npy --k 3 --max-iter 5 --split-size 50000 {ON_POOL} --min-peers 2"))
        .succeeded();
    assert!(run.stdout.lines().any(|line| line == "computed    in f32 on 2 peers"), "{run:?}");
}

#[test]
fn points_that_are_not_in_an_npy_file_cannot_be_shared() {
    let lab = lab(1);
    fs::write(lab.path("points.csv"), "1,2\n3,4\n5,6\n").expect("a file");
    let run = lab.run(&format!("fit points.csv --k 2 {ON_POOL} --shared"));
    let error = run.refused(1);
    assert!(
        error.starts_with("error: points.csv: peers can read points themselves from an .npy file only"),
        "{error}"
    );
    lab.run(&format!("fit points.csv --k 2 {ON_POOL}")).succeeded();
}

#[test]
fn the_options_of_a_pool_need_a_pool() {
    let lab = lab(0);
    for option in ["--shared", "--min-peers 2"] {
        let run = lab.run(&format!("fit points.npy {option}"));
        assert_eq!(run.status, Some(2), "{run:?}");
        assert!(run.stderr.contains("--pool <FILE>"), "{run:?}");
    }
    let run = lab.run("fit points.npy --pool no.pool --model m.json");
    assert!(run.refused(1).starts_with("error: no.pool: no such pool file"), "{run:?}");
    assert!(!lab.path("m.json").exists());
}

#[cfg(unix)]
mod faults {
    use super::*;

    fn reaches(process: &mut Process, iteration: u32) {
        let start = format!("iteration {iteration} ");
        process.stderr_line(|line| line.starts_with(&start));
    }

    #[test]
    fn a_peer_may_be_told_to_leave_during_a_fit() {
        let mut lab = slow_lab(2);
        lab.run(&format!("{} --quiet", slow_fit(60))).succeeded();
        let expected = files(&lab, &["m.json", "l.npy"]);
        let mut fit =
            Process::start(&mut lab.command(&format!("{} {ON_POOL} --min-peers 2 --json", slow_fit(60))));
        reaches(&mut fit, 3);
        // The driver stands still until the peer drains: the fit cannot be over by then.
        fit.signal("STOP");
        let mut peer = lab.take_peer(0).process;
        peer.signal("TERM");
        peer.stderr_line(|line| line.contains("the peer is draining drivers=1"));
        fit.signal("CONT");
        let peer = peer.wait().succeeded();
        assert!(peer.stderr.ends_with("drained\n"), "{peer:?}");
        let result = json(&fit.wait().succeeded().stdout);
        assert!(files(&lab, &["m.json", "l.npy"]) == expected);
        assert_eq!((&result["peers"], &result["attempts_lost"]), (&2.into(), &0.into()), "{result}");
    }

    #[test]
    fn a_peer_may_be_killed_during_a_fit() {
        let mut lab = slow_lab(2);
        lab.run(&format!("{} --quiet", slow_fit(60))).succeeded();
        let expected = files(&lab, &["m.json", "l.npy"]);
        let mut fit =
            Process::start(&mut lab.command(&format!("{} {ON_POOL} --min-peers 2 --json", slow_fit(60))));
        reaches(&mut fit, 3);
        fit.signal("STOP");
        lab.take_peer(0).process.kill_and_wait();
        fit.signal("CONT");
        fit.wait().succeeded();
        assert!(files(&lab, &["m.json", "l.npy"]) == expected);
    }

    #[test]
    fn a_peer_that_joins_during_a_fit_gets_work() {
        let mut lab = slow_lab(1);
        lab.run(&format!("{} --quiet", slow_fit(200))).succeeded();
        let expected = files(&lab, &["m.json", "l.npy"]);
        let mut fit = Process::start(&mut lab.command(&format!("{} {ON_POOL} --json", slow_fit(200))));
        reaches(&mut fit, 5);
        // The driver stands still until the newcomer is a member.
        fit.signal("STOP");
        let newcomer = lab.add();
        lab.peer(0).process.stderr_line(|line| line.contains("a member joined"));
        fit.signal("CONT");
        let result = json(&fit.wait().succeeded().stdout);
        assert!(files(&lab, &["m.json", "l.npy"]) == expected);
        let id = lab.peer(newcomer).id.as_str();
        assert!(result["tasks_by_peer"][id].as_u64() > Some(0), "{result}");
    }

    #[test]
    fn ctrl_c_ends_a_fit_and_the_peers_drop_what_they_had_for_it() {
        for signal in ["INT", "TERM"] {
            let mut lab = slow_lab(2);
            let fit = format!("{} {ON_POOL} --min-peers 2", slow_fit(100_000));
            let mut fit = Process::start(&mut lab.command(&fit));
            reaches(&mut fit, 2);
            fit.signal(signal);
            let ended = fit.wait();
            assert_eq!(ended.refused(1), "error: interrupted; nothing was written");
            for number in 0..2 {
                lab.peer(number).process.stderr_line(|line| line.contains("a driver is gone"));
            }
            assert!(!lab.path("m.json").exists() && !lab.path("l.npy").exists());
            // The peers are there for others.
            lab.run(&format!("fit line.npy --k 2 --max-iter 3 {ON_POOL} --min-peers 2")).succeeded();
        }
    }

    #[test]
    fn a_second_signal_ends_a_peer_that_cannot_drain() {
        let mut lab = slow_lab(1);
        let fit = format!("{} {ON_POOL}", slow_fit(100_000));
        let mut fit = Process::start(&mut lab.command(&fit));
        reaches(&mut fit, 2);
        // It cannot let the peer go.
        fit.signal("STOP");
        let mut peer = lab.take_peer(0).process;
        peer.signal("TERM");
        peer.stderr_line(|line| line.contains("draining: "));
        peer.signal("INT");
        let ended = peer.wait();
        assert_eq!(ended.status, Some(130), "{ended:?}");
        assert!(ended.stderr.contains("error: ended before the peer was drained"), "{ended:?}");
        fit.kill();
    }
}
