//! [`Engine`]: something that runs jobs; [`Rounds`]: how it runs one round after the other.

use super::{Handle, StagedPart, Staging, whole};
use crate::{
    Chained, Counters, Dataset, Error, Input, InputOf, Iterated, Iterative, Job, Options, Output,
    OutputKeyOf, OutputValueOf, PartFiles, Report, Written, exec::Run, schedule::Event,
};
use std::sync::Arc;

/// Something that runs jobs: threads of this process ([`Local`](crate::Local)), or a pool of nodes.
///
/// The output of a job is the same on every engine, to the bit. A function that takes `&impl Engine` leaves the choice
/// to its caller:
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
/// /// The sums of the odd and of the even numbers up to `n`.
/// fn sums(engine: &impl Engine, n: u64) -> Result<Vec<(bool, u64)>> {
///     let numbers: Vec<u64> = (1..=n).collect();
///     Ok(engine.run(&Parity, &(), &Dataset::new(ItemSlice::new(&numbers))?)?.pairs)
/// }
///
/// assert_eq!(sums(&Local::new(2)?, 10)?, [(false, 25), (true, 30)]);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
///
/// Who builds an engine implements [`begin`](Self::begin), [`is_own_thread`](Self::is_own_thread) and, if it has threads in
/// this process, [`install`](Self::install); see
/// [the module](crate::engine).
pub trait Engine: Sync {
    /// What drives the rounds of one job.
    type Rounds<'e>: Rounds
    where
        Self: 'e;

    /// Begins a job: gives what drives its rounds, the only one for a plain job and all of them for an iterated one.
    ///
    /// For the other methods, which make sure before that the calling thread is not
    /// [the engine's own](Self::is_own_thread). `job` is its name, for messages. What the coordinator reports goes to
    /// `events`, which must not be held up.
    ///
    /// # Errors
    /// When the engine cannot take a job.
    fn begin<'e>(
        &'e self,
        job: &'static str,
        options: &'e Options,
        events: &'e mut dyn FnMut(Event),
    ) -> Result<Self::Rounds<'e>, Error>;

    /// Whether the calling thread is one that the jobs of this engine run on. Waiting for a job there could be waiting
    /// for oneself: it is [refused](Error::Reentrant).
    fn is_own_thread(&self) -> bool;

    /// Runs work of the caller's own, between jobs, on the threads that the engine has in this process: rayon's parallel
    /// iterators in it use those, and no others. The work must not run jobs: it is on [own
    /// threads](Self::is_own_thread).
    ///
    /// The default is for engines without threads here: the work is done on the calling thread, where parallel iterators use
    /// rayon's global pool.
    ///
    /// ```
    /// use mapreduce_core::{Engine, Local, rayon::prelude::*};
    ///
    /// let engine = Local::new(2)?;
    /// let sum: u64 = engine.install(|| (1..=1000_u64).into_par_iter().sum());
    /// assert_eq!(sum, 500_500);
    /// # Ok::<(), mapreduce_core::Error>(())
    /// ```
    fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        work()
    }

    /// Runs a job and returns its output. Waits until it is done.
    ///
    /// # Errors
    /// When a task fails [`attempts_max`](Options::attempts_max) times, the input cannot be read, or the job's
    /// set-up fails.
    fn run<J, I>(&self, job: &J, shared: &J::Shared, data: &Dataset<I>) -> Result<Output<J>, Error>
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
    fn run_with<J, I>(
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
        whole::run(self, job, shared, data, options, &mut |_| {})
    }

    /// Runs a job and keeps its output as it is, encoded, as the input of another job: in memory, or in temporary files
    /// where it does not fit.
    ///
    /// # Errors
    /// As [`run_with`](Self::run_with).
    fn chain<J, I>(
        &self,
        job: &J,
        shared: &J::Shared,
        data: &Dataset<I>,
        options: &Options,
    ) -> Result<Chained<OutputKeyOf<J>, OutputValueOf<J>>, Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        whole::chain(self, job, shared, data, options, &mut |_| {})
    }

    /// Runs a job and writes its output as part files, which appear when all of them are complete.
    ///
    /// # Errors
    /// As [`run_with`](Self::run_with), and when the output cannot be written or is already there.
    fn write<J, I>(
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
        whole::write(self, job, shared, data, to, options, &mut |_| {})
    }

    /// Runs an iterated job to its end. What tasks cache about the dataset is kept from round to round.
    ///
    /// # Errors
    /// As [`run`](Self::run), and when the job's own steps fail.
    fn iterate<T, I>(&self, job: &T, data: &Dataset<I>) -> Result<Iterated<T::Output>, Error>
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
    fn iterate_with<T, I>(
        &self,
        job: &T,
        data: &Dataset<I>,
        options: &Options,
    ) -> Result<Iterated<T::Output>, Error>
    where
        T: Iterative,
        I: Input<Records = InputOf<T::Round>>,
    {
        whole::iterate(self, job, data, options, &mut |_| {})
    }

    /// Starts a job in the background.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    fn submit<J, I>(
        &self,
        job: J,
        shared: J::Shared,
        data: Arc<Dataset<I>>,
        options: Options,
    ) -> Result<Handle<Output<J>>, Error>
    where
        Self: Clone + Send + 'static,
        J: Job,
        Output<J>: Send,
        I: Input<Records = InputOf<J>> + 'static,
    {
        whole::submit(self, options, move |engine, options, events| {
            whole::run(engine, &job, &shared, &data, options, events)
        })
    }

    /// Starts a job in the background that writes part files, as [`write`](Self::write).
    ///
    /// # Errors
    /// When the system cannot start a thread.
    fn submit_write<J, I>(
        &self,
        job: J,
        shared: J::Shared,
        data: Arc<Dataset<I>>,
        to: PartFiles,
        options: Options,
    ) -> Result<Handle<Written>, Error>
    where
        Self: Clone + Send + 'static,
        J: Job,
        I: Input<Records = InputOf<J>> + 'static,
    {
        whole::submit(self, options, move |engine, options, events| {
            whole::write(engine, &job, &shared, &data, &to, options, events)
        })
    }

    /// Starts an iterated job in the background.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    fn submit_iterate<T, I>(
        &self,
        job: T,
        data: Arc<Dataset<I>>,
        options: Options,
    ) -> Result<Handle<Iterated<T::Output>>, Error>
    where
        Self: Clone + Send + 'static,
        T: Iterative + 'static,
        T::Output: Send + 'static,
        I: Input<Records = InputOf<T::Round>> + 'static,
    {
        whole::submit(self, options, move |engine, options, events| {
            whole::iterate(engine, &job, &data, options, events)
        })
    }
}

