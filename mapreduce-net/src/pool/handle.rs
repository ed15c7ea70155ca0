//! Jobs on an async [`Pool`]: started in the background, waited for without blocking.

use super::{Driving, Pool};
use mapreduce_core::{
    Cancel, Dataset, Engine, Error, Input, InputOf, Iterated, Iterative, Job, Options, Output, PartFiles,
    Written, engine::whole, schedule::Event,
};
use std::{sync::Arc, thread};
use tokio::sync::{mpsc, oneshot};

/// Events kept for a reader that is slower than the job. Later ones are dropped.
const EVENTS_KEPT: usize = 65_536;

/// A job that was submitted to a [`Pool`]. Dropping the handle leaves the job running to its end.
#[derive(Debug)]
pub struct JobHandle<T> {
    result: oneshot::Receiver<Result<T, Error>>,
    events: mpsc::Receiver<Event>,
    cancel: Cancel,
}

impl<T> JobHandle<T> {
    /// What happens in the job next; `None` when it has ended. Cancel-safe. If 65 536 events wait to be read, further ones
    /// are dropped: the outcome is what [`wait`](Self::wait) gives.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Asks this job to stop; [`wait`](Self::wait) then gives [`Error::Cancelled`], unless it was done before.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Waits for the job to end.
    ///
    /// # Errors
    /// What the job failed with.
    pub async fn wait(self) -> Result<T, Error> {
        let gone = |_| Err(Error::DriverPanicked { message: "its message is on standard error".into() });
        self.result.await.unwrap_or_else(gone)
    }
}

/// Drives jobs on a thread of their own. (An async function must not: it would hold up its runtime.)
#[derive(Clone)]
struct Driver(Pool);

impl Engine for Driver {
    type Rounds<'e> = Driving<'e>;

    fn begin<'e>(
        &'e self,
        job: &'static str,
        options: &'e Options,
        events: &'e mut dyn FnMut(Event),
    ) -> Result<Driving<'e>, Error> {
        Ok(self.0.drive(job, options, events))
    }

    fn is_own_thread(&self) -> bool {
        self.0.is_own_thread()
    }

    fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.0.install(work)
    }
}

impl Pool {
    /// Starts a job. It is driven on a thread of its own, which does none of the work of the map tasks.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn submit<J, I>(
        &self,
        job: J,
        shared: J::Shared,
        data: Arc<Dataset<I>>,
        options: Options,
    ) -> Result<JobHandle<Output<J>>, Error>
    where
        J: Job,
        Output<J>: Send,
        I: Input<Records = InputOf<J>> + 'static,
    {
        self.start(options, move |driver, options, events| {
            whole::run(driver, &job, &shared, &data, options, events)
        })
    }

    /// Starts a job that writes part files, on the driver's disk. On [shared storage](PartFiles::on_shared_storage) the peers
    /// write them.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn submit_write<J, I>(
        &self,
        job: J,
        shared: J::Shared,
        data: Arc<Dataset<I>>,
        to: PartFiles,
        options: Options,
    ) -> Result<JobHandle<Written>, Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>> + 'static,
    {
        self.start(options, move |driver, options, events| {
            whole::write(driver, &job, &shared, &data, &to, options, events)
        })
    }

    /// Starts an iterated job.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn submit_iterate<T, I>(
        &self,
        job: T,
        data: Arc<Dataset<I>>,
        options: Options,
    ) -> Result<JobHandle<Iterated<T::Output>>, Error>
    where
        T: Iterative + 'static,
        T::Output: Send + 'static,
        I: Input<Records = InputOf<T::Round>> + 'static,
    {
        self.start(options, move |driver, options, events| {
            whole::iterate(driver, &job, &data, options, events)
        })
    }

    /// Runs a job and gives its output: [`submit`](Self::submit) and [`wait`](JobHandle::wait).
    ///
    /// # Errors
    /// What the job fails with.
    pub async fn run<J, I>(
        &self,
        job: J,
        shared: J::Shared,
        data: Arc<Dataset<I>>,
    ) -> Result<Output<J>, Error>
    where
        J: Job,
        Output<J>: Send,
        I: Input<Records = InputOf<J>> + 'static,
    {
        self.submit(job, shared, data, Options::default())?.wait().await
    }

    /// Runs an iterated job to its end: [`submit_iterate`](Self::submit_iterate) and [`wait`](JobHandle::wait).
    ///
    /// # Errors
    /// What the job fails with.
    pub async fn iterate<T, I>(&self, job: T, data: Arc<Dataset<I>>) -> Result<Iterated<T::Output>, Error>
    where
        T: Iterative + 'static,
        T::Output: Send + 'static,
        I: Input<Records = InputOf<T::Round>> + 'static,
    {
        self.submit_iterate(job, data, Options::default())?.wait().await
    }

    /// Has `drive` run a job on a thread of its own.
    fn start<T: Send + 'static>(
        &self,
        options: Options,
        drive: impl FnOnce(&Driver, &Options, &mut dyn FnMut(Event)) -> Result<T, Error> + Send + 'static,
    ) -> Result<JobHandle<T>, Error> {
        let driver = Driver(self.clone());
        let options = options.for_one_job();
        let cancel = options.cancel.clone();
        let (event, events) = mpsc::channel(EVENTS_KEPT);
        let (done, result) = oneshot::channel();
        thread::Builder::new()
            .name("mapreduce-driver".into())
            .spawn(move || {
                // Nobody has to listen, and nobody who does not may hold up the job.
                let outcome = drive(&driver, &options, &mut |happened| drop(event.try_send(happened)));
                let _ = done.send(outcome);
            })
            .map_err(|error| Error::Threads { threads: 1, message: error.to_string() })?;
        Ok(JobHandle { result, events, cancel })
    }
}
