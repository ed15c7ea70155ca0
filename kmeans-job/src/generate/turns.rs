//! [`Turns`]: what the pieces of a whole do one after the other, whichever threads work on them.

use std::sync::{Condvar, Mutex, PoisonError};

/// Something that the pieces use one after the other, in their order.
pub(super) struct Turns<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    /// The piece whose turn it is; none once a piece has failed.
    next: Option<u64>,
    value: T,
}

impl<T> Turns<T> {
    pub(super) fn new(value: T) -> Self {
        Self { state: Mutex::new(State { next: Some(0), value }), changed: Condvar::new() }
    }

    /// Waits for the turn of a piece. `None` if a piece before it has failed: its error tells why.
    pub(super) fn take<R, E>(
        &self,
        piece: u64,
        work: impl FnOnce(&mut T) -> Result<R, E>,
    ) -> Result<Option<R>, E> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.next.is_some_and(|next| next != piece) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.next.is_none() {
            return Ok(None);
        }
        let done = work(&mut state.value);
        state.next = if done.is_ok() { Some(piece + 1) } else { None };
        self.changed.notify_all();
        done.map(Some)
    }

    /// To be held while a piece is worked on, ahead of its turn.
    pub(super) fn attempt(&self) -> Attempt<'_, T> {
        Attempt { turns: self, is_done: false }
    }

    pub(super) fn into_inner(self) -> T {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).value
    }
}

/// A piece that is worked on ahead of its turn. If that fails, the pieces behind it wait no longer.
pub(super) struct Attempt<'a, T> {
    turns: &'a Turns<T>,
    is_done: bool,
}

impl<T> Attempt<'_, T> {
    /// The piece is ready for its turn.
    pub(super) fn done(mut self) {
        self.is_done = true;
    }
}

impl<T> Drop for Attempt<'_, T> {
    fn drop(&mut self) {
        if !self.is_done {
            self.turns.state.lock().unwrap_or_else(PoisonError::into_inner).next = None;
            self.turns.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::pieces::in_pieces;

    #[test]
    fn pieces_take_turns_in_their_order() {
        for threads in [1, 2, 7] {
            let turns = Turns::new(Vec::new());
            in_pieces(
                threads,
                100,
                || Ok::<_, ()>(()),
                |(), piece| {
                    turns.take(piece, |done: &mut Vec<u64>| {
                        done.push(piece);
                        Ok(())
                    })?;
                    Ok(())
                },
            )
            .unwrap();
            assert!(turns.into_inner().into_iter().eq(0..100));
        }
    }

    #[test]
    fn the_first_piece_that_fails_ends_it() {
        for threads in [1, 2, 7] {
            let turns = Turns::new(0);
            let result = in_pieces(
                threads,
                1000,
                || Ok(()),
                |(), piece| {
                    let fails = piece == 40;
                    turns
                        .take(piece, |done| {
                            *done += 1;
                            if fails { Err(piece) } else { Ok(()) }
                        })
                        .map(drop)
                },
            );
            assert_eq!(result, Err(40));
            assert_eq!(turns.into_inner(), 41);
        }
        // A piece that fails ahead of its turn lets the others go.
        let turns = Turns::new(());
        let result = in_pieces(
            2,
            10,
            || Ok(()),
            |(), piece| {
                let attempt = turns.attempt();
                if piece == 3 {
                    return Err("no turn");
                }
                attempt.done();
                turns.take(piece, |()| Ok(())).map(drop)
            },
        );
        assert_eq!(result, Err("no turn"));
    }
}
