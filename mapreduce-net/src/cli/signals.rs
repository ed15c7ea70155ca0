//! Ctrl-C and SIGTERM.

use mapreduce_core::Cancel;
use std::{
    io,
    process::ExitCode,
    sync::atomic::{AtomicU8, Ordering},
    thread,
    time::{Duration, Instant},
};
use tokio::{runtime, sync::oneshot};

/// What a shell reports for a process that Ctrl-C ended.
pub(super) const STATUS_INTERRUPTED: u8 = 130;
/// What a shell reports for a process that SIGTERM ended.
#[cfg(unix)]
const STATUS_TERMINATED: u8 = 143;

/// The same signal that comes again so soon is part of the first. GNU `timeout`, for one, signals its child, and then all of
/// the group that it is in.
const GRACE: Duration = Duration::from_secs(1);

/// What a process exits with that has panicked.
const STATUS_PANICKED: u8 = 101;
/// The stack of the thread that works: that of a main thread.
const STACK_BYTES: usize = 8 << 20;

/// The status of the first signal that [`until_signalled`] got; 0 before.
static FIRST: AtomicU8 = AtomicU8::new(0);

/// Does `work`, with a token that the first Ctrl-C or SIGTERM cancels, and gives what it gives. At the second signal (the
/// same one again only if it comes a second later) it gives 130 or 143 at once: `main` returns that, which ends the process whatever the work is in
/// the middle of. A hidden folder that it was writing into (`.NAME.*` beside the output) then stays.
///
/// To be called once, by `main`. The work has a thread of its own. Other signals keep their meaning: a run under `nohup`
/// outlives its terminal.
///
/// # Errors
/// When the system gives no notice of signals, or no thread to work on.
pub fn until_signalled(work: impl FnOnce(&Cancel) -> ExitCode + Send + 'static) -> io::Result<ExitCode> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let _inside = runtime.enter();
    let mut signals = Signals::new()?;
    let cancel = Cancel::new();
    let token = cancel.clone();
    let (done, is_done) = oneshot::channel();
    thread::Builder::new().name("command".into()).stack_size(STACK_BYTES).spawn(move || {
        // Nobody waits for it after a second signal.
        let _ = done.send(work(&token));
    })?;
    let signalled = async {
        let first = signals.next().await;
        FIRST.store(first, Ordering::Relaxed);
        cancel.cancel();
        ExitCode::from(signals.second(first).await)
    };
    Ok(runtime.block_on(async {
        tokio::select! {
            status = is_done => status.unwrap_or(ExitCode::from(STATUS_PANICKED)),
            status = signalled => status,
        }
    }))
}

/// What to exit with after [`until_signalled`]'s token was cancelled: 130 or 143.
pub fn signal_status() -> u8 {
    match FIRST.load(Ordering::Relaxed) {
        // The program itself has cancelled.
        0 => STATUS_INTERRUPTED,
        status => status,
    }
}

/// The signals that ask for an end, from when this was made.
#[cfg(unix)]
pub(super) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// To be called inside a runtime.
    pub(super) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one. Gives what a shell reports for a process that it ended.
    pub(super) async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => STATUS_INTERRUPTED,
            _ = self.terminate.recv() => STATUS_TERMINATED,
        }
    }
}

/// The signals that ask for an end, from when this was made.
#[cfg(not(unix))]
pub(super) struct Signals(tokio::signal::windows::CtrlC);

#[cfg(not(unix))]
impl Signals {
    /// To be called inside a runtime.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(tokio::signal::windows::ctrl_c()?))
    }

    /// Waits for the next one. Gives what a shell reports for a process that it ended.
    pub(super) async fn next(&mut self) -> u8 {
        self.0.recv().await;
        STATUS_INTERRUPTED
    }
}

impl Signals {
    /// Waits for the one after `first`, which came just now. What is a part of it does not count.
    pub(super) async fn second(&mut self, first: u8) -> u8 {
        let begin = Instant::now();
        loop {
            let status = self.next().await;
            if !is_part_of(first, status, begin.elapsed()) {
                return status;
            }
        }
    }
}

/// Whether a signal says no more than the first one, so long before, has said.
fn is_part_of(first: u8, next: u8, elapsed: Duration) -> bool {
    next == first && elapsed < GRACE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_may_come_twice_at_once() {
        let soon = Duration::from_millis(20);
        assert!(is_part_of(STATUS_INTERRUPTED, STATUS_INTERRUPTED, soon));
        assert!(!is_part_of(STATUS_INTERRUPTED, STATUS_INTERRUPTED, GRACE));
        assert!(!is_part_of(STATUS_INTERRUPTED, 143, soon), "whoever sends another one means it");
    }
}
