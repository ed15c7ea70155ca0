//! The examples as filters: processes with pipes between them and `sort`, compared with `run`.

use super::{
    example, parts,
    support::{Process, command},
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};
use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
};
use tempfile::TempDir;

/// What came of a process that was given `input`.
fn pipe(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            // It may end before it has read all.
            let _ = stdin.write_all(input);
        });
        child.wait_with_output().unwrap()
    })
}

fn filter(name: &str, args: &str, input: &[u8]) -> Output {
    pipe(Command::new(example(name)).args(args.split_whitespace()), input)
}

/// Its standard output, if it has succeeded without a word.
pub(super) fn piped(name: &str, args: &str, input: &[u8]) -> Vec<u8> {
    let output = filter(name, args, input);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.as_str()), (Some(0), ""));
    output.stdout
}

/// What it says, if it has failed.
pub(super) fn refused(name: &str, args: &str, input: &[u8]) -> String {
    let output = filter(name, args, input);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("error: ") && said.lines().count() == 1, "{said}");
    said
}

/// `LC_ALL=C sort`.
pub(super) fn sort(lines: &[u8]) -> Vec<u8> {
    let output = pipe(Command::new("sort").env("LC_ALL", "C"), lines);
    assert!(output.status.success());
    output.stdout
}

/// What `run` writes, its parts in order.
fn run(name: &str, folder: &TempDir, input: &[u8], partitions: u32) -> Vec<u8> {
    fs::write(folder.path().join("input"), input).unwrap();
    let args = format!("run input --output output --overwrite --threads 2 --partitions {partitions}");
    Process::start(&mut command(example(name), folder.path(), &args)).wait().succeeded();
    parts(&folder.path().join("output"))
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

/// Texts of any bytes, in which words and lines are often equal, empty or the beginnings of others.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![select(b"ab \t\n\n\0\r\x0b\x10\x1f\xc3\xa9\xf4\xff".to_vec()), any::<u8>()];
    vec(byte, 0..400)
}

#[test]
fn filters_give_what_run_gives() {
    let folder = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::new(Config { cases: 12, failure_persistence: None, ..Config::default() });
    let same = |text: Vec<u8>| {
        for name in ["word_count", "sort"] {
            let filtered = piped(name, "reduce", &sort(&piped(name, "map", &text)));
            prop_assert_eq!(&filtered, &run(name, &folder, &text, 1));
            // A part after the other they are in another order, unless each holds a range.
            let in_parts = run(name, &folder, &text, 3);
            if name == "sort" {
                prop_assert_eq!(&filtered, &in_parts);
            }
            prop_assert_eq!(sort(&filtered), sort(&in_parts));
        }
        Ok(())
    };
    runner.run(&texts(), same).unwrap();
}

#[test]
fn the_pairs_are_those_of_hadoop_streaming() {
    let pairs = piped("word_count", "map", "to be or\nnot to be: é".as_bytes());
    let expected = "be\t1\nbe:\t1\nnot\t1\nor\t1\nto\t2\né\t1\n\u{10FFFF}end\t-\t6\n";
    assert_eq!(String::from_utf8(sort(&pairs)).unwrap(), expected);
}

#[test]
fn several_filters_share_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let text: Vec<u8> =
        (0..2_000u32).flat_map(|i| format!("w{} v{}\n", i * i % 97, i % 11).into_bytes()).collect();
    let all = lines(&text);
    let mapped: Vec<Vec<u8>> = all
        .chunks(700)
        .enumerate()
        .map(|(split, part)| piped("word_count", &format!("map --split {split}"), &part.concat()))
        .collect();
    let counts = run("word_count", &folder, &text, 1);
    assert_eq!(piped("word_count", "reduce", &sort(&mapped.concat())), counts);

    // Two reducers, as an engine has them: each gets its keys, and one of them the ends.
    let sorted = sort(&mapped.concat());
    let (one, other): (Vec<&[u8]>, Vec<&[u8]>) = lines(&sorted).into_iter().partition(|line| line[0] < b'w');
    let reduced = [one, other].map(|part| piped("word_count", "reduce --no-end", &part.concat()));
    assert_eq!(sort(&reduced.concat()), counts);
}

#[test]
fn a_map_that_is_killed_is_noticed_by_reduce() {
    let mut map = Command::new(example("word_count"))
        .arg("map")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = map.stdin.take().unwrap();
    stdin.write_all(b"some words\nof a text\n").unwrap();
    map.kill().unwrap();
    let killed = map.wait_with_output().unwrap();
    assert!(!killed.status.success());
    let error = refused("word_count", "reduce", &sort(&killed.stdout));
    assert!(error.contains("without saying that they are all"), "{error}");
}

