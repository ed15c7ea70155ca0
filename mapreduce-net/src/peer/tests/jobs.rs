//! The job of these tests: it counts words, and does what its input tells it to.

use mapreduce_core::{Registry, prelude::*};
use std::{
    collections::HashMap,
    sync::{Mutex, mpsc},
};
use tokio::sync::mpsc as async_mpsc;

/// Counts words.
///
/// The broadcast value stands in front of every word; `refuse` and `panic` fail the set-up, and `gate NAME` holds it up. A
/// line `!panic`, `!error` or
/// `!gate NAME` does what it says. It counts as `remembered` how often a split was mapped before, as far as its cache
/// knows.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Words;

pub(super) struct WordsMapper(String);

impl Mapper for WordsMapper {
    type Input = Utf8Lines;
    type Key = str;
    type Value = u64;

    fn map(&self, line: &str, out: &mut impl Emit<str, u64>) -> Result {
        match line.strip_prefix('!').map(|order| order.split_once(' ').unwrap_or((order, ""))) {
            Some(("panic", _)) => panic!("as it was told"),
            Some(("error", message)) => Err(message.into()),
            Some(("gate", name)) => {
                pass(name);
                Ok(())
            }
            Some((order, _)) => Err(format!("no such order: {order}").into()),
            None => line.split(' ').try_for_each(|word| out.emit(&format!("{}{word}", self.0), &1)),
        }
    }

    fn map_split(&self, split: &mut Split<'_, Utf8Lines>, out: &mut impl Emit<str, u64>) -> Result {
        let before = split.take_cache::<u64>().map_or(0, |before| *before);
        out.count("remembered", before);
        let progress = split.progress();
        while let Some(block) = split.next_block()? {
            progress.record();
            for line in block {
                self.map(line, out)?;
            }
        }
        split.put_cache(Box::new(before + 1));
        Ok(())
    }
}

impl Job for Words {
    const NAME: &'static str = "words";
    type Shared = String;
    type Mapper = WordsMapper;
    type Combiner = Sum;
    type Reducer = Fold<Sum>;

    fn mapper(&self, shared: &String) -> Result<WordsMapper> {
        match shared.as_str() {
            "refuse" => Err("it will not".into()),
            "panic" => panic!("in the set-up"),
            prefix => {
                if let Some(name) = prefix.strip_prefix("gate ") {
                    pass(name);
                }
                Ok(WordsMapper(prefix.to_owned()))
            }
        }
    }

    fn combiner(&self) -> Sum {
        Sum
    }

    fn reducer(&self, _: &String) -> Result<Fold<Sum>> {
        Ok(Fold(Sum))
    }
}

/// A job that no peer has.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Unheard;

impl Mapper for Unheard {
    type Input = Utf8Lines;
    type Key = str;
    type Value = u64;

    fn map(&self, _: &str, _: &mut impl Emit<str, u64>) -> Result {
        Ok(())
    }
}

impl SimpleJob for Unheard {
    const NAME: &'static str = "unheard";
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

pub(super) fn registry() -> Registry {
    Registry::new().with::<Words>().unwrap()
}

/// The attempts that read `!gate NAME` wait until this is opened or dropped.
pub(super) struct Gate {
    begun: async_mpsc::UnboundedReceiver<()>,
    name: &'static str,
}

struct Waiting {
    begun: async_mpsc::UnboundedSender<()>,
    /// Dropping it wakes who waits.
    open: Option<mpsc::Sender<()>>,
    wait: std::sync::Arc<Mutex<mpsc::Receiver<()>>>,
}

static GATES: Mutex<Option<HashMap<&'static str, Waiting>>> = Mutex::new(None);

impl Gate {
    /// A gate of which the name is that of a test.
    pub(super) fn new(name: &'static str) -> Self {
        let (begun, receiver) = async_mpsc::unbounded_channel();
        let (open, wait) = mpsc::channel();
        let waiting = Waiting { begun, open: Some(open), wait: std::sync::Arc::new(wait.into()) };
        GATES.lock().unwrap().get_or_insert_default().insert(name, waiting);
        Self { begun: receiver, name }
    }

    /// Waits until an attempt waits here.
    pub(super) async fn reached(&mut self) {
        super::soon(self.begun.recv()).await.unwrap();
    }

    /// Lets all through.
    pub(super) fn open(self) {}
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(waiting) = GATES.lock().unwrap().get_or_insert_default().get_mut(self.name) {
            waiting.open = None;
        }
    }
}

fn pass(name: &str) {
    let wait = {
        let gates = GATES.lock().unwrap();
        let gate = &gates.as_ref().unwrap()[name];
        let _ = gate.begun.send(());
        gate.wait.clone()
    };
    let _ = wait.lock().unwrap().recv();
}
