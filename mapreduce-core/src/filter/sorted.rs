//! [`SortedLines`]: the pairs of sorted lines, one after the other, checked.

use super::{
    FilterError, FilterOptions,
    chunks::{RecordChunks, line_at},
    escape,
    form::{ANY_ORDER, END, LineForm, SEQUENCE, Sequence},
};
use crate::{Group, Key, Result, input::ReadError};
use memchr::memchr;
use std::{cmp::Ordering, io::Read, marker::PhantomData, mem::replace};

/// Reads pairs from sorted lines.
pub(super) struct SortedLines<R> {
    chunks: RecordChunks<R>,
    /// Where in the block the next line begins.
    at: usize,
    /// The lines that were read.
    line: u64,
    form: LineForm,
    /// Whether the end lines have to be there.
    end: bool,
    /// The first field of the last line, by which lines are sorted, and its sequence number.
    first: Vec<u8>,
    sequence: Vec<u8>,
    state: State,
    /// The pair that was read last, encoded.
    key: Vec<u8>,
    value: Vec<u8>,
    text: Vec<u8>,
    pairs: u64,
    /// The pairs that the end lines speak of.
    written: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// A line is to be read.
    Taken,
    /// A pair was read. Its key may be known to be that of the pair before.
    Pair {
        same_key: bool,
    },
    Ended,
}

impl<R: Read> SortedLines<R> {
    pub(super) fn new(source: R, form: LineForm, options: &FilterOptions) -> Self {
        Self {
            chunks: RecordChunks::new(source, options.line_bytes_max),
            at: 0,
            line: 0,
            form,
            end: options.end,
            first: Vec::new(),
            sequence: Vec::new(),
            state: State::Taken,
            key: Vec::new(),
            value: Vec::new(),
            text: Vec::new(),
            pairs: 0,
            written: None,
        }
    }

    /// The number of the line that was read last.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Reads the next pair unless the one that was read last was not taken. False behind the last.
    pub(super) fn peek(&mut self) -> Result<bool, FilterError> {
        while self.state == State::Taken {
            if self.at == self.chunks.block().len() {
                self.at = 0;
                if !self.chunks.advance().map_err(|error| unreadable(error, self.line + 1))? {
                    self.check_end()?;
                    self.state = State::Ended;
                    break;
                }
            }
            self.read_line()?;
        }
        Ok(self.state != State::Ended)
    }

    /// The encoded key of the pair.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Its encoded value.
    pub(super) fn value(&self) -> &[u8] {
        &self.value
    }

    /// Goes on to the next pair.
    pub(super) fn take(&mut self) {
        self.state = State::Taken;
    }

    fn read_line(&mut self) -> Result<(), FilterError> {
        let Self { chunks, form, first: before, .. } = self;
        self.line += 1;
        let line = self.line;
        let whole = line_at(chunks.block(), self.at);
        self.at += whole.len();
        let content = whole.strip_suffix(b"\n").ok_or(FilterError::Cut { line })?;
        let (first, rest) = split_tab(content).ok_or(FilterError::NoTab { line })?;
        let same_first = line > 1 && first == before;
        if !same_first {
            if first < before.as_slice() {
                return Err(FilterError::Unsorted { line });
            }
            before.clear();
            before.extend_from_slice(first);
        }
        if first == END.as_bytes() {
            let rest = rest.to_vec();
            return self.read_end(&rest, same_first);
        }
        let (key, sequence, value) = match form.sequence {
            Sequence::Absent => (first, None, rest),
            Sequence::BehindKey => {
                let (sequence, value) = split_tab(rest).ok_or(FilterError::NoSequence { line })?;
                (first, Some(sequence), value)
            }
            Sequence::First => {
                let (key, value) = split_tab(rest).ok_or(FilterError::NoTab { line })?;
                (key, Some(first), value)
            }
        };
        if let Some(sequence) = sequence {
            check_sequence(sequence, same_first.then_some(&self.sequence), line)?;
            self.sequence.clear();
            self.sequence.extend_from_slice(sequence);
        }
        let escape_error = |field: &[u8]| {
            let before = field.as_ptr().addr() - content.as_ptr().addr();
            move |bad: escape::BadEscape| FilterError::Escape { line, byte: before + bad.offset + 1 }
        };
        let same_key = same_first && form.sequence != Sequence::First;
        if !same_key {
            self.key.clear();
            escape::unescape_key(key, &mut self.key).map_err(escape_error(key))?;
        }
        self.text.clear();
        escape::unescape_value(value, &mut self.text).map_err(escape_error(value))?;
        self.value.clear();
        (form.value.read)(&self.text, &mut self.value).map_err(|reason| FilterError::Decode {
            line,
            part: "value",
            reason,
        })?;
        self.pairs += 1;
        self.state = State::Pair { same_key };
        Ok(())
    }

