//! Jobs as filters: with a sort of lines between them they give what a run gives; lines that were lost, cut, changed or not
//! sorted are noticed.

#![allow(clippy::unwrap_used, reason = "what the tests call belongs to the tests")]

mod errors;
mod jobs;
mod lines;
mod pieces;
mod streams;

use mapreduce_core::{
    filter::{self, FilterError, FilterOptions},
    prelude::*,
};
use std::fs;

/// What a run writes in one part.
pub(crate) fn run<J: Job<Shared = ()>>(job: &J, input: &[u8]) -> Vec<u8>
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

pub(crate) fn map<J: Job<Shared = ()>>(job: &J, input: &[u8], options: &FilterOptions) -> Vec<u8>
where
    J::Mapper: Mapper<Input = Lines>,
{
    let mut lines = Vec::new();
    filter::map(job, &(), input, &mut lines, options).unwrap();
    lines
}

pub(crate) fn reduce<J: Job<Shared = ()>>(
    job: &J,
    lines: &[u8],
    options: &FilterOptions,
) -> Result<Vec<u8>, FilterError> {
    let mut output = Vec::new();
    filter::reduce(job, &(), lines, &mut output, options)?;
    Ok(output)
}

/// What `LC_ALL=C sort` does.
pub(crate) fn sorted(lines: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').collect();
    lines.sort_by_key(|line| &line[..line.len() - 1]);
    lines.concat()
}

/// The input mapped in parts of so many lines, sorted, and reduced.
pub(crate) fn filters<J: Job<Shared = ()>>(
    job: &J,
    input: &[u8],
    per_part: usize,
    options: &FilterOptions,
) -> Vec<u8>
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

/// What is wrong with lines, in words.
pub(crate) fn refused<J: Job<Shared = ()>>(job: &J, lines: &str) -> String {
    reduce(job, lines.as_bytes(), &FilterOptions::default()).unwrap_err().to_string()
}
