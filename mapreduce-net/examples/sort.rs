//! Sorts lines by their bytes, on threads or on a pool of machines: `sort run INPUT... --output sorted`. The parts of the
//! folder, one after the other, are the result.

use mapreduce_core::{Partitioner, RangePartitioner, prelude::*};
use mapreduce_net::cli::Program;

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

fn main() -> std::process::ExitCode {
    Program::running::<Sort>(|run| {
        let files = TextFiles::open_bytes(run.inputs)?.with_line_bytes_max(run.line_bytes_max);
        let lines = run.dataset(files)?;
        let parts = run.options.partitions_for(lines.bytes());
        let ranges = RangePartitioner::from_dataset::<[u8], _>(&lines, 1_000, parts, <[u8]>::to_vec)?;
        Ok(run.write(&Sort, &ranges, &lines)?)
    })
    // Filters partition nothing: that is the sorting engine's matter.
    .filters(|_| Ok((Sort, RangePartitioner::default())))
    .main()
}
