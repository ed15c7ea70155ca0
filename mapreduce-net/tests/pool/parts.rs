//! Part files on a pool: the same bytes as on threads, whether the peers write them or the driver.

use super::{
    common::{Folder, names, probe::numbers},
    gate::Hook,
    pool, quick, quick_pool,
    sieve::Sieve,
};
use mapreduce_core::{Error, Written, prelude::*, schedule::Event};
use mapreduce_net::{PoolOptions, blocking};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

const FORMATS: &[Format] = &[
    Format::Text,
    Format::Csv,
    Format::JsonLines,
    #[cfg(feature = "parquet")]
    Format::Parquet,
];

fn options() -> Options {
    Options { partitions: Some(3), ..Options::default() }
}

/// A driver that leaves all reducing to the peers.
fn leaves_all(peers: usize) -> PoolOptions {
    PoolOptions { min_peers: peers, inline_bytes: 0, timing: quick(), ..PoolOptions::default() }
}

fn write(engine: &impl Engine, job: &Sieve, to: &PartFiles) -> Result<Written, Error> {
    engine.write(job, &(), &numbers(1_000, 50), to, &options())
}

/// All that a folder holds.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    names(folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
}

/// What the job gives on threads.
fn expected(folder: &Folder, format: Format) -> (BTreeMap<String, Vec<u8>>, Written) {
    let out = folder.join(&format!("expected {format}"));
    let to = PartFiles::new(&out).with_format(format);
    let written = write(&Local::new(2).unwrap(), &Sieve::default(), &to).unwrap();
    (content(&out), written)
}

/// What the folders in the making beside an output hold.
fn hidden(out: &Path) -> Vec<PathBuf> {
    let parent = out.parent().unwrap();
    let folders = names(parent).into_iter().filter(|name| name.starts_with('.'));
    folders
        .flat_map(|folder| names(&parent.join(&folder)).into_iter().map(move |name| (folder.clone(), name)))
        .map(|(folder, name)| parent.join(folder).join(name))
        .collect()
}

fn is_attempt_at_a_peer(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    name.starts_with("_attempt reduce ") && !name.contains("as it came")
}

#[test]
fn the_files_are_the_same_whoever_writes_them() {
    let pool = pool(2);
    let folder = Folder::new();
    let engines = [64 << 10, 0]
        .map(|inline_bytes| pool.connect_with(PoolOptions { inline_bytes, ..leaves_all(2) }).unwrap());
    for &format in FORMATS {
        let (expected, local) = expected(&folder, format);
        assert_eq!(expected.len(), 2 + 3 + 1 + 4, "parts, bad, late: {:?}", expected.keys());
        for (i, engine) in engines.iter().enumerate() {
            for shared in [false, true] {
                let out = folder.join(&format!("{format} {i} {shared}"));
                let to = PartFiles::new(&out).with_format(format).on_shared_storage(shared);
                let written = write(engine, &Sieve::default(), &to).unwrap();
                assert!(content(&out) == expected, "{format} on engine {i}, shared: {shared}");
                assert_eq!((&written.parts, &written.sides), (&local.parts, &local.sides));
                assert_eq!(written.counters, local.counters);
                let numbers = |written: &Written| {
                    let report = &written.report;
                    (report.records, report.keys, report.output_records, report.output_bytes)
                };
                assert_eq!(numbers(&written), numbers(&local), "{format} on engine {i}, shared: {shared}");
            }
        }
    }
    assert!(folder.names().iter().all(|name| !name.starts_with('.')));
}

/// Runs a job that looks, while it reduces, whether the folder in the making has files of attempts at peers.
fn sees_files_of_peers(engine: &blocking::Pool, out: &Path, shared: bool, at_map: fn(&Path)) -> bool {
    let seen = Arc::new(AtomicBool::new(false));
    let of_map = Hook::new({
        let out = out.to_path_buf();
        move |_| {
            at_map(&out);
            Ok(())
        }
    });
    let of_reduce = Hook::new({
        let (seen, out) = (seen.clone(), out.to_path_buf());
        move |_| {
            seen.fetch_or(hidden(&out).iter().any(|path| is_attempt_at_a_peer(path)), Ordering::Relaxed);
            Ok(())
        }
    });
    let job = Sieve { of_map, of_reduce };
    write(engine, &job, &PartFiles::new(out).on_shared_storage(shared)).unwrap();
    seen.load(Ordering::Relaxed)
}

#[test]
fn peers_write_where_they_find_the_drivers_marker_and_nowhere_else() {
    fn remove_marker(out: &Path) {
        for path in hidden(out).iter().filter(|path| path.ends_with("_shared")) {
            // Another mapper may be faster.
            let _ = fs::remove_file(path);
        }
    }
    fn change_marker(out: &Path) {
        for path in hidden(out).iter().filter(|path| path.ends_with("_shared")) {
            fs::write(path, "the marker of somebody else\n").unwrap();
        }
    }
    let pool = pool(2);
    let engine = pool.connect_with(leaves_all(2)).unwrap();
    let folder = Folder::new();
    let (expected, _) = expected(&folder, Format::Text);
    let cases: [(_, _, fn(&Path), _); 4] = [
        ("shared", true, |_| (), true),
        ("not shared", false, |_| (), false),
        // As a peer sees it for which the path is another folder.
        ("another marker", true, change_marker, false),
        ("no marker", true, remove_marker, false),
    ];
    for (name, shared, at_map, by_peers) in cases {
        let out = folder.join(name);
        assert_eq!(sees_files_of_peers(&engine, &out, shared, at_map), by_peers, "{name}");
        assert!(content(&out) == expected, "{name}");
    }
}

