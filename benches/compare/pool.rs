//! [`PoolOfTwo`]: two peers of one thread each on this machine, started as a user would.

use crate::workshop::{Workshop, remove};
use benches::Failure;
use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, UdpSocket},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
};

/// Peers that are processes of their own. They end with this value.
#[derive(Debug)]
pub(crate) struct PoolOfTwo {
    /// For `--pool`.
    pub(crate) client_file: PathBuf,
    folder: PathBuf,
    peers: Vec<(Child, BufReader<ChildStdout>)>,
}

impl PoolOfTwo {
    /// Creates the pool file and starts the peers of an example; returns when both are ready.
    ///
    /// # Errors
    /// When one of the commands does not succeed.
    pub(crate) fn start(workshop: &Workshop, example: &str) -> Result<Self, Failure> {
        let folder = workshop.fresh("pool")?;
        // On the disk of the outputs: the folder for temporary files is memory on some systems.
        let spill = folder.join("spill");
        fs::create_dir_all(&spill)?;
        let file = folder.join("pool");
        // Free now, and so most likely in a moment: the pool file must name a port before the peer listens there.
        let sockets =
            [UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?, UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?];
        let addresses = [sockets[0].local_addr()?.to_string(), sockets[1].local_addr()?.to_string()];
        drop(sockets);
        let mut create = Command::new(workshop.example(example));
        create.args(["pool", "create", "--output"]).arg(&file);
        create.args(addresses.iter().flat_map(|address| ["--address", address]));
        if !create.stdout(Stdio::null()).status()?.success() {
            return Err("`pool create` has failed".into());
        }
        let mut pool = Self { client_file: folder.join("pool.client"), folder, peers: Vec::new() };
        for address in &addresses {
            let mut peer = Command::new(workshop.example(example));
            peer.args(["peer", "--threads", "1", "--quiet", "--listen", address, "--pool"]).arg(&file);
            peer.arg("--spill-to").arg(&spill);
            let mut child = peer.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
            let mut output = BufReader::new(child.stdout.take().ok_or("standard output is piped")?);
            let mut ready = String::new();
            output.read_line(&mut ready)?;
            pool.peers.push((child, output));
            if !ready.starts_with("ready") {
                return Err("a peer did not start; it has said why".into());
            }
        }
        Ok(pool)
    }

    /// The ids of the peers.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.peers.iter().map(|(child, _)| child.id()).collect()
    }
}

impl Drop for PoolOfTwo {
    fn drop(&mut self) {
        for (child, _) in &mut self.peers {
            // They hold nothing that would be lost; and there is nobody to tell if they cannot be ended.
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = remove(&self.folder);
    }
}
