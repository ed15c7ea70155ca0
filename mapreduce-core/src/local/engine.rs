//! [`Local`]: runs jobs on the threads of this process.

use super::{
    destination::Returned,
    drive::{Driver, RoundOutput},
    handle::Handle,
};
use crate::{
    Dataset, Error, Input, InputOf, Iterated, Iterative, Job, Options, Output, PartFiles, Written,
    exec::{Run, set_up},
    output::Staging,
    schedule::Event,
};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::{fmt, ops::ControlFlow, sync::Arc, thread};

/// Runs jobs on threads of this process.
///
/// The output of a job is the same for any number of threads, to the bit. Cloning is cheap and gives the same
/// threads. Several jobs may run at once; they share the threads.
///
/// ```
/// use mapreduce_core::prelude::*;
/// # #[derive(Clone, Serialize, Deserialize)]
/// # struct Parity;
/// # impl Mapper for Parity {
/// #     type Input = Items<u64>;
/// #     type Key = bool;
/// #     type Value = u64;
/// #     fn map(&self, n: &u64, out: &mut impl Emit<bool, u64>) -> Result { out.emit(&n.is_multiple_of(2), n) }
/// # }
/// # impl SimpleJob for Parity {
/// #     const NAME: &'static str = "parity";
/// #     type Combiner = Sum;
/// #     type Reducer = Fold<Sum>;
/// # }
///
/// // `Parity` sums odd and even numbers.
/// let engine = Local::new(2)?;
/// let numbers: Vec<u64> = (1..=10).collect();
/// let sums = engine.run(&Parity, &(), &Dataset::new(ItemSlice::new(&numbers))?)?;
/// assert_eq!(sums.pairs, [(false, 25), (true, 30)]);
/// # Ok::<(), mapreduce_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Local {
    pool: Arc<ThreadPool>,
}

impl Local {
    /// The most threads that [`new`](Self::new) starts: far more than any machine runs at once, and few enough that a
    /// slip of the keyboard does not take the machine down.
    pub const THREADS_MAX: usize = 1024;

    /// An engine with threads of its own: as many as given, or as the machine runs at once for 0.
    ///
    /// # Errors
    /// When there are more than [`THREADS_MAX`](Self::THREADS_MAX), or the system cannot start them.
    pub fn new(threads: usize) -> Result<Self, Error> {
        let threads = match threads {
            // Asked for here: with 0, rayon would look at an environment variable.
            0 => thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        if threads > Self::THREADS_MAX {
            let message = format!("the limit is {}", Self::THREADS_MAX);
            return Err(Error::Threads { threads, message });
        }
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("mapreduce-{i}"))
            .build()
            .map_err(|error| Error::Threads { threads, message: error.to_string() })?;
        Ok(Self::on(Arc::new(pool)))
    }

    /// An engine on the program's own rayon pool, shared with its other work. Jobs must not be run from inside it.
    pub fn on(pool: Arc<ThreadPool>) -> Self {
        Self { pool }
    }

