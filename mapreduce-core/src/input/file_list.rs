//! [`list`]: the files that the paths of an input stand for.

use super::{
    compression::Compression,
    source::{SourceFile, modified},
    unreadable,
};
use crate::Error;
use std::{
    fs::{self, Metadata},
    path::{Path, PathBuf},
};

/// The files, in the order in which they are named. A folder stands for the files in it, in the order of their names,
/// without those whose names begin with `.` or `_`. `kind` names the input in a message.
pub(super) fn list(
    kind: &str,
    paths: impl IntoIterator<Item = impl AsRef<Path>>,
) -> Result<Vec<SourceFile>, Error> {
    let mut files = Vec::new();
    for path in paths {
        let path = path.as_ref();
        let metadata = fs::metadata(path).map_err(unreadable(path))?;
        match metadata.is_dir() {
            true => add_folder(path, &mut files)?,
            false => files.push(file(path.to_path_buf(), &metadata)?),
        }
    }
    if files.is_empty() {
        return Err(Error::Input { input: kind.into(), message: "no file was given".into() });
    }
    Ok(files)
}

/// A file as it is now.
pub(super) fn file(path: PathBuf, metadata: &Metadata) -> Result<SourceFile, Error> {
    let bytes = super::file_length(&path, metadata)?;
    Ok(SourceFile::plain(path, bytes, modified(metadata)))
}

/// Sees which files are compressed, by their names, and that they are.
pub(super) fn find_compressed(files: &mut [SourceFile]) -> Result<(), Error> {
    for file in files {
        file.compression = Compression::of_name(&file.path);
        if let Some(compression) = file.compression {
            compression.check(&file.path)?;
        }
    }
    Ok(())
}

fn add_folder(folder: &Path, files: &mut Vec<SourceFile>) -> Result<(), Error> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let entry = entry.map_err(unreadable(folder))?;
        if matches!(entry.file_name().as_encoded_bytes().first(), Some(b'.' | b'_')) {
            continue;
        }
        let path = entry.path();
        let metadata = fs::metadata(&path).map_err(unreadable(&path))?;
        if metadata.is_file() {
            entries.push(file(path, &metadata)?);
        }
    }
    if entries.is_empty() {
        return Err(Error::Input {
            input: folder.display().to_string(),
            message: "the folder has no files; name the files, or a folder that holds them itself".into(),
        });
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    files.append(&mut entries);
    Ok(())
}
