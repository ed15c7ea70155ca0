//! Two inputs as one, and joins: compared with nested loops over maps.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::{Folder, engine, engines};
use mapreduce_core::{
    Error, FailureKind, Input, InputOf, JoinError, Mapper, ReadError, Records, Reducer, RowBlock, Schema,
    engine::ship, input::Piece, prelude::*,
};
use proptest::{collection::vec, prelude::*};
use std::{collections::BTreeMap, marker::PhantomData};

type User = (u8, String);
type Order = (u8, i32);
type Users<'a> = ItemSlice<User, &'a [User]>;
type Orders<'a> = ItemSlice<Order, &'a [Order]>;

/// Joins users with their orders by the join `R`, of which a key may have `left_max` left values.
#[derive(Clone, Serialize, Deserialize)]
struct Join<R>(Option<usize>, PhantomData<fn() -> R>);

struct ByUser;

impl Mapper for ByUser {
    type Input = Either<Items<User>, Items<Order>>;
    type Key = u8;
    type Value = Either<String, i32>;
    fn map(&self, record: Either<&User, &Order>, out: &mut impl Emit<u8, Self::Value>) -> Result {
        match record {
            Either::Left((user, name)) => out.emit(user, &Either::Left(name.clone())),
            Either::Right((user, amount)) => out.emit(user, &Either::Right(*amount)),
        }
    }
}

trait Make: Reducer<u8, Either<String, i32>> + Clone + Default {
    fn at_most(left_max: usize) -> Self;
}

macro_rules! make {
    ($($join:ident)*) => {$(
        impl Make for $join {
            fn at_most(left_max: usize) -> Self {
                Self { left_max, ..Self::default() }
            }
        }
    )*};
}
make!(InnerJoin LeftJoin FullJoin);

impl<R: Make> Job for Join<R> {
    const NAME: &'static str = "join";
    type Shared = ();
    type Mapper = ByUser;
    type Combiner = NoCombiner;
    type Reducer = R;
    fn mapper(&self, (): &()) -> Result<ByUser> {
        Ok(ByUser)
    }
    fn combiner(&self) -> NoCombiner {
        NoCombiner
    }
    fn reducer(&self, (): &()) -> Result<R> {
        Ok(self.0.map_or_else(R::default, R::at_most))
    }
}

fn join<R>() -> Join<R> {
    Join(None, PhantomData)
}

/// All keys with what each side has of them, in order.
fn grouped(users: &[User], orders: &[Order]) -> BTreeMap<u8, (Vec<String>, Vec<i32>)> {
    let mut groups = BTreeMap::<u8, (Vec<String>, Vec<i32>)>::new();
    users.iter().for_each(|(user, name)| groups.entry(*user).or_default().0.push(name.clone()));
    orders.iter().for_each(|(user, amount)| groups.entry(*user).or_default().1.push(*amount));
    groups
}

/// A row of a full join.
type FullRow = (u8, (Option<String>, Option<i32>));

/// The full join: the inner rows of a key, or what is on one side only.
fn full_rows(users: &[User], orders: &[Order]) -> Vec<FullRow> {
    let mut rows = Vec::new();
    for (key, (names, amounts)) in grouped(users, orders) {
        for amount in &amounts {
            rows.extend(names.iter().map(|name| (key, (Some(name.clone()), Some(*amount)))));
        }
        if amounts.is_empty() {
            rows.extend(names.into_iter().map(|name| (key, (Some(name), None))));
        } else if names.is_empty() {
            rows.extend(amounts.into_iter().map(|amount| (key, (None, Some(amount)))));
        }
    }
    rows
}

fn both<'a>(users: &'a [User], orders: &'a [Order]) -> Both<Users<'a>, Orders<'a>> {
    Both::new(ItemSlice::new(users), ItemSlice::new(orders))
}

