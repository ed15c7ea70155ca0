//! [`LineForm`]: the fields of the lines between the filters; [`LineWriter`] writes them.

use super::{FilterError, FilterOptions, escape, value::ValueText};
use crate::{Combiner, Datum, Job, Reducer, ValueOf};
use std::io::Write;

/// How a sequence number looks: the number of the split and that of the pair in it, in hexadecimal.
pub(super) const SEQUENCE: &str = "ssssssss-nnnnnnnnnnnn";
/// What the first field of an end line holds: a character that sorts behind all keys, and a word for people.
pub(super) const END: &str = "\u{10FFFF}end";
/// What an end line has in place of a split number if the order of the values is not kept.
pub(super) const ANY_ORDER: &[u8] = b"-";

/// Where the sequence number of a pair stands in its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sequence {
    /// Nowhere: `key value`.
    Absent,
    /// `key sequence value`.
    BehindKey,
    /// `sequence key value`: for jobs whose pairs are not brought into the order of their keys.
    First,
}

/// The form of the lines of a job.
#[derive(Clone, Copy)]
pub(super) struct LineForm {
    pub(super) sequence: Sequence,
    pub(super) value: ValueText,
}

impl LineForm {
    pub(super) fn of<J: Job>(options: &FilterOptions) -> Self {
        let sequence = if !J::Reducer::ENABLED {
            Sequence::First
        } else if options.keep_order || !(J::Combiner::ENABLED || ValueOf::<J>::is_unit()) {
            Sequence::BehindKey
        } else {
            Sequence::Absent
        };
        Self { sequence, value: ValueText::of::<ValueOf<J>>() }
    }
}

/// Bytes gathered between two writes.
const WRITE_BYTES: usize = 256 << 10;

/// Lines on their way out.
pub(super) struct Gathered<W> {
    out: W,
    pub(super) bytes: Vec<u8>,
}

impl<W: Write> Gathered<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, bytes: Vec::with_capacity(WRITE_BYTES + (WRITE_BYTES >> 2)) }
    }

    /// To be called behind each line.
    #[inline]
    pub(super) fn line_ended(&mut self) -> Result<(), FilterError> {
        if self.bytes.len() < WRITE_BYTES { Ok(()) } else { self.write() }
    }

    fn write(&mut self) -> Result<(), FilterError> {
        self.out.write_all(&self.bytes).map_err(|source| FilterError::Write { source })?;
        self.bytes.clear();
        Ok(())
    }

    /// Writes what is left.
    pub(super) fn finish(mut self) -> Result<(), FilterError> {
        self.write()?;
        self.out.flush().map_err(|source| FilterError::Write { source })
    }
}

/// Writes pairs as lines, and in the end how many there were.
pub(super) struct LineWriter<W> {
    out: Gathered<W>,
    form: LineForm,
    split: u32,
    pairs: u64,
    text: Vec<u8>,
}

impl<W: Write> LineWriter<W> {
    pub(super) fn new(out: W, form: LineForm, split: u32) -> Self {
        Self { out: Gathered::new(out), form, split, pairs: 0, text: Vec::new() }
    }

    /// Writes the line of an encoded key and an encoded value.
    pub(super) fn pair(&mut self, key: &[u8], value: &[u8]) -> Result<(), FilterError> {
        let Self { out, form, split, pairs, text } = self;
        let line = &mut out.bytes;
        if form.sequence == Sequence::First {
            push_sequence(line, *split, *pairs);
        }
        escape::key(key, line);
        line.push(b'\t');
        if form.sequence == Sequence::BehindKey {
            push_sequence(line, *split, *pairs);
        }
        text.clear();
        (form.value.write)(value, text)?;
        escape::value(text, line);
        line.push(b'\n');
        *pairs += 1;
        out.line_ended()
    }

    /// Writes the end line if there is to be one, and everything that is still held. Gives the number of pairs.
    pub(super) fn finish(mut self, end: bool) -> Result<u64, FilterError> {
        if end {
            let line = &mut self.out.bytes;
            line.extend_from_slice(END.as_bytes());
            line.push(b'\t');
            match self.form.sequence {
                Sequence::Absent => line.extend_from_slice(ANY_ORDER),
                _ => push(line, format_args!("{:08x}", self.split)),
            }
            push(line, format_args!("\t{}\n", self.pairs));
        }
        self.out.finish()?;
        Ok(self.pairs)
    }
}

/// Twelve digits last for 280 trillion pairs, more than a process emits.
fn push_sequence(line: &mut Vec<u8>, split: u32, pair: u64) {
    push(line, format_args!("{split:08x}-{pair:012x}\t"));
}

fn push(line: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    line.write_fmt(text).expect("a Vec takes whatever is written");
}
