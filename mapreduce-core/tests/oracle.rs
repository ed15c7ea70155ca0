//! Jobs give what a sequential fold gives: for any input, split size, number of threads and of partitions.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod common;

use common::{
    Folder, engines,
    jobs::{
        ByParts, Columns, CountBytes, FloatSum, Greatest, Index, Least, LineCount, Parts, Several, SortBytes,
        SortLines, SortRows, Visit, Visits, WordCount,
    },
    oracle::{check, encoded},
};
use mapreduce_core::{Dataset, Engine, ItemSlice, Options, RangePartitioner, RowSlice, TextFiles};
use proptest::{collection::vec, prelude::*};
use std::{cmp::Reverse, collections::BTreeMap};

/// Few distinct words, long ones among them, and all kinds of space between them.
fn text() -> impl Strategy<Value = String> {
    vec(prop_oneof!["[a-c]{1,2}", "[a-z]{6,12}", Just("é\u{1F600}".to_string()), "[ \t\r\n]{1,3}"], 0..60)
        .prop_map(|words| words.join(" "))
}

/// Bytes of which many are equal, prefixes of each other, or zero.
fn bytes(len: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![3 => Just(0), 2 => Just(b'a'), 1 => any::<u8>()], 0..len)
}

fn text_splits() -> impl Strategy<Value = Vec<u64>> {
    vec(1..40u64, 1..3).prop_map(|mut sizes| {
        sizes.extend([1, 100, u64::MAX]);
        sizes
    })
}

fn items<T: Clone>(items: &[T]) -> ItemSlice<T, Vec<T>> {
    ItemSlice::new(items.to_vec())
}