#[test]
fn lines_that_are_cut_lost_or_not_sorted_are_refused() {
    let sorted = sort(&piped("word_count", "map", b"c b a a"));
    let all = lines(&sorted);
    assert_eq!(all.len(), 4);
    for (input, expected) in [
        (&sorted[..sorted.len() - 1], "line 4 is cut off"),
        (&all[..3].concat(), "the lines end after line 3 without saying that they are all"),
        (&all[1..].concat(), "there are 2 pairs, but the `map` commands have written 3"),
        (&[all[1], all[0]].concat(), "line 2 is less than the line before it; sort the lines"),
        (b"one word\n", "line 1 has no tab"),
        (b"word\tmany\n", "line 1: the value is none of this job"),
        (b"", "the lines end after line 0"),
    ] {
        let error = refused("word_count", "reduce", input);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn csv_records_are_filtered_as_they_are_run() {
    let folder = tempfile::tempdir().unwrap();
    let cities = ["Bern", "\"a, b\"", "\"\"\"\"", "Zürich\t"];
    let records: Vec<String> =
        (0..500).map(|i| format!("{},x,{}\n", i % 7, cities[i * i % 11 % cities.len()])).collect();
    let header = "pieces,rest,city\n";
    let text = [header, &records.concat()].concat();
    let expected = run("sales", &folder, text.as_bytes(), 1);
    let filtered = piped("sales", "map", text.as_bytes());
    assert_eq!(piped("sales", "reduce", &sort(&filtered)), expected);
    // As an engine cuts it: the header is only at the beginning.
    let parts = records.chunks(170).enumerate().map(|(split, part)| {
        let args = format!("map --split {split} --header pieces,rest,city");
        piped("sales", &args, part.concat().as_bytes())
    });
    assert_eq!(piped("sales", "reduce", &sort(&parts.collect::<Vec<_>>().concat())), expected);

    let error = refused("sales", "map", b"pieces,city\n1,Bern\nmany,Bern\n");
    assert!(error.contains("input, byte 19") && error.contains("pieces"), "{error}");
}

#[test]
fn lines_longer_than_asked_for_are_refused_and_shorter_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let word = "w".repeat(1 << 20);
    let pairs = piped("word_count", "map --line-bytes-max 1MiB", word.as_bytes());
    let sorted = sort(&pairs);
    let counted = piped("word_count", "reduce --line-bytes-max 2MiB", &sorted);
    assert_eq!(counted, format!("{word}\t1\n").as_bytes());
    let way_out = "is longer than 1000000 bytes; raise it with --line-bytes-max";
    for (command, input) in [("map", word.as_bytes()), ("reduce", &sorted)] {
        let error = refused("word_count", &format!("{command} --line-bytes-max 1MB"), input);
        assert!(error.contains(way_out), "{error}");
    }
    // No program of the examples forgets it.
    fs::write(folder.path().join("long"), format!("a,{word}\n")).unwrap();
    fs::write(folder.path().join("sales.csv"), format!("pieces,city\n1,{word}\n")).unwrap();
    for (name, inputs) in [
        ("word_count", "long"),
        ("sort", "long"),
        ("inverted_index", "long"),
        ("join", "long long"),
        ("grep", "x long"),
        ("sales", "sales.csv"),
        ("page_rank", "long"),
    ] {
        let args = format!("run {inputs} --output {name} --line-bytes-max 1MB");
        let ended = Process::start(&mut command(example(name), folder.path(), &args)).wait();
        let error = ended.refused(1);
        assert!(error.contains(way_out), "{name}: {error}");
    }
}

#[test]
fn an_output_that_nobody_reads_is_an_error() {
    // More than a pipe holds.
    let text: Vec<u8> = (0..200_000).flat_map(|i| format!("word{i}\n").into_bytes()).collect();
    let mut map = Command::new(example("word_count"))
        .arg("map")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(map.stdout.take());
    map.stdin.take().unwrap().write_all(&text).unwrap();
    let ended = map.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8(ended.stderr).unwrap().starts_with("error: cannot write: "));
}

#[test]
fn wrong_usage_of_a_filter_is_explained() {
    for (args, expected) in [
        ("map input", "unexpected argument 'input'"),
        ("map --split -1", "unexpected argument '-1'"),
        ("reduce --split 1", "unexpected argument '--split'"),
    ] {
        let output = Process::start(&mut command(example("word_count"), Path::new("."), args)).wait();
        assert_eq!(output.status, Some(2), "{args}");
        assert!(output.stderr.contains(expected), "{args}: {output:?}");
    }
}
