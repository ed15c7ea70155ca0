//! Ctrl-C and SIGTERM.

use mapreduce_core::Cancel;
use std::{
    io, process,
    sync::atomic::{AtomicU8, Ordering},
    thread,
};
use tokio::runtime;

/// What a shell reports for a process that Ctrl-C ended.
pub(super) const STATUS_INTERRUPTED: u8 = 130;
/// What a shell reports for a process that SIGTERM ended.
#[cfg(unix)]
const STATUS_TERMINATED: u8 = 143;

/// The status of the first signal that [`cancel_on_signal`] got; 0 before.
static FIRST: AtomicU8 = AtomicU8::new(0);

/// A token that the first Ctrl-C or SIGTERM cancels. The second one ends the process at once, with status 130 or 143.
///
/// To be called once, early. Other signals keep their meaning: a run under `nohup` outlives its terminal.
///
/// # Errors
/// When the system gives no notice of signals, or no thread to wait for them.
pub fn cancel_on_signal() -> io::Result<Cancel> {
    let cancel = Cancel::new();
    let token = cancel.clone();
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::new()?
    };
    thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            FIRST.store(signals.next().await, Ordering::Relaxed);
            token.cancel();
            end(signals.next().await)
        });
    })?;
    Ok(cancel)
}

/// What to exit with after [`cancel_on_signal`]'s token was cancelled: 130 or 143.
pub(super) fn status() -> u8 {
    match FIRST.load(Ordering::Relaxed) {
        // The program itself has cancelled.
        0 => STATUS_INTERRUPTED,
        status => status,
    }
}

#[allow(clippy::exit, reason = "a second Ctrl-C is asked to end what does not end")]
fn end(status: u8) {
    process::exit(status.into());
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
