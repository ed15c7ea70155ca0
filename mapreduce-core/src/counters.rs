//! [`Counters`]: what user code has counted.

use std::{borrow::Cow, collections::BTreeMap};

/// Named sums. A job's counters hold what its committed attempts have counted, each task once.
///
/// ```
/// use mapreduce_core::Counters;
///
/// let mut counters = Counters::default();
/// counters.add("words", 2);
/// counters.add("words", 1);
/// assert_eq!((counters.get("words"), counters.get("lines")), (3, 0));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counters(BTreeMap<Cow<'static, str>, u64>);

impl Counters {
    /// The value of a counter; 0 if nothing was counted under that name.
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Adds to a counter. Sums stop at `u64::MAX`.
    pub fn add(&mut self, name: &'static str, n: u64) {
        self.add_to(Cow::Borrowed(name), n);
    }

    /// Adds all counters of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (name, n) in &other.0 {
            self.add_to(name.clone(), *n);
        }
    }

    /// Names and values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, n)| (&**name, *n))
    }

    fn add_to(&mut self, name: Cow<'static, str>, n: u64) {
        let sum = self.0.entry(name).or_default();
        *sum = sum.saturating_add(n);
    }
}

/// The counters of one task, while it runs: a handful, counted often.
#[derive(Debug, Default)]
pub(crate) struct TaskCounters(Vec<(&'static str, u64)>);

impl TaskCounters {
    pub(crate) fn add(&mut self, name: &'static str, n: u64) {
        match self.0.iter_mut().find(|(known, _)| std::ptr::eq(*known, name) || *known == name) {
            Some((_, sum)) => *sum = sum.saturating_add(n),
            None => self.0.push((name, n)),
        }
    }
}

impl From<TaskCounters> for Counters {
    fn from(task: TaskCounters) -> Self {
        let mut counters = Self::default();
        for (name, n) in task.0 {
            counters.add(name, n);
        }
        counters
    }
}
