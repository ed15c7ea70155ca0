//! Ctrl-C in the middle of a run: it ends soon, says so, and leaves no file behind.

#![cfg(unix)]

mod command;

use command::{Folder, npy_f64, words};
use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Command},
};

fn send(signal: &str, child: &Child) {
    let status = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(status.expect("kill can be started").success());
}

const CLUSTERS: usize = 256;

/// Points on a line and start centroids crowded at one end of it: those take thousands of iterations to spread.
fn prepare(folder: &Folder) {
    folder.put("points.npy", npy_f64(100_000, 1, (0..100_000).map(f64::from)));
    folder.put("start.npy", npy_f64(CLUSTERS, 1, (0..CLUSTERS).map(|i| i as f64)));
    folder.put("m.json", "old model");
}

#[test]
fn ctrl_c_in_the_middle_ends_the_run_and_leaves_no_file() {
    let args = format!(
        "fit points.npy --k {CLUSTERS} --init start.npy --max-iter 100000 --tol 0 --model m.json --labels l.npy"
    );
    let folder = Folder::new();
    prepare(&folder);
    let before = folder.content();
    let mut child = folder.command(&words(&args)).spawn().expect("the command can be started");
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    let mut first = String::new();
    stderr.read_line(&mut first).expect("a line");
    assert!(first.starts_with("iteration 1 cost "), "{first}");
    send("-INT", &child);
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).expect("the end");
    let output = child.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(130), "{rest}");
    assert_eq!(rest.lines().last(), Some("error: interrupted; nothing was written"));
    assert!(output.stdout.is_empty());
    assert!(folder.content() == before, "the folder has changed");
}

#[test]
fn ctrl_c_while_points_are_made_leaves_no_file() {
    let folder = Folder::new();
    folder.put("points.npy", "old points");
    let before = folder.content();
    // Far more than is written until somebody looks.
    let args = words("generate uniform --rows 1000000000 --columns 4 --threads 1 --output points.npy");
    let mut child = folder.command(&args).spawn().expect("the command can be started");
    while folder.names().len() < 2 {
        assert!(child.try_wait().expect("a child").is_none(), "it has ended");
        std::thread::yield_now();
    }
    send("-INT", &child);
    let output = child.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "error: interrupted; nothing was written\n");
    assert!(output.stdout.is_empty());
    assert!(folder.content() == before, "the folder has changed");
}
