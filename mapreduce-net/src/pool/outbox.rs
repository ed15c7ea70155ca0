//! [`Outbox`]: what waits to be written to a peer.

use crate::wire::message::Command;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// Commands for a peer, in order. Filled from any thread, emptied by the session. How many there are is bounded by the
/// slots that the peer grants.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    commands: Mutex<Vec<Command>>,
    filled: Notify,
}

impl Outbox {
    /// Adds a command. The session is woken only by the first of several, and takes all of them.
    pub(super) fn push(&self, command: Command) {
        self.extend([command]);
    }

    /// Adds several commands that are to go out together.
    pub(super) fn extend(&self, commands: impl IntoIterator<Item = Command>) {
        let mut waiting = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = waiting.is_empty();
        waiting.extend(commands);
        let is_empty = waiting.is_empty();
        drop(waiting);
        if was_empty && !is_empty {
            self.filled.notify_one();
        }
    }

    /// All commands that wait.
    pub(super) fn take(&self) -> Vec<Command> {
        std::mem::take(&mut self.commands.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All commands that wait, as soon as there are any.
    pub(super) async fn wait(&self) -> Vec<Command> {
        loop {
            let commands = self.take();
            if !commands.is_empty() {
                return commands;
            }
            self.filled.notified().await;
        }
    }
}
