//! How many tasks the coordinator alone schedules per second, and whether that depends on their number.
//!
//! ```text
//! cargo run --release -p mapreduce-core --example coordinator_rate
//! ```
//!
//! Every task is started, completed at once and committed, by peers that only exist in name: what is left is the
//! coordinator's own work. The rate must stay flat from a thousand tasks to a million.

use std::collections::VecDeque;
use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant};

use mapreduce_core::schedule::{
    Action, Config, Coordinator, Event, PeerId, RoundPlan, TaskReport, Time, Verdict,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:>9} tasks x {:>6} rounds  {:>5} x {:>5}  {:>12}  {:>12}",
        "", "", "peers", "slots", "tasks/s", "us/round"
    )?;
    for (peers, slots) in [(1, 2), (50, 4), (1000, 4)] {
        for (tasks, rounds) in [(64, 1_000), (1_000, 100), (10_000, 10), (100_000, 2), (1_000_000, 2)] {
            let elapsed = run(tasks, rounds, peers, slots)?;
            let rate = f64::from(tasks) * f64::from(rounds) / elapsed.as_secs_f64();
            let round_us = elapsed.as_secs_f64() * 1e6 / f64::from(rounds);
            writeln!(
                out,
                "{tasks:>9} tasks x {rounds:>6} rounds  {peers:>5} x {slots:>5}  {rate:>12.0}  {round_us:>12.1}"
            )?;
        }
    }
    Ok(())
}

/// Runs `rounds` rounds of `tasks` tasks, a tenth of them reduce tasks, and says how long that took.
fn run(tasks: u32, rounds: u32, peers: u64, slots: u32) -> Result<Duration, Box<dyn Error>> {
    let mut coordinator = Coordinator::new(Config::default());
    let mut now = Time::ZERO;
    for peer in 0..peers {
        coordinator.handle_peer_joined(now, PeerId(peer), slots);
    }
    let plan = RoundPlan { splits: tasks - tasks / 10, partitions: tasks / 10 };
    let (mut running, mut committed) = (VecDeque::new(), 0_u64);
    let start = Instant::now();
    for _ in 0..rounds {
        let round = coordinator.start_round(now, plan)?;
        loop {
            while let Some(action) = coordinator.poll_action() {
                if let Action::Start { peer, attempt, .. } = action {
                    running.push_back((peer, attempt));
                }
            }
            while let Some(event) = coordinator.poll_event() {
                if let Event::TaskCommitted { .. } = event {
                    committed += 1;
                }
            }
            // First started, first finished.
            let Some((peer, attempt)) = running.pop_front() else { break };
            now = now + Duration::from_micros(1);
            let verdict = coordinator.handle_completed(now, peer, attempt, TaskReport::default());
            assert_eq!(verdict, Verdict::Commit, "{attempt} on {peer}");
        }
        assert_eq!(coordinator.running_round(), None, "{round} has finished");
    }
    let elapsed = start.elapsed();
    assert_eq!(committed, u64::from(tasks) * u64::from(rounds));
    assert_eq!(coordinator.stats().rounds_finished, u64::from(rounds));
    Ok(elapsed)
}
