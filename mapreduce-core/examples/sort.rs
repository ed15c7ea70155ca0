//! `sort OUTPUT INPUT...` sorts lines by their bytes. The parts of the folder, one after the other, are the result.

use mapreduce_core::{Partitioner, RangePartitioner, prelude::*};

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
    /// Which lines go to which part, so that the parts are in order too.
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

fn main() -> Result {
    let mut paths = std::env::args().skip(1);
    let output = PartFiles::new(paths.next().ok_or("usage: sort OUTPUT INPUT...")?);
    let lines = Dataset::new(TextFiles::open_bytes(paths)?)?;

    let options = Options { partitions: Some(16), ..Options::default() };
    let sample = lines.sample(1_000, <[u8]>::to_vec)?;
    let ranges = RangePartitioner::from_sample::<[u8]>(&sample, 16);
    let written = Local::new(0)?.write(&Sort, &ranges, &lines, &output, &options)?;
    println!(
        "{} lines in {} parts",
        written.parts.iter().map(|part| part.records).sum::<u64>(),
        written.parts.len()
    );
    Ok(())
}
