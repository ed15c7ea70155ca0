//! What the filters give, and the lines between them.

use super::{filters, jobs::*, map, reduce, run, sorted};
use mapreduce_core::{
    Counters, Memory,
    filter::{self, FilterError, FilterOptions},
    prelude::*,
};
use proptest::{collection::vec, prelude::*, sample::select};

/// Lines among which keys that are equal, the beginning of others, or made of bytes with a meaning are common.
fn input() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![select(b"ab\0\t\n\n\n\r\x10\x1f I\xc3\xa9\xf4\xff".to_vec()), any::<u8>()];
    vec(byte, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn filters_give_what_a_run_gives(input in input(), per_part in 1..6usize, piece_bytes in 1..40u64) {
        let options = FilterOptions { piece_bytes, ..FilterOptions::default() };
        prop_assert_eq!(filters(&Count, &input, per_part, &options), run(&Count, &input));
        prop_assert_eq!(filters(&Joined, &input, per_part, &options), run(&Joined, &input));
        prop_assert_eq!(filters(&Sort, &input, per_part, &options), run(&Sort, &input));
        let in_order = FilterOptions { keep_order: true, ..options.clone() };
        prop_assert_eq!(filters(&JoinedEarly, &input, per_part, &in_order), run(&JoinedEarly, &input));
        prop_assert_eq!(filters(&Count, &input, per_part, &in_order), run(&Count, &input));
        prop_assert_eq!(filters(&Grep, &input, per_part, &options), run(&Grep, &input));
    }

    #[test]
    fn lines_that_are_cut_off_anywhere_are_noticed(input in input(), keep_order: bool) {
        let options = FilterOptions { keep_order, ..FilterOptions::default() };
        let lines = sorted(&map(&Count, &input, &options));
        for len in 0..lines.len() {
            prop_assert!(reduce(&Count, &lines[..len], &options).is_err(), "cut at {} of {:?}", len, lines);
        }
    }

    #[test]
    fn a_line_that_is_lost_or_doubled_or_out_of_order_is_noticed(input in input(), at: prop::sample::Index) {
        for keep_order in [false, true] {
            let options = FilterOptions { keep_order, ..FilterOptions::default() };
            let lines = sorted(&map(&Count, &input, &options));
            let lines: Vec<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').collect();
            let at = at.index(lines.len());
            let [mut lost, mut doubled, mut moved] = [(); 3].map(|()| lines.clone());
            lost.remove(at);
            doubled.insert(at, lines[at]);
            moved.rotate_left(at);
            prop_assert!(reduce(&Count, &lost.concat(), &options).is_err());
            prop_assert!(reduce(&Count, &doubled.concat(), &options).is_err() || lines.len() == 1);
            prop_assert_eq!(reduce(&Count, &moved.concat(), &options).is_err(), at > 0);
        }
    }

    #[test]
    fn no_bytes_make_a_filter_panic(lines in vec(any::<u8>(), 0..60), text in "[ab\t\n0-9\u{10FFFF}-]{0,40}") {
        for lines in [&lines[..], text.as_bytes()] {
            for end in [false, true] {
                let options = FilterOptions { end, ..FilterOptions::default() };
                let _ = reduce(&Count, lines, &options);
                let _ = reduce(&Joined, lines, &options);
                let _ = reduce(&Seconds, lines, &options);
            }
        }
    }
}

#[test]
fn keys_are_grouped_by_their_part() {
    let input = b"bz\nba\nay\nbx\nbb\nbc\nax\n\nq\n";
    let options = FilterOptions { piece_bytes: 5, ..FilterOptions::default() };
    let expected = "97\t[[120,false],[121,true]]\n98\t[[97,true],[98,false],[99,true]]\n";
    assert_eq!(filters(&Seconds, input, 2, &options), expected.as_bytes());
    assert_eq!(run(&Seconds, input), expected.as_bytes());
}

#[test]
fn without_a_reducer_pairs_stay_in_their_order() {
    let options = FilterOptions { piece_bytes: 4, ..FilterOptions::default() };
    let input = b"ca\nab\tc\nb\nca\nca\n\na";
    assert_eq!(filters(&Grep, input, 2, &options), b"ca\t2\nab\tc\t4\nca\t2\nca\t2\na\t1\n");
    assert_eq!(filters(&Grep, input, 2, &options), run(&Grep, input));
    let lines = sorted(&map(&Grep, b"ca\nab\tc\n", &options));
    let expected =
        "00000000-000000000000\tca\t2\n00000000-000000000001\tab\x10Ic\t4\n\u{10FFFF}end\t00000000\t2\n";
    assert_eq!(String::from_utf8(lines.clone()).unwrap(), expected);
    let reduced = filter::reduce(&Grep, &(), &*lines, std::io::sink(), &options).unwrap();
    assert_eq!((reduced.keys, reduced.lines), (0, 2));
    let twice = lines
        .split_inclusive(|byte| *byte == b'\n')
        .flat_map(|line| [line, line])
        .collect::<Vec<_>>()
        .concat();
    assert!(matches!(reduce(&Grep, &twice, &options), Err(FilterError::Repeated { line: 2 })));
}

