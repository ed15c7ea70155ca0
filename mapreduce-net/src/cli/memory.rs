//! [`MemoryArgs`]: the memory that a command may take.

use mapreduce_core::Memory;
use std::path::PathBuf;

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
    /// The budget that these options ask for.
    pub fn memory(&self) -> Memory {
        let memory = self.memory.map_or_else(Memory::of_machine, Memory::limited);
        match &self.spill_to {
            Some(folder) => memory.spilling_to(folder),
            None => memory,
        }
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
        let memory = MemoryArgs { memory: Some(1 << 30), spill_to: Some("spill".into()) }.memory();
        assert_eq!((memory.budget_bytes(), memory.folder()), (1 << 30, "spill".as_ref()));
        assert!(MemoryArgs::default().memory().budget_bytes() > 0);
    }
}
