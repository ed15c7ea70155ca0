//! Jobs as filters: with a sort of lines between them they give what a run gives; lines that were lost, cut, changed or not
//! sorted are noticed.

use mapreduce_core::{
    Combiner, Counters, Memory,
    codec::CodecError,
    filter::{self, FilterError, FilterOptions},
    prelude::*,
    schema::Schema,
};
use proptest::{collection::vec, prelude::*, sample::select};
use std::{borrow::Cow, fs};

/// Each line counted.
#[derive(Clone, Serialize, Deserialize)]
struct Count;

impl Mapper for Count {
    type Input = Lines;
    type Key = [u8];
    type Value = u64;
    fn map(&self, line: &[u8], out: &mut impl Emit<[u8], u64>) -> Result {
        out.count("lines", 1);
        out.emit(line, &1)
    }
}

impl SimpleJob for Count {
    const NAME: &'static str = "count";
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

/// The lines that begin with the same byte, one behind the other in the order in which they come.
#[derive(Clone, Serialize, Deserialize)]
struct Joined;

impl Mapper for Joined {
    type Input = Lines;
    type Key = [u8];
    type Value = [u8];
    fn map(&self, line: &[u8], out: &mut impl Emit<[u8], [u8]>) -> Result {
        out.emit(&line[..line.len().min(1)], line)
    }
}

#[derive(Default)]
struct Join;

impl Reducer<[u8], [u8]> for Join {
    type Key = [u8];
    type Value = [u8];
    fn reduce(&self, key: &[u8], values: &mut Values<'_, [u8]>, out: &mut impl Emit<[u8], [u8]>) -> Result {
        let mut all = Vec::new();
        while let Some(value) = values.next()? {
            all.extend_from_slice(&value);
            all.push(b'|');
        }
        out.count("keys", 1);
        out.emit(key, &all)
    }
}

impl SimpleJob for Joined {
    const NAME: &'static str = "joined";
    type Combiner = NoCombiner;
    type Reducer = Join;
}

/// The same by a combiner, to which the order matters.
#[derive(Clone, Serialize, Deserialize)]
struct JoinedEarly;

impl Mapper for JoinedEarly {
    type Input = Lines;
    type Key = [u8];
    type Value = Vec<u8>;
    fn map(&self, line: &[u8], out: &mut impl Emit<[u8], Vec<u8>>) -> Result {
        out.emit(&line[..line.len().min(1)], &[line, b"|"].concat())
    }
}

#[derive(Default)]
struct Concat;

impl Combiner<[u8], Vec<u8>> for Concat {
    fn combine(&self, _: &[u8], into: &mut Vec<u8>, value: &Vec<u8>) {
        into.extend_from_slice(value);
    }
}

impl SimpleJob for JoinedEarly {
    const NAME: &'static str = "joined-early";
    type Combiner = Concat;
    type Reducer = Fold<Concat>;
}

/// Two bytes, grouped by the first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Pair([u8; 2]);

impl Key for Pair {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
    fn decode(bytes: &[u8]) -> Result<Cow<'_, Self>, CodecError> {
        let pair = bytes.try_into().map_err(|_| CodecError::decode::<Self>(bytes.len(), "not two bytes"))?;
        Ok(Cow::Owned(Self(pair)))
    }
    fn group(encoded: &[u8]) -> Result<&[u8], CodecError> {
        encoded.get(..1).ok_or_else(|| CodecError::decode::<Self>(encoded.len(), "not two bytes"))
    }
    fn schema(schema: &mut Schema) {
        schema.text("pair");
    }
}

/// The first three of the second bytes of the lines that begin with the same byte.
#[derive(Clone, Serialize, Deserialize)]
struct Seconds;

impl Mapper for Seconds {
    type Input = Lines;
    type Key = Pair;
    type Value = (u8, bool);
    fn map(&self, line: &[u8], out: &mut impl Emit<Pair, (u8, bool)>) -> Result {
        match *line {
            [first, second, ..] => out.emit(&Pair([first, second]), &(second, second % 2 == 1)),
            _ => Ok(()),
        }
    }
}

