//! What commands print: tables, one JSON object, and the summary of a job.

use super::resident;
use mapreduce_core::{Counters, Written, output::Part};
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
    /// The files of each side output, as in the manifest.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    sides: &'a BTreeMap<String, Vec<Part>>,
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
        let Written { parts, sides, counters, report, .. } = written;
        Self {
            output: output.display().to_string(),
            pairs: parts.iter().map(|part| part.records).sum(),
            records: report.records,
            input_bytes: report.input_bytes,
            keys: report.keys,
            output_bytes: parts.iter().map(|part| part.bytes).sum(),
            spilled_bytes: report.spilled_bytes,
            parts: parts.len(),
            sides,
            peers: report.tasks_by_peer.len(),
            threads,
            tasks_by_peer: &report.tasks_by_peer,
            attempts_lost: report.attempts_lost,
            attempts_failed: report.attempts_failed,
            counters,
            map_seconds: report.map_time.as_secs_f64(),
            reduce_seconds: report.reduce_time.as_secs_f64(),
            seconds,
            peak_rss_bytes: resident::peak_rss_bytes(),
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
        for (name, files) in self.sides {
            line(&mut text, format_args!("{name}: {}", described(files)));
        }
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

/// The files of a side output, whose names are numbered.
fn described(files: &[Part]) -> String {
    let lines = || count(files.iter().map(|file| file.records).sum::<u64>(), "line");
    match files {
        [] => "no lines".into(),
        [one] => format!("{} in {}", lines(), one.name),
        [first, .., last] => format!("{} in {} to {}", lines(), first.name, last.name),
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
    use mapreduce_core::prelude::*;

    #[derive(Clone, Serialize, Deserialize)]
    struct Sieve;

    impl Mapper for Sieve {
        type Input = Items<u64>;
        type Key = u64;
        type Value = u64;
        fn map(&self, n: &u64, out: &mut impl Emit<u64, u64>) -> Result {
            match n % 4 {
                0 => out.side("fours", n.to_string().as_bytes()),
                _ if *n == 1 => out.side("ones", b"1"),
                rest => out.emit(&rest, n),
            }
        }
    }

    #[derive(Default)]
    struct EvenSums;

    impl Reducer<u64, u64> for EvenSums {
        type Key = u64;
        type Value = u64;
        fn reduce(&self, key: &u64, values: &mut Values<'_, u64>, out: &mut impl Emit<u64, u64>) -> Result {
            let mut sum = 0;
            while let Some(n) = values.next()? {
                sum += *n;
            }
            if *key == 2 { out.emit(key, &sum) } else { out.side("fours", b"an odd one") }
        }
    }

    impl SimpleJob for Sieve {
        const NAME: &'static str = "sieve";
        const SIDE_OUTPUTS: &'static [&'static str] = &["fours", "ones", "none"];
        type Combiner = Sum;
        type Reducer = EvenSums;
    }

    #[test]
    fn side_outputs_are_reported_with_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let data = Dataset::new(ItemSlice::new((0..10).collect::<Vec<u64>>())).unwrap();
        let options = Options { partitions: Some(1), ..Options::default() };
        let engine = Local::new(1).unwrap();
        let written = engine.write(&Sieve, &(), &data, &PartFiles::new(&out), &options).unwrap();
        let report = RunReport::new(&written, Path::new("out"), false, 1, 0.5);

        let said = report.summary();
        let expected = "1 line in 1 part, of 10 records and 3 keys, written to out\n0.500 seconds on 1 thread\n\
                        fours: 5 lines in fours-00000 to fours-00001\nnone: no lines\nones: 1 line in ones-00000\n";
        assert_eq!(said, expected);

        let json: serde_json::Value = serde_json::from_str(&json(&report)).unwrap();
        assert_eq!((&json["pairs"], &json["parts"]), (&1.into(), &1.into()));
        assert_eq!(json["sides"]["none"], serde_json::json!([]));
        let manifest = std::fs::read(out.join("_MANIFEST.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        assert_eq!(json["sides"], manifest["sides"]);
        assert_eq!(json["sides"]["ones"][0]["records"], 1);
    }

    #[test]
    fn the_columns_of_a_table_are_aligned() {
        let rows = [["id", "jobs"], ["ünïcode", ""], ["b", "x, y"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(rows), "id       jobs\nünïcode\nb        x, y\n");
    }
}
