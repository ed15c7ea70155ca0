//! Running jobs in this process: [`Local`], an engine on threads that the program owns.
//!
//! `drive` turns the coordinator's actions into tasks on the threads and their results into its inputs, `mailbox` is how
//! they tell it, `outputs` is what map tasks leave, `destination` where reduce tasks write. A local run is a pool with one peer: the same [coordinator](crate::schedule) decides what runs, and
//! the same [tasks](crate::exec) run it.

mod destination;
mod drive;
mod engine;
mod mailbox;
mod outputs;

pub use drive::LocalRounds;
pub use engine::Local;