#[derive(Default)]
struct FirstThree;

impl Reducer<Pair, (u8, bool)> for FirstThree {
    type Key = u8;
    type Value = Vec<(u8, bool)>;
    fn reduce(
        &self,
        key: &Pair,
        values: &mut Values<'_, (u8, bool)>,
        out: &mut impl Emit<u8, Vec<(u8, bool)>>,
    ) -> Result {
        let mut first = Vec::new();
        while first.len() < 3
            && let Some(value) = values.next()?
        {
            first.push(value.into_owned());
        }
        out.emit(&key.0[0], &first)
    }
}

impl SimpleJob for Seconds {
    const NAME: &'static str = "seconds";
    type Combiner = NoCombiner;
    type Reducer = FirstThree;
}

/// The lines in order.
#[derive(Clone, Serialize, Deserialize)]
struct Sort;

impl Mapper for Sort {
    type Input = Lines;
    type Key = [u8];
    type Value = ();
    fn map(&self, line: &[u8], out: &mut impl Emit<[u8], ()>) -> Result {
        out.emit(line, &())
    }
}

impl SimpleJob for Sort {
    const NAME: &'static str = "sort";
    type Combiner = NoCombiner;
    type Reducer = Identity;
}

/// Pairs each line of the first input with those of the second that begin with the same byte.
#[derive(Clone, Serialize, Deserialize)]
struct Matches;

impl Mapper for Matches {
    type Input = Either<Lines, Utf8Lines>;
    type Key = [u8];
    type Value = String;
    fn map(&self, line: Either<&[u8], &str>, out: &mut impl Emit<[u8], String>) -> Result {
        let (side, line) = match line {
            Either::Left(line) => ("left", str::from_utf8(line)?),
            Either::Right(line) => ("right", line),
        };
        out.emit(&line.as_bytes()[..line.len().min(1)], &format!("{side} {line}"))
    }
}

impl SimpleJob for Matches {
    const NAME: &'static str = "matches";
    type Combiner = NoCombiner;
    type Reducer = Identity;
}

/// Lines with an `a`, in the order in which they come.
#[derive(Clone, Serialize, Deserialize)]
struct Grep;

impl Mapper for Grep {
    type Input = Lines;
    type Key = [u8];
    type Value = u64;
    fn map(&self, line: &[u8], out: &mut impl Emit<[u8], u64>) -> Result {
        if line.contains(&b'a') { out.emit(line, &(line.len() as u64)) } else { Ok(()) }
    }
}

impl SimpleJob for Grep {
    const NAME: &'static str = "grep";
    type Combiner = NoCombiner;
    type Reducer = NoReducer;
}

/// What a run writes in one part.
fn run<J: Job<Shared = ()>>(job: &J, input: &[u8]) -> Vec<u8>
where
    J::Mapper: Mapper<Input = Lines>,
{
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("input"), folder.path().join("output"));
    fs::write(&from, input).unwrap();
    let data = Dataset::new(TextFiles::open_bytes([from]).unwrap()).unwrap();
    let options = Options { partitions: Some(1), ..Options::default() };
    Local::new(2).unwrap().write(job, &(), &data, &PartFiles::new(&to), &options).unwrap();
    fs::read(to.join("part-00000")).unwrap()
}

fn map<J: Job<Shared = ()>>(job: &J, input: &[u8], options: &FilterOptions) -> Vec<u8>
where
    J::Mapper: Mapper<Input = Lines>,
{
    let mut lines = Vec::new();
    filter::map(job, &(), input, &mut lines, options).unwrap();
    lines
}

fn reduce<J: Job<Shared = ()>>(
    job: &J,
    lines: &[u8],
    options: &FilterOptions,
) -> Result<Vec<u8>, FilterError> {
    let mut output = Vec::new();
    filter::reduce(job, &(), lines, &mut output, options)?;
    Ok(output)
}

