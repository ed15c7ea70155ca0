//! A bar on standard error, for what takes a while before the first iteration.

use indicatif::{ProgressBar, ProgressStyle};
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What is done sooner than this has no bar.
const PATIENCE: Duration = Duration::from_millis(500);

/// A bar that appears if it takes long, on a terminal alone, and is gone when it is dropped.
pub(crate) struct Bar {
    style: Option<&'static str>,
    started: Instant,
    shown: Mutex<Option<ProgressBar>>,
}

impl Bar {
    /// For bytes that are read.
    pub(crate) fn of_bytes(quiet: bool) -> Self {
        Self::new(
            quiet,
            "reading {wide_bar} {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}",
        )
    }

    /// For rows that are written.
    pub(crate) fn of_rows(quiet: bool) -> Self {
        Self::new(quiet, "writing {wide_bar} {human_pos} of {human_len} rows, {eta} left")
    }

    fn new(quiet: bool, style: &'static str) -> Self {
        Self { style: (!quiet).then_some(style), started: Instant::now(), shown: Mutex::new(None) }
    }

    /// Shows how much is done of how much; may be called by any thread.
    pub(crate) fn update(&self, done: u64, total: u64) {
        let Some(style) = self.style else { return };
        if self.started.elapsed() < PATIENCE {
            return;
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        // indicatif draws on standard error, and only if that is a terminal.
        let bar = shown.get_or_insert_with(|| {
            let style = ProgressStyle::with_template(style).expect("the template of a bar");
            ProgressBar::new(total).with_position(done).with_style(style).with_elapsed(PATIENCE)
        });
        bar.set_length(total);
        // Threads may be a little late.
        bar.set_position(done.max(bar.position()));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = self.shown.get_mut().unwrap_or_else(PoisonError::into_inner) {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_appears_when_it_has_taken_long_unless_it_is_to_be_quiet() {
        let is_shown = |bar: &Bar| bar.shown.lock().unwrap().is_some();
        for (quiet, late) in [(false, false), (false, true), (true, true)] {
            for mut bar in [Bar::of_bytes(quiet), Bar::of_rows(quiet)] {
                if late {
                    bar.started -= PATIENCE;
                }
                bar.update(1, 10);
                assert_eq!(is_shown(&bar), late && !quiet);
            }
        }
    }
}
