//! Tests of the table: whatever it does with its memory, the values of a key are folded in the order in which they were
//! emitted.

use super::*;
use crate::{
    HashPartitioner, Memory, Sum,
    exec::{Attempt, Run},
};
use proptest::{collection::vec, prelude::*};
use std::collections::BTreeMap;

/// A combiner that shows in which order it was called.
struct Append;

impl<K: ?Sized> Combiner<K, str> for Append {
    fn combine(&self, _: &K, into: &mut String, value: &str) {
        into.push_str(value);
    }
}

/// How a table is set up.
#[derive(Clone, Copy, Debug)]
struct Shape {
    partitions: u32,
    segment_bytes: usize,
    first_look: usize,
}

fn shape() -> impl Strategy<Value = Shape> {
    let segment_bytes = prop_oneof![Just(1), 100..3_000usize, Just(usize::MAX)];
    (1..5u32, segment_bytes, prop_oneof![1..20usize, Just(usize::MAX)])
        .prop_map(|(partitions, segment_bytes, first_look)| Shape { partitions, segment_bytes, first_look })
}

/// The values of each key, by partition.
type Grouped<O> = Vec<BTreeMap<Vec<u8>, Vec<O>>>;

/// Emits pairs. Gives the values of each key in the order in which a reducer would get them, by partition, and whether
/// the last segment's keys were still looked up.
fn emit<K, V, C>(combiner: &C, pairs: &[(K::Owned, V::Owned)], shape: Shape) -> (Grouped<V::Owned>, bool)
where
    K: ?Sized + Key,
    V: ?Sized + Datum,
    C: Combiner<K, V>,
{
    let (attempt, memory) = (Attempt::default(), Memory::limited(1 << 30));
    let segments = Segments::new(&memory, shape.partitions, shape.segment_bytes);
    let (arenas, tables) = (Pool::new(), Pool::new());
    let task = TaskContext::new(&attempt);
    let mut table = Table::new(task, combiner, &HashPartitioner, segments, &arenas, &tables);
    (table.first_look, table.next_look) = (shape.first_look, shape.first_look);
    for (key, value) in pairs {
        Emit::<K, V>::emit(&mut table, key.borrow(), value.borrow()).unwrap();
    }
    let folding = table.folding;
    let runs = table.finish().unwrap().0.finish(&attempt).unwrap();
    let read = |run: &Run| {
        let (mut reader, mut values) = (run.reader(), BTreeMap::<_, Vec<_>>::new());
        while let Some((key, value)) = reader.next_pair().unwrap() {
            assert!(values.keys().next_back().is_none_or(|last: &Vec<u8>| &last[..] <= key), "sorted");
            values.entry(key.to_vec()).or_default().push(V::decode(value).unwrap().into_owned());
        }
        values
    };
    (runs.iter().map(read).collect(), folding)
}

/// Compares with folding in a map.
fn check<K, V, C>(combiner: &C, pairs: &[(K::Owned, V::Owned)], shape: Shape)
where
    K: ?Sized + Key,
    V: ?Sized + Datum<Owned: PartialEq + std::fmt::Debug + Clone>,
    C: Combiner<K, V>,
{
    let mut expected = vec![BTreeMap::<Vec<u8>, V::Owned>::new(); shape.partitions as usize];
    for (key, value) in pairs {
        let (key, mut bytes): (&K, _) = (key.borrow(), Vec::new());
        key.encode(&mut bytes);
        let partition = HashPartitioner.partition(key, &bytes, shape.partitions);
        match expected[partition as usize].get_mut(&bytes) {
            Some(folded) => combiner.combine(key, folded, value.borrow()),
            None => drop(expected[partition as usize].insert(bytes, value.clone())),
        }
    }
    let (found, _) = emit::<K, V, C>(combiner, pairs, shape);
    for (found, expected) in found.into_iter().zip(expected) {
        assert!(found.keys().eq(expected.keys()));
        for ((key, values), (_, expected)) in found.into_iter().zip(expected) {
            assert!(
                values.len() == 1 || shape.segment_bytes < usize::MAX,
                "a segment has one value of a key"
            );
            let key = K::decode(&key).unwrap();
            let folded = values.into_iter().reduce(|mut folded, value| {
                combiner.combine((*key).borrow(), &mut folded, value.borrow());
                folded
            });
            assert_eq!(folded, Some(expected));
        }
    }
}

