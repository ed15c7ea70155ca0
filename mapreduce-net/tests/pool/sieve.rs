//! [`Sieve`]: a job with side outputs whose mapper and reducer do what the test says, on whichever peer of this process.

use mapreduce_core::prelude::*;
use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex},
};

/// Where the job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// At a number.
    Map(u64),
    /// At a key, of which the sum has been written.
    Reduce(u64),
}

type Hook = dyn Fn(At) -> Result + Send + Sync;

/// Jobs cross the network, closures do not: they wait here under their number.
static HOOKS: LazyLock<Mutex<HashMap<u64, Arc<Hook>>>> = LazyLock::new(Mutex::default);

/// Sums numbers by their last two digits. Multiples of 7 are lines of a side output, and so are odd keys.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Sieve {
    hook: u64,
}

impl Sieve {
    pub(crate) fn new(hook: impl Fn(At) -> Result + Send + Sync + 'static) -> Self {
        let mut hooks = HOOKS.lock().unwrap();
        let number = hooks.len() as u64;
        hooks.insert(number, Arc::new(hook));
        Self { hook: number }
    }

    fn parts(&self) -> Parts {
        Parts(HOOKS.lock().unwrap()[&self.hook].clone())
    }
}

/// The mapper and the reducer.
pub(crate) struct Parts(Arc<Hook>);

impl Mapper for Parts {
    type Input = Items<u64>;
    type Key = u64;
    type Value = u64;
    fn map(&self, n: &u64, out: &mut impl Emit<u64, u64>) -> Result {
        (self.0)(At::Map(*n))?;
        if n.is_multiple_of(7) {
            out.side("sevens", n.to_string().as_bytes())?;
        }
        out.count("numbers", 1);
        out.emit(&(n % 100), n)
    }
}

impl Reducer<u64, u64> for Parts {
    type Key = u64;
    type Value = String;
    fn reduce(&self, key: &u64, values: &mut Values<'_, u64>, out: &mut impl Emit<u64, String>) -> Result {
        let mut sum = 0;
        while let Some(n) = values.next()? {
            sum += *n;
        }
        if key % 2 == 1 {
            out.side("odd", format!("{key} is odd").as_bytes())?;
        }
        out.emit(key, &format!("the sum, \"{sum}\""))?;
        (self.0)(At::Reduce(*key))
    }
}

impl Job for Sieve {
    const NAME: &'static str = "sieve";
    const SIDE_OUTPUTS: &'static [&'static str] = &["odd", "sevens"];
    type Shared = ();
    type Mapper = Parts;
    type Combiner = NoCombiner;
    type Reducer = Parts;
    fn mapper(&self, (): &()) -> Result<Parts> {
        Ok(self.parts())
    }
    fn combiner(&self) -> NoCombiner {
        NoCombiner
    }
    fn reducer(&self, (): &()) -> Result<Parts> {
        Ok(self.parts())
    }
}
