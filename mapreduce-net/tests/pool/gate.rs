//! [`Gated`]: a job over numbers whose mapper does what the test says, on whichever peer of this process it runs.

use mapreduce_core::prelude::*;
use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex},
};

type Hook = dyn Fn(u64) -> Result + Send + Sync;

/// Jobs cross the network, closures do not: they wait here under their number.
static HOOKS: LazyLock<Mutex<HashMap<u64, Arc<Hook>>>> = LazyLock::new(Mutex::default);

/// Sums numbers by their last digit; calls its hook ahead of each.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Gated {
    hook: u64,
}

impl Gated {
    pub(crate) fn new(hook: impl Fn(u64) -> Result + Send + Sync + 'static) -> Self {
        let mut hooks = HOOKS.lock().unwrap();
        let number = hooks.len() as u64;
        hooks.insert(number, Arc::new(hook));
        Self { hook: number }
    }
}

pub(crate) struct GatedMapper(Arc<Hook>);

impl Mapper for GatedMapper {
    type Input = Items<u64>;
    type Key = u64;
    type Value = u64;
    fn map(&self, n: &u64, out: &mut impl Emit<u64, u64>) -> Result {
        (self.0)(*n)?;
        out.count("numbers", 1);
        out.emit(&(n % 10), n)
    }
}

impl Job for Gated {
    const NAME: &'static str = "gated";
    type Shared = ();
    type Mapper = GatedMapper;
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
    fn mapper(&self, (): &()) -> Result<GatedMapper> {
        Ok(GatedMapper(HOOKS.lock().unwrap()[&self.hook].clone()))
    }
    fn combiner(&self) -> Sum {
        Sum
    }
    fn reducer(&self, (): &()) -> Result<Fold<Sum>> {
        Ok(Fold(Sum))
    }
}