/// Split sizes of 1, 3 and all items.
fn item_splits<T>() -> [u64; 3] {
    [1, 3 * size_of::<T>() as u64, u64::MAX]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn words_are_counted(texts in vec(text(), 1..4), splits in text_splits()) {
        let folder = Folder::new();
        check(&WordCount, &(), &TextFiles::open(folder.files(&texts)).unwrap(), &splits);
    }

    #[test]
    fn lines_of_bytes_are_counted(texts in vec(bytes(80), 1..4), splits in text_splits()) {
        let folder = Folder::new();
        let lines: Vec<Vec<u8>> = texts
            .iter()
            .map(|text| text.iter().map(|byte| if *byte == b'a' { b'\n' } else { *byte }).collect())
            .collect();
        check(&LineCount, &(), &TextFiles::open_bytes(folder.files(&lines)).unwrap(), &splits);
    }

    #[test]
    fn values_come_in_the_order_of_the_input(texts in vec(text(), 1..4), splits in text_splits()) {
        let folder = Folder::new();
        check(&Index, &(), &TextFiles::open(folder.files(&texts)).unwrap(), &splits);
    }

    #[test]
    fn values_of_one_record_come_in_the_order_of_their_emission(numbers in vec(any::<u32>(), 0..60)) {
        check(&Several, &(), &items(&numbers), &item_splits::<u32>());
    }

    #[test]
    fn the_least_and_the_greatest_are_found(numbers in vec(any::<i64>(), 0..60)) {
        check(&Least, &(), &items(&numbers), &item_splits::<i64>());
        check(&Greatest, &(), &items(&numbers), &item_splits::<i64>());
    }

    #[test]
    fn structs_are_keys(visits in vec(("[ab]{0,2}", 0..3u16, prop::option::of(bytes(3))), 0..40)) {
        let visits: Vec<Visit> = visits
            .into_iter()
            .map(|(country, day, route)| Visit { country, day: Reverse(day), route })
            .collect();
        check(&Visits, &(), &items(&visits), &item_splits::<Visit>());
    }

    #[test]
    fn tuples_are_keys(parts in vec((prop::option::of("[a\0]{0,2}"), bytes(3), -2..2i8), 0..40)) {
        let parts: Vec<Parts> = parts.into_iter().map(|(a, b, c)| (a, Reverse(b), c)).collect();
        check(&ByParts, &(), &items(&parts), &item_splits::<Parts>());
    }

    /// Around eight bytes the comparison of prefixes hands over to that of whole keys.
    #[test]
    fn byte_strings_that_are_prefixes_of_each_other_stay_apart(keys in vec(bytes(12), 0..60)) {
        check(&CountBytes, &(), &items(&keys), &item_splits::<Vec<u8>>());
        check(&SortBytes, &(), &items(&keys), &item_splits::<Vec<u8>>());
    }

    #[test]
    fn columns_of_integers_add_up(numbers in vec(any::<u32>(), 0..60), width in 1..4usize) {
        let numbers = &numbers[..numbers.len() / width * width];
        check(&Columns, &(), &RowSlice::new(numbers, width).unwrap(), &[1, 12, 100, u64::MAX]);
    }

    #[test]
    fn rows_are_sorted_by_any_float(bits in vec(any::<u32>(), 0..60), width in 1..4usize) {
        let floats: Vec<f32> = bits.iter().map(|bits| f32::from_bits(*bits)).collect();
        let floats = &floats[..floats.len() / width * width];
        check(&SortRows, &(), &RowSlice::new(floats, width).unwrap(), &[1, 12, 100, u64::MAX]);
    }

    /// A combiner that is not exact depends on the splits, but on nothing else.
    #[test]
    fn float_sums_have_the_same_bits_on_any_number_of_threads(floats in vec(any::<f32>(), 1..200)) {
        for bytes in [4, 32, 400] {
            let data = Dataset::with_split_bytes(RowSlice::new(&floats, 1).unwrap(), bytes).unwrap();
            let bits = |engine: &mapreduce_core::Local| {
                let output = engine.run(&FloatSum, &(), &data).unwrap();
                output.pairs.iter().map(|((), sum)| sum.to_bits()).collect::<Vec<u32>>()
            };
            let outputs: Vec<_> = engines().iter().map(bits).collect();
            prop_assert!(outputs.iter().all(|output| *output == outputs[0]), "{outputs:?}");
        }
    }

    #[test]
    fn ranges_sort_lines_as_a_whole(texts in vec(bytes(80), 1..4), splits in text_splits()) {
        let folder = Folder::new();
        let texts: Vec<Vec<u8>> = texts
            .iter()
            .map(|text| text.iter().map(|byte| if *byte == b'a' { b'\n' } else { *byte }).collect())
            .collect();
        let input = TextFiles::open_bytes(folder.files(&texts)).unwrap();
        let mut sorted: Vec<Vec<u8>> = texts.iter().flat_map(|text| lines(text)).collect();
        sorted.sort();
        for bytes in splits {
            let data = Dataset::with_split_bytes(input.clone(), bytes).unwrap();
            for sampled in [1, 5] {
                let sample = data.sample(3, <[u8]>::to_vec).unwrap();
                let ranges = RangePartitioner::from_sample::<[u8]>(&sample, sampled);
                for engine in engines() {
                    let options = Options { partitions: Some(3), ..Options::default() };
                    let output = engine.run_with(&SortLines, &ranges, &data, &options).unwrap();
                    let keys: Vec<&Vec<u8>> = output.pairs.iter().map(|(key, ())| key).collect();
                    prop_assert!(keys.into_iter().eq(&sorted));
                }
                check(&SortLines, &ranges, &input, &[bytes]);
            }
        }
    }
}

/// The lines of a text: what lies before each line feed, and behind the last one if that is not nothing.
fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    lines.pop_if(|last| last.is_empty());
    lines
}

/// A pair of an empty key and an empty value takes no room where pairs lie before they are sorted.
#[test]
fn empty_keys_and_values_keep_their_place() {
    let folder = Folder::new();
    let text = ["", " a", "", " b", "", ""].map(|line| format!("{line}\n")).concat().repeat(20);
    check(&Index, &(), &TextFiles::open([folder.file("text", text)]).unwrap(), &[1, 10, u64::MAX]);
}