#[test]
fn a_peer_that_is_killed_leaves_nothing_that_is_seen() {
    let folder = Folder::new();
    let (expected, _) = expected(&folder, Format::Text);
    for victim in 0..3 {
        let mut pool = quick_pool(3);
        let engine = pool.connect_with(leaves_all(3)).unwrap();
        let out = folder.join(&format!("killed {victim}"));
        let (of_reduce, is_reached, go_on) = Hook::gate(50);
        let job = Sieve { of_reduce, ..Sieve::default() };
        let to = PartFiles::new(&out).on_shared_storage(true);
        let data = Arc::new(numbers(1_000, 50));
        let handle = engine.submit_write(job, (), data, to, options()).unwrap();
        is_reached.recv().unwrap();
        assert!(!out.exists() && hidden(&out).iter().any(|path| is_attempt_at_a_peer(path)));
        pool.kill(victim);
        drop(go_on);
        handle.wait().unwrap();
        assert!(content(&out) == expected, "victim {victim}");
    }
    assert!(folder.names().iter().all(|name| !name.starts_with('.')));
}

#[test]
fn attempts_that_fail_midway_leave_no_file() {
    let pool = pool(2);
    let engine = pool.connect_with(leaves_all(2)).unwrap();
    let folder = Folder::new();
    let (expected, _) = expected(&folder, Format::Text);
    let out = folder.join("out");
    let to = PartFiles::new(&out).on_shared_storage(true);
    let (failures, left) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let failing = |failures_max: u32| {
        failures.store(0, Ordering::Relaxed);
        let (failures, left, out) = (failures.clone(), left.clone(), out.clone());
        let of_reduce = Hook::new(move |key| {
            if key == 50 {
                let attempts: BTreeSet<_> = hidden(&out).iter().filter_map(|path| attempt_of(path)).collect();
                let partitions: BTreeSet<_> = attempts.iter().map(|(partition, _)| partition).collect();
                if attempts.len() > partitions.len() {
                    left.store(true, Ordering::Relaxed);
                }
                if failures.fetch_add(1, Ordering::Relaxed) < failures_max {
                    return Err("not yet".into());
                }
            }
            Ok(())
        });
        Sieve { of_reduce, ..Sieve::default() }
    };
    let written = write(&engine, &failing(2), &to).unwrap();
    assert_eq!(written.report.attempts_failed, 2);
    assert!(!left.load(Ordering::Relaxed), "the file of an attempt that failed was there at the next");
    assert!(content(&out) == expected);

    let before = folder.names();
    let error = write(&engine, &failing(u32::MAX), &to.overwrite(true)).unwrap_err();
    assert!(matches!(&error, Error::Task(_)) && error.to_string().contains("not yet"), "{error}");
    assert!(content(&out) == expected, "what was there stays");
    assert_eq!(folder.names(), before);
}

/// The partition and the number of the attempt whose part file this is.
fn attempt_of(path: &Path) -> Option<(u32, u32)> {
    let name = path.file_name()?.to_str()?.strip_prefix("_attempt reduce ")?;
    let (partition, number) = name.split_once(" attempt ")?;
    Some((partition.parse().ok()?, number.parse().ok()?))
}

#[test]
fn a_job_that_is_cancelled_while_peers_write_leaves_nothing() {
    let pool = pool(2);
    let engine = pool.connect_with(leaves_all(2)).unwrap();
    let folder = Folder::new();
    let out = folder.join("out");
    let (of_reduce, is_reached, go_on) = Hook::gate(50);
    let job = Sieve { of_reduce, ..Sieve::default() };
    let to = PartFiles::new(&out).on_shared_storage(true);
    let handle = engine.submit_write(job, (), Arc::new(numbers(1_000, 50)), to, options()).unwrap();
    is_reached.recv().unwrap();
    handle.cancel();
    assert!(matches!(handle.wait().unwrap_err(), Error::Cancelled));
    assert!(folder.names().is_empty(), "{:?}", folder.names());
    drop(go_on);
    // The pool goes on, and what was stopped leaves nothing when it notices.
    write(&engine, &Sieve::default(), &PartFiles::new(&out).on_shared_storage(true)).unwrap();
    assert_eq!(folder.names(), ["out"]);
}

#[test]
fn a_disk_that_takes_nothing_fails_the_job_with_the_path() {
    let pool = pool(1);
    let folder = Folder::new();
    for inline_bytes in [64 << 10, 0] {
        let engine = pool.connect_with(PoolOptions { inline_bytes, ..leaves_all(1) }).unwrap();
        let out = folder.join("out");
        // The folder in the making vanishes: neither the peers nor the driver can make a file there.
        let of_map = Hook::new({
            let out = out.clone();
            move |_| {
                if let Some(path) = hidden(&out).first() {
                    let _ = fs::remove_dir_all(path.parent().unwrap());
                }
                Ok(())
            }
        });
        let job = Sieve { of_map, ..Sieve::default() };
        let to = PartFiles::new(&out).on_shared_storage(true);
        let handle = engine.submit_write(job, (), Arc::new(numbers(1_000, 50)), to, options()).unwrap();
        let failed = handle.events().filter(|event| matches!(event, Event::AttemptFailed { .. })).count();
        let error = handle.wait().unwrap_err().to_string();
        assert!(error.contains("_attempt reduce ") && failed > 0, "{error}");
        assert!(folder.names().is_empty());
    }
}
