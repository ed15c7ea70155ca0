//! Mappers that look at whole splits, budgets and limits of the map filter.

use super::{filters, jobs::*, map, run};
use mapreduce_core::{
    Memory, Split,
    filter::{self, FilterError, FilterOptions},
    prelude::*,
};

/// Emits how many splits there were, and the first lines of each, without a look at the others.
#[derive(Clone, Serialize, Deserialize)]
struct Heads {
    lines: usize,
}

impl Mapper for Heads {
    type Input = Lines;
    type Key = [u8];
    type Value = u64;

    fn map(&self, _: &[u8], _: &mut impl Emit<[u8], u64>) -> Result {
        unreachable!("`map_split` is its own")
    }

    fn map_split(&self, split: &mut Split<'_, Lines>, out: &mut impl Emit<[u8], u64>) -> Result {
        out.emit(b"splits", &1)?;
        if self.lines > 0
            && let Some(block) = split.next_block()?
        {
            block.into_iter().take(self.lines).try_for_each(|line| out.emit(line, &1))?;
        }
        Ok(())
    }
}

impl SimpleJob for Heads {
    const NAME: &'static str = "heads";
    type Combiner = Sum;
    type Reducer = Fold<Sum>;
}

#[test]
fn a_mapper_that_reads_nothing_is_called_once_for_each_piece() {
    let job = Heads { lines: 0 };
    let input = b"one\ntwo\nsix\n".repeat(100_000);
    let whole = FilterOptions::default();
    assert_eq!(filters(&job, &input[..600], usize::MAX, &whole), run(&job, &input[..600]));
    let pieces = FilterOptions { piece_bytes: 400_000, ..whole };
    assert_eq!(filters(&job, &input, usize::MAX, &pieces), b"splits\t3\n");
}

#[test]
fn what_a_mapper_leaves_of_a_piece_is_not_for_its_next_call() {
    let job = Heads { lines: 2 };
    let input = b"one\ntwo\nsix\n".repeat(100_000);
    let whole = FilterOptions::default();
    assert_eq!(filters(&job, &input[..600], usize::MAX, &whole), run(&job, &input[..600]));
    // Each of the two begins with "one": half of the input is a multiple of three lines.
    let halves = FilterOptions { piece_bytes: 600_000, ..whole };
    assert_eq!(filters(&job, &input, usize::MAX, &halves), b"one\t2\nsplits\t2\ntwo\t2\n");
}

#[test]
fn a_mapper_is_not_called_for_no_input() {
    for lines in [0, 1] {
        let job = Heads { lines };
        assert_eq!(map(&job, b"", &FilterOptions::default()), "\u{10FFFF}end\t-\t0\n".as_bytes());
        assert_eq!(run(&job, b""), b"");
    }
    // Nor for what is behind the last piece.
    let options = FilterOptions { piece_bytes: 4, ..FilterOptions::default() };
    assert_eq!(filters(&Heads { lines: 1 }, b"one\n", 9, &options), b"one\t1\nsplits\t1\n");
}

#[test]
fn a_small_budget_makes_smaller_segments() {
    let lines: Vec<u8> =
        (0..200_000).flat_map(|n| format!("{}\n", n * 7_919 % 200_000).into_bytes()).collect();
    let large = map(&Count, &lines, &FilterOptions::default());
    for bytes in [20 << 20, 3 << 20] {
        let options = FilterOptions { memory: Memory::limited(bytes), ..FilterOptions::default() };
        assert_eq!(map(&Count, &lines, &options), large, "{bytes}");
    }
}

#[test]
fn a_budget_that_is_too_small_says_how_much_it_takes() {
    let options = FilterOptions { memory: Memory::limited(1 << 20), ..FilterOptions::default() };
    let error = filter::map(&Count, &(), &b"a\n"[..], Vec::new(), &options).unwrap_err();
    assert!(matches!(
        error,
        FilterError::MemoryTooSmall { budget_bytes: 1_048_576, needed_bytes: 2_000_000.. }
    ));
    assert!(!error.to_string().contains("segment_bytes"), "{error}");
}

#[test]
fn a_line_that_is_too_long_is_refused_by_both_filters() {
    let options = FilterOptions { line_bytes_max: 1_000_000, ..FilterOptions::default() };
    let long = [b"short\n".to_vec(), vec![b'x'; 1_000_001], b"\n".to_vec()].concat();
    let error = filter::map(&Count, &(), &*long, Vec::new(), &options).unwrap_err().to_string();
    let expected =
        "input: the line that begins at byte 6 is longer than 1000000 bytes; raise `line_bytes_max`";
    assert!(error.contains(expected), "{error}");
    let error = filter::map(&Count, &(), &long[6..], Vec::new(), &options).unwrap_err();
    assert!(error.to_string().contains("begins at byte 0 is longer"), "{error}");

    let pairs = map(&Count, &long, &FilterOptions::default());
    let error = filter::reduce(&Count, &(), &*pairs, Vec::new(), &options).unwrap_err();
    assert!(matches!(error, FilterError::LineTooLong { line: 2, bytes_max: 1_000_000 }), "{error}");

    let as_long = [vec![b'x'; 999_990], b"\n".to_vec()].concat();
    assert_eq!(filters(&Count, &as_long, 9, &options), run(&Count, &as_long));
}
