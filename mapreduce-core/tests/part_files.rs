//! Part files: what is in them, and that a folder appears whole or not at all.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::{
    Folder, engine,
    jobs::{LineCount, SortLines, WordCount},
    names,
    probe::{self, Probe, numbers},
};
use mapreduce_core::{
    Cancel, Dataset, Engine, Error, Lines, Options, PartFiles, RangePartitioner, TextFiles, Utf8Lines,
    Written, output::Part, schedule::Event,
};
use std::{
    fs, io,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};
use xxhash_rust::xxh3::xxh3_64;

const TEXT: &str = "to be or not to be\nthat is the question\n\nwhether tis nobler\n";

fn partitions(partitions: u32) -> Options {
    Options { partitions: Some(partitions), ..Options::default() }
}

fn text(folder: &Folder) -> Dataset<TextFiles<Utf8Lines>> {
    Dataset::with_split_bytes(TextFiles::open([folder.file("text", TEXT)]).unwrap(), 10).unwrap()
}

fn lines(folder: &Folder) -> Dataset<TextFiles<Lines>> {
    Dataset::with_split_bytes(TextFiles::open_bytes([folder.file("text", TEXT)]).unwrap(), 10).unwrap()
}

fn write_probe(job: &Probe, to: &PartFiles, options: &Options) -> Result<Written, Error> {
    engine().write(job, &(), &numbers(100, 4), to, options)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn part_files_hold_the_returned_output_as_text() {
    let folder = Folder::new();
    let out = folder.join("out");
    let written =
        engine().write(&WordCount, &(), &text(&folder), &PartFiles::new(&out), &partitions(3)).unwrap();
    let returned = engine().run_with(&WordCount, &(), &text(&folder), &partitions(3)).unwrap();

    let expected: String = returned.pairs.iter().map(|(word, n)| format!("{word}\t{n}\n")).collect();
    let content: String = written.parts.iter().map(|part| read(&out.join(&part.name))).collect();
    assert_eq!(content, expected);
    assert_eq!(written.counters, returned.counters);
    assert_eq!((written.report.records, written.report.keys), (4, 11));
    assert_eq!(names(&out), ["_MANIFEST.json", "_SUCCESS", "part-00000", "part-00001", "part-00002"]);
    assert_eq!(folder.names(), ["out", "text"]);
}

#[test]
fn a_job_in_the_background_writes_the_same() {
    let folder = Folder::new();
    let (waited, background) = (folder.join("waited"), folder.join("background"));
    engine().write(&WordCount, &(), &text(&folder), &PartFiles::new(&waited), &partitions(3)).unwrap();
    let data = std::sync::Arc::new(text(&folder));
    let handle =
        engine().submit_write(WordCount, (), data, PartFiles::new(&background), partitions(3)).unwrap();
    assert!(handle.events().any(|event| matches!(event, Event::RoundFinished { .. })));
    assert_eq!(handle.wait().unwrap().report.keys, 11);
    for name in names(&waited) {
        assert_eq!(read(&waited.join(&name)), read(&background.join(&name)), "{name}");
    }
}

#[test]
fn the_manifest_describes_every_part() {
    let folder = Folder::new();
    let out = folder.join("out");
    let written =
        engine().write(&WordCount, &(), &text(&folder), &PartFiles::new(&out), &partitions(3)).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&read(&out.join("_MANIFEST.json"))).unwrap();
    assert_eq!((&manifest["job"], &manifest["job_version"]), (&"word-count".into(), &1.into()));
    assert_eq!(manifest["format"], 1);
    let mut total = (0, 0);
    for (part, described) in written.parts.iter().zip(manifest["parts"].as_array().unwrap()) {
        let content = fs::read(out.join(&part.name)).unwrap();
        assert_eq!(part.bytes, content.len() as u64);
        assert_eq!(part.records, content.iter().filter(|byte| **byte == b'\n').count() as u64);
        assert_eq!(part.xxh3, xxh3_64(&content));
        assert_eq!(described["name"], part.name);
        assert_eq!(described["records"], part.records);
        assert_eq!(described["bytes"], part.bytes);
        assert_eq!(described["xxh3"], format!("{:016x}", part.xxh3));
        assert_eq!(serde_json::from_value::<Part>(described.clone()).unwrap(), *part);
        total = (total.0 + part.records, total.1 + part.bytes);
    }
    assert_eq!(manifest["parts"].as_array().unwrap().len(), 3);
    assert_eq!((&manifest["records"], &manifest["bytes"]), (&total.0.into(), &total.1.into()));
    assert_eq!(read(&out.join("_SUCCESS")), "");
}

