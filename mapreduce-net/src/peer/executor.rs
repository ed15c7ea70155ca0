//! [`Executor`]: the threads that run user code, shared fairly by all who queue work for them.

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::watch;

#[cfg(test)]
mod tests;

/// Threads of its own, at most as many pieces of work at once, and a turn for each queue that has any.
///
/// Nothing here waits: work is queued and says itself when it is done.
pub(super) struct Executor(Arc<Inner>);

/// Where one user of the executor queues. Dropping it drops what has not begun.
pub(super) struct Queue {
    executor: Arc<Inner>,
    id: u64,
}

/// How many pieces of work of one kind may run at once. Clones are the same limit.
#[derive(Clone)]
pub(super) struct Limit(Arc<(usize, AtomicUsize)>);

/// A piece of queued work, to take it back by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ticket(u64);

type Work = Box<dyn FnOnce() + Send>;

/// What waits in a queue.
struct Queued {
    ticket: Ticket,
    work: Work,
    limit: Option<Limit>,
}

struct Inner {
    pool: ThreadPool,
    state: Mutex<State>,
    /// How many threads are lost.
    lost: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    /// Threads that are at it.
    running: usize,
    /// Only queues that have work, so that looking for some is looking at the front.
    queues: HashMap<u64, VecDeque<Queued>>,
    /// The same queues in the order of their turns.
    turns: VecDeque<u64>,
    /// Work that was begun and is not over, with the limit that it counts for.
    begun: HashMap<Ticket, Option<Limit>>,
    /// That of it which will not end, as far as anybody can tell.
    lost: HashSet<Ticket>,
    /// What is to be dropped, ahead of all work: that gives memory back, however long the queues are.
    burials: VecDeque<Queued>,
    /// Numbers that were given to queues and tickets.
    numbers: u64,
}

impl Executor {
    pub(super) fn new(threads: usize) -> Result<Self, ThreadPoolBuildError> {
        let pool =
            ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("task-{i}")).build()?;
        Ok(Self(Arc::new(Inner { pool, state: Mutex::default(), lost: watch::Sender::new(0) })))
    }

    pub(super) fn threads(&self) -> usize {
        self.0.pool.current_num_threads()
    }

    /// How many threads are [lost](Self::lose) for as long as what they work on does not end.
    pub(super) fn lost(&self) -> watch::Receiver<usize> {
        self.0.lost.subscribe()
    }

    /// Notes that a piece of work keeps its thread although it was told to stop: it counts for its limit no longer, since
    /// others would wait for it for ever. `false` if it is over.
    pub(super) fn lose(&self, ticket: Ticket) -> bool {
        let mut state = self.0.state();
        let Some(limit) = state.begun.get_mut(&ticket) else { return false };
        let limit = limit.take();
        if state.lost.insert(ticket) {
            self.0.lost.send_replace(state.lost.len());
        }
        if let Some(limit) = limit {
            limit.leave();
            self.0.call(&mut state);
        }
        true
    }

    /// A queue with turns of its own.
    pub(super) fn queue(&self) -> Queue {
        Queue { executor: self.0.clone(), id: self.0.state().number() }
    }

    /// Drops a value that has parts of a job in it, on a thread where user code may run.
    pub(super) fn bury(&self, value: impl Send + 'static) {
        self.0.bury(value);
    }
}

impl Queue {
    /// Queues work behind what is in this queue.
    pub(super) fn push(&self, work: impl FnOnce() + Send + 'static) -> Ticket {
        self.push_limited(None, work)
    }

    /// The same for work of which no more than the limit says may run at once. Others overtake it while it may not begin.
    pub(super) fn push_limited(&self, limit: Option<Limit>, work: impl FnOnce() + Send + 'static) -> Ticket {
        let mut state = self.executor.state();
        let ticket = Ticket(state.number());
        let State { queues, turns, .. } = &mut *state;
        let queue = queues.entry(self.id).or_default();
        if queue.is_empty() {
            turns.push_back(self.id);
        }
        queue.push_back(Queued { ticket, work: Box::new(work), limit });
        self.executor.call(&mut state);
        ticket
    }

