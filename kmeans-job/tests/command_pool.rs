//! K-means on pools of real processes: the same bits as on threads. `pool_faults.rs` has what may happen to the processes.

mod command;
#[path = "../../mapreduce-net/tests/support/mod.rs"]
mod support;

use command::{noise, npy_f32};
use serde_json::Value;
use std::fs;
use support::Lab;

/// A pool of this command's processes, with points in its folder.
fn lab(peers: usize) -> Lab {
    let lab = Lab::start(env!("CARGO_BIN_EXE_kmeans-job"), peers);
    fs::write(lab.path("points.npy"), npy_f32(20_000, 8, noise(160_000).map(|x| x as f32))).expect("a file");
    lab
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
fn tables_that_do_not_fit_into_memory_are_sent_and_cannot_be_shared() {
    let lab = lab(2);
    let rows: String = noise(200_000).map(|x| format!("{x:.3},{:.3}\n", 3.0 * x * x)).collect();
    fs::write(lab.path("points.csv"), rows).expect("a file");
    let fit = "fit points.csv --k 4 --max-iter 4 --quiet";
    lab.run(&format!("{fit} --model local.json --labels local.npy")).succeeded();
    let memory = "--memory 11000000 --spill-to .";
    let on_pool = format!("{memory} {ON_POOL} --min-peers 2");
    lab.run(&format!("{fit} --model m.json --labels l.npy {on_pool}")).succeeded();
    assert!(files(&lab, &["m.json", "l.npy"]) == files(&lab, &["local.json", "local.npy"]));
    let run = lab.run(&format!("{fit} --model s.json {on_pool} --shared"));
    assert!(run.refused(1).contains("peers can read points themselves from an .npy file only"), "{run:?}");
}

#[test]
fn points_that_stay_in_their_files_are_bisected_on_a_pool() {
    let lab = lab(2);
    let values = noise(800_000).enumerate().map(|(i, x)| (x + (i / 4 % 3) as f64 * 5.0) as f32);
    fs::write(lab.path("many.npy"), npy_f32(200_000, 4, values)).expect("a file");
    let fit = "fit many.npy --k 5 --algorithm bisecting --max-iter 4";
    lab.run(&format!("{fit} --model local.json --labels local.npy")).succeeded();
    let on_pool = format!("--memory 12MB --spill-to . {ON_POOL} --min-peers 2");
    for option in ["", "--shared"] {
        let run = lab.run(&format!("{fit} --model m.json --labels l.npy {on_pool} {option}")).succeeded();
        assert!(run.stderr.contains("they are read from the file in each pass"), "{run:?}");
        assert!(files(&lab, &["m.json", "l.npy"]) == files(&lab, &["local.json", "local.npy"]));
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

#[test]
fn an_input_that_is_not_there_is_said_ahead_of_the_wait_for_a_pool() {
    let lab = lab(1);
    lab.run("pool create --address 127.0.0.1:9 --output nobody.pool").succeeded();
    let files = [
        ("fit points.csv --k 2", "points.csv"),
        ("predict model.json points.npy --labels l.npy", "model.json"),
    ];
    for (args, path) in files {
        let run = lab.run(&format!("{args} --pool nobody.pool --wait 1"));
        assert_eq!(run.status, Some(1), "{args}");
        assert!(run.stderr.starts_with(&format!("error: {path}: ")), "{}", run.stderr);
    }
}
