//! Keys that group by one part and sort by another.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::engines;
use mapreduce_core::{CodecError, KeyPart, RangePartitioner, prelude::*};
use proptest::{collection::vec, prelude::*};
use std::{cmp::Reverse, collections::BTreeMap};

type Visit = (String, i16, u32);

/// The visits of each user in the order of time.
#[derive(Clone, Serialize, Deserialize)]
struct Visits;

impl Mapper for Visits {
    type Input = Items<Visit>;
    type Key = Sorted<String, i16>;
    type Value = u32;
    fn map(&self, (user, time, page): &Visit, out: &mut impl Emit<Self::Key, u32>) -> Result {
        out.emit(&Sorted(user.clone(), *time), page)
    }
}

/// The first time and all pages of a user.
#[derive(Default)]
struct Listed;

impl Reducer<Sorted<String, i16>, u32> for Listed {
    type Key = String;
    type Value = (i16, Vec<u32>);
    fn reduce(
        &self,
        Sorted(user, first): &Sorted<String, i16>,
        pages: &mut Values<'_, u32>,
        out: &mut impl Emit<String, (i16, Vec<u32>)>,
    ) -> Result {
        let mut all = Vec::new();
        while let Some(page) = pages.next()? {
            all.push(*page);
        }
        out.emit(user, &(*first, all))
    }
}

impl SimpleJob for Visits {
    const NAME: &'static str = "visits";
    type Combiner = NoCombiner;
    type Reducer = Listed;
}

/// A stable sort of each user's visits by time.
fn expected(visits: &[Visit]) -> BTreeMap<String, (i16, Vec<u32>)> {
    let mut by_user = BTreeMap::<String, Vec<(i16, u32)>>::new();
    visits
        .iter()
        .for_each(|(user, time, page)| by_user.entry(user.clone()).or_default().push((*time, *page)));
    let sorted = by_user.into_iter().map(|(user, mut visits)| {
        visits.sort_by_key(|(time, _)| *time);
        (user, (visits[0].0, visits.into_iter().map(|(_, page)| page).collect()))
    });
    sorted.collect()
}