    /// The number of threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs a job and returns its output. Waits until it is done.
    ///
    /// # Errors
    /// When a task fails [`attempts_max`](Options::attempts_max) times, the input cannot be read, or the job's
    /// set-up fails.
    pub fn run<J, I>(&self, job: &J, shared: &J::Shared, data: &Dataset<I>) -> Result<Output<J>, Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        self.run_with(job, shared, data, &Options::default())
    }

    /// As [`run`](Self::run), with options.
    ///
    /// # Errors
    /// As [`run`](Self::run), and [`Error::Cancelled`].
    pub fn run_with<J, I>(
        &self,
        job: &J,
        shared: &J::Shared,
        data: &Dataset<I>,
        options: &Options,
    ) -> Result<Output<J>, Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        self.drive(job, shared, data, options, &mut |_| {})
    }

    /// Runs a job and writes its output as part files, which appear when all of them are complete.
    ///
    /// # Errors
    /// As [`run_with`](Self::run_with), and when the output cannot be written or is already there.
    pub fn write<J, I>(
        &self,
        job: &J,
        shared: &J::Shared,
        data: &Dataset<I>,
        to: &PartFiles,
        options: &Options,
    ) -> Result<Written, Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        self.drive_writing(job, shared, data, to, options, &mut |_| {})
    }

    /// Runs an iterated job to its end. What tasks cache about the dataset is kept from round to round.
    ///
    /// # Errors
    /// As [`run`](Self::run), and when the job's own steps fail.
    pub fn iterate<T, I>(&self, job: &T, data: &Dataset<I>) -> Result<Iterated<T::Output>, Error>
    where
        T: Iterative,
        I: Input<Records = InputOf<T::Round>>,
    {
        self.iterate_with(job, data, &Options::default())
    }

    /// As [`iterate`](Self::iterate), with options.
    ///
    /// # Errors
    /// As [`iterate`](Self::iterate), [`Error::Cancelled`], and [`Error::TooManyRounds`].
    pub fn iterate_with<T, I>(
        &self,
        job: &T,
        data: &Dataset<I>,
        options: &Options,
    ) -> Result<Iterated<T::Output>, Error>
    where
        T: Iterative,
        I: Input<Records = InputOf<T::Round>>,
    {
        self.drive_rounds(job, data, options, &mut |_| {})
    }

    /// Starts a job in the background.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn submit<J, I>(
        &self,
        job: J,
        shared: J::Shared,
        data: Arc<Dataset<I>>,
        options: Options,
    ) -> Result<Handle<Output<J>>, Error>
    where
        J: Job,
        Output<J>: Send,
        I: Input<Records = InputOf<J>> + 'static,
    {
        let (engine, options) = (self.clone(), options.for_one_job());
        Handle::spawn(self.pool.clone(), options.cancel.clone(), move |events| {
            engine.drive(&job, &shared, &data, &options, events)
        })
    }

    /// Starts a job in the background that writes part files, as [`write`](Self::write).
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
    ) -> Result<Handle<Written>, Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>> + 'static,
    {
        let (engine, options) = (self.clone(), options.for_one_job());
        Handle::spawn(self.pool.clone(), options.cancel.clone(), move |events| {
            engine.drive_writing(&job, &shared, &data, &to, &options, events)
        })
    }

    /// Starts an iterated job in the background.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn submit_iterate<T, I>(
        &self,
        job: T,
        data: Arc<Dataset<I>>,
        options: Options,
    ) -> Result<Handle<Iterated<T::Output>>, Error>
    where
        T: Iterative + 'static,
        T::Output: Send + 'static,
        I: Input<Records = InputOf<T::Round>> + 'static,
    {
        let (engine, options) = (self.clone(), options.for_one_job());
        Handle::spawn(self.pool.clone(), options.cancel.clone(), move |events| {
            engine.drive_rounds(&job, &data, &options, events)
        })
    }

    fn drive<J, I>(
        &self,
        job: &J,
        shared: &J::Shared,
        data: &Dataset<I>,
        options: &Options,
        events: &mut dyn FnMut(Event),
    ) -> Result<Output<J>, Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        let round = Driver::new::<J>(&self.pool, options, events)?.round(job, shared, data, &Returned)?;
        decode(round)
    }

    fn drive_writing<J, I>(
        &self,
        job: &J,
        shared: &J::Shared,
        data: &Dataset<I>,
        to: &PartFiles,
        options: &Options,
        events: &mut dyn FnMut(Event),
    ) -> Result<Written, Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        let staging = Staging::create(to)?;
        let round = Driver::new::<J>(&self.pool, options, events)?.round(job, shared, data, &staging)?;
        let parts = staging.commit(J::NAME, J::VERSION, round.parts)?;
        Ok(Written { parts, counters: round.counters, report: round.report })
    }

    fn drive_rounds<T, I>(
        &self,
        job: &T,
        data: &Dataset<I>,
        options: &Options,
        events: &mut dyn FnMut(Event),
    ) -> Result<Iterated<T::Output>, Error>
    where
        T: Iterative,
        I: Input<Records = InputOf<T::Round>>,
    {
        let mut driver = Driver::new::<T::Round>(&self.pool, options, events)?;
        let mut state = set_up::<T::Round, _>("start", || job.start())?;
        for number in 0..options.rounds_max {
            let (round, shared) = set_up::<T::Round, _>("round", || job.round(&state))?;
            let done = driver.round(&round, &shared, data, &Returned)?;
            let output = decode(done)?;
            if let ControlFlow::Break(output) =
                set_up::<T::Round, _>("advance", || job.advance(number, &mut state, output))?
            {
                return Ok(Iterated { output, rounds: number + 1, report: driver.into_report() });
            }
        }
        Err(Error::TooManyRounds { job: T::Round::NAME.to_string(), rounds: options.rounds_max })
    }
}

/// Decodes the output of a round. Reading it back may run code of the job's: a type's own `Deserialize`.
fn decode<J: Job>(round: RoundOutput<Run>) -> Result<Output<J>, Error> {
    let RoundOutput { parts, counters, report } = round;
    set_up::<J, _>("output", || Ok(Output::decode(parts, counters, report)?))
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("threads", &self.threads()).finish()
    }
}