/// What `LC_ALL=C sort` does.
fn sorted(lines: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').collect();
    lines.sort_by_key(|line| &line[..line.len() - 1]);
    lines.concat()
}

/// The input mapped in parts of so many lines, sorted, and reduced.
fn filters<J: Job<Shared = ()>>(job: &J, input: &[u8], per_part: usize, options: &FilterOptions) -> Vec<u8>
where
    J::Mapper: Mapper<Input = Lines>,
{
    let lines: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
    let mut parts: Vec<Vec<u8>> = lines
        .chunks(per_part)
        .zip(0..)
        .map(|(lines, split)| map(job, &lines.concat(), &FilterOptions { split, ..options.clone() }))
        .collect();
    if parts.is_empty() {
        parts.push(map(job, b"", options));
    }
    parts.reverse();
    reduce(job, &sorted(&parts.concat()), options).unwrap()
}

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

/// What is wrong with lines, in words.
fn refused<J: Job<Shared = ()>>(job: &J, lines: &str) -> String {
    reduce(job, lines.as_bytes(), &FilterOptions::default()).unwrap_err().to_string()
}

#[test]
fn wrong_lines_are_named() {
    for (lines, expected) in [
        (
            "b\t1\na\t1\n",
            "line 2 is less than the line before it; sort the lines by their bytes, with `LC_ALL=C sort`",
        ),
        ("a\t1\nb\n", "line 2 has no tab behind its key"),
        ("\n", "line 1 has no tab behind its key"),
        ("a\t1\nb\t1", "line 2 is cut off"),
        ("a\t1\nb\x10!\t1\n", "line 2, byte 2: not an escape"),
        ("a\t1\nb\t2\x10\n", "line 2, byte 4: not an escape"),
        (
            "a\t1\nb\t-1\n",
            "line 2: the value is none of this job: cannot decode 2 bytes as u64: invalid digit",
        ),
        ("a\t1\n", "the lines end after line 1 without saying that they are all"),
        ("a\t1\n\u{10FFFF}end\t-\t2\n", "there are 1 pairs, but the `map` commands have written 2"),
        (
            "a\t1\n\u{10FFFF}end\t00000000\t1\n",
            "line 2: `map` has kept the order of the values, `reduce` has not kept it",
        ),
        ("a\t1\n\u{10FFFF}end\t-\tx\n", "line 2 is an end line without the number of pairs"),
        ("a\t1\n\u{10FFFF}end\n", "line 2 has no tab behind its key"),
    ] {
        let error = refused(&Count, lines);
        assert!(error.starts_with(expected), "{lines:?}: {error}");
    }
    for (lines, expected) in [
        ("a\tb\n", "line 1 has no sequence number"),
        ("a\t0\tb\n", "line 1 has no sequence number"),
        ("a\t00000000-00000000000G\tb\n", "line 1 has no sequence number"),
        (
            "a\t00000000-000000000000\tb\na\t00000000-000000000000\tc\n",
            "line 2 has the sequence number of the line before",
        ),
        (
            "a\t00000000-000000000001\tb\na\t00000000-000000000000\tc\n",
            "line 2 is less than the line before it",
        ),
        (
            "\u{10FFFF}end\t00000000\t0\n\u{10FFFF}end\t00000000\t0\n",
            "line 2 has the sequence number of the line before",
        ),
        ("\u{10FFFF}end\t-\t0\n", "line 1: `map` has not kept the order of the values, `reduce` has kept it"),
    ] {
        let error = refused(&Joined, lines);
        assert!(error.starts_with(expected), "{lines:?}: {error}");
    }
    let error = refused(&Seconds, "abc\t00000000-000000000000\t\n");
    assert!(error.starts_with("line 1: the key is none of this job"), "{error}");
}

/// Fails in the way that a line names.
#[derive(Clone, Serialize, Deserialize)]
struct Fails;

