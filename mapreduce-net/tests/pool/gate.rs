//! [`Hook`]: what a test does in the middle of a job, on whichever peer of this process that is. [`Gated`]: a job over
//! numbers that has one.

use mapreduce_core::prelude::*;
use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

type Step = dyn Fn(u64) -> Result + Send + Sync;

/// Jobs cross the network, closures do not: they wait here under their number.
static STEPS: LazyLock<Mutex<HashMap<u64, Arc<Step>>>> = LazyLock::new(Mutex::default);

/// A closure that a job calls; as it comes, it does nothing.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Hook(Option<u64>);

impl Hook {
    pub(crate) fn new(step: impl Fn(u64) -> Result + Send + Sync + 'static) -> Self {
        let mut steps = STEPS.lock().unwrap();
        let number = steps.len() as u64;
        steps.insert(number, Arc::new(step));
        Self(Some(number))
    }

    /// Says when it is called for `at`, and goes on when it is told to.
    pub(crate) fn gate(at: u64) -> (Self, mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (reached, is_reached) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel();
        let may_go_on = Mutex::new(may_go_on);
        let first = AtomicBool::new(true);
        let hook = Self::new(move |n| {
            if n == at && first.swap(false, Ordering::AcqRel) {
                reached.send(())?;
                // An error when the sender is gone: then nobody waits any more.
                let _ = may_go_on.lock().unwrap().recv();
            }
            Ok(())
        });
        (hook, is_reached, go_on)
    }

    pub(crate) fn call(&self, n: u64) -> Result {
        let step = self.0.map(|number| STEPS.lock().unwrap()[&number].clone());
        step.map_or(Ok(()), |step| step(n))
    }
}

/// Sums numbers by their last digit; calls its hook ahead of each.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Gated(Hook);

impl Gated {
    pub(crate) fn new(step: impl Fn(u64) -> Result + Send + Sync + 'static) -> Self {
        Self(Hook::new(step))
    }

    /// With a [gate](Hook::gate).
    pub(crate) fn at(number: u64) -> (Self, mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (hook, is_reached, go_on) = Hook::gate(number);
        (Self(hook), is_reached, go_on)
    }
}

impl Mapper for Gated {
    type Input = Items<u64>;
    type Key = u64;
    type Value = u64;
    fn map(&self, n: &u64, out: &mut impl Emit<u64, u64>) -> Result {
        self.0.call(*n)?;
        out.count("numbers", 1);
        out.emit(&(n % 10), n)
    }
}

impl SimpleJob for Gated {
    const NAME: &'static str = "gated";
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}
