//! [`DriverFolder`]: the driver's folder, into which the reduce attempts of a round write part files.

use mapreduce_core::{
    codec,
    engine::{AttemptFile, SharedStaging},
    schedule::AttemptId,
};
use std::sync::atomic::{AtomicBool, Ordering};

/// The driver's folder as it is seen here, if it is.
pub(super) struct DriverFolder {
    /// None if this build cannot read what the driver says of it: it may have formats that are not known here.
    shared: Option<SharedStaging>,
    /// Whether the log has been told why it is not written to.
    told: AtomicBool,
}

impl DriverFolder {
    /// From what the driver has sent.
    pub(super) fn new(encoded: &[u8]) -> Self {
        Self { shared: codec::decode(encoded).ok(), told: AtomicBool::new(false) }
    }

    /// The file of an attempt. There is none if it is not the driver's folder that is seen here: the output then goes to
    /// the driver as it does otherwise.
    pub(super) fn create_file(&self, attempt: AttemptId) -> Option<AttemptFile> {
        let reason = match &self.shared {
            Some(shared) => match shared.create_file(&attempt.to_string()) {
                Ok(file) => return Some(file),
                Err(error) => error.to_string(),
            },
            None => "this build does not know what the driver wants to be written".to_owned(),
        };
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(reason, "output is sent to the driver instead of being written here");
        }
        None
    }
}
