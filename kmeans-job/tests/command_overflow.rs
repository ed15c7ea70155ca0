//! `--memory` and tables: those that do not fit are kept in a temporary file, and what is written is the same.

mod command;

use command::{Folder, noise, npy_f64, words};
use serde_json::Value;
use std::path::PathBuf;

/// What is over the limit of a table that may have as much memory as one task of the engine needs.
const MEMORY: &str = "--memory 10600000 --spill-to spill";

/// 4.8 MB of points in two files, and a folder for temporary files.
fn folder() -> Folder {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("points")).expect("a folder");
    std::fs::create_dir(folder.path("spill")).expect("a folder");
    let values: Vec<f64> = noise(600_000).collect();
    for (name, values) in [("points/a.csv", &values[..480_000]), ("points/b.csv", &values[480_000..])] {
        let row = |(i, row): (usize, &[f64])| {
            let fields = row.iter().map(|x| format!("{:.3}", x + (i % 3) as f64 * 5.0));
            fields.collect::<Vec<_>>().join(",") + "\n"
        };
        let rows: String = values.chunks(4).enumerate().map(row).collect();
        folder.put(name, format!("a,b,c,d\n{rows}\n"));
    }
    folder
}

const KEPT: &str = "points/a.csv and 1 more: 4.8 MB of points do not fit into 10.6 MB of memory (--memory); they are kept in a \
                    temporary file in spill and read from there in each pass\n";

fn assert_nothing_spilled(folder: &Folder) {
    assert_eq!(std::fs::read_dir(folder.path("spill")).expect("a folder").count(), 0);
}

/// A result without what differs between two runs.
fn timeless(json: &str) -> Value {
    let mut value: Value = serde_json::from_str(json).expect("JSON");
    let fields = value.as_object_mut().expect("an object");
    for name in ["seconds", "peak_rss_bytes", "tasks_by_peer"] {
        assert!(fields.remove(name).is_some(), "{name}");
    }
    value
}

#[test]
fn tables_that_do_not_fit_give_the_same_result_from_a_temporary_file() {
    let folder = folder();
    let weights = npy_f64(150_000, 1, (0..150_000).map(|i| f64::from(i % 4)));
    folder.put("weights.npy", weights);
    let outputs = |i| format!("--labels l{i}.npy --distances d{i}.npy");
    let fit = |i: u32, options: &str| {
        let args = format!("fit points --k 3 --max-iter 5 --model m{i}.json --json {options}");
        folder.succeed(&format!("{args} {}", outputs(i)))
    };
    let (loaded, kept) = (fit(1, ""), fit(2, MEMORY));
    assert!(!loaded.stderr.contains("--memory"), "{}", loaded.stderr);
    assert!(kept.stderr.starts_with(KEPT), "{}", kept.stderr);
    assert_nothing_spilled(&folder);
    assert_eq!(timeless(&loaded.stdout), timeless(&kept.stdout));
    let predicted = folder.succeed(&format!("predict m2.json points {MEMORY} {}", outputs(3)));
    assert_eq!(predicted.stderr, KEPT);
    let weights = "--weights weights.npy --quiet";
    fit(4, weights);
    let quiet = fit(5, &format!("{weights} --memory 16MB --spill-to spill"));
    assert_eq!(quiet.stderr, "");
    folder.same(&["m1.json", "m2.json"]);
    folder.same(&["l1.npy", "l2.npy", "l3.npy"]);
    folder.same(&["d1.npy", "d2.npy", "d3.npy"]);
    folder.same(&["m4.json", "m5.json"]);
    folder.same(&["l4.npy", "l5.npy"]);
    folder.same(&["d4.npy", "d5.npy"]);
    assert_nothing_spilled(&folder);
}

#[cfg(feature = "plot")]
#[test]
fn batches_and_pictures_of_a_temporary_file_are_those_of_memory() {
    let folder = folder();
    let fit = |i: u32, options: &str| {
        let args = format!("fit points --k 3 --algorithm mini-batch --max-iter 4 --model m{i}.json");
        folder.succeed(&format!("{args} --plot p{i}.svg --quiet {options}"));
    };
    fit(1, "");
    fit(2, MEMORY);
    for name in ["m1.json", "p1.svg"] {
        assert!(folder.get(name) == folder.get(&name.replace('1', "2")), "{name}");
    }
}

