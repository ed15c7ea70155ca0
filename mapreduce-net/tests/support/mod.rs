//! Real processes for tests: commands, and pools of peers. All of them end with the values they belong to, however the test
//! ends.

#![allow(dead_code, reason = "every test file uses its own part of it")]

use mapreduce_net::pool_file::{MemberFile, PoolFile};
#[cfg(unix)]
use std::os::{fd::OwnedFd, unix::net::UnixStream};
use std::{
    ffi::OsStr,
    fmt::Write as _,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long a test waits for what should happen at once, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that runs, with what it has said. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

/// What a process left.
#[derive(Debug)]
pub(crate) struct Ended {
    /// None if a signal ended it.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The lines of a pipe, as they come.
struct Lines {
    coming: Receiver<String>,
    seen: Vec<String>,
}

impl Process {
    /// Starts a command, without input.
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|problem| panic!("{command:?}: {problem}"));
        let stdout = Lines::of(BufReader::new(child.stdout.take().expect("piped")));
        let stderr = Lines::of(BufReader::new(child.stderr.take().expect("piped")));
        Self { child, stdout, stderr }
    }

    /// Starts a command that stands still once it has written as much to standard error, beyond what the test has waited for,
    /// as a socket holds: some hundred lines. What would say more than that after a line cannot have ended when the test
    /// sees the line.
    #[cfg(unix)]
    pub(crate) fn start_in_step(command: &mut Command) -> Self {
        let (here, there) = UnixStream::pair().expect("a pair of sockets");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(OwnedFd::from(there));
        let mut child = command.spawn().unwrap_or_else(|problem| panic!("{command:?}: {problem}"));
        // The command has a copy of the process's end, with which this one would never see an end.
        command.stderr(Stdio::null());
        let stdout = Lines::of(BufReader::new(child.stdout.take().expect("piped")));
        let stderr = Lines::in_step(BufReader::with_capacity(64, here));
        Self { child, stdout, stderr }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line on standard output.
    pub(crate) fn stdout_line(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let line = self.stdout.wait_for(wanted);
        line.unwrap_or_else(|| panic!("the line did not come on standard output\n{}", self.said()))
    }

    /// Waits for a line on standard error.
    pub(crate) fn stderr_line(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let line = self.stderr.wait_for(wanted);
        line.unwrap_or_else(|| panic!("the line did not come on standard error\n{}", self.said()))
    }

    /// Waits until this process, a peer, says `what` of the driver that has that id.
    pub(crate) fn sees(&mut self, driver: u32, what: &str) {
        // A driver is called after its program and its process.
        let name = format!("/{driver}\"");
        self.stderr_line(|line| line.contains(what) && line.contains(&name));
    }

    /// Sends a signal: `INT`, `TERM`, `STOP`, ...
    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.id().to_string()]).status();
        assert!(status.expect("kill can be started").success());
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is ours");
    }

    /// Kills it, and waits until it is gone.
    pub(crate) fn kill_and_wait(mut self) -> Ended {
        self.kill();
        self.wait()
    }

    /// Waits until it has ended.
    pub(crate) fn wait(mut self) -> Ended {
        let status = self.wait_for_end();
        Ended { status: status.code(), stdout: self.stdout.text(), stderr: self.stderr.text() }
    }

    fn wait_for_end(&mut self) -> ExitStatus {
        // A process that has closed both of its pipes is about to end.
        // Standard error first: it may wait for its reader.
        if !(self.stderr.wait_for_end() && self.stdout.wait_for_end()) {
            panic!("it does not end\n{}", self.said());
        }
        self.child.wait().expect("it is ours")
    }

    fn said(&mut self) -> String {
        format!("standard output:\n{}standard error:\n{}", self.stdout.text(), self.stderr.text())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Fails unless the process has succeeded.
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.status, Some(0), "{self:?}");
        self
    }

    /// The one line that says what was wrong. Fails unless the process has ended with `status`, and said nothing on standard
    /// output.
    pub(crate) fn refused(&self, status: i32) -> &str {
        assert_eq!((self.status, self.stdout.as_str()), (Some(status), ""), "{self:?}");
        let error = self.stderr.trim_end().lines().last().unwrap_or_default();
        assert!(error.starts_with("error: "), "{self:?}");
        error
    }
}

impl Lines {
    /// Reads all there is, whether or not it is waited for.
    fn of(pipe: impl BufRead + Send + 'static) -> Self {
        let (sender, coming) = mpsc::channel();
        Self::read(pipe, move |line| sender.send(line).is_ok(), coming)
    }

    /// Reads a line when it is waited for.
    fn in_step(pipe: impl BufRead + Send + 'static) -> Self {
        let (sender, coming) = mpsc::sync_channel(0);
        Self::read(pipe, move |line| sender.send(line).is_ok(), coming)
    }

    fn read(
        pipe: impl BufRead + Send + 'static,
        take: impl Fn(String) -> bool + Send + 'static,
        coming: Receiver<String>,
    ) -> Self {
        thread::spawn(move || {
            for line in pipe.split(b'\n') {
                let Ok(line) = line else { break };
                if !take(String::from_utf8_lossy(&line).into_owned()) {
                    break;
                }
            }
        });
        Self { coming, seen: Vec::new() }
    }

