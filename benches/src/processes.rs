//! Processes of a measurement: the program itself, started again with hidden arguments to be a peer of a pool or one end
//! of a bare connection. They end when the program ends, in whatever way, for then their standard input does.

use crate::{Failure, bare};
use mapreduce_core::{Registry, RegistryError};
use mapreduce_net::{
    Identity, Peer, PeerOptions, PoolError, PoolOptions, Validity,
    blocking::Pool,
    pool_file::{MemberFile, PoolAddress, PoolFile},
};
use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
};

/// What stands in front of the role of a process that the program has started.
const HIDDEN: &str = "--as";

/// The arguments of the program. `None` in a process that it has started, when that has done what it is for: a peer works
/// on the jobs of `registry`.
///
/// # Errors
/// When a process that was started cannot do what it is for.
pub fn arguments(
    registry: impl FnOnce() -> Result<Registry, RegistryError>,
) -> Result<Option<Vec<String>>, Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [HIDDEN, "peer", file, threads, ref join @ ..] => {
            let join: Vec<PoolAddress> = join.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
            be_peer(&MemberFile::load(file)?, join, registry()?, threads.parse()?)?;
        }
        [HIDDEN, "bare", file] => bare::serve(&MemberFile::load(file)?)?,
        [HIDDEN, ..] => return Err("a hidden argument is for the program itself".into()),
        _ => return Ok(Some(arguments)),
    }
    Ok(None)
}

/// Peers of a new pool, each a process with a runtime of one thread, on loopback. They end with this value.
pub struct Peers {
    file: MemberFile,
    processes: Vec<Process>,
}

impl Peers {
    /// Starts `peers` peers with `threads` threads each for tasks.
    ///
    /// # Errors
    /// When a process does not start or its peer does not.
    pub fn start(peers: usize, threads: usize) -> Result<Self, Failure> {
        let (mut file, _) = PoolFile::create(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 1)).into()])?;
        let mut processes: Vec<Process> = Vec::new();
        for _ in 0..peers {
            let join = processes.iter().map(|process| process.address.to_string());
            let arguments = ["peer".to_owned(), SAVED.to_owned(), threads.to_string()];
            let process = Process::start(&file, &arguments.into_iter().chain(join).collect::<Vec<_>>())?;
            processes.push(process);
        }
        file = file.with_addresses(processes.iter().map(|process| process.address.into()).collect())?;
        Ok(Self { file, processes })
    }

    /// Connects a driver; returns when all peers are there.
    ///
    /// # Errors
    /// As for [`Pool::connect`].
    pub fn connect(&self, options: PoolOptions) -> Result<Pool, PoolError> {
        let options = PoolOptions { min_peers: self.processes.len(), ..options };
        Pool::connect(&PoolFile::Client(self.file.client_file()), options)
    }

    /// The processes' ids.
    pub fn ids(&self) -> Vec<u32> {
        self.processes.iter().map(|process| process.child.id()).collect()
    }
}

/// Stands in arguments for the path at which the pool file is saved.
pub(crate) const SAVED: &str = "PATH";

/// A process of the program that listens at an address. It ends with this value.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts it, and waits until it says where it listens. The file is there until then.
    pub(crate) fn start(file: &MemberFile, arguments: &[String]) -> Result<Self, Failure> {
        let saved = Saved::new(file)?;
        let path = saved.0.to_str().ok_or("the folder for temporary files has no name in Unicode")?;
        let mut child = Command::new(env::current_exe()?)
            .arg(HIDDEN)
            .args(arguments.iter().map(|argument| if argument == SAVED { path } else { argument }))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("standard output is piped")?).read_line(&mut line)?;
        match line.trim().parse() {
            Ok(address) => Ok(Self { child, address }),
            Err(_) => {
                child.wait()?;
                Err("a process of the measurement did not start; it has said why".into())
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // There is nobody to tell if it cannot be waited for.
        let _ = self.child.wait();
    }
}

/// A pool file on disk, for as long as a process takes to read it.
struct Saved(PathBuf);

impl Saved {
    fn new(file: &MemberFile) -> Result<Self, Failure> {
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("mapreduce-benches-{}-{number}.pool", std::process::id()));
        file.save(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        // A file that stays is small, and its pool is gone.
        let _ = fs::remove_file(&self.0);
    }
}

fn be_peer(
    file: &MemberFile,
    join: Vec<PoolAddress>,
    registry: Registry,
    threads: usize,
) -> Result<(), Failure> {
    let identity = Identity::member(file, Validity::default())?;
    let options = PeerOptions { listen: (Ipv4Addr::LOCALHOST, 0).into(), threads, ..PeerOptions::default() };
    runtime()?.block_on(async {
        let peer = Peer::start(identity, join, registry, options).await?;
        say_address(peer.local_address())?;
        until_let_go().await;
        Ok(())
    })
}

/// A runtime as a peer has it: everything of the network on one thread.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Tells the program that has started this process where it listens.
pub(crate) fn say_address(address: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{address}")?;
    out.flush()
}

/// Waits until standard input ends.
pub(crate) async fn until_let_go() {
    let (end, ended) = oneshot::channel();
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        // It is waited for until the process ends.
        let _ = end.send(());
    });
    // The sender is dropped only if the thread panics, and then it is time to end, too.
    let _ = ended.await;
}
