//! Ctrl-C and SIGTERM, as the commands see them.

use super::error::CommandError;
use mapreduce_core::Cancel;

/// An error once a signal has come: asked ahead of the first change on disk.
pub(crate) fn check(cancel: &Cancel) -> Result<(), CommandError> {
    if cancel.is_cancelled() { Err(CommandError::Interrupted) } else { Ok(()) }
}