/// Independent of the job's own mapper too.
#[test]
fn word_counts_are_those_of_a_map() {
    let text: String = (0..5_000u32).map(|i| format!("w{} x{}\n", i * i % 997, i % 7)).collect();
    let mut expected = BTreeMap::new();
    for word in text.split_whitespace() {
        *expected.entry(word.to_string()).or_insert(0) += 1;
    }
    let folder = Folder::new();
    for bytes in [100, 4_096, 1 << 20] {
        let input = TextFiles::open([folder.file("text", &text)]).unwrap();
        let data = Dataset::with_split_bytes(input, bytes).unwrap();
        for engine in engines() {
            let output = engine.run(&WordCount, &(), &data).unwrap();
            assert!(output.pairs.iter().map(|(word, n)| (word, n)).eq(&expected));
            assert_eq!(output.counters.get("lines"), 5_000);
            assert_eq!(output.report.records, 5_000);
            assert_eq!(output.report.keys, expected.len() as u64);
        }
    }
}

#[test]
fn an_empty_input_gives_an_empty_output() {
    let folder = Folder::new();
    let input = TextFiles::open(folder.files(&["", ""])).unwrap();
    check(&WordCount, &(), &input, &[1, 100]);
    check(&Several, &(), &items::<u32>(&[]), &[1, 100]);
    check(&Columns, &(), &RowSlice::new(Vec::<u32>::new(), 3).unwrap(), &[1, 100]);
    let data = Dataset::new(input).unwrap();
    assert_eq!((data.splits().len(), data.bytes()), (0, 0));
    assert!(encoded(&engines()[0].run(&WordCount, &(), &data).unwrap()).is_empty());
}

#[test]
fn one_record_is_enough() {
    let folder = Folder::new();
    check(&WordCount, &(), &TextFiles::open([folder.file("one", "word")]).unwrap(), &[1, 2, 100]);
    check(&LineCount, &(), &TextFiles::open_bytes([folder.file("empty line", "\n")]).unwrap(), &[1, 100]);
    check(&Columns, &(), &RowSlice::new([1u32, 2, 3], 3).unwrap(), &[1, 100]);
    check(&Several, &(), &items(&[7]), &[1, 100]);
}

#[test]
fn one_giant_line_is_one_record() {
    let folder = Folder::new();
    let line = "giant ".repeat(150_000);
    let input = TextFiles::open([folder.file("line", &line)]).unwrap();
    check(&WordCount, &(), &input, &[400_000, u64::MAX]);
    let input = TextFiles::open_bytes([folder.file("line", &line)]).unwrap();
    check(&LineCount, &(), &input, &[400_000, u64::MAX]);
}

#[test]
fn many_keys_outgrow_the_tables_first_size() {
    let numbers: Vec<Vec<u8>> = (0..20_000u32).map(|i| (i % 9_000).to_be_bytes().to_vec()).collect();
    check(&CountBytes, &(), &items(&numbers), &[20_000, u64::MAX]);
}

/// The little that each of very many tasks leaves is put together before it is reduced.
#[test]
fn many_tasks_that_leave_little_give_what_few_give() {
    let numbers: Vec<u32> = (0..700_u32).map(|i| i.wrapping_mul(0x9e37_79b9) >> 20).collect();
    check(&Several, &(), &items(&numbers), &item_splits::<u32>());
    let keys: Vec<Vec<u8>> = numbers.iter().map(|number| vec![0; *number as usize % 40]).collect();
    check(&SortBytes, &(), &items(&keys), &item_splits::<Vec<u8>>());
}

#[test]
fn outputs_of_exact_combiners_do_not_depend_on_the_splits() {
    let numbers: Vec<i64> = (0..5_000).map(|i| i * 7_919 % 4_001 - 2_000).collect();
    let outputs: Vec<_> = [1, 64, 1_000, u64::MAX]
        .into_iter()
        .map(|bytes| {
            let data = Dataset::with_split_bytes(items(&numbers), bytes).unwrap();
            engines()[1].run(&Least, &(), &data).unwrap().pairs
        })
        .collect();
    assert!(outputs.iter().all(|output| *output == outputs[0]));
}
