//! How long it takes to connect to a member on loopback: 500 connections, one after the other, until both sides have
//! verified each other.
//!
//! ```text
//! cargo run --release -p mapreduce-net --example handshake
//! ```

use mapreduce_net::{
    Identity, Role, Validity,
    pool_file::PoolFile,
    transport::{Channel, Endpoint, Limits},
};
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 500;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (member, client) = PoolFile::create(vec!["127.0.0.1".parse()?])?;
    let limits = Limits::default();
    let host = Identity::member(&member, Validity::default())?;
    let (endpoint, mut acceptor) = Endpoint::listen("127.0.0.1:0".parse()?, host, &limits)?;
    tokio::spawn(async move {
        while let Some(connection) = acceptor.accept().await {
            connection.closed().await;
        }
    });
    let guest = Endpoint::dial_only(Identity::client(&client, Validity::default())?, &limits)?;
    let mut times = Vec::new();
    for _ in 0..CONNECTIONS {
        let start = Instant::now();
        let connection = guest.connect(endpoint.local_address(), Channel::Control).await?;
        times.push(start.elapsed());
        assert_eq!(connection.peer_role(), Role::Member, "only members are listened for");
        connection.close(0, "measured");
    }
    times.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (median, slow) = (times[CONNECTIONS / 2], times[CONNECTIONS * 99 / 100]);
    println!("connect: median {:.2} ms, 99 of 100 within {:.2} ms", ms(median), ms(slow));
    Ok(())
}
