//! Sort of lines of 100 bytes, file to file, against GNU sort on the same threads.
//!
//! `cargo run --release -p benches --bin sort [-- RUNS [THREADS [MEGABYTES]]]`

use benches::{
    alternate::{alternate, print_table, timed},
    text::Random,
};
use mapreduce_core::{Partitioner, RangePartitioner, prelude::*};
use std::{
    error::Error,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
    process::Command,
};

const PARTITIONS: u32 = 16;

#[derive(Clone, Serialize, Deserialize)]
struct Sort;

struct EachLine;

impl Mapper for EachLine {
    type Input = Lines;
    type Key = [u8];
    type Value = ();
    fn map(&self, line: &[u8], out: &mut impl Emit<[u8], ()>) -> Result {
        out.emit(line, &())
    }
}

impl Job for Sort {
    const NAME: &'static str = "sort";
    type Shared = RangePartitioner;
    type Mapper = EachLine;
    type Combiner = NoCombiner;
    type Reducer = Identity;
    fn mapper(&self, _: &RangePartitioner) -> Result<EachLine> {
        Ok(EachLine)
    }
    fn combiner(&self) -> NoCombiner {
        NoCombiner
    }
    fn reducer(&self, _: &RangePartitioner) -> Result<Identity> {
        Ok(Identity)
    }
    fn partitioner(&self, ranges: &RangePartitioner) -> Result<Box<dyn Partitioner<[u8]>>> {
        Ok(Box::new(ranges.clone()))
    }
}

fn write_lines(path: &Path, megabytes: usize) -> io::Result<()> {
    let mut random = Random::new(11);
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for _ in 0..megabytes * 10_000 {
        for _ in 0..6 {
            write!(out, "{:016x}", random.bits())?;
        }
        out.write_all(b"abc\n")?;
    }
    out.flush()
}

fn sort(engine: &Local, input: &Path, output: &Path) -> Result<(), mapreduce_core::Error> {
    let lines = Dataset::new(TextFiles::open_bytes([input])?)?;
    let ranges = RangePartitioner::from_sample::<[u8]>(&lines.sample(1_000, <[u8]>::to_vec)?, PARTITIONS);
    let options = Options { partitions: Some(PARTITIONS), ..Options::default() };
    engine.write(&Sort, &ranges, &lines, &PartFiles::new(output).overwrite(true), &options)?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut numbers = std::env::args().skip(1).map(|arg| arg.parse::<usize>());
    let runs = numbers.next().transpose()?.unwrap_or(5);
    let threads = numbers.next().transpose()?.unwrap_or(2);
    let megabytes = numbers.next().transpose()?.unwrap_or(400);
    let folder = std::env::temp_dir().join("mapreduce-benches");
    fs::create_dir_all(&folder)?;
    let (input, ours, theirs) = (folder.join("lines.txt"), folder.join("sorted"), folder.join("sorted.txt"));
    write_lines(&input, megabytes)?;

    let engine = Local::new(threads)?;
    let gnu_sort = || {
        let mut command = Command::new("sort");
        command.env("LC_ALL", "C").arg(format!("--parallel={threads}")).arg("-S8G").arg("-o");
        let status = command.args([&theirs, &input]).status();
        assert!(status.is_ok_and(|status| status.success()), "GNU sort runs");
    };
    let times = alternate(
        runs,
        vec![
            ("GNU sort", Box::new(timed(gnu_sort))),
            ("mapreduce sort", Box::new(timed(|| sort(&engine, &input, &ours).expect("the input is there")))),
        ],
    );
    let mut joined = Vec::new();
    for part in 0..PARTITIONS {
        joined.extend(fs::read(ours.join(format!("part-{part:05}")))?);
    }
    assert!(joined == fs::read(&theirs)?, "both sorted the same");
    print_table(&format!("sort of {megabytes} MB of 100-byte lines, {threads} threads, {runs} runs"), &times);
    Ok(())
}
