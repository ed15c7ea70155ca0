//! [`CliError`]: why a command did not succeed, in one line, and what the process exits with.

use crate::{IdentityError, PeerError, PoolError, pool_file::PoolFileError};
use mapreduce_core::{RegistryError, filter::FilterError};
use std::{
    error::Error,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// Ctrl-C or SIGTERM ended a job.
    #[error("interrupted; nothing was written")]
    Interrupted {
        /// What a shell reports for it: 130 or 143.
        status: u8,
    },
    /// A second Ctrl-C or SIGTERM ended a peer that was draining.
    #[error("ended before the peer was drained; what it did for running jobs is done again elsewhere")]
    NotDrained {
        /// What a shell reports for it: 130 or 143.
        status: u8,
    },
    /// All threads of a peer are held by code of jobs that were stopped and does not end.
    #[error(
        "all {threads} threads of this peer are held by code of jobs that does not stop when it is told to; start it again"
    )]
    Exhausted {
        /// How many.
        threads: usize,
    },
    /// The pool file.
    #[error(transparent)]
    PoolFile(#[from] PoolFileError),
    /// The certificate of the process.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The peer.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The folder of `--spill-to` is not there, or is none.
    #[error("--spill-to {}: nothing can be spilled there: {problem}; make the folder, or name another", folder.display())]
    SpillFolder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        problem: io::Error,
    },
    /// The connection to the pool.
    #[error("{}", in_options(.0))]
    Pool(PoolError),
    /// The jobs of the program.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The job, its input or its output.
    #[error("{}", in_options(.0))]
    Job(mapreduce_core::Error),
    /// A filter.
    #[error("{}", in_options(.0))]
    Filter(FilterError),
    /// What the program's own part of a command failed with.
    #[error(transparent)]
    Other(Box<dyn Error + Send + Sync>),
    /// The runtime.
    #[error("cannot start the threads of the network: {0}")]
    Runtime(io::Error),
    /// The signals.
    #[error("cannot be told of Ctrl-C: {0}")]
    Signals(io::Error),
    /// Standard output.
    #[error("cannot write to standard output: {0}; check where it leads")]
    Stdout(io::Error),
}

impl CliError {
    /// What the process should exit with: 130 or 143 if a signal ended it, otherwise 1.
    pub fn status(&self) -> u8 {
        match self {
            Self::Interrupted { status } | Self::NotDrained { status } => *status,
            _ => 1,
        }
    }

    /// Writes `error: ` and [one line](one_line) to standard error. Gives what `main` should return.
    pub fn report(&self) -> ExitCode {
        // Nothing can be done if standard error is closed.
        let _ = writeln!(io::stderr(), "error: {}", one_line(self));
        ExitCode::from(self.status())
    }
}

// Not by `#[from]`, which would make it a cause whose message is added in the library's words.
impl From<PoolError> for CliError {
    fn from(error: PoolError) -> Self {
        Self::Pool(error)
    }
}

impl From<FilterError> for CliError {
    fn from(error: FilterError) -> Self {
        match error {
            FilterError::Job(error) => error.into(),
            error => Self::Filter(error),
        }
    }
}

/// The ways out as the library names them, and as the command line has them.
const WAYS_OUT: &[(&str, &str)] = &[
    ("`min_peers`", "--min-peers"),
    ("`connect_timeout`", "--wait"),
    ("give more, or make `segment_bytes` smaller", "give more with --memory"),
    ("at least; give it more", "at least; give more with --memory"),
    (
        "spill to another folder (`Memory::spilling_to`) or give more memory",
        "spill to another folder with --spill-to, or give more memory with --memory",
    ),
    ("spill to another (`Memory::spilling_to`)", "spill to another with --spill-to"),
    ("raise `line_bytes_max` of the input,", "raise it with --line-bytes-max,"),
    ("raise `line_bytes_max` of the `reduce` command", "raise it with --line-bytes-max"),
    ("leave `on_shared_storage` out", "leave --shared out"),
];

/// What the library says, with the ways out in the options of the command line.
fn in_options(error: &dyn Error) -> String {
    let text = error.to_string();
    WAYS_OUT.iter().fold(text, |text, (named, option)| text.replace(named, option))
}

/// The message of an error with the causes that it does not quote itself, as one line. Control characters are replaced by
/// spaces: paths and files have a say in messages, and what they say should steer no terminal.
///
/// ```
/// let error = std::io::Error::other("no such\nthing");
/// assert_eq!(mapreduce_net::cli::one_line(&error), "no such thing");
/// ```
pub fn one_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    line.replace(|c: char| c.is_control() && c != '\t', " ")
}

/// Puts a text on standard output, all of it now.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::Stdout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mapreduce_core::exec::SpillError;
    use std::time::Duration;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Outer(&'static str, #[source] io::Error);

    #[test]
    fn causes_are_added_unless_they_are_quoted() {
        let error = |text| Outer(text, io::Error::other("disk full"));
        assert_eq!(one_line(&error("cannot write")), "cannot write: disk full");
        assert_eq!(one_line(&error("cannot write: disk full")), "cannot write: disk full");
    }

    #[test]
    fn ways_out_are_named_as_the_command_line_has_them() {
        let too_small = || mapreduce_core::Error::MemoryTooSmall { budget_bytes: 1, needed_bytes: 2 };
        let expected =
            "a budget of 1 bytes of memory is too small: one task takes 2; give more with --memory";
        let errors: [CliError; 2] = [too_small().into(), FilterError::Job(too_small()).into()];
        for error in errors {
            assert_eq!(one_line(&error), expected);
        }

        let full = || SpillError::Write { folder: "spill".into(), source: io::Error::other("disk full") };
        let expected = "spill: cannot spill: disk full; make room there, spill to another folder with --spill-to, or give \
                        more memory with --memory";
        let errors: [CliError; 2] =
            [mapreduce_core::Error::from(full()).into(), FilterError::from(full()).into()];
        for error in errors {
            assert_eq!(one_line(&error), expected);
        }
        let damaged = SpillError::Damaged { folder: "spill".into(), offset: 1 };
        assert!(one_line(&CliError::from(mapreduce_core::Error::from(damaged))).ends_with("with --spill-to"));
        let numbers = mapreduce_core::Dataset::new(mapreduce_core::ItemSlice::new([1u8])).unwrap();
        let in_memory = numbers.on_shared_storage().unwrap_err();
        assert!(one_line(&CliError::from(in_memory)).contains("leave --shared out"));
        let few = PoolError::TooFewPeers {
            found: 1,
            wanted: 2,
            waited: Duration::from_secs(1),
            ready: Vec::new(),
            unready: Vec::new(),
        };
        assert!(one_line(&CliError::from(few)).contains("--min-peers"));
    }

    #[test]
    fn a_line_steers_no_terminal() {
        let error = Outer("a\n\x1b[31m\u{9b}b", io::Error::other("c"));
        assert_eq!(one_line(&error), "a  [31m b: c");
    }
}
