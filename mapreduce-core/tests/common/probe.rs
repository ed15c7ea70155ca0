//! [`Probe`]: a job over numbers whose every step is a closure, to fail, count, block and cache at will.

use mapreduce_core::{Partitioner, prelude::*};
use std::sync::Arc;

pub(crate) type Out<'a> = dyn Emit<u64, u64> + 'a;

type Setup = dyn Fn() -> Result + Send + Sync;
type OnSplit = dyn Fn(&mut Split<'_, Items<u64>>) -> Result + Send + Sync;
type Map = dyn Fn(u64, &mut Out<'_>) -> Result + Send + Sync;
type Combine = dyn Fn(&u64, &mut u64, &u64) + Send + Sync;
type Reduce = dyn Fn(u64, &mut Values<'_, u64>, &mut Out<'_>) -> Result + Send + Sync;
type Partition = dyn Fn(u64, u32) -> u32 + Send + Sync;

/// As it comes, sums numbers by their last digit.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Probe {
    #[serde(skip)]
    hooks: Hooks,
}

#[derive(Clone)]
pub(crate) struct Hooks {
    setup: Arc<Setup>,
    split: Arc<OnSplit>,
    map: Arc<Map>,
    combine: Arc<Combine>,
    reduce: Arc<Reduce>,
    partition: Arc<Partition>,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            setup: Arc::new(|| Ok(())),
            split: Arc::new(|_| Ok(())),
            map: Arc::new(by_last_digit),
            combine: Arc::new(|_, into, value| *into += value),
            reduce: Arc::new(sum),
            partition: Arc::new(|key, partitions| (key % u64::from(partitions)) as u32),
        }
    }
}

pub(crate) fn by_last_digit(n: u64, out: &mut Out<'_>) -> Result {
    out.emit(&(n % 10), &n)
}

pub(crate) fn sum(key: u64, values: &mut Values<'_, u64>, out: &mut Out<'_>) -> Result {
    let mut sum = 0;
    while let Some(value) = values.next()? {
        sum += *value;
    }
    out.emit(&key, &sum)
}

impl Probe {
    /// Called when the mapper is made.
    pub(crate) fn on_setup(mut self, setup: impl Fn() -> Result + Send + Sync + 'static) -> Self {
        self.hooks.setup = Arc::new(setup);
        self
    }

    /// Called at the beginning of every map attempt.
    pub(crate) fn on_split(
        mut self,
        split: impl Fn(&mut Split<'_, Items<u64>>) -> Result + Send + Sync + 'static,
    ) -> Self {
        self.hooks.split = Arc::new(split);
        self
    }

    pub(crate) fn on_map(
        mut self,
        map: impl Fn(u64, &mut Out<'_>) -> Result + Send + Sync + 'static,
    ) -> Self {
        self.hooks.map = Arc::new(map);
        self
    }

    pub(crate) fn on_combine(
        mut self,
        combine: impl Fn(&u64, &mut u64, &u64) + Send + Sync + 'static,
    ) -> Self {
        self.hooks.combine = Arc::new(combine);
        self
    }

    pub(crate) fn on_reduce(
        mut self,
        reduce: impl Fn(u64, &mut Values<'_, u64>, &mut Out<'_>) -> Result + Send + Sync + 'static,
    ) -> Self {
        self.hooks.reduce = Arc::new(reduce);
        self
    }

    pub(crate) fn on_partition(
        mut self,
        partition: impl Fn(u64, u32) -> u32 + Send + Sync + 'static,
    ) -> Self {
        self.hooks.partition = Arc::new(partition);
        self
    }
}

impl Mapper for Hooks {
    type Input = Items<u64>;
    type Key = u64;
    type Value = u64;

    fn map(&self, n: &u64, out: &mut impl Emit<u64, u64>) -> Result {
        (self.map)(*n, out)
    }

    fn map_split(&self, split: &mut Split<'_, Items<u64>>, out: &mut impl Emit<u64, u64>) -> Result {
        (self.split)(split)?;
        let progress = split.progress();
        while let Some(block) = split.next_block()? {
            for n in block {
                progress.record();
                (self.map)(*n, out)?;
            }
        }
        Ok(())
    }
}

impl Combiner<u64, u64> for Hooks {
    fn combine(&self, key: &u64, into: &mut u64, value: &u64) {
        (self.combine)(key, into, value);
    }
}

impl Reducer<u64, u64> for Hooks {
    type Key = u64;
    type Value = u64;

    fn reduce(&self, key: &u64, values: &mut Values<'_, u64>, out: &mut impl Emit<u64, u64>) -> Result {
        (self.reduce)(*key, values, out)
    }
}

impl Partitioner<u64> for Hooks {
    fn partition(&self, key: &u64, _: &[u8], partitions: u32) -> u32 {
        (self.partition)(*key, partitions)
    }
}

impl Job for Probe {
    const NAME: &'static str = "probe";
    type Shared = ();
    type Mapper = Hooks;
    type Combiner = Hooks;
    type Reducer = Hooks;

    fn mapper(&self, (): &()) -> Result<Hooks> {
        (self.hooks.setup)()?;
        Ok(self.hooks.clone())
    }

    fn combiner(&self) -> Hooks {
        self.hooks.clone()
    }

    fn reducer(&self, (): &()) -> Result<Hooks> {
        Ok(self.hooks.clone())
    }

    fn partitioner(&self, (): &()) -> Result<Box<dyn Partitioner<u64>>> {
        Ok(Box::new(self.hooks.clone()))
    }
}

/// Numbers in as many splits as asked for, all of the same length.
pub(crate) fn numbers(count: u64, splits: u64) -> Dataset<ItemSlice<u64, Vec<u64>>> {
    let bytes = count / splits * size_of::<u64>() as u64;
    let data = Dataset::with_split_bytes(ItemSlice::new((0..count).collect::<Vec<u64>>()), bytes).unwrap();
    assert_eq!(data.splits().len() as u64, splits);
    data
}

/// What the probe gives for [`numbers`] as it comes.
pub(crate) fn sums(count: u64) -> Vec<(u64, u64)> {
    let mut sums = std::collections::BTreeMap::new();
    for n in 0..count {
        *sums.entry(n % 10).or_default() += n;
    }
    sums.into_iter().collect()
}
