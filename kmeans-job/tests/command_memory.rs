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
    folder.same(&["m1.json", "m2.json"]);
    folder.same(&["l1.npy", "l2.npy", "l3.npy"]);
    folder.same(&["d1.npy", "d2.npy", "d3.npy"]);
    let quiet = folder.succeed("fit points --k 3 --max-iter 2 --memory 10600000 --quiet");
    assert_eq!(quiet.stderr, "");
}

#[cfg(all(feature = "parquet", feature = "plot"))]
#[test]
fn every_output_of_points_that_stay_in_their_files_is_that_of_loaded_ones() {
    let folder = folder();
    let fit = |i: u32, options: &str| {
        let outputs = format!("--labels l{i}.parquet --distances d{i}.parquet --plot p{i}.svg");
        folder.succeed(&format!("fit points --k 2..3 --max-iter 3 --model m{i}.json {outputs} {options}"))
    };
    let (loaded, stays) = (fit(1, ""), fit(2, "--memory 10600000"));
    let (loaded, stays) = (loaded.stdout.lines(), stays.stdout.lines());
    let untimed =
        |line: &&str| !line.contains("seconds") && !line.contains("wrote") && !line.contains("  0.");
    assert!(loaded.filter(untimed).eq(stays.filter(untimed)));
    for name in ["m1.json", "l1.parquet", "d1.parquet", "p1.svg"] {
        assert!(folder.get(name) == folder.get(&name.replace('1', "2")), "{name}");
    }
}

#[test]
fn weights_of_points_in_files_count_in_the_budget() {
    let folder = folder();
    let weights: Vec<u8> = (0..250_000).flat_map(|i| f64::from(i % 3).to_le_bytes()).collect();
    folder.put("weights.npy", command::npy("<f8", false, "(250000,)", &weights));
    let fit = "fit points --k 3 --max-iter 3 --weights weights.npy";
    folder.succeed(&format!("{fit} --model m1.json --labels l1.npy"));
    let run = folder.succeed(&format!("{fit} --model m2.json --labels l2.npy --memory 17MB"));
    assert!(run.stderr.contains("they are read from the file in each pass"), "{}", run.stderr);
    for name in ["m1.json", "l1.npy"] {
        assert!(folder.get(name) == folder.get(&name.replace('1', "2")), "{name}");
    }
    // A task takes 10 MiB, and weights 4 MB: as they were read, and as they lie behind the points.
    let run = folder.run(&words(&format!("{fit} --memory 14MB")));
    assert_eq!(run.status, Some(1));
    assert!(run.stderr.contains("--memory"), "{}", run.stderr);
}

/// Splits, of which the first leaves clusters larger than a copy in memory may be.
const BISECT: &str = "fit points --k 5 --algorithm bisecting --max-iter 5";

#[test]
fn points_that_stay_in_their_files_are_bisected_with_the_same_result() {
    let folder = folder();
    std::fs::create_dir(folder.path("spill")).unwrap();
    let fit = |i: u32, options: &str| {
        folder
            .succeed(&format!("{BISECT} --model m{i}.json --labels l{i}.npy --distances d{i}.npy {options}"))
    };
    let (loaded, stays) = (fit(1, ""), fit(2, "--memory 12MB --spill-to spill"));
    assert!(stays.stderr.contains("they are read from the file in each pass"), "{}", stays.stderr);
    let splits = |stderr: &str| -> Vec<String> {
        stderr
            .lines()
            .filter(|line| !line.contains("--memory"))
            .map(|line| untimed(line).to_owned())
            .collect()
    };
    assert_eq!((splits(&stays.stderr), splits(&loaded.stderr).len()), (splits(&loaded.stderr), 4));
    for name in ["m1.json", "l1.npy", "d1.npy"] {
        assert!(folder.get(name) == folder.get(&name.replace('1', "2")), "{name}");
    }
    assert_eq!(std::fs::read_dir(folder.path("spill")).unwrap().count(), 0);
    // A task takes 10 MiB, and which cluster each point is in 1 MB.
    let run = folder.run(&words(&format!("{BISECT} --memory 11MB")));
    assert_eq!(run.status, Some(1));
    assert!(run.stderr.contains("give more with --memory"), "{}", run.stderr);
}

/// A limit for the size of files stands in for a full disk.
#[cfg(unix)]
#[test]
fn a_disk_without_room_for_a_cluster_is_an_error_that_names_the_folder() {
    let folder = folder();
    std::fs::create_dir(folder.path("spill")).unwrap();
    let before = folder.content();
    let mut command = std::process::Command::new("sh");
    let fit = format!("{BISECT} --model m.json --memory 12MB --spill-to spill");
    let script = format!("trap '' XFSZ; ulimit -f 1000; exec {} {fit}", env!("CARGO_BIN_EXE_kmeans-job"));
    command.args(["-c", &script]).current_dir(folder.path(""));
    let run = command::Run::of(command);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    let error = run.stderr.lines().last().unwrap();
    assert!(error.starts_with("error: spill: the points do not fit into 12.0 MB of memory"), "{error}");
    assert!(error.contains("--spill-to"), "{error}");
    assert!(folder.content() == before);
    assert_eq!(std::fs::read_dir(folder.path("spill")).unwrap().count(), 0);
}

#[test]
fn outputs_of_points_in_files_appear_together_or_not_at_all() {
    let folder = folder();
    folder.succeed("fit points --k 3 --max-iter 2 --model m.json --memory 10600000");
    // The second file has a point that cannot be computed with: found when the first outputs have been begun.
    let mut bytes = folder.get("points/b.npy");
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    folder.put("points/b.npy", bytes);
    let before = folder.content();
    for command in ["predict m.json points", "fit points --k 3 --model n.json"] {
        let args = format!("{command} --labels l.npy --distances d.npy --memory 10600000");
        let run = folder.run(&words(&args));
        assert_eq!(run.status, Some(1));
        let message = "error: points/a.npy and 1 more: row 249999, column 3 (counted from 0)";
        assert!(run.stderr.lines().any(|line| line.starts_with(message)), "{}", run.stderr);
        assert!(folder.content() == before, "{command}");
    }
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