#[test]
fn a_value_of_nothing_is_left_out_with_its_tab() {
    let folder = Folder::new();
    let out = folder.join("sorted");
    let ranges = RangePartitioner::from_sample::<[u8]>(&[b"or".to_vec()], 2);
    let written =
        engine().write(&SortLines, &ranges, &lines(&folder), &PartFiles::new(&out), &partitions(2)).unwrap();
    let content: String = written.parts.iter().map(|part| read(&out.join(&part.name))).collect();
    assert_eq!(content, "\nthat is the question\nto be or not to be\nwhether tis nobler\n");
    assert_eq!(written.parts[0].records, 1);
}

#[test]
fn a_job_without_output_writes_empty_parts() {
    let folder = Folder::new();
    let out = folder.join("out");
    let written = write_probe(&Probe::default().on_map(|_, _| Ok(())), &PartFiles::new(&out), &partitions(2));
    assert!(written.unwrap().parts.iter().all(|part| part.bytes == 0 && part.records == 0));
    assert_eq!(
        (read(&out.join("part-00000")), read(&out.join("part-00001"))),
        (String::new(), String::new())
    );
}

#[test]
fn a_folder_that_is_there_is_refused_before_anything_runs() {
    let folder = Folder::new();
    let out = folder.join("out");
    write_probe(&Probe::default(), &PartFiles::new(&out), &partitions(2)).unwrap();
    let before = read(&out.join("part-00001"));
    let job = Probe::default().on_setup(|| panic!("it runs"));
    let error = write_probe(&job, &PartFiles::new(&out), &partitions(1)).unwrap_err();
    assert!(matches!(&error, Error::OutputExists { path } if *path == out), "{error}");
    assert!(error.to_string().starts_with(&out.display().to_string()), "{error}");
    assert_eq!(read(&out.join("part-00001")), before);

    // A link to nowhere is there as well.
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("nowhere", folder.join("link")).unwrap();
        let error = write_probe(&job, &PartFiles::new(folder.join("link")), &partitions(1)).unwrap_err();
        assert!(matches!(error, Error::OutputExists { .. }), "{error}");
    }
}

#[test]
fn a_program_may_ask_ahead_whether_a_folder_can_be_written() {
    let folder = Folder::new();
    write_probe(&Probe::default(), &PartFiles::new(folder.join("out")), &partitions(1)).unwrap();
    fs::create_dir(folder.join("home")).unwrap();
    folder.file("file", "a file");
    let check = |name, overwrite| PartFiles::new(folder.join(name)).overwrite(overwrite).check();
    let before = folder.names();
    for overwrite in [false, true] {
        check("new", overwrite).unwrap();
        // Whether there is a folder to make it in is seen when the job starts.
        check("missing/new", overwrite).unwrap();
        let unseen = check("file/new", overwrite).unwrap_err();
        assert!(
            matches!(&unseen, Error::Output { path, .. } if *path == folder.join("file/new")),
            "{unseen}"
        );
    }
    check("out", true).unwrap();
    for name in ["out", "home", "file"] {
        let there = check(name, false).unwrap_err();
        assert!(matches!(&there, Error::OutputExists { path } if *path == folder.join(name)), "{there}");
    }
    for name in ["home", "file"] {
        let foreign = check(name, true).unwrap_err();
        assert!(matches!(&foreign, Error::OutputForeign { path } if *path == folder.join(name)), "{foreign}");
    }
    assert_eq!(folder.names(), before);
}

