//! Running jobs in this process: [`Local`], an engine on threads that the program owns.
//!
//! `engine` is the interface, `drive` turns the coordinator's actions into tasks on the threads and their results into
//! its inputs, `mailbox` is how they tell it, `destination` is where reduce tasks write, `handle` is a job that runs in
//! the background. A local run is a pool with one peer: the same [coordinator](crate::schedule) decides what runs, and
//! the same [tasks](crate::exec) run it.

mod destination;
mod drive;
mod engine;
mod handle;
mod mailbox;

pub use engine::Local;
pub use handle::{Events, Handle};
