//! Joins on pools: the two inputs are of different kinds, and each is sent by the driver.

use super::{
    common::{Folder, oracle},
    connect,
    gate::Hook,
    outputs::{check, engines},
    pool, quick_pool,
};
use mapreduce_core::{Mapper, TextFiles, prelude::*};
use mapreduce_net::PoolOptions;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

type Order = (u32, i64);
type Sides = Either<String, i64>;

/// Users are lines such as `7 ada`.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct ByUser {
    hook: Hook,
}

impl Mapper for ByUser {
    type Input = Either<Utf8Lines, Items<Order>>;
    type Key = u32;
    type Value = Sides;
    fn map(&self, record: Either<&str, &Order>, out: &mut impl Emit<u32, Sides>) -> Result {
        match record {
            Either::Left(line) => {
                let (id, name) = line.split_once(' ').ok_or("a user is an id and a name")?;
                out.count("users", 1);
                out.emit(&id.parse()?, &Either::Left(name.to_string()))
            }
            Either::Right((id, amount)) => {
                self.hook.call(*amount as u64)?;
                out.count("orders", 1);
                out.emit(id, &Either::Right(*amount))
            }
        }
    }
}

macro_rules! joins {
    ($($job:ident $name:literal $join:ident;)*) => {$(
        #[derive(Clone, Default, Serialize, Deserialize)]
        pub(super) struct $job(ByUser);

        impl Job for $job {
            const NAME: &'static str = $name;
            type Shared = ();
            type Mapper = ByUser;
            type Combiner = NoCombiner;
            type Reducer = $join;
            fn mapper(&self, (): &()) -> Result<ByUser> {
                Ok(self.0.clone())
            }
            fn combiner(&self) -> NoCombiner {
                NoCombiner
            }
            fn reducer(&self, (): &()) -> Result<$join> {
                Ok($join::default())
            }
        }
    )*};
}
joins! {
    Inner "inner" InnerJoin;
    LeftOuter "left-outer" LeftJoin;
    Full "full" FullJoin;
}

/// Every user id up to 400 but those that three divides; orders of ids up to 500, most of them of a few.
fn users() -> String {
    (0..400).filter(|id| id % 3 != 0).map(|id| format!("{id} user{id}\n")).collect()
}

fn orders() -> Vec<Order> {
    (0..4_000u32).map(|n| (n * n % 500, i64::from(n))).collect()
}

#[test]
fn joins_give_the_same_bits_on_any_pool() {
    let folder = Folder::new();
    let text = users();
    let (first, second) = text.split_at(text.find("200 ").unwrap());
    let users = TextFiles::open(folder.files(&[first, second])).unwrap();
    let both = Both::new(users, ItemSlice::new(orders()));
    let pools = [1, 2, 5].map(pool);
    let engines = engines(&pools);
    check(&engines, &Inner::default(), &(), &both, 3_000);
    check(&engines, &LeftOuter::default(), &(), &both, 3_000);
    check(&engines, &Full::default(), &(), &both, 3_000);
}

/// Orders that are lines as well.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct OfLines;

impl Mapper for OfLines {
    type Input = Either<Utf8Lines, Utf8Lines>;
    type Key = u32;
    type Value = Either<String, String>;
    fn map(&self, record: Either<&str, &str>, out: &mut impl Emit<u32, Self::Value>) -> Result {
        let (Either::Left(line) | Either::Right(line)) = record;
        let (id, rest) = line.split_once(' ').ok_or("a line is an id and more")?;
        let value = match record {
            Either::Left(_) => Either::Left(rest.to_string()),
            Either::Right(_) => Either::Right(rest.to_string()),
        };
        out.emit(&id.parse()?, &value)
    }
}

impl SimpleJob for OfLines {
    const NAME: &'static str = "of-lines";
    type Combiner = NoCombiner;
    type Reducer = LeftJoin;
}

#[test]
fn both_inputs_of_a_join_are_read_from_shared_storage() {
    let folder = Folder::new();
    let orders: String = orders().into_iter().map(|(id, amount)| format!("{id} {amount}\n")).collect();
    let [users, orders] = [folder.file("users", users()), folder.file("orders", orders)];
    let both = Both::new(TextFiles::open([users]).unwrap(), TextFiles::open([&orders]).unwrap());
    let expected = oracle::expect(&OfLines, &(), &both.clone(), 3).unwrap();
    let data = Dataset::with_split_bytes(both, 3_000).unwrap().on_shared_storage().unwrap();
    let options = Options { partitions: Some(3), ..Options::default() };
    let pools = [1, 2, 5].map(pool);
    let engines = engines(&pools);
    for engine in &engines {
        let output = engine.run_with(&OfLines, &(), &data, &options).unwrap();
        assert!(oracle::encoded(&output) == expected);
    }
    std::fs::write(orders, "1 2\n").unwrap();
    let impatient = PoolOptions { no_peers_timeout: Duration::from_millis(200), ..PoolOptions::default() };
    let engine = pools[0].connect_with(impatient).unwrap();
    let error = engine.run_with(&OfLines, &(), &data, &options).unwrap_err().to_string();
    assert!(error.contains("orders"), "{error}");
}

/// A row of a full join.
type FullRow = (u32, (Option<String>, Option<i64>));

/// The rows of a full join as nested loops give them.
fn full_rows() -> Vec<FullRow> {
    let mut groups = BTreeMap::<u32, (Vec<String>, Vec<i64>)>::new();
    for line in users().lines() {
        let (id, name) = line.split_once(' ').unwrap();
        groups.entry(id.parse().unwrap()).or_default().0.push(name.to_string());
    }
    orders().into_iter().for_each(|(id, amount)| groups.entry(id).or_default().1.push(amount));
    let mut rows = Vec::new();
    for (id, (names, amounts)) in groups {
        match (names.as_slice(), amounts.as_slice()) {
            ([name], []) => rows.push((id, (Some(name.clone()), None))),
            (names, amounts) => {
                rows.extend(amounts.iter().map(|amount| (id, (names.first().cloned(), Some(*amount)))));
            }
        }
    }
    rows
}

#[test]
fn a_join_survives_a_peer_that_is_killed() {
    let folder = Folder::new();
    let file = folder.file("users", users());
    for victim in 0..3 {
        let mut pool = quick_pool(3);
        let engine = connect(&pool, 0);
        let (hook, is_reached, go_on) = Hook::gate(2_000);
        let both = Both::new(TextFiles::open([&file]).unwrap(), ItemSlice::new(orders()));
        let data = Arc::new(Dataset::with_split_bytes(both, 2_000).unwrap());
        let options = Options { partitions: Some(3), ..Options::default() };
        let handle = engine.submit(Full(ByUser { hook }), (), data, options).unwrap();
        is_reached.recv().unwrap();
        pool.kill(victim);
        drop(go_on);
        let mut output = handle.wait().unwrap();
        output.pairs.sort_by_key(|(id, _)| *id);
        assert!(output.pairs == full_rows(), "victim {victim}");
        assert_eq!((output.counters.get("users"), output.counters.get("orders")), (266, 4_000));
    }
}