/// What drives the rounds of one job: an [`Engine`] gives one when a job [begins](Engine::begin).
///
/// The methods are called one after the other. When one has failed, or the caller has had enough, it is dropped, which
/// gives up what is still running.
pub trait Rounds {
    /// Runs one round to its end: a map task for each split of `data`, a reduce task for each of
    /// [`partitions`](super::partitions). Whatever is the same in each round of a job (the dataset, usually) comes
    /// again, and is recognized by [`Dataset::id`] where that helps.
    ///
    /// # Errors
    /// When a task fails too often, the input cannot be read, or the job's set-up fails; [`Error::Cancelled`].
    fn round<J, I>(
        &mut self,
        job: &J,
        shared: &J::Shared,
        data: &Dataset<I>,
    ) -> Result<RoundOutput<Run>, Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>;

    /// Runs one round whose output becomes part files. The default runs a [`round`](Self::round) and
    /// [writes](Staging::write) one part after the other; an engine whose reduce attempts can write does better.
    ///
    /// # Errors
    /// As for [`round`](Self::round), and when a part cannot be written.
    fn round_to_files<J, I>(
        &mut self,
        job: &J,
        shared: &J::Shared,
        data: &Dataset<I>,
        staging: &Staging,
    ) -> Result<RoundOutput<StagedPart>, Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        let RoundOutput { parts, counters, report } = self.round(job, shared, data)?;
        let written = (0..).zip(&parts).map(|(partition, run)| staging.write::<J>(partition, run));
        Ok(RoundOutput { parts: written.collect::<Result<_, _>>()?, counters, report })
    }

    /// What the rounds so far have done together.
    fn into_report(self) -> Report;
}

/// What a round leaves.
#[derive(Clone, Debug)]
pub struct RoundOutput<P> {
    /// What the committed reduce attempts left, in the order of the partitions.
    pub parts: Vec<P>,
    /// What the committed attempts have counted.
    pub counters: Counters,
    /// How the round went.
    pub report: Report,
}