#[test]
fn what_is_wrong_far_into_a_table_is_named_and_nothing_is_left() {
    let folder = folder();
    let mut text = folder.get("points/b.csv");
    text.extend(b"1,2,three,4\n");
    folder.put("points/b.csv", text);
    let before = folder.content();
    let run = folder.run(&words(&format!("fit points --k 3 --model m.json {MEMORY}")));
    assert_eq!(run.status, Some(1));
    let message = "error: points/b.csv: line 30003, column 3 (`c`): `three` is not a number";
    assert!(run.stderr.starts_with(message), "{}", run.stderr);
    assert!(folder.content() == before);
    assert_nothing_spilled(&folder);
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_takes_no_file_is_named_with_the_ways_out() {
    let folder = folder();
    let run = folder.run(&words("fit points --k 3 --model m.json --memory 10600000 --spill-to /proc"));
    assert_eq!(run.status, Some(1));
    let start = "error: /proc: the points do not fit into 10.6 MB of memory, and cannot be kept in a temporary file there: ";
    let end = "; make room there, name another folder with --spill-to, or give more with --memory\n";
    assert!(run.stderr.starts_with(start) && run.stderr.ends_with(end), "{}", run.stderr);
    assert_eq!(folder.names().len(), 2, "the points and the spill folder");
}

#[test]
fn a_folder_that_is_not_there_is_refused_whether_it_is_needed_or_not() {
    let folder = Folder::new();
    folder.put("file", "");
    let start = |named: &str| format!("error: --spill-to {named}: nothing can be spilled there: ");
    let peer = "peer --pool first.pool --listen 127.0.0.1:0";
    folder.succeed("pool create --address 127.0.0.1:1 --output first.pool");
    for args in
        ["fit IRIS --k 3", "predict m.json IRIS --labels l.npy", "quantize no.png --output q.png", peer]
    {
        for named in ["nowhere", "file"] {
            let run = folder.run(&words(&format!("{args} --spill-to {named}")));
            assert_eq!(run.status, Some(1), "{args}");
            let error = run.stderr.lines().last().unwrap_or_default();
            assert!(error.starts_with(&start(named)), "{args}: {error}");
            assert!(error.ends_with("; make the folder, or name another"), "{args}: {error}");
        }
    }
}

/// A limit for the size of files stands in for a full disk.
#[cfg(unix)]
#[test]
fn a_full_disk_is_an_error_that_names_the_folder() {
    let folder = folder();
    let mut command = std::process::Command::new("sh");
    let fit = format!("fit points --k 3 --model m.json {MEMORY}");
    let script = format!("trap '' XFSZ; ulimit -f 2000; exec {} {fit}", env!("CARGO_BIN_EXE_kmeans-job"));
    command.args(["-c", &script]).current_dir(folder.path(""));
    let run = command::Run::of(command);
    assert_eq!(run.status, Some(1), "{}", run.stderr);
    assert!(
        run.stderr.starts_with("error: spill: the points do not fit into 10.6 MB of memory"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("--spill-to"), "{}", run.stderr);
    assert_nothing_spilled(&folder);
}

#[cfg(unix)]
#[test]
fn nothing_is_left_of_the_temporary_file_however_the_run_ends() {
    use std::{
        io::{BufRead as _, BufReader, Read as _},
        process::Command,
    };
    // Crowded at one end: it takes them hundreds of rounds to spread.
    let folder = folder();
    folder.put("start.npy", npy_f64(64, 4, (0..256).map(|i| f64::from(i) * 1e-6)));
    folder.put("m.json", "old model");
    let before: Vec<PathBuf> = folder.content().into_keys().collect();
    let args =
        format!("fit points --k 64 --init start.npy --max-iter 100000 --tol 0 --model m.json {MEMORY}");
    for (signal, status) in [("-INT", Some(130)), ("-TERM", Some(143)), ("-KILL", None)] {
        let mut child = folder.command(&words(&args)).spawn().expect("the command can be started");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut line = String::new();
        while !line.starts_with("iteration 1 cost ") {
            line.clear();
            assert!(stderr.read_line(&mut line).expect("a line") > 0, "it has ended");
        }
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.expect("kill can be started").success());
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).expect("the end");
        let output = child.wait_with_output().expect("an end");
        assert_eq!(output.status.code(), status, "{rest}");
        assert_nothing_spilled(&folder);
        assert_eq!(folder.get("m.json"), b"old model");
        if status.is_some() {
            assert!(folder.content().into_keys().eq(before.iter().cloned()));
        }
    }
}
