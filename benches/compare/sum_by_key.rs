//! Sums values by 64-bit key, on threads or on a pool of machines: `sum_by_key run ROWS --output sums`, where ROWS is a file
//! of pairs of little-endian 64-bit integers. The parts of the folder, one after the other, are in the order of the keys.

use mapreduce_core::{Partitioner, RangePartitioner, RowFiles, prelude::*};
use mapreduce_net::cli::Program;

#[derive(Clone, Serialize, Deserialize)]
struct SumByKey;

struct EachRow;

impl Mapper for EachRow {
    type Input = Rows<u64>;
    type Key = u64;
    type Value = u64;
    fn map(&self, row: &[u64], out: &mut impl Emit<u64, u64>) -> Result {
        out.emit(&row[0], &row[1])
    }
}

impl Job for SumByKey {
    const NAME: &'static str = "sum-by-key";
    /// Which keys go to which part, so that the parts are in order too.
    type Shared = RangePartitioner;
    type Mapper = EachRow;
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
    fn mapper(&self, _: &RangePartitioner) -> Result<EachRow> {
        Ok(EachRow)
    }
    fn combiner(&self) -> Sum {
        Sum
    }
    fn reducer(&self, _: &RangePartitioner) -> Result<Fold<Sum>> {
        Ok(Fold(Sum))
    }
    fn partitioner(&self, ranges: &RangePartitioner) -> Result<Box<dyn Partitioner<u64>>> {
        Ok(Box::new(ranges.clone()))
    }
}

fn main() -> std::process::ExitCode {
    Program::running::<SumByKey>(|run| {
        let [path] = run.inputs else { return Err("give one file of rows".into()) };
        let rows = run.dataset(RowFiles::<u64>::open(path, 0, 2)?)?;
        let parts = run.options.partitions_for(rows.bytes());
        let ranges = RangePartitioner::from_dataset::<u64, _>(&rows, 1_000, parts, |row| row[0])?;
        Ok(run.write(&SumByKey, &ranges, &rows)?)
    })
    .main()
}
