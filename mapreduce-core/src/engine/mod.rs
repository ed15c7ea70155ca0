//! What runs jobs: the seam between the jobs that users write and the threads or nodes that work on them.
//!
//! A user sees [`Engine`] only: [`run`](Engine::run), [`write`](Engine::write), [`iterate`](Engine::iterate) and the
//! `submit` methods are the same whatever the engine, and so is what they give.
//!
//! The rest of this module is for those who build an engine, in this crate ([`Local`](crate::Local)) or in another. What
//! an engine does itself is small: it says how a [round](Rounds::round) is run, that is, it owns a
//! [coordinator](crate::schedule), has attempts [run](crate::exec) where it likes, and gives back what the reduce
//! attempts left. Whole jobs, rounds of rounds, part files, decoding and jobs in the background are made from that here ([`whole`], [`Handle`]).
//!
//! # Layout
//!
//! * `definition`: [`Engine`], [`Rounds`], [`RoundOutput`]. [`whole`] makes jobs of rounds.
//! * [`Handle`]: a job in the background.
//! * [`partitions`]: how many reduce tasks a round has.
//! * [`Tally`]: what a driver keeps count of while a round runs.
//! * [`ship`] and [`place`]: what a driver asks of an input, without panics; [`set_up`] does the same for the code of a
//!   job.

mod definition;
mod handle;
mod input;
mod partitions;
mod tally;
pub mod whole;

pub use crate::{
    cancel::CancelRegistration,
    exec::set_up,
    output::{
        AttemptFile, NotShared, RefusedPart, SharedPart, SharedStaging, StagedFile, StagedPart, Staging,
    },
};
pub use definition::{Engine, RoundOutput, Rounds};
pub use handle::{Events, Handle};
pub use input::{place, ship};
pub use partitions::partitions;
pub use tally::Tally;
