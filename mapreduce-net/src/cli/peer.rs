//! The command `peer`: a process that works on tasks of the pool until it is told to leave.

use super::{CliError, MemoryArgs, error::print, log, signals::Signals};
use crate::{
    Identity, Peer, PeerOptions, Validity,
    pool_file::{DEFAULT_PORT, MemberFile, PoolAddress},
};
use mapreduce_core::Registry;
use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};
use tokio::runtime;
use tracing::{Level, info};

/// Threads of the peer's runtime. They move packets and messages, and tasks run on other threads, so one would do for the
/// work; with two, what one is busy with (a handshake, the encryption of a block) does not hold up the answers to pings.
const NETWORK_THREADS: usize = 2;

/// How long the end of a peer waits for what the network's threads are in the middle of.
const END: Duration = Duration::from_secs(1);

/// The arguments of a command that makes the process a peer of a pool. [`run`](Self::run) is the command.
#[derive(Clone, Debug, clap::Args)]
pub struct PeerArgs {
    /// The pool file of the pool: the member file, not the one that ends in .client
    #[arg(long, value_name = "FILE")]
    pub pool: PathBuf,
    /// The address to listen on, with the UDP port if it is not 7077 [default: every IPv4 address of this machine, and the
    /// port in the pool file's addresses, usually 7077]; with port 0 the system chooses one
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = listen)]
    pub listen: Option<SocketAddr>,
    /// What others are told to dial [default: the address they see]; for a port that a router forwards. May be repeated
    #[arg(long, value_name = "HOST[:PORT]")]
    pub advertise: Vec<PoolAddress>,
    /// Threads that work on tasks; 0 means as many as there are cores
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true, value_parser = super::engine::threads)]
    pub threads: usize,
    /// The memory of this peer.
    #[command(flatten)]
    pub memory: MemoryArgs,
    /// Log warnings and errors only
    #[arg(long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Log more
    #[arg(long)]
    pub verbose: bool,
}

impl PeerArgs {
    /// Works on the jobs of `registry` until Ctrl-C or SIGTERM, then finishes what it has begun, tells the others, and
    /// leaves. A second signal ends it at once; the same one again only if it comes a second later.
    ///
    /// Prints one line on standard output when it is ready, `ready: peer ID at ADDRESS[, ADDRESS] with N threads`. Logs
    /// to standard error. To be called outside of any async runtime; it makes one of its own.
    ///
    /// # Errors
    /// When the pool file is not a member file that can be read, the folder of temporary files is not there, the address cannot be listened on, a second signal
    /// came before the peer was drained, or code of jobs that does not stop has taken all of its threads.
    pub fn run(&self, registry: Registry) -> Result<(), CliError> {
        log::subscribe(self.level());
        let file = MemberFile::load(&self.pool)?;
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(NETWORK_THREADS)
            .thread_name("peer-network")
            .enable_all()
            .build()
            .map_err(CliError::Runtime)?;
        let result = runtime.block_on(self.serve(&file, registry));
        runtime.shutdown_timeout(END);
        result
    }

    async fn serve(&self, file: &MemberFile, registry: Registry) -> Result<(), CliError> {
        let mut signals = Signals::new().map_err(CliError::Signals)?;
        let options = PeerOptions {
            listen: self.listen.unwrap_or_else(|| default_listen(file.addresses())),
            advertise: self.advertise.clone(),
            threads: self.threads,
            memory: self.memory.memory()?,
            ..PeerOptions::default()
        };
        let identity = Identity::member(file, Validity::default())?;
        let starting = Peer::start(identity, file.addresses().to_vec(), registry, options);
        let Some(peer) = unless_signalled(starting, &mut signals).await? else { return Ok(()) };
        print(&ready(&peer))?;
        let signal = tokio::select! {
            status = signals.next() => Some(status),
            () = peer.exhausted() => None,
        };
        info!("draining: finishing what is running here and still needed; a signal ends at once");
        tokio::select! {
            () = peer.drain() => info!("drained"),
            status = async {
                match signal {
                    Some(first) => signals.second(first).await,
                    None => signals.next().await,
                }
            } => return Err(CliError::NotDrained { status }),
        }
        match signal {
            None => Err(CliError::Exhausted { threads: peer.threads() }),
            Some(_) => Ok(()),
        }
    }

    fn level(&self) -> Level {
        match (self.quiet, self.verbose) {
            (true, _) => Level::WARN,
            (false, false) => Level::INFO,
            (false, true) => Level::DEBUG,
        }
    }
}

/// What comes of `work`, or nothing if a signal comes first.
async fn unless_signalled<T, E>(
    work: impl Future<Output = Result<T, E>>,
    signals: &mut Signals,
) -> Result<Option<T>, E> {
    tokio::select! {
        done = work => done.map(Some),
        _ = signals.next() => Ok(None),
    }
}

/// Parses what `--listen` is given.
fn listen(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse::<SocketAddr>()
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DEFAULT_PORT)))
        .map_err(|_| "give an IP address of this machine, IP:PORT or [IPV6]:PORT; 0.0.0.0 stands for all its addresses")
}

/// Every IPv4 address of the machine, and the port at which the pool file says that members are. If it names several, as
/// several peers on one machine have them, there is no telling which is this one's.
fn default_listen(addresses: &[PoolAddress]) -> SocketAddr {
    let port = match addresses {
        [first, rest @ ..] if rest.iter().all(|address| address.port() == first.port()) => first.port(),
        _ => DEFAULT_PORT,
    };
    (Ipv4Addr::UNSPECIFIED, port).into()
}

/// The line that says that the peer is there, for people and for programs that have started it.
fn ready(peer: &Peer) -> String {
    let threads = match peer.threads() {
        1 => "1 thread".to_owned(),
        n => format!("{n} threads"),
    };
    let addresses = match peer.addresses() {
        // On all addresses of the machine: which of them others see shows when they come.
        unknown if unknown.is_empty() => peer.local_address().to_string(),
        known => known.join(", "),
    };
    format!("ready: peer {} at {addresses} with {threads}\n", peer.node_id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_to_listen_on_may_do_without_a_port() {
        let parsed = |text| listen(text).map(|address| address.to_string());
        assert_eq!(parsed("10.0.0.1:99").as_deref(), Ok("10.0.0.1:99"));
        assert_eq!(parsed("10.0.0.1").as_deref(), Ok("10.0.0.1:7077"));
        assert_eq!(parsed("[::1]:0").as_deref(), Ok("[::1]:0"));
        assert_eq!(parsed("::1").as_deref(), Ok("[::1]:7077"));
        for wrong in ["", "localhost", "10.0.0.1:", "10.0.0.1:70000"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_peer_listens_on_the_port_that_the_pool_file_names() {
        let listen = |addresses: &[&str]| {
            let addresses: Vec<PoolAddress> =
                addresses.iter().map(|address| address.parse().unwrap()).collect();
            default_listen(&addresses).to_string()
        };
        assert_eq!(listen(&["a"]), "0.0.0.0:7077");
        assert_eq!(listen(&["a:99", "b:99"]), "0.0.0.0:99");
        assert_eq!(listen(&["a:99", "a:98"]), "0.0.0.0:7077");
    }
}
