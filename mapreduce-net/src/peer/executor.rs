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
    /// Work that was begun and is not over.
    begun: HashSet<Ticket>,
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

    /// Notes that a piece of work keeps its thread although it was told to stop. `false` if it is over.
    pub(super) fn lose(&self, ticket: Ticket) -> bool {
        let mut state = self.0.state();
        let is_begun = state.begun.contains(&ticket);
        if is_begun && state.lost.insert(ticket) {
            self.0.lost.send_replace(state.lost.len());
        }
        is_begun
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

    /// The same for work of which no more than the limit says may run at once. What is behind it in this queue waits as well.
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
    /// What a thread does until nothing is queued.
    fn run(&self) {
        let mut last = None;
        while let Some(Queued { ticket, work, limit }) = self.next(last) {
            contain(work);
            last = Some((ticket, limit));
        }
    }

    /// What a thread does after it is done with `last`.
    fn next(&self, last: Option<(Ticket, Option<Limit>)>) -> Option<Queued> {
        let mut state = self.state();
        if let Some((last, limit)) = last {
            if let Some(limit) = limit {
                limit.leave();
            }
            state.begun.remove(&last);
            if state.lost.remove(&last) {
                self.lost.send_replace(state.lost.len());
            }
        }
        let work = state.take();
        match &work {
            Some(Queued { ticket, .. }) => drop(state.begun.insert(*ticket)),
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

    /// Calls a thread to what was just queued, unless all are at it.
    fn call(self: &Arc<Self>, state: &mut State) {
        if state.running < self.pool.current_num_threads() {
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

    /// What is to be dropped, else the first work of the queue whose turn it is. Whoever ends work that has a limit asks
    /// again, so what cannot begin now is not forgotten.
    fn take(&mut self) -> Option<Queued> {
        if let Some(burial) = self.burials.pop_front() {
            return Some(burial);
        }
        let first = |id: &u64| self.queues.get(id).and_then(VecDeque::front);
        let may_begin =
            |id: &u64| first(id).is_none_or(|queued| queued.limit.as_ref().is_none_or(Limit::enter));
        let turn = self.turns.iter().position(may_begin)?;
        let id = self.turns.remove(turn)?;
        let queue = self.queues.get_mut(&id)?;
        let work = queue.pop_front()?;
        if queue.is_empty() {
            self.queues.remove(&id);
        } else {
            self.turns.push_back(id);
        }
        Some(work)
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

    /// Counts one more, unless there are as many as there may be. Only under the lock of the state.
    fn enter(&self) -> bool {
        let (running_max, running) = &*self.0;
        let is_free = running.load(Ordering::Relaxed) < *running_max;
        if is_free {
            running.fetch_add(1, Ordering::Relaxed);
        }
        is_free
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{self, Receiver, Sender};

    /// An executor of one thread that is held up until the sender is dropped or used.
    fn held_up() -> (Executor, Queue, Sender<()>) {
        let executor = Executor::new(1).unwrap();
        let queue = executor.queue();
        let (release, wait) = mpsc::channel::<()>();
        let (begun, begins) = mpsc::channel();
        queue.push(move || {
            begun.send(()).unwrap();
            let _ = wait.recv();
        });
        begins.recv().unwrap();
        (executor, queue, release)
    }

    fn all<T>(receiver: Receiver<T>) -> Vec<T> {
        receiver.into_iter().collect()
    }

    #[test]
    fn queues_take_turns_whatever_they_hold() {
        let (executor, first, release) = held_up();
        let second = executor.queue();
        let (done, order) = mpsc::channel();
        for (queue, name, count) in [(&first, 'a', 5), (&second, 'b', 2)] {
            for i in 0..count {
                let done = done.clone();
                queue.push(move || done.send((name, i)).unwrap());
            }
        }
        drop((done, release));
        let expected = [('a', 0), ('b', 0), ('a', 1), ('b', 1), ('a', 2), ('a', 3), ('a', 4)];
        assert_eq!(all(order), expected);
    }

    #[test]
    fn no_more_runs_at_once_than_there_are_threads() {
        let executor = Executor::new(2).unwrap();
        let queue = executor.queue();
        let (begun, begins) = mpsc::channel();
        let gates: Vec<_> = (0..3)
            .map(|i| {
                let (open, gate) = mpsc::channel::<()>();
                let begun = begun.clone();
                queue.push(move || {
                    begun.send(i).unwrap();
                    let _ = gate.recv();
                });
                open
            })
            .collect();
        let mut first = [begins.recv().unwrap(), begins.recv().unwrap()];
        first.sort_unstable();
        assert_eq!(first, [0, 1]);
        assert!(begins.try_recv().is_err());
        drop(gates);
        assert_eq!(begins.recv(), Ok(2));
    }

    #[test]
    fn no_more_runs_at_once_than_a_limit_says() {
        let executor = Executor::new(2).unwrap();
        let (limited, other) = (executor.queue(), executor.queue());
        let limit = Limit::new(1);
        let (begun, begins) = mpsc::channel();
        let push = |queue: &Queue, limit, name| {
            let (open, gate) = mpsc::channel::<()>();
            let begun = begun.clone();
            queue.push_limited(limit, move || {
                begun.send(name).unwrap();
                let _ = gate.recv();
            });
            open
        };
        let first = push(&limited, Some(limit.clone()), 'a');
        assert_eq!(begins.recv(), Ok('a'));
        let second = push(&limited, Some(limit.clone()), 'b');
        let unlimited = push(&other, None, 'c');
        assert_eq!(begins.recv(), Ok('c'));
        drop(unlimited);
        drop(push(&other, None, 'd'));
        assert_eq!(begins.recv(), Ok('d'));
        assert!(begins.try_recv().is_err());
        drop(first);
        assert_eq!(begins.recv(), Ok('b'));
        drop(second);
    }

    #[test]
    fn work_that_was_taken_back_or_left_in_a_dropped_queue_does_not_run() {
        let (executor, first, release) = held_up();
        let second = executor.queue();
        let (done, ran) = mpsc::channel();
        let push = |queue: &Queue, name| {
            let done = done.clone();
            queue.push(move || done.send(name).unwrap())
        };
        let taken = push(&first, "taken back");
        push(&first, "stays");
        push(&second, "dropped");
        assert!(first.remove(taken));
        assert!(!first.remove(taken) && !second.remove(taken));
        drop(second);
        drop((done, release));
        assert_eq!(all(ran), ["stays"]);
    }

    #[test]
    fn what_is_to_be_dropped_does_not_wait_for_what_is_queued() {
        struct Says(Sender<&'static str>);
        impl Drop for Says {
            fn drop(&mut self) {
                self.0.send("dropped").unwrap();
            }
        }
        let (executor, queue, release) = held_up();
        let (done, order) = mpsc::channel();
        for _ in 0..2 {
            let done = done.clone();
            queue.push(move || done.send("worked").unwrap());
        }
        executor.bury(Says(done));
        drop(release);
        assert_eq!(all(order), ["dropped", "worked", "worked"]);
    }

    #[test]
    fn a_thread_is_lost_for_as_long_as_its_work_does_not_end() {
        let (executor, queue, release) = held_up();
        let mut lost = executor.lost();
        let (done, ran) = mpsc::channel();
        let waits = queue.push(move || done.send(()).unwrap());
        let holds = *executor.0.state().begun.iter().next().unwrap();
        assert!(!executor.lose(waits), "it has not begun");
        assert!(executor.lose(holds) && executor.lose(holds));
        assert_eq!(*lost.borrow_and_update(), 1);
        drop(release);
        ran.recv().unwrap();
        assert_eq!(*lost.borrow_and_update(), 0);
        assert!(!executor.lose(holds));
    }

    #[test]
    fn a_panic_costs_no_thread() {
        struct Panics;
        impl Drop for Panics {
            fn drop(&mut self) {
                panic!("in a drop");
            }
        }
        let executor = Executor::new(1).unwrap();
        let queue = executor.queue();
        queue.push(|| panic!("in work"));
        executor.bury(Panics);
        let (done, ran) = mpsc::channel();
        queue.push(move || done.send(1).unwrap());
        assert_eq!(ran.recv(), Ok(1));
        assert_eq!(executor.threads(), 1);
    }
}
