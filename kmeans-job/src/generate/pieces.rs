//! [`in_pieces`]: work on the pieces of a whole, by all threads.

use std::{
    num::NonZero,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

/// As many threads as there are cores if none are asked for.
pub(super) fn thread_count(threads: usize) -> usize {
    match threads {
        0 => thread::available_parallelism().map_or(1, NonZero::get),
        threads => threads,
    }
}

/// Does the work on the pieces `0..pieces`; each thread has a state of its own. The pieces are taken in their order, and
/// no further one once a piece has failed.
///
/// # Errors
/// That of the lowest piece that failed.
pub(super) fn in_pieces<S, E: Send>(
    threads: usize,
    pieces: u64,
    start: impl Fn() -> Result<S, E> + Sync,
    work: impl Fn(&mut S, u64) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let first_error: Mutex<Option<(u64, E)>> = Mutex::new(None);
    let fail = |piece: u64, error: E| {
        failed.store(true, Ordering::Relaxed);
        let mut first = first_error.lock().unwrap_or_else(PoisonError::into_inner);
        if first.as_ref().is_none_or(|(other, _)| piece < *other) {
            *first = Some((piece, error));
        }
    };
    let run = || {
        let mut state = match start() {
            Ok(state) => state,
            Err(error) => return fail(0, error),
        };
        while !failed.load(Ordering::Relaxed) {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces {
                break;
            }
            if let Err(error) = work(&mut state, piece) {
                return fail(piece, error);
            }
        }
    };
    thread::scope(|scope| {
        let others = (thread_count(threads) as u64).min(pieces);
        (1..others).for_each(|_| drop(scope.spawn(run)));
        run();
    });
    match first_error.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_worked_on_once() {
        for threads in [0, 1, 2, 7] {
            let counts: Vec<AtomicU64> = (0..100).map(|_| AtomicU64::new(0)).collect();
            let work = |(): &mut (), piece: u64| {
                counts[piece as usize].fetch_add(1, Ordering::Relaxed);
                Ok::<_, ()>(())
            };
            in_pieces(threads, 100, || Ok(()), work).unwrap();
            assert!(counts.into_iter().all(|count| count.into_inner() == 1));
        }
    }

    #[test]
    fn a_piece_or_a_state_that_fails_ends_it() {
        let work = |(): &mut (), piece| if piece == 40 { Err(piece) } else { Ok(()) };
        for threads in [1, 2, 7] {
            assert_eq!(in_pieces(threads, u64::MAX, || Ok(()), work), Err(40));
        }
        assert_eq!(in_pieces(3, 5, || Err::<(), _>("no state"), |(), _| Ok(())), Err("no state"));
    }
}