#[test]
fn overwriting_replaces_the_whole_output_of_an_earlier_job() {
    let folder = Folder::new();
    let out = folder.join("out");
    let to = PartFiles::new(&out).overwrite(true);
    // Nothing there yet is as good.
    write_probe(&Probe::default(), &to, &partitions(5)).unwrap();
    engine().write(&WordCount, &(), &text(&folder), &to, &partitions(1)).unwrap();
    assert_eq!(names(&out), ["_MANIFEST.json", "_SUCCESS", "part-00000"]);
    assert!(read(&out.join("part-00000")).contains("question\t1\n"));
    assert_eq!(folder.names(), ["out", "text"]);
}

#[test]
fn the_earlier_output_stays_when_the_job_that_was_to_overwrite_it_fails() {
    let folder = Folder::new();
    let out = folder.join("out");
    let to = PartFiles::new(&out).overwrite(true);
    engine().write(&WordCount, &(), &text(&folder), &to, &partitions(1)).unwrap();
    let before = read(&out.join("part-00000"));
    write_probe(&Probe::default().on_map(|_, _| Err("no".into())), &to, &partitions(1)).unwrap_err();
    assert_eq!(read(&out.join("part-00000")), before);
    assert_eq!(folder.names(), ["out", "text"]);
}

#[test]
fn what_no_job_has_written_is_never_overwritten() {
    let folder = Folder::new();
    fs::create_dir(folder.join("home")).unwrap();
    fs::write(folder.join("home/thesis"), "years of work").unwrap();
    folder.file("file", "a file");
    for name in ["home", "file", ".", "home/.."] {
        let to = PartFiles::new(folder.join(name)).overwrite(true);
        let error = write_probe(&Probe::default(), &to, &partitions(1)).unwrap_err();
        assert!(matches!(error, Error::OutputForeign { .. }), "{name}: {error}");
        assert!(error.to_string().contains("not the output of a job"), "{error}");
        let error = write_probe(&Probe::default(), &to.overwrite(false), &partitions(1)).unwrap_err();
        assert!(matches!(error, Error::OutputExists { .. }), "{name}: {error}");
    }
    assert_eq!(read(&folder.join("home/thesis")), "years of work");
    assert_eq!(read(&folder.join("file")), "a file");
    assert_eq!(folder.names(), ["file", "home"]);
}

/// The link would have to be replaced, or what it leads to, which lies somewhere else.
#[cfg(unix)]
#[test]
fn an_output_behind_a_link_is_not_overwritten() {
    let folder = Folder::new();
    write_probe(&Probe::default(), &PartFiles::new(folder.join("out")), &partitions(2)).unwrap();
    std::os::unix::fs::symlink("out", folder.join("link")).unwrap();
    let to = PartFiles::new(folder.join("link")).overwrite(true);
    let error = write_probe(&Probe::default(), &to, &partitions(1)).unwrap_err();
    assert!(matches!(&error, Error::Output { path, .. } if path == to.path()), "{error}");
    assert_eq!((folder.names(), names(to.path()).len()), (vec!["link".to_string(), "out".into()], 4));
}

#[test]
fn a_folder_that_appears_while_the_job_runs_is_not_replaced() {
    let folder = Folder::new();
    let out = folder.join("out");
    let appears = out.clone();
    let job = Probe::default().on_setup(move || {
        fs::create_dir(&appears)?;
        Ok(fs::write(appears.join("notes"), "mine")?)
    });
    let error = write_probe(&job, &PartFiles::new(&out), &partitions(1)).unwrap_err();
    assert!(matches!(error, Error::OutputExists { .. }), "{error}");
    assert_eq!((names(&out), folder.names()), (vec!["notes".to_string()], vec!["out".to_string()]));
}

#[test]
fn of_jobs_that_write_to_one_folder_at_once_one_succeeds() {
    let folder = Folder::new();
    for round in 0..40 {
        let out = folder.join(&round.to_string());
        let done = std::thread::scope(|scope| {
            let write = |_| {
                scope.spawn(|| write_probe(&Probe::default(), &PartFiles::new(&out), &partitions(1)).is_ok())
            };
            let writers: Vec<_> = (0..4).map(write).collect();
            writers.into_iter().filter_map(|writer| writer.join().ok()).filter(|done| *done).count()
        });
        assert_eq!((done, names(&out).len()), (1, 3));
    }
    assert_eq!(folder.names().len(), 40, "nothing hidden is left");
}

