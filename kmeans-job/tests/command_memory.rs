//! `--memory`: points that do not fit stay in their files, and what is written is the same.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like the tests")]

mod command;

use command::{Folder, noise, npy_f32, words};
use std::{
    fs::OpenOptions,
    io::{BufRead as _, BufReader, Read as _, Write as _},
};

/// 4 MB of points in two files.
fn folder() -> Folder {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("points")).unwrap();
    for (name, rows) in [("points/a.npy", 200_000), ("points/b.npy", 50_000)] {
        let values = noise(rows * 4).enumerate().map(|(i, x)| (x + (i / 4 % 3) as f64 * 5.0) as f32);
        folder.put(name, npy_f32(rows, 4, values));
    }
    folder
}

const STAYS: &str = "points/a.npy and 1 more: 4.0 MB of points do not fit into 10.6 MB of memory (--memory); they are read \
                     from the file in each pass\n";

/// The line of an iteration, but how long it took.
fn untimed(line: &str) -> &str {
    line.split(" in ").next().unwrap_or_default()
}

#[test]
fn points_that_do_not_fit_are_read_from_their_files_with_the_same_result() {
    let folder = folder();
    let outputs = |i| format!("--model m{i}.json --labels l{i}.npy --distances d{i}.npy");
    let loaded = folder.succeed(&format!("fit points --k 3 --max-iter 5 {}", outputs(1)));
    assert!(!loaded.stderr.contains("--memory"), "{}", loaded.stderr);
    let stays = folder.succeed(&format!("fit points --k 3 --max-iter 5 --memory 10600000 {}", outputs(2)));
    assert!(stays.stderr.starts_with(STAYS), "{}", stays.stderr);
    assert!(
        stays.stderr.lines().skip(1).map(untimed).eq(loaded.stderr.lines().map(untimed)),
        "{}",
        stays.stderr
    );
    let predicted =
        folder.succeed("predict m2.json points --labels l3.npy --distances d3.npy --memory 10600000");
    assert_eq!(predicted.stderr, STAYS);
    for (a, b) in [
        ("m1.json", "m2.json"),
        ("l1.npy", "l2.npy"),
        ("d1.npy", "d2.npy"),
        ("l1.npy", "l3.npy"),
        ("d1.npy", "d3.npy"),
    ] {
        assert!(folder.get(a) == folder.get(b), "{a} differs from {b}");
    }
    let quiet = folder.succeed("fit points --k 3 --max-iter 2 --memory 10600000 --quiet");
    assert_eq!(quiet.stderr, "");
}

#[test]
fn tables_that_do_not_fit_are_refused_with_the_way_out() {
    let folder = Folder::new();
    let lines: String = noise(2_000_000).map(|x| format!("{x:.3}\n")).collect();
    folder.put("long.csv", lines);
    let run = folder.run(&words("fit long.csv --k 3 --memory 12MB --model m.json"));
    assert_eq!(run.status, Some(1));
    assert_eq!(
        run.stderr,
        "error: long.csv: its points do not fit into 12.0 MB of memory; give more with --memory, or convert them to .npy \
         (`numpy.save(path, a)`) or Parquet, which are read from the file in each pass\n"
    );
    assert_eq!(folder.names(), ["long.csv"].map(std::path::PathBuf::from));
}

#[test]
fn a_small_budget_is_enough_for_a_small_table() {
    let folder = Folder::new();
    folder.succeed("fit IRIS --k 3 --memory 12MB");
    let run = folder.run(&words("fit IRIS --k 3 --memory 1MB"));
    assert_eq!(run.status, Some(1));
    assert!(run.stderr.contains("give more with --memory"), "{}", run.stderr);
    let run = folder.run(&words("fit IRIS --k 3 --memory none"));
    assert_eq!(run.status, Some(2));
    assert!(run.stderr.contains("give a size such as 200MB"), "{}", run.stderr);
}

#[test]
fn a_file_that_changes_between_rounds_ends_the_fit_and_is_named() {
    const CLUSTERS: usize = 64;
    let folder = folder();
    // Crowded at one end: it takes them hundreds of rounds to spread.
    folder.put("start.npy", npy_f32(CLUSTERS, 4, (0..CLUSTERS * 4).map(|i| i as f32 * 1e-6)));
    folder.put("m.json", "old model");
    let args = format!(
        "fit points --k {CLUSTERS} --init start.npy --max-iter 100000 --tol 0 --memory 10600000 --model m.json"
    );
    let mut child = folder.command(&words(&args)).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("iteration 1 cost ") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it has ended");
    }
    let mut changed = OpenOptions::new().append(true).open(folder.path("points/b.npy")).unwrap();
    changed.write_all(&[0; 16]).unwrap();
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{rest}");
    let error = rest.lines().last().unwrap();
    assert!(error.starts_with("error: ") && error.contains("points/b.npy"), "{error}");
    assert!(error.contains("has changed"), "{error}");
    assert!(output.stdout.is_empty());
    assert_eq!(folder.get("m.json"), b"old model");
}
