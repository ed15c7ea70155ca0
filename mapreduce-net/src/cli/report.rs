//! What commands print: tables, one JSON object, and the summary of a job.

use super::resident;
use mapreduce_core::{Counters, Written};
use serde::Serialize;
use std::{collections::BTreeMap, env, fmt::Write as _, path::Path};

/// What came of `run`, in the order of the JSON object.
#[derive(Serialize)]
pub(super) struct RunReport<'a> {
    output: String,
    /// Lines of the part files.
    pairs: u64,
    /// Records read.
    records: u64,
    /// The size of the input, as planned.
    input_bytes: u64,
    keys: u64,
    /// The size of the part files.
    output_bytes: u64,
    spilled_bytes: u64,
    parts: usize,
    peers: usize,
    threads: usize,
    tasks_by_peer: &'a BTreeMap<String, u64>,
    attempts_lost: u64,
    attempts_failed: u64,
    counters: &'a Counters,
    map_seconds: f64,
    reduce_seconds: f64,
    /// From the start of the command to its end, the planning and the writing included.
    seconds: f64,
    /// The most memory that this process has held. Not known on all systems.
    peak_rss_bytes: Option<u64>,
    #[serde(skip)]
    on_pool: bool,
}

impl<'a> RunReport<'a> {
    /// `threads` are those of this process.
    pub(super) fn new(
        written: &'a Written,
        output: &Path,
        on_pool: bool,
        threads: usize,
        seconds: f64,
    ) -> Self {
        let Written { parts, counters, report, .. } = written;
        Self {
            output: output.display().to_string(),
            pairs: parts.iter().map(|part| part.records).sum(),
            records: report.records,
            input_bytes: report.input_bytes,
            keys: report.keys,
            output_bytes: parts.iter().map(|part| part.bytes).sum(),
            spilled_bytes: report.spilled_bytes,
            parts: parts.len(),
            peers: report.tasks_by_peer.len(),
            threads,
            tasks_by_peer: &report.tasks_by_peer,
            attempts_lost: report.attempts_lost,
            attempts_failed: report.attempts_failed,
            counters,
            map_seconds: report.map_time.as_secs_f64(),
            reduce_seconds: report.reduce_time.as_secs_f64(),
            seconds,
            peak_rss_bytes: resident::peak_bytes(),
            on_pool,
        }
    }

    /// For people, in the words of the job's user.
    pub(super) fn summary(&self) -> String {
        let &Self { ref output, pairs, records, keys, parts, peers, threads, seconds, on_pool, .. } = self;
        let workers = if on_pool { count(peers, "peer") } else { count(threads, "thread") };
        let mut text = format!(
            "{} in {}, of {} and {}, written to {output}\n{seconds:.3} seconds on {workers}\n",
            count(pairs, "line"),
            count(parts, "part"),
            count(records, "record"),
            count(keys, "key"),
        );
        if self.spilled_bytes > 0 {
            line(
                &mut text,
                format_args!("{:.1} MB did not fit into memory", self.spilled_bytes as f64 / 1e6),
            );
        }
        for (name, n) in self.counters.iter() {
            line(&mut text, format_args!("{name}: {n}"));
        }
        for (n, what) in [(self.attempts_lost, "lost with their peers"), (self.attempts_failed, "failed")] {
            if n > 0 {
                line(&mut text, format_args!("{} {what}, and done again", count(n, "attempt")));
            }
        }
        text
    }
}

/// A value as one line of JSON.
pub(super) fn json(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string(value).expect("numbers and texts are JSON");
    text.push('\n');
    text
}

/// Rows as lines, with columns as wide as they need; the last one is not padded.
pub(super) fn table<const N: usize>(rows: impl IntoIterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = rows.into_iter().collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        line(&mut text, format_args!("{}", cells.join("  ").trim_end()));
    }
    text
}

/// "1 peer", "2 peers".
fn count(n: impl TryInto<u64>, noun: &str) -> String {
    match n.try_into() {
        Ok(1) => format!("1 {noun}"),
        Ok(n) => format!("{n} {noun}s"),
        Err(_) => format!("many {noun}s"),
    }
}

/// How the user calls this program.
pub(super) fn program_name() -> String {
    let name = env::args_os().next().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    writeln!(text, "{content}").expect("a String takes whatever is written");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_of_a_table_are_aligned() {
        let rows = [["id", "jobs"], ["ünïcode", ""], ["b", "x, y"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(rows), "id       jobs\nünïcode\nb        x, y\n");
    }
}
