//! Lines, jobs and streams that a filter fails with.

use super::{jobs::*, map, refused, sorted};
use mapreduce_core::{
    filter::{self, FilterError, FilterOptions},
    prelude::*,
};

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
            "swallows" => {
                let _ = out.emit(key, &[((1, 2), 3)].into());
                Ok(())
            }
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
