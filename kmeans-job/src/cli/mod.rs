//! The command: reads its arguments, calls the library, says what came of it.
//!
//! | module | what |
//! |---|---|
//! | `args` | the command line |
//! | `demo`, `fit`, `predict`, `quantize`, `generate` | one command each; `peer` and `pool` are `mapreduce_net`'s |
//! | `cluster` | what `fit`, `quantize` and the demo have in common |
//! | `rows` | labels and distances, as files |
//! | `picture` | the picture that `fit` draws |
//! | `paths` | checks of input and output paths, ahead of all work |
//! | `interrupt` | Ctrl-C |
//! | `progress` | a line an iteration on standard error |
//! | `bar` | how far reading or writing is, on standard error |
//! | `table` | the clusters one by one |
//! | `report` | the result on standard output, for people or as JSON |
//! | `error` | what went wrong, in one line |

mod args;
mod bar;
mod cluster;
mod demo;
mod error;
mod fit;
mod generate;
mod interrupt;
mod paths;
#[cfg(feature = "plot")]
mod picture;
mod predict;
mod progress;
mod quantize;
mod report;
mod rows;
mod table;

use args::{Args, Command};
use clap::Parser as _;
use error::CommandError;
use kmeans_job::register;
use mapreduce_core::{Cancel, Registry};
use mapreduce_net::cli::{PeerArgs, one_line, until_signalled};
use std::{
    io::{self, Write as _},
    process::ExitCode,
};

/// What clap itself exits with.
const EXIT_USAGE: u8 = 2;

/// Runs the command that the arguments name. Exit status: 0, 1 for errors, 2 for wrong usage; a `peer` that is ended
/// before it was drained, 130 or 143.
pub(crate) fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(help_or_usage) => return show(&help_or_usage),
    };
    let done = match args.command {
        // It knows signals of its own.
        Some(Command::Peer(args)) => return status(peer(&args)),
        None => interruptible(demo::run),
        Some(Command::Fit(args)) => interruptible(move |cancel| fit::run(&args, cancel)),
        Some(Command::Predict(args)) => interruptible(move |cancel| predict::run(&args, cancel)),
        Some(Command::Quantize(args)) => interruptible(move |cancel| quantize::run(&args, cancel)),
        Some(Command::Generate(args)) => interruptible(move |cancel| generate::run(&args, cancel)),
        Some(Command::Pool(command)) => interruptible(move |cancel| Ok(command.run(cancel)?)),
    };
    done.unwrap_or_else(|error| fail(&CommandError::Signals(error)))
}

/// Does a command that Ctrl-C and SIGTERM stop.
fn interruptible(
    run: impl FnOnce(&Cancel) -> Result<(), CommandError> + Send + 'static,
) -> io::Result<ExitCode> {
    until_signalled(move |cancel| status(run(cancel)))
}

fn peer(args: &PeerArgs) -> Result<(), CommandError> {
    Ok(args.run(register(Registry::new())?)?)
}

fn status(done: Result<(), CommandError>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Shows the help, the version or what is wrong with the arguments.
fn show(message: &clap::Error) -> ExitCode {
    match (message.use_stderr(), message.print()) {
        (true, _) => ExitCode::from(EXIT_USAGE),
        (false, Ok(())) => ExitCode::SUCCESS,
        (false, Err(problem)) => fail(&CommandError::Stdout(problem)),
    }
}

fn fail(error: &CommandError) -> ExitCode {
    // Nothing can be done if standard error is closed, too.
    let _ = writeln!(io::stderr(), "error: {}", one_line(error));
    ExitCode::from(error.status())
}
