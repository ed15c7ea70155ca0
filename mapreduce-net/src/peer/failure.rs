//! How what goes wrong at a peer is told to the driver.

use crate::{
    NodeId,
    transfer::{FetchError, Refusal},
    wire::message::AttemptFailure,
};
use mapreduce_core::{FailureKind, TaskFailure, exec::AttemptError};

/// The longest message of a failure, in bytes. User code, or another node, may say more than fits into a frame.
const MESSAGE_BYTES_MAX: usize = 16 << 10;

/// The fault is this node's, or the driver's, but not the task's.
pub(super) fn node(message: impl Into<String>) -> AttemptFailure {
    AttemptFailure::Node { message: cut(message.into()) }
}

/// Another attempt would fail in the same way.
pub(super) fn permanent(kind: FailureKind, message: impl Into<String>) -> AttemptFailure {
    task(TaskFailure::new(kind, message), true)
}

pub(super) fn task(mut failure: TaskFailure, permanent: bool) -> AttemptFailure {
    failure.place = cut(failure.place);
    failure.message = cut(failure.message);
    AttemptFailure::Task { failure, permanent }
}

/// An attempt that ran, and failed.
pub(super) fn of_attempt(AttemptError { failure, permanent }: AttemptError) -> AttemptFailure {
    match failure.kind {
        FailureKind::Cancelled => AttemptFailure::Cancelled,
        // Another node may have room, and a disk that is whole.
        FailureKind::Storage | FailureKind::Spill => node(failure.to_string()),
        _ => task(failure, permanent),
    }
}

/// Map output did not come from where it is said to be. What the node there says of it may be long.
pub(super) fn of_fetch(from: NodeId, message: impl Into<String>) -> AttemptFailure {
    AttemptFailure::FetchFailed { from, message: cut(message.into()) }
}

/// What was to be fetched from another node is not here.
pub(super) fn of_fetching(from: NodeId, error: FetchError) -> AttemptFailure {
    match error {
        FetchError::Spill(_) | FetchError::Ending => node(error.to_string()),
        error => of_fetch(from, error.to_string()),
    }
}

/// The driver has not given what it has.
pub(super) fn of_driver(what: &str, error: FetchError) -> AttemptFailure {
    match error {
        FetchError::Refused(Refusal::Read { failure, permanent }) => task(failure, permanent),
        error => node(format!("{what} cannot be fetched from the driver: {error}")),
    }
}

fn cut(mut text: String) -> String {
    if text.len() > MESSAGE_BYTES_MAX {
        let end = (0..=MESSAGE_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push_str(" ...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_between_characters() {
        assert_eq!(cut("short".to_owned()), "short");
        let long = cut("é".repeat(MESSAGE_BYTES_MAX));
        assert_eq!(long.len(), MESSAGE_BYTES_MAX + 4);
        assert!(cut(format!("e{}", "é".repeat(MESSAGE_BYTES_MAX))).ends_with("é ..."));
    }

    #[test]
    fn what_another_node_says_fits_into_a_message() {
        let failure = of_fetch(NodeId::from_bytes([1; 16]), "x".repeat(1 << 25));
        assert!(matches!(failure, AttemptFailure::FetchFailed { message, .. } if message.ends_with("x ...")));
    }

    #[test]
    fn other_storage_is_the_nodes_fault_and_being_stopped_is_nobodys() {
        let failed =
            |kind| of_attempt(AttemptError { failure: TaskFailure::new(kind, "why"), permanent: true });
        assert!(
            matches!(failed(FailureKind::Storage), AttemptFailure::Node { message } if message.contains("why"))
        );
        assert!(matches!(failed(FailureKind::Cancelled), AttemptFailure::Cancelled));
        assert!(matches!(failed(FailureKind::Panic), AttemptFailure::Task { permanent: true, .. }));
    }
}
