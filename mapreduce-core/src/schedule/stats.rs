//! What a job has cost so far, in counts.

/// Totals of a job, over all its rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Rounds that finished.
    pub rounds_finished: u64,
    /// Commits. A map task that ran again because its output was lost counts each time.
    pub tasks_committed: u64,
    /// Attempts started, backups included.
    pub attempts_started: u64,
    /// Backup attempts started.
    pub backups_started: u64,
    /// Map attempts started on the peer that their split is pinned to.
    pub pinned_started: u64,
    /// Attempts that failed and could have committed.
    pub attempts_failed: u64,
    /// Attempts that went down with their peer and could have committed.
    pub attempts_lost: u64,
    /// Attempts cancelled: the slower of two, of a job that ended, or with outdated input.
    pub attempts_cancelled: u64,
    /// Committed map outputs that had to be made again.
    pub outputs_lost: u64,
    /// Completions refused: stale, unknown, or slower than another attempt.
    pub completions_discarded: u64,
    /// Peers lost.
    pub peers_lost: u64,
    /// Times a peer was quarantined.
    pub peers_quarantined: u64,
}
