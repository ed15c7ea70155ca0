//! The coordinator under a simulated pool in which everything goes wrong, thousands of times with other seeds.
//!
//! `oracle` says what must hold: after every call the safety of what was decided, and in the end that the job has
//! ended. A failure prints its seed and the command that replays just that one.

mod oracle;
mod rng;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use mapreduce_core::schedule::{Config, Event, JobError, RoundPlan};

use rng::Rng;
use world::{Outcome, Scenario, World};

/// Runs `simulate` with each seed below `seeds` (below SIM_SEEDS, for a longer run), or with SIM_SEED alone.
fn for_seeds(test: &str, seeds: u64, mut simulate: impl FnMut(u64)) {
    let set = |name| std::env::var(name).ok().map(|value| value.parse::<u64>().expect("a number"));
    let seeds = set("SIM_SEEDS").unwrap_or(seeds);
    for seed in set("SIM_SEED").map_or(0..seeds, |seed| seed..seed + 1) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| simulate(seed))) {
            panic_message(test, seed);
            resume_unwind(panic);
        }
    }
}

#[expect(clippy::print_stderr, reason = "the test harness shows it beside the failed assertion")]
fn panic_message(test: &str, seed: u64) {
    eprintln!("seed {seed} fails; replay it with");
    eprintln!("SIM_SEED={seed} cargo test -p mapreduce-core --test schedule_simulation -- {test}");
}

fn small_world(rng: &mut Rng) -> Scenario {
    let config = Config {
        attempts_max: rng.range(2, 6) as u16,
        peers_lost_max: rng.range(2, 8) as u16,
        node_failures_max: rng.range(1, 3) as u16,
        fetch_failures_max: rng.range(1, 3) as u16,
        task_fetch_failures_max: rng.range(4, 64) as u16,
        no_peers_timeout: rng.duration(1_000, 60_000),
        task_deadline: rng.chance(30).then(|| rng.duration(2_000, 20_000)),
        locality_wait: rng.duration(0, 500),
        backup_factor: rng.range(0, 30) as f64 / 10.0,
        backup_after_min: rng.duration(0, 1_000),
        ..Config::default()
    };
    Scenario {
        peers: rng.range(1, 8),
        slots_max: rng.range(1, 4),
        rounds: 1,
        plan: RoundPlan { splits: rng.range(0, 40) as u32, partitions: rng.range(0, 8) as u32 },
        config,
        task_ms: (1, rng.range(2, 1_500)),
        mishap_every_ms: rng.range(100, 3_000),
        calm_after: rng.duration(0, 40_000),
        failures_percent: rng.range(0, 8),
        permanent_failures: true,
        deterministic: true,
        check_every: 1,
    }
}

fn simulate(scenario: Scenario, rng: Rng) -> Outcome {
    World::new(scenario, rng).run(100_000)
}

fn error(outcome: &Outcome) -> Option<&JobError> {
    match &outcome.oracle.ended {
        Some(Event::JobFailed { error }) => Some(error),
        _ => None,
    }
}

#[test]
fn jobs_end_and_decisions_are_safe_whatever_happens() {
    let (mut finished, mut failed, mut seeds) = (0, 0, 0);
    for_seeds("jobs_end_and_decisions_are_safe_whatever_happens", 5_000, |seed| {
        let mut rng = Rng(seed);
        let scenario = small_world(&mut rng);
        let outcome = simulate(scenario, rng);
        seeds += 1;
        match error(&outcome) {
            None => finished += 1,
            Some(JobError::NonDeterministic { .. }) => panic!("all mappers are deterministic here"),
            Some(_) => failed += 1,
        }
    });
    // Otherwise the worlds are too friendly or too hostile to tell anything.
    assert!(
        seeds == 1 || (finished > seeds / 2 && failed > seeds / 50),
        "{finished} finished, {failed} failed"
    );
}

#[test]
fn iterated_jobs_end_and_decisions_are_safe_whatever_happens() {
    for_seeds("iterated_jobs_end_and_decisions_are_safe_whatever_happens", 2_000, |seed| {
        let mut rng = Rng(seed ^ 0x1000_0000);
        let mut scenario = small_world(&mut rng);
        scenario.rounds = rng.range(2, 12) as u32;
        scenario.task_ms = (1, rng.range(2, 300));
        simulate(scenario, rng);
    });
}

#[test]
fn without_failures_of_tasks_a_job_survives_every_mishap_of_the_pool() {
    for_seeds("without_failures_of_tasks_a_job_survives_every_mishap_of_the_pool", 2_000, |seed| {
        let mut rng = Rng(seed ^ 0x2000_0000);
        let mut scenario = small_world(&mut rng);
        scenario.failures_percent = 0;
        scenario.rounds = rng.range(1, 3) as u32;
        scenario.config = Config { peers_lost_max: u16::MAX, ..Config::default() };
        let (rounds, outcome) = (scenario.rounds, simulate(scenario, rng));
        assert_eq!(outcome.oracle.ended, None);
        assert_eq!(outcome.oracle.rounds_finished, rounds);
    });
}

#[test]
fn reduce_tasks_never_commit_from_different_outputs_of_one_map_task() {
    let (mut caught, mut mended, mut seeds) = (0, 0, 0);
    for_seeds("reduce_tasks_never_commit_from_different_outputs_of_one_map_task", 2_000, |seed| {
        let mut rng = Rng(seed ^ 0x3000_0000);
        let mut scenario = small_world(&mut rng);
        scenario.deterministic = false;
        // Long reduce tasks, so that some still run when their input has been made again.
        scenario.plan = RoundPlan { splits: rng.range(1, 6) as u32, partitions: rng.range(2, 6) as u32 };
        scenario.task_ms = (100, 20_000);
        scenario.failures_percent = 0;
        scenario.config.task_deadline = None;
        scenario.config.peers_lost_max = u16::MAX;
        let outcome = simulate(scenario, rng);
        seeds += 1;
        match error(&outcome) {
            Some(JobError::NonDeterministic { .. }) => caught += 1,
            None if outcome.oracle.consumers_restarted > 0 => mended += 1,
            _ => {}
        }
    });
    assert!(seeds == 1 || (caught > 20 && mended > 20), "{caught} caught, {mended} mended");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for_seeds("the_same_seed_gives_the_same_run", 20, |seed| {
        let run = || {
            let mut rng = Rng(seed ^ 0x4000_0000);
            let scenario = small_world(&mut rng);
            let outcome = simulate(scenario, rng);
            (outcome.coordinator.stats(), outcome.steps, outcome.now)
        };
        assert_eq!(run(), run());
    });
}

#[test]
fn a_pool_of_a_thousand_peers_lives_through_a_day_of_churn() {
    for_seeds("a_pool_of_a_thousand_peers_lives_through_a_day_of_churn", 1, |seed| {
        let day = Duration::from_secs(24 * 3600);
        let scenario = Scenario {
            peers: 1_000,
            slots_max: 4,
            rounds: 4,
            plan: RoundPlan { splits: 4_000, partitions: 100 },
            config: Config { peers_lost_max: u16::MAX, ..Config::default() },
            task_ms: (60_000, 7_200_000),
            mishap_every_ms: 4_000,
            calm_after: day,
            failures_percent: 1,
            permanent_failures: false,
            deterministic: true,
            check_every: 1_000,
        };
        let outcome = World::new(scenario, Rng(seed)).run(10_000_000);
        assert_eq!(outcome.oracle.ended, None);
        assert!(outcome.now.since(mapreduce_core::schedule::Time::ZERO) >= day, "only until {}", outcome.now);
    });
}
