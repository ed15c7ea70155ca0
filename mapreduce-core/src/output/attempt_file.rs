//! [`AttemptFile`]: a file in a folder in the making, made for one reduce attempt. [`NewFile`] and
//! [`Unpublished`]: those that are removed unless they become a part of the output.

use super::{Format, SharedStaging, part_file::WriteError};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// What the names of attempts' files begin with. Neither part files nor side outputs have such names.
pub(super) const ATTEMPT: &str = "_attempt ";

/// The name of the part file of an attempt.
pub(super) fn attempt_name(attempt: &str) -> String {
    format!("{ATTEMPT}{attempt}")
}

/// The name of an attempt's file for a side output, beside its part file.
pub(super) fn side_name(part: &str, output: u32) -> String {
    format!("{part} side {output}")
}

/// An empty file for the output of one reduce attempt: made by [`Staging::create_file`](super::Staging::create_file) or, on
/// another node, by [`SharedStaging::create_file`], and written by
/// [`ErasedRound::reduce_to_file`](crate::exec::ErasedRound::reduce_to_file). If the attempt does not come to its end, the
/// file is removed, and those for side outputs with it.
#[derive(Debug)]
pub struct AttemptFile {
    pub(super) file: NewFile,
    pub(super) format: Format,
    /// On another node than the driver's: the folder has to be there still when the attempt ends.
    pub(super) shared: Option<SharedStaging>,
}

/// A file that was not there before, and vanishes when this is dropped.
#[derive(Debug)]
pub(super) struct NewFile {
    unpublished: Unpublished,
    name: String,
    pub(super) file: File,
}

/// A file that vanishes when this is dropped, open or not.
#[derive(Debug)]
pub(super) struct Unpublished {
    path: PathBuf,
    is_kept: bool,
}

impl NewFile {
    /// Creates a file of that name in a folder.
    pub(super) fn create(folder: &Path, name: String) -> Result<Self, WriteError> {
        let path = folder.join(&name);
        match File::create_new(&path) {
            Ok(file) => Ok(Self { unpublished: Unpublished::new(path), name, file }),
            Err(source) => Err(WriteError::new(&path, source)),
        }
    }

    /// Creates another one beside it.
    pub(super) fn create_beside(&self, name: String) -> Result<Self, WriteError> {
        Self::create(self.path().parent().unwrap_or(Path::new("")), name)
    }

    pub(super) fn path(&self) -> &Path {
        &self.unpublished.path
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Closes the file, and gives its name.
    pub(super) fn close(self) -> (String, Unpublished) {
        (self.name, self.unpublished)
    }
}

impl Unpublished {
    /// Takes charge of a file.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, is_kept: false }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets the file be: it has been published, or that is up to another node.
    pub(super) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Unpublished {
    fn drop(&mut self) {
        if !self.is_kept {
            // What stays is removed with the folder.
            let _ = fs::remove_file(&self.path);
        }
    }
}
