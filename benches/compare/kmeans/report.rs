//! [`Outcome`]: what came of a contest of K-means, as tables in Markdown and as lines of all runs.

use super::{
    contestants::{Role, SUPERKMEANS},
    workload::Task,
};
use crate::report::{Bar, Section, line, median};
use benches::Failure;

/// What came of a contest.
pub(crate) struct Outcome {
    /// What was to be done.
    pub(crate) task: Task,
    /// What the machine can do.
    pub(crate) limits: Limits,
    /// In the order of the contest. Ratios are to the first.
    pub(crate) results: Vec<Performance>,
    /// Who did not take part, and why.
    pub(crate) absent: Vec<String>,
}

/// Rates of the machine, measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Operations a second, in f32.
    pub(crate) operations: f64,
    /// Bytes read a second.
    pub(crate) bytes: f64,
    /// Threads that reach them together.
    pub(crate) threads: usize,
}

/// Two fits from the same start centroids: seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Turn {
    /// With one iteration.
    pub(crate) first: f64,
    /// With all.
    pub(crate) whole: f64,
    /// At the end of the longer one.
    pub(crate) inertia: f64,
}

/// What a contestant did.
#[derive(Clone, Debug)]
pub(crate) struct Performance {
    /// The contestant.
    pub(crate) name: &'static str,
    /// What it is compared as.
    pub(crate) role: Role,
    /// How many times as long as the first an iteration should take at least.
    aim: Option<f64>,
    /// Of its longer fit.
    pub(crate) iterations: u32,
    /// Its turns.
    pub(crate) turns: Vec<Turn>,
    /// The most memory it has had, the points included.
    pub(crate) peak_bytes: Option<u64>,
    failure: Option<String>,
}

impl Turn {
    /// Seconds of both fits.
    pub(crate) fn seconds(&self) -> f64 {
        self.first + self.whole
    }

    /// Seconds of one iteration, if the longer fit has so many: without what comes before and behind them.
    pub(crate) fn per_iteration(&self, iterations: u32) -> f64 {
        (self.whole - self.first) / f64::from(iterations.saturating_sub(1).max(1))
    }
}

impl Performance {
    /// Of nothing yet.
    pub(crate) fn new(name: &'static str, role: Role, aim: Option<f64>, iterations: u32) -> Self {
        Self { name, role, aim, iterations, turns: Vec::new(), peak_bytes: None, failure: None }
    }

    /// It has no more turns, and the table says why.
    pub(crate) fn fail(&mut self, failure: Failure) {
        println!("  {}: {failure}", self.name);
        self.failure = Some(failure.to_string());
    }

    /// The median of the seconds of an iteration.
    fn iteration(&self) -> Option<f64> {
        median(self.turns.iter().map(|turn| turn.per_iteration(self.iterations)))
    }

    /// The median of the seconds of a fit, if that has as many iterations as all the others' have.
    fn whole(&self, task: &Task) -> Option<f64> {
        let seconds = median(self.turns.iter().map(|turn| turn.whole));
        seconds.filter(|_| self.iterations == task.iterations)
    }
}

impl Outcome {
    /// All that is told of it.
    pub(crate) fn section(&self) -> Section {
        Section {
            title: format!("{}: an iteration", self.task.title()),
            table: self.table(),
            raw: self.raw(),
            bars: self.results.iter().map(|result| self.bar(result)).collect(),
            failed: self.results.iter().any(|result| result.failure.is_some()),
        }
    }

    fn bar(&self, result: &Performance) -> Bar {
        let figure = self.ratio(result, Performance::iteration).zip(result.iteration());
        let figure = figure.map(|(ratio, seconds)| (ratio, format!("{ratio:.2}x, {:.2} ms", seconds * 1e3)));
        Bar { name: result.name.to_owned(), figure }
    }

    /// How many times as long as the first one it took. None where differences of times are no times.
    fn ratio(&self, result: &Performance, of: impl Fn(&Performance) -> Option<f64>) -> Option<f64> {
        let ratio = of(result)? / of(self.results.first()?)?;
        (ratio.is_finite() && ratio > 0.0).then_some(ratio)
    }

