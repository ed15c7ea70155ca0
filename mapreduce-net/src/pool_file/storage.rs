//! Reading and writing files that hold keys.

use super::PoolFileError;
use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};
use zeroize::Zeroizing;

/// No pool file is larger; whatever is, is not read into memory.
const BYTES_MAX: usize = 64 * 1024;

/// Reads a file that only its owner may read.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, PoolFileError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => PoolFileError::Missing { path: path.to_owned() },
        _ => PoolFileError::Read { path: path.to_owned(), source },
    };
    let file = File::open(path).map_err(failed)?;
    // The open file is asked, not the path: what is checked is what is read.
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(PoolFileError::Foreign { path: path.to_owned() });
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(PoolFileError::Exposed { path: path.to_owned(), mode });
        }
    }
    // Room for all of it from the start: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES_MAX + 1));
    file.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > BYTES_MAX {
        return Err(PoolFileError::Foreign { path: path.to_owned() });
    }
    Ok(bytes)
}

/// Writes a file that does not exist yet: it appears whole and readable by its owner only, or not at all.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), PoolFileError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => PoolFileError::Exists { path: path.to_owned() },
        _ => PoolFileError::Write { path: path.to_owned(), source },
    };
    // Asked early because it is the usual mistake; asked again, without a gap, when the file gets its name.
    if path.symlink_metadata().is_ok() {
        return Err(PoolFileError::Exists { path: path.to_owned() });
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Asked ahead of the temporary file, whose name would be in the message.
    if !folder.is_dir() {
        let problem = format!("there is no folder {}; make it first", folder.display());
        return Err(failed(io::Error::new(io::ErrorKind::NotFound, problem)));
    }
    // Temporary files are made with mode 0600.
    let mut file = tempfile::Builder::new().prefix(".pool").tempfile_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist_noclobber(path).map_err(|error| failed(error.error))?;
    // The file is there; that its name outlives a power cut is best effort, as not every file system can promise it.
    #[cfg(unix)]
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}
