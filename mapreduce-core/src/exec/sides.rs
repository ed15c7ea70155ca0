//! Lines for the [side outputs](crate::Job::SIDE_OUTPUTS): what a map attempt leaves of them, how they pass the reduce
//! attempt of their partition, and how they stand among returned pairs.

use super::{Attempt, reduce::PairWriter, run::Run, segment::SegmentWriter};
use crate::{CodecError, Memory, Result, job::SideOutputError};

/// The place of a side output among those of the job.
pub(super) fn index_of(outputs: &'static [&'static str], output: &'static str) -> Result<u8> {
    let found = outputs.iter().position(|other| *other == output);
    match found.and_then(|i| u8::try_from(i).ok()) {
        Some(i) => Ok(i),
        None => Err(SideOutputError::Unknown { output, outputs }.into()),
    }
}

/// The lines of a map attempt, in the order in which they were written: a run whose keys are the outputs' numbers.
pub(super) struct SideLines<'a> {
    outputs: &'static [&'static str],
    memory: &'a Memory,
    /// Begun with the first line, of which there usually is none.
    writer: Option<SegmentWriter>,
}

impl<'a> SideLines<'a> {
    pub(super) fn new(outputs: &'static [&'static str], memory: &'a Memory) -> Self {
        Self { outputs, memory, writer: None }
    }

    pub(super) fn push(&mut self, output: &'static str, line: &[u8]) -> Result {
        let output = index_of(self.outputs, output)?;
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(SegmentWriter::new(self.memory, 1, 0)?),
        };
        Ok(writer.push(0, &[output], line)?)
    }

    pub(super) fn finish(self) -> Result<Run> {
        match self.writer {
            Some(writer) => Ok(writer.finish()?.into_run()),
            None => Ok(Run::default()),
        }
    }
}

/// Lines between two looks at whether the attempt is still wanted.
const CHECK_EVERY: u64 = 1024;

/// Hands on what the mappers have written, in the order of the splits. Nothing is sorted: within an output, that is the
/// order already.
pub(super) fn pass<K: ?Sized, V: ?Sized>(
    runs: &[Run],
    outputs: usize,
    attempt: &Attempt,
    writer: &mut impl PairWriter<K, V>,
) -> Result {
    let mut lines: u64 = 0;
    for run in runs {
        let mut reader = run.reader();
        while let Some((key, line)) = reader.next_pair()? {
            match *key {
                [output] if usize::from(output) < outputs => writer.side(output, line)?,
                _ => return Err(no_tag(key).into()),
            }
            lines += 1;
            if lines.is_multiple_of(CHECK_EVERY) {
                attempt.check()?;
            }
        }
    }
    Ok(())
}

/// What the key of a returned run stands for. If the job has side outputs, a byte in front of each key says so: 0 for a
/// pair, 1 and up for the side outputs. Runs of other jobs do not have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returned<'a> {
    /// The key of a pair, encoded.
    Pair(&'a [u8]),
    /// The value is a line for this output.
    Line(usize),
}

/// The byte in front of the key of a pair.
pub(super) const PAIR_TAG: u8 = 0;

/// What is in front of the lines of an output.
pub(super) fn line_tag(output: u8) -> u8 {
    output + 1
}

impl<'a> Returned<'a> {
    /// Reads a key of a job that has so many side outputs.
    #[inline]
    pub(crate) fn of(key: &'a [u8], outputs: usize) -> Result<Self, CodecError> {
        if outputs == 0 {
            return Ok(Self::Pair(key));
        }
        match key.split_first() {
            Some((&PAIR_TAG, key)) => Ok(Self::Pair(key)),
            Some((&tag, [])) if usize::from(tag) <= outputs => Ok(Self::Line(usize::from(tag) - 1)),
            _ => Err(no_tag(key)),
        }
    }
}

#[cold]
fn no_tag(key: &[u8]) -> CodecError {
    CodecError::Decode {
        type_name: "the key of a pair or the number of a side output".into(),
        len: key.len() as u64,
        reason: "the job has no such output".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_outputs() {
        assert_eq!(Returned::of(&[7, 8], 0).unwrap(), Returned::Pair(&[7, 8]));
        assert_eq!(Returned::of(&[0, 8], 2).unwrap(), Returned::Pair(&[8]));
        assert_eq!(Returned::of(&[0], 2).unwrap(), Returned::Pair(&[]));
        assert_eq!(Returned::of(&[line_tag(1)], 2).unwrap(), Returned::Line(1));
        assert_eq!(Returned::of(&[line_tag(254)], 255).unwrap(), Returned::Line(254));
        // They may have come over a network.
        for key in [&[][..], &[3], &[1, 0], &[255]] {
            assert!(Returned::of(key, 2).is_err(), "{key:?}");
        }
    }
}
