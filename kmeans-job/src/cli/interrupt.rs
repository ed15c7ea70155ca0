//! Ctrl-C. Other signals keep their meaning: a run under `nohup` outlives its terminal.

use super::error::CommandError;
use mapreduce_core::Cancel;
use std::process;

/// What a shell reports for a process that Ctrl-C ended.
const EXIT_INTERRUPTED: i32 = 130;

/// A token that the first signal cancels. The second one ends the process at once.
pub(crate) fn cancel_on_signal() -> Result<Cancel, CommandError> {
    let cancel = Cancel::new();
    let token = cancel.clone();
    ctrlc::set_handler(move || {
        if token.is_cancelled() {
            process::exit(EXIT_INTERRUPTED);
        }
        token.cancel();
    })?;
    Ok(cancel)
}

/// An error once a signal has come: asked ahead of the first change on disk.
pub(crate) fn check(cancel: &Cancel) -> Result<(), CommandError> {
    if cancel.is_cancelled() { Err(CommandError::Interrupted) } else { Ok(()) }
}
