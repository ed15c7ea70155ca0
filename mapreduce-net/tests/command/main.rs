//! The examples as a user runs them: real processes on real files, on threads and on pools of processes, compared with an
//! independent computation.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

#[cfg(unix)]
mod examples;
mod faults;
#[cfg(unix)]
mod filters;
#[cfg(unix)]
mod full_disk;
mod local;
mod pool;
mod refusals;
#[path = "../support/mod.rs"]
mod support;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The example programs lie beside the folder of the test programs; `cargo test` builds both.
fn example(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let path = profile.join("examples").join(format!("{name}{}", env::consts::EXE_SUFFIX));
    assert!(
        path.is_file(),
        "{} is not there; run `cargo build -p mapreduce-net --features cli --examples`",
        path.display()
    );
    path
}

/// The names of what is in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The parts of an output folder, one after the other.
fn parts(folder: &Path) -> Vec<u8> {
    let parts = names(folder).into_iter().filter(|name| name.starts_with("part-"));
    parts.flat_map(|name| fs::read(folder.join(name)).unwrap()).collect()
}
