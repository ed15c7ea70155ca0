//! Whole jobs, made of the rounds that an engine runs: what [`Engine`]'s methods do, with the coordinator's events handed
//! to a function on the calling thread. For engines with handles of their own.

use super::{Engine, Handle, RoundOutput, Rounds, Staging};
use crate::{
    Chained, Dataset, Error, Input, InputOf, Iterated, Iterative, Job, Options, Output, OutputKeyOf,
    OutputValueOf, PartFiles, Written,
    exec::{Run, set_up},
    job::check_side_outputs,
    schedule::Event,
};
use std::ops::ControlFlow;

/// [`Engine::run_with`], with events.
///
/// # Errors
/// Those of [`Engine::run_with`].
pub fn run<E, J, I>(
    engine: &E,
    job: &J,
    shared: &J::Shared,
    data: &Dataset<I>,
    options: &Options,
    events: &mut dyn FnMut(Event),
) -> Result<Output<J>, Error>
where
    E: Engine + ?Sized,
    J: Job,
    I: Input<Records = InputOf<J>>,
{
    decode(begin::<E, J>(engine, options, events)?.round(job, shared, data)?)
}

/// [`Engine::chain`], with events.
///
/// # Errors
/// Those of [`Engine::chain`].
pub fn chain<E, J, I>(
    engine: &E,
    job: &J,
    shared: &J::Shared,
    data: &Dataset<I>,
    options: &Options,
    events: &mut dyn FnMut(Event),
) -> Result<Chained<OutputKeyOf<J>, OutputValueOf<J>>, Error>
where
    E: Engine + ?Sized,
    J: Job,
    I: Input<Records = InputOf<J>>,
{
    let round = begin::<E, J>(engine, options, events)?.round(job, shared, data)?;
    Chained::new(round.parts, J::SIDE_OUTPUTS, round.counters, round.report)
}

/// [`Engine::write`], with events.
///
/// # Errors
/// Those of [`Engine::write`].
pub fn write<E, J, I>(
    engine: &E,
    job: &J,
    shared: &J::Shared,
    data: &Dataset<I>,
    to: &PartFiles,
    options: &Options,
    events: &mut dyn FnMut(Event),
) -> Result<Written, Error>
where
    E: Engine + ?Sized,
    J: Job,
    I: Input<Records = InputOf<J>>,
{
    // Before a folder is made.
    check::<E, J>(engine)?;
    let staging = Staging::create::<J>(to)?;
    let round = engine.begin(J::NAME, options, events)?.round_to_files(job, shared, data, &staging)?;
    let (parts, sides) = staging.commit::<J>(round.parts)?;
    Ok(Written { parts, sides, counters: round.counters, report: round.report })
}

/// [`Engine::iterate_with`], with events.
///
/// # Errors
/// Those of [`Engine::iterate_with`].
pub fn iterate<E, T, I>(
    engine: &E,
    job: &T,
    data: &Dataset<I>,
    options: &Options,
    events: &mut dyn FnMut(Event),
) -> Result<Iterated<T::Output>, Error>
where
    E: Engine + ?Sized,
    T: Iterative,
    I: Input<Records = InputOf<T::Round>>,
{
    let mut rounds = begin::<E, T::Round>(engine, options, events)?;
    let mut state = set_up::<T::Round, _>("start", || job.start())?;
    for number in 0..options.rounds_max {
        let (round, shared) = set_up::<T::Round, _>("round", || job.round(&state))?;
        let output = decode(rounds.round(&round, &shared, data)?)?;
        if let ControlFlow::Break(output) =
            set_up::<T::Round, _>("advance", || job.advance(number, &mut state, output))?
        {
            return Ok(Iterated { output, rounds: number + 1, report: rounds.into_report() });
        }
    }
    Err(Error::TooManyRounds { job: T::Round::NAME.to_string(), rounds: options.rounds_max })
}

/// Has `drive` run a job on a thread of its own.
pub(super) fn submit<E, T>(
    engine: &E,
    options: Options,
    drive: impl FnOnce(&E, &Options, &mut dyn FnMut(Event)) -> Result<T, Error> + Send + 'static,
) -> Result<Handle<T>, Error>
where
    E: Engine + Clone + Send + 'static,
    T: Send + 'static,
{
    let (waited_for, driven, options) = (engine.clone(), engine.clone(), options.for_one_job());
    Handle::spawn(
        move || waited_for.is_own_thread(),
        options.cancel.clone(),
        move |events| drive(&driven, &options, events),
    )
}

fn begin<'e, E: Engine + ?Sized, J: Job>(
    engine: &'e E,
    options: &'e Options,
    events: &'e mut dyn FnMut(Event),
) -> Result<E::Rounds<'e>, Error> {
    check::<E, J>(engine)?;
    engine.begin(J::NAME, options, events)
}

/// Whether the engine may run the job from this thread.
fn check<E: Engine + ?Sized, J: Job>(engine: &E) -> Result<(), Error> {
    check_side_outputs::<J>()?;
    if engine.is_own_thread() { Err(Error::Reentrant) } else { Ok(()) }
}

/// Decodes the output of a round. Reading it back may run code of the job's: a type's own `Deserialize`.
fn decode<J: Job>(round: RoundOutput<Run>) -> Result<Output<J>, Error> {
    let RoundOutput { parts, counters, report } = round;
    set_up::<J, _>("output", || match Output::decode(parts, counters, report) {
        Ok(output) => Ok(Ok(output)),
        Err(error) => error.downcast().map(|error| Err(Error::Spill(*error))),
    })?
}
