//! What a peer costs that has nothing to do: memory and processor time of the processes of a pool of three.
//!
//! `cargo run --release -p benches --bin pool_idle [-- SECONDS]`
//!
//! Prints for each process its resident memory in MiB, the milliseconds that it has run, and how often it was woken, over
//! that many seconds (10): first without a driver, then with one that has nothing to do either. Linux only, from /proc.
//! Bar: 30 MB, and no processor time to speak of.

use benches::{
    Failure,
    processes::{self, Peers},
};
use mapreduce_core::Registry;
use mapreduce_net::PoolOptions;
use std::{fs, thread, time::Duration};

/// Ahead of the time that is measured: dials, goodbyes and the first gossip.
const SETTLING: Duration = Duration::from_secs(2);

fn main() -> Result<(), Failure> {
    let Some(arguments) = processes::arguments(|| kmeans_job::register(Registry::new()))? else {
        return Ok(());
    };
    let seconds = arguments.first().map_or(Ok(10), |seconds| seconds.parse())?;
    let peers = Peers::start(3, 1)?;
    // A driver that has found all of them, and left.
    drop(peers.connect(PoolOptions::default())?);
    // What that makes them do is no idle time: what they use meanwhile is not counted.
    thread::sleep(SETTLING);
    report("without a driver", &peers, seconds)?;
    let _pool = peers.connect(PoolOptions::default())?;
    report("with an idle driver", &peers, seconds)
}

fn report(when: &str, peers: &Peers, seconds: u64) -> Result<(), Failure> {
    let before = usage_of(peers)?;
    thread::sleep(Duration::from_secs(seconds));
    println!("{when}, over {seconds} s");
    for (i, (before, after)) in before.into_iter().zip(usage_of(peers)?).enumerate() {
        println!(
            "  peer {i}: {:.1} MiB, ran {:.2} ms ({:.3} % of a processor), woken {} times",
            after.resident_kib as f64 / 1024.0,
            (after.ran_ns - before.ran_ns) as f64 / 1e6,
            (after.ran_ns - before.ran_ns) as f64 / 1e7 / seconds as f64,
            after.woken - before.woken
        );
    }
    Ok(())
}

/// What a process has used.
struct Usage {
    resident_kib: u64,
    /// Nanoseconds on a processor, of all threads.
    ran_ns: u64,
    /// Times that a thread had waited for something.
    woken: u64,
}

fn usage_of(peers: &Peers) -> Result<Vec<Usage>, Failure> {
    peers.ids().into_iter().map(usage).collect()
}

/// See proc(5).
fn usage(process: u32) -> Result<Usage, Failure> {
    let field = |status: &str, name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
            .ok_or(format!("/proc has no {name}"))
    };
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let mut usage = Usage { resident_kib: field(&status, "VmRSS:")?, ran_ns: 0, woken: 0 };
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let thread = thread?.path();
        usage.ran_ns += field(&fs::read_to_string(thread.join("schedstat"))?, "")?;
        usage.woken += field(&fs::read_to_string(thread.join("status"))?, "voluntary_ctxt_switches:")?;
    }
    Ok(usage)
}
