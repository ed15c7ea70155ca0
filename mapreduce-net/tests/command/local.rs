//! The examples on the threads of one process.

use super::{
    example, names, parts,
    support::{Ended, Process, command},
};
use std::{collections::BTreeMap, fs};
use tempfile::TempDir;

fn run(name: &str, folder: &TempDir, args: &str) -> Ended {
    Process::start(&mut command(example(name), folder.path(), args)).wait()
}

/// A folder with text files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

#[test]
fn word_count_counts_the_words_of_all_files() {
    let texts: Vec<String> = (0..3u64)
        .map(|file| (0..20_000).map(|i| format!("w{} \t é{}\n", i * i % 1_009, (i + file) % 11)).collect())
        .collect();
    let mut expected = BTreeMap::new();
    for word in texts.iter().flat_map(|text| text.split_whitespace()) {
        *expected.entry(word).or_insert(0) += 1;
    }
    let expected: String = expected.iter().map(|(word, n)| format!("{word}\t{n}\n")).collect();
    let folder =
        folder(&[("a", texts[0].as_bytes()), ("b", texts[1].as_bytes()), ("c", texts[2].as_bytes())]);

    let said = run("word_count", &folder, "run a b c --output counts --threads 2").succeeded().stdout;
    let lines = expected.lines().count();
    let first = format!("{lines} lines in 1 part, of 60000 records and {lines} keys, written to counts\n");
    assert!(said.starts_with(&first) && said.ends_with(" seconds on 2 threads\n"), "{said}");
    let out = folder.path().join("counts");
    assert!(parts(&out) == expected.into_bytes());
    assert_eq!(names(&out), ["_MANIFEST.json", "_SUCCESS", "part-00000"]);
}

#[test]
fn word_count_reads_its_own_output() {
    let folder = folder(&[("text", b"b a b")]);
    run("word_count", &folder, "run text --output first").succeeded();
    run("word_count", &folder, "run first --output second").succeeded();
    assert_eq!(parts(&folder.path().join("second")), b"1\t1\n2\t1\na\t1\nb\t1\n");
}

#[test]
fn sort_sorts_the_lines_of_all_files_by_their_bytes() {
    let texts: Vec<Vec<u8>> = (0..3u64)
        .map(|file| {
            // Any byte but the line feed; lines that are equal, empty, or the beginning of others.
            let line =
                |i: u64| (0..i % 17).map(move |j| (i * 37 + j * j * 11 + file) as u8 | 0x20).chain([b'\n']);
            (0..10_000).flat_map(line).collect()
        })
        .collect();
    let mut expected: Vec<&[u8]> =
        texts.iter().flat_map(|text| text.split_inclusive(|byte| *byte == b'\n')).collect();
    // By their bytes without the line feed, which is less than any byte in them.
    expected.sort();
    let folder = folder(&[("a", &texts[0]), ("b", &texts[1]), ("c", &texts[2])]);

    let said = run("sort", &folder, "run a b c --output sorted --partitions 16").succeeded().stdout;
    assert!(said.starts_with("30000 lines in 16 parts, of 30000 records and "), "{said}");
    assert!(parts(&folder.path().join("sorted")) == expected.concat());
}

#[test]
fn the_result_can_be_had_as_json() {
    let folder = folder(&[("text", b"b a b\na\n")]);
    let said = run("word_count", &folder, "run text --output counts --threads 1 --json").succeeded().stdout;
    let result: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said.lines().count(), 1);
    for (stage, all) in [("map_seconds", "seconds"), ("reduce_seconds", "seconds")] {
        assert!((0.0..result[all].as_f64().unwrap()).contains(&result[stage].as_f64().unwrap()), "{result}");
    }
    let peak = result["peak_rss_bytes"].as_u64();
    assert!(peak.is_some_and(|bytes| bytes > 1 << 20) || !cfg!(target_os = "linux"), "{result}");
    let expected = serde_json::json!({
        "output": "counts", "pairs": 2, "records": 2, "input_bytes": 8, "keys": 2, "output_bytes": 8,
        "spilled_bytes": 0, "parts": 1, "peers": 1, "threads": 1, "tasks_by_peer": {"local": 2}, "attempts_lost": 0,
        "attempts_failed": 0, "counters": {}, "map_seconds": result["map_seconds"],
        "reduce_seconds": result["reduce_seconds"], "seconds": result["seconds"], "peak_rss_bytes": peak,
    });
    assert_eq!(result, expected);
}

