//! [`join_all`]: many futures in one task.

use std::{
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

/// Runs all of them at once, until all are done or one has failed. The results are in the order of the futures.
///
/// Each has a waker of its own: what one of a thousand streams brings does not cost a look at the others.
pub(super) async fn join_all<F, T, E>(futures: Vec<F>) -> Result<Vec<T>, E>
where
    F: Future<Output = Result<T, E>>,
{
    let woken = Arc::new(Woken::default());
    let mut missing = futures.len();
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    let mut running: Vec<_> = futures
        .into_iter()
        .enumerate()
        .map(|(index, future)| {
            woken.push(index);
            let waker = Waker::from(Arc::new(Signal { index, woken: woken.clone() }));
            Some((Box::pin(future), waker))
        })
        .collect();
    poll_fn(|context| {
        for index in woken.take(context.waker()) {
            let Some((future, waker)) = &mut running[index] else { continue };
            let future: Pin<&mut F> = future.as_mut();
            if let Poll::Ready(result) = future.poll(&mut Context::from_waker(waker)) {
                results[index] = Some(match result {
                    Ok(result) => result,
                    Err(error) => return Poll::Ready(Err(error)),
                });
                running[index] = None;
                missing -= 1;
            }
        }
        if missing == 0 { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await?;
    Ok(results.into_iter().flatten().collect())
}

/// Which futures are to be looked at.
#[derive(Default)]
struct Woken(Mutex<(Vec<usize>, Option<Waker>)>);

/// Wakes one of them.
struct Signal {
    index: usize,
    woken: Arc<Woken>,
}

impl Woken {
    /// Notes a future, and gives the waker of the task if it has to be woken.
    fn push(&self, index: usize) -> Option<Waker> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !inner.0.contains(&index) {
            inner.0.push(index);
        }
        inner.1.take()
    }

    /// Those that were noted; for those that are from now on, `waker` is called.
    fn take(&self, waker: &Waker) -> Vec<usize> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.1 = Some(waker.clone());
        mem::take(&mut inner.0)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(waker) = self.woken.push(self.index) {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn results_come_in_the_order_of_the_futures() {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..5).map(|_| oneshot::channel::<usize>()).unzip();
        let sending = async {
            for (index, sender) in senders.into_iter().enumerate().rev() {
                sender.send(index).unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (joined, ()) = tokio::join!(join_all(receivers), sending);
        assert_eq!(joined.unwrap(), [0, 1, 2, 3, 4]);
        assert_eq!(join_all(Vec::<std::future::Ready<Result<u8, u8>>>::new()).await, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn the_first_failure_ends_the_others() {
        let (sender, receiver) = oneshot::channel::<u8>();
        let outcome = async |what: Result<oneshot::Receiver<u8>, u8>| {
            what?.await.unwrap();
            Ok(())
        };
        let futures = [Ok(receiver), Err(7), Err(8)].map(outcome);
        assert_eq!(join_all(futures.into()).await, Err(7));
        assert!(sender.is_closed());
    }

    #[tokio::test]
    async fn only_who_is_woken_is_looked_at() {
        let polls = AtomicUsize::new(0);
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..100).map(|_| oneshot::channel::<()>()).unzip();
        let counted = receivers.into_iter().map(|mut receiver| {
            let polls = &polls;
            poll_fn(move |context| {
                polls.fetch_add(1, Ordering::Relaxed);
                Pin::new(&mut receiver).poll(context)
            })
        });
        let sending = async {
            for sender in senders {
                sender.send(()).unwrap();
                tokio::task::yield_now().await;
            }
        };
        let (joined, ()) = tokio::join!(join_all(counted.collect()), sending);
        assert_eq!(joined.unwrap().len(), 100);
        assert_eq!(polls.load(Ordering::Relaxed), 200);
    }
}