    /// Reads what an end line has behind its first field.
    fn read_end(&mut self, rest: &[u8], again: bool) -> Result<(), FilterError> {
        let line = self.line;
        let ordered = self.form.sequence != Sequence::Absent;
        let (split, pairs) = split_tab(rest).ok_or(FilterError::NoTab { line })?;
        if (split != ANY_ORDER) != ordered {
            let words = |kept| if kept { "kept" } else { "not kept" };
            return Err(FilterError::Order { line, written: words(!ordered), wanted: words(ordered) });
        }
        if ordered && again && split == self.sequence {
            return Err(FilterError::Repeated { line });
        }
        self.sequence.clear();
        self.sequence.extend_from_slice(split);
        let pairs: Option<u64> = str::from_utf8(pairs).ok().and_then(|pairs| pairs.parse().ok());
        let pairs = pairs.ok_or(FilterError::BadEnd { line })?;
        self.written = Some(self.written.unwrap_or(0).saturating_add(pairs));
        Ok(())
    }

    /// Checks that the pairs are all.
    fn check_end(&self) -> Result<(), FilterError> {
        match self.written {
            _ if !self.end => Ok(()),
            None => Err(FilterError::NoEnd { lines: self.line }),
            Some(written) if written == self.pairs => Ok(()),
            Some(written) => Err(FilterError::Count { written, found: self.pairs }),
        }
    }
}

/// Why the lines from `line` on cannot be read.
fn unreadable(error: ReadError, line: u64) -> FilterError {
    match error {
        ReadError::Io { offset, source, .. } => FilterError::Read { offset, source },
        ReadError::LineTooLong { bytes_max, .. } => FilterError::LineTooLong { line, bytes_max },
        other => FilterError::Job(other.into()),
    }
}

/// What is ahead of the first tab, and what is behind it.
#[inline]
fn split_tab(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let tab = memchr(b'\t', line)?;
    Some((&line[..tab], &line[tab + 1..]))
}

/// Checks a sequence number, and that it is above that of the line before if that has the same first field.
fn check_sequence(sequence: &[u8], before: Option<&Vec<u8>>, line: u64) -> Result<(), FilterError> {
    let like = |(byte, like): (&u8, u8)| match like {
        b'-' => *byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    if sequence.len() != SEQUENCE.len() || !sequence.iter().zip(SEQUENCE.bytes()).all(like) {
        return Err(FilterError::NoSequence { line });
    }
    match before.map(|before| before.as_slice().cmp(sequence)) {
        None | Some(Ordering::Less) => Ok(()),
        Some(Ordering::Equal) => Err(FilterError::Repeated { line }),
        Some(Ordering::Greater) => Err(FilterError::Unsorted { line }),
    }
}

/// The values of the keys that belong together, for a reducer.
pub(super) struct LineGroup<'l, K: ?Sized, R> {
    lines: &'l mut SortedLines<R>,
    /// The part that the keys share. Without one each pair stands by itself.
    group: Option<&'l [u8]>,
    begun: bool,
    /// Why the lines cannot be read on. The reducer hears of it, and may not say so.
    pub(super) error: Option<FilterError>,
    key: PhantomData<fn(&K)>,
}

impl<'l, K: ?Sized + Key, R: Read> LineGroup<'l, K, R> {
    /// `first` is the key of the next pair. If pairs are `grouped`, those whose keys share its [part](Key::group) belong
    /// together.
    pub(super) fn new(
        lines: &'l mut SortedLines<R>,
        first: &'l [u8],
        grouped: bool,
    ) -> Result<Self, FilterError> {
        let group = if grouped { Some(group::<K>(first, lines.line)?) } else { None };
        Ok(Self { lines, group, begun: false, error: None, key: PhantomData })
    }

    /// Passes over the values that were not asked for.
    pub(super) fn finish(mut self) -> Result<(), FilterError> {
        while self.error.is_none() && self.step()? {}
        self.error.map_or(Ok(()), Err)
    }

    /// Takes the next pair if it belongs to the group.
    fn step(&mut self) -> Result<bool, FilterError> {
        let Some(shared) = self.group else {
            // The one pair was read ahead.
            let first = !replace(&mut self.begun, true);
            if first {
                self.lines.take();
            }
            return Ok(first);
        };
        if !self.lines.peek()? {
            return Ok(false);
        }
        let same_key = self.lines.state == State::Pair { same_key: true };
        if !same_key && group::<K>(&self.lines.key, self.lines.line)? != shared {
            return Ok(false);
        }
        self.lines.take();
        Ok(true)
    }
}

impl<K: ?Sized + Key, R: Read> Group for LineGroup<'_, K, R> {
    fn next_value(&mut self) -> Result<Option<&[u8]>> {
        let error = match self.error.take().map_or_else(|| self.step(), Err) {
            Ok(more) => return Ok(more.then_some(self.lines.value())),
            Err(error) => error,
        };
        let message = error.to_string();
        self.error = Some(error);
        Err(message.into())
    }
}

/// The part of a key that values are grouped by. The key is that of a line.
fn group<K: ?Sized + Key>(key: &[u8], line: u64) -> Result<&[u8], FilterError> {
    K::group(key).map_err(|reason| FilterError::Decode { line, part: "key", reason })
}
