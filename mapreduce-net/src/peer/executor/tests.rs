//! What runs when, on how many threads.

use super::*;
use std::{
    sync::mpsc::{self, Receiver, Sender},
    thread,
};

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
    let (executor, begins, push) = two_threads();
    let (limited, other) = (executor.queue(), executor.queue());
    let limit = Limit::new(1);
    let first = push(&limited, Some(&limit), 'a');
    assert_eq!(begins.recv(), Ok('a'));
    let second = push(&limited, Some(&limit), 'b');
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

/// Work in a queue, which runs until this is dropped.
type Gated = (Ticket, Sender<()>);
type Push = Box<dyn Fn(&Queue, Option<&Limit>, char) -> Gated>;

/// Two threads, the names of what begins there, and a function that queues work.
fn two_threads() -> (Executor, Receiver<char>, Push) {
    let (begun, begins) = mpsc::channel();
    let push = move |queue: &Queue, limit: Option<&Limit>, name| {
        let (open, gate) = mpsc::channel::<()>();
        let begun = begun.clone();
        let ticket = queue.push_limited(limit.cloned(), move || {
            begun.send(name).unwrap();
            let _ = gate.recv();
        });
        (ticket, open)
    };
    (Executor::new(2).unwrap(), begins, Box::new(push))
}

#[test]
fn what_waits_for_a_limit_holds_up_nothing_behind_it() {
    let (executor, begins, push) = two_threads();
    let (queue, limit) = (executor.queue(), Limit::new(1));
    let first = push(&queue, Some(&limit), 'a');
    assert_eq!(begins.recv(), Ok('a'));
    let second = push(&queue, Some(&limit), 'b');
    let other = push(&queue, None, 'c');
    assert_eq!(begins.recv(), Ok('c'));
    let third = push(&queue, Some(&limit), 'd');
    drop(first);
    assert_eq!(begins.recv(), Ok('b'), "in their order");
    assert!(queue.remove(third.0));
    let last = push(&queue, None, 'e');
    drop(other);
    assert_eq!(begins.recv(), Ok('e'));
    drop((second, last));
}

#[test]
fn no_thread_idles_once_a_limit_lets_more_begin() {
    let (executor, begins, push) = two_threads();
    let (queue, limit) = (executor.queue(), Limit::new(1));
    let first = push(&queue, Some(&limit), 'a');
    assert_eq!(begins.recv(), Ok('a'));
    let second = push(&queue, Some(&limit), 'b');
    // The other thread has found nothing that may begin.
    while executor.0.state().running > 1 {
        thread::yield_now();
    }
    let other = push(&queue, Some(&Limit::new(1)), 'c');
    assert_eq!(begins.recv(), Ok('c'), "of another job");
    drop((first, other));
    assert_eq!(begins.recv(), Ok('b'));
    drop(second);
}

#[test]
fn lost_work_does_not_count_for_its_limit() {
    let (executor, begins, push) = two_threads();
    let (queue, limit) = (executor.queue(), Limit::new(1));
    let wedged = push(&queue, Some(&limit), 'a');
    assert_eq!(begins.recv(), Ok('a'));
    let second = push(&queue, Some(&limit), 'b');
    let third = push(&queue, Some(&limit), 'c');
    assert!(executor.lose(wedged.0) && executor.lose(wedged.0));
    assert_eq!(begins.recv(), Ok('b'));
    // It ends after all: that makes no room for a second time.
    drop(wedged);
    while *executor.lost().borrow() > 0 {
        thread::yield_now();
    }
    assert!(begins.try_recv().is_err());
    assert!(!limit.is_free());
    drop(second);
    assert_eq!(begins.recv(), Ok('c'));
    drop(third);
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
    let holds = *executor.0.state().begun.keys().next().unwrap();
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
