//! [`Pool`]: the pool for programs without an async runtime, as an [`Engine`] that waits.
//!
//! ```no_run
//! use mapreduce_core::prelude::*;
//! use mapreduce_net::{PoolOptions, blocking::Pool, pool_file::PoolFile};
//! # #[derive(Clone, Serialize, Deserialize)]
//! # struct Parity;
//! # impl Mapper for Parity {
//! #     type Input = Items<u64>;
//! #     type Key = bool;
//! #     type Value = u64;
//! #     fn map(&self, n: &u64, out: &mut impl Emit<bool, u64>) -> Result { out.emit(&n.is_multiple_of(2), n) }
//! # }
//! # impl SimpleJob for Parity {
//! #     const NAME: &'static str = "parity";
//! #     type Combiner = Sum;
//! #     type Reducer = Fold<Sum>;
//! # }
//!
//! let pool = Pool::connect(&PoolFile::load("lab.pool")?, PoolOptions::default())?;
//! let sums = pool.run(&Parity, &(), &Dataset::new(ItemSlice::new([1, 2, 3]))?)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::{Member, PoolError, PoolOptions, pool, pool_file::PoolFile};
use mapreduce_core::{Cancel, Engine, Error, Options, schedule::Event};
use std::{
    fmt, io,
    sync::{Arc, mpsc},
    time::Duration,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Notify,
};

/// Threads of the runtime.
const NETWORK_THREADS: usize = 2;

/// How long the end of a pool waits until the peers have been told.
const END: Duration = Duration::from_secs(1);

/// A pool of peers that jobs are submitted to. Cloning is cheap and gives the same connections.
///
/// It has a runtime of its own and never waits on one that it is used from, so it may be used inside an async program
/// too, where its methods block the calling thread. When the last clone is dropped, the peers are told, and drop
/// everything that they have for this process.
#[derive(Clone)]
pub struct Pool(Arc<Connected>);

struct Connected {
    pool: Option<pool::Pool>,
    /// `None` when it was shut down.
    runtime: Option<Runtime>,
}

impl Pool {
    /// Connects to the pool of `file`, a member file or a client file. Returns when
    /// [`min_peers`](PoolOptions::min_peers) peers are ready to work for this program.
    ///
    /// # Errors
    /// Those of [`Pool::connect`](pool::Pool::connect), and [`PoolError::Threads`] if the threads of the network cannot be
    /// started.
    pub fn connect(file: &PoolFile, options: PoolOptions) -> Result<Self, PoolError> {
        let pool = Self::connect_unless_cancelled(file, options, &Cancel::new())?;
        Ok(pool.expect("nobody else has the token"))
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
        let runtime = Builder::new_multi_thread()
            .worker_threads(NETWORK_THREADS)
            .thread_name("pool-network")
            .enable_all()
            .build()
            .map_err(|error| PoolError::Threads(threads_error(&error)))?;
        // It goes when this fails, too.
        let mut connected = Connected { pool: None, runtime: Some(runtime) };
        let cancelled = Arc::new(Notify::new());
        let wake = cancelled.clone();
        let _registration = cancel.on_cancel(move || wake.notify_one());
        let file = file.clone();
        let connecting = connected.wait_for(None, async move {
            tokio::select! {
                pool = pool::Pool::connect(&file, options) => pool.map(Some),
                () = cancelled.notified() => Ok(None),
            }
        });
        connected.pool = connecting.expect("without a time limit it waits to the end")?;
        Ok(connected.pool.is_some().then(|| Self(Arc::new(connected))))
    }

    /// The members of the pool, as far as known here; in no particular order.
    pub fn members(&self) -> Vec<Member> {
        self.inner().members()
    }

    /// Threads of this process that read, send and put together.
    pub fn threads(&self) -> usize {
        self.inner().local().threads()
    }

    fn inner(&self) -> &pool::Pool {
        self.0.pool.as_ref().expect("it is taken when the last clone is dropped")
    }
}

impl Engine for Pool {
    type Rounds<'e> = pool::PoolRounds<'e>;

    fn begin<'e>(
        &'e self,
        job: &'static str,
        options: &'e Options,
        events: &'e mut dyn FnMut(Event),
    ) -> Result<Self::Rounds<'e>, Error> {
        self.inner().begin(job, options, events)
    }

    fn is_own_thread(&self) -> bool {
        self.inner().local().is_own_thread()
    }
}

impl Connected {
    /// Has the runtime do `work`, and waits for it, for so long at the most. Not by `block_on`, which panics on a thread of
    /// another runtime.
    fn wait_for<T: Send + 'static>(
        &self,
        limit: Option<Duration>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (sender, done) = mpsc::channel();
        self.runtime.as_ref()?.spawn(async move { sender.send(work.await) });
        match limit {
            None => done.recv().ok(),
            Some(limit) => done.recv_timeout(limit).ok(),
        }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            self.wait_for(Some(END), async move { pool.close().await });
        }
        if let Some(runtime) = self.runtime.take() {
            // To drop it would wait, which is not allowed on a thread of another runtime.
            runtime.shutdown_background();
        }
    }
}

fn threads_error(error: &io::Error) -> Error {
    Error::Threads { threads: NETWORK_THREADS, message: error.to_string() }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(self.inner()).finish()
    }
}