    /// Takes back work that has not begun. `false` if it has, or is over.
    pub(super) fn remove(&self, ticket: Ticket) -> bool {
        let mut state = self.executor.state();
        let Some(queue) = state.queues.get_mut(&self.id) else { return false };
        let Some(at) = queue.iter().position(|queued| queued.ticket == ticket) else { return false };
        let work = queue.remove(at).map(|queued| queued.work);
        if queue.is_empty() {
            state.forget(self.id);
        }
        drop(state);
        self.executor.bury(work);
        true
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let left = self.executor.state().forget(self.id);
        if let Some(left) = left {
            let left: Vec<Work> = left.into_iter().map(|queued| queued.work).collect();
            self.executor.bury(left);
        }
    }
}

impl Inner {
    /// What a thread does until nothing is left that may begin.
    fn run(self: &Arc<Self>) {
        let mut last = None;
        while let Some(Queued { ticket, work, .. }) = self.next(last) {
            contain(work);
            last = Some(ticket);
        }
    }

    /// What a thread does after it is done with `last`.
    fn next(self: &Arc<Self>, last: Option<Ticket>) -> Option<Queued> {
        let mut state = self.state();
        if let Some(last) = last {
            // One that was lost has left its limit already.
            if let Some(Some(limit)) = state.begun.remove(&last) {
                limit.leave();
            }
            if state.lost.remove(&last) {
                self.lost.send_replace(state.lost.len());
            }
        }
        let work = state.take();
        match &work {
            Some(Queued { ticket, limit, .. }) => {
                state.begun.insert(*ticket, limit.clone());
                self.call(&mut state);
            }
            None => state.running -= 1,
        }
        work
    }

    fn bury(self: &Arc<Self>, value: impl Send + 'static) {
        let mut state = self.state();
        let ticket = Ticket(state.number());
        state.burials.push_back(Queued { ticket, work: Box::new(move || drop(value)), limit: None });
        self.call(&mut state);
    }

    /// Calls a thread, if one is idle and there is something that may begin. To be called after each change that may have
    /// made it so: no thread idles while there is work for it.
    fn call(self: &Arc<Self>, state: &mut State) {
        if state.running < self.pool.current_num_threads() && state.has_work() {
            state.running += 1;
            let executor = self.clone();
            self.pool.spawn(move || executor.run());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing of the user's runs under the lock, so no change of the state is ever half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// What is to be dropped, else what may begin in the queue whose turn it is.
    fn take(&mut self) -> Option<Queued> {
        if let Some(burial) = self.burials.pop_front() {
            return Some(burial);
        }
        let (turn, at) = self.first()?;
        let id = self.turns.remove(turn)?;
        let queue = self.queues.get_mut(&id)?;
        let work = queue.remove(at)?;
        if let Some(limit) = &work.limit {
            limit.enter();
        }
        if queue.is_empty() {
            self.queues.remove(&id);
        } else {
            self.turns.push_back(id);
        }
        Some(work)
    }

    /// Whether a thread would find something.
    fn has_work(&self) -> bool {
        !self.burials.is_empty() || self.first().is_some()
    }

    /// The next turn with work that may begin, and where in its queue that is.
    fn first(&self) -> Option<(usize, usize)> {
        let may_begin = |queued: &Queued| queued.limit.as_ref().is_none_or(Limit::is_free);
        let first = |id| self.queues.get(id).and_then(|queue| queue.iter().position(may_begin));
        self.turns.iter().enumerate().find_map(|(turn, id)| Some((turn, first(id)?)))
    }

    /// Takes a queue out.
    fn forget(&mut self, id: u64) -> Option<VecDeque<Queued>> {
        let queue = self.queues.remove(&id)?;
        self.turns.retain(|turn| *turn != id);
        Some(queue)
    }
}

impl Limit {
    pub(super) fn new(running_max: usize) -> Self {
        Self(Arc::new((running_max, AtomicUsize::new(0))))
    }

    /// Whether one more may run. It and what follows only under the lock of the state.
    fn is_free(&self) -> bool {
        let (running_max, running) = &*self.0;
        running.load(Ordering::Relaxed) < *running_max
    }

    fn enter(&self) {
        self.0.1.fetch_add(1, Ordering::Relaxed);
    }

    fn leave(&self) {
        self.0.1.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A panic that nobody has caught so far would end the process: rayon aborts.
fn contain(run: impl FnOnce()) {
    // What the closure may leave half-done is dropped with it.
    if catch_unwind(AssertUnwindSafe(run)).is_err() {
        tracing::error!("a panic came through to the executor");
    }
}
