//! The lines that match a regular expression, in their order. Nothing is sorted and there is nothing to reduce.
//!
//! ```text
//! grep run 'status=5\d\d' access.log --output errors
//! grep map 'status=5\d\d' < access.log | LC_ALL=C sort | grep reduce 'status=5\d\d'
//! ```

use mapreduce_core::prelude::*;
use mapreduce_net::cli::{Program, clap};
use regex::bytes::Regex;

#[derive(clap::Args)]
struct Params {
    /// A regular expression, as the crate regex reads it; (?i) ahead of it ignores case
    #[arg(value_parser = Regex::new)]
    pattern: Regex,
}

#[derive(Clone, Serialize, Deserialize)]
struct Grep {
    pattern: String,
}

struct Matching(Regex);

impl Mapper for Matching {
    type Input = Lines;
    type Key = [u8];
    type Value = ();
    fn map(&self, line: &[u8], out: &mut impl Emit<[u8], ()>) -> Result {
        if self.0.is_match(line) { out.emit(line, &()) } else { Ok(()) }
    }
}

impl Job for Grep {
    const NAME: &'static str = "grep";
    type Shared = ();
    type Mapper = Matching;
    type Combiner = NoCombiner;
    type Reducer = NoReducer;
    /// Compiles the expression, once on each node.
    fn mapper(&self, (): &()) -> Result<Matching> {
        Ok(Matching(Regex::new(&self.pattern)?))
    }
    fn combiner(&self) -> NoCombiner {
        NoCombiner
    }
    fn reducer(&self, (): &()) -> Result<NoReducer> {
        Ok(NoReducer)
    }
}

fn main() -> std::process::ExitCode {
    Program::with_params(|params: &Params| Ok(Grep { pattern: params.pattern.as_str().to_owned() })).main()
}
