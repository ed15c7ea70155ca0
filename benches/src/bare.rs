//! The transport of a pool without the pool: what its messages and transfers are measured against.

use crate::{
    Failure,
    processes::{Process, SAVED, runtime, say_address, until_let_go},
};
use mapreduce_net::{
    Identity, Validity,
    pool_file::{MemberFile, PoolFile},
    transport::{Channel, Connection, Endpoint, Limits, RecvStream, SendStream},
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

/// Bytes that are written at once.
const PIECE_BYTES: usize = 256 << 10;

/// A connection to another process, and a runtime of one thread for it.
pub struct Bare {
    runtime: Runtime,
    connection: Connection,
    _endpoint: Endpoint,
    /// Dropped last: closing the connection needs nobody's help.
    _process: Process,
}

impl Bare {
    /// Starts a process and connects to it.
    ///
    /// # Errors
    /// When the process does not start or cannot be connected to.
    pub fn connect(channel: Channel) -> Result<Self, Failure> {
        let (file, client) = PoolFile::create(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 1)).into()])?;
        let process = Process::start(&file, &["bare".to_owned(), SAVED.to_owned()])?;
        let runtime = runtime()?;
        let identity = Identity::client(&client, Validity::default())?;
        let (endpoint, connection) = runtime.block_on(async {
            let endpoint = Endpoint::dial_only(identity, &Limits::default())?;
            let connection = endpoint.connect(process.address, channel).await?;
            Ok::<_, Failure>((endpoint, connection))
        })?;
        Ok(Self { runtime, connection, _endpoint: endpoint, _process: process })
    }

    /// How long `count` messages of `bytes` bytes take there and back, one after the other on one stream.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn round_trips(&self, count: usize, bytes: usize) -> Result<Vec<Duration>, Failure> {
        self.runtime.block_on(async {
            let (mut send, mut receive) = self.connection.open_bi().await?;
            send.write_all(&ask(0, bytes)).await?;
            let mut message = vec![7; bytes];
            let mut times = Vec::with_capacity(count);
            for _ in 0..count {
                let start = Instant::now();
                send.write_all(&message).await?;
                receive.read_exact(&mut message).await?;
                times.push(start.elapsed());
            }
            send.finish()?;
            Ok(times)
        })
    }

    /// How long `bytes` bytes take from the other process to this one and, if `both_ways`, as many to it at the same time;
    /// each on a stream of its own.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn transfer(&self, bytes: usize, both_ways: bool) -> Result<Duration, Failure> {
        self.runtime.block_on(async {
            let up = if both_ways { bytes } else { 0 };
            let (mut send, mut receive) = self.connection.open_bi().await?;
            let start = Instant::now();
            send.write_all(&ask(bytes, up)).await?;
            let sent = async {
                write(&mut send, up).await?;
                send.finish()?;
                Ok::<_, Failure>(())
            };
            let ((), received) = tokio::try_join!(sent, read(&mut receive))?;
            if received != bytes + 1 {
                return Err(format!("{received} bytes came instead of {bytes} and one").into());
            }
            Ok(start.elapsed())
        })
    }
}

/// The first bytes of a stream: how many bytes are wanted and how many come. Nothing wanted: what comes is wanted back.
fn ask(down: usize, up: usize) -> [u8; 16] {
    let mut asked = [0; 16];
    asked[..8].copy_from_slice(&(down as u64).to_le_bytes());
    asked[8..].copy_from_slice(&(up as u64).to_le_bytes());
    asked
}

/// What the other process does.
pub(crate) fn serve(file: &MemberFile) -> Result<(), Failure> {
    let identity = Identity::member(file, Validity::default())?;
    runtime()?.block_on(async {
        let (endpoint, mut acceptor) =
            Endpoint::listen((Ipv4Addr::LOCALHOST, 0).into(), identity, &Limits::default())?;
        say_address(endpoint.local_address())?;
        let serving = async {
            while let Some(connection) = acceptor.accept().await {
                tokio::spawn(async move {
                    while let Ok((send, receive)) = connection.accept_bi().await {
                        tokio::spawn(answer(send, receive));
                    }
                });
            }
        };
        tokio::select! {
            () = serving => {}
            () = until_let_go() => {}
        }
        Ok(())
    })
}

/// Serves one stream. The program sees what goes wrong at its end.
async fn answer(mut send: SendStream, mut receive: RecvStream) -> Result<(), Failure> {
    let mut asked = [0; 16];
    receive.read_exact(&mut asked).await?;
    let [down, up] = [&asked[..8], &asked[8..]]
        .map(|half| half.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte)));
    if down == 0 {
        let mut message = vec![0; up];
        while receive.read_exact(&mut message).await.is_ok() {
            send.write_all(&message).await?;
        }
        send.finish()?;
        return Ok(());
    }
    let received = read(&mut receive);
    let sent = async {
        write(&mut send, down).await?;
        Ok::<_, Failure>(())
    };
    let (received, ()) = tokio::try_join!(received, sent)?;
    if received == up {
        // Says that all has come.
        send.write_all(&[1]).await?;
        send.finish()?;
    }
    Ok(())
}

async fn write(send: &mut SendStream, bytes: usize) -> Result<(), Failure> {
    let piece = vec![7; PIECE_BYTES.min(bytes)];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(piece.len());
        send.write_all(&piece[..now]).await?;
        left -= now;
    }
    Ok(())
}

async fn read(receive: &mut RecvStream) -> Result<usize, Failure> {
    let mut bytes = 0;
    while let Some(chunk) = receive.read_chunk(PIECE_BYTES).await? {
        bytes += chunk.len();
    }
    Ok(bytes)
}