impl Mapper for Fails {
    type Input = Utf8Lines;
    type Key = str;
    type Value = u64;
    fn map(&self, line: &str, out: &mut impl Emit<str, u64>) -> Result {
        match line {
            "error" => Err("as asked".into()),
            "panic" => panic!("as asked"),
            _ => out.emit(line, &1),
        }
    }
}

#[derive(Default)]
struct FailsToo;

impl Reducer<str, u64> for FailsToo {
    type Key = str;
    type Value = std::collections::BTreeMap<(u8, u8), u8>;
    fn reduce(
        &self,
        key: &str,
        values: &mut Values<'_, u64>,
        out: &mut impl Emit<str, Self::Value>,
    ) -> Result {
        match key {
            "error late" => Err("as asked".into()),
            "panic late" => panic!("as asked"),
            // No map that JSON has: the error is not passed on.
            "swallows" => Ok(drop(out.emit(key, &[((1, 2), 3)].into()))),
            "reads over" => {
                while values.next().is_ok_and(|value| value.is_some()) {}
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl SimpleJob for Fails {
    const NAME: &'static str = "fails";
    type Combiner = NoCombiner;
    type Reducer = FailsToo;
}

#[test]
fn a_job_that_fails_is_named_with_its_record() {
    let options = FilterOptions { piece_bytes: 1, ..FilterOptions::default() };
    let error =
        |input: &[u8]| filter::map(&Fails, &(), input, std::io::sink(), &options).unwrap_err().to_string();
    assert_eq!(error(b"a\nb\nerror\n"), "error (input, record 3): as asked");
    assert_eq!(error(b"a\npanic\n"), "panic (input, record 2): as asked");
    let not_text = error(b"a\nb\xff\n");
    assert!(not_text.contains("input: not UTF-8 at byte 3"), "{not_text}");
}

#[test]
fn a_reducer_that_fails_is_named_with_its_line() {
    let error = |input: &[u8]| {
        let options = FilterOptions::default();
        let mut lines = Vec::new();
        filter::map(&Fails, &(), input, &mut lines, &options).unwrap();
        filter::reduce(&Fails, &(), &*sorted(&lines), std::io::sink(), &options).unwrap_err().to_string()
    };
    assert_eq!(error(b"a\nerror late\nb"), "error (line 3, key \"error late\"): as asked");
    assert_eq!(error(b"panic late\n"), "panic (line 1, key \"panic late\"): as asked");
    assert!(error(b"swallows\n").starts_with("cannot write a value of type"), "{}", error(b"swallows\n"));
}

#[test]
fn a_reducer_that_passes_over_errors_of_its_values_hides_none() {
    let lines = "reads over\t00000000-000000000000\t1\nreads over\t00000000-000000000001\tx\n";
    assert!(refused(&Fails, lines).starts_with("line 2: the value is none of this job"));
}

#[test]
fn what_cannot_be_read_or_written_is_said() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("broken"))
        }
    }
    impl std::io::Write for Broken {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("broken"))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let options = FilterOptions::default();
    let mapped = filter::map(&Count, &(), Broken, Vec::new(), &options);
    assert_eq!(mapped.unwrap_err().to_string(), "cannot read (input): input: cannot read at byte 0: broken");
    assert!(matches!(filter::map(&Count, &(), &b"a"[..], Broken, &options), Err(FilterError::Write { .. })));
    assert!(matches!(
        filter::reduce(&Count, &(), Broken, Vec::new(), &options),
        Err(FilterError::Read { offset: 0, .. })
    ));
    let lines = map(&Count, b"a\n", &options);
    assert!(matches!(filter::reduce(&Count, &(), &*lines, Broken, &options), Err(FilterError::Write { .. })));
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
fn a_budget_that_is_too_small_is_refused() {
    let options = FilterOptions { memory: Memory::limited(1 << 20), ..FilterOptions::default() };
    let refused = filter::map(&Count, &(), &b"a"[..], Vec::new(), &options);
    assert!(matches!(refused, Err(FilterError::Job(mapreduce_core::Error::MemoryTooSmall { .. }))));
}