#[test]
fn a_run_stays_within_its_memory_and_gives_the_same() {
    // More lines than the memory of one task holds.
    let text: Vec<u8> = (0..600_000u64)
        .flat_map(|i| {
            format!("{:016x} and what follows, so that it adds up\n", i.wrapping_mul(0x9e37_79b9_7f4a_7c15))
                .into_bytes()
        })
        .collect();
    let folder = folder(&[("text", &text)]);
    fs::create_dir(folder.path().join("spill")).unwrap();
    run("sort", &folder, "run text --output all --threads 1 --partitions 3").succeeded();
    let said = run(
        "sort",
        &folder,
        "run text --output few --threads 1 --partitions 3 --memory 40MB --spill-to spill --json",
    );
    let result: serde_json::Value = serde_json::from_str(&said.succeeded().stdout).unwrap();
    assert!(result["spilled_bytes"].as_u64().unwrap() > 0, "{result}");
    let [all, few] = ["all", "few"].map(|name| parts(&folder.path().join(name)));
    assert!(all == few && all.len() == text.len());

    for (args, named, way_out) in [
        ("--memory 1MB", "1000000 bytes of memory is too small", "; give more with --memory"),
        ("--spill-to nowhere", "--spill-to nowhere: nothing can be spilled there: ", "or name another"),
        ("--spill-to text", "--spill-to text: nothing can be spilled there: ", "or name another"),
    ] {
        let ended = run("sort", &folder, &format!("run text --output out --threads 1 {args}"));
        let error = ended.refused(1);
        assert!(error.contains(named) && error.contains(way_out), "{error}");
        assert!(!error.contains('`'), "{error}");
    }
    let ended = run("sort", &folder, "map --memory 1MB");
    assert!(ended.refused(1).ends_with("; give more with --memory"));
    let ended = run("sort", &folder, "map --spill-to nowhere");
    assert!(ended.refused(1).starts_with("error: --spill-to nowhere: nothing can be spilled there: "));
    assert_eq!(names(folder.path()), ["all", "few", "spill", "text"]);
    assert!(names(&folder.path().join("spill")).is_empty());
}

#[test]
fn the_parts_may_be_tables_or_json() {
    let folder = folder(&[("text", b"b a b")]);
    for (format, expected) in [
        ("csv", "key,value\na,1\nb,2\n"),
        ("jsonl", "{\"key\":\"a\",\"value\":1}\n{\"key\":\"b\",\"value\":2}\n"),
    ] {
        run("word_count", &folder, &format!("run text --output {format} --format {format}")).succeeded();
        assert_eq!(String::from_utf8(parts(&folder.path().join(format))).unwrap(), expected);
    }
}

#[test]
fn an_output_is_overwritten_only_if_that_is_asked_for() {
    let folder = folder(&[("old", b"a"), ("new", b"b")]);
    let counts = folder.path().join("counts");
    run("word_count", &folder, "run old --output counts").succeeded();
    for name in ["word_count", "sort"] {
        let ended = run(name, &folder, "run new --output counts");
        let error = ended.refused(1);
        assert!(error.starts_with("error: counts: is already there"), "{error}");
        assert_eq!(parts(&counts), b"a\t1\n");
    }
    run("word_count", &folder, "run new --output counts --overwrite").succeeded();
    assert_eq!(parts(&counts), b"b\t1\n");
}

#[test]
fn an_input_that_is_missing_is_named() {
    let folder = folder(&[]);
    for name in ["word_count", "sort"] {
        let ended = run(name, &folder, "run missing --output out");
        let error = ended.refused(1);
        assert!(error.starts_with("error: missing: "), "{error}");
    }
    assert!(names(folder.path()).is_empty());
}

#[test]
fn wrong_usage_is_explained() {
    let folder = folder(&[("a", b"a")]);
    for (args, expected) in [
        ("", "Usage: word_count"),
        ("run", "<INPUT>..."),
        ("run a", "--output <DIR>"),
        ("run a --output b --threads -1", "give a whole number up to 1024, or 0"),
        ("run a --output b --partitions 0", "give a whole number from 1 to 1048576"),
        ("run a --output b --partitions 2000000", "give a whole number from 1 to 1048576"),
        ("peer --pool a --memory 0", "give a size such as 200MB, 1.5GiB or 512m"),
        ("run a --output b --memory much", "give a size such as 200MB, 1.5GiB or 512m"),
        ("run a --output b --format xml", "possible values: text, csv, jsonl"),
        ("run a --output b --shared", "--pool <FILE>"),
        ("run a --output b --min-peers 2", "--pool <FILE>"),
        ("run a --output b --wait 2", "--pool <FILE>"),
        ("run a --output b --pool c --min-peers 0", "give a whole number, 1 or more"),
        ("peer", "--pool <FILE>"),
        ("peer --pool a --listen here", "give an IP address of this machine, IP:PORT or [IPV6]:PORT"),
        ("peer --pool a --quiet --verbose", "cannot be used with"),
        ("pool create --output a", "--address <HOST[:PORT]>"),
        ("pool create --output a --address b:0", "the port is not from 1 to 65535"),
        ("pool status", "--pool <FILE>"),
    ] {
        let ended = run("word_count", &folder, args);
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""), "{args}: {ended:?}");
        assert!(ended.stderr.contains(expected), "{args}: {ended:?}");
    }
    assert_eq!(names(folder.path()), ["a"]);
}

#[test]
fn help_says_what_the_program_does() {
    let folder = folder(&[]);
    let said = run("word_count", &folder, "--help").succeeded().stdout;
    assert!(
        said.starts_with("Runs the map-reduce job word-count on threads of this process or on a pool"),
        "{said}"
    );
}
