//! Counts words, on threads or on a pool of machines: `word_count run book.txt --output counts`, `word_count --help`.
use mapreduce_core::prelude::*;
use mapreduce_net::cli::Program;

#[derive(Clone, Serialize, Deserialize)]
struct WordCount;

impl Mapper for WordCount {
    type Input = Lines;
    type Key = [u8];
    type Value = u64;
    fn map(&self, line: &[u8], out: &mut impl Emit<[u8], u64>) -> Result {
        words(line).try_for_each(|word| out.emit(word, &1))
    }
}

impl SimpleJob for WordCount {
    const NAME: &'static str = "word-count";
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

fn main() -> std::process::ExitCode {
    Program::new(WordCount).main()
}
