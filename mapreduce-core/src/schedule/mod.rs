//! Who runs what, when: the coordinator of a job as a state machine without I/O.
//!
//! A driver owns one [`Coordinator`] per job, tells it what happens (`handle_*`), and does what it says
//! ([`poll_action`](Coordinator::poll_action)). Runs in one process and runs on a pool of a thousand peers are driven
//! by this same machine; the former have one peer.
//!
//! What it does not know is as important as what it does: it sees ids, sizes and counters, never a key, a value or a
//! byte of user data; it knows no socket, no thread, no file, no clock and no random numbers. A job can therefore be
//! replayed from its calls, and a day of a large pool be simulated in moments.
//!
//! # Layout
//!
//! * `coordinator`: [`Coordinator`], its contract and the methods a driver calls. Start reading here.
//! * `dispatch`: which peer gets which task, backup attempts, timers.
//! * `outcome`: commits, failures, losses, the end of rounds and jobs.
//! * `ids`, `time`, `config`, `report`, `action`, `event`, `error`, `stats`: the vocabulary.
//! * `task`, `attempts`, `peers`, `queue`, `timers`, `list`: the tables. Each step on them is O(1), so a task costs the
//!   same in a job of a thousand and of a million; README.md in this folder tells how.

mod action;
mod attempts;
mod config;
mod coordinator;
mod dispatch;
mod error;
mod event;
mod ids;
mod list;
mod outcome;
mod peers;
mod queue;
mod report;
mod stats;
mod task;
mod time;
mod timers;

pub use action::Action;
pub use config::Config;
pub use coordinator::{Coordinator, RoundPlan};
pub use error::{JobError, StartError};
pub use event::Event;
pub use ids::{AttemptId, PeerId, Round, Stage, TaskId};
pub use report::{Failure, TaskReport, Verdict};
pub use stats::Stats;
pub use time::Time;