    fn table(&self) -> String {
        let mut text = format!("**{}**\n\n", self.task.title());
        text.push_str(
            "| program | ms an iteration | times as long | aim | seconds of a fit | times as long ",
        );
        text.push_str("| inertia | iterations | peak memory | runs |\n");
        text.push_str("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
        let whole = |result: &Performance| result.whole(&self.task);
        for result in &self.results {
            let peak = result.peak_bytes.map(|bytes| format!("{:.0} MB", bytes as f64 / 1e6));
            let inertia = result.turns.last().map(|turn| format!("{:.6e}", turn.inertia));
            line(
                &mut text,
                format_args!(
                    "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                    result.name,
                    number(result.iteration().map(|seconds| seconds * 1e3), 2),
                    number(self.ratio(result, Performance::iteration), 2),
                    result.aim.map_or(String::new(), |aim| format!(">= {aim}")),
                    number(whole(result), 3),
                    number(self.ratio(result, whole), 2),
                    inertia.unwrap_or("-".into()),
                    result.iterations,
                    peak.unwrap_or("-".into()),
                    result.turns.len(),
                ),
            );
        }
        text.push('\n');
        self.aims(&mut text);
        line(&mut text, format_args!("* {}", self.limit()));
        let failed = self.results.iter().filter_map(|result| {
            result.failure.as_ref().map(|failure| format!("{} failed: {failure}", result.name))
        });
        for note in self.absent.iter().cloned().chain(failed) {
            line(&mut text, format_args!("* {note}"));
        }
        text
    }

    /// The aims of the contest beside what was reached: how many times as fast this project is.
    fn aims(&self, text: &mut String) {
        let aims = self.task.workload.aims();
        let whole = |result: &Performance| result.whole(&self.task);
        if let Some((iteration, fit)) = aims.exact {
            self.aim(text, "an iteration", iteration, self.fastest(Performance::iteration));
            self.aim(text, "a whole fit", fit, self.fastest(whole));
        }
        let of = |wanted: &dyn Fn(&Performance) -> bool| {
            let result = self.results.iter().find(|result| wanted(result))?;
            Some((result.name, self.ratio(result, Performance::iteration)?))
        };
        if let Some(aim) = aims.superkmeans {
            self.aim(text, "an iteration", aim, of(&|result| result.name == SUPERKMEANS));
        }
        if let Some(aim) = aims.pool {
            let pool = of(&|result| result.role == Role::Pool).map(|(_, ratio)| 1.0 / ratio);
            let reached = number(pool, 2);
            line(
                text,
                format_args!("* peers of one thread as fast as threads, an iteration: {reached}, aim {aim}"),
            );
        }
        if let Some(aim) = aims.pool_ms_max {
            let pool = self.results.iter().find(|result| result.role == Role::Pool);
            let reached = number(pool.and_then(Performance::iteration).map(|seconds| seconds * 1e3), 2);
            line(text, format_args!("* peers of one thread, an iteration: {reached} ms, aim at most {aim}"));
        }
    }

    fn aim(&self, text: &mut String, what: &str, aim: f64, reached: Option<(&str, f64)>) {
        match reached {
            Some((name, ratio)) => {
                line(text, format_args!("* {what}: {ratio:.2} times as fast as {name}, aim {aim}"));
            }
            None => line(text, format_args!("* {what}: aim {aim}, not measured")),
        }
    }

    /// The fastest of those that take Lloyd's steps, and how many times as long as this project it took.
    fn fastest(&self, of: impl Fn(&Performance) -> Option<f64>) -> Option<(&str, f64)> {
        let exact = self.results.iter().filter(|result| matches!(result.role, Role::Exact | Role::OwnWay));
        let ratios = exact.filter_map(|result| Some((result.name, self.ratio(result, &of)?)));
        ratios.min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// What an iteration takes at least that reads all points once and computes all distances.
    fn limit(&self) -> String {
        let (Task { n, d, k, .. }, Limits { operations, bytes, threads }) = (&self.task, self.limits);
        let (size, work) = ((n * d * 4) as f64, (2 * n * k * d) as f64);
        let (reading, computing) = (size / bytes, work / operations);
        let limit = reading.max(computing);
        let reached = self.results.first().and_then(Performance::iteration).map(|seconds| limit / seconds);
        format!(
            "limit of an iteration: {:.2} ms, the larger of {:.2} ms to read {:.0} MB at {:.1} GB/s and {:.2} ms for 2nkd \
             = {:.3} G operations at {:.0} GFLOP/s (both measured, {threads} threads); this project reaches {} of it",
            limit * 1e3,
            reading * 1e3,
            size / 1e6,
            bytes / 1e9,
            computing * 1e3,
            work / 1e9,
            operations / 1e9,
            reached.map_or("-".to_owned(), |share| format!("{:.0} %", share * 100.0)),
        )
    }

    /// Every turn: seconds of one iteration, of all, and the inertia.
    fn raw(&self) -> String {
        let mut text = format!("{}: seconds of 1/of all iterations/inertia\n", self.task.title());
        for result in &self.results {
            let turns = result.turns.iter();
            let turns = turns.map(|turn| format!(" {:.4}/{:.4}/{:e}", turn.first, turn.whole, turn.inertia));
            let Performance { name, iterations, .. } = result;
            line(&mut text, format_args!("  {name} ({iterations}):{}", turns.collect::<String>()));
        }
        text
    }
}

fn number(number: Option<f64>, digits: usize) -> String {
    number.map_or("-".to_owned(), |number| format!("{number:.digits$}"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::kmeans::Workload;

    /// An iteration takes 10 ms here, 15 ms exactly, and 5 ms approximately.
    pub(crate) fn outcome() -> Outcome {
        let result = |name, role, iteration: f64, turns: u32| Performance {
            turns: (0..turns)
                .map(|_| Turn { first: 0.1, whole: 0.1 + 19.0 * iteration, inertia: 2e6 })
                .collect(),
            peak_bytes: Some(5_000_000),
            ..Performance::new(name, role, None, 20)
        };
        let mut failed = result("D", Role::Exact, 0.0, 0);
        failed.failure = Some("no module".into());
        let spark = Performance { iterations: 2, aim: Some(100.0), ..result("E", Role::OwnWay, 0.1, 1) };
        Outcome {
            task: Task::sample(),
            limits: Limits { operations: 400e9, bytes: 25e9, threads: 2 },
            results: vec![
                result("this project", Role::Ours, 0.01, 3),
                result("pool", Role::Pool, 0.0125, 3),
                result("B", Role::Exact, 0.015, 2),
                result("C", Role::Approximate, 0.005, 2),
                failed,
                spark,
            ],
            absent: vec!["left out: F (no reason)".into()],
        }
    }

    #[test]
    fn the_table_has_medians_and_ratios_of_iterations_and_of_fits() {
        let Section { table, failed, .. } = outcome().section();
        let has = |line: &str| assert!(table.contains(&format!("{line}\n")), "{line}\n{table}");
        has("| this project | 10.00 | 1.00 |  | 0.290 | 1.00 | 2.000000e6 | 20 | 5 MB | 3 |");
        has("| B | 15.00 | 1.50 |  | 0.385 | 1.33 | 2.000000e6 | 20 | 5 MB | 2 |");
        has("| D | - | - |  | - | - | - | 20 | 5 MB | 0 |");
        // Whole fits of fewer iterations are not compared.
        has("| E | 1900.00 | 190.00 | >= 100 | - | - | 2.000000e6 | 2 | 5 MB | 1 |");
        has("* left out: F (no reason)");
        has("* D failed: no module");
        assert!(failed);
    }

    #[test]
    fn aims_are_about_the_fastest_that_does_the_same() {
        let table = outcome().section().table;
        let has = |line: &str| assert!(table.contains(&format!("{line}\n")), "{line}\n{table}");
        has("* an iteration: 1.50 times as fast as B, aim 6");
        has("* a whole fit: 1.33 times as fast as B, aim 4");
        has("* peers of one thread as fast as threads, an iteration: 0.80, aim 0.9");
        let mut rgb = outcome();
        rgb.task.workload = Workload::Rgb;
        let table = rgb.section().table;
        assert!(table.contains("* peers of one thread, an iteration: 12.50 ms, aim at most 3\n"), "{table}");
        let mut alone = outcome();
        alone.results.truncate(1);
        assert!(alone.section().table.contains("* an iteration: aim 6, not measured\n"));
    }

    #[test]
    fn the_limit_is_the_larger_of_reading_and_computing() {
        let limit = outcome().limit();
        assert!(
            limit.starts_with("limit of an iteration: 5.12 ms, the larger of 2.56 ms to read 64 MB"),
            "{limit}"
        );
        assert!(limit.ends_with("this project reaches 51 % of it"), "{limit}");
    }

    #[test]
    fn all_runs_are_kept_and_bars_are_iterations() {
        let section = outcome().section();
        assert!(section.raw.contains("  B (20): 0.1000/0.3850/2e6 0.1000/0.3850/2e6\n"), "{}", section.raw);
        let (ratio, figure) = section.bars[2].figure.clone().unwrap();
        assert!((ratio - 1.5).abs() < 1e-9 && figure == "1.50x, 15.00 ms", "{ratio} {figure}");
        assert_eq!(section.bars[4].figure, None);
    }

    #[test]
    fn a_difference_of_times_that_is_no_time_has_no_ratio() {
        let mut outcome = outcome();
        outcome.results[2].turns = vec![Turn { first: 0.5, whole: 0.4, inertia: 2e6 }];
        assert_eq!(outcome.bar(&outcome.results[2]).figure, None);
    }
}
