//! [`Mailbox`]: what the threads tell the driver.
//!
//! On a machine whose cores all work on tasks, waking the driver takes time from one of them. So it is not woken for
//! every message: only when the threads will soon have nothing left to do, or after a while.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The longest that a message waits while attempts are running.
const DELAY_MAX: Duration = Duration::from_millis(10);

pub(super) struct Mailbox<M> {
    state: Mutex<State<M>>,
    due: Condvar,
    /// With so few attempts out, the driver has to hand out more.
    low: usize,
}

struct State<M> {
    messages: Vec<M>,
    /// Attempts that are out: each will send one message.
    out: usize,
    woken: bool,
}

impl<M> Mailbox<M> {
    /// A mailbox of which the driver is woken when at most `low` attempts are out.
    pub(super) fn new(low: usize) -> Self {
        let state = State { messages: Vec::new(), out: 0, woken: false };
        Self { state: Mutex::new(state), due: Condvar::new(), low }
    }

    /// Notes that an attempt was handed out, which will [`send`](Self::send) once.
    pub(super) fn expect(&self) {
        self.lock().out += 1;
    }

    /// Sends the message of an attempt.
    pub(super) fn send(&self, message: M) {
        let mut state = self.lock();
        state.messages.push(message);
        state.out -= 1;
        let due = state.out <= self.low;
        drop(state);
        if due {
            self.due.notify_one();
        }
    }

    /// Wakes the driver without a message.
    pub(super) fn wake(&self) {
        self.lock().woken = true;
        self.due.notify_one();
    }

    /// Moves the messages to `into`, after waiting for some: until it is time to hand out more attempts, the driver is
    /// woken, or `timeout` has passed.
    pub(super) fn receive(&self, timeout: Option<Duration>, into: &mut Vec<M>) {
        let mut state = self.lock();
        if state.messages.is_empty() && !state.woken {
            let wait = timeout.map_or(DELAY_MAX, |timeout| timeout.min(DELAY_MAX));
            let waited = self.due.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.woken = false;
        into.append(&mut state.messages);
    }

    /// The messages that are there.
    pub(super) fn drain(&self) -> Vec<M> {
        std::mem::take(&mut self.lock().messages)
    }

    fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
