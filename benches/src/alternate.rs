//! Alternating runs of contestants, and the table of their times.

use std::time::{Duration, Instant};

/// The times of one contestant, in the order of the runs.
#[derive(Clone, Debug)]
pub struct Times {
    /// The contestant.
    pub name: String,
    /// One for each run.
    pub times: Vec<Duration>,
}

impl Times {
    /// The median.
    pub fn median(&self) -> Duration {
        let mut sorted = self.times.clone();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    }
}

/// One contestant: a name and what it does in a run. It answers how long the measured part took.
pub type Contestant<'a> = (&'a str, Box<dyn FnMut() -> Duration + 'a>);

/// Runs every contestant once without counting, then `runs` times in turns.
pub fn alternate(runs: usize, mut contestants: Vec<Contestant<'_>>) -> Vec<Times> {
    let mut all: Vec<Times> =
        contestants.iter().map(|(name, _)| Times { name: name.to_string(), times: Vec::new() }).collect();
    for run in 0..=runs {
        for ((_, contestant), times) in contestants.iter_mut().zip(&mut all) {
            let time = contestant();
            if run > 0 {
                times.times.push(time);
            }
        }
    }
    all
}

/// Measures the whole of a function.
pub fn timed(mut run: impl FnMut()) -> impl FnMut() -> Duration {
    move || {
        let start = Instant::now();
        run();
        start.elapsed()
    }
}

/// Prints medians, all runs, and how many times as long as the first each took.
pub fn print_table(title: &str, all: &[Times]) {
    println!("{title}");
    let first = all[0].median().as_secs_f64();
    for times in all {
        let median = times.median().as_secs_f64();
        let runs: Vec<String> = times.times.iter().map(|t| format!("{:.4}", t.as_secs_f64())).collect();
        println!("  {:<32} {median:>9.4} s  x{:<6.2} runs: {}", times.name, median / first, runs.join(" "));
    }
}

/// Prints how much of something each did in a second, medians and all runs, and that as a part of what the first did:
/// `amount` of `unit`s is what every run has done.
pub fn print_rates(title: &str, amount: f64, unit: &str, all: &[Times]) {
    println!("{title}, {unit}/s (and to the first)");
    let rate = |time: &Duration| amount / time.as_secs_f64();
    let first = rate(&all[0].median());
    for times in all {
        let median = rate(&times.median());
        let runs: Vec<String> = times.times.iter().map(|time| format!("{:.1}", rate(time))).collect();
        println!("  {:<36} {median:>9.1}  x{:<6.2} runs: {}", times.name, median / first, runs.join(" "));
    }
}