/// What a join gives, by key: partitions are in no order.
fn run<R: Make>(
    users: &[User],
    orders: &[Order],
    engine: &Local,
    partitions: u32,
    split_bytes: u64,
) -> Vec<mapreduce_core::output::OutputPair<Join<R>>>
where
    R::Key: ToOwned<Owned = u8>,
{
    let data = Dataset::with_split_bytes(both(users, orders), split_bytes).unwrap();
    let options = Options { partitions: Some(partitions), ..Options::default() };
    let mut pairs = engine.run_with(&join::<R>(), &(), &data, &options).unwrap().pairs;
    pairs.sort_by_key(|(key, _)| *key);
    pairs
}

fn users() -> impl Strategy<Value = Vec<User>> {
    vec((0..12u8, "[a-c]{0,2}"), 0..20)
}

fn orders() -> impl Strategy<Value = Vec<Order>> {
    vec((0..12u8, any::<i32>()), 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn joins_give_what_nested_loops_give(
        users in users(),
        orders in orders(),
        partitions in 1..5u32,
        split_bytes in prop_oneof![Just(1u64), Just(50), Just(u64::MAX)],
    ) {
        let full = full_rows(&users, &orders);
        let left: Vec<_> =
            full.iter().filter_map(|(key, (l, r))| Some((*key, (l.clone()?, *r)))).collect();
        let inner: Vec<_> = left.iter().filter_map(|(key, (l, r))| Some((*key, (l.clone(), (*r)?)))).collect();
        for engine in engines() {
            prop_assert_eq!(&run::<FullJoin>(&users, &orders, engine, partitions, split_bytes), &full);
            prop_assert_eq!(&run::<LeftJoin>(&users, &orders, engine, partitions, split_bytes), &left);
            prop_assert_eq!(&run::<InnerJoin>(&users, &orders, engine, partitions, split_bytes), &inner);
        }
    }

    #[test]
    fn both_inputs_are_sent_as_they_are_read(users in users(), orders in orders(), split_bytes in 1..200u64) {
        let data = Dataset::with_split_bytes(both(&users, &orders), split_bytes).unwrap();
        let mut records = Vec::new();
        for split in 0..data.splits().len() as u32 {
            ship(&data, split, &mut |chunk| {
                let mut buffer = Default::default();
                let block = <InputOf<Join<InnerJoin>> as Records>::block(&((), ()), chunk, &mut buffer).unwrap();
                records.extend(block.into_iter().map(|record| match record {
                    Either::Left(user) => Either::Left(user.clone()),
                    Either::Right(order) => Either::Right(*order),
                }));
            })
            .unwrap();
        }
        let expected = users.iter().cloned().map(Either::Left).chain(orders.iter().copied().map(Either::Right));
        prop_assert!(records.into_iter().eq(expected));
    }
}

#[test]
fn a_key_with_too_many_left_values_fails_the_job_with_a_way_out() {
    let users: Vec<User> = (0..5).map(|n| (7, n.to_string())).collect();
    let data = Dataset::new(both(&users, &[])).unwrap();
    let run = |left_max| engine().run(&Join::<LeftJoin>(Some(left_max), PhantomData), &(), &data);
    assert_eq!(run(5).unwrap().pairs.len(), 5);
    let Err(Error::Task(error)) = run(4) else { panic!("joined") };
    assert_eq!(error.failure.kind, FailureKind::User);
    assert_eq!(error.failure.message, JoinError::LeftTooLong { max: 4 }.to_string());
    assert!(error.failure.place.contains("key \"\\x07\""), "{error}");
    assert!(error.to_string().contains("put this input on the right"), "{error}");
}

/// A few values may be as large as very many.
#[test]
fn a_key_with_too_large_left_values_fails_the_job_with_a_way_out() {
    #[derive(Clone, Serialize, Deserialize)]
    struct Bounded(usize);
    impl Job for Bounded {
        const NAME: &'static str = "bounded";
        type Shared = ();
        type Mapper = ByUser;
        type Combiner = NoCombiner;
        type Reducer = FullJoin;
        fn mapper(&self, (): &()) -> Result<ByUser> {
            Ok(ByUser)
        }
        fn combiner(&self) -> NoCombiner {
            NoCombiner
        }
        fn reducer(&self, (): &()) -> Result<FullJoin> {
            Ok(FullJoin { left_bytes_max: self.0, ..FullJoin::default() })
        }
    }
    let users: Vec<User> = [1, 1, 2].map(|user| (user, "x".repeat(1_000))).to_vec();
    let orders: Vec<Order> = (0..100).map(|n| (2, n)).collect();
    let data = Dataset::new(both(&users, &orders)).unwrap();
    // Bounded is what one key has on the left, however much the others have, and the right.
    assert_eq!(engine().run(&Bounded(2_100), &(), &data).unwrap().pairs.len(), 102);
    let Err(Error::Task(error)) = engine().run(&Bounded(1_900), &(), &data) else { panic!("joined") };
    assert_eq!(error.failure.message, JoinError::LeftTooLarge { bytes_max: 1_900 }.to_string());
    assert!(error.failure.place.contains("key \"\\x01\""), "{error}");
    assert!(error.to_string().contains("a larger `left_bytes_max`"), "{error}");
}

/// Emits values of the wrong sides.
#[derive(Clone, Serialize, Deserialize)]
struct Crossed;

impl Mapper for Crossed {
    type Input = Either<Items<User>, Items<Order>>;
    type Key = u8;
    type Value = Either<i32, i32>;
    fn map(&self, record: Either<&User, &Order>, out: &mut impl Emit<u8, Self::Value>) -> Result {
        out.emit(&0, &if matches!(record, Either::Left(_)) { Either::Right(1) } else { Either::Left(2) })
    }
}

impl SimpleJob for Crossed {
    const NAME: &'static str = "crossed";
    type Combiner = NoCombiner;
    type Reducer = InnerJoin;
}

#[test]
fn a_left_value_behind_a_right_one_is_an_error_and_not_left_out() {
    let (users, orders) = ([(1, "ada".to_string())], [(1, 5)]);
    let Err(Error::Task(error)) = engine().run(&Crossed, &(), &Dataset::new(both(&users, &orders)).unwrap())
    else {
        panic!("joined")
    };
    assert_eq!(error.failure.message, JoinError::LeftAfterRight.to_string());
}

/// Joins lines of text with rows of numbers by the number of their words.
#[derive(Clone, Serialize, Deserialize)]
struct Mixed;

impl Mapper for Mixed {
    type Input = Either<Utf8Lines, Rows<f64>>;
    type Key = u64;
    type Value = Either<String, f64>;
    fn map(&self, record: Either<&str, &[f64]>, out: &mut impl Emit<u64, Self::Value>) -> Result {
        match record {
            Either::Left(line) => {
                out.emit(&(line.split(' ').count() as u64), &Either::Left(line.to_string()))
            }
            Either::Right(row) => out.emit(&(row[0] as u64), &Either::Right(row[1])),
        }
    }
}

impl SimpleJob for Mixed {
    const NAME: &'static str = "mixed";
    type Combiner = NoCombiner;
    type Reducer = InnerJoin;
}

#[test]
fn inputs_of_any_two_kinds_can_be_joined() {
    let folder = Folder::new();
    let lines = TextFiles::open([folder.file("lines", "to be\nor\nnot to be\nthat is\n")]).unwrap();
    let rows = RowSlice::new([2.0, 0.5, 9.0, 1.0, 3.0, 0.25], 2).unwrap();
    let data = Dataset::with_split_bytes(Both::new(lines, rows), 8).unwrap();
    let pairs = engine().run(&Mixed, &(), &data).unwrap().pairs;
    let row = |words, line: &str, number| (words, (line.to_string(), number));
    assert_eq!(pairs, [row(2, "to be", 0.5), row(2, "that is", 0.5), row(3, "not to be", 0.25)]);
}

#[test]
fn numbers_keep_their_place_in_memory_when_they_are_sent() {
    let both = Both::new(RowSlice::new([1u64, 2, 3, 4], 2).unwrap(), RowSlice::new([5u64, 6], 2).unwrap());
    let data = Dataset::new(both).unwrap();
    let mut seen = Vec::new();
    for split in 0..data.splits().len() as u32 {
        ship(&data, split, &mut |chunk| {
            let mut buffer = Default::default();
            let block =
                <Either<Rows<u64>, Rows<u64>> as Records>::block(&(2, 2), chunk, &mut buffer).unwrap();
            let (Either::Left(RowBlock { values, .. }) | Either::Right(RowBlock { values, .. })) = block;
            seen.extend_from_slice(values);
        })
        .unwrap();
    }
    assert_eq!(seen, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_block_that_is_of_neither_input_is_refused() {
    for chunk in [&b""[..], b"\x02", b"ab\xff"] {
        let mut buffer = Default::default();
        let error = <Either<Lines, Lines> as Records>::block(&((), ()), chunk, &mut buffer).err().unwrap();
        assert!(matches!(&error, ReadError::Malformed { .. }), "{error}");
    }
}

#[test]
fn splits_are_described_in_the_words_of_the_input_they_are_of() {
    let (users, orders) = ([(1, "ada".to_string())], [(1, 5), (2, 6)]);
    let both = both(&users, &orders);
    let splits = both.splits(None).unwrap();
    let said: Vec<String> = splits.iter().map(|split| both.describe(split)).collect();
    assert_eq!(said, ["items 0 to 1", "items 0 to 1", "items 1 to 2"]);

    let mut foreign = splits[0].clone();
    foreign.pieces = vec![Piece { source: 2, range: 0..1 }];
    assert_eq!(both.describe(&foreign), "a split of other inputs");
    assert!(matches!(both.open(&foreign), Err(ReadError::Malformed { .. })));
    foreign.pieces = vec![Piece { source: 1, range: 2..3 }];
    assert!(matches!(both.ship(&foreign, &mut |_| {}), Err(ReadError::Malformed { .. })));
}

#[test]
fn inputs_are_cut_in_one_way_only() {
    let users: Vec<User> = (0..9).map(|n| (n, String::new())).collect();
    let both = both(&users, &[]);
    let first = both.splits(Some(1)).unwrap();
    assert_eq!(both.splits(Some(1)).unwrap(), first);
    let error = both.splits(Some(u64::MAX)).unwrap_err().to_string();
    assert!(error.contains("make a new `Both`"), "{error}");
    assert_eq!(both.clone().splits(Some(u64::MAX)).unwrap().len(), 1);
}

#[test]
fn three_inputs_are_two_of_which_one_is_two() {
    #[derive(Clone, Serialize, Deserialize)]
    struct Labelled;
    impl Mapper for Labelled {
        type Input = Either<Items<u32>, Either<Items<char>, Utf8Lines>>;
        type Key = u8;
        type Value = String;
        fn map(&self, record: Either<&u32, Either<&char, &str>>, out: &mut impl Emit<u8, String>) -> Result {
            match record {
                Either::Left(n) => out.emit(&0, &n.to_string()),
                Either::Right(Either::Left(c)) => out.emit(&0, &c.to_string()),
                Either::Right(Either::Right(line)) => out.emit(&0, &line.to_string()),
            }
        }
    }
    impl SimpleJob for Labelled {
        const NAME: &'static str = "labelled";
        type Combiner = NoCombiner;
        type Reducer = Identity;
    }
    let folder = Folder::new();
    let lines = TextFiles::open([folder.file("lines", "to be\n")]).unwrap();
    let three = Both::new(ItemSlice::new([1u32, 2]), Both::new(ItemSlice::new(['x']), lines));
    let pairs = engine().run(&Labelled, &(), &Dataset::new(three).unwrap()).unwrap().pairs;
    let values: Vec<&str> = pairs.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(values, ["1", "2", "x", "to be"]);
}

#[test]
fn what_two_inputs_hold_is_part_of_what_a_job_is() {
    let schema = |add: fn(&mut Schema)| {
        let mut schema = Schema::new();
        add(&mut schema);
        schema.as_str().to_string()
    };
    let one = schema(<Either<Lines, Items<u8>> as Records>::schema);
    assert_eq!(one, "either (lines) or (items u8)");
    assert_ne!(one, schema(<Either<Lines, Items<u16>> as Records>::schema));
}
