//! Joins two files by key: for each key a line for each pair of a left and a right line. Lines are a key, a tab and the rest.
//! Keys that are in one file only are left out.
//!
//! ```text
//! join run users.tsv orders.tsv --output joined --format csv
//! { join map --input 0 --split 0 < users.tsv; join map --input 1 --split 1 < orders.tsv; } | LC_ALL=C sort | join reduce
//! ```
//!
//! All left lines of one key are held in memory, so the file with few lines a key goes first.

use mapreduce_core::prelude::*;
use mapreduce_net::cli::Program;

#[derive(Clone, Serialize, Deserialize)]
struct Join;

impl Mapper for Join {
    type Input = Either<Utf8Lines, Utf8Lines>;
    type Key = str;
    type Value = Either<String, String>;
    fn map(&self, line: Either<&str, &str>, out: &mut impl Emit<str, Self::Value>) -> Result {
        match line {
            Either::Left(line) => {
                let (key, rest) = split(line)?;
                out.emit(key, &Either::Left(rest.to_owned()))
            }
            Either::Right(line) => {
                let (key, rest) = split(line)?;
                out.emit(key, &Either::Right(rest.to_owned()))
            }
        }
    }
}

fn split(line: &str) -> Result<(&str, &str)> {
    Ok(line.split_once('\t').ok_or("the line has no tab behind a key")?)
}

impl SimpleJob for Join {
    const NAME: &'static str = "join";
    type Combiner = NoCombiner;
    type Reducer = InnerJoin;
}

fn main() -> std::process::ExitCode {
    Program::running::<Join>(|run| {
        let [left, right] = run.inputs else {
            return Err("give two inputs, the left and the right one".into());
        };
        let [left, right] = [TextFiles::open([left])?, TextFiles::open([right])?]
            .map(|files| files.with_line_bytes_max(run.line_bytes_max));
        Ok(run.write(&Join, &(), &run.dataset(Both::new(left, right))?)?)
    })
    .filters(|_| Ok((Join, ())))
    .main()
}
