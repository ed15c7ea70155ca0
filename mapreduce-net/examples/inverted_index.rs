//! Which documents each word stands in, and how often: a line for each word and document, in their order.
//!
//! A line of text does not say which file it is from, so each begins with its document and a tab:
//!
//! ```text
//! awk '{ print FILENAME "\t" $0 }' docs/*.md > documents.tsv
//! inverted_index run documents.tsv --output index
//! inverted_index map < documents.tsv | LC_ALL=C sort | inverted_index reduce
//! ```

use mapreduce_core::prelude::*;
use mapreduce_net::cli::Program;

#[derive(Clone, Serialize, Deserialize)]
struct InvertedIndex;

/// All postings of a word come together, sorted by the document. So none have to be collected to sort them.
type WordByDocument = Sorted<String, String>;

/// A word stands in a document so many times.
#[derive(Clone, Serialize, Deserialize)]
struct Posting {
    document: String,
    count: u64,
}

impl Mapper for InvertedIndex {
    type Input = Utf8Lines;
    type Key = WordByDocument;
    type Value = Posting;
    fn map(&self, line: &str, out: &mut impl Emit<WordByDocument, Posting>) -> Result {
        let (document, text) = line.split_once('\t').ok_or("the line has no tab behind a document")?;
        let posting = Posting { document: document.to_owned(), count: 1 };
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let mut key = Sorted(String::new(), document.to_owned());
        for word in words {
            key.0 = word.to_lowercase();
            out.emit(&key, &posting)?;
        }
        Ok(())
    }
}

/// Adds up the postings of one word and one document.
#[derive(Default)]
struct AddCounts;

impl Combiner<WordByDocument, Posting> for AddCounts {
    fn combine(&self, _: &WordByDocument, into: &mut Posting, posting: &Posting) {
        into.count += posting.count;
    }
}

/// Gets the postings of a word, in which those of a document follow one another, and emits one for each document.
#[derive(Default)]
struct OnePerDocument;

impl Reducer<WordByDocument, Posting> for OnePerDocument {
    type Key = str;
    type Value = Posting;
    fn reduce(
        &self,
        Sorted(word, _): &WordByDocument,
        postings: &mut Values<'_, Posting>,
        out: &mut impl Emit<str, Posting>,
    ) -> Result {
        let Some(first) = postings.next()? else { return Ok(()) };
        let mut current = first.into_owned();
        while let Some(next) = postings.next()? {
            if next.document == current.document {
                current.count += next.count;
            } else {
                out.emit(word, &current)?;
                current = next.into_owned();
            }
        }
        out.emit(word, &current)
    }
}

impl SimpleJob for InvertedIndex {
    const NAME: &'static str = "inverted-index";
    type Combiner = AddCounts;
    type Reducer = OnePerDocument;
}

fn main() -> std::process::ExitCode {
    Program::new(InvertedIndex).main()
}
