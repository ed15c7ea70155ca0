//! Checks of the paths on the command line, ahead of all work: an output that cannot be written, or that would
//! replace another file of the same command, is found out before a long computation.

use super::error::CommandError;
use kmeans_job::output::check_writable;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A path on the command line.
pub(crate) struct Named<'a> {
    /// The option, or the name of the argument.
    pub(crate) name: &'static str,
    pub(crate) path: &'a Path,
}

/// Checks that all outputs can be written, and that none is an input or another output.
pub(crate) fn check(inputs: &[Named<'_>], outputs: &[Named<'_>]) -> Result<(), CommandError> {
    for (i, output) in outputs.iter().enumerate() {
        let target = resolve(output.path);
        for other in inputs.iter().chain(&outputs[..i]) {
            if resolve(other.path) == target {
                let path = output.path.to_owned();
                return Err(CommandError::SamePath { option: output.name, path, other: other.name });
            }
        }
        check_writable(output.path)
            .map_err(|problem| CommandError::Output { option: output.name, problem })?;
    }
    Ok(())
}

/// One name for each file, however it is written. A path that leads nowhere stays as it is.
fn resolve(path: &Path) -> PathBuf {
    if let Ok(found) = fs::canonicalize(path) {
        return found;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (fs::canonicalize(folder), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}
