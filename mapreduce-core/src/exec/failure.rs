//! How an attempt fails: errors and panics become a [`TaskFailure`] that says where.

use super::spill::SpillError;
use crate::{
    FailureKind, Result, SideOutputError, TaskFailure, cancel::AttemptCancelled, codec::CodecError,
    error::Misuse, input::ReadError,
};
use serde::{Deserialize, Serialize};
use std::{
    any::Any,
    error::Error,
    fmt,
    iter::successors,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// How an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{failure}")]
pub struct AttemptError {
    /// What went wrong, and where.
    pub failure: TaskFailure,
    /// Whether another attempt would fail in the same way.
    pub permanent: bool,
}

/// Runs an attempt. `place` and `record` are asked for only if it fails.
pub(crate) fn guard<T>(
    run: impl FnOnce() -> Result<T>,
    place: impl FnOnce() -> String,
    record: impl FnOnce() -> Option<u64>,
) -> Result<T, AttemptError> {
    // What the closure may leave half-done belongs to the attempt and is dropped with it. The error is the user's too:
    // its text may panic.
    let (kind, message, permanent) = match catch_unwind(AssertUnwindSafe(|| run().map_err(classify))) {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(classified)) => classified,
        Err(panic) => (FailureKind::Panic, panic_message(&*panic), false),
    };
    Err(AttemptError { failure: TaskFailure { kind, place: place(), record: record(), message }, permanent })
}

/// In which way an attempt has failed, its message, and whether another attempt would fail in the same way.
fn classify(error: Box<dyn Error + Send + Sync>) -> (FailureKind, String, bool) {
    let (kind, permanent) = kind(&*error);
    (kind, with_causes(&*error), permanent)
}

/// In which way an attempt has failed, and whether another attempt would fail in the same way.
pub(super) fn kind(error: &(dyn Error + Send + Sync + 'static)) -> (FailureKind, bool) {
    if error.is::<AttemptCancelled>() {
        (FailureKind::Cancelled, false)
    } else if let Some(error) = error.downcast_ref::<ReadError>() {
        (error.kind(), error.is_permanent())
    } else if error.is::<CodecError>() {
        (FailureKind::Codec, true)
    } else if error.is::<crate::output::WriteError>() {
        (FailureKind::Write, false)
    } else if let Some(error) = error.downcast_ref::<SpillError>() {
        (FailureKind::Spill, error.is_permanent())
    } else if let Some(error) = error.downcast_ref::<Misuse>() {
        (FailureKind::User, error.is_permanent())
    } else {
        (FailureKind::User, error.is::<SideOutputError>())
    }
}

/// Causes that are looked at: nobody reads more, and a chain may be a ring.
const CAUSES_MAX: usize = 16;

/// What an error says, and what its causes say unless that is in its own words already.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut message = error.to_string();
    for cause in successors(error.source(), |&cause| cause.source()).take(CAUSES_MAX) {
        let cause = cause.to_string();
        if !message.contains(&cause) {
            message.push_str(": ");
            message.push_str(&cause);
        }
    }
    message
}

/// Runs what surrounds a guarded attempt and is the user's as well: the words for a split, the drop of a cache.
/// Whoever waits for the attempt hears of a panic there too.
pub(crate) fn contain<T>(
    run: impl FnOnce() -> Result<T, AttemptError>,
    place: impl fmt::Display,
) -> Result<T, AttemptError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let failure =
            TaskFailure::new(FailureKind::Panic, panic_message(&*panic)).with_place(place.to_string());
        Err(AttemptError { failure, permanent: false })
    })
}

/// The message of a panic, if it has one.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(|s| &**s));
    text.unwrap_or("a panic without a message").to_string()
}