fn user() -> impl Strategy<Value = String> {
    // Names that are the beginning of others, and bytes that the encoding escapes.
    vec(prop_oneof![Just('a'), Just('b'), Just('\0'), Just('\u{1}')], 0..3).prop_map(String::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn values_of_a_group_come_in_the_order_of_the_second_part(
        visits in vec((user(), -3..3i16, any::<u32>()), 0..60),
        partitions in 1..5u32,
        split_bytes in prop_oneof![Just(1u64), Just(200), Just(u64::MAX)],
    ) {
        let data = Dataset::with_split_bytes(ItemSlice::new(&visits), split_bytes).unwrap();
        let options = Options { partitions: Some(partitions), ..Options::default() };
        let expected = expected(&visits);
        for engine in engines() {
            let output = engine.run_with(&Visits, &(), &data, &options).unwrap();
            prop_assert_eq!(output.report.keys, expected.len() as u64);
            // Each user is in one partition and comes once.
            prop_assert_eq!(output.pairs.len(), expected.len());
            prop_assert_eq!(&output.pairs.into_iter().collect::<BTreeMap<_, _>>(), &expected);
        }
    }

    #[test]
    fn the_group_is_the_encoding_of_the_first_part(
        a in (user(), any::<u8>()),
        b in (any::<Option<i32>>(), user()),
        c in (vec(any::<u8>(), 0..4), any::<u64>()),
        d in (user(), any::<bool>(), any::<char>()),
    ) {
        check(&Sorted(a.0, a.1))?;
        check(&Sorted(b.0, b.1))?;
        check(&Sorted(Reverse(c.0.clone()), c.1))?;
        check(&Sorted((c.0, [1u8, 2]), c.1))?;
        check(&Sorted((d.0, d.1), Reverse(d.2)))?;
    }

    #[test]
    fn a_group_is_never_the_beginning_of_another(
        names in (user(), user()),
        options in vec((any::<Option<u8>>(), vec(prop_oneof![Just(0), Just(0xff)], 0..3)), 2),
        rest in any::<(u16, bool)>(),
    ) {
        apart(names.0.clone(), names.1.clone(), rest)?;
        apart(Reverse(names.0.clone()), Reverse(names.1.clone()), rest)?;
        apart(Sorted(names.0, 1u8), Sorted(names.1, 2u8), rest)?;
        apart(options[0].0, options[1].0, rest)?;
        apart(options[0].clone(), options[1].clone(), rest)?;
        apart((), (), rest)?;
    }

    #[test]
    fn skipping_a_part_ends_where_decoding_it_ends(bytes in vec(prop_oneof![Just(0), Just(0xff), any::<u8>()], 0..12)) {
        same::<String>(&bytes)?;
        same::<Vec<u8>>(&bytes)?;
        same::<(Vec<u8>, u16)>(&bytes)?;
        same::<Sorted<u8, Vec<u8>>>(&bytes)?;
        same::<Option<Vec<u8>>>(&bytes)?;
    }
}

fn check<K: KeyPart + PartialEq + std::fmt::Debug, S: KeyPart + PartialEq + std::fmt::Debug>(
    key: &Sorted<K, S>,
) -> Result<(), TestCaseError> {
    let (mut encoded, mut group) = (Vec::new(), Vec::new());
    Key::encode(key, &mut encoded);
    key.0.encode_part(&mut group);
    prop_assert_eq!(Sorted::<K, S>::group(&encoded).unwrap(), &group[..]);
    prop_assert_eq!(&*<Sorted<K, S> as Key>::decode(&encoded).unwrap(), key);
    Ok(())
}

/// Keys that differ in their first part are of groups of which neither begins with the other.
fn apart<K: KeyPart + PartialEq, S: KeyPart>(a: K, b: K, rest: S) -> Result<(), TestCaseError> {
    let same = a == b;
    let group = |key: K| {
        let mut encoded = Vec::new();
        Key::encode(&Sorted(key, rest.clone()), &mut encoded);
        Sorted::<K, S>::group(&encoded).unwrap().to_vec()
    };
    let (a, b) = (group(a), group(b));
    prop_assert_eq!(a.starts_with(&b), same);
    prop_assert_eq!(b.starts_with(&a), same);
    Ok(())
}

/// What skips takes as much as what decodes. (It may pass over text that is not UTF-8.)
fn same<K: KeyPart>(bytes: &[u8]) -> Result<(), TestCaseError> {
    let (mut decoded, mut skipped) = (bytes, bytes);
    let result = K::decode_part(&mut decoded).map(drop);
    let skip = K::skip_part(&mut skipped);
    match result {
        Ok(()) => {
            prop_assert!(skip.is_ok());
            prop_assert_eq!(decoded, skipped);
        }
        Err(CodecError::Decode { reason, .. }) if reason.contains("UTF-8") => prop_assert!(skip.is_ok()),
        Err(_) => prop_assert!(skip.is_err()),
    }
    Ok(())
}

/// Counts visits by user and time: a combiner folds those of which both are the same.
#[derive(Clone, Serialize, Deserialize)]
struct Times;

impl Mapper for Times {
    type Input = Items<(u8, u8)>;
    type Key = Sorted<u8, u8>;
    type Value = Vec<(u8, u64)>;
    fn map(&self, (user, time): &(u8, u8), out: &mut impl Emit<Self::Key, Self::Value>) -> Result {
        out.emit(&Sorted(*user, *time), &vec![(*time, 1)])
    }
}

/// Adds up counts of one time.
#[derive(Default)]
struct Count;

impl<K: ?Sized> Combiner<K, Vec<(u8, u64)>> for Count {
    fn combine(&self, _: &K, into: &mut Vec<(u8, u64)>, value: &Vec<(u8, u64)>) {
        match (into.as_mut_slice(), value.as_slice()) {
            ([(a, sum)], [(b, n)]) if a == b => *sum += n,
            _ => panic!("values of different times were combined"),
        }
    }
}

impl SimpleJob for Times {
    const NAME: &'static str = "times";
    type Combiner = Count;
    type Reducer = Merged;
}

#[derive(Default)]
struct Merged;

impl Reducer<Sorted<u8, u8>, Vec<(u8, u64)>> for Merged {
    type Key = u8;
    type Value = Vec<(u8, u64)>;
    fn reduce(
        &self,
        Sorted(user, _): &Sorted<u8, u8>,
        counts: &mut Values<'_, Vec<(u8, u64)>>,
        out: &mut impl Emit<u8, Vec<(u8, u64)>>,
    ) -> Result {
        let mut all: Vec<(u8, u64)> = Vec::new();
        while let Some(counts) = counts.next()? {
            for (time, n) in &*counts {
                match all.last_mut() {
                    Some((last, sum)) if last == time => *sum += n,
                    _ => all.push((*time, *n)),
                }
            }
        }
        out.emit(user, &all)
    }
}

#[test]
fn a_combiner_folds_values_of_which_both_parts_are_the_same() {
    let visits = [(1, 9), (2, 5), (1, 3), (1, 9), (2, 5), (1, 3), (1, 4)];
    for split_bytes in [1, 6, u64::MAX] {
        let data = Dataset::with_split_bytes(ItemSlice::new(&visits), split_bytes).unwrap();
        let pairs = engines()[1].run(&Times, &(), &data).unwrap().pairs;
        assert_eq!(pairs, [(1, vec![(3, 2), (4, 1), (9, 2)]), (2, vec![(5, 2)])]);
    }
}

/// Sorts by range: partitions must not cut a group in two.
#[derive(Clone, Serialize, Deserialize)]
struct Ranged;

impl Job for Ranged {
    const NAME: &'static str = "ranged";
    type Shared = RangePartitioner;
    type Mapper = Visits;
    type Combiner = NoCombiner;
    type Reducer = Listed;
    fn mapper(&self, _: &RangePartitioner) -> Result<Visits> {
        Ok(Visits)
    }
    fn combiner(&self) -> NoCombiner {
        NoCombiner
    }
    fn reducer(&self, _: &RangePartitioner) -> Result<Listed> {
        Ok(Listed)
    }
    fn partitioner(&self, ranges: &RangePartitioner) -> Result<Box<dyn Partitioner<Sorted<String, i16>>>> {
        Ok(Box::new(ranges.clone()))
    }
}

#[test]
fn ranges_do_not_cut_a_group_in_two() {
    let visits: Vec<Visit> = (0..300).map(|n| (format!("user {}", n % 7), (n / 7) as i16, n)).collect();
    let sample: Vec<_> = visits.iter().map(|(user, time, _)| Sorted(user.clone(), *time)).collect();
    let ranges = RangePartitioner::from_sample::<Sorted<String, i16>>(&sample, 5);
    let data = Dataset::with_split_bytes(ItemSlice::new(&visits), 500).unwrap();
    let options = Options { partitions: Some(5), ..Options::default() };
    let pairs = engines()[1].run_with(&Ranged, &ranges, &data, &options).unwrap().pairs;
    // In order as a whole, and each user once.
    assert!(pairs.into_iter().eq(expected(&visits)));
}
