//! [`PoolError`]: why a pool cannot be used.

use crate::{Dialled, IdentityError, pool_file::PoolFileError, transport::BindError};
use std::{fmt, time::Duration};

/// Why a pool cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The pool file cannot be used.
    #[error(transparent)]
    PoolFile(#[from] PoolFileError),
    /// This process could not make its certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// There is no socket for this process.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The threads of this process could not be started.
    #[error(transparent)]
    Threads(mapreduce_core::Error),
    /// The runtime or the thread for the network could not be started.
    #[error("cannot start what the network runs on: {0}")]
    Runtime(std::io::Error),
    /// Nobody answered.
    #[error(
        "no peer of the pool was reached within {}: {}; {}", Seconds(*waited), Addresses(dialled), way_out(dialled)
    )]
    NoPeer {
        /// Every address that was tried, and what was heard from it.
        dialled: Vec<Dialled>,
        /// How long was waited.
        waited: Duration,
    },
    /// Fewer peers than [`PoolOptions::min_peers`](crate::PoolOptions::min_peers) work for this process.
    #[error(
        "{found} of the {wanted} peers asked for were ready within {}{}{}; start more peers, lower `min_peers`, or \
         raise `connect_timeout`", Seconds(*waited), Named("ready", ready), Named("not ready", unready)
    )]
    TooFewPeers {
        /// How many there are.
        found: usize,
        /// How many were asked for.
        wanted: usize,
        /// How long was waited.
        waited: Duration,
        /// Those that are, and where they are.
        ready: Vec<String>,
        /// The members of the pool that were found but do not work for this process, each with the reason.
        unready: Vec<String>,
    },
    /// All peers that were found work for as many drivers as they may.
    #[error(
        "all {peers} peers found were busy with other jobs for {}, one of them with those of {drivers} programs; try \
         again later, or add peers", Seconds(*waited)
    )]
    Busy {
        /// How many peers there are.
        peers: usize,
        /// The most programs that one of them works for.
        drivers: u32,
        /// How long was waited.
        waited: Duration,
    },
    /// The pool was closed by this process.
    #[error("the pool was closed by this process; connect to it again")]
    Closed,
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", (self.0.as_secs_f64() * 10.0).round() / 10.0)
    }
}

struct Addresses<'a>(&'a [Dialled]);

impl fmt::Display for Addresses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no address was given");
        }
        for (index, Dialled { address, attempts, problem }) in self.0.iter().enumerate() {
            let separator = if index > 0 { "; " } else { "" };
            let problem = match problem {
                Some(problem) => problem.as_str(),
                None if *attempts == 0 => "not tried yet",
                None => "connected, but no peer was made known",
            };
            // Causes often begin with the address.
            let problem = problem.strip_prefix(address.as_str()).map_or(problem, str::trim_start);
            let times = if *attempts == 1 { "attempt" } else { "attempts" };
            write!(f, "{separator}{address}: {problem} ({attempts} {times})")?;
        }
        Ok(())
    }
}

fn way_out(dialled: &[Dialled]) -> &'static str {
    if dialled.iter().any(|dialled| dialled.problem.is_none() && dialled.attempts > 0) {
        "raise `connect_timeout`, or look into the peers' logs"
    } else {
        "start a peer there, or use a pool file with the addresses of running ones"
    }
}

/// What there is of some kind, if there is any.
struct Named<'a>(&'static str, &'a [String]);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            [] => Ok(()),
            members => write!(f, " ({}: {})", self.0, members.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialled(address: &str, attempts: u32, problem: Option<&str>) -> Dialled {
        Dialled { address: address.into(), attempts, problem: problem.map(Into::into) }
    }

    #[test]
    fn no_peer_names_every_address_what_was_heard_the_time_and_the_way_out() {
        let error = PoolError::NoPeer {
            dialled: vec![
                dialled("10.0.0.1:7077", 3, Some("no answer")),
                dialled("lab:7077", 1, Some("lab:7077 refused this process: other pool")),
            ],
            waited: Duration::from_millis(10_012),
        };
        assert_eq!(
            error.to_string(),
            "no peer of the pool was reached within 10 s: 10.0.0.1:7077: no answer (3 attempts); \
             lab:7077: refused this process: other pool (1 attempt); start a peer there, or use a pool file with the \
             addresses of running ones"
        );
        let connected = PoolError::NoPeer { dialled: vec![dialled("a:1", 1, None)], waited: Duration::ZERO };
        assert!(
            connected.to_string().contains("no peer was made known (1 attempt); raise `connect_timeout`")
        );
        let none = PoolError::NoPeer { dialled: Vec::new(), waited: Duration::from_millis(1_250) };
        assert!(none.to_string().contains("within 1.3 s: no address was given"));
    }

    #[test]
    fn too_few_peers_says_how_many_and_why_the_others_are_not_there() {
        let mut unready = vec!["node ab: cannot be reached".to_owned()];
        let error = |unready: &[String]| PoolError::TooFewPeers {
            found: 1,
            wanted: 3,
            waited: Duration::from_secs(2),
            ready: vec!["node cd at 10.0.0.2:7077".to_owned()],
            unready: unready.to_vec(),
        };
        assert_eq!(
            error(&unready).to_string(),
            "1 of the 3 peers asked for were ready within 2 s (ready: node cd at 10.0.0.2:7077) (not ready: node ab: cannot \
             be reached); start more peers, \
             lower `min_peers`, or raise `connect_timeout`"
        );
        unready.clear();
        assert!(error(&unready).to_string().contains("10.0.0.2:7077); start"));
    }

    #[test]
    fn busy_says_with_how_many_programs() {
        let error = PoolError::Busy { peers: 2, drivers: 16, waited: Duration::from_secs(10) };
        assert!(error.to_string().starts_with("all 2 peers found were busy with other jobs for 10 s"));
        assert!(error.to_string().contains("16 programs"));
    }
}
