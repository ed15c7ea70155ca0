//! What the behaviour tests of whole jobs share: engines, files, jobs, and the oracle.

#![allow(dead_code, reason = "every test file uses its own part of it")]

pub(crate) mod control;
pub(crate) mod jobs;
pub(crate) mod oracle;
pub(crate) mod probe;

use mapreduce_core::Local;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};
use tempfile::TempDir;

/// Engines of 1, 2 and 7 threads.
pub(crate) fn engines() -> &'static [Local] {
    static ENGINES: LazyLock<Vec<Local>> =
        LazyLock::new(|| [1, 2, 7].into_iter().map(|threads| Local::new(threads).unwrap()).collect());
    &ENGINES
}

/// An engine of two threads.
pub(crate) fn engine() -> &'static Local {
    &engines()[1]
}

/// A folder that vanishes with the test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file and gives its path.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Writes files that sort as they are given.
    pub(crate) fn files<C: AsRef<[u8]>>(&self, contents: &[C]) -> Vec<PathBuf> {
        contents.iter().enumerate().map(|(i, content)| self.file(&format!("{i:03}.txt"), content)).collect()
    }

    /// The names of what is in the folder, hidden ones too.
    pub(crate) fn names(&self) -> Vec<String> {
        names(self.path())
    }
}

/// The names of what is in a folder, in order.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
