//! Megabytes a second of a shuffle between two peers, against the same bytes on bare streams of the same transport.
//!
//! `cargo run --release -p benches --bin pool_shuffle [-- MEGABYTES [RUNS [PARTITIONS]]]`
//!
//! Map tasks make MEGABYTES of values of 64 KiB in all, on two peers with one thread each; reduce tasks count them. Half of
//! the bytes cross from one process to the other, a quarter in each direction. The shuffle's time is that from the last
//! map task's end to the last reduce task's. The bare streams carry a quarter in each direction at once, and then half in
//! one direction. They take turns. Prints the rate over the wire of each run, the medians, and the ratio; bar: 80 % of the
//! streams in both directions.

use benches::{
    Failure,
    bare::Bare,
    distribution::Distribution,
    processes::{self, Peers},
};
use mapreduce_core::{Registry, engine::whole, prelude::*, schedule::Event};
use mapreduce_net::{PoolOptions, transport::Channel};
use std::time::{Duration, Instant};

const VALUE_BYTES: usize = 64 << 10;
const TASKS: usize = 32;

/// Emits as many values as a record says, under keys that fall into all partitions alike.
#[derive(Clone, Serialize, Deserialize)]
struct Large;

impl Mapper for Large {
    type Input = Items<u64>;
    type Key = u64;
    type Value = [u8];
    fn map(&self, values: &u64, out: &mut impl Emit<u64, [u8]>) -> Result {
        let value = vec![7; VALUE_BYTES];
        (0..*values).try_for_each(|key| out.emit(&key, &value))
    }
}

/// Counts the values of a key.
#[derive(Default)]
struct Count;

impl Reducer<u64, [u8]> for Count {
    type Key = u64;
    type Value = u64;
    fn reduce(&self, key: &u64, values: &mut Values<'_, [u8]>, out: &mut impl Emit<u64, u64>) -> Result {
        let mut count = 0;
        while values.next()?.is_some() {
            count += 1;
        }
        out.emit(key, &count)
    }
}

impl SimpleJob for Large {
    const NAME: &'static str = "large";
    type Combiner = NoCombiner;
    type Reducer = Count;
}

/// The phases of a run.
struct Phases {
    maps: Duration,
    /// From the last map task to the first reduce task.
    first_reduce: Duration,
    /// From there to the last one.
    other_reduces: Duration,
}

impl Phases {
    fn shuffle(&self) -> Duration {
        self.first_reduce + self.other_reduces
    }
}

fn main() -> Result<(), Failure> {
    let Some(arguments) = processes::arguments(|| Registry::new().with::<Large>())? else { return Ok(()) };
    let mut numbers = arguments.iter().map(|argument| argument.parse::<usize>());
    let megabytes = numbers.next().transpose()?.unwrap_or(400);
    let runs = numbers.next().transpose()?.unwrap_or(5);
    let partitions = numbers.next().transpose()?.unwrap_or(16);

    let each = (megabytes * 1_000_000 / VALUE_BYTES / TASKS) as u64;
    let bytes = each as usize * TASKS * VALUE_BYTES;
    let peers = Peers::start(2, 1)?;
    let pool = peers.connect(PoolOptions::default())?;
    let bare = Bare::connect(Channel::Data)?;
    let options = Options { partitions: Some(u32::try_from(partitions)?), ..Options::default() };

    let rate = |bytes: usize, time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
    println!(
        "a shuffle of {} MB in {partitions} partitions, half of it between two peers",
        bytes / 1_000_000
    );
    let (mut shuffles, mut both_ways, mut one_way) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..=runs {
        let phases = shuffle(&pool, each, &options)?;
        let both = bare.transfer(bytes / 4, true)?;
        let one = bare.transfer(bytes / 2, false)?;
        // The first run warms up.
        if run > 0 {
            println!(
                "  run {run}: shuffle {:.0} MB/s (maps {:.3} s, first reduce task {:.3} s, others {:.3} s), bare streams {:.0} MB/s both ways, {:.0} MB/s one way",
                rate(bytes / 2, phases.shuffle()),
                phases.maps.as_secs_f64(),
                phases.first_reduce.as_secs_f64(),
                phases.other_reduces.as_secs_f64(),
                rate(bytes / 2, both),
                rate(bytes / 2, one),
            );
            shuffles.push(phases.shuffle());
            both_ways.push(both);
            one_way.push(one);
        }
    }
    let [shuffle, both, one] =
        [shuffles, both_ways, one_way].map(|times| rate(bytes / 2, Distribution::new(times).median()));
    println!(
        "medians: shuffle {shuffle:.0} MB/s, bare streams {both:.0} MB/s both ways, {one:.0} MB/s one way: {:.0} % and {:.0} %",
        shuffle / both * 100.0,
        shuffle / one * 100.0
    );
    Ok(())
}

fn shuffle(engine: &impl Engine, each: u64, options: &Options) -> Result<Phases, Failure> {
    let items = vec![each; TASKS];
    let data = Dataset::with_split_bytes(ItemSlice::new(&items), 8)?;
    assert_eq!(data.splits().len(), TASKS);
    let start = Instant::now();
    let (mut maps, mut reduces) = (start, Vec::new());
    let output = whole::run(engine, &Large, &(), &data, options, &mut |event| match event {
        Event::MapsFinished { .. } => {
            maps = Instant::now();
            reduces.clear();
        }
        Event::TaskCommitted { .. } => reduces.push(Instant::now()),
        _ => {}
    })?;
    assert!(output.pairs.iter().all(|&(_, count)| count == TASKS as u64), "every value has come");
    assert_eq!(output.pairs.len() as u64, each);
    match reduces[..] {
        [first, .., last] => {
            Ok(Phases { maps: maps - start, first_reduce: first - maps, other_reduces: last - first })
        }
        _ => Err("a shuffle needs at least two partitions".into()),
    }
}
