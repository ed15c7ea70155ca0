//! `word_count OUTPUT INPUT...` writes a folder of lines `word<TAB>count`, sorted by word within each part.
use mapreduce_core::prelude::*;

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

fn main() -> Result {
    let mut paths = std::env::args().skip(1);
    let output = PartFiles::new(paths.next().ok_or("usage: word_count OUTPUT INPUT...")?);
    let text = Dataset::new(TextFiles::open(paths)?)?;
    let written = Local::new(0)?.write(&WordCount, &(), &text, &output, &Options::default())?;
    println!("{} words in {} parts", written.report.keys, written.parts.len());
    Ok(())
}
