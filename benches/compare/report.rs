//! [`Section`]: what is told of a contest. [`Outcome`]: what came of one, as a table in Markdown and as lines of all runs.

use crate::process::Turn;
use std::{fmt::Write as _, time::Duration};

/// What is told of a contest.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// The heading of the bars.
    pub(crate) title: String,
    /// Medians, ratios and notes.
    pub(crate) table: String,
    /// All runs.
    pub(crate) raw: String,
    /// For the picture.
    pub(crate) bars: Vec<Bar>,
    /// Whether a contestant did something wrong.
    pub(crate) failed: bool,
}

/// A contestant in the picture.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    /// What it is.
    pub(crate) name: String,
    /// How many times as long as the first it took, and what to say of it. `None`: it has failed.
    pub(crate) figure: Option<(f64, String)>,
}

/// What came of a contest.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The heading.
    pub(crate) title: String,
    /// In the order of the contest. Ratios are to the first.
    pub(crate) results: Vec<Performance>,
    /// What the outputs had in common, and who did not take part.
    pub(crate) notes: Vec<String>,
}

/// What a contestant did.
#[derive(Clone, Debug)]
pub(crate) struct Performance {
    /// The contestant.
    pub(crate) name: String,
    /// How many times as long as the first it should take at least.
    pub(crate) aim: Option<f64>,
    /// Its turns.
    pub(crate) turns: Vec<Turn>,
    /// Why it has no more.
    pub(crate) failure: Option<String>,
}

impl Performance {
    /// The median of the seconds that the work took, if it did any.
    fn seconds(&self) -> Option<f64> {
        self.median(|turn| turn.work)
    }

    fn median(&self, of: impl Fn(&Turn) -> Duration) -> Option<f64> {
        median(self.turns.iter().map(|turn| of(turn).as_secs_f64()))
    }

    fn peak_bytes(&self) -> Option<u64> {
        self.turns.iter().filter_map(|turn| turn.peak_bytes).max()
    }
}

impl Outcome {
    /// All that is told of it.
    pub(crate) fn section(&self) -> Section {
        let bar = |result: &Performance| {
            let figure = self.ratio(result).zip(result.seconds());
            let figure = figure.map(|(ratio, seconds)| (ratio, format!("{ratio:.2}x, {seconds:.2} s")));
            Bar { name: result.name.clone(), figure }
        };
        Section {
            title: self.title.clone(),
            table: self.table(),
            raw: self.raw(),
            bars: self.results.iter().map(bar).collect(),
            failed: self.results.iter().any(|result| result.failure.is_some()),
        }
    }

    /// How many times as long as the first one each took.
    fn ratio(&self, performance: &Performance) -> Option<f64> {
        Some(performance.seconds()? / self.results.first()?.seconds()?)
    }

    /// Medians and ratios.
    fn table(&self) -> String {
        let mut text = format!("**{}**\n\n", self.title);
        text.push_str("| program | seconds | whole command | times as long | aim | peak memory | runs |\n");
        text.push_str("|---|---:|---:|---:|---:|---:|---:|\n");
        for result in &self.results {
            let number = |number: Option<f64>| number.map_or("-".to_owned(), |number| format!("{number:.2}"));
            let peak =
                result.peak_bytes().map_or("-".to_owned(), |bytes| format!("{:.0} MB", bytes as f64 / 1e6));
            let aim = result.aim.map_or(String::new(), |aim| format!(">= {aim}"));
            line(
                &mut text,
                format_args!(
                    "| {} | {} | {} | {} | {aim} | {peak} | {} |",
                    result.name,
                    number(result.seconds()),
                    number(result.median(|turn| turn.whole)),
                    number(self.ratio(result)),
                    result.turns.len(),
                ),
            );
        }
        text.push('\n');
        let failures = self.results.iter().filter_map(|result| {
            result.failure.as_ref().map(|failure| format!("{} failed: {failure}", result.name))
        });
        for note in self.notes.iter().cloned().chain(failures) {
            line(&mut text, format_args!("* {note}"));
        }
        text
    }

    /// Every turn: seconds of the work, of the whole command, and megabytes.
    fn raw(&self) -> String {
        let mut text = format!("{}: seconds/whole command/peak megabytes\n", self.title);
        for result in &self.results {
            let turns = result.turns.iter().map(|turn| {
                let peak = turn.peak_bytes.map_or("-".to_owned(), |bytes| (bytes / 1_000_000).to_string());
                format!(" {:.3}/{:.3}/{peak}", turn.work.as_secs_f64(), turn.whole.as_secs_f64())
            });
            line(&mut text, format_args!("  {}:{}", result.name, turns.collect::<String>()));
        }
        text
    }
}

/// The median; of an even number the mean of the two in the middle.
pub(crate) fn median(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = numbers.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some(sorted[middle - 1].midpoint(sorted[middle])),
    }
}

/// Appends a line.
pub(crate) fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a string takes all");
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn outcome() -> Outcome {
        let turn = |work, whole| Turn {
            work: Duration::from_millis(work),
            whole: Duration::from_millis(whole),
            peak_bytes: Some(5_000_000),
        };
        let ours = vec![turn(1_000, 1_000), turn(3_000, 3_000), turn(2_000, 2_000)];
        let performance =
            |name: &str, turns| Performance { name: name.into(), aim: None, turns, failure: None };
        let theirs = Performance {
            aim: Some(1.5),
            ..performance("B & C", vec![turn(5_000, 6_000), turn(3_000, 4_000)])
        };
        let failed = Performance { failure: Some("no memory".into()), ..performance("D", Vec::new()) };
        let results = vec![performance("A", ours), theirs, failed];
        Outcome { title: "sort".into(), results, notes: vec!["7 lines".into()] }
    }

    #[test]
    fn the_table_has_medians_and_ratios() {
        let table = outcome().table();
        assert!(table.contains("| A | 2.00 | 2.00 | 1.00 |  | 5 MB | 3 |\n"), "{table}");
        assert!(table.contains("| B & C | 4.00 | 5.00 | 2.00 | >= 1.5 | 5 MB | 2 |\n"), "{table}");
        assert!(table.contains("| D | - | - | - |  | - | 0 |\n"), "{table}");
        assert!(table.ends_with("\n\n* 7 lines\n* D failed: no memory\n"), "{table}");
    }

    #[test]
    fn all_runs_are_kept() {
        assert!(outcome().raw().contains("  B & C: 5.000/6.000/5 3.000/4.000/5\n"));
    }
}
