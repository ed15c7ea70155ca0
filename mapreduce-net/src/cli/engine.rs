//! [`PoolArgs`] and [`AnyEngine`]: the choice between threads of this process and a pool.

use super::{CliError, signals};
use crate::{Driving, PoolOptions, blocking, pool_file::PoolFile};
use mapreduce_core::{
    Cancel, Dataset, Engine, Error, Input, InputOf, Job, Local, Memory, Options, Report,
    engine::{RoundOutput, Rounds, StagedPart, Staging},
    exec::Run,
    local::LocalRounds,
    schedule::Event,
};
use std::{
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

/// The options of a command that runs on threads of its own process unless it is given a pool:
/// `[--pool FILE [--min-peers N] [--wait SECONDS] [--shared]]`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct PoolArgs {
    /// Run on the peers of the pool that this file is of, instead of on threads of this process
    #[arg(long, value_name = "FILE")]
    pub pool: Option<PathBuf>,
    /// Wait until the pool has so many peers [default: 1]
    #[arg(long, value_name = "N", requires = "pool", allow_negative_numbers = true, value_parser = positive::<NonZeroUsize>)]
    pub min_peers: Option<NonZeroUsize>,
    /// How long to wait for them [default: 10]
    #[arg(long, value_name = "SECONDS", requires = "pool", allow_negative_numbers = true, value_parser = positive::<NonZeroU32>)]
    pub wait: Option<NonZeroU32>,
    /// Let the peers read the input files themselves, which they must find under the same absolute paths, and write the
    /// output where they find its folder; by default input and output are sent
    #[arg(long, requires = "pool")]
    pub shared: bool,
}

impl PoolArgs {
    /// The engine that these options ask for, with so many threads in this process (0: as many as there are cores). On a
    /// pool those only read, send and put together what the peers do.
    ///
    /// With `--pool` it waits until enough peers are there, or `cancel` is cancelled. To be called outside of any async
    /// runtime.
    ///
    /// # Errors
    /// When the pool file cannot be read, too few peers can be reached in time ([`PoolOptions::connect_timeout`]), the
    /// threads cannot be started, or `cancel` was cancelled ([`CliError::Interrupted`]).
    pub fn engine(&self, threads: usize, cancel: &Cancel) -> Result<AnyEngine, CliError> {
        self.engine_with(threads, Memory::of_machine(), cancel)
    }

    /// As [`engine`](Self::engine), within a budget. On a pool that is of what this process holds for the peers; they have
    /// budgets of their own.
    ///
    /// # Errors
    /// Those of [`engine`](Self::engine).
    pub fn engine_with(
        &self,
        threads: usize,
        memory: Memory,
        cancel: &Cancel,
    ) -> Result<AnyEngine, CliError> {
        let Some(path) = &self.pool else {
            return Ok(AnyEngine::Local(Local::new(threads)?.with_memory(memory)));
        };
        let file = PoolFile::load(path)?;
        let mut options = PoolOptions { threads, memory, ..PoolOptions::default() };
        if let Some(min_peers) = self.min_peers {
            options.min_peers = min_peers.get();
        }
        if let Some(seconds) = self.wait {
            options.connect_timeout = Duration::from_secs(seconds.get().into());
        }
        Ok(AnyEngine::Pool(connect(&file, options, cancel)?))
    }
}

/// Connects unless `cancel` is cancelled first.
pub(super) fn connect(
    file: &PoolFile,
    options: PoolOptions,
    cancel: &Cancel,
) -> Result<blocking::Pool, CliError> {
    match blocking::Pool::connect_unless_cancelled(file, options, cancel)? {
        Some(pool) => Ok(pool),
        None => Err(CliError::Interrupted { status: signals::signal_status() }),
    }
}

/// Parses what `--threads` is given.
pub(super) fn threads(text: &str) -> Result<usize, String> {
    let max = Local::THREADS_MAX;
    match text.parse() {
        Ok(threads) if threads <= max => Ok(threads),
        _ => Err(format!("give a whole number up to {max}, or 0 for as many as there are cores")),
    }
}

/// Parses counts of which there must be one.
pub(super) fn positive<T: FromStr>(text: &str) -> Result<T, &'static str> {
    text.parse().map_err(|_| "give a whole number, 1 or more, that is not too large")
}

/// Threads of this process or a pool, as the user of a program has chosen. An [`Engine`] like either of them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AnyEngine {
    /// Threads of this process.
    Local(Local),
    /// A pool of peers.
    Pool(blocking::Pool),
}

impl AnyEngine {
    /// Whether the work is done by peers of a pool.
    pub fn is_pool(&self) -> bool {
        matches!(self, Self::Pool(_))
    }

    /// Threads of this process that the engine has: on a pool, for reading, sending and putting together.
    pub fn threads(&self) -> usize {
        match self {
            Self::Local(local) => local.threads(),
            Self::Pool(pool) => pool.threads(),
        }
    }
}

impl Engine for AnyEngine {
    type Rounds<'e> = AnyRounds<'e>;

    fn begin<'e>(
        &'e self,
        job: &'static str,
        options: &'e Options,
        events: &'e mut dyn FnMut(Event),
    ) -> Result<AnyRounds<'e>, Error> {
        Ok(AnyRounds(match self {
            Self::Local(local) => Chosen::Local(Box::new(local.begin(job, options, events)?)),
            Self::Pool(pool) => Chosen::Pool(Box::new(pool.begin(job, options, events)?)),
        }))
    }

    fn is_own_thread(&self) -> bool {
        match self {
            Self::Local(local) => local.is_own_thread(),
            Self::Pool(pool) => pool.is_own_thread(),
        }
    }

    fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match self {
            Self::Local(local) => local.install(work),
            Self::Pool(pool) => pool.install(work),
        }
    }
}

/// What drives the rounds of a job on an [`AnyEngine`].
pub struct AnyRounds<'e>(Chosen<'e>);

enum Chosen<'e> {
    Local(Box<LocalRounds<'e>>),
    Pool(Box<Driving<'e>>),
}

impl Rounds for AnyRounds<'_> {
    fn round<J, I>(
        &mut self,
        job: &J,
        shared: &J::Shared,
        data: &Dataset<I>,
    ) -> Result<RoundOutput<Run>, Error>
    where
        J: Job,
        I: Input<Records = InputOf<J>>,
    {
        match &mut self.0 {
            Chosen::Local(rounds) => rounds.round(job, shared, data),
            Chosen::Pool(rounds) => rounds.round(job, shared, data),
        }
    }

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
        match &mut self.0 {
            Chosen::Local(rounds) => rounds.round_to_files(job, shared, data, staging),
            Chosen::Pool(rounds) => rounds.round_to_files(job, shared, data, staging),
        }
    }

    fn into_report(self) -> Report {
        match self.0 {
            Chosen::Local(rounds) => rounds.into_report(),
            Chosen::Pool(rounds) => rounds.into_report(),
        }
    }
}