    /// The next line that is wanted.
    fn wait_for(&mut self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let line = self.coming.recv_timeout(end.saturating_duration_since(Instant::now())).ok()?;
            self.seen.push(line.clone());
            if wanted(&line) {
                return Some(line);
            }
        }
    }

    fn wait_for_end(&mut self) -> bool {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.coming.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => return true,
                Err(mpsc::RecvTimeoutError::Timeout) => return false,
            }
        }
    }

    fn text(&mut self) -> String {
        self.seen.extend(self.coming.try_iter());
        self.seen.iter().fold(String::new(), |mut text, line| {
            writeln!(text, "{line}").expect("a String takes whatever is written");
            text
        })
    }
}

/// A folder with the files of a pool, and the peers of it that run: processes of one program.
pub(crate) struct Lab {
    program: PathBuf,
    folder: TempDir,
    file: MemberFile,
    peers: Vec<Peer>,
    /// Peers that were started.
    started: usize,
}

/// A peer that is ready.
pub(crate) struct Peer {
    pub(crate) process: Process,
    pub(crate) id: String,
    pub(crate) address: String,
}

impl Lab {
    /// A pool of so many peers, of one thread each.
    pub(crate) fn start(program: impl Into<PathBuf>, peers: usize) -> Self {
        Self::start_as(program, peers, |peer| peer)
    }

    /// The same, with peers started by commands that are made from the usual ones.
    pub(crate) fn start_as(
        program: impl Into<PathBuf>,
        peers: usize,
        mut alter: impl FnMut(Command) -> Command,
    ) -> Self {
        // Port 1 stands for an address until there is a peer to be reached. Nobody listens there.
        let (file, _) =
            PoolFile::create(vec!["127.0.0.1:1".parse().expect("an address")]).expect("random numbers");
        let folder = tempfile::tempdir().expect("a folder");
        let mut lab = Self { program: program.into(), folder, file, peers: Vec::new(), started: 0 };
        for _ in 0..peers {
            lab.add_as("127.0.0.1:0", &mut alter);
        }
        lab.save();
        lab
    }

    /// Starts one more peer, and gives its number. It listens where the system likes; the pool files name the peers that have
    /// been started.
    pub(crate) fn add(&mut self) -> usize {
        self.add_at("127.0.0.1:0")
    }

    /// The same at an address.
    pub(crate) fn add_at(&mut self, address: &str) -> usize {
        self.add_as(address, |command| command)
    }

    fn add_as(&mut self, address: &str, alter: impl FnOnce(Command) -> Command) -> usize {
        // A file of its own for each: no file is written over, and no peer reads one that is half written.
        let path = self.path(&format!("peer-{}.pool", self.started));
        self.started += 1;
        self.file.save(&path).expect("a file in our folder");
        let mut command = self.command("peer");
        command.args(["--listen", address, "--threads", "1", "--pool"]).arg(path);
        self.peers.push(Peer::ready(Process::start(&mut alter(command))));
        let addresses = self.peers.iter().map(|peer| peer.address.parse().expect("an address"));
        self.file = self.file.with_addresses(addresses.collect()).expect("a few addresses");
        self.peers.len() - 1
    }

    /// Writes the pool files with the addresses of the peers that there are.
    fn save(&self) {
        self.file.save(self.member_file()).expect("a file in our folder");
        self.file.client_file().save(self.client_file()).expect("a file in our folder");
    }

    /// The file with which a process becomes a member.
    pub(crate) fn member_file(&self) -> PathBuf {
        self.path("lab.pool")
    }

    /// The file with which a process submits jobs.
    pub(crate) fn client_file(&self) -> PathBuf {
        self.path("lab.pool.client")
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder, in which commands are run.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn peer(&mut self, number: usize) -> &mut Peer {
        &mut self.peers[number]
    }

    /// Takes a peer out, for instance to wait for its end.
    pub(crate) fn take_peer(&mut self, number: usize) -> Peer {
        self.peers.remove(number)
    }

    /// The program with arguments, which do not contain spaces, in the folder.
    pub(crate) fn command(&self, args: &str) -> Command {
        command(&self.program, self.folder(), args)
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &str) -> Ended {
        Process::start(&mut self.command(args)).wait()
    }
}

impl Peer {
    /// Waits until a process says that it is a peer.
    pub(crate) fn ready(mut process: Process) -> Self {
        // The first line and the only one.
        let line = process.stdout_line(|_| true);
        let parts = line.strip_prefix("ready: peer ").and_then(|rest| rest.split_once(" at "));
        let (id, rest) = parts.unwrap_or_else(|| panic!("{line}\n{}", process.said()));
        let (addresses, _) = rest.split_once(" with ").unwrap_or_else(|| panic!("{line}"));
        let (first, _) = addresses.split_once(',').unwrap_or((addresses, ""));
        let (id, address) = (id.to_owned(), first.to_owned());
        Self { process, id, address }
    }
}

/// A program with arguments, which do not contain spaces, in a folder.
pub(crate) fn command(program: impl AsRef<OsStr>, folder: &Path, args: &str) -> Command {
    let mut command = Command::new(program);
    command.args(args.split_whitespace()).current_dir(folder);
    command
}
