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

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(counts: &[(&'static str, u64)]) -> Counters {
        let mut task = TaskCounters::default();
        counts.iter().for_each(|(name, n)| task.add(name, *n));
        task.into()
    }

    #[test]
    fn a_task_adds_up_by_name() {
        let counters = counters(&[("b", 1), ("a", 2), ("b", 3), ("c", 0)]);
        assert!(counters.iter().eq([("a", 2), ("b", 4), ("c", 0)]), "{counters:?}");
        assert_eq!(counters.get("d"), 0);
    }

    #[test]
    fn merging_adds_and_keeps_what_is_in_one_only() {
        let mut all = counters(&[("a", 1), ("b", 2)]);
        all.merge(&counters(&[("b", 3), ("c", 4)]));
        assert_eq!(all, counters(&[("a", 1), ("b", 5), ("c", 4)]));
    }

    #[test]
    fn sums_stop_at_the_end_of_the_range() {
        let mut all = counters(&[("a", u64::MAX), ("a", 1)]);
        assert_eq!(all.get("a"), u64::MAX);
        all.merge(&all.clone());
        all.add("a", 1);
        assert_eq!(all.get("a"), u64::MAX);
    }

    #[test]
    fn counters_survive_the_codec() {
        let counters = counters(&[("a", 1), ("b", u64::MAX)]);
        let mut bytes = Vec::new();
        crate::codec::encode(&counters, &mut bytes).unwrap();
        assert_eq!(crate::codec::decode::<Counters>(&bytes).unwrap(), counters);
    }
}
