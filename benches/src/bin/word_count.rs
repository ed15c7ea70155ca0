//! Word count of 400 MB of text, against a hand-written program on the same threads. Both read the file, count,
//! sort and write the same lines.
//!
//! `cargo run --release -p benches --bin word_count [-- RUNS [THREADS [MEGABYTES]]]`

use benches::{
    alternate::{alternate, print_table, timed},
    text::zipf_file,
};
use foldhash::fast::FixedState;
use mapreduce_core::prelude::*;
use rayon::prelude::*;
use std::{
    collections::HashMap,
    error::Error,
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

#[derive(Clone, Serialize, Deserialize)]
struct WordCount;

impl Mapper for WordCount {
    type Input = Utf8Lines;
    type Key = str;
    type Value = u64;
    fn map(&self, line: &str, out: &mut impl Emit<str, u64>) -> Result {
        line.split_ascii_whitespace().try_for_each(|word| out.emit(word, &1))
    }
}

impl SimpleJob for WordCount {
    const NAME: &'static str = "word-count";
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

/// The program one would write by hand: one hash map per thread over slices of the text, merged, sorted, written.
fn by_hand(
    pool: &rayon::ThreadPool,
    input: &Path,
    output: &Path,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let text = fs::read(input)?;
    let mut chunks = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let target = (start + (1 << 20)).min(text.len());
        let end = text[target..].iter().position(|&b| b == b'\n').map_or(text.len(), |at| target + at + 1);
        chunks.push(&text[start..end]);
        start = end;
    }
    type Counts<'a> = HashMap<&'a [u8], u64, FixedState>;
    let next = AtomicUsize::new(0);
    let of_threads: Vec<Counts<'_>> = pool.broadcast(|_| {
        let mut counts = Counts::default();
        while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
            for word in chunk.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
                *counts.entry(word).or_default() += 1;
            }
        }
        counts
    });
    let merged = of_threads.into_iter().reduce(|mut all, counts| {
        for (word, n) in counts {
            *all.entry(word).or_default() += n;
        }
        all
    });
    let mut sorted: Vec<_> = merged.unwrap_or_default().into_iter().collect();
    pool.install(|| sorted.par_sort_unstable());
    let mut out = BufWriter::with_capacity(256 << 10, File::create(output)?);
    for (word, n) in sorted {
        out.write_all(word)?;
        writeln!(out, "\t{n}")?;
    }
    Ok(out.flush()?)
}

/// All lines of a folder of parts, or of a file, in the order of the words.
fn lines(paths: impl Iterator<Item = std::path::PathBuf>) -> Vec<String> {
    let mut lines: Vec<String> = paths
        .flat_map(|path| {
            fs::read_to_string(path).unwrap_or_default().lines().map(String::from).collect::<Vec<_>>()
        })
        .collect();
    lines.sort_unstable();
    lines
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut numbers = std::env::args().skip(1).map(|arg| arg.parse::<usize>());
    let runs = numbers.next().transpose()?.unwrap_or(5);
    let threads = numbers.next().transpose()?.unwrap_or(2);
    let megabytes = numbers.next().transpose()?.unwrap_or(421);
    let folder = std::env::temp_dir().join("mapreduce-benches");
    fs::create_dir_all(&folder)?;
    let input = folder.join(format!("zipf-{megabytes}.txt"));
    zipf_file(&input, megabytes as u64 * 1_000_000, 500_000)?;

    let engine = Local::new(threads)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let (ours, theirs) = (folder.join("counts"), folder.join("counts.txt"));
    let target = PartFiles::new(&ours).overwrite(true);
    let times = alternate(
        runs,
        vec![
            (
                "hand-written rayon + hash map",
                Box::new(timed(|| by_hand(&pool, &input, &theirs).expect("the input is there"))),
            ),
            (
                "mapreduce word count",
                Box::new(timed(|| {
                    let text = Dataset::new(TextFiles::open([&input]).expect("is there")).expect("is there");
                    engine.write(&WordCount, &(), &text, &target, &Options::default()).expect("counts");
                })),
            ),
        ],
    );
    let parts = fs::read_dir(&ours)?.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let parts =
        parts.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("part-")));
    assert_eq!(lines(parts), lines([theirs].into_iter()), "both counted the same");
    print_table(&format!("word count, {megabytes} MB, {threads} threads, {runs} runs"), &times);
    Ok(())
}