/// Few of them, of which some are empty, some differ in trailing zeros, and some share their first bytes, their last or
/// both.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[\0a]{0,3}",
        "12345678[\0a]{0,2}",
        "x{150}[ab]",
        "[ab]{0,2}12345678",
        "first 8 [ab]{0,3} last 8 "
    ]
}

proptest! {
    #[test]
    fn values_of_text_are_folded_in_the_order_of_emission(
        pairs in vec((text(), "[a-z]{0,3}"), 0..200),
        shape in shape(),
    ) {
        check::<str, str, _>(&Append, &pairs, shape);
    }

    #[test]
    fn values_of_numbers_are_folded_in_the_order_of_emission(
        pairs in vec((prop_oneof![0..4u64, any::<u64>()], "[a-z]{0,3}"), 0..200),
        shape in shape(),
    ) {
        check::<u64, str, _>(&Append, &pairs, shape);
    }

    #[test]
    fn numbers_are_summed(pairs in vec((-20..20i32, 0..1_000u64), 0..300), shape in shape()) {
        check::<i32, u64, _>(&Sum, &pairs, shape);
    }
}

/// The pairs of keys that come again and again, or never.
fn numbers(keys: u64, count: u64) -> Vec<(u64, u64)> {
    (0..count).map(|i| (i % keys * 7919, i)).collect()
}

#[test]
fn keys_that_come_again_are_looked_up_and_others_are_not() {
    let shape = Shape { partitions: 2, segment_bytes: usize::MAX, first_look: 100 };
    assert!(emit::<u64, u64, _>(&Sum, &numbers(99, 10_000), shape).1);
    assert!(!emit::<u64, u64, _>(&Sum, &numbers(10_000, 10_000), shape).1);
    // Unique only in the end, which is too little to change anything.
    let late: Vec<_> = [numbers(99, 10_000), numbers(500, 500)].concat();
    assert!(emit::<u64, u64, _>(&Sum, &late, shape).1);
    check::<u64, u64, _>(&Sum, &numbers(10_000, 20_000), shape);
}

#[test]
fn a_segment_begins_with_looking_up() {
    let shape = Shape { partitions: 1, segment_bytes: 20_000, first_look: 100 };
    // Segments of unique keys, and then the same key until the end.
    let pairs = [numbers(3_000, 3_000), vec![(1, 1); 10_000]].concat();
    assert!(emit::<u64, u64, _>(&Sum, &pairs, shape).1);
    check::<u64, u64, _>(&Sum, &pairs, shape);
}

#[test]
fn values_that_grow_are_cut_into_segments() {
    let shape = Shape { partitions: 1, segment_bytes: 10_000, first_look: 100 };
    let pairs = vec![("key".to_string(), "some value".to_string()); 20_000];
    let (found, _) = emit::<str, str, _>(&Append, &pairs, shape);
    let lengths: Vec<usize> = found[0].values().flatten().map(String::len).collect();
    assert_eq!(lengths.iter().sum::<usize>(), 200_000);
    assert!(lengths.len() > 1 && lengths.iter().all(|length| *length < 25_000), "{lengths:?}");
}

#[test]
fn a_key_larger_than_a_segment_is_taken() {
    let shape = Shape { partitions: 1, segment_bytes: 1_000, first_look: 100 };
    let pairs: Vec<_> = (0..4).map(|i| ("k".repeat(100_000 + i % 2), "v".to_string())).collect();
    check::<str, str, _>(&Append, &pairs, shape);
}
