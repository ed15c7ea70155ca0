//! Adds up what was sold in each city: CSV records with the columns `city`, `pieces` and perhaps others, under a header.
//!
//! ```text
//! sales run january.csv february.csv --output pieces --format csv
//! sales map < january.csv | LC_ALL=C sort | sales reduce
//! ```

use mapreduce_core::{Csv, CsvFiles, prelude::*};
use mapreduce_net::cli::Program;

#[derive(Serialize, Deserialize)]
struct Sale {
    city: String,
    pieces: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct PiecesByCity;

impl Mapper for PiecesByCity {
    type Input = Csv<Sale>;
    type Key = str;
    type Value = u64;
    fn map(&self, sale: &Sale, out: &mut impl Emit<str, u64>) -> Result {
        out.emit(&sale.city, &sale.pieces)
    }
}

impl SimpleJob for PiecesByCity {
    const NAME: &'static str = "pieces-by-city";
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

fn main() -> std::process::ExitCode {
    Program::running::<PiecesByCity>(|run| {
        let files = CsvFiles::open(run.inputs)?.with_line_bytes_max(run.line_bytes_max);
        Ok(run.write(&PiecesByCity, &(), &run.dataset(files)?)?)
    })
    .filters(|_| Ok((PiecesByCity, ())))
    .main()
}