#[test]
fn a_job_over_two_inputs_maps_one_after_the_other() {
    let map = |input, split| {
        let options = FilterOptions { input, split, ..FilterOptions::default() };
        let mut lines = Vec::new();
        let text: &[u8] = if input == 0 { b"ab\nba\n" } else { "aé\nb\n".as_bytes() };
        filter::map(&Matches, &(), text, &mut lines, &options).map(|_| lines)
    };
    let lines = [map(1, 1).unwrap(), map(0, 0).unwrap()].concat();
    let expected = "a\tleft ab\na\tright aé\nb\tleft ba\nb\tright b\n";
    assert_eq!(reduce(&Matches, &sorted(&lines), &FilterOptions::default()).unwrap(), expected.as_bytes());
    assert_eq!(map(2, 0).unwrap_err().to_string(), "there is no input 2: the job has 2, counted from 0");
}

#[test]
fn the_lines_are_as_documented() {
    let options = FilterOptions::default();
    let text = |lines: Vec<u8>| String::from_utf8(lines).unwrap();
    assert_eq!(
        text(map(&Count, "b\né\tx\nb".as_bytes(), &options)),
        "b\t2\né\x10Ix\t1\n\u{10FFFF}end\t-\t2\n"
    );
    let split = FilterOptions { split: 42, ..options.clone() };
    let expected =
        "b\t0000002a-000000000000\tb c\td\nb\t0000002a-000000000001\tb\n\u{10FFFF}end\t0000002a\t2\n";
    assert_eq!(text(map(&Joined, b"b c\td\nb\n", &split)), expected);
    assert_eq!(text(map(&Sort, b"b\n", &options)), "b\t\n\u{10FFFF}end\t-\t1\n");
    let no_end = FilterOptions { end: false, ..options };
    assert_eq!(text(map(&Count, b"b", &no_end)), "b\t1\n");
}

#[test]
fn parts_of_the_lines_are_reduced_without_their_end() {
    let options = FilterOptions::default();
    let part = FilterOptions { end: false, ..options.clone() };
    let lines = sorted(&map(&Count, b"a\nb\n", &options));
    let [a, b, end] = lines.split_inclusive(|byte| *byte == b'\n').collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!(reduce(&Count, a, &part).unwrap(), b"a\t1\n");
    assert_eq!(reduce(&Count, &[b, end].concat(), &part).unwrap(), b"b\t1\n");
    assert_eq!(reduce(&Count, b"", &part).unwrap(), b"");
    assert!(matches!(reduce(&Count, b"", &options), Err(FilterError::NoEnd { lines: 0 })));
}

#[test]
fn what_was_counted_is_told() {
    let options = FilterOptions { piece_bytes: 2, ..FilterOptions::default() };
    let mut lines = Vec::new();
    let mapped = filter::map(&Count, &(), &b"b\na\nb"[..], &mut lines, &options).unwrap();
    assert_eq!((mapped.records, mapped.pairs, mapped.counters.get("lines")), (3, 3, 3));
    let reduced = filter::reduce(&Count, &(), &*sorted(&lines), std::io::sink(), &options).unwrap();
    assert_eq!((reduced.keys, reduced.lines, reduced.counters), (2, 2, Counters::default()));
}

#[test]
fn long_lines_and_many_pass() {
    let mut input = vec![b'x'; 1 << 20];
    input.push(b'\n');
    for i in 0..100_000 {
        input.extend_from_slice(format!("line {}\n", i % 1_000).as_bytes());
    }
    let options = FilterOptions { piece_bytes: 300_000, ..FilterOptions::default() };
    assert!(filters(&Count, &input, usize::MAX, &options) == run(&Count, &input));
}

/// Emits each line a thousand times.
#[derive(Clone, Serialize, Deserialize)]
struct Multiply;

impl Mapper for Multiply {
    type Input = Lines;
    type Key = [u8];
    type Value = u64;
    fn map(&self, line: &[u8], out: &mut impl Emit<[u8], u64>) -> Result {
        (0..1_000).try_for_each(|n| out.emit(line, &n))
    }
}

#[derive(Default)]
struct LastAndNumber;

impl Reducer<[u8], u64> for LastAndNumber {
    type Key = [u8];
    type Value = (u64, u64);
    fn reduce(
        &self,
        key: &[u8],
        values: &mut Values<'_, u64>,
        out: &mut impl Emit<[u8], (u64, u64)>,
    ) -> Result {
        let (mut last, mut number) = (0, 0);
        while let Some(value) = values.next()? {
            (last, number) = (*value, number + 1);
        }
        out.emit(key, &(last, number))
    }
}

impl SimpleJob for Multiply {
    const NAME: &'static str = "multiply";
    type Combiner = NoCombiner;
    type Reducer = LastAndNumber;
}

#[test]
fn a_map_that_emits_more_than_its_memory_spills() {
    let input: Vec<u8> = (0..2_000).flat_map(|i| format!("line {}\n", i % 700).into_bytes()).collect();
    let memory = Memory::limited(40 << 20);
    let options = FilterOptions { memory: memory.clone(), ..FilterOptions::default() };
    let output = filters(&Multiply, &input, usize::MAX, &options);
    assert!(memory.spilled_bytes() > 0);
    assert!(output == run(&Multiply, &input));
}

#[test]
fn a_key_that_is_nothing_is_left_out_of_the_output_as_in_a_run() {
    let input = b"a\nb\nc\n";
    assert_eq!(run(&CountAll, input), b"3\n");
    assert_eq!(filters(&CountAll, input, 2, &FilterOptions::default()), b"3\n");
}
