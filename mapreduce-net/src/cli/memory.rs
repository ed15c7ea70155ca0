//! [`MemoryArgs`]: the memory that a command may take.

use super::CliError;
use mapreduce_core::Memory;
use std::{fs, io, path::PathBuf};

/// The options of a command that holds map output: `[--memory SIZE] [--spill-to DIR]`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct MemoryArgs {
    /// Memory of this process for the data of jobs, such as 200MB or 1.5GiB: what was emitted, fetched and shipped; what does
    /// not fit goes to temporary files [default: half of what this machine has]
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true, value_parser = size)]
    pub memory: Option<u64>,
    /// The folder of the temporary files [default: that of the system]
    #[arg(long, value_name = "DIR")]
    pub spill_to: Option<PathBuf>,
}

impl MemoryArgs {
    /// The budget that these options ask for. To be asked ahead of all work, which would be in vain without the folder.
    ///
    /// # Errors
    /// [`CliError::SpillFolder`] when the folder of the temporary files is not there, or is none.
    pub fn memory(&self) -> Result<Memory, CliError> {
        let memory = self.memory.map_or_else(Memory::of_machine, Memory::limited);
        let Some(folder) = &self.spill_to else { return Ok(memory) };
        let problem = match fs::metadata(folder) {
            Ok(found) if found.is_dir() => return Ok(memory.spilling_to(folder)),
            Ok(_) => io::ErrorKind::NotADirectory.into(),
            Err(problem) => problem,
        };
        Err(CliError::SpillFolder { folder: folder.clone(), problem })
    }
}

/// Parses what `--memory` and other options for a number of bytes are given.
pub(super) fn size(text: &str) -> Result<u64, &'static str> {
    match parse_size::parse_size(text) {
        Ok(0) | Err(_) => {
            Err("give a size such as 200MB, 1.5GiB or 512m (M is a million bytes, MiB 1048576)")
        }
        Ok(bytes) => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_may_have_units() {
        for (text, bytes) in [
            ("4096", 4096),
            ("200MB", 200_000_000),
            ("512m", 512_000_000),
            ("1.5GiB", 3 << 29),
            ("64 KiB", 1 << 16),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "0", "-1", "many", "1XB", "1e99", "nan"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_budget_is_that_of_the_options() {
        let folder = tempfile::tempdir().unwrap();
        let args = MemoryArgs { memory: Some(1 << 30), spill_to: Some(folder.path().into()) };
        let memory = args.memory().unwrap();
        assert_eq!((memory.budget_bytes(), memory.folder()), (1 << 30, folder.path()));
        assert!(MemoryArgs::default().memory().unwrap().budget_bytes() > 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (path, kind) in [
            (file.path().with_extension("nowhere"), io::ErrorKind::NotFound),
            (file.path().to_owned(), io::ErrorKind::NotADirectory),
        ] {
            let error = MemoryArgs { memory: None, spill_to: Some(path.clone()) }.memory().unwrap_err();
            let said = error.to_string();
            let CliError::SpillFolder { folder, problem } = error else { panic!("{said}") };
            assert_eq!((folder, problem.kind()), (path.clone(), kind));
            assert!(said.starts_with(&format!("--spill-to {}: ", path.display())), "{said}");
            assert!(said.ends_with("; make the folder, or name another"), "{said}");
        }
    }
}