#[test]
fn a_folder_may_have_the_longest_name_there_is() {
    let folder = Folder::new();
    for name in ["n".repeat(255), "\u{e9}".repeat(127)] {
        let to = PartFiles::new(folder.join(&name)).overwrite(true);
        write_probe(&Probe::default(), &to, &partitions(1)).unwrap();
        write_probe(&Probe::default(), &to, &partitions(2)).unwrap();
        assert_eq!(names(to.path()).len(), 4);
    }
}

#[test]
fn places_that_cannot_be_written_to_are_named() {
    let folder = Folder::new();
    folder.file("file", "");
    let fail = |path: &Path| match write_probe(&Probe::default(), &PartFiles::new(path), &partitions(1)) {
        Err(error @ Error::Output { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let error = fail(&folder.join("missing/out"));
    assert!(
        error.contains("missing/out: ") && error.contains("missing does not exist; create it first"),
        "{error}"
    );
    let error = fail(&folder.join("file/out"));
    assert!(error.contains("file/out"), "{error}");
    let error = fail(Path::new(""));
    assert!(error.contains("names no folder"), "{error}");
    assert_eq!(folder.names(), ["file"]);
}

#[cfg(unix)]
#[test]
fn a_parent_that_is_not_writable_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let locked = folder.join("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(locked.join("probe"), "").is_ok() {
        eprintln!("skipped: this user may write everywhere");
        return;
    }
    let to = PartFiles::new(locked.join("out"));
    match write_probe(&Probe::default(), &to, &partitions(1)) {
        Err(Error::Output { path, source }) => {
            assert_eq!((path, source.kind()), (locked.join("out"), io::ErrorKind::PermissionDenied));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_job_that_fails_leaves_nothing_behind() {
    let folder = Folder::new();
    let to = PartFiles::new(folder.join("out"));
    let failing: [Probe; 3] = [
        Probe::default().on_setup(|| Err("no".into())),
        Probe::default().on_map(|_, _| Err("no".into())),
        Probe::default().on_reduce(|key, values, out| {
            probe::sum(key, values, out)?;
            if key == 7 { Err("no".into()) } else { Ok(()) }
        }),
    ];
    for job in failing {
        write_probe(&job, &to, &partitions(3)).unwrap_err();
        assert!(folder.names().is_empty());
    }
}

#[test]
fn a_job_that_is_cancelled_leaves_nothing_behind() {
    let folder = Folder::new();
    let cancel = Cancel::new();
    let options = Options { cancel: cancel.clone(), ..partitions(3) };
    let job = Probe::default().on_reduce(move |key, values, out| {
        probe::sum(key, values, out)?;
        cancel.cancel();
        Ok(())
    });
    let result = write_probe(&job, &PartFiles::new(folder.join("out")), &options);
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    assert!(folder.names().is_empty());
}

#[test]
fn a_job_that_is_refused_leaves_nothing_behind() {
    let folder = Folder::new();
    let (inner, out) = (engine().clone(), folder.join("out"));
    let job = Probe::default().on_map(move |_, _| {
        let result =
            inner.write(&Probe::default(), &(), &numbers(10, 2), &PartFiles::new(&out), &Options::default());
        assert!(matches!(result, Err(Error::Reentrant)));
        Ok(())
    });
    engine().run(&job, &(), &numbers(10, 2)).unwrap();
    assert!(folder.names().is_empty());
}

#[test]
fn attempts_that_fail_midway_leave_no_file() {
    let folder = Folder::new();
    let out = folder.join("out");
    let attempts = AtomicU32::new(0);
    let job = Probe::default().on_reduce(move |key, values, out| {
        probe::sum(key, values, out)?;
        if key == 7 && attempts.fetch_add(1, Ordering::Relaxed) < 2 { Err("not yet".into()) } else { Ok(()) }
    });
    let written = write_probe(&job, &PartFiles::new(&out), &partitions(2)).unwrap();
    assert_eq!(written.report.attempts_failed, 2);
    assert_eq!(names(&out), ["_MANIFEST.json", "_SUCCESS", "part-00000", "part-00001"]);
    assert_eq!(read(&out.join("part-00001")), "1\t460\n3\t480\n5\t500\n7\t520\n9\t540\n");
}

#[test]
fn a_value_that_is_no_text_fails_the_job_and_is_named() {
    use mapreduce_core::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Serialize, Deserialize)]
    struct Maps;

    impl Mapper for Maps {
        type Input = Items<u64>;
        type Key = u64;
        type Value = BTreeMap<(u8, u8), u8>;
        fn map(&self, n: &u64, out: &mut impl Emit<u64, Self::Value>) -> Result {
            out.emit(n, &BTreeMap::from([((1, 2), 3)]))
        }
    }

    impl SimpleJob for Maps {
        const NAME: &'static str = "maps";
        type Combiner = NoCombiner;
        type Reducer = Identity;
    }

    let folder = Folder::new();
    let to = PartFiles::new(folder.join("out"));
    assert_eq!(engine().run(&Maps, &(), &numbers(2, 1)).unwrap().pairs.len(), 2);
    let error = engine().write(&Maps, &(), &numbers(2, 1), &to, &partitions(1)).unwrap_err().to_string();
    assert!(error.contains("job maps: reduce 0 failed at once") && error.contains("key"), "{error}");
    assert!(folder.names().is_empty());
}

#[cfg(unix)]
#[test]
fn the_output_has_the_permissions_of_anything_new() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    let to = PartFiles::new(folder.join("out"));
    write_probe(&Probe::default(), &to, &partitions(1)).unwrap();
    fs::create_dir(folder.join("new")).unwrap();
    folder.file("file", "");
    assert_eq!(mode(to.path()), mode(&folder.join("new")));
    for name in ["part-00000", "_MANIFEST.json", "_SUCCESS"] {
        assert_eq!(mode(&to.path().join(name)), mode(&folder.join("file")), "{name}");
    }
}

#[test]
fn a_folder_may_be_given_with_a_slash_at_its_end() {
    let folder = Folder::new();
    let path = format!("{}/out/", folder.path().display());
    write_probe(&Probe::default(), &PartFiles::new(&path), &partitions(1)).unwrap();
    write_probe(&Probe::default(), &PartFiles::new(&path).overwrite(true), &partitions(2)).unwrap();
    assert_eq!(folder.names(), ["out"]);
    assert_eq!(names(&folder.join("out")).len(), 4);
}

#[test]
fn the_output_of_one_job_is_the_input_of_the_next() {
    let folder = Folder::new();
    let out = folder.join("counts");
    engine().write(&WordCount, &(), &text(&folder), &PartFiles::new(&out), &partitions(3)).unwrap();
    let counts = Dataset::new(TextFiles::open_bytes([&out]).unwrap()).unwrap();
    let output = engine().run(&LineCount, &(), &counts).unwrap();
    let lines: Vec<(Vec<u8>, u64)> = ["be\t2", "is\t1", "nobler\t1", "not\t1", "or\t1", "question\t1"]
        .into_iter()
        .chain(["that\t1", "the\t1", "tis\t1", "to\t2", "whether\t1"])
        .map(|line| (line.as_bytes().to_vec(), 1))
        .collect();
    assert_eq!(output.pairs, lines);
}

#[test]
fn large_parts_are_written_in_order() {
    let folder = Folder::new();
    let out = folder.join("out");
    let lines: Vec<String> = (0..40_000u64).map(|i| format!("{:09} some text", i * 7_919 % 40_009)).collect();
    let mut sorted = lines.clone();
    sorted.sort();
    let input = TextFiles::open_bytes([folder.file("text", lines.join("\n"))]).unwrap();
    let data = Dataset::with_split_bytes(input, 100_000).unwrap();
    let written = engine().write(
        &SortLines,
        &RangePartitioner::default(),
        &data,
        &PartFiles::new(&out),
        &partitions(1),
    );
    let content = fs::read(out.join("part-00000")).unwrap();
    assert_eq!(written.unwrap().parts[0].xxh3, xxh3_64(&content));
    assert!(content == (sorted.join("\n") + "\n").into_bytes());
}
