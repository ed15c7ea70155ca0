//! The pool for programs without an async runtime: [`Pool`] drives jobs on the calling thread, as
//! [`Local`](mapreduce_core::Local) does.

use crate::{
    Identity, Member, PoolError, PoolOptions,
    pool::{self, Driving},
    pool_file::{PoolAddress, PoolFile},
};
use mapreduce_core::{Cancel, Engine, Error, Options, schedule::Event};
use std::{fmt, sync::Arc, thread};
use tokio::{
    runtime::{Builder, Handle},
    sync::{Notify, oneshot},
};

/// A pool of peers, as an engine: jobs that ran on [`Local`](mapreduce_core::Local) run on it unchanged, and give the same
/// bits.
///
/// It has a thread of its own for the network. Cloning is cheap and gives the same pool; when the last clone is dropped,
/// the peers forget what they hold for this program.
///
/// ```no_run
/// use mapreduce_core::prelude::*;
/// use mapreduce_net::{PoolOptions, blocking::Pool, pool_file::PoolFile};
/// # #[derive(Clone, Serialize, Deserialize)]
/// # struct WordCount;
/// # impl Mapper for WordCount {
/// #     type Input = Utf8Lines;
/// #     type Key = str;
/// #     type Value = u64;
/// #     fn map(&self, line: &str, out: &mut impl Emit<str, u64>) -> Result { out.emit(line, &1) }
/// # }
/// # impl SimpleJob for WordCount {
/// #     const NAME: &'static str = "word-count";
/// #     type Combiner = Sum;
/// #     type Reducer = Fold<Sum>;
/// # }
///
/// let pool = Pool::connect(&PoolFile::load("pool.client")?, PoolOptions::default())?;
/// let text = Dataset::new(TextFiles::open(["shakespeare.txt"])?)?;
/// let counts = pool.run(&WordCount, &(), &text)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    pool: pool::Pool,
    network: Option<Network>,
}

impl Pool {
    /// Joins the pool of a member or client file; returns when enough peers are there.
    ///
    /// # Errors
    /// When no peer can be reached, or fewer than [`PoolOptions::min_peers`], within [`PoolOptions::connect_timeout`].
    pub fn connect(file: &PoolFile, options: PoolOptions) -> Result<Self, PoolError> {
        let file = file.clone();
        Self::with(async move { pool::Pool::connect(&file, options).await })
    }

    /// As [`connect`](Self::connect), with certificates of the user's own, through members at `addresses`.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    pub fn connect_as(
        identity: Identity,
        addresses: Vec<PoolAddress>,
        options: PoolOptions,
    ) -> Result<Self, PoolError> {
        Self::with(pool::Pool::connect_as(identity, addresses, options))
    }

    /// As [`connect`](Self::connect), but gives up, with `None`, when `cancel` is cancelled first.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect).
    pub fn connect_unless_cancelled(
        file: &PoolFile,
        options: PoolOptions,
        cancel: &Cancel,
    ) -> Result<Option<Self>, PoolError> {
        let cancelled = Arc::new(Notify::new());
        let wake = cancelled.clone();
        let _registration = cancel.on_cancel(move || wake.notify_one());
        let file = file.clone();
        let network = Network::start()?;
        let pool = network.run(async move {
            tokio::select! {
                pool = pool::Pool::connect(&file, options) => pool.map(Some),
                () = cancelled.notified() => Ok(None),
            }
        })?;
        Ok(pool.map(|pool| Self(Arc::new(Inner { pool, network: Some(network) }))))
    }

    fn with(
        connecting: impl Future<Output = Result<pool::Pool, PoolError>> + Send + 'static,
    ) -> Result<Self, PoolError> {
        let network = Network::start()?;
        let pool = network.run(connecting)?;
        Ok(Self(Arc::new(Inner { pool, network: Some(network) })))
    }

    /// Threads of this process that read splits, and reduce what is too small to be worth a peer.
    pub fn threads(&self) -> usize {
        self.0.pool.threads()
    }

    /// The members of the pool that are there now, by id.
    pub fn members(&self) -> Vec<Member> {
        self.0.pool.members()
    }
}

impl Engine for Pool {
    type Rounds<'e> = Driving<'e>;

    fn begin<'e>(
        &'e self,
        job: &'static str,
        options: &'e Options,
        events: &'e mut dyn FnMut(Event),
    ) -> Result<Driving<'e>, Error> {
        Ok(self.0.pool.drive(job, options, events))
    }

    fn is_own_thread(&self) -> bool {
        self.0.pool.is_own_thread()
    }

    fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.0.pool.install(work)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(network) = self.network.take() {
            let pool = self.pool.clone();
            // The peers are told, so that they need not wait for the lease.
            network.run(async move { pool.close().await });
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.0.pool).finish()
    }
}

/// A runtime on a thread of its own. One thread: what goes from a socket to a session and back changes no thread.
struct Network {
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Network {
    fn start() -> Result<Self, PoolError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(PoolError::Runtime)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        // The thread has the runtime to itself and drops it: dropped within a task of another runtime, it would panic.
        let thread = thread::Builder::new()
            .name("mapreduce-network".into())
            .spawn(move || drop(runtime.block_on(stopped)))
            .map_err(PoolError::Runtime)?;
        Ok(Self { runtime: handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Runs a future there and waits for it here. In a task of another runtime, that thread is blocked meanwhile.
    fn run<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            // The caller waits for it.
            let _ = sender.send(future.await);
        });
        receiver.recv().expect("the runtime runs until this is dropped")
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Its only panic would be one of tokio itself.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn nowhere() -> PoolFile {
        let (_, client) = PoolFile::create(vec!["127.0.0.1:1".parse().unwrap()]).unwrap();
        PoolFile::Client(client)
    }

    #[tokio::test]
    async fn a_pool_may_be_used_inside_a_runtime() {
        let options = PoolOptions { connect_timeout: Duration::from_millis(50), ..PoolOptions::default() };
        let error = Pool::connect(&nowhere(), options).unwrap_err();
        assert!(matches!(error, PoolError::NoPeer { .. }), "{error}");
    }

    #[test]
    fn waiting_for_peers_ends_when_it_is_cancelled() {
        let options = PoolOptions { connect_timeout: Duration::from_secs(3_600), ..PoolOptions::default() };
        let cancel = Cancel::new();
        let connected = thread::scope(|scope| {
            let connecting =
                scope.spawn(|| Pool::connect_unless_cancelled(&nowhere(), options.clone(), &cancel));
            cancel.cancel();
            connecting.join().unwrap()
        });
        assert!(connected.unwrap().is_none());
    }
}
